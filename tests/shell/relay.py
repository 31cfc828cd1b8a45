"""A relay in the test's own process and loop, that must leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

from tests.end_to_end.peers import Table, ae, border, rule, toml
from tests.end_to_end.wire import (
    AC,
    CT,
    RELEASE_RP,
    RELEASE_RQ,
    RQ,
    Associate,
    Command,
    Context,
    associate_ac,
    associate_rq,
    message,
    parse_associate,
    release_rp,
    release_rq,
    user_items,
)
from tests.shell.peers import Acceptor, Peer, eventually
from ulproxy.policy.config import load
from ulproxy.relay.effects import End
from ulproxy.shell.server import Server
from ulproxy.shell.session import Session
from ulproxy.shell.transport import Transport

ONE = [Context(1, CT)]
STORE: Command = {2: CT, 0x100: 0x0001, 0x110: 1, 0x700: 0, 0x1000: "1.2.3"}
STORED = message(1, {0x100: 0x8001, 0x120: 1, 0x900: 0})
MATCH: Command = {2: CT, 0x100: 0x8020, 0x120: 1, 0x900: 0xFF00}
LONG_PDUS = user_items(131_072)
REQUEST = associate_rq(ONE, LONG_PDUS, called="FAR_PACS")


def config(port: int, *, reach: str = "127.0.0.1", **tables: Any) -> Table:
    """SCU on network west may do everything with the PACS on network east, which it calls FAR_PACS."""
    aes = [
        ae("SCU", "west", sources=["*"], **tables.pop("scu", {})),
        ae("PACS", "east", alias="FAR_PACS", address=f"{reach}:{port}", **tables.pop("pacs", {})),
    ]
    made = border(aes, [rule(["SCU"], ["PACS"])], **tables)
    made["listener"][1]["bind"] = "127.0.0.1:0"
    return made


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


class Log:
    """The lines of a JSON log."""

    current: ClassVar[Log]

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream
        Log.current = self

    def break_down(self) -> None:
        """Nothing can be written to it any more."""
        self._stream.close()

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """All of them, or those of one event."""
        lines = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [line for line in lines if event in (None, line["event"])]


class Appointment:
    """What a test's clock is to do."""

    def __init__(self, when: float, callback: Callable[..., object], *args: object) -> None:
        self.when = when
        self._callback: Callable[[], object] | None = functools.partial(callback, *args)

    @property
    def due(self) -> bool:
        return self._callback is not None

    def cancel(self) -> None:
        self._callback = None

    def keep(self) -> None:
        callback, self._callback = self._callback, None
        assert callback is not None
        callback()


class Clock:
    """The running loop, but for the relay time passes only when the test says so."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = 1e6
        self._made: list[Appointment] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[..., object], *args: object) -> Any:
        self._made.append(Appointment(self._now + delay, callback, *args))
        return self._made[-1]

    @property
    def due(self) -> list[Appointment]:
        """What is still to come, the next first."""
        return sorted((made for made in self._made if made.due), key=lambda made: made.when)

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due."""
        end = self._now + seconds
        while (due := self.due) and due[0].when <= end + 1e-9:
            self._now = due[0].when
            due[0].keep()
        self._now = end


