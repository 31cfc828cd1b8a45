"""A relayed association on real sockets: what passes, back-pressure, limits of time, bugs of our own.

Time passes for the relay only where a test lets it, so a limit is tested just before and at its end.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.end_to_end.wire import (
    ABORT,
    RELEASE_RQ,
    RJ,
    RQ,
    Command,
    associate_ac,
    associate_rq,
    message,
    parse_associate,
    release_rp,
    release_rq,
    split_pdus,
)
from tests.shell.peers import Acceptor, BlackHole, Peer, eventually
from tests.shell.relay import (
    LONG_PDUS,
    MATCH,
    ONE,
    REQUEST,
    STORE,
    STORED,
    Pair,
    asking,
    associated,
    config,
    joined,
    relay,
    serving,
)
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import Listener
from ulproxy.relay.effects import End, SendData
from ulproxy.relay.join import Join
from ulproxy.shell import session as module
from ulproxy.shell.session import Session
from ulproxy.shell.transport import RECEIVE_BUFFER, Transport

ENDS = ["client", "pacs"]
BIG = bytes(range(256)) * 80_000
NO_UID: Command = {**STORE, 0x1000: "../etc/passwd"}
"""A C-STORE-RQ that the relay answers itself, with 0117H."""
REFUSED = message(1, NO_UID, b"data")
LIMITS = {"artim": 30.0, "connect": 10.0, "idle": 600.0, "write": 60.0}


# What passes ---------------------------------------------------------------------------------------


async def test_from_its_request_to_its_release(tmp_path, log):
    async with joined(tmp_path) as (running, pair):
        await pair.store(b"an image")
        running.pass_time(1.5)
        await pair.release()
        await running.empty()
        (began,) = log.lines("association established")
        (ended,) = log.lines("association ended")
        assert began["id"] == ended["id"]
        assert began["network"] == "west"
        assert began["peer"].startswith("127.0.0.1:")
        assert ended["seconds"] == 1.5
        assert ended["outcome"] == "released, asked by the inbound end"


async def drip(peer: Peer, data: bytes) -> None:
    for at in range(len(data)):
        await peer.send(data[at : at + 1])


async def test_one_byte_at_a_time(tmp_path):
    async with serving(tmp_path) as (running, acceptor):
        with await Peer.connect(running.port()) as client:
            await drip(client, REQUEST)
            with await acceptor.accept() as pacs:
                asked = parse_associate(await pacs.expect(RQ))
                await drip(pacs, associate_ac(asked, user=LONG_PDUS))
                await client.expect(2)
                stored = message(1, STORE, BIG[:400], 100)
                await drip(client, stored + release_rq())
                assert await pacs.exactly(len(stored)) == stored
                await pacs.expect(RELEASE_RQ)
                await drip(pacs, STORED + release_rp())
                assert await client.exactly(len(STORED)) == STORED
                await client.expect(6)
        await running.empty()


async def test_what_one_read_asks_of_both_ends(tmp_path):
    """Each gets its own, in order."""
    async with joined(tmp_path) as (_, pair):
        stored = [message(1, STORE, BIG[: 1000 * n]) for n in range(1, 4)]
        await pair.client.send(stored[0] + REFUSED + stored[1] + REFUSED + stored[2])
        whole = b"".join(stored)
        assert await pair.pacs.exactly(len(whole)) == whole
        for _ in range(2):
            body = await pair.client.expect(4)
            assert b"\x17\x01" in body
        pair.close()


async def test_many_small_messages_in_one_read(tmp_path):
    async with joined(tmp_path) as (_, pair):
        await pair.find()
        matches = message(1, MATCH, b"matching") * 2000
        sending = asyncio.create_task(pair.pacs.send(matches))
        assert await pair.client.exactly(len(matches)) == matches
        await sending
        pair.close()


async def test_words_for_an_end_that_is_not_there(tmp_path):
    with BlackHole() as hole:
        async with relay(tmp_path, config(hole.port)) as running:
            with await Peer.connect(running.port()) as client:
                await client.send(REQUEST)
                await eventually(lambda: running.admitted, "the request is forwarded")
                running.session._execute([SendData(End.ONWARD, b"lost")])
            await running.empty()


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
async def test_pacs_by_address_and_by_name(tmp_path, address):
    with Acceptor() as acceptor:
        async with relay(tmp_path, config(acceptor.port, reach=address)) as running:
            async with associated(running, acceptor) as pair:
                await pair.store(b"an image")
                await pair.release()
            await running.empty()


@pytest.mark.parametrize("how", ["refuses", "vanishes"])
async def test_pacs_that_cannot_be_reached(tmp_path, log, monkeypatch, how):
    """Refused, or gone before the relay has looked at the connection."""
    with Acceptor() as acceptor:
        port = acceptor.port

        def gone(loop: asyncio.AbstractEventLoop, *_: object) -> asyncio.Future[socket.socket]:
            sock = socket.create_connection(("127.0.0.1", port))
            sock.close()
            connected: asyncio.Future[socket.socket] = loop.create_future()
            connected.set_result(sock)
            return connected

        if how == "vanishes":
            monkeypatch.setattr(module, "connect", gone)
        else:
            acceptor.close()
        async with relay(tmp_path, config(port)) as running:
            with await Peer.connect(running.port()) as client:
                await client.send(REQUEST)
                assert await client.expect(RJ) == bytes([0, 2, 3, 1])
            await running.empty()
    (line,) = log.lines("association rejected")
    assert line["outcome"].startswith(f"AE PACS: 127.0.0.1:{port}: ")


async def test_address_of_an_ipv4_peer_on_an_ipv6_socket(tmp_path):
    """It counts as what it is."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    async with serving(tmp_path) as (running, _):
        with (
            socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both,
            socket.create_connection(("127.0.0.1", both.getsockname()[1])),
        ):
            running.server._accepted(both.accept()[0], Listener("west", Endpoint("::", 0)))
            session = running.session
            assert session.source == "127.0.0.1"
            assert session.join._peer.address == ipaddress.ip_address("127.0.0.1")
            session.shutdown("enough")
            assert session.over


