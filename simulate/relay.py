"""The relay as it is, from its sessions to its sockets, and what must hold of it after each step.

`House` is the real `Sessions`, `Watched` the real `Session`; neither does anything else than it would.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import _set_running_loop as set_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, ParamSpec, cast
from unittest.mock import patch

import structlog

from simulate.border import Version
from simulate.ledger import BrokenError
from simulate.network import Socket
from simulate.scene import CONFIGURED, Scene
from ulproxy.pdu.fsm import State
from ulproxy.policy.model import Limits
from ulproxy.policy.rules import Policy
from ulproxy.relay.effects import (
    CloseTransport,
    Effect,
    End,
    OpenTransport,
    SendData,
    StartTimer,
    Timer,
)
from ulproxy.shell.session import Session
from ulproxy.shell.sessions import Sessions
from ulproxy.shell.transport import Link

P = ParamSpec("P")
ARTIM: Final = (State.Sta2, State.Sta13)
MAX_WAITING: Final = 256  # messages of the relay's own that wait for their turn
# What one read may lead to: of a peer's tiny PDVs each gets a PDU of its own; and a held data set.
WIDENED: Final = 4
HELD: Final = 4096


class Watched(Session):
    """A session, and what it has been asked to do."""

    def _run(self, happened: Callable[P, list[Effect]], *args: P.args, **kwargs: P.kwargs) -> None:
        house = cast("House", self._house)
        super()._run(happened, *args, **kwargs)
        if house.scene.loop.error is None:
            self._check(house)

    def _execute(self, effects: list[Effect]) -> bool:
        """Nothing is asked of an end that is closed, or was before."""
        house = cast("House", self._house)
        standing = {*self._transports, *self._opening}
        for effect in effects:
            match effect:
                case SendData(end) | StartTimer(end):
                    if end not in standing:
                        house.fault(f"{effect} after its end was closed")
                case OpenTransport():
                    if effect.end in standing:
                        house.fault(f"opened twice: {effect.end}")
                    standing.add(effect.end)
                case CloseTransport(end):
                    if end not in standing:
                        house.fault(f"closed twice: {end}")
                    standing.discard(end)
                case _:
                    pass
        return super()._execute(effects)

    def data_received(self, link: Link, data: memoryview) -> bool:
        """Who looks at a read afterwards sees something else."""
        more = super().data_received(link, data)
        data[:] = b"\xee" * len(data)
        return more

    def _check(self, house: House) -> None:
        join, transports = self.join, self._transports
        if self.broken:
            house.fault("internal error: " + house.said())
            return
        for end, timer in self._timers:
            if end not in transports and end not in self._opening:
                house.fault(f"{timer} runs for a closed end: {end}")
        if join.finished != (not transports and not self._opening):
            house.fault("finished and not closed, or the reverse")
        for end, link in transports.items():
            if link.unsent > house.bound:
                house.fault(f"{link.unsent} bytes are kept for {end}")
            side = join._ends.side(end)  # noqa: SLF001 (the watcher looks inside)
            if ((end, Timer.ARTIM) in self._timers) != (side.association.state in ARTIM):
                house.fault(f"ARTIM of {end} in {side.association.state}")
            if len(side.association._unread) > house.buffer.nbytes:  # noqa: SLF001
                house.fault(f"{end} is on hold, and read")
            if len(side.waiting) > MAX_WAITING:
                house.fault(f"{len(side.waiting)} messages wait for {end}")

    def fire(self, scene: Scene) -> None:
        """A timer that runs out now, whenever it would have."""
        running = [key for key in self._timers if key[0] in self._transports]
        if not running:
            return
        end, timer = scene.chance.choice(running)
        scene.covered[f"{timer.name} fires"] += 1
        scene.trace("the relay", "is told", f"{timer.name} of {end} ran out")
        self._timers[end, timer].cancel()
        self._timer_fired(end, timer, -1e9)

    @property
    def overdue(self) -> bool:
        """Whether a peer has refused to read for longer than it may; who is told so has until ARTIM ends."""
        least = self._loop.time() - self._limits.write
        return any(
            link.unsent and self._last_write[end] < least and not self._runs(end, Timer.ARTIM)
            for end, link in self._transports.items()
        )

    def _runs(self, end: End, timer: Timer) -> bool:
        return (end, timer) in self._timers

    @property
    def idle(self) -> bool:
        """Whether nothing of it is left."""
        return not (self._timers or self._transports or self._opening or self._securing)


class Ordered(dict[Any, None]):
    """A set whose order is that in which its members came."""

    def add(self, one: object) -> None:
        self[one] = None

    def remove(self, one: object) -> None:
        del self[one]


class House(Sessions):
    """The relay's process; all sessions that it has ever had."""

    def __init__(self, scene: Scene, version: Version, limits: Limits, bound: int) -> None:
        silent = [name for name, how in scene.naming.items() if how == CONFIGURED]
        policy = Policy(version.configuration(limits, silent))
        super().__init__(Path("simulated.toml"), policy)
        self._silent = silent
        self._limits = limits
        self.scene = scene
        self.bound = bound
        self.ever: list[Watched] = []
        self.logged: list[dict[str, Any]] = []
        self._sessions = cast("set[Session]", Ordered())  # a replay has them in the same order

    def fault(self, text: str) -> None:
        """Something does not hold: nothing else happens, and no association is blamed for it."""
        if self.scene.loop.error is None:
            self.scene.loop.error = BrokenError(text)

    def said(self) -> str:
        """The last line of the log."""
        return str(self.logged[-1].get("exception", self.logged[-1])) if self.logged else ""

    def knock(self, sock: Socket, network: str) -> Watched:
        """Somebody has connected to the listener of this network; who serves it."""
        listeners = self.border.policy.config.listeners
        (listener,) = (one for one in listeners if one.network == network)
        self._accepted(cast("socket.socket", sock), listener)
        return self.ever[-1]

    def _begin(self, session: Session) -> None:
        assert isinstance(session, Watched)
        self.ever.append(session)
        super()._begin(session)

    def changed(self, session: Session) -> None:
        """Counts what is open by itself."""
        super().changed(session)
        pending = sum(one.join.pending for one in self._sessions)
        if self._pending.total != pending:
            self.fault(f"{pending} connections are pending, and {self._pending.total} counted")
        total, most = self.border.admission.total, self._limits.associations
        standing = sum(one.join.asked and not one.join.ended for one in self._sessions)
        if total != standing or total > most:
            self.fault(f"{standing} associations stand, {total} are counted, {most} may be")
        waiting = sum(one.join.waits for one in self._sessions)
        if self.border.moves.waiting != waiting:
            self.fault(f"{waiting} wait for a move, and {self.border.moves.waiting} are counted")

    @property
    def stops(self) -> bool:
        """Whether it listens no more."""
        return self._stopping.is_set()

    def reload(self, version: Version) -> None:
        """New rules; what they revoke ends now, if they say so, and nothing else does."""
        open_before = [one for one in self._sessions if not one.join.ended]
        self.scene.version = version
        self.scene.trace("the relay", "reloads", f"version {version.number}")
        self._apply(version.configuration(self._limits, self._silent), self.tls)
        self.scene.covered["reloads"] += 1
        for session in open_before:
            if session.join.ended and not version.revokes:
                self.fault("a reload that revokes nothing has ended an association")
            self.scene.covered["revoked"] += session.join.ended

    def stop(self, seconds: float) -> None:
        """SIGTERM."""
        self._stopping.set()
        self.scene.trace("the relay", "drains", f"{seconds} s")
        self.loop.create_task(self._drain(seconds))

    def expire_one(self) -> None:
        """The worst moment for a timer is any."""
        sessions = [one for one in self.ever if not one.over]
        if sessions:
            self.scene.chance.choice(sessions).fire(self.scene)

    def look(self) -> None:
        """Somebody may refuse to read, and should have been aborted for it by now."""
        for session in self.ever:
            if session.overdue:
                self.fault("who does not read is not aborted")

    @property
    def left(self) -> list[str]:
        """What should be gone when all is over."""
        border = self.border
        counts = cast("Any", border.admission._counts)._count  # noqa: SLF001 (as above)
        archives = border.moves._archives.values()  # noqa: SLF001
        found = {
            "sessions": len(self._sessions),
            "pending": self._pending.total,
            "associations": border.admission.total,
            "counts": counts,
            "moves": sum(len(one.open) for one in archives),
            "numbers of moves": sum(len(one.numbered) for one in archives),
            "attendances": sum(len(one.attendances) for one in archives),
            "waiting": border.moves.waiting,
            "looking": self._looking,
            "sessions with something": sum(not one.idle for one in self.ever),
        }
        return [f"{name}: {what}" for name, what in found.items() if what]


