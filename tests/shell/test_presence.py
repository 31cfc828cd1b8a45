"""Processes that know of each other: who lives, who has changed something."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.shell.relay import descriptors
from ulproxy.shell import presence
from ulproxy.shell.presence import PLACES, Presence

OTHER = """
import sys
from pathlib import Path
from ulproxy.shell.presence import Presence
other = Presence(Path(sys.argv[1]))
print(other.place, flush=True)
sys.stdin.readline()
other.tell()
print("told", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "workers"


@pytest.fixture
def other(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which is there."""
    command = [sys.executable, "-c", OTHER, str(directory)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def wake(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_each_has_a_place_of_its_own_and_leaves_it(directory):
    with closing(Presence(directory)) as first:
        with closing(Presence(directory)) as second, closing(Presence(directory)) as third:
            assert [first.place, second.place, third.place] == [0, 1, 2]
        with closing(Presence(directory)) as again:
            assert again.place == 1


def test_nobody_else_may_read_or_lock_it(directory):
    with closing(Presence(directory)):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        modes = {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}
        assert modes == {0o600}


def test_who_lives(directory):
    with closing(Presence(directory)) as here:
        with closing(Presence(directory)) as there:
            assert not here.is_gone(here.place)
            assert not here.is_gone(there.place)
            assert not there.is_gone(here.place)
            assert here.is_gone(7)
        assert here.is_gone(1)


def test_a_process_that_is_killed_is_gone_at_once(directory, other):
    place = int(line(other))
    with closing(Presence(directory)) as here:
        assert here.place != place
        assert not here.is_gone(place)
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert here.is_gone(place)


def test_what_another_one_tells_is_news_until_it_is_seen(directory):
    with closing(Presence(directory)) as here, closing(Presence(directory)) as there:
        now = here.now()
        assert here.has_news()
        here.seen(now)
        assert not here.has_news()
        for _ in range(300):
            there.tell()
            assert here.has_news()
            now = here.now()
            there.tell()
            here.seen(now)
            assert here.has_news()
            here.seen(here.now())
            assert not here.has_news()


def test_what_it_tells_itself_is_no_news(directory):
    with closing(Presence(directory)) as here:
        assert not here.has_news()
        here.tell()
        assert not here.has_news()


def test_another_process_tells(directory, other):
    line(other)
    with closing(Presence(directory)) as here:
        here.seen(here.now())
        wake(other)
        assert line(other) == "told"
        assert here.has_news()


def test_counters_of_those_that_are_gone_are_swept(directory):
    with closing(Presence(directory)) as here:
        with closing(Presence(directory)) as there:
            there.tell()
        assert told(here) == [0, 1]
        here.sweep()
        assert told(here) == [0]
    with closing(Presence(directory)), closing(Presence(directory)):
        pass
    with closing(Presence(directory)) as last:
        assert told(last) == [0]


def told(presence: Presence) -> list[int]:
    """The places of those that have told anything."""
    now = presence.now()
    return [place for place in range(PLACES) if any(now[place * 8 : place * 8 + 8])]


@pytest.mark.parametrize("number", [3, 4])
def test_there_are_only_so_many_places(directory, monkeypatch, number):
    monkeypatch.setattr(presence, "PLACES", 3)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(closing(Presence(directory)))
        before = descriptors()
        if number > 3:
            with pytest.raises(OSError, match="3 processes already"):
                Presence(directory)
        assert descriptors() == before


def test_where_no_directory_can_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Presence(tmp_path / "file" / "workers")
