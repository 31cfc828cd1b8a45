"""Sends what is in the queue to the audit repository, in a thread of its own, for as long as it takes."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ulproxy.policy.model import AeTls, Syslog
from ulproxy.shell.connect import reason
from ulproxy.shell.spool import SendingTurn, Spool
from ulproxy.shell.syslog import Repository, TlsRepository, UdpRepository
from ulproxy.shell.tls import calling, failure
from ulproxy.watch.log import logger, say

# Seconds until a repository that is away is called again, the first time and at most.
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 30.0
# Seconds between two looks into the queue when nobody says that there is something in it: another process may
# have added to it, or have given up its turn.
LOOK: Final = 1.0
MOST: Final = 100  # messages in memory at once


class Sender:
    """The thread; `connect` opens a way to the repository and may raise OSError."""

    def __init__(self, path: Path, connect: Callable[[], Repository], name: str) -> None:
        self._path = path
        self._connect = connect
        self._log = logger(repository=name)
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._deadline = 0.0
        self._repository: Repository | None = None
        self._away_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="audit sender", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something in the queue."""
        self._wake.set()

    def finish(self, seconds: float) -> None:
        """Send what can be sent within this time, and end."""
        self._deadline = time.monotonic() + seconds
        self._closing.set()
        self._wake.set()

    def join(self, seconds: float) -> None:
        """Wait for its end, so long and no longer: it may be waiting for a repository."""
        self._thread.join(seconds)

    def _run(self) -> None:
        spool, turn = Spool(self._path), SendingTurn(self._path)
        wait = FIRST_WAIT
        while not self._closing.is_set() or time.monotonic() < self._deadline:
            try:
                sent = turn.taken() and self._send(spool)
            except OSError as error:
                self._away(error)
                if self._closing.wait(wait):
                    break
                wait = min(2 * wait, LONGEST_WAIT)
                continue
            if sent:
                self._back()
                wait = FIRST_WAIT
            elif self._closing.is_set():
                break
            else:
                self._wake.wait(LOOK)
                self._wake.clear()
        self._disconnect()
        spool.close()
        turn.close()

    def _send(self, spool: Spool) -> bool:
        """Sends the oldest messages; False where there are none. Raises OSError."""
        batch = spool.oldest(MOST)
        if not batch:
            return False
        if self._repository is not None:
            try:
                self._deliver(self._repository, spool, batch)
            except OSError:  # it closes what is idle, or was started anew
                self._disconnect()
            else:
                return True
        self._repository = self._connect()
        self._deliver(self._repository, spool, batch)
        return True

    def _deliver(
        self, repository: Repository, spool: Spool, batch: list[tuple[int, bytes]]
    ) -> None:
        some = batch[: repository.at_once]
        repository.send([message for _, message in some])
        spool.remove(some[-1][0])

    def _disconnect(self) -> None:
        if self._repository is not None:
            self._repository.close()
            self._repository = None

    def _away(self, error: OSError) -> None:
        self._disconnect()
        if self._away_since is None:
            self._away_since = time.monotonic()
            say(self._log.warning, "audit messages cannot be sent", why=_why(error))

    def _back(self) -> None:
        if self._away_since is not None:
            seconds = round(time.monotonic() - self._away_since, 3)
            self._away_since = None
            say(self._log.info, "audit messages are sent again", seconds=seconds)


def caller(syslog: Syslog, tls: AeTls | None) -> Callable[[], Repository]:
    """How a `Sender` connects with a repository; certificates are read each time."""
    if syslog.transport == "udp":
        return lambda: UdpRepository(syslog.endpoint)
    return lambda: TlsRepository(syslog.endpoint, calling(AeTls() if tls is None else tls))


def _why(error: OSError) -> str:
    return failure(error) if isinstance(error, ssl.SSLError) else reason(error)
