"""Peers on the relay's own event loop: what they send and read, the test says PDU by PDU.

The bytes are those of the end-to-end tests' second encoder, which shares nothing with ulproxy.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.end_to_end.wire import ABORT, Pdu

PATIENCE = 10.0
"""Seconds until what should happen soon counts as failed; generous, the machine may be busy."""


async def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until the condition holds."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 (there is no event for what it may be)
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE:g} s: {what}") from None


class _Closing:
    """A socket that ends with its block."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        sock.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()


class Peer(_Closing):
    """One end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    async def connect(
        cls, port: int, source: str = "127.0.0.1", receive_buffer: int | None = None
    ) -> Self:
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        sock = socket.socket(family)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        sock.bind((source, 0))
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except OSError:
            sock.close()
            raise
        return cls(sock)

    async def send(self, data: bytes) -> None:
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self.socket, data), PATIENCE)

    def reset(self) -> None:
        """Vanish: the other end gets a TCP RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    async def exactly(self, count: int) -> bytes:
        """So many bytes, or fewer if the connection ends before."""
        got = bytearray()
        while len(got) < count:
            try:
                more = await self.some(min(count - len(got), 1 << 18))
            except ConnectionResetError:
                break
            if not more:
                break
            got += more
        return bytes(got)

    async def some(self, most: int) -> bytes:
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.sock_recv(self.socket, most), PATIENCE)

    async def receive(self) -> Pdu | None:
        """The next PDU; None when the connection is over instead."""
        head = await self.exactly(6)
        if not head:
            return None
        assert len(head) == 6, f"the connection ended inside a PDU header: {head!r}"
        kind, length = struct.unpack(">BxI", head)
        body = await self.exactly(length)
        assert len(body) == length, "the connection ended inside a PDU"
        return Pdu(kind, body)

    async def expect(self, kind: int) -> bytes:
        """The body of the next PDU, which is of this kind."""
        got = await self.receive()
        assert got is not None, f"the connection is over; PDU {kind} was expected"
        assert got.kind == kind, f"PDU {got.kind} {got.body[:40]!r} instead of {kind}"
        return got.body

    async def expect_abort(self) -> tuple[int, int]:
        """Source and reason of the A-ABORT that comes next."""
        body = await self.expect(ABORT)
        return body[2], body[3]

    async def expect_end(self) -> None:
        got = await self.receive()
        assert got is None, f"PDU {got.kind} {got.body[:40]!r} instead of the connection's end"


class Acceptor(_Closing):
    """A listening socket: the AE that the relay calls."""

    def __init__(
        self, receive_buffer: int | None = None, backlog: int = 64, host: str = "127.0.0.1"
    ) -> None:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.bind((host, 0))
        sock.listen(backlog)
        super().__init__(sock)
        self.port: int = sock.getsockname()[1]

    async def accept(self) -> Peer:
        loop = asyncio.get_running_loop()
        sock, _address = await asyncio.wait_for(loop.sock_accept(self.socket), PATIENCE)
        return Peer(sock)


class BlackHole(Acceptor):
    """Listens, but its queue is full: the kernel drops every SYN, so connecting to it takes for ever."""

    def __init__(self) -> None:
        super().__init__(backlog=0)
        self._filling = [socket.socket() for _ in range(3)]
        for sock in self._filling:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", self.port))

    def close(self) -> None:
        for sock in self._filling:
            sock.close()
        super().close()
