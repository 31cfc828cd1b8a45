"""Takes what the event loop has to record and writes it in a thread: a slow disk stops no association.

What cannot be written waits, up to `MAX_WAITING`, and is tried again; what comes then is dropped and counted,
and the count is written in its place.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from ulproxy.shell.connect import reason
from ulproxy.watch.log import logger, say

# Records in memory, of 300 to 12 000 octets each.
MAX_WAITING: Final = 10_000
# From so many on it is said that nothing is being written: the disk hangs, it does not fail.
STUCK: Final = MAX_WAITING // 2
# Seconds between two attempts.
RETRY: Final = 1.0


class Writer(Protocol):
    """Where records go; used by one thread, which also opens it at the first `write`."""

    @property
    def crowding(self) -> str:
        """Why nobody should begin anything that has to be recorded; empty = there is room."""

    def write(self, waiting: deque[bytes]) -> None:
        """Writes records; those that are written are taken from `waiting`. Raises OSError."""

    def close(self) -> None:
        """Not used any more."""


class Outlet:
    """One writer and its thread.

    `lost` makes the record that stands for so many dropped ones; `changed` is called, by whichever thread,
    after each attempt and when `trouble` may have come.
    """

    def __init__(
        self, what: str, writer: Writer, lost: Callable[[int], bytes], changed: Callable[[], None]
    ) -> None:
        self.what = what
        self.trouble = ""
        self._writer = writer
        self._lost = lost
        self._changed = changed
        self._log = logger(what=what)
        self._condition = threading.Condition()
        self._new: deque[bytes] = deque()
        self._taken: deque[bytes] = deque()  # the thread's own
        self._dropped = 0
        self._failed = ""
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"writer of {what}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many records are not written yet."""
        return len(self._new) + len(self._taken)

    def put(self, record: bytes) -> None:
        """Record this; never waits."""
        with self._condition:
            waiting = len(self._new) + len(self._taken)
            if waiting < MAX_WAITING:
                self._new.append(record)
                self._condition.notify()
            else:
                self._dropped += 1
        if waiting == STUCK and not self.trouble:
            self.trouble = f"{waiting} {self.what} wait to be written"
            self._changed()
        if waiting >= MAX_WAITING and self._dropped == 1:
            say(self._log.error, "audit records are dropped", waiting=waiting)

    def finish(self) -> None:
        """Nothing more comes: write what is there, if it can be written, and end."""
        with self._condition:
            self._closing = True
            self._condition.notify()

    def join(self, seconds: float) -> None:
        """Wait for its end, so long and no longer: a disk may hang."""
        self._thread.join(seconds)

    def _run(self) -> None:
        closing = False
        while True:
            self._attempt()
            if closing:
                break
            with self._condition:
                if not (self._new or self._closing):
                    self._condition.wait(RETRY if self.trouble or self._dropped else None)
                closing = self._closing
                self._taken += self._new
                self._new.clear()
        if self._taken:
            say(self._log.error, "audit records are lost", count=len(self._taken) + self._dropped)
        self._writer.close()

    def _attempt(self) -> None:
        try:
            self._writer.write(self._taken)
            if self._dropped:
                self._own_up()
            trouble = self._writer.crowding
        except OSError as error:
            trouble = f"{self.what} cannot be written: {reason(error)}"
            if not self._failed:
                say(self._log.error, "audit trail cannot be written", why=reason(error))
            self._failed = trouble
        else:
            if self._failed:
                say(self._log.info, "audit trail is written again")
            self._failed = ""
        self.trouble = trouble
        self._changed()

    def _own_up(self) -> None:
        """Says how many are missing, where they are missing. Raises OSError."""
        with self._condition:
            dropped, self._dropped = self._dropped, 0
            self._taken += self._new
            self._new.clear()
        self._taken.append(self._lost(dropped))
        say(self._log.error, "audit records are lost", count=dropped)
        self._writer.write(self._taken)
