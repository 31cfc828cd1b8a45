"""A SQLite file that the event loop uses and that may fail: a full disk, a lock, a file that is no database.

What cannot be done is said once and left undone, and tried again after a while: no association ends for it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Final, TypeVar

from ulproxy.watch.log import logger, say

T = TypeVar("T")

# Seconds; a transaction takes 20 µs, but who is in one may not be running. All associations wait meanwhile.
PATIENCE: Final = 0.5
RETRY: Final = 10.0
# Processes that begin at once get in each other's way when they turn to WAL, where SQLite does not wait.
_ATTEMPTS: Final = 50
_PAUSE: Final = 0.01


class Database:
    """One file, created where it is missing, with the tables of a script. `what` is what the log calls it.

    `synchronous` OFF: it survives processes, NORMAL: also a loss of power, but for the last changes.
    `opened` counts how often; where it was set aside meanwhile it is another file each time.
    """

    def __init__(self, what: str, path: Path, script: str, synchronous: str) -> None:
        self._path = path
        self._script = script
        self._synchronous = synchronous
        self.opened = 0
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._failed_until = 0.0
        self._log = logger(what=what, file=str(path))

    def use(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `work` returns, which is never None; None = it could not be done."""
        if self._failed_until and monotonic() < self._failed_until:
            return None
        try:
            if self._connection is None:
                self._connection = self._open()
                self.opened += 1
            result = work(self._connection)
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            return None
        if self._failed_until:
            self._failed_until = 0.0
            say(self._log.info, "state is shared again")
        return result

    def close(self) -> None:
        """It is not used any more."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        # SQLite would make it readable for everybody. One that exists is not opened here: closing it again
        # would take away the locks of whoever has it open in this process.
        with suppress(FileExistsError):
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
            os.close(os.open(self._path, flags, 0o600))
        connection = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None)
        try:
            self._inode = self._path.stat().st_ino
            _turn_to_wal(connection)
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.executescript(self._script)
        except (sqlite3.Error, OSError):
            connection.close()
            raise
        return connection

    def _fail(self, error: Exception) -> None:
        if not self._failed_until:
            say(self._log.error, "state cannot be shared", why=str(error))
        self._failed_until = monotonic() + RETRY
        if self._connection is not None and self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
        if type(error) is sqlite3.DatabaseError:  # no database, or not any more
            self.close()
            self._set_aside()

    def _set_aside(self) -> None:
        """Keeps it for whoever can make something of it; unless another process has done that already."""
        with suppress(OSError):
            if self._path.stat().st_ino != self._inode:
                return
            for suffix in ("-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    path = Path(f"{self._path}{suffix}")
                    path.replace(f"{self._path}.broken{suffix}")


def _turn_to_wal(connection: sqlite3.Connection) -> None:
    for _ in range(_ATTEMPTS):
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
            return
        sleep(_PAUSE)
    connection.execute("PRAGMA journal_mode = WAL")
