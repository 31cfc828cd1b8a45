"""What becomes of each message: passes, is answered here, or is dropped (PS3.7, contract "Refusals").

A request passes when a rule names it, or when an operation that a rule allowed causes it: the C-STOREs of a
C-GET on the same association, those of an open C-MOVE on another. A response passes when its request did.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ulproxy.dimse.command import CommandField, CommandSet, Element, Status, response
from ulproxy.dimse.message import Message
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import AbortReason
from ulproxy.policy.model import ApplicationEntity
from ulproxy.policy.rules import Policy
from ulproxy.relay.effects import End
from ulproxy.relay.moves import Moves, OpenMove

# Message IDs have 16 bits; a peer that has this many unanswered does not wait for answers at all.
MAX_OUTSTANDING: Final = 4096


class Pass(NamedTuple):
    """The message goes on, with this command set."""

    command: CommandSet


class Respond(NamedTuple):
    """The message goes no further; its sender gets this response once it has sent all of it."""

    command: CommandSet
    text: str


class Drop(NamedTuple):
    """The message goes no further and there is nothing to say to it."""

    text: str


Verdict = Pass | Respond | Drop
Changes = dict[Element, str | int | None]


class _Operation(NamedTuple):
    """A request that passed and has not been answered finally."""

    message_id: int
    onward_message_id: int
    request: int
    move: OpenMove | None


class LocalGate:
    """The relay's own Verification SCP (PS3.4 annex A)."""

    def judge(self, sender: End, message: Message) -> Verdict:
        """C-ECHO succeeds; whatever else is asked of the relay is not authorized."""
        del sender
        command = message.command
        if command.command_field == CommandField.C_ECHO_RQ:
            return Respond(response(command, Status.SUCCESS), "")
        if command.is_response or command.command_field == CommandField.C_CANCEL_RQ:
            return Drop("the relay has asked for nothing")
        return Respond(
            response(command, Status.NOT_AUTHORIZED), "the relay itself answers C-ECHO only"
        )

    def close(self) -> None:
        """Nothing is remembered."""


