"""A directory of a relay's own, for what nobody needs after it: made, and removed, maybe by the next one.

While any of its processes lives it is locked by the kernel. So who begins knows what a relay that was killed
has left behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

PREFIX: Final = "ulproxy-state-"
_SYSTEM: Final = Path("/run/ulproxy")  # made by whoever starts the service


def runtime_directory() -> Path:
    """Where files belong that nobody needs after a restart of the machine."""
    named = os.environ.get("XDG_RUNTIME_DIR")
    for path in (Path(named) if named else _SYSTEM, _SYSTEM):
        if path.is_dir() and os.access(path, os.W_OK | os.X_OK):
            return path
    return Path(tempfile.gettempdir())


class OwnDirectory:
    """For this process and those that are forked from it; raises OSError where there can be none."""

    def __init__(self) -> None:
        where = runtime_directory()
        _sweep(where)
        made = None
        while made is None:
            made = _made(where)
        self.path, self._lock = made

    def close(self) -> None:
        """Removes it and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _made(where: Path) -> tuple[Path, int] | None:
    """A new one and its lock; None = another relay took it for one that was left behind."""
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=where))
    try:
        lock = _opened(path)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path, lock
        os.close(lock)
    except FileNotFoundError:
        pass
    return None


def _sweep(where: Path) -> None:
    """Removes those of relays that are no more."""
    for path in where.glob(f"{PREFIX}*"):
        with suppress(OSError):
            lock = _opened(path)
            try:
                if os.fstat(lock).st_uid == os.geteuid():  # /tmp is everybody's
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path)
            finally:
                os.close(lock)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
