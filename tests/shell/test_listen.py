"""Listening sockets: what they accept, and what becomes of them when they cannot."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.shell.peers import eventually
from tests.shell.relay import Clock, descriptors
from tests.shell.test_connect import CAN_IPV6
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import Listener
from ulproxy.shell.listen import ACCEPT_AT_ONCE, PAUSE, Port, open_socket

LOOPBACK = Endpoint("127.0.0.1", 0)


class Listening:
    """A port, and what it has reported."""

    def __init__(self, sock: Any, loop: Any = None) -> None:
        self.accepted: list[socket.socket] = []
        self.networks: list[str] = []
        self.errors: list[OSError] = []
        self.port = Port(
            cast("asyncio.AbstractEventLoop", loop or asyncio.get_running_loop()),
            Listener("west", LOOPBACK),
            sock,
            self._accepted,
            self.errors.append,
        )

    def _accepted(self, sock: socket.socket, listener: Listener) -> None:
        self.accepted.append(sock)
        self.networks.append(listener.network)

    async def have(self, count: int) -> None:
        await eventually(lambda: len(self.accepted) >= count, f"{count} are accepted")
        assert len(self.accepted) == count


class Refusing:
    """A listening socket whose accept() fails a few times first."""

    def __init__(self, sock: socket.socket, *errors: int) -> None:
        self._socket = sock
        self._errors = list(errors)
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def accept(self) -> Any:
        self.asked += 1
        if self._errors:
            number = self._errors.pop(0)
            raise OSError(number, os.strerror(number))
        return self._socket.accept()


@contextlib.contextmanager
def listening(sock: Any = None, loop: Any = None) -> Iterator[Listening]:
    made = Listening(sock or open_socket(LOOPBACK), loop)
    made.port.start()
    yield made
    made.port.close()
    for accepted in made.accepted:
        accepted.close()


@contextlib.contextmanager
def callers(port: Port, count: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            address = (port.address.host, port.address.port)
            stack.enter_context(socket.create_connection(address))
        yield


@pytest.mark.parametrize(
    ("host", "bound"),
    [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("0.0.0.0", "0.0.0.0")],
)
async def test_addresses(host, bound):
    sock = open_socket(Endpoint(host, 0))
    with listening(sock) as made:
        assert made.port.address == Endpoint(bound, sock.getsockname()[1])
        with callers(made.port, 3):
            await made.have(3)
        assert set(made.networks) == {"west"}


@pytest.mark.skipif(not CAN_IPV6, reason="no IPv6 here")
async def test_ipv6():
    """It takes IPv6 alone: IPv4 is a listener of its own, maybe of another network."""
    sock = open_socket(Endpoint("::", 0))
    port = sock.getsockname()[1]
    with listening(sock) as made:
        assert str(made.port.address) == f"[::]:{port}"
        with socket.create_connection(("::1", port)):
            await made.have(1)
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
async def test_address_that_cannot_be_had(host):
    """Somebody else's, or not of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        before = descriptors()
        with pytest.raises(OSError) as caught:  # noqa: PT011 (the next line says which)
            open_socket(Endpoint(host, taken.getsockname()[1]))
        assert caught.value.errno in {errno.EADDRINUSE, errno.EADDRNOTAVAIL}
        assert descriptors() == before


async def test_network_of_the_moment():
    """A reload may have given the listener another one."""
    with listening() as made:
        made.port.listener = Listener("east", LOOPBACK)
        with callers(made.port, 1):
            await made.have(1)
        assert made.networks == ["east"]


async def test_flood():
    """More than are taken in one go; the loop has time for others between."""
    with listening() as made, callers(made.port, 3 * ACCEPT_AT_ONCE + 1):
        made.port._acceptable()
        assert len(made.accepted) == ACCEPT_AT_ONCE
        await made.have(3 * ACCEPT_AT_ONCE + 1)


async def test_peer_that_is_gone_already():
    sock = Refusing(open_socket(LOOPBACK), errno.ECONNABORTED, errno.EPROTO)
    with listening(sock) as made, callers(made.port, 2):
        await made.have(2)
        assert made.errors == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_pause_while_nothing_can_be_accepted(number):
    """Not asked again and again, until a while has passed."""
    clock = Clock()
    sock = Refusing(open_socket(LOOPBACK), number, number)
    with listening(sock, clock) as made, callers(made.port, 2):
        for asked in (1, 2):
            await eventually(lambda: made.errors, "it says so")
            assert made.errors.pop().errno == number
            await asyncio.sleep(0.01)
            assert sock.asked == asked
            clock.advance(PAUSE * 0.9)
            assert made.accepted == []
            clock.advance(PAUSE * 0.1)
        await made.have(2)


async def test_close_during_the_pause():
    clock = Clock()
    sock = Refusing(open_socket(LOOPBACK), errno.EMFILE)
    with listening(sock, clock) as made, callers(made.port, 1):
        await eventually(lambda: made.errors, "it says so")
        made.port.close()
        assert clock.due == []
        made.port = Listening(open_socket(LOOPBACK)).port
        made.port.start()
    assert sock.fileno() == -1