class _Paced:
    """A clock for the time that reads take: drawn, as everything is."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._now = 0.0

    def thread_time(self) -> float:
        self._now += self._scene.chance.choice((0.0, 0.0, 0.001, 0.02))
        return self._now


@contextmanager
def simulated(scene: Scene) -> Iterator[Callable[[Version, Limits], House]]:
    """The relay's modules find the scene where the world would be; what makes a house there."""
    chance = scene.chance
    buffer, unsent = chance.choice((64, 700, 4096, 1 << 16)), chance.choice((256, 2048, 1 << 16))
    sockets = SimpleNamespace(
        socket=lambda *_: Socket(scene.loop, scene.network),
        SOCK_STREAM=socket.SOCK_STREAM,
        SOL_SOCKET=socket.SOL_SOCKET,
        SO_ERROR=socket.SO_ERROR,
        AF_INET=socket.AF_INET,
        AF_INET6=socket.AF_INET6,
        gaierror=socket.gaierror,
    )
    lines: list[dict[str, Any]] = []
    logging = structlog.get_config()
    set_running_loop(cast("asyncio.AbstractEventLoop", scene.loop))
    structlog.configure(processors=[structlog.processors.format_exc_info, _kept(lines)])
    try:
        with (
            patch("ulproxy.shell.connect.socket", sockets),
            patch("ulproxy.shell.transport.time", _Paced(scene)),
            patch("ulproxy.shell.sessions.RECEIVE_BUFFER", buffer),
            patch("ulproxy.shell.session.MAX_UNSENT", unsent),
            patch("ulproxy.shell.sessions.Session", Watched),
        ):

            def house(version: Version, limits: Limits) -> House:
                made = House(scene, version, limits, unsent + WIDENED * buffer + HELD)
                made.logged = lines
                return made

            yield house
    finally:
        set_running_loop(None)
        structlog.configure(**logging)


def _kept(lines: list[dict[str, Any]]) -> structlog.typing.Processor:
    def keep(_logger: Any, _name: str, event: structlog.typing.EventDict) -> Any:
        lines.append(dict(event))
        raise structlog.DropEvent

    return keep
