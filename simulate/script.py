"""What somebody does, one thing after the other, as a generator that says what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import NamedTuple

from simulate.clock import Loop


class Wait(NamedTuple):
    """Until `ready`, or so many seconds: the script is sent whether it came to be."""

    seconds: float
    ready: Callable[[], bool] = lambda: False


Steps = Generator[Wait, bool, None]


class Script:
    """A generator under way."""

    def __init__(self, loop: Loop, steps: Steps) -> None:
        self._loop = loop
        self._steps = steps
        self._ready: Callable[[], bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._began = False
        self.over = False
        self._soon = loop.call_soon(self._go_on, True)

    def poke(self) -> None:
        """Something has happened that it may be waiting for."""
        if self._ready is not None and self._ready():
            self._go_on(True)

    def stop(self) -> None:
        """Its AE has nobody to talk to any more."""
        self.over = True
        self._ready = None
        self._soon.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def _go_on(self, came: bool) -> None:
        self._ready = None
        if self._timer is not None:
            self._timer.cancel()
        if self.over:
            return
        try:
            wanted = self._steps.send(came) if self._began else next(self._steps)
        except StopIteration:
            self.over = True
            return
        self._began = True
        self._wait(wanted)

    def _wait(self, wanted: Wait) -> None:
        if self.over:  # it has closed its own connection
            return
        if wanted.ready():
            self._soon = self._loop.call_soon(self._go_on, True)
            return
        self._ready = wanted.ready
        self._timer = self._loop.call_later(wanted.seconds, self._go_on, False)
