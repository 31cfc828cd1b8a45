"""Signs of life: what a worker shows its supervisor in memory that they share, without a system call."""

from __future__ import annotations

import mmap
from typing import Final

# Seconds from one turn of a worker's loop that it shows to the next; it turns far more often under load.
BEAT: Final = 5.0
_NUMBER: Final = 8  # octets


class Signs:
    """Of one worker, made before it is forked."""

    def __init__(self) -> None:
        self._numbers = memoryview(mmap.mmap(-1, 2 * _NUMBER)).cast("Q")

    @property
    def ended(self) -> int:
        """How many of the connections that it was given are over."""
        return self._numbers[0]

    @ended.setter
    def ended(self, number: int) -> None:
        self._numbers[0] = number

    @property
    def turns(self) -> int:
        """How often its loop has come round."""
        return self._numbers[1]

    def turn(self) -> None:
        """It has done so again."""
        self._numbers[1] += 1

    def clear(self) -> None:
        """Another process is to have them."""
        self._numbers[0] = self._numbers[1] = 0
