"""An event loop without a clock: what is due next happens next, and what is due at once in any order."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Final, Protocol

LAST_STEPS: Final = 10_000


class Readiness(Protocol):
    """A socket of network.py, as the loop watches it."""

    def wake(self) -> None:
        """There may be something to be told to who watches."""


class Loop:
    """As much of an event loop as the relay uses; `now` is in seconds from the beginning.

    `error` = what came out of a callback or a task, after which nothing else happens.
    """

    def __init__(self, chance: random.Random) -> None:
        self.now = 0.0
        self.steps = 0
        self.error: BaseException | None = None
        self.tasks: list[asyncio.Task[Any]] = []
        self.readers: dict[Readiness, asyncio.Handle] = {}
        self.writers: dict[Readiness, asyncio.Handle] = {}
        self.hosts: dict[str, list[str]] = {}
        self._chance = chance
        self._soon: deque[asyncio.Handle] = deque()
        self._later: list[tuple[float, float, int, asyncio.TimerHandle]] = []
        self._order = itertools.count()

    def run(self, until: float) -> bool:
        """Goes on until that time, or nothing is left to happen; whether nothing is."""
        while self.error is None:
            if self._soon:
                handle = self._soon.popleft()
            elif not self._later:
                return True
            else:
                if self._later[0][0] > until:
                    self.now = until
                    return False
                when, _, _, handle = heapq.heappop(self._later)
                self.now = max(self.now, when)
            if not handle.cancelled():
                self.steps += 1
                handle._run()  # noqa: SLF001 (this is what a loop does with it)
        return False

    def close(self) -> None:
        """Nothing else happens but the end of the tasks."""
        for task in self.tasks:
            task.cancel()
        for _ in range(LAST_STEPS):
            if not self._soon:
                return
            handle = self._soon.popleft()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 (as above)

    # What asyncio has

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)  # type: ignore[arg-type]
        self._soon.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self)  # type: ignore[arg-type]
        heapq.heappush(self._later, (when, self._chance.random(), next(self._order), handle))
        return handle

    def create_task(self, running: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.Task(running, loop=self)  # type: ignore[arg-type]
        self.tasks.append(task)
        return task

    def create_future(self) -> asyncio.Future[None]:
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self.error is None:
            self.error = context.get("exception") or AssertionError(context["message"])

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It stays where it is until its time."""

    def add_reader(self, sock: Readiness, callback: Callable[..., object], *args: Any) -> None:
        self.readers[sock] = asyncio.Handle(callback, args, self)  # type: ignore[arg-type]
        sock.wake()

    def remove_reader(self, sock: Readiness) -> bool:
        return self.readers.pop(sock, None) is not None

    def add_writer(self, sock: Readiness, callback: Callable[..., object], *args: Any) -> None:
        self.writers[sock] = asyncio.Handle(callback, args, self)  # type: ignore[arg-type]
        sock.wake()

    def remove_writer(self, sock: Readiness) -> bool:
        return self.writers.pop(sock, None) is not None

    async def getaddrinfo(
        self, host: str, port: int, **_: Any
    ) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        found = self.hosts.get(host)
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (one, port)) for one in found]
