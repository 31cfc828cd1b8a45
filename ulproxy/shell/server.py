"""The running relay where it is one process: its listeners, and what the operator asks of it by signals."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import ulproxy
from ulproxy.errors import ConfigError
from ulproxy.policy.config import load
from ulproxy.policy.model import Config
from ulproxy.policy.rules import Policy
from ulproxy.shell import notify
from ulproxy.shell.metrics import Metrics
from ulproxy.shell.ports import Ports
from ulproxy.shell.sessions import Sessions
from ulproxy.shell.state import State
from ulproxy.shell.tls import Contexts
from ulproxy.watch.log import logger, say

# Seconds until it is said once more that there are no descriptors.
SAID_AGAIN: Final = 60.0


class Server(Sessions):
    """Serves a configuration file until it is told to stop."""

    def __init__(
        self,
        path: Path,
        config: Config,
        announce: Callable[[str], None],
        state: State | None = None,
    ) -> None:
        super().__init__(path, Policy(config), state)
        self._path = path
        self._announce = announce
        self._log = logger()
        self._quiet_until = -math.inf  # about descriptors
        self._serving = False

    async def serve(self, drain: float | None) -> None:
        """Listens, until SIGTERM or SIGINT; then open associations finish, within `drain` seconds.

        Raises OSError where a listener's address cannot be had.
        """
        config = self.border.policy.config
        self._ports = Ports(self.loop, self._accepted, self._exhausted, self._announce)
        self._metrics = Metrics(self.loop, self)
        self._metrics.move(config, lambda: self._ports.listen(config.listeners))
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._stop, number)
        self.loop.add_signal_handler(signal.SIGHUP, self.reload)
        self.audit.start(config)
        self._say("started", config)
        self._ports.start()
        self._serving = True
        notify.ready()
        await self._stopping.wait()
        notify.stopping()
        self._ports.close()
        await self._drain(drain)
        self.audit.close()
        self._metrics.close()

    @property
    def config(self) -> Config:
        """What is in force."""
        return self.border.policy.config

    def unready(self) -> str:
        """See `Watched`."""
        if self._stopping.is_set():
            return "the relay stops"
        return "" if self._serving else "the relay starts"

    def processes(self) -> list[int]:
        """See `Watched`."""
        return [os.getpid()]

    def _exhausted(self, error: OSError) -> None:
        """Several times a second, as long as it lasts."""
        now = self.loop.time()
        if now >= self._quiet_until:
            self._quiet_until = now + SAID_AGAIN
            say(self._log.error, "cannot accept", why=error.strerror, sessions=len(self._sessions))

    def _say(self, event: str, config: Config, **facts: object) -> None:
        """What is in force now, and what its author may want to know."""
        say(self._log.info, event, version=ulproxy.__version__, file=str(self._path), **facts)
        for note in config.notes:
            say(self._log.warning, "note", line=note.line, key=note.key, why=note.text)

    def reload(self) -> None:
        """SIGHUP: new associations follow the new file; one with a mistake changes nothing."""
        if self._stopping.is_set():
            say(self._log.error, "reload refused", why="the relay stops")
            return
        try:
            config = load(self._path)
            contexts = Contexts(config)
            self._metrics.move(config, lambda: self._ports.move(config.listeners))
        except ConfigError as error:
            for problem in error.problems:
                say(
                    self._log.error,
                    "reload refused",
                    line=problem.line,
                    key=problem.key,
                    why=problem.text,
                )
            self._refused(str(error))
            return
        except OSError as error:
            say(self._log.error, "reload refused", why=error.strerror)
            self._refused(str(error.strerror))
            return
        if config.relay.state != self.border.policy.config.relay.state:
            say(self._log.warning, "state is used from the next start on", file=str(self._path))
        associations = self.border.admission.total
        self._say("reloaded", config, associations=associations)
        self.audit.reload(config)
        self._metrics.reloaded(done=True)
        self._apply(config, contexts)

    def _refused(self, why: str) -> None:
        self.audit.refuse_reload(why)
        self._metrics.reloaded(done=False)

    def _stop(self, number: signal.Signals) -> None:
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()
        associations = self.border.admission.total
        say(self._log.info, "stopping", signal=number.name, associations=associations)
