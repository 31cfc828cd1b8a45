"""The workers as processes: forked, waited for, replaced when they die. What they do is their owner's.

One whose loop does not turn any more serves nobody, and holds what it has: it is killed, so that peers are
told and another one takes its place.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from ulproxy.shell.channel import Channel, socket_pair, unread
from ulproxy.shell.connect import reason
from ulproxy.shell.signs import BEAT, Signs
from ulproxy.watch.log import logger, say, say_on_every_line

# Seconds until one that has died is replaced, the first time and at most.
FIRST_WAIT: Final = 0.1
LONGEST_WAIT: Final = 10.0
# Seconds that one has to live so that the next wait is the first again, not twice the last.
SETTLED: Final = 10.0
# Seconds between two looks at whether they turn. Looks are counted, not seconds: where the supervisor did not
# run, or the machine, nobody else may have.
LOOK: Final = 2 * BEAT
# Looks in a row at one that has not turned: 30 s, which no work takes.
MISSED: Final = 3
# These are for the supervisor, also where a terminal or systemd sends them to all its processes.
_IGNORED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(eq=False)
class Member:
    """A place, from 0 on, and the process that has it now, if there is one.

    `ready`: it has said that it serves; `handed`: how many connections it was given; `wait`: see FIRST_WAIT;
    `turns`: as it was seen last, so often in a row that it has `missed` that many.
    """

    place: int
    process: int = 0
    channel: Channel | None = None
    far: socket.socket | None = None  # the process's own end of the channel
    ready: bool = False
    handed: int = 0
    began: float = 0.0
    wait: float = 0.0
    signs: Signs = field(default_factory=Signs)
    turns: int = 0
    missed: int = 0

    def tell(self, message: bytes, descriptor: int | None = None) -> None:
        """Sends its process something, if there is one."""
        if self.channel is not None:
            self.channel.send(message, descriptor)


Untaken = tuple[bytes, int | None]


class Owner(Protocol):
    """Whose processes they are."""

    def work(self, member: Member, sock: socket.socket) -> None:
        """In the new process: does what it is for; `sock` is its end of the channel."""

    def leave(self) -> None:
        """In the new process: gives up what is the supervisor's alone."""

    def heard(self, member: Member, message: bytes) -> None:
        """Its process says something."""

    def died(self, member: Member, process: int, code: int, untaken: list[Untaken]) -> None:
        """The process that had this number is no more; -9 as a code is signal 9.

        `untaken` is what it was told and had not heard yet.
        """


class Crew:
    """`members` are all places. Where a process is to be forked the loop stops: then call `fork`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner, places: int) -> None:
        self.members = [Member(place) for place in range(places)]
        self.held = False  # nobody is forked now
        self._loop = loop
        self._owner = owner
        self._wanted = list(self.members)
        self._timers: dict[Member, asyncio.TimerHandle] = {}
        self._watching: asyncio.TimerHandle | None = None
        self._log = logger()

    @property
    def alive(self) -> list[Member]:
        """Those that have a process."""
        return [member for member in self.members if member.process]

    @property
    def complete(self) -> bool:
        """Whether all serve."""
        return all(member.ready for member in self.members)

    def connections(self, member: Member) -> int:
        """How many it has, those that it does not know of yet among them."""
        return member.handed - member.signs.ended

    def tell(self, message: bytes, descriptor: int | None = None) -> None:
        """Sends all processes something."""
        for member in self.members:
            member.tell(message, descriptor)

    def kill(self) -> None:
        """For those that do not listen."""
        for member in self.alive:
            say(self._log.error, "worker does not stop", worker=member.process)
            os.kill(member.process, signal.SIGKILL)

    def fork(self) -> None:
        """Makes the processes that are wanted; to be called while the loop does not run."""
        if self._watching is None:
            self._watching = self._loop.call_later(LOOK, self._watch)
        if self._wanted and not self.held:
            _freeze()
        while self._wanted and not self.held:
            member = self._wanted.pop(0)
            try:
                self._fork(member)
            except OSError as error:  # no memory, or too many processes
                say(self._log.error, "cannot make a worker", why=reason(error))
                self.replace(member)

    def replace(self, member: Member) -> None:
        """Another one after a while."""
        settled = self._loop.time() - member.began > SETTLED
        member.wait = FIRST_WAIT if settled else min(2 * member.wait or FIRST_WAIT, LONGEST_WAIT)
        self._timers[member] = self._loop.call_later(member.wait, self._want, member)

    def replace_none(self) -> None:
        """From now on those that die are not replaced."""
        self._wanted.clear()
        for timer in self._timers.values():
            timer.cancel()

    def release(self) -> None:
        """Those that are wanted can be forked now."""
        self.held = False
        if self._wanted:
            self._loop.stop()

    def reap(self) -> None:
        """To be called on SIGCHLD: looks who has died."""
        for member in self.alive:
            process, status = os.waitpid(member.process, os.WNOHANG)
            if process:
                self._bury(member, os.waitstatus_to_exitcode(status))

    def close(self) -> None:
        """They are told nothing any more, whereupon they end."""
        for member in self.members:
            if member.channel is not None:
                member.channel.close()
            if member.far is not None:
                member.far.close()

    def _watch(self) -> None:
        """Whether they turn."""
        self._watching = self._loop.call_later(LOOK, self._watch)
        for member in self.alive:
            turns = member.signs.turns
            member.missed = member.missed + 1 if turns == member.turns else 0
            member.turns = turns
            if member.missed >= MISSED:
                member.missed = 0
                say(self._log.error, "worker hangs", worker=member.process, seconds=MISSED * LOOK)
                os.kill(member.process, signal.SIGKILL)

    def _want(self, member: Member) -> None:
        self._wanted.append(member)
        self._loop.stop()

    def _fork(self, member: Member) -> None:
        member.began = self._loop.time()
        member.handed = member.turns = member.missed = 0
        member.signs.clear()
        near, far = socket_pair()
        # One for us that came between fork and `_become` would be taken for one of the supervisor's.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _IGNORED)
        try:
            process = os.fork()
            if not process:
                self._become(member, near, far, before)
        except OSError:
            near.close()
            far.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        member.process, member.far = process, far
        member.channel = Channel(
            self._loop,
            near,
            lambda message, _descriptor: self._owner.heard(member, message),
            lambda: None,  # SIGCHLD will tell
        )

    def _become(
        self, member: Member, near: socket.socket, far: socket.socket, mask: Iterable[int]
    ) -> None:
        """The new process; it does not return."""
        code = 1
        try:
            near.close()
            self.close()
            self._owner.leave()
            for number in _IGNORED:
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            say_on_every_line(worker=os.getpid())
            self._owner.work(member, far)
            code = 0
        except Exception:  # whatever it is, it must not become a second supervisor
            say(self._log.exception, "internal error")
        finally:
            os._exit(code)

    def _bury(self, member: Member, code: int) -> None:
        process, untaken = member.process, list[Untaken]()
        if member.far is not None:  # before its other end is closed, which might reset it
            untaken = list(unread(member.far))
            member.far.close()
        if member.channel is not None:
            member.channel.close()
        member.process, member.channel, member.far, member.ready = 0, None, None, False
        self._owner.died(member, process, code, untaken)


def _freeze() -> None:
    """What there is by now, processes leave alone that are forked, so that they share its memory.

    Each of them would look through all of it for garbage, and thereby write to it: 24 MiB a process, not 6.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
