"""Plain TCP by readiness: non-blocking sockets, one receive buffer shared by all connections.

What a peer does not take at once is kept here, copied, and the owner stops reading the other side until
it is gone; so memory per direction is bounded by one receive buffer. The view that an owner is handed is
valid during that call alone.
"""

from __future__ import annotations

import socket
import time
import weakref
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

from ulproxy.shell.connect import reason

# A fast sender fills 512 KiB while 512 KiB go on: a fifth less CPU per GB than with 256, a tenth more than
# with 1 MiB, which doubles again what is kept for a peer that does not read, and how long one read takes.
RECEIVE_BUFFER: Final = 512 * 1024
# Pieces of one sendmsg: the kernel refuses more than IOV_MAX (1024), and many small ones are joined faster.
MAX_PIECES: Final = 64
# Seconds of work after which one read has kept all others waiting, and less is read at once of that peer.
PATIENCE: Final = 0.005
LEAST_READ: Final = 2048
# What is read first of a peer: the worst 64 KiB keep others waiting for some 40 ms, once.
FIRST_READ: Final = 64 * 1024
# Full reads without much work before more is read at once again: so many after the first read that took long,
# twice as many after each further one. Bulk between thousands of tiny fragments is no excuse.
FORGIVEN: Final = 64
NEVER_FORGIVEN: Final = 4096
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)


class Link(Protocol):
    """One connection, plain or over TLS (secure.py)."""

    @property
    def unsent(self) -> int:
        """What the peer has not taken yet, in bytes."""

    def read(self, wanted: bool) -> None:
        """Reads from now on, or stops."""

    def write(self, data: Sequence[bytes | memoryview]) -> None:
        """Sends what the peer takes now, keeps the rest."""

    def close(self) -> None:
        """Closes at once; what is unsent is forgotten."""


class Owner(Protocol):
    """Who a connection reports to."""

    def data_received(self, link: Link, data: memoryview) -> bool:
        """Bytes came; whether the peer may have more to say before it is answered.

        Then it may be waiting for our ACK, with Nagle on, and gets it at once.
        """

    def written(self, link: Link) -> None:
        """The peer took some of what was unsent."""

    def connection_lost(self, link: Link, text: str) -> None:
        """The connection is gone and closed; nothing else will be reported."""


class Transport:
    """A connection over plain TCP."""

    __slots__ = (
        "_buffer",
        "_closed",
        "_error",
        "_forgiven",
        "_loop",
        "_owner",
        "_queue",
        "_quick",
        "_reading",
        "_room",
        "_socket",
        "_watched",
        "unsent",
    )

    def __init__(
        self, loop: AbstractEventLoop, sock: socket.socket, buffer: memoryview, owner: Owner
    ) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._loop = loop
        self._socket = sock
        self._buffer = buffer
        self._room = min(FIRST_READ, len(buffer))  # how much of it to fill at once
        self._forgiven = 1  # after so many full reads it is more
        self._quick = 0
        self._owner = owner
        self._queue: deque[memoryview] = deque()
        self._reading = False
        self._watched: weakref.ref[partial[None]] | None = None
        self._closed = False
        self._error: OSError | None = None
        self.unsent = 0

    def read(self, wanted: bool) -> None:
        """Reads from now on, or stops."""
        if wanted == self._reading or self._closed:
            return
        self._reading = wanted
        if wanted:
            self._watch()
        else:
            self._watched = None
            self._loop.remove_reader(self._socket)

    def write(self, data: Sequence[bytes | memoryview]) -> None:
        """Sends what the peer takes now, keeps the rest."""
        if self._closed:
            return
        if len(data) > MAX_PIECES:
            data = (b"".join(data),)
        sent = 0
        if not self._queue:
            try:
                sent = self._socket.sendmsg(data) if len(data) > 1 else self._socket.send(data[0])
            except BlockingIOError:
                pass
            except OSError as error:
                self._fail(error)
                return
            if sent == sum(map(len, data)):
                return
        for piece in data:
            if sent < len(piece):
                self._keep(memoryview(bytes(memoryview(piece)[sent:])))
            sent = max(0, sent - len(piece))

    def close(self) -> None:
        """Closes at once; what is unsent is forgotten."""
        if self._closed:
            return
        self.read(wanted=False)
        self._closed = True
        if self._queue:
            self._loop.remove_writer(self._socket)
            self._queue.clear()
        self.unsent = 0
        self._socket.close()

    def _keep(self, piece: memoryview) -> None:
        if not self._queue:
            self._loop.add_writer(self._socket, self._writable)
        self._queue.append(piece)
        self.unsent += len(piece)

    def _readable(self) -> None:
        try:
            count = self._socket.recv_into(self._buffer, self._room)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if count == 0:
            self._lose(None)
            return
        if count <= LEAST_READ:  # no less can be read at once
            hurried = self._owner.data_received(self, self._buffer[:count])
        else:
            began = time.thread_time()  # not the clock: a busy machine is not this peer's doing
            hurried = self._owner.data_received(self, self._buffer[:count])
            self._pace(count, time.thread_time() - began)
        if hurried and count < len(self._buffer) and _QUICKACK is not None:
            self._acknowledge(_QUICKACK)

    def _pace(self, count: int, spent: float) -> None:
        """Reads less at once of a peer whose bytes are much work: thousands of tiny fragments, say."""
        if spent > PATIENCE:
            self._room = max(LEAST_READ, min(self._room // 2, int(self._room * PATIENCE / spent)))
            self._forgiven = min(NEVER_FORGIVEN, max(FORGIVEN, self._forgiven * 2))
            self._quick = 0
        elif count == self._room < len(self._buffer):
            self._quick += 1
            if self._quick >= self._forgiven:
                self._room = min(len(self._buffer), self._room * 2)
                self._quick = 0

    def _acknowledge(self, option: int) -> None:
        """A peer with Nagle on waits for our ACK before it sends the rest of a message."""
        if self._closed:
            return
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, option, 1)
        except OSError:  # not every kernel that has a name for it has it
            return

    def _watch(self) -> None:
        """Has the loop call `_readable`, through an object whose end tells that the loop has dropped it.

        A reset behind a peer's last bytes makes libuv stop watching. uvloop then calls the reader once more,
        which sees the bytes, and drops it without a word.
        """
        readable = partial(self._readable)
        self._watched = weakref.ref(readable, self._dropped)
        self._loop.add_reader(self._socket, readable)

    def _dropped(self, _watched: weakref.ref[partial[None]]) -> None:
        self._loop.call_soon(self._watch_again)

    def _watch_again(self) -> None:
        if self._reading:
            self.read(wanted=False)
            self.read(wanted=True)

    def _writable(self) -> None:
        piece = self._queue[0]
        try:
            sent = self._socket.send(piece)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        self.unsent -= sent
        if sent < len(piece):
            self._queue[0] = piece[sent:]
        else:
            self._queue.popleft()
            if not self._queue:
                self._loop.remove_writer(self._socket)
        self._owner.written(self)

    def _fail(self, error: OSError) -> None:
        """Reports later: whoever writes is in the middle of something."""
        self._loop.call_soon(self._failed, error)

    def _failed(self, error: OSError) -> None:
        """A peer that aborts and closes is heard, although it takes nothing any more."""
        if self._reading:
            self._error = error
            self._readable()
        self._lose(error)

    def _lose(self, error: OSError | None) -> None:
        if self._closed:
            return
        self.close()
        first = self._error or error
        self._owner.connection_lost(self, reason(first) if first else "closed")
