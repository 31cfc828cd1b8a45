"""Everything here runs on both event loops; a log of the test's own."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator

import pytest
import structlog
import uvloop

from tests.shell.relay import Log
from ulproxy.watch.log import configure

Loops = dict[str, Callable[[], asyncio.AbstractEventLoop]]


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> Loops:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def log() -> Iterator[Log]:
    """What the relay of this process says."""
    stream = io.StringIO()
    configure("json", stream)
    yield Log(stream)
    structlog.reset_defaults()
