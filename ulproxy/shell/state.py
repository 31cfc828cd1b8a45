"""What the processes share, and what outlives them: files in a place of their own, or a named one."""

from __future__ import annotations

from pathlib import Path

from ulproxy.relay.store import Commitments, MemoryCommitments, MemoryStore, Store
from ulproxy.shell.commitments_file import CommitmentsFile
from ulproxy.shell.connect import reason
from ulproxy.shell.moves_file import MovesFile
from ulproxy.shell.runtime import OwnDirectory
from ulproxy.watch.log import logger, say


class State:
    """`moves` is for `Moves`; where a file cannot be had, each process goes on with what it knows itself.

    `path`: [relay] state, where storage commitment requests are kept for weeks; None = a directory that is
    removed by `close`. Open moves are beside it, with what tells which processes live.
    """

    def __init__(self, path: Path | None) -> None:
        self._directory: OwnDirectory | None = None
        self._log = logger()
        self._moves: MovesFile | None = None
        self._commitments: CommitmentsFile | None = None
        self.moves: Store = MemoryStore()
        self.commitments: Commitments = MemoryCommitments()
        try:
            self.path = path or self._own_directory() / "state.sqlite"
            self.moves = self._moves = MovesFile(Path(f"{self.path}-moves"))
            self.commitments = self._commitments = CommitmentsFile(self.path)
        except OSError as error:
            say(self._log.error, "state cannot be shared", why=reason(error))

    def clear(self) -> None:
        """Forgets what processes had open that are no more."""
        if self._moves is not None:
            self._moves.clear()

    def close(self) -> None:
        """The process ends."""
        if self._moves is not None:
            self._moves.close()
        if self._commitments is not None:
            self._commitments.close()
        if self._directory is not None:
            self._directory.close()

    def _own_directory(self) -> Path:
        self._directory = OwnDirectory()
        return self._directory.path
