"""The metrics of a relay where they are served: `/metrics`, `/healthz` and `/readyz`, over all its processes.

One process shows its own numbers. Several workers write theirs on a `Board` a few times a second, and the
supervisor adds them up; what a worker had counted that died stays.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http import HTTPStatus
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric

import ulproxy
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import Config
from ulproxy.relay.tally import Sample
from ulproxy.shell.board import Board
from ulproxy.shell.crew import Crew
from ulproxy.shell.pages import Page, Pages
from ulproxy.watch.metrics import CONTENT_TYPE, added, decoded, encoded, exposition, lasting

# Seconds that an answer serves everybody who asks: a page takes milliseconds of a loop that has other work.
FRESH: Final = 0.2
# Seconds between two looks of a worker at its numbers, and how many times longer than a look at least.
SHOW: Final = 0.25
RESTS: Final = 100
# Of several processes the least of these counts, of everything else the sum.
_LEAST: Final = ("process_max_fds", "process_start_time_seconds")


class Watched(Protocol):
    """Whose metrics they are."""

    @property
    def config(self) -> Config:
        """What is in force."""

    def sample(self) -> Sample:
        """What is counted, over all that serve."""

    def unready(self) -> str:
        """Why no association can be asked for now; empty = one can."""

    def processes(self) -> list[int]:
        """Those that serve, and their supervisor."""


class Metrics:
    """Served where the configuration in force says, if it does."""

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Watched) -> None:
        self._owner = owner
        self._loop = loop
        self._pages = Pages(loop, self._page)
        self._bind: Endpoint | None = None
        self._reloads = {"done": 0, "refused": 0}
        self._until = 0.0
        self._text = b""

    @property
    def addresses(self) -> list[Endpoint]:
        """Where they are served."""
        return self._pages.addresses

    def move(self, config: Config, listen: Callable[[], None]) -> None:
        """Serves them where this says, if `listen` can be done too; raises OSError with nothing changed."""
        self._pages.move(config.metrics)
        try:
            listen()
        except OSError:
            self._pages.move(self._bind)
            raise
        self._bind = config.metrics

    def reloaded(self, *, done: bool) -> None:
        """The configuration is in force now, or was refused."""
        self._reloads["done" if done else "refused"] += 1

    def close(self) -> None:
        """Serves nothing any more, in this process."""
        self._pages.close()

    def _page(self, path: str) -> Page | None:
        match path:
            case "/healthz":  # that the loop turns is what there is to say
                return Page(HTTPStatus.OK, b"ok\n")
            case "/readyz":
                why = self._owner.unready()
                status = HTTPStatus.SERVICE_UNAVAILABLE if why else HTTPStatus.OK
                return Page(status, f"{why or 'ready'}\n".encode())
            case "/metrics":
                return Page(HTTPStatus.OK, self._metrics(), CONTENT_TYPE)
            case _:
                return None

    def _metrics(self) -> bytes:
        now = time.monotonic()
        if now >= self._until:
            owner = self._owner
            about: Sample = {
                ("build_info", ulproxy.__version__): 1,
                ("ready",): not owner.unready(),
                ("limit_associations",): owner.config.limits.associations,
                **{("reloads", outcome): count for outcome, count in self._reloads.items()},
            }
            self._text = exposition({**owner.sample(), **about}, _processes(owner.processes()))
            self._until = now + FRESH
        return self._text


class Workers:
    """The numbers of all workers, the dead included; `phase` says why none of them is asked to serve."""

    def __init__(self, config: Config, crew: Crew) -> None:
        self.config = config
        self.phase = "the relay starts"
        self._crew = crew
        self._board = Board(len(crew.members))
        self._dead: Sample = {}
        self._deaths = 0

    def shown_by(self, place: int) -> Callable[[bytes], None]:
        """What the worker of a place shows its numbers with."""
        return lambda data: self._board.show(place, data)

    def bury(self, place: int, *, unexpected: bool) -> None:
        """It has died."""
        self._deaths += unexpected
        last = decoded(self._board.read(place))
        self._dead = added((self._dead, lasting(last)))
        self._board.clear(place)

    def sample(self) -> Sample:
        """All of them together."""
        living = (decoded(self._board.read(member.place)) for member in self._crew.members)
        return {**added((self._dead, *living)), ("worker_deaths",): self._deaths}

    def unready(self) -> str:
        """See `Watched`."""
        if self.phase or any(member.ready for member in self._crew.members):
            return self.phase
        return "no worker serves"

    def processes(self) -> list[int]:
        """See `Watched`."""
        return [os.getpid(), *(member.process for member in self._crew.alive)]


class Showing:
    """A worker's part: shows its numbers while there are some."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sample: Callable[[], Sample],
        show: Callable[[bytes], None],
    ) -> None:
        self._loop = loop
        self._sample = sample
        self._show = show
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """From now on, if it does not yet."""
        if self._timer is None:
            self._look()

    def stop(self) -> None:
        """For the last time."""
        if self._timer is not None:
            self._look()
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        began = time.thread_time()
        self._show(encoded(self._sample()))
        spent = time.thread_time() - began
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(max(SHOW, RESTS * spent), self._look)


def _processes(numbers: Iterable[int]) -> Iterator[Metric]:
    """What the kernel says of all of them together: seconds, memory, descriptors."""
    found: dict[str, list[Metric]] = {}
    for number in numbers:
        collector = ProcessCollector(pid=partial(int, number), registry=CollectorRegistry())
        for metric in collector.collect():
            found.setdefault(metric.name, []).append(metric)
    for name, metrics in found.items():
        values = [sample.value for metric in metrics for sample in metric.samples]
        first = metrics[0]
        whole = Metric(first.name, first.documentation, first.type)
        value = min(values) if name in _LEAST else sum(values)
        whole.add_sample(first.samples[0].name, {}, value)
        yield whole
