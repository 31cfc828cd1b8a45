"""Which processes of a relay live, and whether another one has changed something: without a system call.

A directory that they share. Each process has a place in it: a file that it keeps locked, which the kernel
undoes when it dies, however it dies; and a counter in a file that all have mapped into memory.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PLACES: Final = 256  # processes at once, on a machine with very many cores
_COUNTER: Final = struct.Struct("=Q")
_SIZE: Final = PLACES * _COUNTER.size
_MODE: Final = 0o600


class Presence:
    """This process among those of its relay; `place` is its number, from 0.

    Raises OSError where it cannot be one of them.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._counters = _opened(directory / "changes")
        try:
            os.ftruncate(self._counters, _SIZE)
            self._map = mmap.mmap(self._counters, _SIZE)
            self.place = -1
            with self._others_wait():
                self.place, self._lock = self._taken()
        except OSError:
            os.close(self._counters)
            raise
        self.unsee()
        self.sweep()
        self.tell()

    def sweep(self) -> None:
        """Forgets the counters of processes that are no more."""
        with self._others_wait():
            for at in range(0, _SIZE, _COUNTER.size):
                (count,) = _COUNTER.unpack_from(self._map, at)
                if count and self.is_gone(at // _COUNTER.size):
                    _COUNTER.pack_into(self._map, at, 0)

    def is_gone(self, place: int) -> bool:
        """Whether no process has this place."""
        if place == self.place:
            return False
        lock = self._locked(place)
        if lock is not None:
            os.close(lock)
        return lock is not None

    def tell(self) -> None:
        """This process has changed something, and all can read it by now."""
        at = self.place * _COUNTER.size
        (count,) = _COUNTER.unpack_from(self._map, at)
        _COUNTER.pack_into(self._map, at, count + 1)
        self._seen[at : at + _COUNTER.size] = self._map[at : at + _COUNTER.size]

    def has_news(self) -> bool:
        """Whether another process has told something that is not `seen`."""
        return self._map[:] != self._seen

    def now(self) -> bytes:
        """What all have told; to be asked before it is read, and given to `seen` then."""
        return self._map[:]

    def seen(self, now: bytes) -> None:
        """Everything that was told then is read."""
        self._seen = bytearray(now)

    def unsee(self) -> None:
        """There is something to read, whoever wrote it."""
        self._seen = bytearray(_SIZE)

    def close(self) -> None:
        """Gives the place back."""
        self._map.close()
        os.close(self._lock)
        os.close(self._counters)

    @contextmanager
    def _others_wait(self) -> Iterator[None]:
        """Nobody else takes a place, or sweeps, meanwhile."""
        fcntl.flock(self._counters, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._counters, fcntl.LOCK_UN)

    def _taken(self) -> tuple[int, int]:
        for place in range(PLACES):
            lock = self._locked(place)
            if lock is not None:
                return place, lock
        raise OSError(f"{self._directory}: {PLACES} processes already")

    def _locked(self, place: int) -> int | None:
        """The descriptor of the file of a place, if nobody else has it locked."""
        descriptor = _opened(self._directory / str(place))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor


def _opened(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _MODE)