class Gate:
    """Judges the messages of one association between two AEs.

    `contexts` are the abstract syntaxes of the accepted presentation contexts by id.
    """

    def __init__(
        self,
        policy: Policy,
        moves: Moves,
        caller: ApplicationEntity,
        callee: ApplicationEntity,
        contexts: dict[int, str],
    ) -> None:
        self._policy = policy
        self._moves = moves
        self._contexts = contexts
        self._ae = {End.INBOUND: caller, End.ONWARD: callee}
        self._outstanding: dict[End, list[_Operation]] = {End.INBOUND: [], End.ONWARD: []}

    def close(self) -> None:
        """The association ended, and with it what was asked on it."""
        for operations in self._outstanding.values():
            for operation in operations:
                self._finish(operation)
            operations.clear()

    def judge(self, sender: End, message: Message) -> Verdict:
        """What becomes of a message that came from this end; raises RemoteProtocolError."""
        command = message.command
        if command.command_field == CommandField.C_CANCEL_RQ:
            return self._cancel(sender, command)
        if command.is_response:
            return self._response(sender, command)
        if not command.has_valid_instance_uid:
            text = "Affected SOP Instance UID is no UID"
            return Respond(response(command, Status.INVALID_OBJECT_INSTANCE), text)
        return self._request(sender, message)

    def _request(self, sender: End, message: Message) -> Verdict:
        command, asking, asked = message.command, self._ae[sender], self._ae[_other(sender)]
        changes: Changes = {}
        caused = False
        if command.request == CommandField.C_STORE_RQ:
            caused = self._sub_operation(sender, command, changes)
        abstract_syntax = self._contexts[message.context_id]
        if not caused and not self._policy.may_send(
            asking, asked, abstract_syntax, command.request
        ):
            text = f"no rule lets {asking.name} ask {asked.name} for {command.request:04X}H"
            return Respond(response(command, Status.NOT_AUTHORIZED), text)
        operations = self._outstanding[sender]
        if len(operations) >= MAX_OUTSTANDING:  # before a move is opened, which nobody would close
            raise RemoteProtocolError(
                f"{MAX_OUTSTANDING} requests without an answer", AbortReason.NOT_SPECIFIED
            )
        move = None
        if command.request == CommandField.C_MOVE_RQ:
            move = self._open_move(sender, command, changes)
            if move is None:
                text = f"no move destination for {asking.name}"
                return Respond(response(command, Status.MOVE_DESTINATION_UNKNOWN), text)
        onward = command.message_id if move is None else move.onward_message_id
        operations.append(_Operation(command.message_id, onward, command.request, move))
        return Pass(command.replaced(changes) if changes else command)

    def _response(self, sender: End, command: CommandSet) -> Verdict:
        operations = self._outstanding[_other(sender)]
        asked = (command.message_id, command.request)
        operation = next((o for o in operations if (o.onward_message_id, o.request) == asked), None)
        if operation is None:
            return Drop(f"response {command.command_field:04X}H to nothing that was asked")
        if not command.is_pending:
            operations.remove(operation)
            self._finish(operation)
        changes: Changes = {}
        if Element.ERROR_COMMENT in command and self._crosses:
            changes[Element.ERROR_COMMENT] = None
        if operation.message_id != operation.onward_message_id:
            changes[Element.MESSAGE_ID_BEING_RESPONDED_TO] = operation.message_id
        return Pass(command.replaced(changes) if changes else command)

    def _cancel(self, sender: End, command: CommandSet) -> Verdict:
        """PS3.7 9.3.2.3: no response to this one, and it may cross the final response."""
        for operation in self._outstanding[sender]:
            if operation.message_id == command.message_id:
                changes: Changes = {
                    Element.MESSAGE_ID_BEING_RESPONDED_TO: operation.onward_message_id
                }
                return Pass(command.replaced(changes))
        return Drop("C-CANCEL-RQ of nothing that is under way")

    def _finish(self, operation: _Operation) -> None:
        if operation.move is not None:
            self._moves.close(operation.move)

    @property
    def _crosses(self) -> bool:
        return self._ae[End.INBOUND].network != self._ae[End.ONWARD].network

    def _open_move(self, sender: End, command: CommandSet, changes: Changes) -> OpenMove | None:
        """Maps Move Destination (0000,0600) and remembers the move; None = not a destination."""
        asking, archive = self._ae[sender], self._ae[_other(sender)]
        title = command.text(Element.MOVE_DESTINATION)
        destination = self._policy.move_destination(asking, archive, title)
        if destination is None:
            return None
        names = self._policy.names
        move = self._moves.open(
            asking.name,
            archive.name,
            destination.name,
            names.shown(asking, archive.network),
            command.message_id,
            taken={operation.onward_message_id for operation in self._outstanding[sender]},
        )
        changes[Element.MOVE_DESTINATION] = names.shown(destination, archive.network)
        if move.onward_message_id != move.message_id:
            changes[Element.MESSAGE_ID] = move.onward_message_id
        return move

    def _sub_operation(self, sender: End, command: CommandSet, changes: Changes) -> bool:
        """Whether an operation that passed causes this C-STORE-RQ; sets Move Originator back."""
        asked = self._outstanding[_other(sender)]
        if any(operation.request == CommandField.C_GET_RQ for operation in asked):
            return True
        originator = command.text(Element.MOVE_ORIGINATOR_AE_TITLE)
        archive, destination = self._ae[sender].name, self._ae[_other(sender)].name
        moves = [move for move in self._moves.at(archive) if move.destination == destination]
        if not originator:
            return bool(moves)
        told = (originator, command.unsigned(Element.MOVE_ORIGINATOR_MESSAGE_ID))
        for move in moves:
            if (move.shown_caller, move.onward_message_id) == told:
                changes[Element.MOVE_ORIGINATOR_MESSAGE_ID] = move.message_id
                changes[Element.MOVE_ORIGINATOR_AE_TITLE] = self._known_as(
                    self._policy.ae(move.caller), sender
                )
                return True
        if self._crosses:
            self._map_originator(originator, sender, changes)
        return False

    def _map_originator(self, originator: str, sender: End, changes: Changes) -> None:
        """A move that did not pass here: what the receiver calls its originator, or nothing."""
        ae = self._policy.names.called(originator, self._ae[sender].network)
        title = self._known_as(ae if isinstance(ae, ApplicationEntity) else None, sender)
        changes[Element.MOVE_ORIGINATOR_AE_TITLE] = title
        if title is None:
            changes[Element.MOVE_ORIGINATOR_MESSAGE_ID] = None

    def _known_as(self, ae: ApplicationEntity | None, sender: End) -> str | None:
        if ae is None:
            return None
        return self._policy.names.shown(ae, self._ae[_other(sender)].network)


def _other(end: End) -> End:
    return End.ONWARD if end is End.INBOUND else End.INBOUND
