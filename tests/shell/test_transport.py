"""One connection over loopback TCP, against a peer that is a plain socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.shell.peers import Peer, eventually
from ulproxy.shell import transport as module
from ulproxy.shell.transport import (
    MAX_PIECES,
    RECEIVE_BUFFER,
    Link,
    Transport,
)

BIG = bytes(range(256)) * 40_000
"""More than any socket buffer takes at once."""


class Owner:
    """Notes what the transport reports; `stop_after` = stops reading after so many bytes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.reads: list[int] = []
        self.written_calls = 0
        self.lost: list[str] = []
        self.stop = False
        self.close = False
        self.hurried = True

    def data_received(self, link: Link, data: memoryview) -> bool:
        self.data += data
        self.reads.append(len(data))
        if self.stop:
            link.read(wanted=False)
        if self.close:
            link.close()
        return self.hurried

    def written(self, link: Link) -> None:
        self.written_calls += 1

    def connection_lost(self, link: Link, text: str) -> None:
        self.lost.append(text)


class Ends:
    """A transport, who owns it, and the peer at the other end."""

    def __init__(self, near: socket.socket, far: socket.socket, size: int) -> None:
        self.owner = Owner()
        self.socket = near
        buffer = memoryview(bytearray(size))
        self.transport = Transport(asyncio.get_running_loop(), near, buffer, self.owner)
        self.peer = Peer(far)

    async def got(self, data: bytes) -> None:
        await eventually(lambda: len(self.owner.data) >= len(data), "the bytes came")
        assert self.owner.data == data

    async def read(self, count: int) -> None:
        await eventually(lambda: len(self.owner.reads) >= count, f"{count} reads")

    async def lost(self) -> str:
        await eventually(lambda: self.owner.lost, "the loss is reported")
        (text,) = self.owner.lost
        return text

    async def fill(self) -> None:
        """Write until the peer's side takes no more."""
        self.transport.write([BIG])
        assert 0 < self.transport.unsent < len(BIG)


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        far = socket.create_connection(listening.getsockname())
        return listening.accept()[0], far


@contextlib.contextmanager
def connected(size: int = RECEIVE_BUFFER) -> Iterator[Ends]:
    near, far = pair()
    ends = Ends(near, far, size)
    with ends.peer:
        yield ends
        ends.transport.close()
        assert near.fileno() == -1


# Reading -------------------------------------------------------------------------------------------


async def test_nothing_is_read_until_it_is_wanted():
    with connected() as ends:
        await ends.peer.send(b"early")
        await asyncio.sleep(0.02)
        assert ends.owner.reads == []
        ends.transport.read(wanted=True)
        ends.transport.read(wanted=True)
        await ends.got(b"early")


async def test_reading_stops_and_goes_on():
    with connected() as ends:
        ends.owner.stop = True
        ends.transport.read(wanted=True)
        await ends.peer.send(b"one")
        await ends.got(b"one")
        await ends.peer.send(b"two")
        await asyncio.sleep(0.02)
        assert ends.owner.data == b"one"
        ends.transport.read(wanted=True)
        await ends.got(b"onetwo")


async def test_one_read_is_at_most_one_buffer():
    with connected() as ends:
        ends.transport.read(wanted=True)
        await asyncio.gather(ends.peer.send(BIG), ends.got(BIG))
        assert max(ends.owner.reads) <= RECEIVE_BUFFER


async def test_readable_without_a_byte():
    with connected() as ends:
        ends.transport._readable()
        assert ends.owner.reads == []
        assert ends.owner.lost == []


@pytest.mark.parametrize(("hurried", "size"), [(True, 64), (False, 64), (True, 5), (False, 5)])
async def test_who_may_say_more_has_its_acknowledgement_at_once(monkeypatch, hurried, size):
    """Not a full buffer: the kernel acknowledges those by itself, and nobody waits within them."""
    acknowledged: list[int] = []
    monkeypatch.setattr(Transport, "_acknowledge", lambda _, option: acknowledged.append(option))
    with connected(size) as ends:
        ends.owner.hurried = hurried
        ends.transport.read(wanted=True)
        await ends.peer.send(b"bytes")
        await ends.got(b"bytes")
        assert acknowledged == ([socket.TCP_QUICKACK] if hurried and size > 5 else [])


@pytest.mark.parametrize("option", [None, 0x7FFF])
async def test_platform_without_quick_ack(monkeypatch, option):
    """No such option, or one that the kernel refuses: what was read counts all the same."""
    monkeypatch.setattr(module, "_QUICKACK", option)
    with connected() as ends:
        ends.transport.read(wanted=True)
        await ends.peer.send(b"bytes")
        await ends.got(b"bytes")
        assert ends.owner.lost == []


async def test_close_while_it_reports():
    with connected() as ends:
        ends.owner.close = True
        ends.transport.read(wanted=True)
        await ends.peer.send(b"last words")
        await ends.peer.expect_end()
        assert ends.owner.data == b"last words"
        assert ends.owner.lost == []


# Writing -------------------------------------------------------------------------------------------


async def test_pieces_arrive_in_their_order():
    with connected() as ends:
        ends.transport.write([b"one"])
        ends.transport.write([b"two", memoryview(b"three"), b"", b"four"])
        assert ends.transport.unsent == 0
        assert await ends.peer.exactly(15) == b"onetwothreefour"


async def test_what_is_not_taken_is_kept_and_follows():
    """Partial writes, cut within a piece, and writes behind what is kept."""
    with connected() as ends:
        whole = bytearray()
        for size in (1, 300_000, 7, 1 << 20, 65_536, 1 << 22, 5):
            pieces: list[bytes | memoryview] = [BIG[:size], memoryview(BIG)[size : 2 * size]]
            ends.transport.write(pieces)
            whole += BIG[: 2 * size]
        assert ends.transport.unsent > 1 << 20
        assert await ends.peer.exactly(len(whole)) == whole
        await eventually(lambda: ends.transport.unsent == 0, "everything is sent")
        assert ends.owner.written_calls > 1
        ends.transport.write([b"more"])
        assert await ends.peer.exactly(4) == b"more"