# Back-pressure -------------------------------------------------------------------------------------


def flood(first: str) -> bytes:
    """What an end may send at once: an object of the client's, matches of the PACS's."""
    return message(1, STORE if first == "client" else MATCH, BIG, 120_000)


@pytest.mark.parametrize("first", ENDS)
async def test_receiver_that_does_not_read(tmp_path, monkeypatch, first):
    """Its sender is held back, with one read unsent; both go on when it reads again."""
    most = 0
    write = Transport.write

    def watched(transport: Transport, data: Any) -> None:
        nonlocal most
        write(transport, data)
        most = max(most, transport.unsent)

    monkeypatch.setattr(Transport, "write", watched)
    async with joined(tmp_path) as (_, pair):
        await pair.find()
        sender, receiver = pair.ends(first)
        near, far = pair.transport(sender), pair.transport(receiver)
        whole = flood(first)
        sending = asyncio.create_task(sender.send(whole))
        await eventually(lambda: not near._reading, "the sender is held back")
        assert far.unsent > 0
        assert far._reading
        assert await receiver.exactly(len(whole)) == whole
        await sending
        assert near._reading
        assert 0 < most <= RECEIVE_BUFFER + 1000
        pair.close()


async def crowd_out(pair: Pair) -> asyncio.Task[None]:
    """The client asks for answers of the relay's own and does not read them; returns its sending."""
    near = pair.transport(pair.client)
    sending = asyncio.create_task(pair.client.send(REFUSED * 3000))
    await eventually(lambda: not near._reading, "no more is asked of it")
    return sending


async def test_client_that_asks_and_does_not_read(tmp_path, monkeypatch):
    """Answers of the relay's own do not pile up either."""
    monkeypatch.setattr(module, "MAX_UNSENT", 1 << 15)
    async with joined(tmp_path, receive_buffer=4096) as (_, pair):
        sending = await crowd_out(pair)
        near = pair.transport(pair.client)
        assert module.MAX_UNSENT <= near.unsent < module.MAX_UNSENT + 2 * RECEIVE_BUFFER
        for _ in range(3000):
            assert b"\x17\x01" in await pair.client.expect(4)
        await sending
        assert near._reading
        pair.close()


# Limits of time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", REQUEST[:-1]])
async def test_artim_before_the_association(tmp_path, sent):
    """PS3.8 9.1.4: closed without a PDU, and no byte of a request that is not whole restarts it."""
    async with serving(tmp_path, limits=LIMITS) as (running, _):
        with await Peer.connect(running.port()) as client:
            await eventually(lambda: running.sessions, "the relay has accepted")
            running.pass_time(29.5)
            await client.send(sent)
            read = len(sent)
            await eventually(lambda: _read(running.session) >= min(read, 8), "the relay has read")
            running.pass_time(0.4)
            assert running.sessions
            running.pass_time(0.1)
            await client.expect_end()


