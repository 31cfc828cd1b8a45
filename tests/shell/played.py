"""A supervisor whose workers and whose time a test plays."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tests.end_to_end.peers import toml
from tests.shell.relay import config
from ulproxy.policy.config import load
from ulproxy.policy.model import Config
from ulproxy.shell import worker
from ulproxy.shell.channel import Channel
from ulproxy.shell.crew import Member, Untaken
from ulproxy.shell.workers import Supervisor


@dataclass
class Ear:
    """A worker's channel: what it has been told, and whether it takes connections."""

    heard: list[bytes] = field(default_factory=list)
    listens: bool = True
    configurations: list[Config] = field(default_factory=list)

    def send(self, message: bytes, descriptor: int | None = None) -> None:
        self.heard.append(message)
        if descriptor is not None:
            data = os.pread(descriptor, 1 << 20, 0)
            self.configurations.append(pickle.loads(data))

    def offer(self, message: bytes, descriptor: int | None = None) -> bool:
        if self.listens:
            assert descriptor is not None
            self.heard.append(message)
        return self.listens

    def close(self) -> None:
        self.heard.append(b"closed")


class Time:
    """The loop of a supervisor; what is to happen later does when the test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.due: list[tuple[float, asyncio.TimerHandle]] = []
        self.now = 1000.0
        self.stops = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def time(self) -> float:
        return self.now

    def stop(self) -> None:
        self.stops += 1

    def call_later(self, delay: float, callback: Any, *args: object) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(self.now + delay, callback, args, self._loop)
        self.due.append((self.now + delay, handle))
        return handle

    def add_reader(self, *_: object) -> None:
        """The test accepts by itself."""

    def remove_reader(self, *_: object) -> None:
        """Likewise."""

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        due = [handle for when, handle in self.due if when <= self.now]
        self.due = [(when, handle) for when, handle in self.due if when > self.now]
        for handle in due:
            if not handle.cancelled():
                cast("Any", handle)._callback(*cast("Any", handle)._args)


class Played:
    """A supervisor and its workers."""

    def __init__(self, directory: Path, workers: int) -> None:
        self.path = directory / "relay.toml"
        self.table = config(1)
        self.path.write_text(toml(self.table))
        self.ready: list[str] = []
        self.supervisor = Supervisor(
            self.path, load(self.path), workers, None, self.ready.append, asyncio.new_event_loop
        )
        self.real = self.supervisor._loop
        self.time = Time(self.real)
        loop = cast("asyncio.AbstractEventLoop", self.time)
        self.supervisor._loop = self.supervisor._crew._loop = self.supervisor._ports._loop = loop
        self.supervisor._ports.listen(self.supervisor._config.listeners)
        self.killed: list[int] = []
        self._numbers = iter(range(5001, 6000))
        self.supervisor._crew._wanted.clear()
        for member in self.members:
            self.begin(member)

    @property
    def members(self) -> list[Member]:
        return self.supervisor._crew.members

    def ear(self, place: int) -> Ear:
        return cast("Ear", self.members[place].channel)

    def heard(self, place: int) -> list[bytes]:
        """What it has been told since the last time."""
        heard = self.ear(place).heard
        said, heard[:] = heard[:], []
        return said

    def begin(self, member: Member) -> None:
        """It has a process."""
        member.process = next(self._numbers)
        member.channel = cast("Channel", Ear())

    def start(self, *places: int) -> None:
        """They serve; all, if none is named."""
        for place in places or range(len(self.members)):
            self.supervisor.heard(self.members[place], worker.READY)

    def answer(self, place: int, message: bytes) -> None:
        self.supervisor.heard(self.members[place], message)

    def die(self, place: int, code: int = -9, untaken: list[Untaken] | None = None) -> None:
        member = self.members[place]
        process = member.process
        member.process, member.channel, member.ready = 0, None, False
        self.supervisor.died(member, process, code, untaken or [])

    def connect(self, listener: int = 1) -> socket.socket:
        """Somebody has connected; the other end."""
        near, far = socket.socketpair()
        self.supervisor._accepted(near, self.supervisor._config.listeners[listener])
        return far

    def reload(self, change: Callable[[dict[str, Any]], object]) -> None:
        table = copy.deepcopy(self.table)
        change(table)
        self.path.write_text(toml(table))
        self.supervisor._load()

    @property
    def alias(self) -> str | None:
        """Of the PACS, by the configuration in force."""
        return self.supervisor._config.aes[1].alias

    def addresses(self) -> list[int]:
        return [port.address.port for port in self.supervisor._ports.open]
