"""What becomes of each message: passes, is answered here, or is dropped (PS3.7, contract "Refusals").

A request passes when a rule names it, or when an operation that a rule allowed causes it: the C-STOREs of a
C-GET on the same association, those of an open C-MOVE on another. A response passes when its request did.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ulproxy.dimse.command import CommandField, CommandSet, Element, Status, response
from ulproxy.dimse.message import Message
from ulproxy.dimse.services import is_get, names_aes, service_of
from ulproxy.dimse.titles import Mapping
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import AbortReason
from ulproxy.policy.model import ApplicationEntity
from ulproxy.policy.rules import Policy
from ulproxy.relay.effects import End, printable
from ulproxy.relay.moves import Moves, OpenMove

# Message IDs have 16 bits; a peer that has this many unanswered does not wait for answers at all.
MAX_OUTSTANDING: Final = 4096
MAX_UID: Final = 64  # PS3.5 9.1; what is looked up is remembered, and a command set may have 64 KB


class Context(NamedTuple):
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


class Titles(NamedTuple):
    """How the AE titles in a data set are mapped, and the transfer syntax that it is in."""

    transfer_syntax: str
    mapping: Mapping


class Pass(NamedTuple):
    """The message goes on, with this command set; its data set as it comes, or with titles mapped."""

    command: CommandSet
    titles: Titles | None = None


class Respond(NamedTuple):
    """The message goes no further; its sender gets this response once it has sent all of it."""

    command: CommandSet
    text: str


class Drop(NamedTuple):
    """The message goes no further and there is nothing to say to it."""

    text: str


Verdict = Pass | Respond | Drop

# Compared in every message; a member of an enumeration costs 0.15 µs each time (Python 3.11).
_INBOUND, _ONWARD = End.INBOUND, End.ONWARD
_REQUESTS: Final = frozenset(int(field) for field in CommandField)
_C_STORE_RQ: Final = int(CommandField.C_STORE_RQ)
_C_GET_RQ: Final = int(CommandField.C_GET_RQ)
_C_MOVE_RQ: Final = int(CommandField.C_MOVE_RQ)
_C_CANCEL_RQ: Final = int(CommandField.C_CANCEL_RQ)
_ERROR_COMMENT: Final = int(Element.ERROR_COMMENT)
_ORIGINATOR_TITLE: Final = int(Element.MOVE_ORIGINATOR_AE_TITLE)
_ORIGINATOR_MESSAGE_ID: Final = int(Element.MOVE_ORIGINATOR_MESSAGE_ID)
Changes = dict[Element, str | int | None]


class _Operation(NamedTuple):
    """A request that passed and has not been answered finally."""

    message_id: int
    onward_message_id: int
    request: int
    move: OpenMove | None
    retrieves: bool  # a C-GET, which causes C-STOREs on the same association


class LocalGate:
    """The relay's own Verification SCP (PS3.4 annex A)."""

    def judge(self, sender: End, message: Message) -> Verdict:
        """C-ECHO succeeds; whatever else is asked of the relay is not authorized."""
        del sender
        command = message.command
        if command.command_field == CommandField.C_ECHO_RQ:
            return Respond(response(command, Status.SUCCESS), "")
        if command.is_response or command.command_field == _C_CANCEL_RQ:
            return Drop("the relay has asked for nothing")
        return Respond(
            response(command, Status.NOT_AUTHORIZED), "the relay itself answers C-ECHO only"
        )

    def close(self) -> None:
        """Nothing is remembered."""


