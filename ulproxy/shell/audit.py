"""The audit trail while the relay runs: `[audit]` of the configuration -> file, queue and repository.

The server calls `start`, `reload`, `refuse_reload` and `close`, its sessions `record` and `operation`; but
for `close` nothing of it waits for a disk or a network. Without `[audit]` nothing happens. Where a relay has
several processes each has a trail of its own, and one of them `reports` what the relay as a whole does.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ulproxy.policy.model import Audit as Settings
from ulproxy.policy.model import Config
from ulproxy.relay.border import Border
from ulproxy.relay.effects import Operation, Record
from ulproxy.shell.audit_file import AuditFile
from ulproxy.shell.audit_sender import Sender, caller
from ulproxy.shell.outlet import Outlet
from ulproxy.shell.spool import Spool
from ulproxy.shell.syslog import syslog_message
from ulproxy.watch.audit import Times, Trail
from ulproxy.watch.audit_entry import Entry, Source, encode
from ulproxy.watch.audit_message import AuditMessage
from ulproxy.watch.log import logger, say

# Seconds between two looks at what was kept back to be sent together.
SWEEP: Final = 5.0
# Seconds that the end of the relay waits for a disk, and then for the repository to take what is queued.
LAST_WRITES: Final = 3.0
LAST_WORDS: Final = 2.0
LINES: Final = "lines of the audit file"
MESSAGES: Final = "audit messages"


@dataclass
class Ways:
    """Where the trail goes now."""

    file: Outlet | None = None
    queue: Outlet | None = None
    sender: Sender | None = None

    @property
    def outlets(self) -> list[Outlet]:
        """Those that there are."""
        return [outlet for outlet in (self.file, self.queue) if outlet is not None]

    def close(self) -> None:
        """Nothing more comes; waits, not long, until all is written, and sent if the repository is there."""
        for outlet in self.outlets:
            outlet.finish()
        end = time.monotonic() + LAST_WRITES
        for outlet in self.outlets:
            outlet.join(max(0.0, end - time.monotonic()))
        if self.sender is not None:
            self.sender.finish(LAST_WORDS)
            self.sender.join(LAST_WORDS)


class Audit:
    """The audit trail of a process; `path` is that of its configuration file, `process_id` the relay's."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, border: Border, path: Path, process_id: int
    ) -> None:
        self._loop = loop
        self._border = border
        self._path = path
        self._log = logger()
        self._host, self._process_id = socket.gethostname(), str(process_id)
        self._settings: Settings | None = None
        self._trail: Trail | None = None
        self._ways = Ways()
        self._left: list[threading.Thread] = []
        self._judging = threading.Lock()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, config: Config, *, reports: bool = True) -> None:
        """The relay begins its work by this configuration."""
        trail = self._begin(config)
        if trail is not None and reports:
            trail.relay(started=True)

    def reload(self, config: Config, *, reports: bool = True) -> None:
        """The relay goes on by this configuration."""
        if self._trail is not None:
            self._trail.configured(config, self._uri, reports=reports)
        if config.audit == self._settings:
            return
        if self._trail is not None and config.audit is None:
            self._trail.recording(started=False, reports=reports)
        self._leave()
        if self._trail is not None and config.audit is not None:
            self._open_ways(self._trail, config.audit)
            return
        self._end()
        trail = self._begin(config)
        if trail is not None:
            trail.recording(started=True, reports=reports)

    def refuse_reload(self, text: str) -> None:
        """The relay goes on as it was; the text says why."""
        if self._trail is not None:
            self._trail.not_configured(self._uri, text)

    def close(self, *, reports: bool = True) -> None:
        """The relay ends. Waits a few seconds at most; what is queued then is sent after the next start."""
        if self._trail is not None:
            if reports:
                self._trail.relay(started=False)
            else:
                self._trail.sweep(everything=True)
        self._end()
        self._ways.close()
        self._ways = Ways()
        for closing in self._left:
            closing.join(LAST_WRITES + LAST_WORDS)

    @property
    def waiting(self) -> dict[str, int]:
        """How many records are not on their disk yet: of the `file`, of the `syslog` queue."""
        ways = {"file": self._ways.file, "syslog": self._ways.queue}
        return {name: outlet.waiting for name, outlet in ways.items() if outlet is not None}

    def record(self, source: Source, record: Record) -> None:
        """What a session logs."""
        if self._trail is not None:
            self._trail.record(source, record)

    def operation(self, source: Source, operation: Operation) -> None:
        """A DIMSE operation of a session that is over."""
        if self._trail is not None:
            self._trail.operation(source, operation)

    # What the trail asks for

    def entry(self, entry: Entry) -> None:
        """To the file; without one the log gets operations, for the rest it has lines anyway."""
        if self._ways.file is not None:
            self._ways.file.put(encode(entry) + b"\n")
        elif entry["event"] == "operation":
            facts = {key: value for key, value in entry.items() if key not in ("time", "event")}
            say(self._log.info, "operation", **facts)

    def message(self, message: AuditMessage) -> None:
        """To the queue."""
        if self._ways.queue is not None:
            self._ways.queue.put(self._syslog(message))

    def _syslog(self, message: AuditMessage) -> bytes:
        return syslog_message(message, self._host, self._process_id)

    def _begin(self, config: Config) -> Trail | None:
        """Records from now on, if the configuration says so."""
        self._settings = config.audit
        self._border.audited = config.audit is not None
        if config.audit is None:
            return None
        times = Times(self._border.clock, lambda: datetime.now(UTC))
        self._trail = Trail(config, self._process_id, self, times)
        self._open_ways(self._trail, config.audit)
        self._timer = self._loop.call_later(SWEEP, self._sweep, self._trail)
        return self._trail

    def _end(self) -> None:
        """Records no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._trail = self._settings = None

    def _sweep(self, trail: Trail) -> None:
        trail.sweep()
        self._timer = self._loop.call_later(SWEEP, self._sweep, trail)

    def _open_ways(self, trail: Trail, settings: Settings) -> None:
        self._settings = settings
        ways = Ways()
        if settings.file is not None:
            ways.file = Outlet(
                LINES,
                AuditFile(settings.file),
                lambda count: encode(trail.lost(LINES, count)[0]) + b"\n",
                self._judge,
            )
        if settings.syslog is not None:
            path = spool_path(self._path, settings, os.environ)
            connect = caller(settings.syslog, settings.tls)
            ways.sender = Sender(path, connect, str(settings.syslog.endpoint))
            ways.queue = Outlet(
                MESSAGES,
                Spool(path),
                lambda count: self._syslog(trail.lost(MESSAGES, count)[1]),
                self._judge,
            )
        self._ways = ways
        self._judge()

    def _leave(self) -> None:
        """Lets them write and send what they have, and waits for nothing."""
        closing = threading.Thread(target=self._ways.close, name="audit closing", daemon=True)
        closing.start()
        self._left = [*filter(threading.Thread.is_alive, self._left), closing]
        self._ways = Ways()
        self._judge()

    def _judge(self) -> None:
        """By any thread: whether new associations are refused; and there may be something to send."""
        with self._judging:
            ways, settings = self._ways, self._settings
            if ways.sender is not None:
                ways.sender.wake()
            troubles = [outlet.trouble for outlet in ways.outlets if outlet.trouble]
            refuse = bool(troubles) and settings is not None and settings.on_full == "refuse"
            full = f"no audit trail: {'; '.join(troubles)}" if refuse else ""
            before, self._border.full = self._border.full, full
        if full and not before:
            say(self._log.error, "new associations are refused", why=full)
        elif before and not full:
            say(self._log.info, "new associations are let in again")

    @property
    def _uri(self) -> str:
        return self._path.absolute().as_uri()


def spool_path(config: Path, settings: Settings, environ: Mapping[str, str]) -> Path:
    """Where audit messages are queued: beside the audit file, else where the system keeps a service's state.

    `config` is the path of the configuration file: each has a queue of its own.
    """
    if settings.file is not None:
        return settings.file.with_name(f"{settings.file.name}.queue")
    if "STATE_DIRECTORY" in environ:  # of a systemd unit with StateDirectory=
        state = Path(environ["STATE_DIRECTORY"].partition(":")[0])
    elif "XDG_STATE_HOME" in environ:
        state = Path(environ["XDG_STATE_HOME"], "ulproxy")
    elif "HOME" in environ:
        state = Path(environ["HOME"], ".local", "state", "ulproxy")
    else:
        state = Path("/var/lib/ulproxy")
    digest = hashlib.sha256(os.fsencode(config.absolute())).hexdigest()[:8]
    return state / f"audit-{digest}.queue"
