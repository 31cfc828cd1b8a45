"""Listening sockets, accepting until there are no file descriptors left."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import Listener
from ulproxy.shell import activation

BACKLOG: Final = 1024
# Connections taken in one go, so that a flood of them leaves the loop time for those that stand.
ACCEPT_AT_ONCE: Final = 32
# Seconds without accepting when there is no descriptor or memory for another connection.
PAUSE: Final = 0.2
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def open_socket(endpoint: Endpoint) -> socket.socket:
    """A listening socket, that which was handed over if one was; raises OSError."""
    if (handed := activation.handed(endpoint)) is not None:
        handed.setblocking(False)
        return handed
    host = activation.plain(endpoint).host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, endpoint.port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


class Port:
    """One listener of the configuration while it listens."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: Listener,
        sock: socket.socket,
        accepted: Callable[[socket.socket, Listener], None],
        exhausted: Callable[[OSError], None],
    ) -> None:
        self.listener = listener
        host, port = sock.getsockname()[:2]
        self.address = Endpoint(host, port)
        self._loop = loop
        self._socket = sock
        self._accepted = accepted
        self._exhausted = exhausted
        self._accepting = False
        self._paused: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accepts from now on."""
        self.pause()
        self._accepting = True
        self._loop.add_reader(self._socket, self._acceptable)

    def pause(self) -> None:
        """Accepts nobody until it is started again; the kernel keeps those who come."""
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._socket)

    def accept_waiting(self) -> None:
        """Accepts who is there already."""
        if self._accepting:
            self._acceptable()

    def close(self) -> None:
        """Listens no more."""
        if self._socket.fileno() >= 0:
            self.pause()
            self._socket.close()

    def _acceptable(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                sock, _address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self.pause()
                    self._paused = self._loop.call_later(PAUSE, self.start)
                    self._exhausted(error)
                    return
                continue  # the peer is gone already (ECONNABORTED and its like)
            self._accepted(sock, self.listener)
            if not self._accepting:
                return
