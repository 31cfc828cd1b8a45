"""The audit file: lines appended, whatever becomes of the file in the meantime, by several processes.

It is opened anew when its name means another file, so logrotate needs to tell nobody. A line that the disk
took only a part of is taken back, and written whole when there is room.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections import deque
from itertools import islice
from pathlib import Path
from typing import Final

# Lines in one write(2): what others that append to the file see is whole lines.
AT_ONCE: Final = 1000


class AuditFile:
    """Appends lines to a file, which it makes with mode 0640 if there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    crowding = ""  # a disk is full or not

    def write(self, waiting: deque[bytes]) -> None:
        """Appends lines, each with its end; those written are taken from `waiting`. Raises OSError."""
        descriptor = self._current()
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # one worker at a time
        try:
            _end_line(descriptor)
            while waiting:
                written = _write_whole_lines(descriptor, b"".join(islice(waiting, AT_ONCE)))
                while written:
                    written -= len(waiting.popleft())
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """By the thread that has used it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _current(self) -> int:
        """The file that has the name now."""
        if self._descriptor is not None and not self._is_current(self._descriptor):
            self.close()
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o640)
        return self._descriptor

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False


def _write_whole_lines(descriptor: int, lines: bytes) -> int:
    """Octets of lines that are in the file now as a whole, and none of another one; raises OSError."""
    written = os.write(descriptor, lines)
    whole = lines.rfind(b"\n", 0, written) + 1
    if whole < written:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - written + whole)
    return whole


def _end_line(descriptor: int) -> None:
    """A line that a process could not complete, nor take back, shall not take the next one with it."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return
    if os.pread(descriptor, 1, status.st_size - 1) != b"\n":
        os.write(descriptor, b"\n")