class Gate:
    """Judges the messages of one association between two AEs.

    `contexts` are the accepted presentation contexts by id.
    """

    def __init__(
        self,
        policy: Policy,
        moves: Moves,
        caller: ApplicationEntity,
        callee: ApplicationEntity,
        contexts: dict[int, Context],
    ) -> None:
        self._policy = policy
        self._moves = moves
        self._contexts = contexts
        self._ae = {End.INBOUND: caller, End.ONWARD: callee}
        self._allowed: dict[tuple[End, str, int], bool] = {}
        self._crosses = caller.network != callee.network
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
        if command.command_field == _C_CANCEL_RQ:
            return self._cancel(sender, message)
        if command.is_response:
            return self._response(sender, message)
        if not command.has_valid_instance_uid:
            text = "Affected SOP Instance UID is no UID"
            return Respond(response(command, Status.INVALID_OBJECT_INSTANCE), text)
        return self._request(sender, message)

    def _request(self, sender: End, message: Message) -> Verdict:
        command, asking, asked = message.command, self._ae[sender], self._ae[_other(sender)]
        changes: Changes = {}
        caused = False
        if command.request == _C_STORE_RQ:
            caused = self._sub_operation(sender, command, changes)
        abstract_syntax = self._contexts[message.context_id].abstract_syntax
        if not caused and not self._may_send(sender, abstract_syntax, command.request):
            text = f"no rule lets {asking.name} ask {asked.name} for {command.request:04X}H"
            return Respond(response(command, Status.NOT_AUTHORIZED), text)
        if text := self._elsewhere(sender, command, abstract_syntax, caused=caused):
            return Respond(response(command, Status.NOT_AUTHORIZED), text)
        operations = self._outstanding[sender]
        if len(operations) >= MAX_OUTSTANDING:  # before a move is opened, which nobody would close
            raise RemoteProtocolError(
                f"{MAX_OUTSTANDING} requests without an answer", AbortReason.NOT_SPECIFIED
            )
        move = None
        if command.request == _C_MOVE_RQ:
            move = self._open_move(sender, command, changes)
            if move is None:
                title = printable(command.text(Element.MOVE_DESTINATION))
                text = self._policy.no_destination(asking, asked, title)
                return Respond(response(command, Status.MOVE_DESTINATION_UNKNOWN), text)
        onward = command.message_id if move is None else move.onward_message_id
        retrieves = command.request == _C_GET_RQ and is_get(abstract_syntax)
        operations.append(_Operation(command.message_id, onward, command.request, move, retrieves))
        return self._passed(sender, message, changes)

    def _may_send(self, sender: End, abstract_syntax: str, request: int) -> bool:
        """Asks the rules once for each kind of message: they are the same for the whole association."""
        key = (sender, abstract_syntax, request)
        if key in self._allowed:
            return self._allowed[key]
        asking, asked = self._ae[sender], self._ae[_other(sender)]
        allowed = self._policy.may_send(asking, asked, abstract_syntax, request) is not None
        if request in _REQUESTS:  # there are few, so a peer cannot make many of them
            self._allowed[key] = allowed
        return allowed

    def _elsewhere(
        self, sender: End, command: CommandSet, abstract_syntax: str, *, caused: bool
    ) -> str:
        """Why a request may not be of another SOP class than its presentation context; empty = it may.

        Archives go by the SOP class: a worklist query could be one for studies, a retrieve a query.
        """
        asking, asked = self._ae[sender], self._ae[_other(sender)]
        for element in (Element.AFFECTED_SOP_CLASS_UID, Element.REQUESTED_SOP_CLASS_UID):
            sop_class = _sop_class(command, element)
            if sop_class in ("", abstract_syntax):
                continue
            if self._crosses and names_aes(sop_class) and not names_aes(abstract_syntax):
                return "the SOP class names AEs, that of its presentation context does not"
            meant = service_of(sop_class, command.request)
            if caused or meant is service_of(abstract_syntax, command.request):
                continue
            if not self._policy.may_send(asking, asked, sop_class, command.request):
                return f"no rule lets {asking.name} ask {asked.name} for the service {meant}"
        return ""

    def _response(self, sender: End, message: Message) -> Verdict:
        command = message.command
        operations = self._outstanding[_other(sender)]
        asked = (command.message_id, command.request)
        operation = next((o for o in operations if (o.onward_message_id, o.request) == asked), None)
        if operation is None:
            return Drop(f"response {command.command_field:04X}H to nothing that was asked")
        if not command.is_pending:
            operations.remove(operation)
            self._finish(operation)
        changes: Changes = {}
        if _ERROR_COMMENT in command and self._crosses:
            changes[Element.ERROR_COMMENT] = None
        if operation.message_id != operation.onward_message_id:
            changes[Element.MESSAGE_ID_BEING_RESPONDED_TO] = operation.message_id
        return self._passed(sender, message, changes)

    def _passed(self, sender: End, message: Message, changes: Changes) -> Pass:
        command = message.command.replaced(changes) if changes else message.command
        return Pass(command, self._titles(sender, message) if self._crosses else None)

    def _titles(self, sender: End, message: Message) -> Titles | None:
        """Small data sets of the information models name AEs; those of images pass as they are."""
        context = self._contexts[message.context_id]
        if not message.command.has_data_set or not names_aes(context.abstract_syntax):
            return None
        sending, receiving = self._ae[sender], self._ae[_other(sender)]

        def mapping(_tag: int, title: str) -> str:
            return self._policy.names.translated(title, sending, receiving)

        return Titles(context.transfer_syntax, mapping)

    def _cancel(self, sender: End, message: Message) -> Verdict:
        """PS3.7 9.3.2.3: no response to this one, and it may cross the final response."""
        for operation in self._outstanding[sender]:
            if operation.message_id == message.command.message_id:
                changes: Changes = {
                    Element.MESSAGE_ID_BEING_RESPONDED_TO: operation.onward_message_id
                }
                return self._passed(sender, message, changes)
        return Drop("C-CANCEL-RQ of nothing that is under way")

    def _finish(self, operation: _Operation) -> None:
        if operation.move is not None:
            self._moves.close(operation.move)

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
        moves = self._causes(sender, command)
        if _ORIGINATOR_TITLE in command or _ORIGINATOR_MESSAGE_ID in command:
            if moves:
                self._set_originator(sender, moves, changes)
            elif self._crosses:
                title = command.text(Element.MOVE_ORIGINATOR_AE_TITLE)
                self._map_originator(title, sender, changes)
        asked = self._outstanding[_other(sender)]
        return bool(moves) or any(operation.retrieves for operation in asked)

    def _causes(self, sender: End, command: CommandSet) -> list[OpenMove]:
        """The open moves to this destination that a C-STORE-RQ may be of, by what it says of its originator.

        Archives have left out one or both of the elements, or said their own title there.
        """
        archive, destination = self._ae[sender], self._ae[_other(sender)]
        title = command.text(_ORIGINATOR_TITLE)
        number = command.unsigned(_ORIGINATOR_MESSAGE_ID)
        return [
            move
            for move in self._moves.at(archive.name)
            if move.destination == destination.name
            and title in ("", archive.title, move.shown_caller)
            and (_ORIGINATOR_MESSAGE_ID not in command or number == move.onward_message_id)
        ]

    def _set_originator(self, sender: End, moves: list[OpenMove], changes: Changes) -> None:
        """Says who asked for the move, as the destination knows it; nothing where that cannot be told."""
        callers = {(move.caller, move.message_id) for move in moves}
        caller, message_id = callers.pop()
        title = None if callers else self._known_as(self._policy.ae(caller), sender)
        changes[Element.MOVE_ORIGINATOR_AE_TITLE] = title
        changes[Element.MOVE_ORIGINATOR_MESSAGE_ID] = None if title is None else message_id

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


def _sop_class(command: CommandSet, element: Element) -> str:
    """As a receiver reads it that ends at a NUL; what is no UID by its length is no class that is known."""
    sop_class = command.text(element).partition("\0")[0].strip()
    return sop_class if len(sop_class) <= MAX_UID else "?"


def _other(end: End) -> End:
    return _ONWARD if end is _INBOUND else _INBOUND
