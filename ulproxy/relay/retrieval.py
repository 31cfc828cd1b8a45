"""C-MOVEs between two AEs, and the C-STOREs that they cause (PS3.7 9.1.4, PS3.4 C.4.2)."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from ulproxy.dimse.command import CommandSet, Element, Status, response
from ulproxy.policy.model import ApplicationEntity
from ulproxy.policy.rules import Policy
from ulproxy.relay.effects import printable
from ulproxy.relay.moves import Attendance, Moves, Said
from ulproxy.relay.store import OpenMove
from ulproxy.relay.verdict import Respond, Wait

_ORIGINATOR_TITLE: Final = int(Element.MOVE_ORIGINATOR_AE_TITLE)
_ORIGINATOR_MESSAGE_ID: Final = int(Element.MOVE_ORIGINATOR_MESSAGE_ID)
Changes = dict[Element, str | int | None]


class Retrieval:
    """What a border knows of moves, as one association may use it.

    `attendance` counts the association among those of its caller, an archive; None = the caller is none.
    """

    def __init__(self, policy: Policy, moves: Moves, attendance: Attendance | None) -> None:
        self._policy = policy
        self._moves = moves
        self._attendance = attendance

    def close(self, move: OpenMove, *, cut: bool) -> None:
        """The move was answered; `cut` = it was cancelled, or its association ended."""
        self._moves.close(move, cut=cut)

    def open(
        self,
        asking: ApplicationEntity,
        archive: ApplicationEntity,
        command: CommandSet,
        taken: Container[int],
        changes: Changes,
    ) -> OpenMove | Wait | Respond:
        """Maps Move Destination (0000,0600) and remembers the move, which is not in `taken` onward."""
        title = command.text(Element.MOVE_DESTINATION)
        destination = self._policy.move_destination(asking, archive, title)
        if destination is None:
            text = self._policy.no_destination(asking, archive, printable(title))
            return Respond(response(command, Status.MOVE_DESTINATION_UNKNOWN), text)
        names = self._policy.names
        shown = names.shown(destination, archive.network)
        wanted = OpenMove(
            asking.name,
            archive.name,
            destination.name,
            names.shown(asking, archive.network),
            command.message_id,
            command.message_id,
            shown,
        )
        with self._moves.alone():
            if self._moves.must_wait(wanted, silent=not archive.move_originator):
                return Wait(f"{archive.name} does not say which C-MOVE a C-STORE is of")
            move = self._moves.open(wanted, taken)
        changes[Element.MOVE_DESTINATION] = shown
        if move.onward_message_id != move.message_id:
            changes[Element.MESSAGE_ID] = move.onward_message_id
        return move

    def observed(
        self, asking: ApplicationEntity, archive: ApplicationEntity, command: CommandSet
    ) -> str:
        """Why the rules would have refused the destination, if they were enforced; empty = they would not."""
        title = command.text(Element.MOVE_DESTINATION)
        if self._policy.move_rule(asking, archive, title) is not None:
            return ""
        return self._policy.no_destination(asking, archive, printable(title))

    def causing(
        self,
        archive: ApplicationEntity,
        command: CommandSet,
        destination: str | None = None,
        shown: str | None = None,
    ) -> list[OpenMove]:
        """The moves that a C-STORE-RQ of the archive may be of: to this AE, or behind this title."""
        if not self._moves.knows(archive.name):  # most that store are no archive
            return []
        number = command.unsigned(_ORIGINATOR_MESSAGE_ID)
        said = Said(
            archive.title,
            command.text(_ORIGINATOR_TITLE),
            number if _ORIGINATOR_MESSAGE_ID in command else None,
            destination,
            shown,
        )
        return self._moves.causing(archive.name, said, self._attendance)

    def learn(self, archive: ApplicationEntity, command: CommandSet, moves: list[OpenMove]) -> None:
        """What the C-STORE-RQ of a move tells of how its archive names the originator."""
        title = command.text(_ORIGINATOR_TITLE)
        self._moves.named(
            archive.name,
            originator=any(title == move.shown_caller for move in moves),
            number=_ORIGINATOR_MESSAGE_ID in command,
        )

    def set_originator(
        self,
        sender: ApplicationEntity,
        receiver: ApplicationEntity,
        command: CommandSet,
        moves: list[OpenMove],
        changes: Changes,
    ) -> None:
        """Says who asked for the move, as the destination knows it; nothing where that cannot be told."""
        if _ORIGINATOR_TITLE not in command and _ORIGINATOR_MESSAGE_ID not in command:
            return
        names = self._policy.names
        if moves:
            callers = {(move.caller, move.message_id) for move in moves}
            caller, number = callers.pop()
            ae = None if callers else self._policy.ae(caller)
            changes[Element.MOVE_ORIGINATOR_MESSAGE_ID] = None if ae is None else number
        elif sender.network == receiver.network:
            return
        else:  # a move that did not pass here
            called = names.called(command.text(_ORIGINATOR_TITLE), sender.network)
            ae = called if isinstance(called, ApplicationEntity) else None
            if ae is None:
                changes[Element.MOVE_ORIGINATOR_MESSAGE_ID] = None
        title = None if ae is None else names.shown(ae, receiver.network)
        changes[Element.MOVE_ORIGINATOR_AE_TITLE] = title
