"""A connection over TLS that stands, against a peer that speaks it record by record."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from tests.pki import Authority
from tests.shell.peers import eventually
from tests.shell.secure_ends import ROLES, VERSIONS, Contexts, SecureOwner, secured
from tests.shell.secure_peer import CLOSED, CUT
from tests.shell.test_transport import BIG, pair
from ulproxy.shell import secure as module
from ulproxy.shell.secure import AT_ONCE, Secure
from ulproxy.shell.transport import RECEIVE_BUFFER


@pytest.fixture(scope="module")
def contexts(tmp_path_factory) -> Contexts:
    return Contexts(Authority.new(tmp_path_factory.mktemp("pki")))


# Reading -------------------------------------------------------------------------------------------


async def test_reading_stops_and_goes_on(contexts):
    async with secured(contexts) as ends:
        ends.owner.stop = True
        await ends.peer.send(b"one")
        await ends.got(b"one")
        await ends.peer.send(b"two")
        await asyncio.sleep(0.02)
        assert ends.owner.data == b"one"
        ends.link.read(wanted=True)
        await ends.got(b"onetwo")


async def test_reading_stops_within_what_came(contexts):
    """A small buffer takes several turns; each of them may be the last for now."""
    async with secured(contexts, size=100) as ends:
        ends.owner.stop = True
        whole = BIG[:20_000]
        await ends.peer.send(whole)
        while len(ends.owner.data) < len(whole):
            await asyncio.sleep(0)
            before = len(ends.owner.data)
            ends.link.read(wanted=True)
            ends.link.read(wanted=False)
            await asyncio.sleep(0)
            assert len(ends.owner.data) == before
            ends.link.read(wanted=True)
            await eventually(lambda: len(ends.owner.data) > before, "more comes")  # noqa: B023
            assert len(ends.owner.data) <= before + 100
        assert ends.owner.data == whole


async def test_what_comes_is_handed_on_in_few_pieces(contexts):
    """Many records of one read are one piece."""
    async with secured(contexts) as ends:
        ends.link.read(wanted=False)
        for _ in range(100):
            ends.peer.tls.write(bytes(100))
        await ends.peer.flush()
        await asyncio.sleep(0.02)
        ends.link.read(wanted=True)
        await ends.got(bytes(10_000))
        assert ends.owner.reads == [10_000]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("at_once", [700, 5_000, AT_ONCE])
@pytest.mark.parametrize("size", [1_000, 20_000, RECEIVE_BUFFER])
async def test_records_do_not_fit_reads(contexts, monkeypatch, size, at_once, version):
    """What is decrypted goes where the read has brought it, and never onto what is still to be decrypted."""
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    chance = random.Random(size + at_once)
    async with secured(contexts, version=version, size=size) as ends:
        at = 0
        while at < len(BIG) // 4:
            record = chance.choice([1, 100, 1 << 14])
            ends.peer.tls.write(BIG[at : at + record])
            at += record
        encrypted = ends.peer.outgoing.read()
        while encrypted:
            piece = chance.choice([1, 5, 3_000, 50_000, 300_000])
            await ends.plain.send(encrypted[:piece])
            encrypted = encrypted[piece:]
        await ends.got(BIG[:at])
        assert max(ends.owner.reads) <= size


async def test_the_record_that_the_read_before_left_half(contexts):
    """It goes on with what the next one brings, in one piece."""
    async with secured(contexts) as ends:
        ends.peer.tls.write(bytes(1 << 14))
        half = ends.peer.outgoing.read()
        await ends.plain.send(half[:-1])
        await asyncio.sleep(0.02)
        ends.peer.tls.write(bytes(40_000))
        await ends.plain.send(half[-1:] + ends.peer.outgoing.read())
        await ends.got(bytes((1 << 14) + 40_000))
        assert ends.owner.reads == [(1 << 14) + 40_000]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("version", VERSIONS)
async def test_much_in_both_directions(contexts, role, version):
    async with secured(contexts, role, version) as ends:
        await asyncio.gather(ends.peer.send(BIG), ends.got(BIG))
        # Never full, which would be a second and a small piece of what one read brought.
        assert AT_ONCE < max(ends.owner.reads) < RECEIVE_BUFFER
        ends.link.write([BIG])
        assert await ends.peer.exactly(len(BIG)) == BIG
        await eventually(lambda: ends.link.unsent == 0, "everything is sent")
        assert ends.owner.written_calls > 1


async def test_a_peer_that_reads_nothing_is_not_read(contexts, monkeypatch):
    """TLS itself may have to answer it: that does not pile up."""
    monkeypatch.setattr(module, "MAX_UNSENT", 1000)
    async with secured(contexts) as ends:
        await ends.fill()
        await ends.peer.send(b"one")
        await ends.got(b"one")
        await ends.peer.send(b"two")
        await asyncio.sleep(0.02)
        assert ends.owner.data == b"one"
        assert await ends.peer.exactly(len(BIG)) == BIG
        await ends.got(b"onetwo")


# Writing -------------------------------------------------------------------------------------------


async def test_small_pieces_are_one_record(contexts):
    async with secured(contexts) as ends:
        ends.link.write([b"x"] * 1000)
        assert ends.link.unsent == 0
        record = await ends.plain.exactly(5)
        assert int.from_bytes(record[3:]) > 1000
        ends.peer.incoming.write(record)
        assert await ends.peer.exactly(1000) == b"x" * 1000


async def test_nothing_is_no_record(contexts):
    async with secured(contexts) as ends:
        ends.link.write([b"", b""])
        ends.link.write([b"something"])
        assert await ends.peer.exactly(9) == b"something"


async def test_what_is_kept_is_a_copy(contexts):
    async with secured(contexts) as ends:
        await ends.fill()
        view = memoryview(bytearray(b"the buffer"))
        ends.link.write([view])
        view[:] = b"overwrites"
        got = await ends.peer.exactly(len(BIG) + len(view))
        assert got[-len(view) :] == b"the buffer"


# The end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
async def test_peer_says_goodbye(contexts, version):
    """What it said before, in the same read too, is heard; and it gets the same from us."""
    async with secured(contexts, version=version) as ends:
        ends.peer.tls.write(b"bye")
        await ends.peer.say_goodbye()
        assert await ends.lost() == "closed"
        assert ends.owner.data == b"bye"
        assert await ends.peer.ending() == CLOSED


async def test_goodbye_waits_until_reading_is_wanted(contexts):
    async with secured(contexts) as ends:
        ends.owner.stop = True
        ends.peer.tls.write(b"bye")
        await ends.peer.say_goodbye()
        await ends.got(b"bye")
        await asyncio.sleep(0.02)
        assert ends.owner.lost == []
        ends.link.read(wanted=True)
        assert await ends.lost() == "closed"


async def test_connection_is_cut(contexts):
    """RFC 8446 6.1: without close_notify nobody knows whether that was all."""
    async with secured(contexts) as ends:
        await ends.peer.send(b"half of")
        ends.plain.close()
        assert await ends.lost() == "closed without close_notify"
        assert ends.owner.data == b"half of"


async def test_peer_resets(contexts):
    async with secured(contexts) as ends:
        ends.plain.reset()
        assert await ends.lost() == "Connection reset by peer"


async def test_record_that_was_tampered_with(contexts):
    """What came before it counts; the peer gets the alert."""
    async with secured(contexts) as ends:
        ends.peer.tls.write(b"good")
        good = ends.peer.outgoing.read()
        ends.peer.tls.write(b"forged")
        forged = bytearray(ends.peer.outgoing.read())
        forged[-1] ^= 1
        await ends.plain.send(good + forged)
        assert await ends.lost() == "decryption failed or bad record mac"
        assert ends.owner.data == b"good"
        assert await ends.peer.ending() == "the peer refused with the alert bad_record_mac"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("version", VERSIONS)
async def test_answer_to_what_comes_before_a_broken_record(contexts, role, version):
    """TLS is broken by then: nothing is sent any more, and the loss is reported behind the answer."""
    async with secured(contexts, role, version) as ends:
        ends.owner.answer = b"answer"
        ends.peer.tls.write(b"question")
        question = ends.peer.outgoing.read()
        await ends.plain.send(question + b"\x17\x03\x03\x00\x20" + bytes(32))
        await ends.got(b"question")
        assert await ends.lost() == "decryption failed or bad record mac"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("version", VERSIONS)
async def test_close_says_goodbye(contexts, role, version):
    async with secured(contexts, role, version) as ends:
        ends.link.write([b"last words"])
        ends.link.close()
        assert await ends.peer.exactly(10) == b"last words"
        assert await ends.peer.ending() == CLOSED
        assert ends.owner.lost == []


async def test_close_with_bytes_unsent_is_no_goodbye(contexts):
    """The peer must not take what came for all."""
    async with secured(contexts) as ends:
        await ends.fill()
        ends.link.close()
        assert ends.link.unsent == 0
        assert await ends.peer.ending() == CUT


async def test_close_while_it_reports(contexts):
    async with secured(contexts) as ends:
        ends.owner.close = True
        ends.peer.tls.write(b"last")
        ends.peer.tls.write(b"words")
        await ends.peer.say_goodbye()
        await ends.got(b"lastwords")
        assert await ends.peer.ending() == CLOSED
        assert ends.owner.lost == []


async def test_write_to_a_connection_that_is_gone(contexts):
    """Reported once and later: whoever writes is in the middle of something."""
    async with secured(contexts) as ends:
        ends.link.read(wanted=False)
        ends.plain.reset()
        await asyncio.sleep(0.02)
        ends.link.write([BIG])
        ends.link.write([b"two", b"three"])
        assert ends.owner.lost == []
        await ends.lost()
        await asyncio.sleep(0.02)
        assert len(ends.owner.lost) == 1


async def test_socket_that_is_gone_already(contexts):
    near, far = pair()
    far.close()
    near.close()
    loop = asyncio.get_running_loop()
    with pytest.raises(OSError, match="Bad file descriptor"):
        Secure(loop, near, memoryview(bytearray(100)), SecureOwner(), contexts.listening)
    assert isinstance(near, socket.socket)
