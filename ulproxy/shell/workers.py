"""Several processes on one port: a supervisor accepts, hands out, replaces workers and passes on signals.

It hands each connection to the worker that has fewest. A listening socket that all workers share would wake
all of them for each connection; where each has its own (SO_REUSEPORT) the kernel deals by a hash: of four
senders of large objects all may get the same core, and those who wait for a worker that dies are lost. This
way a connection costs some system calls more, and a reload moves the listeners in one place.

Workers are forked, so that they have the configuration and the certificates in force, whatever has become of
the files since. Nothing may be here that a fork would tear apart: no thread, no SQLite, and an event loop
that keeps nothing in the kernel (poll, not epoll), which stands still meanwhile.
"""

from __future__ import annotations

import asyncio
import math
import os
import pickle
import resource
import selectors
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ulproxy
from ulproxy.errors import ConfigError
from ulproxy.policy.config import load
from ulproxy.policy.model import Config, Listener
from ulproxy.policy.rules import Policy
from ulproxy.relay.admission import ALL
from ulproxy.relay.border import Border
from ulproxy.shell import activation, notify, worker
from ulproxy.shell.audit import Audit
from ulproxy.shell.channel import MAX_MESSAGE
from ulproxy.shell.counts import SharedCounts
from ulproxy.shell.crew import Crew, Member, Untaken
from ulproxy.shell.metrics import Metrics, Workers
from ulproxy.shell.ports import Ports
from ulproxy.shell.runtime import OwnDirectory
from ulproxy.shell.sessions import Company
from ulproxy.shell.state import State
from ulproxy.shell.tls import Contexts
from ulproxy.shell.worker import Task, Worker
from ulproxy.watch.log import logger, say

# Seconds for all workers to say whether they could go by a new configuration.
RELOAD: Final = 30.0
# Seconds for a worker to end once its associations have: the audit trail has its last words.
GRACE: Final = 15.0
# Seconds until connections that no worker could take are offered again.
RETRY: Final = 0.05
# Seconds until it is said once more that nobody can be accepted.
SAID_AGAIN: Final = 60.0
# Of a worker's descriptors; an association has two, and one with a group more.
_DESCRIPTORS: Final = 3


@dataclass
class Reload:
    """A configuration that waits for workers to say that they can go by it."""

    number: bytes
    config: Config
    tls: Contexts
    waiting: set[Member]
    timer: asyncio.TimerHandle


