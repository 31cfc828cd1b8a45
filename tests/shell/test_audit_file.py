"""The audit file: whole lines, whatever a disk or logrotate does to it in the meantime."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections import deque
from pathlib import Path

import pytest

from ulproxy.shell.audit_file import AT_ONCE, AuditFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def file(path: Path):
    file = AuditFile(path)
    yield file
    file.close()


def lines(*texts: str) -> deque[bytes]:
    return deque(f"{text}\n".encode() for text in texts)


class Disk:
    """os.write on a disk that takes so many octets more, and then none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room is None:
            return self._write(descriptor, data)
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._write(descriptor, data[: self.room])
        self.room -= written
        return written


def test_lines_are_appended(path, file):
    path.write_text("before\n")
    waiting = lines("one", "two")
    file.write(waiting)
    file.write(lines("three"))
    assert not waiting
    assert path.read_text() == "before\none\ntwo\nthree\n"


def test_it_is_there_from_the_beginning_for_its_owner_and_group(path, file):
    before = os.umask(0)
    try:
        file.write(deque())
        assert path.stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


def test_many_lines(path, file):
    texts = [str(number) for number in range(2 * AT_ONCE + 1)]
    file.write(lines(*texts))
    assert path.read_text().split() == texts


def test_logrotate_moves_it(path, file):
    file.write(lines("one"))
    path.rename(path.with_suffix(".1"))
    file.write(lines("two"))
    assert path.with_suffix(".1").read_text() == "one\n"
    assert path.read_text() == "two\n"


def test_logrotate_puts_an_empty_one_there(path, file):
    file.write(lines("one"))
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"")
    file.write(lines("two"))
    assert path.read_text() == "two\n"


def test_logrotate_copies_and_truncates_it(path, file):
    file.write(lines("one"))
    os.truncate(path, 0)
    file.write(lines("two"))
    assert path.read_text() == "two\n"


def test_a_folder_that_is_not_there(tmp_path):
    waiting = lines("one")
    with pytest.raises(FileNotFoundError):
        AuditFile(tmp_path / "away" / "audit.jsonl").write(waiting)
    assert waiting == lines("one")


def test_a_folder_that_is_gone(tmp_path):
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / "audit.jsonl"
    file = AuditFile(path)
    file.write(lines("one"))
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(FileNotFoundError):
        file.write(lines("two"))


@pytest.mark.parametrize("room", range(len("one\ntwo\nthree\n")))
def test_a_full_disk(path, file, monkeypatch, room):
    """Wherever it is full: whole lines are kept, the others wait, also for whoever else writes there."""
    disk = Disk(monkeypatch)
    file.write(deque())
    disk.room = room
    waiting = lines("one", "two", "three")
    with pytest.raises(OSError, match="No space"):
        file.write(waiting)
    kept = "one\ntwo\nthree\n"[:room].rpartition("\n")
    assert path.read_text() == kept[0] + kept[1]
    with pytest.raises(OSError, match="No space"):
        file.write(waiting)
    disk.room = None
    other = AuditFile(path)
    other.write(lines("of another process"))
    other.close()
    waiting += lines("four")
    file.write(waiting)
    written = path.read_text().splitlines()
    assert [line for line in written if line != "of another process"] == [
        "one",
        "two",
        "three",
        "four",
    ]
    assert len(written) == 5


def test_a_full_disk_and_then_another_file(path, file, monkeypatch):
    """A line that the file that was moved away had no room for is written into the new one."""
    disk = Disk(monkeypatch)
    file.write(lines("one"))
    disk.room = 2
    waiting = lines("two", "three")
    with pytest.raises(OSError, match="No space"):
        file.write(waiting)
    path.rename(path.with_suffix(".1"))
    disk.room = None
    file.write(waiting)
    assert path.with_suffix(".1").read_text() == "one\n"
    assert path.read_text() == "two\nthree\n"


def test_what_an_earlier_process_could_not_complete_stays_alone(path, file):
    path.write_text("one\ntw")
    file.write(lines("three"))
    assert path.read_text() == "one\ntw\nthree\n"


def test_one_writes_at_a_time(path, file):
    """Whoever would write waits: a part of a line could not be taken back behind another one."""
    file.write(lines("one"))
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writing = threading.Thread(target=file.write, args=[lines("three")])
        writing.start()
        with path.open("ab") as appending:
            appending.write(b"two\n")
        assert path.read_text() == "one\ntwo\n"
    writing.join()
    assert path.read_text() == "one\ntwo\nthree\n"


def test_what_is_no_regular_file(tmp_path):
    """A named pipe, say: somebody reads along."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = AuditFile(path)
    file.write(lines("one"))
    assert os.read(reader, 100) == b"one\n"
    file.close()
    os.close(reader)
    file.close()
