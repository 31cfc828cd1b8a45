"""A connection to a TLS port until it is known who calls: then it is a session.

It counts as a connection without an association from the first moment, and ARTIM runs: what the handshake has
used of it, the A-ASSOCIATE-RQ has not (PS3.8 9.1.4).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import replace
from typing import Protocol

from ulproxy.relay.border import Border
from ulproxy.relay.effects import Record
from ulproxy.shell.arrival import Arrival
from ulproxy.shell.audit import Audit
from ulproxy.shell.secure import Secure
from ulproxy.shell.transport import Link
from ulproxy.watch.log import say


class Reception(Protocol):
    """What a handshake needs of the server that it lives in."""

    loop: asyncio.AbstractEventLoop
    border: Border
    buffer: memoryview
    audit: Audit

    def secured(self, handshake: Handshake) -> None:
        """It is known who calls; whoever takes over sets the owner of the link."""

    def failed(self, handshake: Handshake) -> None:
        """The connection is closed."""


class Handshake:
    """One of them."""

    def __init__(
        self,
        reception: Reception,
        arrival: Arrival,
        sock: socket.socket,
        context: ssl.SSLContext,
    ) -> None:
        self.arrival = arrival
        self.source = arrival.source
        self.link = Secure(reception.loop, sock, reception.buffer, self, context)
        self._asks = context.verify_mode is not ssl.CERT_NONE
        self._reception = reception
        self._timer = reception.loop.call_later(
            reception.border.policy.config.limits.artim,
            self.shutdown,
            "no TLS handshake in time (artim)",
        )

    @property
    def certificate(self) -> frozenset[str] | None:
        """What the caller's certificate goes by, as in `Peer`."""
        return self.link.identities if self._asks else None

    def shutdown(self, text: str) -> None:
        """Ends it, saying why in the log."""
        self.link.close()
        self.connection_lost(self.link, text)

    def secured(self, link: Secure) -> None:
        """It is known who calls."""
        self._timer.cancel()
        self.arrival = replace(self.arrival, log=self.arrival.log.bind(tls=link.version))
        self._reception.secured(self)

    def data_received(self, link: Link, _data: memoryview) -> bool:
        """Not asked for."""
        raise AssertionError(link)

    def written(self, link: Link) -> None:
        """Not asked for."""
        raise AssertionError(link)

    def connection_lost(self, _link: Link, text: str) -> None:
        """It will not be a session."""
        self._timer.cancel()
        seconds = round(self._reception.loop.time() - self.arrival.began, 3)
        facts = {"outcome": f"no TLS session: {text}", "seconds": seconds}
        say(self.arrival.log.warning, "connection ended", **facts)
        record = Record("connection ended", facts, warning=True)
        self._reception.audit.record(self.arrival.origin, record)
        if (tally := self._reception.border.tally) is not None:
            tally.add("connections_without_association", self.arrival.network, "tls")
        self._reception.failed(self)
