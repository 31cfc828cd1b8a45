"""Audit messages wait here until their repository has them: one SQLite file, in the order they came.

Each thread, and each process, opens a `Spool` of its own on the file. What was added survives a crash of the
process and a loss of power; two may add, one at a time sends (`SendingTurn`).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final

# Some 60 000 messages: days of a busy border without its repository, and no disk that it would fill.
MAX_OCTETS: Final = 100 << 20
# From here on new associations may be refused, which leaves the rest to those that are open ...
CROWDED: Final = 0.9
# ... until so much is free again that it is worth while.
EASED: Final = 0.8
# Messages added in one transaction, so that a great many do not wait for the last.
AT_ONCE: Final = 1000
_PATIENCE: Final = 5.0  # seconds for another process to end its transaction


class SpoolError(OSError):
    """The queue cannot be used now: it is full, its disk is, or it is not a file that can be written."""


class Spool:
    """The queue; every call raises SpoolError where it cannot be done."""

    def __init__(self, path: Path, most: int = MAX_OCTETS) -> None:
        self.path = path
        self._most = most
        self._connection: sqlite3.Connection | None = None
        self._crowded = False

    def write(self, waiting: deque[bytes]) -> None:
        """Adds messages; those that are safe are taken from `waiting`."""
        with self._database() as database:
            while waiting:
                if self._level(database) >= 1:
                    raise SpoolError(f"the queue is full ({self._most >> 20} MiB)")
                some = list(islice(waiting, AT_ONCE))
                with database:
                    database.executemany(
                        "INSERT INTO messages (message) VALUES (?)", ((one,) for one in some)
                    )
                for _ in some:
                    waiting.popleft()

    @property
    def crowding(self) -> str:
        """Why nobody should begin anything that has to be recorded; empty = there is room."""
        with self._database() as database:
            level = self._level(database)
        self._crowded = level >= (EASED if self._crowded else CROWDED)
        return f"the queue of audit messages is {level:.0%} full" if self._crowded else ""

    def oldest(self, number: int) -> list[tuple[int, bytes]]:
        """The first so many messages with their numbers, which `remove` takes."""
        with self._database() as database:
            query = "SELECT id, message FROM messages ORDER BY id LIMIT ?"
            return database.execute(query, (number,)).fetchall()

    def remove(self, last: int) -> None:
        """Forgets this message and all before it."""
        with self._database() as database, database:
            database.execute("DELETE FROM messages WHERE id <= ?", (last,))

    def close(self) -> None:
        """By the thread that has used it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection = self._open()
            yield self._connection
        except sqlite3.OperationalError as error:  # full, locked, read only: it may pass
            raise SpoolError(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:
                raise  # a bug of ours
            self.close()
            self._set_aside()
            raise SpoolError(f"{self.path}: {error}; it was set aside") from error
        except OSError as error:
            raise SpoolError(str(error)) from error

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite would make it readable for everybody; its journal follows this one. One that exists is not
        # opened here: closing it again would take away the locks of another thread that has it open.
        with suppress(FileExistsError):
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
            os.close(os.open(self.path, flags, 0o640))
        # With a rollback journal, whose locks are waited for: opening a WAL may be "locked" at once.
        database = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level="IMMEDIATE")
        try:
            database.execute("PRAGMA synchronous = FULL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS messages "
                "(id INTEGER PRIMARY KEY AUTOINCREMENT, message BLOB NOT NULL)"
            )
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _set_aside(self) -> None:
        """What is no queue (any more) is kept for whoever can make something of it."""
        for suffix in ("", "-journal"):
            with suppress(OSError):
                Path(f"{self.path}{suffix}").rename(f"{self.path}.broken{suffix}")

    def _level(self, database: sqlite3.Connection) -> float:
        pages, free, size = (
            database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        used: int = (pages - free) * size
        return used / self._most


class SendingTurn:
    """Only one process at a time sends from a queue: the others have begun later, or will soon be gone."""

    def __init__(self, path: Path) -> None:
        self._path = Path(f"{path}.lock")
        self._descriptor: int | None = None

    def taken(self) -> bool:
        """Whether it is ours, from now on if not already; raises OSError."""
        if self._descriptor is None:
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(descriptor)
                if isinstance(error, BlockingIOError):
                    return False
                raise
            self._descriptor = descriptor
        return True

    def close(self) -> None:
        """Somebody else's turn."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
