"""One worker, and a supervisor that the test is: what it takes, counts, prepares, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import pickle
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.peers import toml
from tests.end_to_end.wire import ABORT, AC, RJ, associate_ac, parse_associate
from tests.pki import self_signed
from tests.shell.peers import Acceptor, Peer, eventually
from tests.shell.relay import REQUEST, Log, config, descriptors
from ulproxy.policy.config import load
from ulproxy.policy.model import Config
from ulproxy.policy.rules import Policy
from ulproxy.shell import worker
from ulproxy.shell.channel import Channel, socket_pair
from ulproxy.shell.counts import SharedCounts
from ulproxy.shell.listen import open_socket
from ulproxy.shell.sessions import Company
from ulproxy.shell.signs import Signs
from ulproxy.shell.state import State
from ulproxy.shell.tls import Contexts
from ulproxy.shell.worker import Task, Worker


@dataclass
class Running:
    """A worker, its channel, and what it has said."""

    worker: Worker
    channel: Channel
    serving: asyncio.Task[None]
    config: Config
    table: dict[str, Any]
    path: Path
    listening: socket.socket
    said: list[bytes] = field(default_factory=list)
    signs: Signs = field(default_factory=Signs)

    async def says(self, *messages: bytes) -> None:
        await eventually(lambda: len(self.said) > len(messages), f"it says {messages}")
        assert self.said == [worker.READY, *messages]

    async def connect(self) -> Peer:
        """A connection that it is handed."""
        peer = await Peer.connect(self.listening.getsockname()[1])
        accepted = await asyncio.get_running_loop().sock_accept(self.listening)
        with accepted[0] as sock:
            west = [one.network for one in self.config.listeners].index("west")
            self.channel.send(worker.CONNECTION + b"%d" % west, sock.fileno())
        return peer

    def prepare(self, number: bytes, config: Config) -> None:
        with os.fdopen(os.memfd_create("test"), "wb") as file:
            pickle.dump(config, file)
            file.flush()
            self.channel.send(worker.PREPARE + number, file.fileno())

    def changed(self, change: Callable[[dict[str, Any]], object]) -> Config:
        table = copy.deepcopy(self.table)
        change(table)
        self.path.write_text(toml(table))
        return load(self.path)

    async def counts_as_over(self, number: int) -> None:
        await eventually(lambda: self.signs.ended == number, f"{number} are over")

    async def ends(self) -> None:
        await asyncio.wait_for(self.serving, 10)


@pytest.fixture
def acceptor():
    with Acceptor() as made:
        yield made


@contextlib.asynccontextmanager
async def working(
    directory: Path, acceptor: Acceptor, workers: int = 2, **tables: Any
) -> AsyncIterator[Running]:
    table = config(acceptor.port, **tables)
    path = directory / "relay.toml"
    path.write_text(toml(table))
    loaded = load(path)
    loop = asyncio.get_running_loop()
    counts = SharedCounts(workers)
    before = descriptors()
    company = Company(counts, workers, 4711)
    near, far = socket_pair()
    said: list[bytes] = []
    with closing(State(None)) as state, open_socket(loaded.listeners[0].bind) as listening:
        signs = Signs()
        task = Task(path, Policy(loaded), Contexts(loaded), company, 0, reports=True)
        made = Worker(task, state, signs)
        channel = Channel(loop, near, lambda message, _fd: said.append(message), lambda: None)
        serving = asyncio.create_task(made.serve(far))
        running = Running(made, channel, serving, loaded, table, path, listening, said, signs)
        await eventually(lambda: said == [worker.READY], "it serves")
        yield running
        channel.close()
        await running.ends()
    assert not any(counts._hashes)
    await eventually(lambda: descriptors() <= before, "no descriptors are left")


async def test_takes_what_it_is_handed(tmp_path, acceptor, log):
    async with working(tmp_path, acceptor) as running:
        with await running.connect() as client:
            await client.send(REQUEST)
            with await acceptor.accept() as pacs:
                await pacs.send(associate_ac(parse_associate(await pacs.expect(1))))
                await client.expect(AC)
                assert running.worker.border.admission.total == 1
                assert running.signs.ended == 0
        await running.counts_as_over(1)


async def test_handshakes_are_counted_too(tmp_path, acceptor, log):
    server = self_signed(tmp_path, "server")
    tls = {"certificate": str(server.pem), "key": str(server.key)}
    async with working(tmp_path, acceptor) as running:
        running.prepare(b"1", running.changed(lambda table: table["listener"][1].update(tls=tls)))
        await running.says(worker.PREPARED + b"1")
        running.channel.send(worker.COMMIT)
        for number in range(1, 3):
            with await running.connect() as client:
                await client.send(b"GET / HTTP/1.1\r\n\r\n")
                await running.counts_as_over(number)


async def test_a_socket_that_the_kernel_had_no_descriptor_for(tmp_path, acceptor, log):
    async with working(tmp_path, acceptor) as running:
        running.channel.send(worker.CONNECTION + b"0")
        await running.counts_as_over(1)
        assert log.lines("cannot accept")[0]["why"] == "no descriptor is left"


@pytest.mark.parametrize(("pending", "workers", "share"), [(4, 2, 2), (5, 2, 3), (1, 4, 1)])
async def test_pending_connections_are_shared_out(tmp_path, acceptor, log, pending, workers, share):
    limits = {"pending": pending}
    async with working(tmp_path, acceptor, workers, limits=limits) as running:
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(await running.connect()) for _ in range(share)]
            await eventually(lambda: running.worker._pending.total == share, "they are pending")
            stack.enter_context(await running.connect())
            await peers[0].expect_end()
            assert running.worker._pending.total == share
            for peer in peers[1:]:
                peer.close()


async def refusal(running: Running) -> bytes:
    with await running.connect() as client:
        await client.send(REQUEST)
        return (await client.expect(RJ))[1:]


async def test_reload_in_two_steps(tmp_path, acceptor, log):
    async with working(tmp_path, acceptor) as running:
        new = running.changed(lambda table: table["ae"][1].update(alias="NEW_PACS"))
        old = running.worker.border.policy.config
        running.prepare(b"7", new)
        await running.says(worker.PREPARED + b"7")
        assert running.worker.border.policy.config is old
        running.channel.send(worker.COMMIT + b"1")
        await eventually(lambda: running.worker.border.policy.config == new, "it goes by it")
        assert await refusal(running) == bytes([1, 1, 7])


async def test_reload_that_is_abandoned(tmp_path, acceptor, log):
    """Even if it is told to go on by it later: nothing is prepared then."""
    async with working(tmp_path, acceptor) as running:
        old = running.worker.border.policy.config
        running.prepare(b"7", running.changed(lambda table: table["ae"][1].update(alias="NEW")))
        running.channel.send(worker.ABANDON + b"another worker cannot")
        running.channel.send(worker.ABANDON)
        running.channel.send(worker.COMMIT)
        running.channel.send(worker.CLEAR)
        running.channel.send(worker.CONNECTION + b"0")
        await eventually(lambda: running.signs.ended, "it has heard all of it")
        assert running.worker.border.policy.config is old


async def test_reload_that_it_cannot_do(tmp_path, acceptor, log):
    """A file is gone that the supervisor has found."""
    server = self_signed(tmp_path, "server")
    tls = {"certificate": str(server.pem), "key": str(server.key)}
    async with working(tmp_path, acceptor) as running:
        new = running.changed(lambda table: table["listener"][1].update(tls=tls))
        server.pem.unlink()
        running.prepare(b"8", new)
        await eventually(lambda: len(running.said) == 2, "it answers")
        assert running.said[1].startswith(worker.UNPREPARED + b"8 ")
        assert b"No such file" in running.said[1]
        assert len(running.said[1]) <= 4096


async def test_shows_that_its_loop_turns(tmp_path, acceptor, log, monkeypatch):
    monkeypatch.setattr(worker, "BEAT", 0.01)
    async with working(tmp_path, acceptor) as running:
        await eventually(lambda: running.signs.turns > 3, "it turns")


async def test_drains(tmp_path, acceptor, log):
    async with working(tmp_path, acceptor) as running:
        with await running.connect() as silent:
            running.channel.send(worker.STOP)
            assert await silent.receive() is None
        await running.ends()


async def test_the_supervisor_is_gone(tmp_path, acceptor, log: Log):
    async with working(tmp_path, acceptor) as running:
        with await running.connect() as client:
            await client.send(REQUEST)
            with await acceptor.accept() as pacs:
                await pacs.send(associate_ac(parse_associate(await pacs.expect(1))))
                await client.expect(AC)
                running.channel.close()
                for peer in (client, pacs):
                    assert (await peer.expect(ABORT))[2:] == bytes([2, 0])
        await running.ends()
        assert log.lines("stopping")[0]["why"] == "the supervisor is gone"
