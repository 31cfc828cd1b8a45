"""One connection over TLS, in either role and version, against a peer that speaks it record by record."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.pki import Authority
from tests.relay.hospital import RQ
from tests.shell.peers import Peer, eventually
from tests.shell.secure_peer import CLOSED, CUT, SecurePeer
from tests.shell.test_transport import BIG, Owner, pair
from ulproxy.policy.model import AeTls, ListenerTls
from ulproxy.shell import secure as module
from ulproxy.shell.secure import AT_ONCE, Secure
from ulproxy.shell.tls import calling, identities, listening
from ulproxy.shell.transport import RECEIVE_BUFFER, Link

ROLES = ["accepted", "called"]
VERSIONS = ["TLSv1_2", "TLSv1_3"]


class SecureOwner(Owner):
    """Wants to read from the handshake on, if `wants`; says `greeting` then."""

    def __init__(self) -> None:
        super().__init__()
        self.secured_calls = 0
        self.wants = True
        self.greeting = b""
        self.close_when_secured = False
        self.answer = b""

    def secured(self, link: Secure) -> None:
        self.secured_calls += 1
        if self.close_when_secured:
            link.close()
        if self.greeting:
            link.write([self.greeting])
        link.read(wanted=self.wants)

    def data_received(self, link: Link, data: memoryview) -> None:
        assert self.secured_calls
        super().data_received(link, data)
        if self.answer:
            link.write([self.answer])


class Contexts:
    """The relay's own, and those of a peer, for both roles."""

    def __init__(self, ca: Authority) -> None:
        self.ca = ca
        self.own, self.other = ca.issue("relay"), ca.issue("device")
        self.listening = self.accepting(self.own)
        self.calling = self.asking(self.own)

    def accepting(self, own: Any) -> ssl.SSLContext:
        return listening(
            ListenerTls(
                certificate=own.pem, key=own.key, ca=self.ca.pem, client_certificate="optional"
            )
        )

    def asking(self, own: Any) -> ssl.SSLContext:
        return calling(AeTls(ca=self.ca.pem, certificate=own.pem, key=own.key))


@pytest.fixture(scope="module")
def contexts(tmp_path_factory) -> Contexts:
    return Contexts(Authority.new(tmp_path_factory.mktemp("pki")))


class Ends:
    """A link, who owns it, and the peer at the other end."""

    def __init__(self, contexts: Contexts, role: str, version: str, size: int) -> None:
        near, far = pair()
        self.owner = SecureOwner()
        self.socket = near
        self.role = role
        buffer = memoryview(bytearray(size))
        loop = asyncio.get_running_loop()
        ours = contexts.listening if role == "accepted" else contexts.calling
        host = None if role == "accepted" else "127.0.0.1"
        self.link = Secure(loop, near, buffer, self.owner, ours, host)
        self.plain = Peer(far)
        if role == "accepted":
            theirs, host = contexts.asking(contexts.other), "127.0.0.1"
        else:
            theirs, host = contexts.accepting(contexts.other), None
        theirs.maximum_version = ssl.TLSVersion[version]
        self.peer = SecurePeer(self.plain, theirs, host)

    async def secured(self) -> None:
        await self.peer.shake_hands()
        await eventually(lambda: self.owner.secured_calls, "the handshake is done")

    async def got(self, data: bytes) -> None:
        await eventually(lambda: len(self.owner.data) >= len(data), "the bytes came")
        assert self.owner.data == data

    async def lost(self) -> str:
        await eventually(lambda: self.owner.lost, "the loss is reported")
        (text,) = self.owner.lost
        return text

    async def fill(self) -> None:
        """Write until the peer's side takes no more."""
        self.link.write([BIG])
        assert self.link.unsent > 0


@contextlib.contextmanager
def linked(
    contexts: Contexts, role: str = "accepted", version: str = "TLSv1_3", size: int = RECEIVE_BUFFER
) -> Iterator[Ends]:
    ends = Ends(contexts, role, version, size)
    with ends.plain:
        yield ends
        ends.link.close()
        assert ends.socket.fileno() == -1


@contextlib.asynccontextmanager
async def secured(
    contexts: Contexts, role: str = "accepted", version: str = "TLSv1_3", size: int = RECEIVE_BUFFER
) -> AsyncIterator[Ends]:
    with linked(contexts, role, version, size) as ends:
        await ends.secured()
        yield ends


