"""Associations over TLS on both sides: who is let in, and how long it may take."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl

import pytest

from tests.end_to_end.wire import RJ
from tests.pki import DAY, LOCALHOST, Authority
from tests.shell.peers import Peer, eventually
from tests.shell.relay import REQUEST
from tests.shell.secure_peer import CLOSED, SecurePeer
from tests.shell.tls_world import World, associated, called, pdu, serving, stored, untouched
from ulproxy.policy.model import AeTls
from ulproxy.shell.tls import calling, identities


@pytest.fixture
def world(tmp_path) -> World:
    ca = Authority.new(tmp_path)
    return World(tmp_path, ca, ca.issue("scu"), ca.issue("pacs"))


# Who is let in -------------------------------------------------------------------------------------


async def test_tls_on_both_sides(world, log):
    async with (
        serving(world) as (running, acceptor),
        associated(world, running, acceptor) as (client, pacs),
    ):
        await stored(client, pacs, bytes(range(256)) * 20_000)
        own = client.tls.getpeercert(binary_form=True)
        assert own == pacs.tls.getpeercert(binary_form=True)
        assert own is not None
        assert identities(own) >= set(LOCALHOST)
    (line,) = log.lines("association established")
    assert line["tls"].startswith("TLSv1.3 TLS_")
    assert len({line["id"] for line in log.lines() if "id" in line}) == 1


@pytest.mark.parametrize("known_by", ["certificate", "public key", "name"])
@pytest.mark.parametrize("whose", ["own", "another's"])
async def test_certificate_bound_to_an_ae(world, known_by, whose):
    """Of the right CA, but another AE's: the answer is that of an unknown caller."""
    own = world.ca.issue("bound", ["scu.example"])
    names = identities(own.der)
    renewed = identities(world.ca.issue("renewed", key=own.private_key).der)
    (name,) = {
        "certificate": names - renewed - {"scu.example"},
        "public key": names & renewed,
        "name": {"scu.example"},
    }[known_by]
    async with (
        serving(world, scu={"certificate": name}) as (running, acceptor),
        called(running, world.client(own if whose == "own" else None)) as client,
    ):
        if whose == "own":
            (await acceptor.accept()).close()
            assert await pdu(client, RJ) == bytes([0, 2, 3, 1])
        else:
            assert await pdu(client, RJ) == bytes([0, 1, 1, 3])
            assert untouched(acceptor)


async def test_nobody_is_asked_for_a_certificate(world):
    """Then none counts, and an AE is known by its title and address."""
    bound = {"certificate": "scu.example"}
    listener = {"client_certificate": "none"}
    async with (
        serving(world, scu=bound, listener=listener) as (running, acceptor),
        called(running, calling(AeTls(ca=world.ca.pem))) as client,
    ):
        (await acceptor.accept()).close()
        assert await pdu(client, RJ) == bytes([0, 2, 3, 1])


async def test_optional_certificate_that_is_not_presented(world):
    bound = {"certificate": "scu.example"}
    listener = {"client_certificate": "optional"}
    async with serving(world, scu=bound, listener=listener) as (running, acceptor):
        async with called(running, calling(AeTls(ca=world.ca.pem))) as client:
            assert await pdu(client, RJ) == bytes([0, 1, 1, 3])
        assert untouched(acceptor)


@pytest.mark.parametrize("kind", ["expired", "stranger", "none"])
async def test_refused_in_the_handshake(world, log, kind, tmp_path):
    """One line says why, and nothing goes onward."""
    if kind == "none":
        context = calling(AeTls(ca=world.ca.pem))
        why = "the peer presented no certificate"
    elif kind == "expired":
        context = world.client(world.ca.issue("old", valid=(-2 * DAY, -DAY)))
        why = "the peer's certificate is refused: certificate has expired"
    else:
        (tmp_path / "other").mkdir()
        context = world.client(Authority.new(tmp_path / "other", "other").issue("x"))
        why = "the peer's certificate is refused: the CA that signed it is not in ca"
    async with serving(world) as (running, acceptor):
        async with called(running, context) as client:
            assert (await client.ending()).startswith("the peer refused with the alert ")
        assert untouched(acceptor)
    (line,) = log.lines("connection ended")
    assert line["outcome"] == f"no TLS session: {why}"
    assert {"id", "network", "peer", "seconds"} < line.keys()


