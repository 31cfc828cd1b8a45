"""Between the supervisor and one worker: short messages, in order, with or without a file descriptor.

A socket pair. When the supervisor dies, however it dies, the worker is told; of a worker's end the supervisor
keeps a copy, so that it can take back what one that dies has not received.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

MAX_MESSAGE: Final = 4096  # octets
# Messages taken in one go, so that a flood of connections leaves the loop time for those that stand.
_AT_ONCE: Final = 32
_ONE: Final = socket.CMSG_LEN(4)  # octets: room for one descriptor


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """One end for each process."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def unread(sock: socket.socket) -> Iterator[tuple[bytes, int | None]]:
    """What has been sent to this end and not been received; it does not block."""
    with suppress(BlockingIOError):
        while (received := _receive(sock))[0]:
            yield received


def _receive(sock: socket.socket) -> tuple[bytes, int | None]:
    """An empty message is the end; raises OSError. A copy of the socket may block: this does not."""
    flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
    message, ancillary, _flags, _address = sock.recvmsg(MAX_MESSAGE, _ONE, flags)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            return message, int.from_bytes(data, sys.byteorder)
    return message, None


class Channel:
    """One end of it.

    `received` gets each message and the descriptor that came with it, which is its own from then on; `closed`
    is called once, when the other process is no more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        received: Callable[[bytes, int | None], None],
        closed: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._received = received
        self._closed = closed
        self._unsent: deque[tuple[bytes, int | None]] = deque()
        sock.setblocking(False)
        loop.add_reader(sock, self._readable)

    def send(self, message: bytes, descriptor: int | None = None) -> None:
        """Sends it as soon as the other process has room for it; the descriptor stays the caller's."""
        if not self.offer(message, descriptor):
            self._unsent.append((message, None if descriptor is None else os.dup(descriptor)))
            self._loop.add_writer(self._socket, self._writable)

    def offer(self, message: bytes, descriptor: int | None = None) -> bool:
        """The same, at once or not at all; returns whether it is sent."""
        if self._unsent:
            return False
        try:
            self._send(message, descriptor)
        except OSError:  # no room, or gone, which will be read
            return False
        return True

    def close(self) -> None:
        """Nothing more is said or heard; what could not be sent is not sent."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        for _message, descriptor in self._unsent:
            if descriptor is not None:
                os.close(descriptor)
        self._unsent.clear()

    def _send(self, message: bytes, descriptor: int | None) -> None:
        descriptors = [] if descriptor is None else [descriptor]
        socket.send_fds(self._socket, [message], descriptors)

    def _writable(self) -> None:
        while self._unsent:
            message, descriptor = self._unsent[0]
            try:
                self._send(message, descriptor)
            except BlockingIOError:
                return
            except OSError:  # gone, which will be read
                self._loop.remove_writer(self._socket)
                return
            self._unsent.popleft()
            if descriptor is not None:
                os.close(descriptor)
        self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                message, descriptor = _receive(self._socket)
            except BlockingIOError:
                return
            except OSError:  # reset: it died with something unread
                message, descriptor = b"", None
            if not message:
                self.close()
                self._closed()
                return
            self._received(message, descriptor)
            if self._socket.fileno() < 0:
                return
