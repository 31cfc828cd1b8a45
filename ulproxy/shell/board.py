"""Where each worker writes its numbers and the supervisor reads them: memory that they share.

Nobody is asked and nobody waits, and of a worker that dies the last numbers are there. A place has two
sheets: a worker writes on the one that is not shown and then shows it, so one that dies meanwhile spoils
nothing.
"""

from __future__ import annotations

import mmap
import os
from typing import Final

# Octets that a sheet may have; they are taken from the system as they are written.
ROOM: Final = 1 << 24
_LENGTH: Final = 8  # octets
_TRIES: Final = 3


class Board:
    """Made before the processes are forked, each of which has a place, from 0 on."""

    def __init__(self, places: int) -> None:
        self._file = os.memfd_create("ulproxy-metrics")
        os.ftruncate(self._file, 2 * places * ROOM)
        self._turns = memoryview(mmap.mmap(-1, 8 * places)).cast("Q")  # shared

    def show(self, place: int, data: bytes) -> None:
        """This, in the place of what was shown; what has no room is not shown."""
        if len(data) > ROOM - _LENGTH:
            return
        turn = self._turns[place] + 1
        os.pwrite(self._file, len(data).to_bytes(_LENGTH) + data, _sheet(place, turn))
        self._turns[place] = turn

    def read(self, place: int) -> bytes:
        """What is shown; empty = nothing is, or it changes too fast to be read."""
        for _ in range(_TRIES):
            turn = self._turns[place]
            sheet = _sheet(place, turn)
            length = int.from_bytes(os.pread(self._file, _LENGTH, sheet))
            data = os.pread(self._file, length, sheet + _LENGTH)
            if self._turns[place] == turn:
                return data if turn else b""
        return b""

    def clear(self, place: int) -> None:
        """Nothing is shown there, after its process has died."""
        self._turns[place] = 0


def _sheet(place: int, turn: int) -> int:
    return (2 * place + turn % 2) * ROOM
