"""Hand-written peers on both ends, with the relay or nothing between them; the test speaks for both."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.peers import Relay, Table, Way, ae, border, relay, rule
from tests.end_to_end.wire import (
    AC,
    RELEASE_RP,
    RELEASE_RQ,
    RQ,
    Acceptor,
    Associate,
    Context,
    Peer,
    associate_ac,
    associate_rq,
    release_rp,
    release_rq,
)

UserItems = list[tuple[int, bytes]]


@dataclass
class Pair:
    """An established association: both ends, and what each was told by the other."""

    client: Peer
    server: Peer
    requested: Associate
    accepted: Associate

    def release(self) -> None:
        self.client.send(release_rq())
        self.server.expect(RELEASE_RQ)
        self.server.send(release_rp())
        self.client.expect(RELEASE_RP)


@dataclass
class Lane:
    """A way from a client to an acceptor."""

    way: Way
    acceptor: Acceptor
    through: Relay | None = None

    @contextlib.contextmanager
    def half_open(
        self, contexts: list[Context], user: UserItems | None = None
    ) -> Iterator[tuple[Peer, Peer, Associate]]:
        """The client has asked, the acceptor has read it and not answered yet."""
        with Peer.connect(self.way.port) as client:
            client.send(associate_rq(contexts, user, called=self.way.called))
            with self.acceptor.accept() as server:
                yield client, server, server.expect_associate(RQ)

    @contextlib.contextmanager
    def associated(
        self,
        contexts: list[Context],
        user: UserItems | None = None,
        accept: list[Context] | None = None,
        accept_user: UserItems | None = None,
    ) -> Iterator[Pair]:
        with self.half_open(contexts, user) as (client, server, requested):
            server.send(associate_ac(requested, accept, accept_user))
            yield Pair(client, server, requested, client.expect_associate(AC))

    def memory(self) -> int:
        """Resident memory of the relay."""
        assert self.through is not None
        return self.through.memory()

    def forget(self) -> None:
        """Drop connections that an earlier test left behind."""
        self.acceptor.socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.acceptor.socket.accept()[0].close()
        self.acceptor.socket.settimeout(40)


@contextlib.contextmanager
def lanes(
    directory: Path, arguments: tuple[str, ...] = (), **tables: Table
) -> Iterator[dict[str, Lane]]:
    """SCU on network west, an acceptor PACS on network east; every service allowed between them."""
    with Acceptor() as acceptor:
        aes = [
            ae("SCU", "west", alias="FAR_SCU"),
            ae("PACS", "east", acceptor.port, alias="FAR_PACS"),
        ]
        with relay(
            border(aes, [rule(["SCU"], ["PACS"])], **tables), directory, *arguments
        ) as running:
            relayed = Way("relay", running.ports["west"], "FAR_PACS")
            yield {
                "direct": Lane(Way("direct", acceptor.port, "PACS"), acceptor),
                "relay": Lane(relayed, acceptor, running),
            }


class Progress(threading.Thread):
    """Sends in the background, counting; ends quietly when the connection does."""

    def __init__(self, peer: Peer, data: bytes) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self._peer, self._data = peer, data
        self._seen = (0, time.monotonic())

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while self.sent < len(self._data):
                self.sent += self._peer.socket.send(self._data[self.sent : self.sent + 65_536])

    def stuck(self) -> bool:
        """No byte went out for half a second."""
        if self.sent != self._seen[0]:
            self._seen = (self.sent, time.monotonic())
        return time.monotonic() - self._seen[1] > 0.5
