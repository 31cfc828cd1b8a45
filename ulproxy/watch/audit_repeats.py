"""What anybody can cause as often as he likes is said once, and once more with how often it was.

Without it a peer that nobody let in could fill the queue of audit messages, and with it stop the relay.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

T = TypeVar("T")

PERIOD: Final = timedelta(minutes=1)
# Keys that are told apart in one period: the addresses of a hospital, not those of an IPv6 network.
MAX_KEYS: Final = 1000
Key = tuple[str, ...]
OTHERS: Final[Key] = ("",)


class Repeats(Generic[T]):
    """Passes on the first of a kind at once, and the last one of its period with the number of those between.

    `send` takes an item and how often it came again since the one before.
    """

    def __init__(self, send: Callable[[T, int], None]) -> None:
        self._send = send
        self._began: dict[Key, datetime] = {}
        self._again: dict[Key, tuple[T, int]] = {}

    def add(self, key: Key, item: T, moment: datetime) -> None:
        """It happened; `key` is what makes it the same as another one."""
        if key not in self._began and len(self._began) >= MAX_KEYS:
            key = OTHERS
        if key not in self._began:
            self._began[key] = moment
            self._send(item, 0)
            return
        _, count = self._again.get(key, (item, 0))
        self._again[key] = (item, count + 1)

    def sweep(self, moment: datetime, *, everything: bool = False) -> None:
        """Says what is left of the periods that are over."""
        over = [k for k, began in self._began.items() if everything or moment - began >= PERIOD]
        for key in over:
            del self._began[key]
            if key in self._again:
                self._send(*self._again.pop(key))
