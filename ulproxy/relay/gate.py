"""What becomes of each message between two AEs (PS3.7, contract "Refusals").

A request passes when a rule names it, or when an operation that a rule allowed causes it: the C-STOREs of a
C-GET on the same association, those of an open C-MOVE on another. A response passes when its request did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from ulproxy.dimse.command import (
    CommandField,
    CommandSet,
    Element,
    Status,
    encoded_uid,
    response,
)
from ulproxy.dimse.message import Message
from ulproxy.dimse.services import Service, is_get, names_aes, service_of
from ulproxy.dimse.transaction import transaction_uid
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import AbortReason
from ulproxy.policy.model import ApplicationEntity, Rule
from ulproxy.policy.rules import Policy
from ulproxy.relay.effects import End, Operation
from ulproxy.relay.operation import Auditor, OpenOperation, described
from ulproxy.relay.retrieval import Changes, Retrieval
from ulproxy.relay.store import Commitments, OpenMove
from ulproxy.relay.tally import Operations, Tally, status_class
from ulproxy.relay.verdict import Context, Drop, Pass, Respond, Titles, Verdict, Wait

# Message IDs have 16 bits; a peer that has this many unanswered does not wait for answers at all.
MAX_OUTSTANDING: Final = 4096
# Of them C-MOVEs, which a gate looks for in every C-STORE of their archive.
MAX_MOVES: Final = 256
MAX_UID: Final = 64  # PS3.5 9.1; what is looked up is remembered, and a command set may have 64 KB

# Compared in every message; a member of an enumeration costs 0.15 µs each time (Python 3.11).
_INBOUND, _ONWARD = End.INBOUND, End.ONWARD
_REQUESTS: Final = frozenset(int(field) for field in CommandField)
_C_STORE_RQ: Final = int(CommandField.C_STORE_RQ)
_C_GET_RQ: Final = int(CommandField.C_GET_RQ)
_C_MOVE_RQ: Final = int(CommandField.C_MOVE_RQ)
_N_ACTION_RQ: Final = int(CommandField.N_ACTION_RQ)
_C_CANCEL_RQ: Final = int(CommandField.C_CANCEL_RQ)
_ERROR_COMMENT: Final = int(Element.ERROR_COMMENT)
_STATUS: Final = int(Element.STATUS)
_SUCCESS: Final = b"\0\0"
_SOP_CLASSES: Final = (
    int(Element.AFFECTED_SOP_CLASS_UID),
    int(Element.REQUESTED_SOP_CLASS_UID),
)
_CANCEL: Final = int(Status.CANCEL)
_HIDES: Final = "the SOP class names AEs, that of its presentation context does not"


class Grounds(NamedTuple):
    """What a gate judges by, the same for all of one inbound association."""

    policy: Policy
    retrieval: Retrieval
    commitments: Commitments
    auditor: Auditor | None = None
    tally: Tally | None = None


class Gate:
    """Judges the messages of one association between two AEs.

    `contexts` are the accepted presentation contexts by id. `group` is the title by which the caller has
    called the callee among others.
    """

    def __init__(
        self,
        grounds: Grounds,
        caller: ApplicationEntity,
        callee: ApplicationEntity,
        contexts: dict[int, Context],
        group: str = "",
    ) -> None:
        self._policy, self._retrieval, self._commitments, self._auditor, self._tally = grounds
        self._contexts = contexts
        self._ae = {_INBOUND: caller, _ONWARD: callee}
        self._group = group
        self._allowed: dict[tuple[End, str, int], Rule | None] = {}
        self._counted: dict[tuple[int, int], Operations] = {}
        self._crosses = caller.network != callee.network
        self._outstanding: dict[End, list[OpenOperation]] = {_INBOUND: [], _ONWARD: []}

    def close(self) -> None:
        """The association ended, and with it what was asked on it."""
        for operations in self._outstanding.values():
            for operation in operations:
                self._finish(operation, None)
            operations.clear()

    @property
    def idle(self) -> bool:
        """Whether nothing that was asked is still to be answered."""
        return not any(self._outstanding.values())

    def unanswered(self, sender: End) -> tuple[OpenOperation, ...]:
        """What was asked by this end and is still to be answered."""
        return tuple(self._outstanding[sender])

    def expects(self, sender: End, command: CommandSet) -> bool:
        """Whether a response answers, or a C-CANCEL-RQ cancels, something that was asked here."""
        asked = self._outstanding[_other(sender) if command.is_response else sender]
        return any(
            operation.answered_by(command)
            if command.is_response
            else operation.message_id == command.message_id
            for operation in asked
        )

    def judge(self, sender: End, message: Message) -> Verdict:
        """What becomes of a message that came from this end; raises RemoteProtocolError."""
        command = message.command
        if command.command_field == _C_CANCEL_RQ:
            return self._cancel(sender, message)
        if command.is_response:
            return self._response(sender, message)
        if not command.has_valid_instance_uid:
            text = "Affected SOP Instance UID is no UID"
            return self._refused(sender, message, Status.INVALID_OBJECT_INSTANCE, text)
        return self._request(sender, message)

    def _request(self, sender: End, message: Message) -> Verdict:
        command, asking, asked = message.command, self._ae[sender], self._ae[_other(sender)]
        changes: Changes = {}
        abstract_syntax = self._contexts[message.context_id].abstract_syntax
        caused = command.request == _C_STORE_RQ and self._sub_operation(sender, command, changes)
        rule = None if caused else self._rule(sender, abstract_syntax, command.request)
        text = self._elsewhere(sender, command, abstract_syntax, caused=caused)
        if not caused and rule is None:
            text = f"no rule lets {asking.name} ask {asked.name} for {command.request:04X}H"
        if text and (text == _HIDES or not self._policy.observes):
            return self._refused(sender, message, Status.NOT_AUTHORIZED, text)
        operations = self._outstanding[sender]
        if len(operations) >= MAX_OUTSTANDING:  # before a move is opened, which nobody would close
            raise RemoteProtocolError(
                f"{MAX_OUTSTANDING} requests without an answer", AbortReason.NOT_SPECIFIED
            )
        move = None
        if command.request == _C_MOVE_RQ:
            if sum(operation.move is not None for operation in operations) >= MAX_MOVES:
                text = f"{MAX_MOVES} C-MOVEs without an answer"
                raise RemoteProtocolError(text, AbortReason.NOT_SPECIFIED)
            taken = {operation.onward_message_id for operation in operations}
            opened = self._retrieval.open(asking, asked, command, taken, changes)
            if isinstance(opened, Respond):
                return self._refused(sender, message, Status.MOVE_DESTINATION_UNKNOWN, opened.text)
            if isinstance(opened, Wait):
                return opened
            move = opened
            text = text or self._retrieval.observed(asking, asked, command)
        operation = self._begun(sender, message, move, rule)
        passed = self._passed(sender, message, changes, operation, text)
        if command.request == _N_ACTION_RQ and passed.titles is not None:
            return replace(passed, seen=self._commitment(asking, asked, message))
        return passed

    def _commitment(
        self, asking: ApplicationEntity, asked: ApplicationEntity, message: Message
    ) -> Callable[[bytes], None] | None:
        """Remembers who asks, where the result will be sent to a title that others have too (PS3.4 J.3.3)."""
        context = self._contexts[message.context_id]
        commitment = service_of(context.abstract_syntax, _N_ACTION_RQ) is Service.COMMITMENT
        if not commitment or not self._policy.names.is_hidden(asking, asked.network):
            return None

        def remember(data_set: bytes) -> None:
            if uid := transaction_uid(data_set, context.transfer_syntax):
                self._commitments.remember(asked.name, uid, asking.name)

        return remember

    def _begun(
        self, sender: End, message: Message, move: OpenMove | None, rule: Rule | None
    ) -> OpenOperation:
        command = message.command
        onward = command.message_id if move is None else move.onward_message_id
        retrieves = command.request == _C_GET_RQ and is_get(
            self._contexts[message.context_id].abstract_syntax
        )
        operation = OpenOperation(command.message_id, onward, command.request, move, retrieves)
        self._outstanding[sender].append(operation)
        if self._auditor is not None:
            began = self._auditor.clock()
            operation.audited = self._audited(sender, message, began, rule, move)
        if (tally := self._tally) is not None:
            counted = self._counted.get((message.context_id, operation.request))
            if counted is None:
                counted = self._of(tally, message)
            counted.requests += 1
            operation.counted, operation.began = counted, tally.clock()
        return operation

    def _of(self, tally: Tally, message: Message) -> Operations:
        """Where it is counted; looked for once for each kind of request."""
        context_id, request = message.context_id, message.command.request
        counted = tally.of(self._contexts[context_id].abstract_syntax, request)
        if request in _REQUESTS:  # as in `_rule`
            self._counted[context_id, request] = counted
        return counted

    def _rule(self, sender: End, abstract_syntax: str, request: int) -> Rule | None:
        """Asks the rules once for each kind of message: they are the same for the whole association."""
        key = (sender, abstract_syntax, request)
        if key in self._allowed:
            return self._allowed[key]
        asking, asked = self._ae[sender], self._ae[_other(sender)]
        rule = self._policy.may_send(asking, asked, abstract_syntax, request)
        if request in _REQUESTS:  # there are few, so a peer cannot make many of them
            self._allowed[key] = rule
        return rule

    def _elsewhere(
        self, sender: End, command: CommandSet, abstract_syntax: str, *, caused: bool
    ) -> str:
        """Why a request may not be of another SOP class than its presentation context; empty = it may.

        Archives go by the SOP class: a worklist query could be one for studies, a retrieve a query.
        """
        asking, asked = self._ae[sender], self._ae[_other(sender)]
        same = encoded_uid(abstract_syntax)
        for element in _SOP_CLASSES:
            value = command.value(element)
            if not value or value == same:
                continue
            sop_class = _sop_class(command, element)
            if sop_class in ("", abstract_syntax):
                continue
            if self._crosses and names_aes(sop_class) and not names_aes(abstract_syntax):
                return _HIDES
            meant = service_of(sop_class, command.request)
            if caused or meant is service_of(abstract_syntax, command.request):
                continue
            allowed = self._policy.may_send(asking, asked, sop_class, command.request)
            if not allowed:
                return f"no rule lets {asking.name} ask {asked.name} for the service {meant}"
        return ""

    def _refused(self, sender: End, message: Message, status: Status, text: str) -> Respond:
        if self._auditor is not None:
            asked = self._audited(sender, message, self._auditor.clock(), None, None)
            self._auditor.refused(replace(asked, status=int(status), refused=text))
        if self._tally is not None:
            counted = self._of(self._tally, message)
            counted.requests += 1
            counted.answered("refused")
        return Respond(response(message.command, status), text)

    def _audited(
        self, sender: End, message: Message, began: float, rule: Rule | None, move: OpenMove | None
    ) -> Operation:
        context = self._contexts[message.context_id]
        asking, asked = self._ae[sender].name, self._ae[_other(sender)].name
        return replace(
            described(message.command, *context, asking, asked, began),
            destination="" if move is None else move.destination,
            rule=None if rule is None else rule.number,
        )

    def _response(self, sender: End, message: Message) -> Verdict:
        command = message.command
        operations = self._outstanding[_other(sender)]
        for operation in operations:
            if operation.answered_by(command):
                break
        else:
            return Drop(f"response {command.command_field:04X}H to nothing that was asked")
        if command.is_pending:
            operation.matches += 1
        else:
            operations.remove(operation)
            self._finish(operation, command)
        changes: Changes = {}
        if _ERROR_COMMENT in command and self._crosses:
            changes[Element.ERROR_COMMENT] = None
        if operation.message_id != operation.onward_message_id:
            changes[Element.MESSAGE_ID_BEING_RESPONDED_TO] = operation.message_id
        return self._passed(sender, message, changes)

    def _passed(
        self,
        sender: End,
        message: Message,
        changes: Changes,
        operation: OpenOperation | None = None,
        observed: str = "",
    ) -> Pass:
        command = message.command.replaced(changes) if changes else message.command
        titles = self._titles(sender, message) if self._crosses else None
        if self._auditor is None:
            operation = None
        return Pass(command, titles, operation, observed)

    def _titles(self, sender: End, message: Message) -> Titles | None:
        """Small data sets of the information models name AEs; those of images pass as they are."""
        context = self._contexts[message.context_id]
        if not message.command.has_data_set or not names_aes(context.abstract_syntax):
            return None
        sending, receiving = self._ae[sender], self._ae[_other(sender)]
        names = self._policy.names
        # Who has no title of its own there can be fetched from by the title that was called.
        fan_title = self._group if names.is_hidden(sending, receiving.network) else ""

        def mapping(title: str) -> str:
            if fan_title and names.called(title, sending.network) in (sending, None):
                return fan_title
            return names.translated(title, sending, receiving)

        return Titles(context.transfer_syntax, mapping)

    def _cancel(self, sender: End, message: Message) -> Verdict:
        """PS3.7 9.3.2.3: no response to this one, and it may cross the final response."""
        for operation in self._outstanding[sender]:
            if operation.message_id == message.command.message_id:
                operation.cancelled = True
                changes: Changes = {
                    Element.MESSAGE_ID_BEING_RESPONDED_TO: operation.onward_message_id
                }
                return self._passed(sender, message, changes)
        return Drop("C-CANCEL-RQ of nothing that is under way")

    def _finish(self, operation: OpenOperation, final: CommandSet | None) -> None:
        if operation.move is not None:
            cut = final is None or operation.cancelled or final.unsigned(Element.STATUS) == _CANCEL
            self._retrieval.close(operation.move, cut=cut)
        if self._auditor is not None:
            self._auditor.ended(operation, final)
        if self._tally is not None:
            _count(operation, final, self._tally.clock())

    def _sub_operation(self, sender: End, command: CommandSet, changes: Changes) -> bool:
        """Whether an operation that passed causes this C-STORE-RQ; sets Move Originator back."""
        archive, receiver = self._ae[sender], self._ae[_other(sender)]
        moves = self._retrieval.causing(archive, command, destination=receiver.name)
        if moves:
            self._retrieval.learn(archive, command, moves)
        self._retrieval.set_originator(archive, receiver, command, moves, changes)
        asked = self._outstanding[_other(sender)]
        return bool(moves or (asked and any(operation.retrieves for operation in asked)))


def _count(operation: OpenOperation, final: CommandSet | None, now: float) -> None:
    counted = operation.counted
    if counted is None:
        raise AssertionError("an operation that is counted from its beginning")
    if operation.matches:
        counted.answered("pending", operation.matches)
    if final is None:
        counted.answered("none")
    else:
        if final.value(_STATUS) == _SUCCESS:  # it nearly always is
            counted.succeeded += 1
        else:
            counted.answered(status_class(final.unsigned(_STATUS)))
        counted.durations.add(now - operation.began)


def _sop_class(command: CommandSet, element: int) -> str:
    """As a receiver reads it that ends at a NUL; what is no UID by its length is no class that is known."""
    sop_class = command.text(element).partition("\0")[0].strip()
    return sop_class if len(sop_class) <= MAX_UID else "?"


def _other(end: End) -> End:
    return _ONWARD if end is _INBOUND else _INBOUND
