"""What the relay has of a network: sockets that are never ready by themselves, and who can be called."""

from __future__ import annotations

import errno
import os
import random
from asyncio import Handle
from collections.abc import Callable, Sequence
from typing import Any

from simulate.clock import Loop
from simulate.lines import LATENCIES, Line


class Socket:
    """The relay's end. Not connected before `attach`."""

    def __init__(self, loop: Loop, network: Network | None = None) -> None:
        self._loop = loop
        self._network = network
        self._line: Line | None = None
        self._error = 0
        self._ended = False
        self._due = False
        self._state = 0  # of a call: an error number, EISCONN where it has succeeded
        self.closed = False
        self.heard: Callable[[int], None] | None = None  # is told how many bytes have been read

    def attach(self, line: Line) -> None:
        self._line = line
        line.near = self

    def fail(self, error: int) -> None:
        self._error = error
        self.wake()

    def end(self) -> None:
        """The peer says no more."""
        self._ended = True
        self.wake()

    def wake(self) -> None:
        """Has the loop call who watches, if there is a reason."""
        if not self._due and (self._readable() or self._writable()):
            self._due = True
            self._loop.call_later(0, self._ready)

    def _ready(self) -> None:
        self._due = False
        if (handle := self._readable()) is not None:
            handle._run()  # noqa: SLF001 (this is what a loop does with it)
        if (handle := self._writable()) is not None:
            handle._run()  # noqa: SLF001
        self.wake()

    def _readable(self) -> Handle | None:
        line = self._line
        if line is None or self.closed:
            return None
        there = line.inward.here and not line.inward.stalled
        if there or self._error or (self._ended and not line.inward.here):
            return self._loop.readers.get(self)
        return None

    def _writable(self) -> Handle | None:
        line = self._line
        if self.closed:
            return None
        if line is None and self._state != errno.ECONNREFUSED:
            return None
        if line is not None and not (line.outward.room or self._error):
            return None
        return self._loop.writers.get(self)

    # What a socket has

    def recv_into(self, buffer: memoryview, most: int) -> int:
        line = self._connected()
        flow = line.inward
        if flow.here and not flow.stalled:
            data = flow.take(min(most, self._cut(len(flow.here))))
            buffer[: len(data)] = data
            if self.heard is not None:
                self.heard(flow.taken)
            line.far.wake_writer()
            return len(data)
        self._raise()
        if self._ended:
            return 0
        raise BlockingIOError

    def _cut(self, there: int) -> int:
        line = self._connected()
        if line.chance.random() < 0.1:
            return line.chance.randint(1, there)
        return there

    def send(self, data: bytes | memoryview) -> int:
        self._raise()
        sent = self._connected().outward.send(data)
        if not sent:
            raise BlockingIOError
        return sent

    def sendmsg(self, data: Sequence[bytes | memoryview]) -> int:
        return self.send(b"".join(data))

    def _raise(self) -> None:
        if self._error:
            raise OSError(self._error, os.strerror(self._error))

    def _connected(self) -> Line:
        if self.closed or self._line is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._line

    def setsockopt(self, *_: object) -> None:
        self._connected()

    def setblocking(self, _: bool) -> None:
        """It never blocks."""

    def getpeername(self) -> tuple[str, int]:
        return self._connected().address

    def close(self) -> None:
        """As Linux does: what is unread makes it a reset, which overtakes what is in flight, perhaps."""
        if self.closed:
            return
        self.closed = True
        line = self._line
        if line is None or line.dead:
            return
        unread = not line.inward.empty
        if unread and line.chance.random() < 0.5:
            line.reset()
        else:
            why = "reset" if unread else "closed"
            line.outward.end(lambda: line.far.hear_end(why))

    def connect_ex(self, address: tuple[Any, ...]) -> int:
        """Begins to call somebody, or tells how far that is."""
        assert self._network is not None
        if not self._state:
            self._state = errno.EINPROGRESS
            self._network.call(self, address)
        return self._state

    def connected(self, line: Line | None) -> None:
        """Somebody has answered; None = has refused."""
        if line is None:
            self._state = errno.ECONNREFUSED
        else:
            self._state = errno.EISCONN
            self.attach(line)
        self.wake()

    def getsockopt(self, *_: object) -> int:
        """SO_ERROR of who calls."""
        return 0 if self._state == errno.EISCONN else self._state


class Network:
    """Who listens where. `answers` of an address: takes the line, or says what else becomes of it."""

    def __init__(self, loop: Loop, chance: random.Random, *, kind: bool) -> None:
        self.loop = loop
        self.chance = chance
        self.kind = kind
        self.lines: list[Line] = []
        self.answers: dict[str, Callable[[Line], str]] = {}

    def line(self, address: tuple[str, int]) -> Line:
        """A new connection with who is there."""
        line = Line(self.loop, self.chance, address, kind=self.kind)
        self.lines.append(line)
        return line

    def call(self, sock: Socket, address: tuple[Any, ...]) -> None:
        """The relay calls somebody, who may be reached at once."""
        later = self.chance.choice(LATENCIES)
        if later or self.chance.random() < 0.5:
            self.loop.call_later(later, self._reach, sock, address)
        else:
            self._reach(sock, address)

    def _reach(self, sock: Socket, address: tuple[Any, ...]) -> None:
        if sock.closed:
            return
        line = self.line((address[0], address[1]))
        answer = self.answers.get(address[0])
        outcome = answer(line) if answer is not None else "refused"
        if outcome != "silent":
            sock.connected(None if outcome == "refused" else line)

    def heal(self) -> None:
        """All that stand are as they should be."""
        for line in self.lines:
            line.heal()
