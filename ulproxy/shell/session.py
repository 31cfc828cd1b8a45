"""One relayed association on its two sockets: feeds the join, executes its effects, arms its timers.

Nothing is decided here, but when to read: an end is not read while the other has not taken what came of it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import Final, ParamSpec, Protocol

from ulproxy.policy.decision import Peer
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import Limits
from ulproxy.relay.border import Border
from ulproxy.relay.effects import (
    CloseTransport,
    Effect,
    End,
    OpenTransport,
    Operation,
    Record,
    SendData,
    StartTimer,
    StopTimer,
    Timer,
)
from ulproxy.relay.join import Join
from ulproxy.shell.arrival import Arrival
from ulproxy.shell.audit import Audit
from ulproxy.shell.connect import connect, reason
from ulproxy.shell.secure import Secure
from ulproxy.shell.tls import Contexts, server_name
from ulproxy.shell.transport import Link, Transport
from ulproxy.watch.log import say

P = ParamSpec("P")
# Answers of the relay's own pile up only for a peer that asks and does not read: then it is not read either.
MAX_UNSENT: Final = 1 << 20
PATIENCE: Final = 1.0  # seconds that the slowest of several AEs may keep the caller waiting
_SECONDS: Final[dict[Timer, Callable[[Limits], float]]] = {
    Timer.ARTIM: attrgetter("artim"),
    Timer.RELEASE: attrgetter("artim"),
    Timer.CONNECT: attrgetter("connect"),
    Timer.PATIENCE: lambda limits: min(PATIENCE, limits.connect),
    Timer.IDLE: attrgetter("idle"),
    Timer.WRITE: attrgetter("write"),
}


class House(Protocol):
    """What a session needs of the server that it lives in."""

    loop: asyncio.AbstractEventLoop
    border: Border
    buffer: memoryview
    tls: Contexts
    audit: Audit

    def changed(self, session: Session) -> None:
        """The session may have asked for an association, or be over."""


class Session:
    """An accepted connection, until both ends are closed."""

    def __init__(
        self,
        house: House,
        arrival: Arrival,
        inbound: socket.socket | Secure,
        certificate: frozenset[str] | None = None,
    ) -> None:
        """`certificate` as in `Peer`; raises OSError if the connection is gone already."""
        self._house = house
        self._loop = house.loop
        self.source = arrival.source
        self.join = Join(house.border, Peer(arrival.network, arrival.address, certificate))
        self._began = arrival.began
        self._log = arrival.log
        self._origin = arrival.origin
        self._transports: dict[End, Link] = {End.INBOUND: self._inbound(inbound)}
        self._securing: dict[End, Endpoint] = {}  # onward, while the TLS handshake goes on
        self._timers: dict[tuple[End, Timer], asyncio.TimerHandle] = {}
        self._opening: dict[End, asyncio.Future[socket.socket]] = {}
        self._last_read = self._loop.time()
        self._last_write = {End.INBOUND: self._last_read}
        self._used = self._last_read - self._began  # of ARTIM, by the TLS handshake
        self._all_read = False  # whether every end is being read
        self.broken = False

    @property
    def over(self) -> bool:
        """Whether both ends are closed."""
        return self.broken or self.join.finished

    @property
    def _limits(self) -> Limits:
        return self._house.border.policy.config.limits

    def start(self) -> None:
        """Serves the connection from now on."""
        self._run(self.join.accepted)

    def shutdown(self, text: str) -> None:
        """Ends it, saying why in the log."""
        self._run(self.join.shutdown, text)

    def moves_ended(self) -> None:
        """A C-MOVE that it waits for may be over."""
        self._run(self.join.moves_ended)

    # What the transports report

    def secured(self, link: Secure) -> None:
        """The TLS handshake with an AE is done."""
        end = self._end(link)
        del self._securing[end]
        self._run(self.join.connected, end)

    def data_received(self, link: Link, data: memoryview) -> bool:
        """Bytes came from one of the ends; whether more may come before it is answered."""
        self._last_read = self._loop.time()
        end = self._end(link)
        self._run(self.join.receive_data, end, data)
        return self.join.awaits_more(end)

    def written(self, link: Link) -> None:
        """One of the ends took what had been waiting."""
        self._last_write[self._end(link)] = self._loop.time()
        self._balance()

    def connection_lost(self, link: Link, text: str) -> None:
        """One of the ends is gone."""
        end = self._end(link)
        del self._transports[end]
        if (endpoint := self._securing.pop(end, None)) is not None:
            self._lost(end, f"{endpoint}: {text}")
        else:
            self._lost(end, f"connection of the {end.name.lower()} end lost: {text}")

    def _lost(self, end: End, text: str) -> None:
        self._stop_timers(end)
        self._run(self.join.lost, end, text)

    def _run(self, happened: Callable[P, list[Effect]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Tells the join what happened and does what it asks for.

        A bug of ours that a peer has found ends its own association and no other.
        """
        quiet = False
        try:
            quiet = self._execute(happened(*args, **kwargs))
            self._balance()
        except Exception:
            self._tear_down()
            say(self._log.exception, "internal error")
        if not quiet or self._house.border.moves.stirred:
            self._house.changed(self)

    def _tear_down(self) -> None:
        self.broken = True
        for end in (*self._transports, *self._opening):
            self._close(end)
        with suppress(Exception):
            for effect in self.join.abandon():
                self._perform(effect)

    # What the join asks for

    def _execute(self, effects: list[Effect]) -> bool:
        """Whether it was quiet: nothing but data went on, so nobody has anything to count."""
        quiet = bool(effects)
        unsent: list[bytes | memoryview] = []
        to = End.INBOUND
        for effect in effects:
            if isinstance(effect, SendData):
                if unsent and effect.end is not to:
                    self._write(to, unsent)
                    unsent = []
                to = effect.end
                unsent.append(effect.data)
                continue
            if unsent:
                self._write(to, unsent)
                unsent = []
            self._perform(effect)
            quiet = False
        if unsent:
            self._write(to, unsent)
        return quiet

    def _perform(self, effect: Effect) -> None:
        match effect:
            case OpenTransport():
                self._open(effect)
            case CloseTransport(end):
                self._close(end)
            case StartTimer(end, timer):
                self._start_timer(end, timer)
            case StopTimer(end, timer):
                self._stop_timer(end, timer)
            case Record():
                self._record(effect)
            case Operation():
                self._house.audit.operation(self._origin, effect)
            case _:
                raise AssertionError(effect)

    def _write(self, end: End, data: list[bytes | memoryview]) -> None:
        transport = self._transports.get(end)
        if transport is None:
            return
        was_waiting = transport.unsent
        transport.write(data)
        if transport.unsent and not was_waiting:
            self._last_write[end] = self._loop.time()
            self._start_timer(end, Timer.WRITE)

    def _balance(self) -> None:
        """Reads each end only as far as the others take what comes, and while nothing of it is held."""
        join, transports = self.join, self._transports
        if self._all_read and not join.holds:
            for transport in transports.values():
                if transport.unsent:
                    break
            else:
                return
        waiting = [end for end, transport in transports.items() if transport.unsent]
        self._all_read = True
        for end, transport in transports.items():
            if end is End.INBOUND:
                blocked = any(other is not end for other in waiting)
            else:
                blocked = End.INBOUND in waiting
            wanted = (
                not (blocked and not join.ended)
                and transport.unsent < MAX_UNSENT
                and not join.on_hold(end)
            )
            self._all_read = self._all_read and wanted
            transport.read(wanted=wanted)

    def _open(self, wanted: OpenTransport) -> None:
        context = None
        try:
            if wanted.tls is not None:  # a file of it may be gone: then nobody is called
                context = self._house.tls.calling(wanted.tls)
            opening = connect(self._loop, wanted.endpoint, self._limits.connect)
        except OSError as error:
            opening = self._loop.create_future()
            opening.set_exception(error)
        self._opening[wanted.end] = opening
        opening.add_done_callback(partial(self._opened, wanted, context))

    def _opened(
        self,
        wanted: OpenTransport,
        context: ssl.SSLContext | None,
        opening: asyncio.Future[socket.socket],
    ) -> None:
        end = wanted.end
        if self._opening.get(end) is not opening:  # closed meanwhile
            if not opening.cancelled() and opening.exception() is None:
                opening.result().close()
            return
        del self._opening[end]
        try:
            self._transports[end] = self._onward(opening.result(), wanted.endpoint, context)
        except OSError as error:
            self._lost(end, f"{wanted.endpoint}: {reason(error)}")
            return
        self._all_read = False
        self._last_write[end] = self._loop.time()
        if context is None:
            self._run(self.join.connected, end)
        else:
            self._securing[end] = wanted.endpoint

    def _inbound(self, inbound: socket.socket | Secure) -> Link:
        if isinstance(inbound, Secure):
            inbound.owner = self
            return inbound
        return Transport(self._loop, inbound, self._house.buffer, self)

    def _onward(
        self, sock: socket.socket, endpoint: Endpoint, context: ssl.SSLContext | None
    ) -> Link:
        try:
            if context is None:
                return Transport(self._loop, sock, self._house.buffer, self)
            host = server_name(endpoint.host)
            return Secure(self._loop, sock, self._house.buffer, self, context, host)
        except OSError:  # reset before we looked
            sock.close()
            raise

    def _close(self, end: End) -> None:
        self._stop_timers(end)
        if (opening := self._opening.pop(end, None)) is not None:
            opening.cancel()
        self._securing.pop(end, None)
        transport = self._transports.pop(end, None)
        if transport is not None:
            transport.close()

    def _record(self, record: Record) -> None:
        event, facts, warning = record.event, record.facts, record.warning
        if event.endswith((" ended", " rejected")):
            facts = {**facts, "seconds": round(self._loop.time() - self._began, 3)}
            record = Record(event, facts, warning)
        say(self._log.warning if warning else self._log.info, event, **facts)
        self._house.audit.record(self._origin, record)

    # Timers

    def _start_timer(self, end: End, timer: Timer) -> None:
        seconds = _SECONDS[timer](self._limits)
        if timer is Timer.ARTIM:
            seconds, self._used = max(0.0, seconds - self._used), 0.0
        self._stop_timer(end, timer)
        self._timers[end, timer] = self._loop.call_later(
            seconds, self._timer_fired, end, timer, seconds
        )

    def _timer_fired(self, end: End, timer: Timer, seconds: float) -> None:
        del self._timers[end, timer]
        if timer is Timer.WRITE:
            transport = self._transports.get(end)
            if transport is None or not transport.unsent:
                return
        if timer in (Timer.IDLE, Timer.WRITE):
            # Bytes restart them, which is cheaper to look up now than to do each time.
            last = self._last_write[end]
            if timer is Timer.IDLE:
                last = max(self._last_read, *self._last_write.values())
            left = last + seconds - self._loop.time()
            if left > 0:
                self._timers[end, timer] = self._loop.call_later(
                    left, self._timer_fired, end, timer, seconds
                )
                return
        self._run(self.join.expired, end, timer)

    def _stop_timer(self, end: End, timer: Timer) -> None:
        handle = self._timers.pop((end, timer), None)
        if handle is not None:
            handle.cancel()

    def _stop_timers(self, end: End) -> None:
        for key in [key for key in self._timers if key[0] is end]:
            self._stop_timer(*key)

    def _end(self, link: Link) -> End:
        for end, one in self._transports.items():
            if one is link:
                return end
        raise AssertionError(link)
