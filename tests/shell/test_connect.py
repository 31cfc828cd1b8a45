"""Connecting to an AE by address and by name."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from typing import Any, ClassVar, cast

import pytest

from tests.shell.peers import PATIENCE, Acceptor, BlackHole, Peer
from tests.shell.relay import descriptors
from ulproxy.policy.endpoints import Endpoint
from ulproxy.shell.connect import connect, reason

Address = tuple[socket.AddressFamily, tuple[Any, ...]]
CAN_IPV6 = socket.has_ipv6 and os.path.exists("/proc/net/if_inet6")  # noqa: PTH110


class Resolver:
    """The running loop, with a name server of the test's own."""

    def __init__(self, *answers: Address, error: OSError | None = None) -> None:
        self._answers = answers
        self._error = error
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def getaddrinfo(self, host: str, port: int, *, type: int) -> list[Any]:  # noqa: A002
        if self._error is not None:
            raise self._error
        return [(family, type, 6, "", address) for family, address in self._answers]


def loop_with(resolver: Resolver | None) -> asyncio.AbstractEventLoop:
    if resolver is None:
        return asyncio.get_running_loop()
    return cast("asyncio.AbstractEventLoop", resolver)


async def reached(acceptor: Acceptor, endpoint: Endpoint, resolver: Resolver | None = None) -> None:
    """Connects, and finds the acceptor at the other end."""
    loop = loop_with(resolver)
    with Peer(await connect(loop, endpoint, PATIENCE)) as near, await acceptor.accept() as far:
        await near.send(b"hello")
        assert await far.exactly(5) == b"hello"


async def refusal(endpoint: Endpoint, resolver: Resolver | None = None) -> OSError:
    loop = loop_with(resolver)
    before = descriptors()
    with pytest.raises(OSError) as caught:  # noqa: PT011 (which one is the caller's to judge)
        await connect(loop, endpoint, PATIENCE)
    assert descriptors() <= before
    return caught.value


def closed_port() -> int:
    with Acceptor() as acceptor:
        return acceptor.port


def ipv4(port: int, host: str = "127.0.0.1") -> Address:
    return socket.AF_INET, (host, port)


def ipv6(port: int) -> Address:
    return socket.AF_INET6, ("::1", port, 0, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_address_and_name(host):
    with Acceptor() as acceptor:
        await reached(acceptor, Endpoint(host, acceptor.port))


@pytest.mark.skipif(not CAN_IPV6, reason="no IPv6 here")
async def test_ipv6_address():
    with Acceptor(host="::1") as acceptor:
        await reached(acceptor, Endpoint("::1", acceptor.port))


async def test_address_with_a_scope():
    """An interface of this machine is part of it, which the kernel is told apart from the address."""
    with Acceptor() as acceptor:
        resolver = Resolver(ipv4(acceptor.port))
        await reached(acceptor, Endpoint("fe80::1%eth0", acceptor.port), resolver)
    await refusal(Endpoint("fe80::1%nope", 104))


async def test_address_that_refuses():
    error = await refusal(Endpoint("127.0.0.1", closed_port()))
    assert error.errno == errno.ECONNREFUSED
    assert reason(error) == "Connection refused"


async def test_addresses_are_tried_in_turn():
    with Acceptor() as acceptor:
        bad = closed_port()
        resolver = Resolver(ipv4(bad), ipv6(bad), ipv4(acceptor.port), ipv4(bad))
        await reached(acceptor, Endpoint("pacs.example", 104), resolver)


async def test_address_that_does_not_answer():
    """It does not use up the time of the others."""
    with BlackHole() as hole, Acceptor() as acceptor:
        loop = loop_with(Resolver(ipv4(hole.port), ipv4(hole.port), ipv4(acceptor.port)))
        sock = await asyncio.wait_for(connect(loop, Endpoint("pacs.example", 104), 0.3), PATIENCE)
        assert sock.getpeername() == ("127.0.0.1", acceptor.port)
        sock.close()


async def test_machine_without_ipv6(monkeypatch):
    """A name may have addresses of a family that the kernel does not know."""

    class OldSocket(socket.socket):
        def __init__(self, family: int = socket.AF_INET, *args: Any, **more: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            super().__init__(family, *args, **more)

    with Acceptor() as acceptor:
        monkeypatch.setattr(socket, "socket", OldSocket)
        resolver = Resolver(ipv6(acceptor.port), ipv4(acceptor.port))
        await reached(acceptor, Endpoint("pacs.example", 104), resolver)


async def test_no_address_answers():
    bad = closed_port()
    error = await refusal(Endpoint("pacs.example", 104), Resolver(ipv4(bad), ipv4(bad)))
    assert error.errno == errno.ECONNREFUSED


async def test_name_without_an_address():
    error = await refusal(Endpoint("pacs.example", 104), Resolver())
    assert reason(error) == "no address for pacs.example"


async def test_name_that_nobody_knows():
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    error = await refusal(Endpoint("pacs.example", 104), Resolver(error=unknown))
    assert "Name or service not known" in reason(error)


class Distant(socket.socket):
    """A machine whose answer is not there by the time that one looks again."""

    def connect_ex(self, address: Any) -> int:
        number = super().connect_ex(address) if self.fileno() not in self.asked else None
        self.asked.add(self.fileno())
        return errno.EALREADY if number is None else number

    asked: ClassVar[set[int]] = set()


@pytest.fixture
def distant(monkeypatch):
    monkeypatch.setattr(Distant, "asked", set())
    monkeypatch.setattr(socket, "socket", Distant)


@pytest.mark.usefixtures("distant")
async def test_address_that_is_waited_for():
    with Acceptor() as acceptor:
        await reached(acceptor, Endpoint("127.0.0.1", acceptor.port))


@pytest.mark.usefixtures("distant")
async def test_address_that_refuses_after_a_while():
    error = await refusal(Endpoint("127.0.0.1", closed_port()))
    assert error.errno == errno.ECONNREFUSED


async def test_at_once():
    """On the same machine there is nothing to wait for, but it is told later all the same."""
    loop = asyncio.get_running_loop()
    told: list[asyncio.Future[socket.socket]] = []
    with Acceptor() as acceptor:
        connecting = connect(loop, Endpoint("127.0.0.1", acceptor.port), PATIENCE)
        connecting.add_done_callback(told.append)
        assert connecting.done()
        assert told == []
        await asyncio.sleep(0)
        assert told == [connecting]
        (await connecting).close()


async def test_cancelled_while_it_waits():
    """The descriptor is free at once, and whoever gets its number next is not disturbed."""
    loop = asyncio.get_running_loop()
    with BlackHole() as hole, Acceptor() as acceptor:
        before = descriptors()
        for _ in range(3):
            connecting = connect(loop, Endpoint("127.0.0.1", hole.port), PATIENCE)
            done, _pending = await asyncio.wait({connecting}, timeout=0.05)
            assert not done
            connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await connecting
            assert descriptors() <= before + 1
            await reached(acceptor, Endpoint("127.0.0.1", acceptor.port))
