"""How much is read at once of a peer, by how much work its bytes are."""

from __future__ import annotations

import asyncio
import time

from tests.shell.peers import eventually
from tests.shell.test_transport import connected
from ulproxy.shell.transport import FIRST_READ, LEAST_READ, PATIENCE, RECEIVE_BUFFER, Transport


async def test_first_read_is_smaller():
    """Nobody knows yet how much work this peer's bytes are."""
    with connected() as ends:
        ends.peer.socket.send(bytes(100_000))
        await asyncio.sleep(0.02)
        ends.transport.read(wanted=True)
        await ends.got(bytes(100_000))
        assert ends.owner.reads == [FIRST_READ, 100_000 - FIRST_READ]


def paced(transport: Transport, *spent: float) -> list[int]:
    """What is read at once after each full read that was so many seconds of work."""
    rooms = []
    for seconds in spent:
        transport._pace(transport._room, seconds)
        rooms.append(transport._room)
    return rooms


async def test_quick_bytes_are_soon_read_in_whole_buffers():
    with connected() as ends:
        rooms = paced(ends.transport, 0, PATIENCE, 0, 0)
        assert rooms == [2 * FIRST_READ, 4 * FIRST_READ, *2 * [RECEIVE_BUFFER]]


async def test_a_peer_whose_bytes_are_much_work_is_read_in_smaller_pieces():
    """So that others wait less for it: at once as much less as it takes, and half as much at least."""
    with connected() as ends:
        rooms = paced(ends.transport, 8 * PATIENCE, 1.01 * PATIENCE, 1000 * PATIENCE, 1.0)
        assert rooms == [FIRST_READ // 8, FIRST_READ // 16, LEAST_READ, LEAST_READ]


async def test_bytes_that_were_much_work_are_not_soon_forgotten():
    """It may send bulk between them: quick reads, and then the same again."""
    with connected() as ends:
        for forgiven in (64, 128, 256, 512, 1024, 2048, 4096, 4096):
            ends.transport._room = RECEIVE_BUFFER
            small = paced(ends.transport, 8 * PATIENCE)[0]
            rooms = paced(ends.transport, *[0.0] * forgiven)
            assert rooms == [*[small] * (forgiven - 1), 2 * small]


async def test_short_reads_say_nothing_of_bulk():
    with connected() as ends:
        for _ in range(1000):
            ends.transport._pace(FIRST_READ - 1, 0.0)
        assert ends.transport._room == FIRST_READ


async def test_work_of_the_owner_is_what_counts(monkeypatch):
    """By the thread's own time, not the clock: a busy machine is not the peer's doing."""
    working = [0.0]
    monkeypatch.setattr(time, "thread_time", lambda: working[0])
    with connected() as ends:

        def work(_link: object, _data: memoryview) -> None:
            working[0] += 8 * PATIENCE

        monkeypatch.setattr(ends.owner, "data_received", work)
        ends.transport.read(wanted=True)
        await ends.peer.send(bytes(LEAST_READ))
        await asyncio.sleep(0.02)
        assert ends.transport._room == FIRST_READ  # so little is never too much
        await ends.peer.send(bytes(LEAST_READ + 1))
        await eventually(lambda: ends.transport._room == FIRST_READ // 8, "less is read")
