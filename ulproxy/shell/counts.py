"""What several processes count together, in memory that they share: see `Counts`.

A table of rows: the hash of a key, and how often each process has it. A process writes its own numbers only,
so what one had that died can be taken off again. A row is looked for in the group that its hash says, and is
free when nobody has it. One process at a time uses the table; the kernel undoes the lock of one that dies.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from ulproxy.relay.admission import Key

# An association has four keys or so; the first group is full when there are far more than 60 000 keys.
ROWS: Final = 1 << 17
GROUP: Final = 32
_HASH: Final = 8  # octets
_NUMBER: Final = 4
_POSITIVE: Final = (1 << 64) - 1


class SharedCounts:
    """The table, made before the processes are forked, each of which takes a `place`, from 0 on."""

    def __init__(self, places: int, rows: int = ROWS) -> None:
        self.place = 0
        self._places = places
        self._groups = rows // GROUP
        size = rows * (_HASH + _NUMBER * places)
        self._lock = os.memfd_create("ulproxy-counts")
        os.ftruncate(self._lock, size)
        octets = memoryview(mmap.mmap(self._lock, size))
        self._hashes = octets[: rows * _HASH].cast("Q")
        self._numbers = octets[rows * _HASH :].cast("I")

    def enter(self, bounds: Mapping[Key, int | None]) -> Key | None:
        """See `Counts`; a key without a bound is returned where the table has no room for it."""
        counted: list[int] = []
        with self._others_wait():
            for key, bound in bounds.items():
                row = self._row(key)
                if row is None or (bound is not None and self._total(row) >= bound):
                    self._subtract(counted)
                    if row is not None:
                        self._free_unused(row)
                    return key
                self._numbers[row * self._places + self.place] += 1
                counted.append(row)
        return None

    def leave(self, keys: Iterable[Key]) -> None:
        """See `Counts`."""
        with self._others_wait():
            self._subtract([row for key in keys if (row := self._row(key)) is not None])

    def number(self, key: Key) -> int:
        """How many all have."""
        with self._others_wait():
            row = self._row(key)
            if row is None:
                return 0
            number = self._total(row)
            self._free_unused(row)
            return number

    def forget(self, place: int) -> None:
        """The process that had this place is no more."""
        with self._others_wait():
            for row, known in enumerate(self._hashes):
                if known:
                    self._numbers[row * self._places + place] = 0
                    self._free_unused(row)

    @contextmanager
    def _others_wait(self) -> Iterator[None]:
        """POSIX locks are of processes, not of descriptors, which forked processes share."""
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def _row(self, key: Key) -> int | None:
        """Its row, or from now on its row, or None: the group is full.

        Forked processes hash alike, and with a secret of theirs: no peer can aim at a group.
        """
        known = hash(key) & _POSITIVE or 1
        first = known % self._groups * GROUP
        group = self._hashes[first : first + GROUP].tolist()
        if known in group:
            return first + group.index(known)
        if 0 not in group:
            return None
        row = first + group.index(0)
        self._hashes[row] = known
        return row

    def _subtract(self, rows: Iterable[int]) -> None:
        for row in rows:
            self._numbers[row * self._places + self.place] -= 1
            self._free_unused(row)

    def _total(self, row: int) -> int:
        return sum(self._numbers[row * self._places : (row + 1) * self._places])

    def _free_unused(self, row: int) -> None:
        if not self._total(row):
            self._hashes[row] = 0
