"""A relay in the test's own process and loop, that must leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.end_to_end.peers import Table, ae, border, rule, toml
from tests.end_to_end.wire import (
    AC,
    CT,
    RELEASE_RP,
    RELEASE_RQ,
    RQ,
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
from ulproxy.shell.server import Server
from ulproxy.shell.session import Session

ONE = [Context(1, CT)]
STORE: Command = {2: CT, 0x100: 0x0001, 0x110: 1, 0x700: 0, 0x1000: "1.2.3"}
STORED = message(1, {0x100: 0x8001, 0x120: 1, 0x900: 0})
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

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """All of them, or those of one event."""
        lines = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [line for line in lines if event in (None, line["event"])]


class WatchedServer(Server):
    """Remembers its sessions."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.seen: set[Session] = set()

    def changed(self, session: Session) -> None:
        self.seen.add(session)
        super().changed(session)


@dataclass
class Relay:
    """A relay that serves."""

    server: WatchedServer
    path: Path
    serving: asyncio.Task[None]
    ready: list[str]
    escaped: list[dict[str, Any]] = field(default_factory=list)

    def port(self, network: str = "west") -> int:
        """Where a network is listened for, as the newest ready line has it."""
        line = [line for line in self.ready if line.startswith(f"ready {network} ")][-1]
        return int(line.rpartition(":")[2])

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
            assert session._opening is None
        assert not self.sessions
        assert self.server._pending.total == 0
        assert self.server._pending._by_source == {}
        assert self.admitted == 0
        assert self.server.border.moves._open == {}
        assert self.escaped == []


@contextlib.asynccontextmanager
async def relay(directory: Path, config: Table, drain: float | None = 0) -> AsyncIterator[Relay]:
    """Serve; at the end it is told to stop, unless it has been, and nothing of it may be left."""
    before = descriptors()
    path = directory / "relay.toml"
    path.write_text(toml(config))
    loop = asyncio.get_running_loop()
    ready: list[str] = []
    server = WatchedServer(path, load(path), ready.append)
    running = Relay(server, path, asyncio.create_task(server.serve(drain)), ready)
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
    assert descriptors() == before, "descriptors are left"


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


@contextlib.asynccontextmanager
async def asking(
    running: Relay, acceptor: Acceptor, source: str = "127.0.0.1", request: bytes = REQUEST
) -> AsyncIterator[tuple[Peer, Peer]]:
    """The client has asked, the PACS has read it and not answered yet."""
    with await Peer.connect(running.port(), source) as client:
        await client.send(request)
        with await acceptor.accept() as pacs:
            yield client, pacs


@contextlib.asynccontextmanager
async def associated(
    running: Relay, acceptor: Acceptor, source: str = "127.0.0.1", request: bytes = REQUEST
) -> AsyncIterator[Pair]:
    before = set(running.sessions)
    async with asking(running, acceptor, source, request) as (client, pacs):
        asked = parse_associate(await pacs.expect(RQ))
        await pacs.send(associate_ac(asked, user=LONG_PDUS))
        await client.expect(AC)
        (session,) = running.sessions - before
        yield Pair(client, pacs, session)
