"""The process that serves: its event loop and its file descriptors."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import resource
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from ulproxy.policy.model import Config
from ulproxy.shell.activation import take_over
from ulproxy.shell.server import Server
from ulproxy.shell.state import State
from ulproxy.shell.workers import Supervisor


def occupy_standard_descriptors() -> bool:
    """To be called before anything is opened; returns whether there is a standard error.

    Where one of them was closed, a socket would get its number: what is printed would go to a peer.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.__stderr__ is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    return sys.__stderr__ is not None


def serve(
    path: Path,
    config: Config,
    drain: float | None,
    announce: Callable[[str], None],
    workers: int = 1,
) -> int:
    """Runs a relay until it is told to stop; the exit code. Raises OSError where it cannot listen."""
    _raise_descriptors()
    _never_wait_for(2)
    binds = [listener.bind for listener in config.listeners]
    take_over(os.environ, [*binds, config.metrics] if config.metrics else binds)
    gc.freeze()  # modules and configuration stay: no collection need look at them
    if workers > 1:
        factory = event_loop_factory()
        return Supervisor(path, config, workers, drain, announce, factory).run()

    async def server(state: State) -> None:
        await Server(path, config, announce, state).serve(drain)

    with (
        closing(State(config.relay.state)) as state,
        asyncio.Runner(loop_factory=event_loop_factory()) as runner,
    ):
        runner.run(server(state))
    return 0


def event_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's, where there is one for the platform."""
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.new_event_loop
    import uvloop  # noqa: PLC0415

    return uvloop.new_event_loop


def _raise_descriptors() -> None:
    """Two sockets an association: as many as the system lets us have."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _never_wait_for(descriptor: int) -> None:
    """A log that nobody takes costs its lines, not the associations: a full pipe would stop the loop."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:  # closed
        return
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        os.set_blocking(descriptor, False)
