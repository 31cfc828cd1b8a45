"""Records written in a thread: in order, and what cannot be written waits, is counted, and is owned up to."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator

import pytest

from tests.shell.relay import Log
from tests.shell.repositories import soon
from ulproxy.shell import outlet as module
from ulproxy.shell.outlet import MAX_WAITING, STUCK, Outlet

NOISE = {"timestamp", "level", "event", "what"}


class Disk:
    """A writer that fails, hangs or is crowded as the test likes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.full = False
        self.crowding = ""
        self.closed = False
        self.attempts = 0
        self.running = threading.Event()
        self.running.set()

    def write(self, waiting: deque[bytes]) -> None:
        self.attempts += 1
        self.running.wait()
        while waiting:
            if self.full:
                raise OSError(28, os.strerror(28))
            self.written.append(waiting.popleft())

    def close(self) -> None:
        self.closed = True


class Desk:
    """An outlet, its disk, and every trouble that it told of."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.troubles: list[str] = []
        self.outlet = Outlet("lines", self.disk, lambda count: b"lost %d" % count, self.changed)

    def changed(self) -> None:
        if hasattr(self, "outlet"):
            self.troubles.append(self.outlet.trouble)

    def written(self, *records: bytes) -> None:
        soon(lambda: self.disk.written == list(records), f"{records} in {self.disk.written[:9]}")

    def in_trouble(self, text: str) -> None:
        soon(lambda: self.outlet.trouble == text, f"{text!r}, not {self.outlet.trouble!r}")


@pytest.fixture
def desk(monkeypatch) -> Iterator[Desk]:
    monkeypatch.setattr(module, "RETRY", 0.01)
    desk = Desk()
    yield desk
    desk.disk.running.set()
    desk.outlet.finish()
    desk.outlet.join(10)
    assert not desk.outlet._thread.is_alive()
    assert desk.disk.closed


def said(log: Log) -> list[tuple[str, str]]:
    return [(line["level"], line["event"]) for line in log.lines()]


def test_in_order(desk, log):
    for number in range(1000):
        desk.outlet.put(b"%d" % number)
    desk.written(*(b"%d" % number for number in range(1000)))
    assert desk.outlet.trouble == ""
    assert said(log) == []


def test_it_is_opened_before_there_is_anything_to_write(desk):
    """So that it is known from the beginning whether anything can be."""
    soon(lambda: desk.disk.attempts == 1, "an attempt")


def test_it_waits_for_nothing_when_there_is_nothing(desk):
    soon(lambda: desk.disk.attempts == 1, "an attempt")
    time.sleep(0.05)
    assert desk.disk.attempts == 1


def test_what_cannot_be_written_waits(desk, log):
    desk.disk.full = True
    desk.outlet.put(b"one")
    desk.in_trouble("lines cannot be written: No space left on device")
    desk.outlet.put(b"two")
    assert desk.disk.written == []
    desk.disk.full = False
    desk.written(b"one", b"two")
    desk.in_trouble("")
    soon(lambda: desk.troubles[-1] == "", "the change is told")
    assert said(log) == [
        ("error", "audit trail cannot be written"),
        ("info", "audit trail is written again"),
    ]
    assert log.lines()[0]["why"] == "No space left on device"


def test_it_is_tried_again_and_again_and_said_once(desk, log):
    desk.disk.full = True
    desk.outlet.put(b"one")
    soon(lambda: desk.disk.attempts > 5, "attempts")
    assert said(log) == [("error", "audit trail cannot be written")]
    desk.disk.full = False


def test_past_a_limit_they_are_dropped_and_counted(desk, log):
    """At its edge, and the number stands where they are missing."""
    desk.disk.full = True
    desk.outlet.put(b"0")
    desk.in_trouble("lines cannot be written: No space left on device")
    for number in range(1, MAX_WAITING + 3):
        desk.outlet.put(b"%d" % number)
    assert said(log)[-1] == ("error", "audit records are dropped")
    desk.disk.full = False
    soon(lambda: b"lost 3" in desk.disk.written, "the number")
    desk.outlet.put(b"after")
    soon(lambda: desk.disk.written[-1] == b"after", "what comes then")
    kept = [b"%d" % number for number in range(MAX_WAITING)]
    assert desk.disk.written == [*kept, b"lost 3", b"after"]
    lost = log.lines("audit records are lost")
    assert [line["count"] for line in lost] == [3]
    assert len(log.lines("audit records are dropped")) == 1


def test_none_is_dropped_at_the_limit(desk, log):
    desk.disk.full = True
    for number in range(MAX_WAITING):
        desk.outlet.put(b"%d" % number)
    desk.disk.full = False
    soon(lambda: len(desk.disk.written) == MAX_WAITING, "all of them")
    assert log.lines("audit records are dropped") == []


def test_a_disk_that_hangs_is_in_trouble_before_anything_is_dropped(desk):
    desk.disk.running.clear()
    for number in range(STUCK):
        desk.outlet.put(b"%d" % number)
    assert desk.outlet.trouble == ""
    desk.outlet.put(b"one more")
    assert desk.outlet.trouble == f"{STUCK} lines wait to be written"
    assert desk.troubles[-1] == desk.outlet.trouble
    desk.disk.running.set()
    desk.in_trouble("")


def test_a_writer_that_is_crowded(desk):
    """It writes, but nobody should count on it; looked at again without anything to write."""
    desk.disk.crowding = "90% full"
    desk.outlet.put(b"one")
    desk.in_trouble("90% full")
    desk.written(b"one")
    desk.disk.crowding = ""
    desk.in_trouble("")


def test_at_the_end_everything_is_written(desk):
    desk.disk.running.clear()
    desk.outlet.put(b"one")
    desk.outlet.finish()
    assert desk.outlet._thread.is_alive()
    desk.disk.running.set()
    desk.outlet.join(10)
    assert desk.disk.written == [b"one"]


def test_at_the_end_what_cannot_be_written_is_lost_and_said(desk, log):
    desk.disk.full = True
    for number in range(MAX_WAITING + 2):
        desk.outlet.put(b"%d" % number)
    desk.outlet.finish()
    desk.outlet.join(10)
    assert [line["count"] for line in log.lines("audit records are lost")] == [MAX_WAITING + 2]


def test_a_last_attempt_is_made(desk):
    desk.disk.full = True
    desk.outlet.put(b"one")
    desk.in_trouble("lines cannot be written: No space left on device")
    desk.disk.full = False
    desk.outlet.finish()
    desk.outlet.join(10)
    assert desk.disk.written == [b"one"]


def test_a_log_that_is_gone_stops_nothing(desk, log):
    log.break_down()
    desk.disk.full = True
    desk.outlet.put(b"one")
    desk.in_trouble("lines cannot be written: No space left on device")
    desk.disk.full = False
    desk.written(b"one")
