"""A few pages over HTTP, for the monitoring system: GET, one answer a connection, then it is closed.

Whoever reaches the address can neither hold more than `MAX_OPEN` connections nor one of them for long, and of
a request nothing is kept but its first line. Sockets are its own: the supervisor of several workers can be
forked while they are open.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple

from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import Listener
from ulproxy.shell.ports import Ports
from ulproxy.watch.log import logger, say

# Connections at once; the oldest is closed for one more, so that the slow cannot keep out the others.
MAX_OPEN: Final = 32
# Octets of a request, its headers included; scrapers send a few hundred.
MAX_REQUEST: Final = 8192
# Seconds for all of a connection; Prometheus waits for ten by default.
SECONDS: Final = 10.0
_AT_ONCE: Final = 4096
_END: Final = re.compile(rb"\r?\n\r?\n")
_GET: Final = re.compile(rb"GET (/[!-~]{0,200}) HTTP/1\.[01]\r?\n")
_OTHER_METHOD: Final = re.compile(rb"[A-Z]{1,20} /[!-~]{0,200} HTTP/1\.[01]\r?\n")


class Page(NamedTuple):
    """An answer."""

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


class Pages:
    """`answer` makes the page for a path, or None: there is none. It must not wait."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, answer: Callable[[str], Page | None]
    ) -> None:
        self.answer = answer
        self._loop = loop
        self._log = logger()
        self._visits: dict[_Visit, None] = {}
        self._ports = Ports(loop, self._accepted, lambda _error: None, self._announce)

    @property
    def addresses(self) -> list[Endpoint]:
        """Where they are served."""
        return [port.address for port in self._ports.open]

    def move(self, bind: Endpoint | None) -> None:
        """Serves them there from now on; raises OSError, as `Ports.move` does, with nothing changed."""
        self._ports.move(() if bind is None else (Listener("metrics", bind),))

    def close(self) -> None:
        """Serves them no more, in this process."""
        self._ports.close()
        self._ports.open = []
        for visit in list(self._visits):
            visit.close()

    def left(self, visit: _Visit) -> None:
        """A connection is closed."""
        del self._visits[visit]

    def _announce(self, _line: str) -> None:
        say(self._log.info, "metrics are served", address=str(self.addresses[0]))

    def _accepted(self, sock: socket.socket, _listener: Listener) -> None:
        if len(self._visits) >= MAX_OPEN:
            next(iter(self._visits)).close()
        sock.setblocking(False)
        self._visits[_Visit(self._loop, sock, self)] = None


class _Visit:
    """One connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, pages: Pages) -> None:
        self._loop = loop
        self._socket = sock
        self._pages = pages
        self._request = b""
        self._unsent = memoryview(b"")
        self._timer = loop.call_later(SECONDS, self.close)
        loop.add_reader(sock, self._readable)

    def close(self) -> None:
        """At once."""
        self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._pages.left(self)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if self._unsent:  # whatever it says now, it has its answer
            if not data:
                self._loop.remove_reader(self._socket)
        elif not data:
            self.close()
        else:
            self._request += data
            self._look()

    def _look(self) -> None:
        if len(self._request) > MAX_REQUEST:
            self._reply(_plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
        elif _END.search(self._request):
            self._reply(self._answer())

    def _answer(self) -> Page:
        if asked := _GET.match(self._request):
            path = asked[1].decode().partition("?")[0]
            return self._pages.answer(path) or _plain(HTTPStatus.NOT_FOUND)
        if _OTHER_METHOD.match(self._request):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED)
        return _plain(HTTPStatus.BAD_REQUEST)

    def _reply(self, page: Page) -> None:
        allow = "Allow: GET\r\n" if page.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
        head = (
            f"HTTP/1.1 {page.status} {page.status.phrase}\r\n"
            f"Content-Type: {page.content_type}\r\n"
            f"Content-Length: {len(page.body)}\r\n"
            "Cache-Control: no-store\r\n"
            f"{allow}Connection: close\r\n\r\n"
        )
        self._unsent = memoryview(head.encode() + page.body)
        self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not self._unsent:
            self.close()


def _plain(status: HTTPStatus) -> Page:
    return Page(status, f"{status.phrase}\n".encode())
