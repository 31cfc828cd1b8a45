"""Every operation on a socket fails once, as in test_failures.py, with TLS on both sides."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl

import pytest

from tests.end_to_end.wire import RQ, associate_ac, parse_associate, release_rp, release_rq
from tests.pki import Authority
from tests.shell.peers import Acceptor, Peer
from tests.shell.relay import LONG_PDUS, REQUEST, STORED, relay
from tests.shell.secure_peer import SecurePeer
from tests.shell.test_failures import OPERATIONS, WHOLE, Faults, break_sockets
from tests.shell.tls_world import World, associated, pdu, stored

GONE = (AssertionError, OSError)  # ssl.SSLError is one


async def pacs_side(acceptor: Acceptor, context: ssl.SSLContext) -> None:
    """As far as it gets."""
    with await acceptor.accept() as plain, contextlib.suppress(*GONE):
        pacs = SecurePeer(plain, context)
        await pacs.shake_hands()
        await pacs.send(associate_ac(parse_associate(await pdu(pacs, RQ)), user=LONG_PDUS))
        await asyncio.sleep(0.01)  # the relay has to wait for it
        if await pacs.exactly(len(WHOLE)) == WHOLE:
            await pacs.send(STORED)
            await pdu(pacs, 5)
            await pacs.send(release_rp())


async def client_side(port: int, context: ssl.SSLContext) -> bool:
    """Whether everything went well."""
    with await Peer.connect(port) as plain:
        try:
            client = SecurePeer(plain, context, "127.0.0.1")
            await client.shake_hands()
            await client.send(REQUEST)
            await pdu(client, 2)
            await client.send(WHOLE)
            await pdu(client, 4)
            await client.send(release_rq())
            await pdu(client, 6)
        except GONE:
            return False
        return True


@pytest.mark.parametrize("error", [errno.ECONNRESET, errno.ENOBUFS])
async def test_each_operation_fails(tmp_path, monkeypatch, log, error):
    ca = Authority.new(tmp_path)
    world = World(tmp_path, ca, ca.issue("scu"), ca.issue("pacs"))
    with Acceptor(receive_buffer=4096) as acceptor:
        async with relay(tmp_path, world.config(acceptor.port)) as running:
            failed = set()
            for number in range(1, 200):
                faults = Faults(number, error)
                with monkeypatch.context() as patched:
                    break_sockets(patched, running.server, faults)
                    pacs = asyncio.create_task(pacs_side(acceptor, world.server()))
                    well = await client_side(running.port(), world.client())
                    pacs.cancel()
                    await asyncio.wait({pacs})
                    await running.empty()
                assert all(sock.fileno() == -1 for sock in faults.sockets)
                running.assert_nothing_left()
                if not faults.failed:
                    break
                failed.add(faults.failed)
            assert well
            assert failed == OPERATIONS - {"sendmsg"}  # records are sent in one piece
            async with associated(world, running, acceptor) as (client, server):
                await stored(client, server, b"an image")
            await running.empty()
    assert not log.lines("internal error")
