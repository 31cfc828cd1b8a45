"""AEs that are called over TLS, and what a reload does to certificates."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest

from tests.end_to_end.peers import toml
from tests.end_to_end.wire import RJ
from tests.pki import DAY, LOCALHOST, Authority
from tests.shell.peers import Peer, eventually
from tests.shell.relay import Log, Relay
from tests.shell.secure_peer import SecurePeer
from tests.shell.tls_world import World, associated, called, pdu, serving, stored, untouched
from ulproxy.errors import ConfigError
from ulproxy.policy.config import load
from ulproxy.policy.model import ListenerTls
from ulproxy.shell.server import Server
from ulproxy.shell.tls import listening


@pytest.fixture
def world(tmp_path) -> World:
    ca = Authority.new(tmp_path)
    return World(tmp_path, ca, ca.issue("scu"), ca.issue("pacs"))


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
