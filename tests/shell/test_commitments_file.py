"""Storage commitment requests: who asked is known weeks later, whatever has happened to the relay."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.shell.relay import Log
from ulproxy.shell import commitments_file, database
from ulproxy.shell.commitments_file import KEEP, MOST, CommitmentsFile

Opened = Callable[[], CommitmentsFile]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(path: Path, clock: Clock) -> Iterator[Opened]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(CommitmentsFile(path, clock)))


def kept(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("SELECT count(*) FROM commitments").fetchone()
    assert isinstance(found, int)
    return found


def test_who_asked(opened):
    commitments = opened()
    commitments.remember("PACS", "1.2", "CT")
    commitments.remember("MINI", "1.2", "MR")
    assert commitments.asked_by("PACS", "1.2") == commitments.asked_by("PACS", "1.2") == "CT"
    assert commitments.asked_by("MINI", "1.2") == "MR"
    assert commitments.asked_by("PACS", "1.3") == commitments.asked_by("OTHER", "1.2") == ""
    commitments.remember("PACS", "1.2", "MR")
    assert commitments.asked_by("PACS", "1.2") == "CT", "who says the UID of another gets nothing"


def test_nobody_waits_for_the_result_any_more(opened, clock):
    commitments = opened()
    commitments.remember("PACS", "1.2", "CT")
    clock.now += KEEP
    commitments.remember("PACS", "1.2", "MR")
    assert commitments.asked_by("PACS", "1.2") == "MR"


def test_another_process_knows_and_so_does_the_next(opened):
    first, second = opened(), opened()
    first.remember("PACS", "1.2", "CT")
    assert second.asked_by("PACS", "1.2") == "CT"
    first.close()
    second.close()
    assert opened().asked_by("PACS", "1.2") == "CT"


def test_after_the_process_was_killed(path, opened):
    program = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from ulproxy.shell.commitments_file import CommitmentsFile\n"
        "file = CommitmentsFile(Path(sys.argv[1]))\n"
        "file.remember('PACS', '1.2', 'CT')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert opened().asked_by("PACS", "1.2") == "CT"


@pytest.mark.parametrize(("later", "known"), [(KEEP - 1, True), (KEEP, False), (KEEP + 1, False)])
def test_how_long(opened, path, clock, later, known):
    commitments = opened()
    commitments.remember("PACS", "1.2", "CT")
    clock.now += later
    assert (commitments.asked_by("PACS", "1.2") == "CT") == known
    opened()
    assert kept(path) == int(known)


@pytest.mark.parametrize("number", [5, 6, 7])
def test_how_many(opened, path, clock, monkeypatch, number):
    monkeypatch.setattr(commitments_file, "MOST", 6)
    monkeypatch.setattr(commitments_file, "_PRUNE_EVERY", 1)
    commitments = opened()
    for n in range(number):
        clock.now += 1
        commitments.remember("PACS", str(n), "CT")
    assert kept(path) == min(number, 6)
    assert commitments.asked_by("PACS", "0") == ("CT" if number < 7 else "")
    assert commitments.asked_by("PACS", str(number - 1)) == "CT"
    assert MOST >= 100_000


def test_many_are_looked_through_now_and_then(opened, path, clock, monkeypatch):
    monkeypatch.setattr(commitments_file, "MOST", 10)
    commitments = opened()
    for n in range(1000):
        clock.now += 1
        commitments.remember("PACS", str(n), "CT")
        assert kept(path) <= 510 if n % 100 == 0 else True
    assert kept(path) == 10


def test_what_cannot_be_written_is_known_until_the_end(tmp_path, log):
    (tmp_path / "file").write_text("")
    with closing(CommitmentsFile(tmp_path / "file" / "state")) as commitments:
        commitments.remember("PACS", "1.2", "CT")
        assert commitments.asked_by("PACS", "1.2") == "CT"
        assert commitments.asked_by("PACS", "1.3") == ""
    assert len(log.lines()) == 1


def test_a_file_that_is_no_database_is_set_aside(path, monkeypatch, log: Log):
    monkeypatch.setattr(database, "RETRY", -1.0)
    path.write_bytes(b"whatever this is, it is no database" * 100)
    with closing(CommitmentsFile(path)) as commitments:
        commitments.remember("PACS", "1.2", "CT")
    with closing(CommitmentsFile(path)) as commitments:
        assert commitments.asked_by("PACS", "1.2") == "CT"
    assert Path(f"{path}.broken").read_bytes().startswith(b"whatever")
    (line,) = log.lines("state cannot be shared")
    assert (line["what"], line["why"]) == ("storage commitments", "file is not a database")
