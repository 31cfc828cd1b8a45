"""Processes that are forked and replaced: when, how soon, and what becomes of what they were told."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.shell.relay import descriptors
from ulproxy.shell import crew
from ulproxy.shell.crew import FIRST_WAIT, LONGEST_WAIT, SETTLED, Crew, Member, Untaken

# Nothing else runs in a process that tests have forked.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


class Owner:
    """Its processes say that they live and end when they are told to, or when it is gone."""

    def __init__(self, places: int = 1) -> None:
        self.loop = asyncio.SelectorEventLoop(selectors.PollSelector())
        self.crew = Crew(self.loop, self, places)
        self.loop.add_signal_handler(signal.SIGCHLD, self.crew.reap)
        self.messages: list[tuple[int, bytes]] = []
        self.deaths: list[tuple[int, int, list[Untaken]]] = []
        self.left = 0

    def work(self, member: Member, sock: socket.socket) -> None:
        sock.setblocking(True)
        member.signs.ended = 7
        sock.send(b"I live %d" % self.left)
        while (message := sock.recv(99)) not in {b"", b"end"}:
            if message == b"fail":
                raise ZeroDivisionError
            if message == b"hang":
                sock.send(b"now")
                signal.pause()
            sock.send(message)

    def leave(self) -> None:
        self.left += 1
        self.loop.close()

    def heard(self, member: Member, message: bytes) -> None:
        self.messages.append((member.place, message))
        member.ready = True

    def died(self, member: Member, process: int, code: int, untaken: list[Untaken]) -> None:
        self.deaths.append((process, code, untaken))

    def run_until(self, condition: Callable[[], object]) -> None:
        """The loop, but for the moments in which it stands still."""

        def look() -> None:
            if condition():
                self.loop.stop()
            else:
                self.loop.call_later(0.01, look)

        late = self.loop.call_later(20, pytest.fail, "not within 20 s")
        self.loop.call_soon(look)
        while not condition():
            self.crew.fork()
            self.loop.run_forever()
        late.cancel()


@pytest.fixture
def owner(request: pytest.FixtureRequest) -> Iterator[Owner]:
    made = Owner(getattr(request, "param", 1))
    yield made
    alive = made.crew.alive
    made.crew.replace_none()
    made.crew.close()
    for member in alive:
        os.waitpid(member.process, 0)
    made.loop.close()
    gc.unfreeze()


@pytest.mark.parametrize("owner", [3], indirect=True)
def test_processes(owner):
    """Each is one of its own, without what is the supervisor's; all end when that is gone."""
    owner.run_until(lambda: owner.crew.complete)
    assert sorted(owner.messages) == [(place, b"I live 1") for place in range(3)]
    assert len({member.process for member in owner.crew.alive} - {os.getpid()}) == 3
    assert owner.left == 0
    owner.messages.clear()
    owner.crew.tell(b"hear me")
    owner.run_until(lambda: len(owner.messages) == 3)
    member = owner.crew.members[1]
    member.handed = 9
    assert owner.crew.connections(member) == 2


@pytest.mark.parametrize(
    ("message", "code"), [(b"end", 0), (b"fail", 1)], ids=["as it should", "by an error"]
)
def test_one_ends(owner, message, code):
    owner.run_until(lambda: owner.crew.complete)
    (member,) = owner.crew.alive
    process = member.process
    member.tell(message)
    owner.run_until(lambda: owner.deaths)
    assert owner.deaths == [(process, code, [])]
    assert owner.crew.alive == []
    assert not owner.crew.complete
    member.tell(b"nobody is there")


def test_what_one_that_dies_has_not_heard(owner):
    """It comes back, with the descriptors; none is left."""
    before = descriptors()
    owner.run_until(lambda: owner.crew.complete)
    (member,) = owner.crew.alive
    member.tell(b"echo")
    member.tell(b"hang")
    owner.run_until(lambda: owner.messages[-1] == (0, b"now"))
    reading, writing = os.pipe()
    member.tell(b"take it", reading)
    member.tell(b"and this")
    os.close(reading)
    os.kill(member.process, signal.SIGKILL)
    owner.run_until(lambda: owner.deaths)
    ((_process, code, untaken),) = owner.deaths
    assert code == -signal.SIGKILL
    assert [message for message, _ in untaken] == [b"take it", b"and this"]
    (kept,) = (descriptor for _, descriptor in untaken if descriptor is not None)
    os.write(writing, b"still open")
    assert os.read(kept, 99) == b"still open"
    os.close(kept)
    os.close(writing)
    assert descriptors() <= before


def test_what_there_is_by_then_is_shared_memory(owner):
    """A process looks for garbage among what it has made itself."""

    def work(_member: Member, sock: socket.socket) -> None:
        sock.send(b"%d %d" % (gc.get_freeze_count(), len(gc.get_objects())))

    owner.work = work
    owner.run_until(lambda: owner.messages)
    frozen, looked_at = map(int, owner.messages[0][1].split())
    assert frozen > 10_000
    assert looked_at < frozen / 10


