"""The beginning of a connection over TLS: the handshake, in either role and version, and what is no TLS."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl

import pytest

from tests.pki import Authority
from tests.relay.hospital import RQ
from tests.shell.peers import eventually
from tests.shell.secure_ends import ROLES, VERSIONS, Contexts, SecureOwner, linked, secured
from tests.shell.secure_peer import CLOSED, SecurePeer
from ulproxy.policy.model import AeTls, ListenerTls
from ulproxy.shell.secure import Secure
from ulproxy.shell.tls import calling, identities, listening


@pytest.fixture(scope="module")
def contexts(tmp_path_factory) -> Contexts:
    return Contexts(Authority.new(tmp_path_factory.mktemp("pki")))


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


def damaged(data: bytes, chance: random.Random) -> bytes:
    """With bytes changed, left out, put in or said twice."""
    hurt = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        at, length = chance.randrange(len(hurt) + 1), chance.randrange(1, 50)
        some = chance.randbytes(length)
        change = chance.choice([some[:1], b"", some, bytes(hurt[at : at + length])])
        hurt[at : at + (length if change == b"" else len(change) % 2)] = change
    return bytes(hurt)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("seed", range(40))
async def test_damage(contexts, role, seed):
    """Whatever a peer says from some flight of its handshake on: it is waited for, or lost in words."""
    chance = random.Random(seed)
    with linked(contexts, role, chance.choice(VERSIONS)) as ends:
        peer, whole = ends.peer, chance.randrange(4)
        await asyncio.sleep(0)
        for flight in range(6):
            with contextlib.suppress(ssl.SSLError):
                peer.tls.do_handshake()
                peer.tls.write(b"hello")
            said = peer.outgoing.read()
            with contextlib.suppress(OSError):
                ends.plain.socket.send(
                    said if flight < whole or not said else damaged(said, chance)
                )
            await asyncio.sleep(0.001)
            with contextlib.suppress(OSError):
                peer.incoming.write(ends.plain.socket.recv(1 << 16))
        assert len(ends.owner.lost) <= 1
        assert all(text and "_ssl.c" not in text for text in ends.owner.lost)
