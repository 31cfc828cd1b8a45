"""Every operation on a socket fails once: the first, the second, and so on until a run meets no failure.

After each the connections are closed, nothing is left, and the relay serves the next association.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.end_to_end.wire import (
    RELEASE_RQ,
    RQ,
    associate_ac,
    message,
    parse_associate,
    release_rp,
    release_rq,
)
from tests.shell.peers import Acceptor, Peer
from tests.shell.relay import LONG_PDUS, REQUEST, STORE, STORED, associated, config, relay
from ulproxy.shell.connect import connect

OPERATIONS = {"recv_into", "send", "sendmsg", "setsockopt", "getpeername", "connect"}
WHOLE = message(1, STORE, bytes(range(256)) * 400, 120_000)


class Faults:
    """Counts operations; the N-th raises."""

    def __init__(self, number: int, error: int) -> None:
        self.number = number
        self.error = error
        self.made = 0
        self.failed = ""
        self.sockets: list[socket.socket] = []

    def check(self, name: str) -> None:
        self.made += 1
        if self.made == self.number:
            self.failed = name
            raise OSError(self.error, os.strerror(self.error))

    def socket(self, sock: socket.socket) -> FaultySocket:
        self.sockets.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # so that something is kept
        return FaultySocket(sock, self)


class FaultySocket:
    def __init__(self, sock: socket.socket, faults: Faults) -> None:
        self._socket = sock
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        if name in OPERATIONS:
            return self._faulty(name, getattr(self._socket, name))
        return getattr(self._socket, name)

    def _faulty(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def faulty(*args: Any) -> Any:
            self._faults.check(name)
            return operation(*args)

        return faulty


async def pacs_side(acceptor: Acceptor) -> None:
    """As far as it gets."""
    with await acceptor.accept() as pacs:
        try:
            await pacs.send(associate_ac(parse_associate(await pacs.expect(RQ)), user=LONG_PDUS))
            await asyncio.sleep(0.01)  # the relay has to wait for it
            if await pacs.exactly(len(WHOLE)) == WHOLE:
                await pacs.send(STORED)
                await pacs.expect(RELEASE_RQ)
                await pacs.send(release_rp())
        except (AssertionError, OSError):
            return


async def client_side(port: int) -> bool:
    """Whether everything went well."""
    with await Peer.connect(port) as client:
        try:
            await client.send(REQUEST)
            await client.expect(2)
            await client.send(WHOLE)
            await client.expect(4)
            await client.send(release_rq())
            await client.expect(6)
        except (AssertionError, OSError):
            return False
        return True


@pytest.mark.parametrize("error", [errno.ECONNRESET, errno.ENOBUFS])
async def test_each_operation_fails(tmp_path, monkeypatch, log, error):
    with Acceptor(receive_buffer=4096) as acceptor:
        limits = {"artim": 3.0, "connect": 10.0}
        async with relay(tmp_path, config(acceptor.port, limits=limits)) as running:
            failed = set()
            for number in range(1, 200):
                faults = Faults(number, error)
                with monkeypatch.context() as patched:
                    break_sockets(patched, running.server, faults)
                    pacs = asyncio.create_task(pacs_side(acceptor))
                    well = await client_side(running.port())
                    pacs.cancel()
                    await asyncio.wait({pacs})
                    await running.empty()
                assert all(sock.fileno() == -1 for sock in faults.sockets)
                running.assert_nothing_left()
                if not faults.failed:
                    break
                failed.add(faults.failed)
            assert well
            assert failed == OPERATIONS
            async with associated(running, acceptor) as pair:
                await pair.store(b"an image")
                await pair.release()
            await running.empty()
    assert not log.lines("internal error")


def break_sockets(patched: pytest.MonkeyPatch, server: Any, faults: Faults) -> None:
    accepted = server._accepted

    async def connecting(*args: Any) -> Any:
        faults.check("connect")
        return faults.socket(await connect(*args))

    def connect_faulty(*args: Any) -> Any:
        return asyncio.ensure_future(connecting(*args))

    def accepted_faulty(sock: socket.socket, network: str) -> None:
        accepted(faults.socket(sock), network)

    patched.setattr("ulproxy.shell.session.connect", connect_faulty)
    for port in server._ports.open:
        patched.setattr(port, "_accepted", accepted_faulty)
