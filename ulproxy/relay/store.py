"""What has to be known beyond one association of one process: open C-MOVEs, storage commitment requests.

The shell implements both on files that all processes of a relay share; here are their interfaces, and what
does where there is one process. Nothing here raises: where a file fails, each process goes on with what it
knows itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

# Storage commitment requests in memory; a modality makes one for each study.
MAX_COMMITMENTS: Final = 10_000
# The number of a change that others do not know of: after all that they do.
UNTOLD: Final = 1 << 63


@dataclass(frozen=True, slots=True, eq=False)
class OpenMove:
    """A C-MOVE that went onward and has not been answered finally. AEs by their name in the file.

    `shown_caller`, `shown_destination` and `onward_message_id` are what the archive was told, `message_id` is
    the caller's.
    """

    caller: str
    archive: str
    destination: str
    shown_caller: str
    message_id: int
    onward_message_id: int
    shown_destination: str


class Opened(NamedTuple):
    """Another process has opened a move."""

    move: OpenMove


class Ended(NamedTuple):
    """A move is over; `cut` = cancelled, or its association ended; `number` is that of the change."""

    move: OpenMove
    cut: bool
    number: int


class Named(NamedTuple):
    """How an archive says in C-STOREs which move they are of: by the caller's title, by its Message ID."""

    archive: str
    originator: bool
    number: bool


Change = Opened | Ended | Named


class Store(Protocol):
    """Where the processes of a relay tell each other of their moves."""

    def transaction(self) -> AbstractContextManager[None]:
        """No other process is in one meanwhile. Within another one it does nothing."""

    def add(self, move: OpenMove) -> None:
        """This process has opened a move."""

    def remove(self, move: OpenMove, *, cut: bool) -> int:
        """It is over; returns the number of this change."""

    def attend(self, archive: str) -> int:
        """C-STOREs may come on an association of this archive from now on; what `leave` takes."""

    def leave(self, attendance: int) -> None:
        """It ended."""

    def attended_since(self, archive: str) -> int | None:
        """The last change before the oldest such association of another process; None = there is none."""

    def name(self, habit: Named) -> None:
        """This process has learnt it."""

    def changed(self) -> bool:
        """Whether `load` has anything; asked for each C-STORE, so it takes no time."""

    def load(self) -> Iterable[Change]:
        """What the other processes have told since the last time, in their order."""


class MemoryStore:
    """The store of a process that is alone: there is nobody to tell."""

    def transaction(self) -> AbstractContextManager[None]:
        """Nobody could interfere."""
        return nullcontext()

    def add(self, move: OpenMove) -> None:
        """`Moves` remembers it."""

    def remove(self, move: OpenMove, *, cut: bool) -> int:  # noqa: ARG002
        """Likewise."""
        return 0

    def attend(self, archive: str) -> int:  # noqa: ARG002
        """Likewise."""
        return 0

    def leave(self, attendance: int) -> None:
        """Likewise."""

    def attended_since(self, archive: str) -> int | None:  # noqa: ARG002
        """By nobody."""
        return None

    def name(self, habit: Named) -> None:
        """Likewise."""

    def changed(self) -> bool:
        """Nobody changes anything."""
        return False

    def load(self) -> Iterable[Change]:
        """Nobody has told anything."""
        return ()


class Commitments(Protocol):
    """Who asked an archive for storage commitment: the result comes on its own association (PS3.4 J.3.3)."""

    def remember(self, archive: str, transaction_uid: str, asked_by: str) -> None:
        """Names of AEs in the file, and Transaction UID (0008,1195); of two AEs the first one counts.

        The second says what is not its own, and the result would be kept from whom it is for.
        """

    def asked_by(self, archive: str, transaction_uid: str) -> str:
        """The name of the AE that asked; empty where it is not known (any more)."""


class MemoryCommitments:
    """The last `most` requests, until the process ends."""

    def __init__(self, most: int = MAX_COMMITMENTS) -> None:
        self._most = most
        self._asked_by: dict[tuple[str, str], str] = {}

    def remember(self, archive: str, transaction_uid: str, asked_by: str) -> None:
        """See `Commitments`."""
        key = archive, transaction_uid
        self._asked_by[key] = self._asked_by.pop(key, asked_by)
        if len(self._asked_by) > self._most:
            del self._asked_by[next(iter(self._asked_by))]

    def asked_by(self, archive: str, transaction_uid: str) -> str:
        """See `Commitments`."""
        return self._asked_by.get((archive, transaction_uid), "")