# The handshake -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("version", VERSIONS)
async def test_both_ways(contexts, role, version):
    async with secured(contexts, role, version) as ends:
        assert ends.link.identities == identities(contexts.other.der)
        assert ends.link.version.startswith("TLSv1.3 TLS_" if "3" in version else "TLSv1.2 ECDHE-")
        await ends.peer.send(b"question")
        await ends.got(b"question")
        ends.link.write([b"ans", memoryview(b"wer")])
        assert await ends.peer.exactly(6) == b"answer"
        assert ends.owner.secured_calls == 1


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("version", VERSIONS)
async def test_handshake_byte_by_byte(contexts, role, version):
    with linked(contexts, role, version) as ends:
        await ends.peer.shake_hands(piece=1)
        await ends.peer.send(b"hello")
        await ends.got(b"hello")


async def test_caller_without_a_certificate(contexts):
    with linked(contexts) as ends:
        context = calling(AeTls(ca=contexts.ca.pem))
        ends.peer = SecurePeer(ends.plain, context, "127.0.0.1")
        await ends.secured()
        assert ends.link.identities == frozenset()


async def test_nothing_is_read_until_it_is_wanted(contexts):
    with linked(contexts) as ends:
        ends.owner.wants = False
        await ends.secured()
        await ends.peer.send(b"early")
        await asyncio.sleep(0.02)
        assert ends.owner.reads == []
        ends.link.read(wanted=True)
        ends.link.read(wanted=True)
        await ends.got(b"early")


