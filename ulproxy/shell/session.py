"""One relayed association on its two sockets: feeds the join, executes its effects, arms its timers.

Nothing is decided here, but when to read: an end is not read while the other has not taken what came of it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
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
    Record,
    SendData,
    StartTimer,
    StopTimer,
    Timer,
)
from ulproxy.relay.join import Join
from ulproxy.shell.connect import connect, reason
from ulproxy.shell.transport import Transport
from ulproxy.watch.log import logger

P = ParamSpec("P")
# Answers of the relay's own pile up only for a peer that asks and does not read: then it is not read either.
MAX_UNSENT: Final = 1 << 20


def say(log: Callable[..., object], event: str, **facts: object) -> None:
    """Logs; a log that cannot be written to is no reason to do anything else differently."""
    with suppress(OSError, ValueError):
        log(event, **facts)


class House(Protocol):
    """What a session needs of the server that it lives in."""

    loop: asyncio.AbstractEventLoop
    border: Border
    buffer: memoryview

    def changed(self, session: Session) -> None:
        """The session may have asked for an association, or be over."""


class Session:
    """An accepted connection, until both ends are closed."""

    def __init__(self, house: House, sock: socket.socket, network: str) -> None:
        self._house = house
        self._loop = house.loop
        host, port = sock.getpeername()[:2]
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        self.source = str(address)
        self.join = Join(house.border, Peer(network, address))
        self._began = self._loop.time()
        self._log = logger(id=secrets.token_hex(4), network=network, peer=f"{host}:{port}")
        self._transports = {End.INBOUND: self._transport(sock)}
        self._timers: dict[tuple[End, Timer], asyncio.TimerHandle] = {}
        self._opening: asyncio.Task[None] | None = None
        self._last_read = self._began
        self._last_write = dict.fromkeys((End.INBOUND, End.ONWARD), self._began)
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

    # What the transports report

    def data_received(self, transport: Transport, data: memoryview) -> None:
        """Bytes came from one of the ends."""
        self._last_read = self._loop.time()
        self._run(self.join.receive_data, self._end(transport), data)

    def written(self, transport: Transport) -> None:
        """One of the ends took what had been waiting."""
        self._last_write[self._end(transport)] = self._loop.time()
        self._balance()

    def connection_lost(self, transport: Transport, text: str) -> None:
        """One of the ends is gone."""
        end = self._end(transport)
        del self._transports[end]
        self._lost(end, f"connection of the {end.name.lower()} end lost: {text}")

    def _lost(self, end: End, text: str) -> None:
        self._stop_timers(end)
        self._run(self.join.lost, end, text)

    def _run(self, happened: Callable[P, list[Effect]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Tells the join what happened and does what it asks for.

        A bug of ours that a peer has found ends its own association and no other.
        """
        try:
            self._execute(happened(*args, **kwargs))
            self._balance()
        except Exception:
            self._tear_down()
            say(self._log.exception, "internal error")
        self._house.changed(self)

    def _tear_down(self) -> None:
        self.broken = True
        for end in (End.INBOUND, End.ONWARD):
            self._close(end)
            with suppress(Exception):
                for effect in self.join.lost(end, "internal error"):
                    if isinstance(effect, Record):
                        self._record(effect)

    # What the join asks for

    def _execute(self, effects: list[Effect]) -> None:
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
        if unsent:
            self._write(to, unsent)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case OpenTransport(endpoint=endpoint):
                self._opening = self._loop.create_task(self._open(endpoint))
            case CloseTransport(end):
                self._close(end)
            case StartTimer(end, timer):
                self._start_timer(end, timer)
            case StopTimer(end, timer):
                self._stop_timer(end, timer)
            case Record():
                self._record(effect)
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
        """Reads each end only as far as the other one takes what comes."""
        inbound, onward = self._transports.get(End.INBOUND), self._transports.get(End.ONWARD)
        for transport, other in ((inbound, onward), (onward, inbound)):
            if transport is not None:
                blocked = other is not None and other.unsent and not self.join.ended
                transport.read(wanted=not blocked and transport.unsent < MAX_UNSENT)

    async def _open(self, endpoint: Endpoint) -> None:
        try:
            sock = await connect(self._loop, endpoint, self._limits.connect)
            self._transports[End.ONWARD] = self._transport(sock)
        except OSError as error:
            self._opening = None
            self._lost(End.ONWARD, f"{endpoint}: {reason(error)}")
            return
        self._opening = None
        self._run(self.join.connected)

    def _transport(self, sock: socket.socket) -> Transport:
        try:
            return Transport(self._loop, sock, self._house.buffer, self)
        except OSError:  # reset before we looked
            sock.close()
            raise

    def _close(self, end: End) -> None:
        self._stop_timers(end)
        if end is End.ONWARD and self._opening is not None:
            self._opening.cancel()
            self._opening = None
        transport = self._transports.pop(end, None)
        if transport is not None:
            transport.close()

    def _record(self, record: Record) -> None:
        facts = record.facts
        if record.event.endswith(" ended"):
            facts = {**facts, "seconds": round(self._loop.time() - self._began, 3)}
        say(self._log.warning if record.warning else self._log.info, record.event, **facts)

    # Timers

    def _start_timer(self, end: End, timer: Timer) -> None:
        limits = self._limits
        seconds = {
            Timer.ARTIM: limits.artim,
            Timer.RELEASE: limits.artim,
            Timer.CONNECT: limits.connect,
            Timer.IDLE: limits.idle,
            Timer.WRITE: limits.write,
        }[timer]
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
        for timer in Timer:
            self._stop_timer(end, timer)

    def _end(self, transport: Transport) -> End:
        return End.INBOUND if self._transports.get(End.INBOUND) is transport else End.ONWARD
