"""The queue of audit messages on disk: in order, whole after a crash, bounded; sent by one process."""

from __future__ import annotations

import concurrent.futures
import fcntl
import os
import sqlite3
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.end_to_end.peers import ROOT
from ulproxy.shell import spool as module
from ulproxy.shell.spool import AT_ONCE, SendingTurn, Spool, SpoolError

LARGE = bytes(10_000)


def messages(*numbers: int) -> deque[bytes]:
    return deque(b"message %d" % number for number in numbers)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit.queue"


@pytest.fixture
def spool(path: Path):
    spool = Spool(path)
    yield spool
    spool.close()


def fill(spool: Spool) -> int:
    """Adds messages until no more are taken, and says how many were."""
    number = 0
    try:
        while True:
            spool.write(deque([LARGE]))
            number += 1
    except SpoolError:
        return number


def all_of(spool: Spool) -> list[bytes]:
    return [message for _, message in spool.oldest(1_000_000)]


def test_first_in_first_out(spool):
    waiting = messages(1, 2, 3)
    spool.write(waiting)
    spool.write(messages(4))
    assert not waiting
    assert all_of(spool) == list(messages(1, 2, 3, 4))
    (_, first), (last, second) = spool.oldest(2)
    assert [first, second] == list(messages(1, 2))
    spool.remove(last)
    assert all_of(spool) == list(messages(3, 4))


def test_an_empty_queue(spool):
    assert spool.oldest(10) == []
    assert spool.crowding == ""


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_messages_are_bytes(tmp_path_factory, sent):
    spool = Spool(tmp_path_factory.mktemp("spool") / "queue")
    spool.write(deque(sent))
    assert all_of(spool) == sent
    spool.close()


def test_more_than_one_transaction(spool):
    numbers = range(2 * AT_ONCE + 1)
    spool.write(messages(*numbers))
    assert all_of(spool) == list(messages(*numbers))


def test_a_new_process_finds_what_the_last_one_left(path, spool):
    spool.write(messages(1, 2))
    spool.close()
    after = Spool(path)
    after.write(messages(3))
    assert all_of(after) == list(messages(1, 2, 3))
    after.close()


def test_a_process_that_is_killed_loses_nothing(path):
    program = f"""
import os
from collections import deque
from pathlib import Path
from ulproxy.shell.spool import Spool
spool = Spool(Path({str(path)!r}))
spool.write(deque([b"message 1", b"message 2"]))
os.kill(os.getpid(), 9)
"""
    killed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert killed.returncode == -9
    spool = Spool(path)
    assert all_of(spool) == list(messages(1, 2))
    spool.close()


def test_a_number_is_never_used_again(path, spool):
    """Or what another process adds could be removed in the place of what was sent."""
    spool.write(messages(1))
    ((first, _),) = spool.oldest(1)
    spool.remove(first)
    other = Spool(path)
    other.write(messages(2))
    spool.remove(first)
    assert all_of(other) == list(messages(2))
    other.close()


def test_nobody_else_reads_it(path, spool):
    before = os.umask(0)
    try:
        spool.write(messages(1))
        with spool._database() as database, database:
            database.execute("DELETE FROM messages")
            files = list(path.parent.iterdir())
            assert {file.name for file in files} == {"audit.queue", "audit.queue-journal"}
            assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o640"}
    finally:
        os.umask(before)


# Full ----------------------------------------------------------------------------------------------


