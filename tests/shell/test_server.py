"""The running relay: limits at their edges, the drain on SIGTERM, the reload on SIGHUP."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.end_to_end.peers import Table, ae, toml
from tests.end_to_end.wire import (
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    associate_rq,
    message,
    release_rp,
    release_rq,
)
from tests.shell.peers import BlackHole, Peer, eventually
from tests.shell.relay import (
    ONE,
    REQUEST,
    STORE,
    Relay,
    asking,
    associated,
    config,
    joined,
    relay,
    serving,
)
from ulproxy.policy.config import load
from ulproxy.shell.server import Server

LIMIT = bytes([0, 2, 3, 2])
GARBAGE = b"GET / HTTP/1.1\r\n\r\n"


def rejection(*fields: int) -> bytes:
    return bytes([0, *fields])


async def answer(running: Relay, request: bytes = REQUEST, source: str = "127.0.0.1") -> bytes:
    """The body of the A-ASSOCIATE-RJ that a caller gets."""
    with await Peer.connect(running.port(), source) as client:
        await client.send(request)
        return await client.expect(RJ)


async def reloaded(running: Relay, new: Table | str) -> None:
    """SIGHUP with a new file, and what the relay makes of it."""
    before = len(running.log.lines())
    running.reload(new)
    await eventually(lambda: len(running.log.lines()) > before, "it says something about the file")


# Limits on associations ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limit", ["all", "one source", "the AE that calls", "the AE that is called"]
)
async def test_limit_on_associations(tmp_path, limit):
    """The last below it is let in, the next is rejected, and what is released is free at once."""
    bound = {"associations": 3}
    tables: dict[str, Any] = {
        "all": {"limits": bound},
        "one source": {"limits": {"associations_per_source": 3}},
        "the AE that calls": {"scu": bound},
        "the AE that is called": {"pacs": bound},
    }[limit]
    async with serving(tmp_path, **tables) as (running, acceptor):
        async with contextlib.AsyncExitStack() as stack:
            pairs = [
                await stack.enter_async_context(associated(running, acceptor)) for _ in range(3)
            ]
            assert await answer(running) == LIMIT
            assert running.admitted == 3
            await pairs[1].client.send(release_rq())
            await pairs[1].pacs.expect(RELEASE_RQ)
            assert await answer(running) == LIMIT
            await pairs[1].pacs.send(release_rp())
            await pairs[1].client.expect(RELEASE_RP)  # and the client does not close
            await stack.enter_async_context(associated(running, acceptor))
            assert await answer(running) == LIMIT
            if limit == "one source":
                async with associated(running, acceptor, source="127.0.0.2") as elsewhere:
                    await elsewhere.store(b"an image")
        await running.empty()


async def test_slots_are_free_whatever_ends_the_association(tmp_path):
    async with serving(tmp_path, limits={"associations": 1}) as (running, acceptor):
        async with associated(running, acceptor) as pair:
            pair.client.reset()
            assert await pair.pacs.expect_abort() == (2, 0)
            async with associated(running, acceptor) as second:
                await second.pacs.send(GARBAGE)
                assert await second.client.expect_abort() == (2, 0)
                async with asking(running, acceptor) as (_, pacs, _):
                    pacs.close()
                    await eventually(lambda: running.admitted == 0, "the third is over")
                assert await answer(running, associate_rq(ONE, called="NOBODY")) != LIMIT
                async with associated(running, acceptor) as last:
                    await last.release()
        await running.empty()


async def test_two_hundred_at_once(tmp_path):
    limits = {"associations_per_source": 250}
    async with serving(tmp_path, limits=limits) as (running, acceptor):
        async with contextlib.AsyncExitStack() as stack:
            pairs = [
                await stack.enter_async_context(associated(running, acceptor)) for _ in range(200)
            ]
            assert running.admitted == 200
            await asyncio.gather(*(pair.store(bytes(range(256)) * 40) for pair in pairs))
            await asyncio.gather(*(pair.release() for pair in pairs))
            await eventually(lambda: running.admitted == 0, "they are over")
        await running.empty()


async def test_books_are_kept_whatever_happens(tmp_path, monkeypatch):
    """An association that a bug ended was not pending; what is over may be ended again."""
    async with joined(tmp_path) as (running, pair):
        with monkeypatch.context() as patched:
            patched.setattr(pair.session.join, "receive_data", None)
            await pair.client.send(GARBAGE)
            await pair.client.expect_end()
        assert running.admitted == 0
        assert not running.sessions
        pair.session.shutdown("once more")


# Connections without an association ----------------------------------------------------------------


async def connections(running: Relay, count: int, source: str = "127.0.0.1") -> list[Peer]:
    """So many more, known to the relay."""
    before = len(running.server.seen)
    made = [await Peer.connect(running.port(), source) for _ in range(count)]
    await eventually(lambda: len(running.server.seen) == before + count, "they are accepted")
    return made


async def test_pending_limit(tmp_path, log):
    """The oldest of the address that has most is closed; associations do not count."""
    async with serving(tmp_path, limits={"pending": 4}) as (running, acceptor):
        async with associated(running, acceptor) as pair:
            lone = await connections(running, 1, "127.0.0.2")
            many = await connections(running, 3)
            assert len(running.sessions) == 5
            many += await connections(running, 1, "127.0.0.3")
            await many[0].expect_end()
            many += await connections(running, 1)
            await many[1].expect_end()
            assert len(running.sessions) == 5
            await pair.release()
        for peer in lone + many:
            peer.close()
        await running.empty()
    lines = log.lines("connection ended")
    assert [line["outcome"] for line in lines[:2]] == [
        "too many connections without an association"
    ] * 2


@pytest.mark.parametrize("how", ["garbage", "rejected", "aborted"])
async def test_connections_after_their_association_are_pending_too(tmp_path, how):
    """A peer that does not close has its share of the limit in Sta13."""
    async with serving(tmp_path, limits={"pending": 3}) as (running, acceptor):
        lingering: list[Peer] = []
        for _ in range(10):
            if how == "aborted":
                async with associated(running, acceptor) as pair:
                    pair.pacs.close()
                    assert await pair.client.expect_abort() == (2, 0)
                    lingering.append(Peer(pair.client.socket.dup()))
            else:
                lingering += await connections(running, 1)
                garbage = how == "garbage"
                await lingering[-1].send(GARBAGE if garbage else associate_rq(ONE, called="X"))
                await lingering[-1].expect(7 if garbage else RJ)
        await eventually(lambda: len(running.sessions) == 3, "three are left")
        for peer in lingering[:7]:
            await peer.expect_end()
        for peer in lingering:
            peer.close()
        await running.empty()


async def test_connection_that_is_gone_before_it_is_accepted(tmp_path):
    async with serving(tmp_path) as (running, _):
        gone = socket.create_connection(("127.0.0.1", running.port()))
        Peer(gone).reset()
        (alive,) = await connections(running, 1)
        alive.close()
        await running.empty()
        assert len(running.server.seen) == 1


# SIGTERM -------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def stopping(
    running: Relay, number: signal.Signals = signal.SIGTERM
) -> AsyncIterator[asyncio.Task[None]]:
    """It has been told to stop, and has heard it."""
    os.kill(os.getpid(), number)
    await eventually(lambda: running.log.lines("stopping"), "it stops")
    yield running.serving
    await asyncio.wait_for(running.serving, 10)


async def test_nobody_is_there(tmp_path):
    async with serving(tmp_path, drain=None) as (running, _), stopping(running):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_drain(tmp_path, number):
    """Open associations finish; who has not asked is closed, and nobody else gets in."""
    async with joined(tmp_path, drain=None) as (running, pair):
        port = running.port()
        (silent,) = await connections(running, 1)
        async with stopping(running, number) as serving:
            with pytest.raises(ConnectionRefusedError):
                await Peer.connect(port)
            with silent:
                await silent.expect_end()
            await pair.store(b"an image")
            assert not serving.done()
            await pair.release()


async def test_drain_with_a_bound(tmp_path):
    async with joined(tmp_path, drain=0.2) as (running, pair), stopping(running) as serving:
        for peer in (pair.client, pair.pacs):
            assert await peer.expect_abort() == (2, 0)
        assert not serving.done()
        pair.close()


async def test_second_signal(tmp_path):
    async with joined(tmp_path, drain=None) as (running, pair), stopping(running):
        os.kill(os.getpid(), signal.SIGTERM)
        assert await pair.client.expect_abort() == (2, 0)
        pair.close()


async def test_peers_that_do_not_close(tmp_path):
    """They have half a second."""
    async with joined(tmp_path, drain=0) as (running, pair):
        async with stopping(running):
            pass
        for peer in (pair.client, pair.pacs):
            assert await peer.expect_abort() == (2, 0)
            await peer.expect_end()


async def test_stop_while_the_pacs_is_called(tmp_path):
    with BlackHole() as hole:
        async with relay(tmp_path, config(hole.port), drain=0) as running:
            with await Peer.connect(running.port()) as client:
                await client.send(REQUEST)
                await eventually(lambda: running.admitted, "the request is forwarded")
                async with stopping(running):
                    assert await client.expect_abort() == (2, 0)
                    client.close()


async def test_reload_while_it_stops(tmp_path):
    """Nothing begins any more."""
    async with joined(tmp_path, drain=None) as (running, pair), stopping(running):
        ready = len(running.ready)
        new = copy.deepcopy(running.config)
        new["listener"].append({"network": "west", "bind": "127.0.0.2:0"})
        del new["listener"][0]
        await reloaded(running, new)
        assert running.log.lines()[-1]["event"] == "reload refused"
        assert len(running.ready) == ready
        await pair.release()


# SIGHUP --------------------------------------------------------------------------------------------


async def test_reload_counts_for_what_comes(tmp_path):
    async with joined(tmp_path) as (running, pair):
        new = copy.deepcopy(running.config)
        new["rule"][0]["services"] = ["echo"]
        await reloaded(running, new)
        assert await answer(running) == rejection(1, 1, 1)
        await pair.store(b"an image")
        await pair.release()
        await reloaded(running, running.config)
    assert [line["event"] for line in running.log.lines()].count("reloaded") == 2


async def test_reload_that_revokes(tmp_path):
    """on_revoke = "abort": those that the new rules refuse, and no other."""
    async with serving(tmp_path) as (running, acceptor):
        new = copy.deepcopy(running.config)
        new["relay"]["on_revoke"] = "abort"
        async with associated(running, acceptor) as pair:
            await reloaded(running, new)
            await pair.store(b"an image")
            new["rule"][0]["services"] = ["echo"]
            await reloaded(running, new)
            assert await pair.client.expect_abort() == (2, 0)
            assert await pair.pacs.expect_abort() == (2, 0)
        await running.empty()
    (line,) = running.log.lines("association ended")
    assert line["outcome"] == "refused by the rules since a reload"


@pytest.mark.parametrize("broken", ["", "[relay]\ntitle = 1\n", "colour = 'red'\n", "\0"])
async def test_broken_file_changes_nothing(tmp_path, broken):
    async with joined(tmp_path) as (running, pair):
        policy, before = running.server.border.policy, len(running.log.lines())
        await reloaded(running, broken)
        assert running.server.border.policy is policy
        assert {line["event"] for line in running.log.lines()[before:]} == {"reload refused"}
        assert "why" in running.log.lines()[-1]
        await pair.store(b"an image")
        await pair.release()


async def test_file_that_is_gone_changes_nothing(tmp_path):
    async with serving(tmp_path) as (running, _):
        running.path.unlink()
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: running.log.lines("reload refused"), "it says so")


async def test_listener_is_added_and_removed(tmp_path):
    """New ones are announced, kept ones are not, and associations of those that are gone go on."""
    async with joined(tmp_path) as (running, pair):
        first = running.port()
        new = copy.deepcopy(running.config)
        new["listener"][1]["bind"] = "127.0.0.2:0"
        await reloaded(running, new)
        assert [line.split()[1] for line in running.ready] == ["east", "west", "west"]
        second = running.port()
        with pytest.raises(ConnectionRefusedError):
            await Peer.connect(first)
        loop = asyncio.get_running_loop()
        with Peer(socket.socket()) as client:
            await loop.sock_connect(client.socket, ("127.0.0.2", second))
            await client.send(associate_rq(ONE, called="NOBODY"))
            assert await client.expect(RJ) == rejection(1, 1, 7)
        await pair.store(b"an image")
        await pair.release()


async def test_listener_gets_another_network(tmp_path):
    """Without being closed: a connection that was there before it counts for the old one."""
    async with serving(tmp_path) as (running, _):
        port = running.port("west")
        (before,) = await connections(running, 1)
        new = copy.deepcopy(running.config)
        for listener in new["listener"]:
            listener["network"] = {"west": "east", "east": "west"}[listener["network"]]
        await reloaded(running, new)
        assert len(running.ready) == 2
        with before, await Peer.connect(port) as after:
            for client in (before, after):
                await client.send(associate_rq(ONE, called="PACS", calling="SCU"))
            assert await before.expect(RJ) == rejection(1, 1, 7)
            assert await after.expect(RJ) == rejection(1, 1, 3)


async def test_listener_that_cannot_be_had_changes_nothing(tmp_path):
    async with serving(tmp_path) as (running, acceptor):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            new = copy.deepcopy(running.config)
            address = "{}:{}".format(*taken.getsockname())
            new["listener"] += [
                {"network": "west", "bind": "127.0.0.2:0"},
                {"network": "west", "bind": address},
            ]
            new["rule"][0]["services"] = ["echo"]
            await reloaded(running, new)
            assert running.log.lines()[-1]["why"] == f"{address}: Address already in use"
            assert len(running.ready) == 2
        async with associated(running, acceptor) as pair:
            await pair.store(b"an image")
            await pair.release()
        await running.empty()


async def test_nobody_reads_the_ready_lines(tmp_path):
    """Whoever started it has closed the pipe by now; that is no reason not to listen."""

    def broken(_line: str) -> None:
        raise BrokenPipeError

    async with serving(tmp_path) as (running, _):
        running.server._announce = broken
        new = copy.deepcopy(running.config)
        new["listener"] += [{"network": "west", "bind": f"127.0.0.{n}:0"} for n in (2, 3)]
        new["ae"].append(ae("ANOTHER", "east"))
        await reloaded(running, new)
        assert running.log.lines()[-1]["event"] == "reloaded"
        with contextlib.ExitStack() as stack:
            for port in running.server._ports.open:
                address = (port.address.host, port.address.port)
                stack.enter_context(socket.create_connection(address))
            await eventually(lambda: len(running.server.seen) == 4, "all of them accept")
        await running.empty()


# Listening -----------------------------------------------------------------------------------------


async def test_all_listeners_or_none(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        table = config(1)
        table["listener"][1]["bind"] = "{}:{}".format(*taken.getsockname())
        path = tmp_path / "relay.toml"
        path.write_text(toml(table))
        server = Server(path, load(path), pytest.fail)
        with pytest.raises(OSError, match="Address already in use") as caught:
            await server.serve(None)
    assert str(caught.value.strerror).startswith(table["listener"][1]["bind"])
    assert server._ports.open == []


async def test_no_descriptor_is_left_to_accept_with(tmp_path):
    """It says so, waits a little, and goes on."""
    async with serving(tmp_path) as (running, _):
        running.server._exhausted(OSError(24, "Too many open files"))
    (line,) = running.log.lines("cannot accept")
    assert (line["why"], line["sessions"]) == ("Too many open files", 0)


@pytest.mark.parametrize("network", ["west", "east"])
async def test_ready_lines(tmp_path, network):
    async with serving(tmp_path) as (running, _):
        (line,) = [line for line in running.ready if network in line]
        assert line == f"ready {network} 127.0.0.1:{running.port(network)}"
        with socket.create_connection(("127.0.0.1", running.port(network))):
            await eventually(lambda: running.sessions, "it accepts")
        await running.empty()


async def test_log_is_gone(tmp_path, log):
    """Nothing can be said, and everything works."""
    async with serving(tmp_path, drain=None) as (running, acceptor):
        log.break_down()
        async with associated(running, acceptor) as pair:
            await pair.store(b"an image")
            await pair.client.send(message(1, {**STORE, 0x1000: "no uid"}))
            await pair.client.expect(4)
            policy = running.server.border.policy
            running.reload(running.config)
            await eventually(lambda: running.server.border.policy is not policy, "it reloads")
            running.server._exhausted(OSError(24, "Too many open files"))
            running.reload("broken")
            os.kill(os.getpid(), signal.SIGTERM)
            await eventually(running.server._stopping.is_set, "it stops")
            await pair.release()
        await asyncio.wait_for(running.serving, 10)
