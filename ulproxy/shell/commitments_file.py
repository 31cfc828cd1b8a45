"""Storage commitment requests on a file: results come days later, perhaps after a restart (PS3.4 J.3.3)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ulproxy.relay.store import MemoryCommitments
from ulproxy.shell.database import Database

# Archives commit once they have copied to tape, over the weekend, after a migration.
KEEP: Final = 30 * 86_400.0  # seconds
MOST: Final = 100_000  # some 20 MB
_PRUNE_EVERY: Final = 500

_SCRIPT: Final = """
CREATE TABLE IF NOT EXISTS commitments (
    archive TEXT NOT NULL,
    transaction_uid TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (archive, transaction_uid)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS commitments_by_time ON commitments (at);
"""
_REMEMBER: Final = """
INSERT INTO commitments VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (archive, transaction_uid) DO UPDATE SET asked_by = ?3, at = ?4
WHERE asked_by = ?3 OR at <= ?5
"""
_ASKED_BY: Final = (
    "SELECT asked_by FROM commitments WHERE archive = ? AND transaction_uid = ? AND at > ?"
)
_PRUNE: Final = "DELETE FROM commitments WHERE at <= ?"
_TOO_MANY: Final = "SELECT at FROM commitments ORDER BY at DESC LIMIT 1 OFFSET ?"


class CommitmentsFile:
    """See `Commitments`. What cannot be written is remembered until the process ends."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._database = Database("storage commitments", path, _SCRIPT, "NORMAL")
        self._unwritten = MemoryCommitments()
        self._now = now
        self._written = 0
        self._prune()

    def remember(self, archive: str, transaction_uid: str, asked_by: str) -> None:
        """See `Commitments`."""
        now = self._now()
        row = archive, transaction_uid, asked_by, now, now - KEEP
        if self._database.use(lambda c: c.execute(_REMEMBER, row)) is None:
            self._unwritten.remember(archive, transaction_uid, asked_by)
            return
        self._written += 1
        if self._written % _PRUNE_EVERY == 0:
            self._prune()

    def asked_by(self, archive: str, transaction_uid: str) -> str:
        """See `Commitments`."""
        key = archive, transaction_uid, self._now() - KEEP
        found = self._database.use(lambda c: c.execute(_ASKED_BY, key).fetchall())
        if found:
            name: str = found[0][0]
            return name
        return self._unwritten.asked_by(archive, transaction_uid)

    def _prune(self) -> None:
        oldest = self._now() - KEEP
        many = self._database.use(lambda c: c.execute(_TOO_MANY, (MOST,)).fetchall())
        if many:
            oldest = max(oldest, many[0][0])
        self._database.use(lambda c: c.execute(_PRUNE, (oldest,)))

    def close(self) -> None:
        """The process ends."""
        self._database.close()