def _read(session: Session) -> int:
    return len(session.join._first)


async def test_artim_after_a_rejection(tmp_path):
    async with serving(tmp_path, limits=LIMITS) as (running, _):
        with await Peer.connect(running.port()) as client:
            await client.send(associate_rq(ONE, called="NOBODY"))
            assert await client.expect(RJ) == bytes([0, 1, 1, 7])
            running.pass_time(29.9)
            assert running.sessions
            running.pass_time(0.1)
            await client.expect_end()


async def test_artim_after_an_abort_on_both_ends(tmp_path):
    async with joined(tmp_path, limits=LIMITS) as (running, pair):
        pair.session.shutdown("enough")
        for peer in (pair.client, pair.pacs):
            assert await peer.expect_abort() == (2, 0)
        assert running.admitted == 0
        running.pass_time(29.9)
        assert running.sessions
        running.pass_time(0.1)
        for peer in (pair.client, pair.pacs):
            await peer.expect_end()


@pytest.mark.parametrize("first", ENDS)
async def test_release_limit(tmp_path, first):
    async with joined(tmp_path, limits=LIMITS) as (running, pair):
        asker, asked = pair.ends(first)
        await asker.send(release_rq())
        await asked.expect(RELEASE_RQ)
        running.pass_time(29.9)
        assert running.admitted == 1
        running.pass_time(0.1)
        assert await asker.expect_abort() == (2, 0)
        assert await asked.expect_abort() == (2, 0)
        pair.close()


async def test_idle_limit(tmp_path):
    """Restarted by a byte of either end."""
    async with joined(tmp_path, limits=LIMITS) as (running, pair):
        await pair.find()
        for sender, receiver in ((pair.client, pair.pacs), (pair.pacs, pair.client)):
            running.pass_time(599.9)
            some = message(1, STORE if sender is pair.client else MATCH, b"data")
            await sender.send(some)
            assert await receiver.exactly(len(some)) == some
        running.pass_time(599.9)
        assert running.admitted == 1
        running.pass_time(0.1)
        assert await pair.client.expect_abort() == (2, 0)
        assert await pair.pacs.expect_abort() == (2, 0)
        pair.close()


async def held_back(pair: Pair) -> tuple[bytes, asyncio.Task[None]]:
    """The client sends an object and the PACS does not read."""
    whole = flood("client")
    sending = asyncio.create_task(pair.client.send(whole))
    near = pair.transport(pair.client)
    await eventually(lambda: not near._reading, "the client is held back")
    return whole, sending


async def read_some(pair: Pair) -> bytes:
    """The PACS reads until the relay gets rid of something."""
    far, got = pair.transport(pair.pacs), bytearray()
    unsent = far.unsent
    while far.unsent == unsent:
        got += await pair.pacs.some(1 << 16)
        await asyncio.sleep(0)
    return bytes(got)


async def stop(sending: asyncio.Task[None]) -> None:
    sending.cancel()
    await asyncio.wait({sending})


async def test_idle_limit_while_a_slow_receiver_reads(tmp_path):
    """A byte that goes out is one, too."""
    limits = {**LIMITS, "idle": 10.0, "write": 600.0}
    async with joined(tmp_path, receive_buffer=4096, limits=limits) as (running, pair):
        _, sending = await held_back(pair)
        running.pass_time(9.9)
        await read_some(pair)
        running.pass_time(9.9)
        assert running.admitted == 1
        running.pass_time(0.1)
        assert running.admitted == 0
        await stop(sending)
        pair.close()


async def test_write_limit(tmp_path):
    """Restarted by every byte that is taken. Within a PDU nothing can be said, so it just ends."""
    async with joined(tmp_path, receive_buffer=4096, limits=LIMITS) as (running, pair):
        whole, sending = await held_back(pair)
        running.pass_time(59.9)
        got = await read_some(pair)
        running.pass_time(59.9)
        assert running.admitted == 1
        running.pass_time(0.1)
        assert running.admitted == 0
        await stop(sending)
        assert await pair.client.expect_abort() == (2, 0)
        got += await pair.pacs.exactly(len(whole))
        assert whole.startswith(got)
        assert len(got) < len(whole)
        pair.close()