def test_signals_are_for_the_supervisor(owner):
    owner.run_until(lambda: owner.crew.complete)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(owner.crew.members[0].process, number)
    owner.messages.clear()
    owner.crew.tell(b"hear me")
    owner.run_until(lambda: owner.messages)
    assert owner.deaths == []


def test_it_is_replaced_sooner_or_later(owner, monkeypatch):
    """Twice as late each time, but for one that has lived for a while."""
    now = [1000.0]
    monkeypatch.setattr(owner.loop, "time", lambda: now[0])
    waits: list[float] = []

    def call_later(delay: float, *_: object) -> object:
        waits.append(delay)
        return asyncio.TimerHandle(0, print, (), owner.loop)

    monkeypatch.setattr(owner.loop, "call_later", call_later)
    member = owner.crew.members[0]
    for _ in range(10):
        member.began = now[0]
        owner.crew.replace(member)
    expected = [FIRST_WAIT * 2**number for number in range(7)] + [LONGEST_WAIT] * 3
    assert waits == pytest.approx(expected)
    now[0] += SETTLED + 1
    owner.crew.replace(member)
    assert waits[-1] == FIRST_WAIT


def test_one_that_died_is_replaced(owner):
    owner.run_until(lambda: owner.crew.complete)
    (member,) = owner.crew.alive
    process = member.process
    owner.crew.tell(b"end")
    owner.run_until(lambda: owner.deaths)
    owner.crew.held = True
    owner.crew.replace(member)
    asleep = owner.loop.time() + 3 * FIRST_WAIT
    owner.run_until(lambda: owner.loop.time() > asleep)
    assert owner.crew.alive == []
    owner.crew.release()
    owner.run_until(lambda: owner.crew.complete)
    assert member.process not in {0, process}
    assert owner.crew.connections(member) == -7  # as this test counts; it begins anew


def test_a_process_that_cannot_be_made(owner, monkeypatch, log):
    """It is tried again."""
    failures = [errno.EAGAIN, errno.ENOMEM]
    fork = os.fork

    def failing() -> int:
        if failures:
            number = failures.pop(0)
            raise OSError(number, os.strerror(number))
        return fork()

    monkeypatch.setattr(os, "fork", failing)
    before = descriptors()
    owner.run_until(lambda: owner.crew.complete)
    lines = log.lines("cannot make a worker")
    assert [line["why"] for line in lines] == [os.strerror(errno.EAGAIN), os.strerror(errno.ENOMEM)]
    assert descriptors() <= before + 2


@pytest.mark.parametrize("owner", [2], indirect=True)
def test_one_that_hangs(owner, monkeypatch, log):
    """It is killed, not one that turns, nor one that has been stopped for less than that."""
    monkeypatch.setattr(crew, "LOOK", 0.05)

    def work(member: Member, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.send(b"I live")
        while True:
            with contextlib.suppress(BlockingIOError):
                if not sock.recv(99):
                    return
            member.signs.turn()
            time.sleep(0.005)

    owner.work = work
    owner.run_until(lambda: owner.crew.complete)
    hanging, turning = (member.process for member in owner.crew.members)
    for process in (hanging, turning):
        os.kill(process, signal.SIGSTOP)
    owner.run_until(lambda: owner.crew.members[1].missed == 1)
    os.kill(turning, signal.SIGCONT)
    owner.run_until(lambda: owner.deaths)
    assert owner.deaths == [(hanging, -signal.SIGKILL, [])]
    assert [line["worker"] for line in log.lines("worker hangs")] == [hanging]
    ready = owner.crew.members[1]
    owner.run_until(lambda: ready.missed == 0)
    assert ready.process == turning


@pytest.mark.parametrize("looks", [crew.MISSED - 1, crew.MISSED, crew.MISSED + 1])
def test_how_long_one_may_hang(owner, monkeypatch, looks):
    killed: list[int] = []
    owner.run_until(lambda: owner.crew.complete)
    (member,) = owner.crew.alive
    with monkeypatch.context() as patched:
        patched.setattr(os, "kill", lambda process, _number: killed.append(process))
        member.signs.turn()
        for _ in range(1 + looks):
            owner.crew._watch()
    assert killed == [member.process] * (looks >= crew.MISSED)
    assert crew.MISSED * crew.LOOK == 30


def test_one_that_does_not_stop(owner, log):
    owner.run_until(lambda: owner.crew.complete)
    owner.crew.tell(b"hang")
    process = owner.crew.members[0].process
    owner.crew.kill()
    owner.run_until(lambda: owner.deaths)
    assert owner.deaths[0][1] == -signal.SIGKILL
    assert [line["worker"] for line in log.lines("worker does not stop")] == [process]
    owner.crew.kill()
