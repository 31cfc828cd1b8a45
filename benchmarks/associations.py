"""Many associations at once: all open, each does a C-ECHO while all are open, all release.

Sender and sink are the benchmark's own, on asyncio. The sink counts how many associations it
holds at the same moment.
"""

import asyncio
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import wire
from benchmarks.processes import PeerError
from benchmarks.variants import HOST, Variant, start

SINK = "MANY"
TIMEOUT = 60.0
MAX_LENGTH = 16384


@dataclass(frozen=True, slots=True)
class Result:
    """What so many associations did to one variant."""

    variant: str
    asked: int
    at_once: int  # the most that the sink held at one moment
    echoed: int
    seconds: float  # from the first connection to the last release
    cpu: float
    before: int  # resident bytes after one association had come and gone
    open: int  # resident bytes while all were open

    @property
    def each(self) -> int:
        """Resident bytes for an association."""
        return (self.open - self.before) // self.asked


class Sink:
    """An acceptor that answers everything and counts."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while not reader.at_eof():
                kind, body = await _read(reader)
                if kind == wire.ASSOCIATE_RQ:
                    self.now += 1
                    self.most = max(self.most, self.now)
                elif kind == wire.RELEASE_RQ:
                    self.now -= 1
                if said := wire.answer(kind, body, MAX_LENGTH):
                    writer.write(said)
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the peer closed, as it does after a release; or all is over
        finally:
            writer.close()


class Client:
    """One requestor."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Client":
        """Connect and associate."""
        self = cls(*await asyncio.open_connection(HOST, port))
        request = wire.associate_rq(SINK, wire.VERIFICATION, wire.IMPLICIT_LITTLE, MAX_LENGTH)
        await self._ask(request, wire.ASSOCIATE_AC)
        return self

    async def echo(self) -> bool:
        """One C-ECHO; whether its status was success."""
        request = wire.data_pdu(1, wire.COMMAND | wire.LAST, wire.echo_rq(1))
        return wire.status((await self._ask(request, wire.DATA))[6:]) == 0

    async def release(self) -> None:
        """Release and close."""
        await self._ask(wire.release_rq(), wire.RELEASE_RP)
        self._writer.close()

    async def _ask(self, request: bytes, expected: int) -> bytes:
        self._writer.write(request)
        kind, body = await _read(self._reader)
        if kind != expected:
            raise PeerError(f"PDU type {expected} expected, {kind} came: {body[:16].hex()}")
        return body


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind, length = struct.unpack(">BxI", await reader.readexactly(6))
    return kind, await reader.readexactly(length)


def measure(names: list[str], count: int, work: Path) -> Iterator[Result]:
    """Each variant that has a process."""
    for name in names:
        if name != "direct":
            yield asyncio.run(_measure(name, count, work))


async def _measure(name: str, count: int, work: Path) -> Result:
    sink = Sink()
    async with await asyncio.start_server(sink.serve, HOST, 0, backlog=count) as server:
        with ExitStack() as stack:
            port = server.sockets[0].getsockname()[1]
            (variant,) = start([name], {SINK: port}, work, stack)
            try:
                async with asyncio.timeout(TIMEOUT):
                    return await _together(variant, sink, count)
            except (OSError, EOFError, TimeoutError) as error:
                said = variant.process.explain() if variant.process else ""
                raise PeerError(f"{name}: {error!r}\n{said}") from error


async def _together(variant: Variant, sink: Sink, count: int) -> Result:
    process, port = variant.process, variant.ports[SINK]
    assert process is not None
    await (await Client.open(port)).release()
    before, cpu, began = process.resident(), process.cpu(), time.perf_counter()
    clients = await asyncio.gather(*(Client.open(port) for _ in range(count)))
    echoed = sum(await asyncio.gather(*(client.echo() for client in clients)))
    resident = process.resident()
    await asyncio.gather(*(client.release() for client in clients))
    seconds, used = time.perf_counter() - began, process.cpu() - cpu
    return Result(variant.name, count, sink.most, echoed, seconds, used, before, resident)