async def test_write_limit_between_two_pdus(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_UNSENT", 1 << 15)
    async with joined(tmp_path, receive_buffer=4096, limits=LIMITS) as (running, pair):
        sending = await crowd_out(pair)
        running.pass_time(60)
        assert running.admitted == 0
        await stop(sending)
        assert await pair.pacs.expect_abort() == (2, 0)
        running.pass_time(29.9)
        assert running.sessions
        pdus, rest = split_pdus(await _until_abort(pair.client))
        assert rest == b""
        assert pdus[-1].body[2:] == bytes([2, 0])
        assert {pdu.kind for pdu in pdus[:-1]} == {4}
        pair.close()


async def _until_abort(peer: Peer) -> bytes:
    got = bytearray()
    while not got.endswith(bytes([ABORT, 0, 0, 0, 0, 4, 0, 0, 2, 0])):
        got += await peer.some(1 << 16)
    return bytes(got)


async def test_write_limit_is_off_once_everything_is_taken(tmp_path):
    async with joined(tmp_path, limits=LIMITS) as (running, pair):
        whole, sending = await held_back(pair)
        await pair.pacs.exactly(len(whole))
        await sending
        running.pass_time(61)
        await pair.pacs.send(STORED)
        assert await pair.client.exactly(len(STORED)) == STORED
        pair.close()


async def test_connect_limit_without_a_connection(tmp_path):
    with BlackHole() as hole:
        async with relay(tmp_path, config(hole.port, limits=LIMITS)) as running:
            with await Peer.connect(running.port()) as client:
                await client.send(REQUEST)
                await eventually(lambda: running.admitted, "the request is forwarded")
                (opening,) = running.session._opening.values()
                running.pass_time(9.9)
                assert not opening.done()
                running.pass_time(0.1)
                assert await client.expect(RJ) == bytes([0, 2, 3, 1])
                assert opening.done()
            await running.empty()


async def test_connect_limit_without_an_answer(tmp_path):
    async with serving(tmp_path, limits=LIMITS) as (running, acceptor):
        async with asking(running, acceptor) as (client, pacs, _):
            running.pass_time(9.9)
            assert running.admitted == 1
            running.pass_time(0.1)
            assert await client.expect(RJ) == bytes([0, 2, 3, 1])
            assert await pacs.expect_abort() == (2, 0)
        await running.empty()


# Bugs of our own -----------------------------------------------------------------------------------


class BugError(Exception):
    pass


def bug(*_args: object) -> Any:
    raise BugError


def then_bug(does: Callable[..., object]) -> Callable[..., object]:
    def first(*args: object) -> Any:
        does(*args)
        raise BugError

    return first


@pytest.mark.parametrize("also", ["nothing", "lost", "the log"])
async def test_internal_error_ends_its_own_association_alone(tmp_path, log, monkeypatch, also):
    async with serving(tmp_path) as (running, acceptor):
        async with associated(running, acceptor) as good:
            async with associated(running, acceptor) as bad:
                monkeypatch.setattr(bad.session.join, "receive_data", bug)
                if also == "lost":
                    monkeypatch.setattr(bad.session.join, "lost", then_bug(bad.session.join.lost))
                elif also == "the log":
                    log.break_down()
                await bad.client.send(b"anything")
                await bad.client.expect_end()
                await bad.pacs.expect_end()
            await eventually(lambda: running.sessions == {good.session}, "it is gone")
            await good.store(b"an image")
            await good.release()
        await running.empty()
    if also == "nothing":
        ended = log.lines("association ended")
        (said,) = log.lines("internal error")
        assert said["exception"][0]["exc_type"] == "BugError"
        assert said["level"] == "error"
        assert said["id"] == ended[0]["id"] != ended[1]["id"]
        assert ended[0]["outcome"] == "internal error"


@pytest.mark.parametrize("name", ["accepted", "connected", "expired", "lost", "shutdown"])
async def test_internal_error_wherever_it_comes_from(tmp_path, log, monkeypatch, name):
    monkeypatch.setattr(Join, name, then_bug(getattr(Join, name)))
    async with serving(tmp_path, limits=LIMITS) as (running, acceptor):
        with await Peer.connect(running.port()) as client:
            await client.send(REQUEST)
            if name == "accepted":
                await client.expect_end()
                return
            with await acceptor.accept() as pacs:
                if name != "connected":
                    await pacs.expect(RQ)
                if name == "expired":
                    running.pass_time(10)
                elif name == "lost":
                    client.close()
                elif name == "shutdown":
                    running.session.shutdown("enough")
                await pacs.expect_end()
        await running.empty()
    assert log.lines("internal error")
