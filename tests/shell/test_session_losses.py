"""Connections that are lost, on each side and in each phase: the other side is told, and soon."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

import pytest

from tests.end_to_end.wire import (
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    abort,
    associate_ac,
    message,
    release_rp,
    release_rq,
    split_pdus,
)
from tests.shell.peers import BlackHole, Peer, eventually
from tests.shell.relay import (
    MATCH,
    REQUEST,
    STORE,
    Pair,
    asking,
    associated,
    config,
    joined,
    relay,
    serving,
)

SOON = 1.0
"""The contract says 100 ms; the machine may be busy."""
VANISH: dict[str, Callable[[Peer], None]] = {"close": Peer.close, "reset": Peer.reset}
DATA = bytes(range(256)) * 400


@pytest.fixture(params=["client", "pacs"])
def first(request: pytest.FixtureRequest) -> str:
    """The end that is lost."""
    return str(request.param)


@pytest.fixture(params=VANISH)
def vanish(request: pytest.FixtureRequest) -> Callable[[Peer], None]:
    return VANISH[request.param]


@contextlib.contextmanager
def soon() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SOON


def stream(first: str) -> bytes:
    """A message that this end may send."""
    return message(1, STORE if first == "client" else MATCH, DATA)


def boundary(data: bytes, near: int) -> int:
    """Where the last whole PDU of so many bytes ends."""
    whole, _ = split_pdus(data[:near])
    return sum(6 + len(pdu.body) for pdu in whole)


async def idle(pair: Pair, lost: Peer, other: Peer) -> None:
    """Nothing is under way."""


async def after_a_message(pair: Pair, lost: Peer, other: Peer) -> None:
    sent = stream("client" if lost is pair.client else "pacs")
    await lost.send(sent)
    assert await other.exactly(len(sent)) == sent


async def between_two_pdus(pair: Pair, lost: Peer, other: Peer) -> None:
    sent = stream("client" if lost is pair.client else "pacs")
    cut = boundary(sent, 50_000)
    await lost.send(sent[:cut])
    assert await other.exactly(cut) == sent[:cut]


async def while_it_receives(pair: Pair, lost: Peer, other: Peer) -> None:
    sent = stream("pacs" if lost is pair.client else "client")
    await other.send(sent[:60_000])
    assert await lost.exactly(40_000)


async def while_a_release_is_asked(pair: Pair, lost: Peer, other: Peer) -> None:
    await pair.client.send(release_rq())
    await pair.pacs.expect(RELEASE_RQ)


PHASES = [idle, after_a_message, between_two_pdus, while_it_receives, while_a_release_is_asked]


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
async def test_the_other_side_is_aborted(tmp_path, first, vanish, phase):
    async with joined(tmp_path) as (running, pair):
        await pair.find()
        lost, other = pair.ends(first)
        await phase(pair, lost, other)
        vanish(lost)
        with soon():
            assert await other.expect_abort() == (2, 0)
        assert running.admitted == 0
        other.close()


async def test_within_a_pdu_the_other_connection_just_ends(tmp_path, first, vanish):
    """Anything said there would be taken for data; and what is half is never made whole."""
    async with joined(tmp_path) as (running, pair):
        await pair.find()
        lost, other = pair.ends(first)
        sent = stream(first)[:-100]
        await lost.send(sent)
        assert await other.exactly(len(sent)) == sent
        vanish(lost)
        with soon():
            assert await other.exactly(1 << 20) == b""
        assert running.admitted == 0


async def test_both_at_once(tmp_path, vanish):
    async with joined(tmp_path) as (running, pair):
        vanish(pair.client)
        vanish(pair.pacs)
        await running.empty()


async def test_client_behind_its_last_bytes(tmp_path):
    """They and the reset are there at once; what was sent still goes on."""
    async with joined(tmp_path) as (_, pair):
        sent = stream("client")[:30_000]
        sent = sent[: boundary(sent, len(sent))]
        assert pair.client.socket.send(sent) == len(sent)
        pair.client.reset()
        with soon():
            assert await pair.pacs.exactly(len(sent)) == sent
            assert await pair.pacs.expect_abort() == (2, 0)
        pair.pacs.close()


async def test_pacs_aborts_in_the_middle_of_an_object(tmp_path):
    """As one does whose disk is full: its A-ABORT, then a reset, because it had not read everything."""
    async with joined(tmp_path) as (_, pair):
        sent = stream("client")
        await pair.client.send(sent[:60_000])
        assert await pair.pacs.exactly(20_000) == sent[:20_000]
        pair.client.socket.send(sent[60_000:])
        pair.pacs.socket.send(abort(0, 0))
        pair.pacs.reset()
        with soon():
            assert await pair.client.expect_abort() == (0, 0)
        pair.client.close()


async def test_client_while_its_pacs_does_not_read(tmp_path, vanish):
    """It is noticed when the PACS has read what had come; that is no whole object."""
    whole = message(1, STORE, DATA * 200, 120_000)
    async with joined(tmp_path, receive_buffer=4096) as (running, pair):
        sending = asyncio.create_task(pair.client.send(whole))
        near = pair.transport(pair.client)
        await eventually(lambda: not near._reading, "the client is held back")
        sending.cancel()
        await asyncio.wait({sending})
        vanish(pair.client)
        got = await pair.pacs.exactly(len(whole))
        said = split_pdus(got)[0][-1]
        if said.kind == 7:
            got = got[:-10]
        assert whole.startswith(got)
        assert len(got) < len(whole)
        await running.empty()


async def test_pacs_while_it_does_not_read(tmp_path, vanish):
    async with joined(tmp_path, receive_buffer=4096) as (_, pair):
        sending = asyncio.create_task(pair.client.send(message(1, STORE, DATA * 200, 120_000)))
        near = pair.transport(pair.client)
        await eventually(lambda: not near._reading, "the client is held back")
        vanish(pair.pacs)
        with soon():
            assert await pair.client.expect_abort() == (2, 0)
        sending.cancel()
        await asyncio.wait({sending})
        pair.client.close()


# Before the association stands ---------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", REQUEST[:50]])
async def test_client_before_its_request(tmp_path, log, vanish, sent):
    async with serving(tmp_path) as (running, _):
        client = await Peer.connect(running.port())
        await client.send(sent)
        await eventually(lambda: running.sessions, "the relay has accepted")
        vanish(client)
        await running.empty()
    (line,) = log.lines("connection ended")
    assert line["outcome"] == "closed without asking for an association"
    assert line["level"] == "info"


async def test_client_while_the_pacs_is_called(tmp_path, vanish):
    with BlackHole() as hole:
        async with relay(tmp_path, config(hole.port)) as running:
            client = await Peer.connect(running.port())
            await client.send(REQUEST)
            await eventually(lambda: running.admitted, "the request is forwarded")
            (opening,) = running.session._opening.values()
            vanish(client)
            with soon():
                await running.empty()
            await eventually(opening.cancelled, "nobody is called any more")


async def test_client_while_the_pacs_thinks(tmp_path, vanish):
    async with serving(tmp_path) as (running, acceptor):
        async with asking(running, acceptor) as (client, pacs, _):
            vanish(client)
            with soon():
                assert await pacs.expect_abort() == (2, 0)
        await running.empty()


async def test_pacs_instead_of_an_answer(tmp_path, vanish):
    async with serving(tmp_path) as (running, acceptor):
        async with asking(running, acceptor) as (client, pacs, _):
            vanish(pacs)
            with soon():
                assert await client.expect(RJ) == bytes([0, 2, 3, 1])
        await running.empty()


async def test_pacs_right_behind_its_answer(tmp_path):
    async with serving(tmp_path) as (running, acceptor):
        async with asking(running, acceptor) as (client, pacs, asked):
            pacs.socket.send(associate_ac(asked))
            pacs.reset()
            with soon():
                await client.expect(2)
                assert await client.expect_abort() == (2, 0)
        await running.empty()


# After it ------------------------------------------------------------------------------------------


async def test_each_end_after_the_release(tmp_path, first, vanish):
    async with joined(tmp_path) as (running, pair):
        asker, asked = pair.ends(first)
        await asker.send(release_rq())
        await asked.expect(RELEASE_RQ)
        await asked.send(release_rp())
        await asker.expect(RELEASE_RP)
        vanish(asker)
        vanish(asked)
        await running.empty()


async def test_one_association_is_lost_and_another_goes_on(tmp_path, first, vanish):
    async with serving(tmp_path) as (running, acceptor):
        async with associated(running, acceptor) as good, associated(running, acceptor) as bad:
            lost, _ = bad.ends(first)
            await good.store(DATA)
            await lost.send(stream(first)[:5000])
            vanish(lost)
            await eventually(lambda: running.admitted == 1, "the loss is seen")
            bad.close()
            await good.store(DATA)
            assert running.admitted == 1
            await good.release()
        await running.empty()
