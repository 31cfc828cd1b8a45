"""The channel between two processes: order, descriptors, and one that is gone or does not listen."""

from __future__ import annotations

import asyncio
import os
import socket

from tests.shell.peers import eventually
from tests.shell.relay import descriptors
from ulproxy.shell.channel import MAX_MESSAGE, Channel, socket_pair, unread


class End:
    """One end, and what it has been told."""

    def __init__(self, sock: socket.socket) -> None:
        self.messages: list[bytes] = []
        self.descriptors: list[int] = []
        self.ends = 0
        loop = asyncio.get_running_loop()
        self.channel = Channel(loop, sock, self._received, self._closed)

    def _received(self, message: bytes, descriptor: int | None) -> None:
        self.messages.append(message)
        if descriptor is not None:
            self.descriptors.append(descriptor)

    def _closed(self) -> None:
        self.ends += 1


async def test_messages_come_in_their_order():
    near, far = map(End, socket_pair())
    sent = [b"%d" % number for number in range(100)] + [b"x" * MAX_MESSAGE]
    for message in sent:
        near.channel.send(message)
    far.channel.send(b"and back")
    await eventually(lambda: far.messages == sent, "all are there")
    await eventually(lambda: near.messages == [b"and back"], "both ways")
    near.channel.close()
    await eventually(lambda: far.ends == 1, "it is told of the end")


async def test_a_descriptor_comes_along():
    before = descriptors()
    near, far = map(End, socket_pair())
    reading, writing = os.pipe()
    near.channel.send(b"take it", reading)
    os.close(reading)
    await eventually(lambda: far.descriptors, "it is there")
    os.write(writing, b"something")
    assert os.read(far.descriptors[0], 99) == b"something"
    assert not os.get_inheritable(far.descriptors[0])
    os.close(writing)
    os.close(far.descriptors[0])
    near.channel.close()
    far.channel.close()
    assert descriptors() <= before


async def test_one_that_does_not_listen():
    """What is offered is not taken; what is sent comes later, with descriptors that are closed by then."""
    sock, other = socket_pair()
    near = End(sock)
    offered = 0
    while near.channel.offer(b"%d" % offered):
        offered += 1
    assert 10 < offered < 10_000
    reading, writing = os.pipe()
    near.channel.send(b"first", reading)
    near.channel.send(b"second")
    os.close(reading)
    assert not near.channel.offer(b"not now")
    far = End(other)
    await eventually(lambda: far.messages[-1:] == [b"second"], "all are there")
    assert far.messages == [b"%d" % number for number in range(offered)] + [b"first", b"second"]
    assert near.channel.offer(b"now")
    os.close(writing)
    os.close(far.descriptors[0])
    near.channel.close()
    far.channel.close()


async def test_one_that_is_gone():
    """With something unread, which resets the connection, or with something unsent."""
    before = descriptors()
    sock, other = socket_pair()
    near = End(sock)
    while near.channel.offer(b"x"):
        pass
    near.channel.send(b"unsent", sock.fileno())
    other.close()
    near.channel.send(b"too late")
    await eventually(lambda: near.ends == 1, "it is told")
    near.channel.close()
    assert descriptors() <= before


async def test_what_one_has_not_heard_can_be_taken_back():
    """By whoever has its end too, also where it has said something that nobody hears, and where it blocks."""
    sock, other = socket_pair()
    near = End(sock)
    near.channel.send(b"one", sock.fileno())
    near.channel.send(b"two")
    other.send(b"unheard")
    other.setblocking(True)
    ((first, descriptor), second) = unread(other)
    assert (first, second) == (b"one", (b"two", None))
    assert descriptor is not None
    os.close(descriptor)
    assert list(unread(other)) == []
    near.channel.close()
    other.close()


async def test_closed_by_what_is_received():
    sock, other = socket_pair()
    far = End(other)
    told: list[bytes] = []

    def received(message: bytes, _descriptor: int | None) -> None:
        told.append(message)
        channel.close()

    channel = Channel(asyncio.get_running_loop(), sock, received, lambda: told.append(b"closed"))
    far.channel.send(b"one")
    far.channel.send(b"two")
    await eventually(lambda: far.ends == 1, "it is closed")
    assert told == [b"one"]
