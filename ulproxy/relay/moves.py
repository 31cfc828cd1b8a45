"""Open C-MOVEs: to which destination the C-STORE association that comes back belongs (PS3.7 9.1.4).

The archive calls back on an association of its own. Its called title names the destination, Move
Originator AE Title and Message ID name the C-MOVE; both are what the archive was told, and are set back here.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from itertools import chain

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


class _Shown:
    """The open C-MOVEs that one archive takes for those of one caller, by the Message ID it was told.

    Those of one Message ID are alike, so the first of them speaks for all.
    """

    def __init__(self) -> None:
        self.moves: dict[int, dict[OpenMove, None]] = {}
        self._last = 0x10000

    def free(self, taken: Container[int]) -> int:
        """A Message ID that is told nobody; looked for where the last one was found. 0 = there is none."""
        order = chain(range(self._last - 1, 0, -1), range(0xFFFF, self._last - 1, -1))
        found = next((n for n in order if n not in self.moves and n not in taken), 0)
        self._last = found or self._last
        return found


class Moves:
    """The open C-MOVEs of this process. A peer can open thousands, so none is looked for among all."""

    def __init__(self) -> None:
        self._open: dict[str, dict[OpenMove, None]] = {}
        self._shown: dict[tuple[str, str], _Shown] = {}

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
        shown = self._shown.get((archive, shown_caller)) or _Shown()
        onward = message_id
        same = next(iter(shown.moves.get(message_id, ())), None)
        if same is not None and (same.caller, same.destination, same.message_id) != (
            caller,
            destination,
            message_id,
        ):
            onward = shown.free(taken)
            if not onward:
                text = f"no Message ID is left for {caller} to {archive}"
                raise RemoteProtocolError(text, AbortReason.NOT_SPECIFIED)
        move = OpenMove(caller, archive, destination, shown_caller, message_id, onward)
        self._open.setdefault(archive, {})[move] = None
        self._shown.setdefault((archive, shown_caller), shown).moves.setdefault(onward, {})[
            move
        ] = None
        return move

    def close(self, move: OpenMove) -> None:
        """Forgets a C-MOVE that was answered, or whose association ended."""
        rest = self._open.get(move.archive, {})
        if move not in rest:
            return
        del rest[move]
        if not rest:
            del self._open[move.archive]
        key = move.archive, move.shown_caller
        moves = self._shown[key].moves
        del moves[move.onward_message_id][move]
        if not moves[move.onward_message_id]:
            del moves[move.onward_message_id]
        if not moves:
            del self._shown[key]

    def destinations(self, archive: str) -> frozenset[str]:
        """Where this archive may have to send to: names of AEs."""
        return frozenset(move.destination for move in self.at(archive))

    def at(self, archive: str) -> tuple[OpenMove, ...]:
        """What this archive has been asked to move and has not finished."""
        return tuple(self._open.get(archive, ()))
