"""Many requestors at once: `python -m benchmarks.crowd PORT TITLE ASSOCIATIONS OBJECTS`, figures as JSON.

All associations open; `open` is printed, and a line on standard input waited for; then OBJECTS of 3 KB are
sent over all of them, each waiting for its own responses only; all release.
"""

import asyncio
import json
import sys
import time

import uvloop

from benchmarks import wire
from benchmarks.load import HOST, MAX_LENGTH, SMALL, TIMEOUT, LoadError, encoded


class Client:
    """One of many requestors."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int, called: str) -> "Client":
        """Connect and associate."""
        self = cls(*await asyncio.open_connection(HOST, port))
        await self._ask(wire.associate_rq(called, wire.CT_IMAGE, MAX_LENGTH), wire.ASSOCIATE_AC)
        return self

    async def store(self, request: bytes, count: int) -> None:
        """So many objects, one after the other."""
        for _ in range(count):
            if code := wire.status((await self._ask(request, wire.DATA))[6:]):
                raise LoadError(f"status {code:04X}H")

    async def release(self) -> None:
        """Release and close."""
        await self._ask(wire.release_rq(), wire.RELEASE_RP)
        self._writer.close()

    async def _ask(self, request: bytes, expected: int) -> bytes:
        self._writer.write(request)
        kind, length = wire.PDU_HEADER.unpack(await self._reader.readexactly(6))
        body = await self._reader.readexactly(length)
        if kind != expected:
            raise LoadError(f"PDU type {expected} expected, {kind} came: {body[:16].hex()}")
        return body


async def many(port: int, called: str, associations: int, objects: int) -> dict[str, float]:
    """So many associations at once; `open` is printed when they all are, and a line waited for."""
    share, ((request, _),) = objects // associations, encoded(SMALL, MAX_LENGTH)
    async with asyncio.timeout(TIMEOUT):
        began = time.perf_counter()
        opening = [Client.open(port, called) for _ in range(associations)]
        clients = await asyncio.gather(*opening)
        opened = time.perf_counter() - began
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began = time.perf_counter()
        await asyncio.gather(*(client.store(request, share) for client in clients))
        seconds = time.perf_counter() - began
        await asyncio.gather(*(client.release() for client in clients))
    return {"wall": seconds, "opened": opened, "objects": share * associations}


def main() -> None:
    """Do what the arguments say."""
    port, called, associations, objects = sys.argv[1:]
    print(json.dumps(uvloop.run(many(int(port), called, int(associations), int(objects)))))


if __name__ == "__main__":
    main()