@pytest.mark.parametrize("wants", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
async def test_bytes_right_behind_the_handshake(contexts, version, wants):
    """They came in the same read, and wait until they are wanted."""
    with linked(contexts, "accepted", version) as ends:
        ends.owner.wants = wants
        await ends.peer.shake_hands(hold="3" in version)
        await ends.peer.send(b"at once")
        await eventually(lambda: ends.owner.secured_calls, "the handshake is done")
        if not wants:
            await asyncio.sleep(0.02)
            assert ends.owner.reads == []
            ends.link.read(wanted=True)
        await ends.got(b"at once")


async def test_owner_changes_with_the_handshake(contexts):
    with linked(contexts) as ends:
        first, ends.owner = ends.owner, SecureOwner()

        def hand_on(link: Secure) -> None:
            link.owner = ends.owner
            ends.owner.secured(link)

        first.secured = hand_on  # type: ignore[method-assign]
        await ends.secured()
        await ends.peer.send(b"to the second")
        await ends.got(b"to the second")
        assert first.reads == []


@pytest.mark.parametrize("role", ROLES)
async def test_written_before_the_handshake(contexts, role):
    with linked(contexts, role) as ends:
        ends.owner.greeting = b" then this"
        ends.link.write([b"first ", memoryview(b"that,")])
        assert ends.link.unsent == 11
        await ends.secured()
        assert await ends.peer.exactly(21) == b"first that, then this"
        assert ends.link.unsent == 0


async def test_closed_when_the_handshake_is_done(contexts):
    with linked(contexts) as ends:
        ends.owner.close_when_secured = True
        await ends.peer.shake_hands(hold=True)
        await ends.peer.send(b"unheard")
        assert await ends.peer.ending() == CLOSED
        assert (ends.owner.reads, ends.owner.lost) == ([], [])


@pytest.mark.parametrize("role", ROLES)
async def test_closed_before_the_handshake(contexts, role):
    with linked(contexts, role) as ends:
        ends.link.close()
        ends.link.close()
        ends.link.write([b"late"])
        ends.link.read(wanted=True)
        await asyncio.sleep(0.02)
        assert (ends.owner.lost, ends.owner.secured_calls) == ([], 0)
        assert await ends.plain.exactly(1) == b""


@pytest.mark.parametrize("role", ROLES)
async def test_peer_goes_in_the_handshake(contexts, role):
    with linked(contexts, role) as ends:
        ends.plain.close()
        assert await ends.lost() == "closed in the TLS handshake"


async def test_certificate_of_the_caller_is_refused(contexts, tmp_path):
    with linked(contexts, "accepted") as ends:
        stranger = Authority.new(tmp_path, "other").issue("stranger")
        context = calling(AeTls(ca=contexts.ca.pem, certificate=stranger.pem, key=stranger.key))
        ends.peer = SecurePeer(ends.plain, context, "127.0.0.1")
        await ends.peer.shake_hands()
        why = "the peer's certificate is refused: the CA that signed it is not in ca"
        assert await ends.lost() == why
        alert = "the peer refused with the alert unknown_ca"
        assert (await ends.peer.ending()).startswith(alert)
        assert ends.owner.secured_calls == 0


async def test_certificate_of_the_called_is_refused(contexts, tmp_path):
    with linked(contexts, "called") as ends:
        stranger = Authority.new(tmp_path, "other").issue("stranger")
        ends.peer = SecurePeer(ends.plain, contexts.accepting(stranger))
        with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
            await ends.peer.shake_hands()
        why = "the peer's certificate is refused: the CA that signed it is not in ca"
        assert await ends.lost() == why


async def test_our_certificate_is_refused(contexts, tmp_path):
    """With TLS 1.3 that is heard when the handshake is long done."""
    with linked(contexts, "called") as ends:
        other = Authority.new(tmp_path, "other")
        tls = ListenerTls(
            certificate=contexts.other.pem,
            key=contexts.other.key,
            ca=other.pem,
            client_certificate="required",
        )
        ends.peer = SecurePeer(ends.plain, listening(tls))
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            await ends.peer.shake_hands()
        await ends.peer.flush()
        assert await ends.lost() == (
            "the peer refused with the alert unknown_ca: "
            "it does not trust who signed our certificate"
        )
        assert ends.owner.secured_calls == 1


# What is no TLS ------------------------------------------------------------------------------------


FOREIGN = {
    "plain DICOM on a TLS port": RQ,
    "HTTP on a TLS port": b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
    "SSH on a TLS port": b"SSH-2.0-OpenSSH_9.6\r\n",
    "an unknown protocol (00 01 02 03 04 05 06 07) on a TLS port": bytes(range(100)),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("piece", [1, 1000])
async def test_what_is_spoken_instead_is_named_and_not_answered(contexts, name, piece):
    with linked(contexts) as ends:
        said = FOREIGN[name][: 8 if piece == 1 else None]
        for at in range(0, len(said), piece):
            await ends.plain.send(said[at : at + piece])
        assert await ends.lost() == name
        assert await ends.plain.exactly(1) == b""


async def test_too_little_to_be_named(contexts):
    with linked(contexts) as ends:
        await ends.plain.send(b"GE")
        await asyncio.sleep(0.02)
        assert ends.owner.lost == []
        ends.plain.close()
        assert await ends.lost() == "an unknown protocol (47 45) on a TLS port"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (bytes.fromhex("07 00 00000004 0000 0200"), "DICOM"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
    ],
)
async def test_an_ae_without_tls_is_called(contexts, said, name):
    with linked(contexts, "called") as ends:
        await ends.plain.send(said)
        assert await ends.lost() == f"the peer speaks no TLS: it answers with {name}"


async def test_garbage_that_begins_like_tls(contexts):
    with linked(contexts) as ends:
        await ends.plain.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00" + bytes(20))
        await ends.lost()
        assert ends.owner.secured_calls == 0


async def test_an_older_version(contexts):
    """A ClientHello of TLS 1.1 gets the alert that says so."""
    with linked(contexts) as ends:
        random = bytes(32)
        body = b"\x03\x02" + random + b"\x00" + b"\x00\x02\xc0\x13" + b"\x01\x00"
        hello = b"\x01" + len(body).to_bytes(3) + body
        await ends.plain.send(b"\x16\x03\x01" + len(hello).to_bytes(2) + hello)
        assert await ends.lost() == "the peer speaks neither TLS 1.2 nor 1.3"
        alert = await ends.plain.exactly(7)
        assert (alert[0], alert[5:]) == (0x15, bytes([2, 70]))  # fatal, protocol_version


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


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("version", VERSIONS)
async def test_much_in_both_directions(contexts, role, version):
    async with secured(contexts, role, version) as ends:
        await asyncio.gather(ends.peer.send(BIG), ends.got(BIG))
        assert max(ends.owner.reads) <= AT_ONCE + (1 << 14)
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