def test_it_is_bounded(path):
    spool = Spool(path, most=1 << 20)
    number = fill(spool)
    assert (1 << 20) / len(LARGE) * 0.8 < number < (1 << 20) / len(LARGE)
    waiting = messages(1, 2)
    with pytest.raises(SpoolError, match="the queue is full \\(1 MiB\\)"):
        spool.write(waiting)
    assert waiting == messages(1, 2)
    spool.remove(spool.oldest(number // 2)[-1][0])
    spool.write(waiting)
    assert all_of(spool)[-2:] == list(messages(1, 2))
    assert path.stat().st_size < 1.2 * (1 << 20)
    spool.close()


def test_it_says_so_before_it_is_full_and_until_there_is_room(path):
    spool = Spool(path, most=1 << 20)
    while not (text := spool.crowding):
        spool.write(deque([LARGE]))
    assert text == "the queue of audit messages is 90% full"
    full = len(all_of(spool))
    assert fill(spool) > full * 0.05, "there is still room for associations that are open"
    while spool.crowding:
        spool.remove(spool.oldest(1)[0][0])
    assert 0.7 * full < len(all_of(spool)) < 0.92 * full
    spool.close()


def test_a_full_disk(spool):
    """SQLite says the same of a full disk and of a limit of its own."""
    spool.write(messages(1))
    assert spool._connection is not None
    pages = spool._connection.execute("PRAGMA page_count").fetchone()[0]
    spool._connection.execute(f"PRAGMA max_page_count = {pages}")
    waiting = deque([LARGE])
    with pytest.raises(SpoolError, match="full"):
        spool.write(waiting)
    assert len(waiting) == 1
    assert all_of(spool) == list(messages(1))
    spool._connection.execute("PRAGMA max_page_count = 1000000")
    spool.write(waiting)
    assert all_of(spool) == [b"message 1", LARGE]


# What it cannot work with --------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    spool = Spool(tmp_path / "file" / "audit.queue")
    for use in (lambda: spool.write(messages(1)), lambda: spool.oldest(1), lambda: spool.crowding):
        with pytest.raises(SpoolError):
            use()


def test_a_folder_in_its_place(path):
    path.mkdir(parents=True)
    with pytest.raises(SpoolError):
        Spool(path).oldest(1)


def test_another_process_that_does_not_end(path, spool, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    spool.write(messages(1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    second = Spool(path)
    waiting = messages(2)
    with pytest.raises(SpoolError, match="locked"):
        second.write(waiting)
    other.execute("ROLLBACK")
    other.close()
    second.write(waiting)
    assert all_of(spool) == list(messages(1, 2))
    second.close()


def test_many_that_use_it_at_once(path):
    """Each opens, uses and closes it all the time; nobody is told that it is locked."""

    def use(number: int) -> None:
        for one in range(20):
            spool = Spool(path)
            spool.write(messages(number * 100 + one))
            spool.oldest(10)
            spool.close()

    with concurrent.futures.ThreadPoolExecutor() as threads:
        list(threads.map(use, range(4)))
    spool = Spool(path)
    assert len(all_of(spool)) == 80
    spool.close()


def test_opening_it_takes_no_lock_from_another_thread(path, spool):
    """POSIX locks are of a process: closing any descriptor of the file would undo them."""
    spool.write(messages(1))
    assert spool._connection is not None
    spool._connection.execute("BEGIN IMMEDIATE")
    second = Spool(path)
    assert all_of(second) == list(messages(1))
    program = f"""
import sqlite3
connection = sqlite3.connect({str(path)!r}, timeout=0, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
"""
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert b"database is locked" in other.stderr
    spool._connection.execute("ROLLBACK")
    second.close()


def test_what_is_no_queue_is_set_aside(path, spool):
    path.parent.mkdir()
    path.write_bytes(b"what is this?" * 1000)
    with pytest.raises(SpoolError, match="not a database; it was set aside"):
        spool.write(messages(1))
    spool.write(messages(1))
    assert all_of(spool) == list(messages(1))
    assert Path(f"{path}.broken").read_bytes() == b"what is this?" * 1000


def test_what_was_a_queue_is_set_aside(path):
    spool = Spool(path)
    spool.write(messages(*range(1000)))
    spool.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(SpoolError, match="set aside"):
        all_of(spool)
    spool.write(messages(1))
    assert all_of(spool) == list(messages(1))
    spool.close()


def test_a_bug_of_ours_costs_no_queue(path, spool):
    spool.write(messages(1))
    with pytest.raises(sqlite3.ProgrammingError), spool._database() as database:
        database.execute("SELECT ?", ())
    assert all_of(spool) == list(messages(1))


# Who sends -----------------------------------------------------------------------------------------


def test_one_at_a_time(path):
    path.parent.mkdir()
    first, second = SendingTurn(path), SendingTurn(path)
    assert first.taken()
    assert first.taken()
    assert not second.taken()
    first.close()
    assert second.taken()
    second.close()
    second.close()


def test_a_turn_that_cannot_be_had(path):
    with pytest.raises(FileNotFoundError):
        SendingTurn(path).taken()


def test_a_system_without_locks(path, monkeypatch):
    def no_locks(*_arguments):
        raise OSError(37, "No locks available")

    path.parent.mkdir()
    monkeypatch.setattr(fcntl, "flock", no_locks)
    turn = SendingTurn(path)
    with pytest.raises(OSError, match="No locks"):
        turn.taken()
    turn.close()