@pytest.mark.parametrize("count", [MAX_PIECES - 1, MAX_PIECES, MAX_PIECES + 1, 1025, 100_000])
@pytest.mark.parametrize("behind", [b"", BIG])
async def test_many_pieces(count, behind):
    """A read may be thousands of small messages, or fragments of two bytes."""
    with connected() as ends:
        if behind:
            ends.transport.write([behind])
        pieces = [BIG[at : at + 2] for at in range(count)]
        ends.transport.write(pieces)
        assert len(ends.transport._queue) <= 1 + MAX_PIECES
        whole = b"".join([behind, *pieces])
        assert await ends.peer.exactly(len(whole)) == whole
        assert ends.owner.lost == []


async def test_what_is_kept_is_a_copy():
    with connected() as ends:
        await ends.fill()
        view = memoryview(bytearray(b"the buffer"))
        ends.transport.write([view])
        view[:] = b"overwrites"
        got = await ends.peer.exactly(len(BIG) + len(view))
        assert got[-len(view) :] == b"the buffer"


async def test_write_that_finds_no_room():
    with connected() as ends:
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += ends.socket.send(BIG)
        ends.transport.write([b"behind ", b"it"])
        assert ends.transport.unsent == 9
        assert (await ends.peer.exactly(sent + 9))[-9:] == b"behind it"


async def test_writable_without_room():
    with connected() as ends:
        await ends.fill()
        unsent = ends.transport.unsent
        ends.transport._writable()
        assert ends.transport.unsent == unsent
        assert ends.owner.written_calls == 0


# The end -------------------------------------------------------------------------------------------


async def test_peer_closes():
    with connected() as ends:
        ends.transport.read(wanted=True)
        await ends.peer.send(b"bye")
        ends.peer.close()
        assert await ends.lost() == "closed"
        assert ends.owner.data == b"bye"


async def test_peer_resets():
    with connected() as ends:
        ends.transport.read(wanted=True)
        ends.peer.reset()
        assert await ends.lost() == "Connection reset by peer"


@pytest.mark.parametrize("reads", [1, 2, 4])
@pytest.mark.parametrize("paused", [False, True])
async def test_peer_resets_behind_its_last_bytes(reads, paused):
    """Both are there at once: the bytes are read, whatever it takes, and then the loss is seen."""
    with connected(10_000) as ends:
        ends.owner.stop = paused
        ends.transport.read(wanted=True)
        sent = BIG[: 10_000 * reads - 1]
        assert ends.peer.socket.send(sent) == len(sent)
        ends.peer.reset()
        for count in range(1, reads + 1):
            await ends.read(count)
            ends.transport.read(wanted=True)
        assert await ends.lost() == "Connection reset by peer"
        assert ends.owner.data == sent


async def test_peer_resets_behind_its_last_bytes_with_bytes_unsent():
    with connected() as ends:
        ends.transport.read(wanted=True)
        await ends.fill()
        ends.peer.socket.send(b"last words")
        ends.peer.reset()
        assert await ends.lost() in {"Connection reset by peer", "Broken pipe"}
        assert ends.owner.data == b"last words"


async def test_peer_resets_with_bytes_unsent():
    """It is noticed although nothing is read."""
    with connected() as ends:
        await ends.fill()
        ends.peer.reset()
        assert await ends.lost() == "Connection reset by peer"
        assert ends.transport.unsent == 0


async def test_write_to_a_connection_that_is_gone():
    """Reported once and later: whoever writes is in the middle of something."""
    with connected() as ends:
        ends.peer.reset()
        await asyncio.sleep(0.02)
        ends.transport.write([b"one"])
        ends.transport.write([b"two", b"three"])
        ends.transport.read(wanted=True)
        assert ends.owner.lost == []
        await ends.lost()
        await asyncio.sleep(0.02)
        assert len(ends.owner.lost) == 1


@pytest.mark.parametrize("reading", [True, False])
async def test_write_to_a_peer_that_had_its_say(reading):
    """What it sent before it went is read first, if anything is to be read."""
    with connected() as ends:
        ends.transport.read(wanted=reading)
        ends.peer.socket.send(b"last words")
        ends.peer.reset()
        ends.transport.write([b"one"])
        assert await ends.lost() == "Connection reset by peer"
        assert bytes(ends.owner.data) == (b"last words" if reading else b"")


async def test_owner_closes_when_it_hears_the_last_words():
    with connected() as ends:
        ends.owner.close = True
        ends.transport.read(wanted=True)
        ends.peer.socket.send(b"last words")
        ends.peer.reset()
        ends.transport.write([b"one"])
        await ends.got(b"last words")
        await asyncio.sleep(0.02)
        assert ends.owner.lost == []


async def test_close_after_a_write_that_failed():
    with connected() as ends:
        ends.peer.reset()
        await asyncio.sleep(0.02)
        ends.transport.write([b"one"])
        ends.transport.close()
        await asyncio.sleep(0.02)
        assert ends.owner.lost == []


async def test_nothing_happens_after_close():
    with connected() as ends:
        ends.transport.read(wanted=True)
        await ends.fill()
        ends.transport.close()
        ends.transport.close()
        ends.transport.write([b"late"])
        ends.transport.read(wanted=True)
        assert ends.transport.unsent == 0
        assert ends.socket.fileno() == -1
        await ends.peer.exactly(1 << 30)
        assert ends.owner.lost == []
