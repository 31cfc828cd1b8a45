"""What pure functions have returned of late: a device asks for the same association again and again.

A decorator of the library would keep whatever comes. Here whoever remembers says what is worth it: nothing
long, for the memory's sake, and nothing secret.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# Devices of a hospital that have associations on the same day, by what they ask for.
MAX_REMEMBERED: Final = 128
# Bytes of a PDU that is worth it: some eighty presentation contexts.
MAX_BYTES: Final = 8192


class Memo(Generic[K, V]):
    """The last `MAX_REMEMBERED` results that were put into it."""

    def __init__(self) -> None:
        self._results: dict[K, V] = {}
        self.get = self._results.get  # the result of `key`, or None

    def put(self, key: K, result: V) -> None:
        """Remembers it, in the place of the oldest one where there are enough."""
        if len(self._results) >= MAX_REMEMBERED:
            del self._results[next(iter(self._results))]
        self._results[key] = result
