"""A peer that speaks TLS over a plain one: it says when records go out, and how the connection ends."""

from __future__ import annotations

import contextlib
import ssl

from tests.shell.peers import Peer
from ulproxy.shell.tls import failure

CLOSED = "close_notify"
CUT = "the end of TCP"


class SecurePeer:
    """One end in memory; `host` = whom it calls, None = it is called."""

    def __init__(self, peer: Peer, context: ssl.SSLContext, host: str | None = None) -> None:
        self.peer = peer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_side=host is None, server_hostname=host
        )

    async def flush(self, piece: int = 1 << 20) -> None:
        """Send what TLS has to say, in pieces of so many bytes."""
        while data := self.outgoing.read(piece):
            await self.peer.send(data)

    async def feed(self) -> bool:
        """Take what has come; False at the end of TCP."""
        try:
            data = await self.peer.some(1 << 16)
        except ConnectionResetError:
            data = b""
        self.incoming.write(data)
        return bool(data)

    async def shake_hands(self, piece: int = 1 << 20, *, hold: bool = False) -> None:
        """The whole handshake; `hold` = what it says last waits for `flush`."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.flush(piece)
                assert await self.feed(), "the connection is over"
            else:
                break
        if not hold:
            await self.flush(piece)

    async def send(self, data: bytes) -> None:
        self.tls.write(data)
        await self.flush()

    async def exactly(self, count: int) -> bytes:
        """So many bytes, or fewer if they end before."""
        got = bytearray()
        while len(got) < count:
            try:
                more = self.tls.read(count - len(got))
            except ssl.SSLWantReadError:
                if not await self.feed():
                    break
                continue
            if not more:
                break
            got += more
        return bytes(got)

    async def ending(self) -> str:
        """How the connection ends, whatever comes before."""
        while True:
            try:
                if not self.tls.read(1 << 16):
                    return CLOSED
            except ssl.SSLWantReadError:
                if not await self.feed():
                    return CUT
            except ssl.SSLZeroReturnError:  # we have said goodbye ourselves
                return CLOSED
            except ssl.SSLError as error:
                return failure(error)

    async def say_goodbye(self) -> None:
        """close_notify, without waiting for the other's."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        await self.flush()
