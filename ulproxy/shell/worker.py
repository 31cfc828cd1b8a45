"""One of several processes that serve: it is handed connections, and told what to do, by its supervisor.

Reload in two steps, so that all workers take over a configuration or none: each prepares what the supervisor
has read and says whether it could; then all are told to go on with it, or not to.
"""

from __future__ import annotations

import mmap
import os
import pickle
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from ulproxy.errors import ConfigError
from ulproxy.policy.model import Config
from ulproxy.policy.rules import Policy
from ulproxy.shell.channel import MAX_MESSAGE, Channel
from ulproxy.shell.handshake import Handshake
from ulproxy.shell.metrics import Showing
from ulproxy.shell.session import Session
from ulproxy.shell.sessions import Company, Sessions
from ulproxy.shell.signs import BEAT, Signs
from ulproxy.shell.state import State
from ulproxy.shell.tls import Contexts
from ulproxy.watch.log import logger, say

# What a worker is told, each followed by its argument as text:
CONNECTION: Final = b"c"  # the index of its listener; with the socket
PREPARE: Final = b"p"  # the number of the reload; with a file that has the configuration
COMMIT: Final = b"y"  # 1 = this worker reports it to the audit trail
ABANDON: Final = b"n"  # why; empty = another worker reports it
CLEAR: Final = b"d"  # a worker has died
STOP: Final = b"s"  # open associations finish
HURRY: Final = b"h"  # they do not
# What it says:
READY: Final = b"r"
PREPARED: Final = b"P"  # the number of the reload
UNPREPARED: Final = b"U"  # the same and, behind a space, why


@dataclass(frozen=True)
class Task:
    """What a worker is made for; `reports`: it says in the audit trail that the relay begins its work."""

    path: Path
    policy: Policy
    tls: Contexts
    company: Company
    drain: float | None
    reports: bool
    show: Callable[[bytes], None] = lambda _numbers: None  # to the supervisor


class _Prepared(NamedTuple):
    config: Config
    tls: Contexts


class Worker(Sessions):
    """Serves what it is handed until it is told to stop, or its supervisor is no more.

    `signs` has how many of its connections are over, and whether its loop turns.
    """

    def __init__(self, task: Task, state: State, signs: Signs) -> None:
        super().__init__(task.path, task.policy, state, task.tls, task.company)
        self._task = task
        self._state = state
        self._signs = signs
        self._taken = 0
        self._prepared: _Prepared | None = None
        self._log = logger()
        self._showing = Showing(self.loop, self.sample, task.show)

    async def serve(self, sock: socket.socket) -> None:
        """`sock` is this worker's end of its channel."""
        self.audit.start(self._task.policy.config, reports=self._task.reports)
        self._channel = Channel(self.loop, sock, self._told, self._abandoned)
        self._turn()
        self._channel.send(READY)
        self._show()
        await self._stopping.wait()
        await self._drain(self._task.drain)
        self.audit.close(reports=False)
        self._turning.cancel()
        self._showing.stop()
        self._channel.close()

    def _show(self) -> None:
        if self.border.tally is None:
            self._showing.stop()
        else:
            self._showing.start()

    def changed(self, session: Session) -> None:
        """See `Sessions`."""
        super().changed(session)
        self._count()

    def failed(self, handshake: Handshake) -> None:
        """See `Sessions`."""
        super().failed(handshake)
        self._count()

    def _count(self) -> None:
        self._signs.ended = self._taken - len(self._sessions) - len(self._handshakes)

    def _turn(self) -> None:
        self._signs.turn()
        self._turning = self.loop.call_later(BEAT, self._turn)

    def _abandoned(self) -> None:
        """There is no supervisor any more."""
        say(self._log.error, "stopping", why="the supervisor is gone")
        self._stopping.set()
        self._hurry.set()

    def _told(self, message: bytes, descriptor: int | None) -> None:
        kind, argument = message[:1], message[1:].decode()
        if kind == CONNECTION:
            self._take(int(argument), descriptor)
        elif kind == PREPARE and descriptor is not None:
            self._prepare(argument, descriptor)
        elif kind == COMMIT:
            self._commit(reports=bool(argument))
        elif kind == ABANDON:
            self._prepared = None
            if argument:
                self.audit.refuse_reload(argument)
        elif kind == CLEAR:
            self._state.clear()
        elif kind == STOP:
            self._stopping.set()
        elif kind == HURRY:
            self._hurry.set()

    def _take(self, index: int, descriptor: int | None) -> None:
        self._taken += 1
        if descriptor is None:  # the kernel has closed it
            say(self._log.error, "cannot accept", why="no descriptor is left")
        else:
            listener = self.border.policy.config.listeners[index]
            self._accepted(socket.socket(fileno=descriptor), listener)
        self._count()

    def _prepare(self, number: str, descriptor: int) -> None:
        try:
            # Of our own supervisor, which is the same program.
            with os.fdopen(descriptor, "rb") as file:
                config: Config = pickle.loads(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))  # noqa: S301
            self._prepared = _Prepared(config, Contexts(config))
        except (ConfigError, OSError) as error:
            answer = f"{number} {error}".encode()
            self._channel.send(UNPREPARED + answer[: MAX_MESSAGE - 1])
        else:
            self._channel.send(PREPARED + number.encode())

    def _commit(self, *, reports: bool) -> None:
        if self._prepared is not None:
            config, tls = self._prepared
            self._prepared = None
            self.audit.reload(config, reports=reports)
            self._apply(config, tls)
            self._show()
