"""Listeners that are opened and moved, all of them or none."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import pytest

from tests.shell.peers import eventually
from tests.shell.relay import Log, descriptors
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import Listener
from ulproxy.shell import ports as module
from ulproxy.shell.ports import Ports, _overlap


class House:
    """Who listens, and what came of it."""

    def __init__(self) -> None:
        self.accepted: list[tuple[socket.socket, str]] = []
        self.errors: list[OSError] = []
        self.ready: list[str] = []
        self.ports = Ports(
            asyncio.get_running_loop(),
            lambda sock, listener: self.accepted.append((sock, listener.network)),
            self.errors.append,
            self.ready.append,
        )

    def begin(self, *listeners: Listener) -> None:
        self.ports.listen(listeners)
        self.ports.start()

    @property
    def binds(self) -> list[str]:
        return [str(port.listener.bind) for port in self.ports.open]

    async def answers(self, host: str, port: int) -> bool:
        """Whether somebody who calls there is accepted."""
        before = len(self.accepted)
        try:
            with socket.create_connection((host, port)):
                await eventually(lambda: len(self.accepted) > before, "it is accepted")
        except ConnectionRefusedError:
            return False
        return True


@contextlib.contextmanager
def housed() -> Iterator[House]:
    before = descriptors()
    house = House()
    try:
        yield house
    finally:
        house.ports.close()
        for sock, _ in house.accepted:
            sock.close()
    assert descriptors() == before


def on(host: str, port: int, network: str = "west") -> Listener:
    return Listener(network, Endpoint(host, port))


def free() -> int:
    with socket.create_server(("0.0.0.0", 0)) as sock:
        port = sock.getsockname()[1]
        assert isinstance(port, int)
        return port


async def test_all_of_them_listen_or_none():
    with socket.create_server(("127.0.0.1", 0)) as taken, housed() as house:
        here, there = free(), taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{there}: Address already in use") as caught:
            house.begin(on("127.0.0.1", here), on("127.0.0.1", there))
        assert caught.value.errno == errno.EADDRINUSE
        assert house.binds == house.ready == []
        house.begin(on("127.0.0.1", here))
        assert house.ready == [f"ready west 127.0.0.1:{here}"]
        assert await house.answers("127.0.0.1", here)


NARROW, WIDE, SAME = "127.0.0.1", "0.0.0.0", "localhost"


@pytest.mark.parametrize("before", [NARROW, WIDE, SAME])
@pytest.mark.parametrize("after", [NARROW, WIDE, SAME])
async def test_a_bind_that_gets_wider_or_narrower(before, after):
    with housed() as house:
        port = free()
        house.begin(on(before, port))
        house.ports.move([on(after, port), on("127.0.0.1", 0)])
        assert house.binds == [f"{after}:{port}", "127.0.0.1:0"]
        assert await house.answers("127.0.0.1", port)
        assert await house.answers("127.0.0.2", port) == (after == WIDE)


async def test_who_has_called_by_then_is_accepted():
    with housed() as house:
        port = free()
        house.begin(on(NARROW, port))
        with contextlib.ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(socket.create_connection((NARROW, port)))
            house.ports.move([on(WIDE, port)])
            assert len(house.accepted) == 5


async def test_where_a_new_one_cannot_be_had_the_old_ones_listen():
    """Those that had made room for others, too; what is said of them is said already."""
    with socket.create_server(("127.0.0.1", 0)) as taken, housed() as house:
        first, second = free(), free()
        house.begin(on(NARROW, first), on(NARROW, second, "east"))
        wanted = [on(WIDE, first), on(WIDE, second), on("127.0.0.1", taken.getsockname()[1])]
        with pytest.raises(OSError, match="Address already in use"):
            house.ports.move(wanted)
        assert house.binds == [f"{NARROW}:{first}", f"{NARROW}:{second}"]
        assert await house.answers(NARROW, first)
        assert await house.answers(NARROW, second)
        assert [network for _, network in house.accepted] == ["west", "east"]
        assert not await house.answers("127.0.0.2", first)
        assert len(house.ready) == 2


async def test_an_old_one_that_somebody_else_has_by_then(monkeypatch, log: Log):
    """There is nothing to be done about it but to say so."""
    with housed() as house:
        port, other = free(), free()
        house.begin(on(NARROW, port), on(NARROW, other))
        with monkeypatch.context() as patch:

            def taken(bind: Endpoint) -> socket.socket:
                raise OSError(errno.EADDRINUSE, "Address already in use")

            patch.setattr(module, "open_socket", taken)
            with pytest.raises(OSError, match="Address already in use"):
                house.ports.move([on(WIDE, port), on(NARROW, other)])
        assert house.binds == [f"{NARROW}:{other}"]
        (line,) = log.lines("listens no more")
        assert (line["bind"], line["why"]) == (f"{NARROW}:{port}", "Address already in use")


async def test_what_does_not_overlap_is_left_alone():
    with housed() as house:
        port = free()
        house.begin(on("127.0.0.1", port), on("127.0.0.1", 0), on("127.0.0.3", port))
        kept = house.ports.open[2]
        house.ports.move([on("127.0.0.2", port), on("127.0.0.3", port, "east")])
        assert house.ports.open[0] is kept
        assert kept.listener.network == "east"
        assert house.binds == [f"127.0.0.3:{port}", f"127.0.0.2:{port}"]
        assert len(house.ready) == 4


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (("127.0.0.1", 104), ("127.0.0.1", 104), True),
        (("127.0.0.1", 104), ("localhost", 104), True),
        (("127.0.0.1", 104), ("0.0.0.0", 104), True),
        (("::1", 104), ("::", 104), True),
        (("127.0.0.1", 104), ("127.0.0.2", 104), False),
        (("127.0.0.1", 104), ("0.0.0.0", 105), False),
        (("0.0.0.0", 104), ("::", 104), False),  # IPV6_V6ONLY
        (("::1", 104), ("0.0.0.0", 104), False),
        (("0.0.0.0", 0), ("0.0.0.0", 0), False),
    ],
)
def test_which_are_in_each_others_way(one, other, overlap):
    assert _overlap(Endpoint(*one), Endpoint(*other)) is overlap
    assert _overlap(Endpoint(*other), Endpoint(*one)) is overlap
