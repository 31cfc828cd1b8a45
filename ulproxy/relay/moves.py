"""Open C-MOVEs: to which destination the C-STORE association that comes back belongs (PS3.7 9.1.4).

The archive calls back on an association of its own. Its called title names the destination, Move
Originator AE Title and Message ID name the C-MOVE; both are what the archive was told, and are set back here.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import AbortReason


@dataclass(frozen=True, slots=True, eq=False)
class OpenMove:
    """A C-MOVE that went onward and has not been answered finally. AEs by their name in the file.

    `shown_caller` and `onward_message_id` are what the archive was told, `message_id` is the caller's.
    """

    caller: str
    archive: str
    destination: str
    shown_caller: str
    message_id: int
    onward_message_id: int


class Moves:
    """The open C-MOVEs of this process."""

    def __init__(self) -> None:
        self._open: dict[str, list[OpenMove]] = {}

    def open(
        self,
        caller: str,
        archive: str,
        destination: str,
        shown_caller: str,
        message_id: int,
        taken: Container[int],
    ) -> OpenMove:
        """Remembers a C-MOVE.

        The Message ID goes on unchanged, unless the archive has an open move that would look the same and
        is not: then another one is told to it, which is not in `taken` either. Raises RemoteProtocolError
        where none is left.
        """
        alike = [m for m in self._open.get(archive, ()) if m.shown_caller == shown_caller]
        others = {
            m.onward_message_id
            for m in alike
            if (m.caller, m.destination) != (caller, destination) or m.message_id != message_id
        }
        onward = message_id
        if onward in others:
            used = {m.onward_message_id for m in alike}
            free = (n for n in range(0xFFFF, 0, -1) if n not in used and n not in taken)
            onward = next(free, 0)
            if not onward:
                text = f"no Message ID is left for {caller} to {archive}"
                raise RemoteProtocolError(text, AbortReason.NOT_SPECIFIED)
        move = OpenMove(caller, archive, destination, shown_caller, message_id, onward)
        self._open.setdefault(archive, []).append(move)
        return move

    def close(self, move: OpenMove) -> None:
        """Forgets a C-MOVE that was answered, or whose association ended."""
        rest = self._open.get(move.archive, [])
        if move in rest:
            rest.remove(move)
        if not rest:
            self._open.pop(move.archive, None)

    def destinations(self, archive: str) -> frozenset[str]:
        """Where this archive may have to send to: names of AEs."""
        return frozenset(move.destination for move in self.at(archive))

    def at(self, archive: str) -> tuple[OpenMove, ...]:
        """What this archive has been asked to move and has not finished."""
        return tuple(self._open.get(archive, ()))