class WatchedServer(Server):
    """Remembers its sessions, and lives by a clock of the test's."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.clock = Clock()
        self.loop = cast("asyncio.AbstractEventLoop", self.clock)
        self.seen: set[Session] = set()

    def changed(self, session: Session) -> None:
        self.seen.add(session)
        super().changed(session)


@dataclass
class Relay:
    """A relay that serves."""

    server: WatchedServer
    path: Path
    config: Table
    log: Log
    serving: asyncio.Task[None]
    ready: list[str]
    escaped: list[dict[str, Any]] = field(default_factory=list)

    def port(self, network: str = "west") -> int:
        """Where a network is listened for, as the newest ready line has it."""
        line = [line for line in self.ready if line.startswith(f"ready {network} ")][-1]
        return int(line.rpartition(":")[2])

    @property
    def clock(self) -> Clock:
        return self.server.clock

    @property
    def sessions(self) -> set[Session]:
        return self.server._sessions

    @property
    def session(self) -> Session:
        """The only one."""
        (session,) = self.sessions
        return session

    @property
    def admitted(self) -> int:
        return self.server.border.admission.total

    def pass_time(self, seconds: float) -> None:
        """For its timers."""
        self.clock.advance(seconds)

    async def empty(self) -> None:
        """Wait until there is no session."""
        await eventually(lambda: not self.sessions, f"no session is left of {self.sessions}")

    def reload(self, config: Table | str) -> None:
        """A new file and SIGHUP."""
        self.path.write_text(config if isinstance(config, str) else toml(config))
        os.kill(os.getpid(), signal.SIGHUP)

    def assert_nothing_left(self) -> None:
        for session in self.server.seen:
            assert session.over, session.join.__dict__
            assert not session._timers
            assert not session._transports
            assert session._opening == {}
        assert not self.sessions
        assert not self.server._handshakes
        assert self.clock.due == []
        assert self.server._pending.total == 0
        assert self.server._pending._by_source == {}
        assert self.admitted == 0
        for archive in self.server.border.moves._archives.values():
            assert not archive.open
            assert not archive.numbered
        assert not self.escaped, self.escaped


@contextlib.asynccontextmanager
async def relay(directory: Path, config: Table, drain: float | None = 0) -> AsyncIterator[Relay]:
    """Serve; at the end it is told to stop, unless it has been, and nothing of it may be left."""
    before = descriptors()
    path = directory / "relay.toml"
    path.write_text(toml(config))
    loop = asyncio.get_running_loop()
    ready: list[str] = []
    server = WatchedServer(path, load(path), ready.append)
    serving = asyncio.create_task(server.serve(drain))
    running = Relay(server, path, config, Log.current, serving, ready)
    loop.set_exception_handler(lambda _loop, context: running.escaped.append(context))
    others = asyncio.all_tasks() - {running.serving}
    try:
        await eventually(lambda: len(ready) == len(config["listener"]), "the relay listens")
        yield running
    finally:
        if not running.serving.done():
            os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.wait_for(running.serving, 10)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)
    await eventually(lambda: asyncio.all_tasks() <= others, "every task has ended")
    running.assert_nothing_left()
    # a repository of the test's own closes its end a moment later
    await eventually(lambda: descriptors() <= before, "no descriptors are left")


@dataclass
class Pair:
    """An association that stands: both of its peers and the relay's session."""

    client: Peer
    pacs: Peer
    session: Session

    async def store(self, data: bytes) -> None:
        """A C-STORE and its response."""
        whole = message(1, STORE, data)
        await self.client.send(whole)
        assert await self.pacs.exactly(len(whole)) == whole
        await self.pacs.send(STORED)
        assert await self.client.exactly(len(STORED)) == STORED

    async def release(self) -> None:
        """Asked by the client; both connections end."""
        await self.client.send(release_rq())
        await self.pacs.expect(RELEASE_RQ)
        await self.pacs.send(release_rp())
        await self.client.expect(RELEASE_RP)
        self.close()

    def close(self) -> None:
        self.client.close()
        self.pacs.close()

    def ends(self, first: str) -> tuple[Peer, Peer]:
        """This end, "client" or "pacs", and the other one."""
        both = (self.client, self.pacs)
        return both if first == "client" else both[::-1]

    def transport(self, peer: Peer) -> Transport:
        """The relay's connection with this peer."""
        end = End.INBOUND if peer is self.client else End.ONWARD
        return cast("Transport", self.session._transports[end])

    async def find(self) -> None:
        """A C-FIND-RQ: from now on the PACS may send any number of responses."""
        request = message(1, {2: CT, 0x100: 0x20, 0x110: 1, 0x700: 0}, b"what?!")
        await self.client.send(request)
        assert await self.pacs.exactly(len(request)) == request


@contextlib.asynccontextmanager
async def asking(
    running: Relay,
    acceptor: Acceptor,
    receive_buffer: int | None = None,
    source: str = "127.0.0.1",
) -> AsyncIterator[tuple[Peer, Peer, Associate]]:
    """The client has asked, the PACS has read it and not answered yet."""
    with await Peer.connect(running.port(), source, receive_buffer) as client:
        await client.send(REQUEST)
        with await acceptor.accept() as pacs:
            yield client, pacs, parse_associate(await pacs.expect(RQ))


@contextlib.asynccontextmanager
async def associated(
    running: Relay,
    acceptor: Acceptor,
    receive_buffer: int | None = None,
    source: str = "127.0.0.1",
) -> AsyncIterator[Pair]:
    before = set(running.sessions)
    async with asking(running, acceptor, receive_buffer, source) as (client, pacs, asked):
        await pacs.send(associate_ac(asked, user=LONG_PDUS))
        await client.expect(AC)
        (session,) = running.sessions - before
        yield Pair(client, pacs, session)


@contextlib.asynccontextmanager
async def serving(
    directory: Path, receive_buffer: int | None = None, drain: float | None = 0, **tables: Any
) -> AsyncIterator[tuple[Relay, Acceptor]]:
    """A relay and the PACS that it calls."""
    with Acceptor(receive_buffer) as acceptor:
        async with relay(directory, config(acceptor.port, **tables), drain) as running:
            yield running, acceptor


@contextlib.asynccontextmanager
async def joined(
    directory: Path, receive_buffer: int | None = None, **tables: Any
) -> AsyncIterator[tuple[Relay, Pair]]:
    """A relay with one association; `receive_buffer` is that of its two peers, in bytes."""
    async with serving(directory, receive_buffer, **tables) as (running, acceptor):
        async with associated(running, acceptor, receive_buffer) as pair:
            if receive_buffer is not None:
                for transport in pair.session._transports.values():
                    cast("Transport", transport)._socket.setsockopt(
                        socket.SOL_SOCKET, socket.SO_SNDBUF, 4096
                    )
            yield running, pair
        await running.empty()
