"""The audit file: lines appended, whatever becomes of the file in the meantime.

It is opened anew when its name means another file, so logrotate needs to tell nobody. A line that the disk
took only a part of is completed when there is room, or written whole into the file that came in its place.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from pathlib import Path
from typing import Final

# Lines in one write(2): what others that append to the file see is whole lines.
AT_ONCE: Final = 1000


class AuditFile:
    """Appends lines to a file, which it makes with mode 0640 if there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._begun = 0  # octets of the first waiting line that are in the file already

    crowding = ""  # a disk is full or not

    def write(self, waiting: deque[bytes]) -> None:
        """Appends lines, each with its end; those written are taken from `waiting`. Raises OSError."""
        descriptor = self._current()
        while waiting:
            some = [waiting[index] for index in range(min(len(waiting), AT_ONCE))]
            some[0] = some[0][self._begun :]
            written = os.write(descriptor, b"".join(some))
            for line in some:
                if written < len(line):
                    self._begun += written
                    break
                written -= len(line)
                waiting.popleft()
                self._begun = 0

    def close(self) -> None:
        """By the thread that has used it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._begun = 0

    def _current(self) -> int:
        """The file that has the name now."""
        if self._descriptor is not None and not self._is_current(self._descriptor):
            self.close()
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o640)
            _end_line(self._descriptor)
        return self._descriptor

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False


def _end_line(descriptor: int) -> None:
    """A line that an earlier process could not complete shall not take the next one with it."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return
    if os.pread(descriptor, 1, status.st_size - 1) != b"\n":
        os.write(descriptor, b"\n")
