"""A relay between two networks with TLS, and clients and PACS that speak it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.end_to_end.peers import Table
from tests.end_to_end.wire import AC, RQ, associate_ac, message, parse_associate
from tests.pki import Authority, Credentials
from tests.shell.peers import Acceptor, Peer
from tests.shell.relay import LONG_PDUS, REQUEST, STORE, STORED, Relay, config, relay
from tests.shell.secure_peer import SecurePeer
from ulproxy.policy.model import AeTls, ListenerTls
from ulproxy.shell.tls import calling, listening


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
