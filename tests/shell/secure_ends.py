"""A link over TLS, who owns it, and the peer at the other end; both have certificates of one CA."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

from tests.pki import Authority
from tests.shell.peers import Peer, eventually
from tests.shell.secure_peer import SecurePeer
from tests.shell.test_transport import BIG, Owner, pair
from ulproxy.policy.model import AeTls, ListenerTls
from ulproxy.shell.secure import Secure
from ulproxy.shell.tls import calling, listening
from ulproxy.shell.transport import RECEIVE_BUFFER, Link

ROLES = ["accepted", "called"]
VERSIONS = ["TLSv1_2", "TLSv1_3"]


class SecureOwner(Owner):
    """Wants to read from the handshake on, if `wants`; says `greeting` then."""

    def __init__(self) -> None:
        super().__init__()
        self.secured_calls = 0
        self.wants = True
        self.greeting = b""
        self.close_when_secured = False
        self.answer = b""

    def secured(self, link: Secure) -> None:
        self.secured_calls += 1
        if self.close_when_secured:
            link.close()
        if self.greeting:
            link.write([self.greeting])
        link.read(wanted=self.wants)

    def data_received(self, link: Link, data: memoryview) -> bool:
        assert self.secured_calls
        hurried = super().data_received(link, data)
        if self.answer:
            link.write([self.answer])
        return hurried


class Contexts:
    """The relay's own, and those of a peer, for both roles."""

    def __init__(self, ca: Authority) -> None:
        self.ca = ca
        self.own, self.other = ca.issue("relay"), ca.issue("device")
        self.listening = self.accepting(self.own)
        self.calling = self.asking(self.own)

    def accepting(self, own: Any) -> ssl.SSLContext:
        return listening(
            ListenerTls(
                certificate=own.pem, key=own.key, ca=self.ca.pem, client_certificate="optional"
            )
        )

    def asking(self, own: Any) -> ssl.SSLContext:
        return calling(AeTls(ca=self.ca.pem, certificate=own.pem, key=own.key))


class Ends:
    """A link, who owns it, and the peer at the other end."""

    def __init__(self, contexts: Contexts, role: str, version: str, size: int) -> None:
        near, far = pair()
        self.owner = SecureOwner()
        self.socket = near
        self.role = role
        buffer = memoryview(bytearray(size))
        loop = asyncio.get_running_loop()
        ours = contexts.listening if role == "accepted" else contexts.calling
        host = None if role == "accepted" else "127.0.0.1"
        self.link = Secure(loop, near, buffer, self.owner, ours, host)
        self.plain = Peer(far)
        if role == "accepted":
            theirs, host = contexts.asking(contexts.other), "127.0.0.1"
        else:
            theirs, host = contexts.accepting(contexts.other), None
        theirs.maximum_version = ssl.TLSVersion[version]
        self.peer = SecurePeer(self.plain, theirs, host)

    async def secured(self) -> None:
        await self.peer.shake_hands()
        await eventually(lambda: self.owner.secured_calls, "the handshake is done")

    async def got(self, data: bytes) -> None:
        await eventually(lambda: len(self.owner.data) >= len(data), "the bytes came")
        assert self.owner.data == data

    async def lost(self) -> str:
        await eventually(lambda: self.owner.lost, "the loss is reported")
        (text,) = self.owner.lost
        return text

    async def fill(self) -> None:
        """Write until the peer's side takes no more."""
        self.link.write([BIG])
        assert self.link.unsent > 0


@contextlib.contextmanager
def linked(
    contexts: Contexts, role: str = "accepted", version: str = "TLSv1_3", size: int = RECEIVE_BUFFER
) -> Iterator[Ends]:
    ends = Ends(contexts, role, version, size)
    with ends.plain:
        yield ends
        ends.link.close()
        assert ends.socket.fileno() == -1


@contextlib.asynccontextmanager
async def secured(
    contexts: Contexts, role: str = "accepted", version: str = "TLSv1_3", size: int = RECEIVE_BUFFER
) -> AsyncIterator[Ends]:
    with linked(contexts, role, version, size) as ends:
        await ends.secured()
        yield ends