class Supervisor:
    """Serves a configuration file by so many processes until it is told to stop."""

    def __init__(
        self,
        path: Path,
        config: Config,
        workers: int,
        drain: float | None,
        announce: Callable[[str], None],
        loop_factory: Callable[[], asyncio.AbstractEventLoop],
    ) -> None:
        """`loop_factory` is for the workers; raises ConfigError as `Contexts` does."""
        self._path = path
        self._config = config
        self._policy = Policy(config)  # so that the workers share its memory too
        self._tls = Contexts(config)
        self._drain = drain
        self._loop_factory = loop_factory
        self._log = logger()
        self._loop: asyncio.AbstractEventLoop = asyncio.SelectorEventLoop(selectors.PollSelector())
        self._ports = Ports(self._loop, self._accepted, self._exhausted, announce)
        self._counts = SharedCounts(workers)
        self._company = Company(self._counts, workers, os.getpid())
        self._crew = Crew(self._loop, self, workers)
        self._numbers = Workers(config, self._crew)
        self._metrics = Metrics(self._loop, self._numbers)
        self._room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _DESCRIPTORS
        self._waiting: deque[tuple[socket.socket, Listener]] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._quiet_until = -math.inf  # about nobody being accepted
        self._reloads = 0
        self._reload: Reload | None = None
        self._again = False  # a reload was asked for while one could not be done
        self._started = self._stopping = self._over = False
        self._killing: asyncio.TimerHandle | None = None
        self._exit_code = 0

    def run(self) -> int:
        """The exit code; raises OSError where a listener's address cannot be had."""
        with self._state_directory() as self._state:
            try:
                self._metrics.move(self._config, lambda: self._ports.listen(self._config.listeners))
                for number in (signal.SIGTERM, signal.SIGINT):
                    self._loop.add_signal_handler(number, self._stop, number)
                self._loop.add_signal_handler(signal.SIGHUP, self._load)
                self._loop.add_signal_handler(signal.SIGCHLD, self._crew.reap)
                while not self._over:
                    self._crew.fork()
                    self._loop.run_forever()
                self._report_end()
            finally:
                self._crew.close()
                self.leave()
        return self._exit_code

    @contextmanager
    def _state_directory(self) -> Iterator[Path | None]:
        """Where the workers' state is; None = there can be none, which they say."""
        if self._config.relay.state is not None:
            yield self._config.relay.state
            return
        directory = None
        with suppress(OSError):
            directory = OwnDirectory()
        try:
            yield None if directory is None else directory.path / "state.sqlite"
        finally:
            if directory is not None:
                directory.close()

    def _report_end(self) -> None:
        """In the audit trail, after everything that the workers have recorded there."""
        if self._config.audit is not None and self._started:
            border = Border(self._policy, clock=self._loop.time)
            audit = Audit(self._loop, border, self._path, os.getpid())
            audit.start(self._config, reports=False)
            audit.close()

    def _say(self, event: str, **facts: object) -> None:
        """What is in force now, and what its author may want to know."""
        file = str(self._path)
        say(self._log.info, event, version=ulproxy.__version__, file=file, **facts)
        for note in self._config.notes:
            say(self._log.warning, "note", line=note.line, key=note.key, why=note.text)

    # The workers

    def work(self, member: Member, sock: socket.socket) -> None:
        """See `Owner`."""
        self._counts.place = member.place
        reports = member.place == 0 and not self._started
        show = self._numbers.shown_by(member.place)
        task = Task(self._path, self._policy, self._tls, self._company, self._drain, reports, show)

        async def serve(state: State) -> None:
            await Worker(task, state, member.signs).serve(sock)

        with (
            closing(State(self._state)) as state,
            asyncio.Runner(loop_factory=self._loop_factory) as runner,
        ):
            runner.run(serve(state))

    def leave(self) -> None:
        """See `Owner`."""
        self._ports.close()
        self._metrics.close()
        activation.forget()
        for sock, _listener in self._waiting:
            sock.close()
        self._loop.close()

    def heard(self, member: Member, message: bytes) -> None:
        """See `Owner`."""
        kind, (number, _, why) = message[:1], message[1:].partition(b" ")
        if kind == worker.READY:
            member.ready = True
            say(self._log.info, "worker started", worker=member.process)
            if self._crew.complete and not (self._started or self._stopping):
                self._start()
        elif self._reload is not None and number == self._reload.number:
            if kind == worker.UNPREPARED:
                self._refuse(why.decode(errors="replace"))
            else:
                self._prepared(member)

    def _start(self) -> None:
        self._started = True
        self._say("started", workers=len(self._crew.members))
        self._ports.start()
        self._numbers.phase = ""
        notify.ready()
        if self._again:
            self._load()

    def died(self, member: Member, process: int, code: int, untaken: list[Untaken]) -> None:
        """See `Owner`."""
        self._counts.forget(member.place)
        self._numbers.bury(member.place, unexpected=bool(code) or not self._stopping)
        if code or not self._stopping:
            how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
            say(self._log.error, "worker died", worker=process, how=how)
        if self._reload is not None:
            self._prepared(member)
        self._take_back(untaken)
        if self._stopping:
            self._end_with_the_last()
        elif not self._started:  # it would not be the last one
            self._exit_code = 1
            self._stop_all()
        else:
            for other in self._crew.alive[:1]:
                other.tell(worker.CLEAR)
            self._crew.replace(member)

    # Connections

    def _accepted(self, sock: socket.socket, listener: Listener) -> None:
        if not self._hand_out(sock, listener):
            self._waiting.append((sock, listener))
            self._ports.pause()
            self._retry = self._retry or self._loop.call_later(RETRY, self._hand_out_waiting)

    def _take_back(self, untaken: list[Untaken]) -> None:
        """Connections that a worker was given when it died: another one gets them."""
        old = any(message[:1] == worker.COMMIT for message, _ in untaken)  # their listeners, maybe
        for message, descriptor in untaken:
            if descriptor is None:
                continue
            if message[:1] == worker.CONNECTION and not (old or self._stopping):
                sock = socket.socket(fileno=descriptor)
                self._accepted(sock, self._config.listeners[int(message[1:])])
            else:
                os.close(descriptor)

    def _hand_out(self, sock: socket.socket, listener: Listener) -> bool:
        """To the worker that has fewest; whether there is one that takes it."""
        message = worker.CONNECTION + b"%d" % self._config.listeners.index(listener)
        crew = self._crew
        for member in sorted(crew.members, key=lambda one: (crew.connections(one), one.handed)):
            if not member.ready or member.channel is None or crew.connections(member) >= self._room:
                continue
            if member.channel.offer(message, sock.fileno()):
                member.handed += 1
                sock.close()
                return True
        return False

    def _hand_out_waiting(self) -> None:
        self._retry = None
        while self._waiting:
            sock, listener = self._waiting[0]
            if listener not in self._config.listeners:  # since a reload
                sock.close()
            elif not self._hand_out(sock, listener):
                self._complain("no worker takes it")
                self._retry = self._loop.call_later(RETRY, self._hand_out_waiting)
                return
            self._waiting.popleft()
        self._ports.resume()

    def _exhausted(self, error: OSError) -> None:
        self._complain(str(error.strerror))

    def _complain(self, why: str) -> None:
        """Several times a second, as long as it lasts."""
        now = self._loop.time()
        if now >= self._quiet_until:
            self._quiet_until = now + SAID_AGAIN
            say(self._log.error, "cannot accept", why=why)

    # Reload

    def _load(self) -> None:
        """SIGHUP: all workers go by the new file, or by the old one if it has a mistake, or one cannot."""
        if self._stopping:
            say(self._log.error, "reload refused", why="the relay stops")
            return
        self._again = self._reload is not None or not self._started
        if self._again:
            return
        try:
            config = load(self._path)
            tls = Contexts(config)
        except ConfigError as error:
            for problem in error.problems:
                facts = {"line": problem.line, "key": problem.key, "why": problem.text}
                say(self._log.error, "reload refused", **facts)
            self._abandon(str(error))
            return
        self._reloads += 1
        number = b"%d" % self._reloads
        timer = self._loop.call_later(RELOAD, self._refuse, "a worker does not answer")
        self._reload = Reload(number, config, tls, set(self._crew.alive), timer)
        self._crew.held = True
        with os.fdopen(os.memfd_create("ulproxy-configuration"), "wb") as file:
            pickle.dump(config, file)
            file.flush()
            self._crew.tell(worker.PREPARE + number, file.fileno())
        self._go_on(self._reload)

    def _prepared(self, member: Member) -> None:
        if self._reload is not None:
            self._reload.waiting.discard(member)
            self._go_on(self._reload)

    def _go_on(self, reload: Reload) -> None:
        """With the new configuration, if all can."""
        if reload.waiting:
            return
        try:
            self._metrics.move(reload.config, lambda: self._ports.move(reload.config.listeners))
        except OSError as error:
            self._refuse(str(error.strerror))
            return
        if reload.config.relay.state != self._config.relay.state:
            say(self._log.warning, "state is used from the next start on", file=str(self._path))
        associations = self._counts.number(ALL)
        self._config, self._tls = reload.config, reload.tls
        self._policy = Policy(reload.config)
        self._numbers.config = reload.config
        for number, member in enumerate(self._crew.alive):
            member.tell(worker.COMMIT + (b"" if number else b"1"))
        self._say("reloaded", associations=associations)
        self._metrics.reloaded(done=True)
        self._settle()

    def _refuse(self, why: str) -> None:
        """All go on as they were."""
        say(self._log.error, "reload refused", why=why)
        self._abandon(why)
        self._settle()

    def _abandon(self, why: str) -> None:
        self._metrics.reloaded(done=False)
        for number, member in enumerate(self._crew.alive):
            member.tell(worker.ABANDON + (b"" if number else why.encode()[: MAX_MESSAGE - 1]))

    def _settle(self) -> None:
        if self._reload is not None:
            self._reload.timer.cancel()
            self._reload = None
        self._crew.release()
        if self._again:
            self._load()

    # The end

    def _stop(self, number: signal.Signals) -> None:
        associations = self._counts.number(ALL)
        say(self._log.info, "stopping", signal=number.name, associations=associations)
        if self._stopping:
            self._crew.tell(worker.HURRY)
            self._kill_after(GRACE)
        else:
            self._stop_all()

    def _stop_all(self) -> None:
        self._stopping = True
        self._numbers.phase = "the relay stops"
        notify.stopping()
        self._ports.close()
        while self._waiting:
            self._waiting.popleft()[0].close()
        if self._retry is not None:
            self._retry.cancel()
        self._crew.replace_none()
        if self._reload is not None:
            self._again = False
            self._refuse("the relay stops")
        self._crew.tell(worker.STOP)
        if self._drain is not None:
            self._kill_after(self._drain + GRACE)
        self._end_with_the_last()

    def _kill_after(self, seconds: float) -> None:
        if self._killing is not None:
            self._killing.cancel()
        self._killing = self._loop.call_later(seconds, self._crew.kill)

    def _end_with_the_last(self) -> None:
        if not self._crew.alive:
            self._over = True
            self._loop.stop()
