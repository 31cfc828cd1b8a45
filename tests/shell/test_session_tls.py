"""Associations over TLS on both sides: who is let in, for how long it may take, what is called onward."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.peers import Table, toml
from tests.end_to_end.wire import AC, RJ, RQ, associate_ac, message, parse_associate
from tests.pki import DAY, LOCALHOST, Authority, Credentials
from tests.shell.peers import Acceptor, Peer, eventually
from tests.shell.relay import LONG_PDUS, REQUEST, STORE, STORED, Log, Relay, config, relay
from tests.shell.secure_peer import CLOSED, SecurePeer
from ulproxy.errors import ConfigError
from ulproxy.policy.config import load
from ulproxy.policy.model import AeTls, ListenerTls
from ulproxy.shell.server import Server
from ulproxy.shell.tls import calling, identities, listening


@dataclass
class World:
    """A relay between two networks with TLS, and who has which certificate."""

    directory: Path
    ca: Authority
    scu: Credentials
    pacs: Credentials

    def config(self, port: int, **tables: Any) -> Table:
        listener = tables.pop("listener", {})
        to_pacs = tables.pop("to_pacs", {})
        own = self.ca.issue("relay")
        files = {"certificate": own.pem.name, "key": own.key.name, "ca": self.ca.pem.name}
        pacs = {"tls": {**files, **to_pacs}, **tables.pop("pacs", {})}
        made = config(port, pacs=pacs, **tables)
        made["listener"][1]["tls"] = {**files, "client_certificate": "required", **listener}
        return made

    def client(self, own: Credentials | None = None) -> ssl.SSLContext:
        own = own or self.scu
        return calling(AeTls(ca=self.ca.pem, certificate=own.pem, key=own.key))

    def server(self, own: Credentials | None = None) -> ssl.SSLContext:
        own = own or self.pacs
        tls = ListenerTls(
            certificate=own.pem, key=own.key, ca=self.ca.pem, client_certificate="required"
        )
        return listening(tls)


@pytest.fixture
def world(tmp_path) -> World:
    ca = Authority.new(tmp_path)
    return World(tmp_path, ca, ca.issue("scu"), ca.issue("pacs"))


@contextlib.asynccontextmanager
async def serving(world: World, **tables: Any) -> AsyncIterator[tuple[Relay, Acceptor]]:
    with Acceptor() as acceptor:
        async with relay(world.directory, world.config(acceptor.port, **tables)) as running:
            yield running, acceptor
            await running.empty()


@contextlib.asynccontextmanager
async def called(
    running: Relay, context: ssl.SSLContext, said: bytes = REQUEST
) -> AsyncIterator[SecurePeer]:
    """A client that has connected with TLS and asked for an association."""
    with await Peer.connect(running.port()) as plain:
        peer = SecurePeer(plain, context, "127.0.0.1")
        await peer.shake_hands()
        if said:
            await peer.send(said)
        yield peer


async def pdu(peer: SecurePeer, kind: int) -> bytes:
    head = await peer.exactly(6)
    assert head[:1] == bytes([kind])
    return await peer.exactly(int.from_bytes(head[2:]))


@contextlib.asynccontextmanager
async def associated(
    world: World, running: Relay, acceptor: Acceptor
) -> AsyncIterator[tuple[SecurePeer, SecurePeer]]:
    async with called(running, world.client()) as client:
        with await acceptor.accept() as plain:
            pacs = SecurePeer(plain, world.server())
            await pacs.shake_hands()
            asked = parse_associate(await pdu(pacs, RQ))
            await pacs.send(associate_ac(asked, user=LONG_PDUS))
            await pdu(client, AC)
            yield client, pacs


async def stored(client: SecurePeer, pacs: SecurePeer, data: bytes) -> None:
    whole = message(1, STORE, data)
    await asyncio.gather(client.send(whole), _received(pacs, whole))
    await pacs.send(STORED)
    assert await client.exactly(len(STORED)) == STORED


async def _received(pacs: SecurePeer, whole: bytes) -> None:
    assert await pacs.exactly(len(whole)) == whole


def untouched(acceptor: Acceptor) -> bool:
    with contextlib.suppress(BlockingIOError):
        acceptor.socket.accept()[0].close()
        return False
    return True


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


# Onward --------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def asking(world: World, running: Relay, log: Log) -> AsyncIterator[list[str]]:
    """A client whose association cannot go onward; at the end the list has why, as the log says it."""
    why: list[str] = []
    async with called(running, world.client()) as client:
        yield why
        assert await pdu(client, RJ) == bytes([0, 2, 3, 1])
    (line,) = log.lines("association rejected")
    why.append(line["outcome"])


@pytest.mark.parametrize(
    ("valid", "hosts", "outcome"),
    [
        ((-2 * DAY, -DAY), LOCALHOST, "certificate has expired"),
        (
            (-DAY, DAY),
            ["pacs.example"],
            "IP address mismatch, certificate is not valid for '127.0.0.1'",
        ),
    ],
)
async def test_certificate_of_the_ae_is_refused(world, log, valid, hosts, outcome):
    async with serving(world) as (running, acceptor), asking(world, running, log) as why:
        with await acceptor.accept() as plain:
            pacs = SecurePeer(plain, world.server(world.ca.issue("bad", hosts, valid)))
            with contextlib.suppress(ssl.SSLError):
                await pacs.shake_hands()
            await pacs.ending()
    assert why[0].endswith(
        f"127.0.0.1:{acceptor.port}: the peer's certificate is refused: {outcome}"
    )


async def test_ae_of_another_ca(world, log, tmp_path):
    (tmp_path / "other").mkdir()
    other = Authority.new(tmp_path / "other", "other")
    async with serving(world) as (running, acceptor), asking(world, running, log) as why:
        with await acceptor.accept() as plain:
            pacs = SecurePeer(plain, world.server(other.issue("pacs")))
            with contextlib.suppress(ssl.SSLError):
                await pacs.shake_hands()
            await pacs.ending()
    assert why[0].endswith("the CA that signed it is not in ca")


async def test_ae_that_speaks_no_tls(world, log):
    async with serving(world) as (running, acceptor), asking(world, running, log) as why:
        with await acceptor.accept() as pacs:
            await pacs.send(bytes.fromhex("07 00 00000004 00000000"))
            await pacs.exactly(1 << 16)
    assert why[0].endswith("the peer speaks no TLS: it answers with DICOM")


async def test_ae_that_does_not_want_our_certificate(world, log, tmp_path):
    """With TLS 1.3 we hear of it when we have asked for the association already."""
    (tmp_path / "other").mkdir()
    other = Authority.new(tmp_path / "other", "other")
    async with serving(world) as (running, acceptor), asking(world, running, log) as why:
        with await acceptor.accept() as plain:
            context = listening(
                ListenerTls(
                    certificate=world.pacs.pem,
                    key=world.pacs.key,
                    ca=other.pem,
                    client_certificate="required",
                )
            )
            pacs = SecurePeer(plain, context)
            with pytest.raises(ssl.SSLError):
                await pacs.shake_hands()
            await pacs.flush()
            await pacs.peer.exactly(1 << 16)
    assert why[0].endswith("it does not trust who signed our certificate")


async def test_connect_limit_in_the_handshake(world, log):
    async with serving(world) as (running, acceptor), asking(world, running, log):
        with await acceptor.accept() as pacs:
            await eventually(lambda: running.session._securing, "it is connected")
            running.pass_time(10.0)
            await pacs.exactly(1 << 16)


async def test_client_goes_while_the_handshake_goes_on(world):
    async with serving(world) as (running, acceptor):
        async with called(running, world.client()):
            pacs = await acceptor.accept()
            await eventually(lambda: running.session._securing, "it is connected")
        with pacs:
            await pacs.exactly(1 << 16)
            await running.empty()


async def test_file_that_is_gone_when_it_is_needed(world, log):
    """The contexts in force are those of a reload; an association may still go by older ones."""
    to_pacs = {"ca": world.ca.issue("gone").pem.name}
    async with serving(world, to_pacs=to_pacs) as (running, acceptor):
        running.server.tls._calling.clear()
        (world.directory / "gone.pem").unlink()
        async with asking(world, running, log) as why:
            pass
        assert untouched(acceptor)
    assert why[0].endswith(": No such file or directory")


# Reload --------------------------------------------------------------------------------------------


async def presented(running: Relay, world: World) -> bytes | None:
    """The certificate that the relay has for who calls now."""
    async with called(running, world.client(), b"") as client:
        return client.tls.getpeercert(binary_form=True)


async def test_reload_takes_a_new_certificate(world, log):
    """Without dropping anyone: what is open goes on."""
    async with (
        serving(world) as (running, acceptor),
        associated(world, running, acceptor) as (client, pacs),
    ):
        await stored(client, pacs, b"before")
        before = await presented(running, world)
        renewed = world.ca.issue("relay")  # in the same files
        assert await presented(running, world) == before
        running.reload(running.config)
        await eventually(lambda: log.lines("reloaded"), "it has reloaded")
        assert await presented(running, world) == renewed.der
        await stored(client, pacs, b"after!")


async def test_reload_changes_who_is_trusted(world, log, tmp_path):
    """For new connections, a session of before the reload included."""
    async with serving(world) as (running, _):
        context = world.client()
        async with called(running, context, b""):
            pass
        (tmp_path / "other").mkdir()
        other = Authority.new(tmp_path / "other", "other")
        world.ca.pem.write_bytes(other.pem.read_bytes())
        running.reload(running.config)
        await eventually(lambda: log.lines("reloaded"), "it has reloaded")
        async with called(running, context, b"") as client:
            alert = "the peer refused with the alert unknown_ca"
            assert (await client.ending()).startswith(alert)


async def test_file_that_is_broken_changes_nothing(world, log):
    async with serving(world) as (running, _):
        before = await presented(running, world)
        (world.directory / "relay.key").write_text("no key")
        running.reload(running.config)
        await eventually(lambda: log.lines("reload refused"), "it is refused")
        assert await presented(running, world) == before
        world.ca.issue("relay")


async def test_listener_becomes_one_with_tls(world, log):
    async with serving(world) as (running, _):
        made = running.config
        tls = {**made["listener"][1]["tls"], "client_certificate": "none"}
        del tls["ca"]
        made["listener"][0]["tls"] = tls
        running.reload(made)
        await eventually(lambda: log.lines("reloaded"), "it has reloaded")
        with await Peer.connect(running.port("east")) as plain:
            peer = SecurePeer(plain, world.client(), "127.0.0.1")
            await peer.shake_hands()


async def test_start_with_a_file_that_cannot_be_used(world):
    """OpenSSL has the last word on it."""
    path = world.directory / "relay.toml"
    path.write_text(toml(world.config(104)))
    config = load(path)
    world.ca.pem.unlink()
    with pytest.raises(ConfigError):
        Server(path, config, print)