@pytest.mark.parametrize(
    ("said", "name"), [(REQUEST, "plain DICOM"), (b"GET / HTTP/1.1\r\n\r\n", "HTTP")]
)
async def test_no_tls_on_a_tls_port(world, log, said, name):
    async with serving(world) as (running, acceptor):
        with await Peer.connect(running.port()) as client:
            await client.send(said)
            assert await client.exactly(1) == b""
        assert untouched(acceptor)
    (line,) = log.lines("connection ended")
    assert line["outcome"] == f"no TLS session: {name} on a TLS port"


async def test_tls_on_a_plain_port(world, log):
    """It gets an A-ABORT in plain text, and no TLS."""
    async with serving(world) as (running, _):
        with await Peer.connect(running.port("east")) as plain:
            peer = SecurePeer(plain, world.client(), "127.0.0.1")
            with pytest.raises(ssl.SSLError):
                await peer.shake_hands()
    (line,) = log.lines("connection ended")
    assert line["outcome"].startswith("no A-ASSOCIATE-RQ: TLS on a plain port")


# How long it may take ------------------------------------------------------------------------------


async def test_artim_over_the_handshake(world, log):
    async with serving(world) as (running, _):
        with await Peer.connect(running.port()) as client:
            await eventually(lambda: running.server._handshakes, "it is accepted")
            running.pass_time(29.9)
            assert running.server._pending.total == 1
            running.pass_time(0.1)
            assert running.server._pending.total == 0
            assert await client.exactly(1) == b""
    (line,) = log.lines("connection ended")
    assert line["outcome"] == "no TLS session: no TLS handshake in time (artim)"
    assert line["seconds"] == 30.0


async def test_artim_over_handshake_and_request_together(world, log):
    async with serving(world) as (running, _):
        with await Peer.connect(running.port()) as plain:
            await eventually(lambda: running.server._handshakes, "it is accepted")
            running.pass_time(20.0)
            client = SecurePeer(plain, world.client(), "127.0.0.1")
            await client.shake_hands()
            await eventually(lambda: running.sessions, "it is a session")
            assert running.server._pending.total == 1
            running.pass_time(9.9)
            assert running.sessions
            running.pass_time(0.1)
            assert await client.ending() == CLOSED
    (line,) = log.lines("connection ended")
    assert line["outcome"] == "no A-ASSOCIATE-RQ in time"
    assert line["seconds"] == 30.0


async def test_artim_after_the_association_is_whole_again(world):
    async with serving(world) as (running, _):
        with await Peer.connect(running.port()) as plain:
            await eventually(lambda: running.server._handshakes, "it is accepted")
            running.pass_time(20.0)
            client = SecurePeer(plain, world.client(), "127.0.0.1")
            await client.shake_hands()
            await client.send(REQUEST[:10] + b"NOWHERE         " + REQUEST[26:])
            assert await pdu(client, RJ) == bytes([0, 1, 1, 7])
            running.pass_time(29.9)
            assert running.sessions
            running.pass_time(0.1)
            assert not running.sessions


async def test_handshakes_count_as_connections_without_an_association(world, log):
    async with (
        serving(world, limits={"pending": 2}) as (running, _),
        contextlib.AsyncExitStack() as stack,
    ):
        peers = [stack.enter_context(await Peer.connect(running.port())) for _ in range(3)]
        assert await peers[0].exactly(1) == b""
        await eventually(lambda: running.server._pending.total == 2, "the others are pending")
    lines = log.lines("connection ended")
    assert lines[0]["outcome"] == "no TLS session: too many connections without an association"


async def test_stop_in_the_handshake(world, log):
    async with serving(world) as (running, _):
        with await Peer.connect(running.port()) as client:
            await eventually(lambda: running.server._handshakes, "it is accepted")
            os.kill(os.getpid(), signal.SIGTERM)
            assert await client.exactly(1) == b""
    (line,) = log.lines("connection ended")
    assert line["outcome"] == "no TLS session: the relay stops"
