"""An association to a group: queries go to all members at once, retrieves to one after the other.

The caller is accepted as soon as one member has; the others are asked what the caller asks as they come.
Responses go back as they come; the last one says whether a member failed. One that is down spoils nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ulproxy.dimse.command import (
    CommandField,
    CommandSet,
    Element,
    Status,
    command_name,
    response,
)
from ulproxy.dimse.message import Message
from ulproxy.dimse.transaction import failed_instances, failed_list
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import IMPLICIT_VR_LITTLE_ENDIAN, LOCAL_LIMIT_EXCEEDED, NO_REASON
from ulproxy.policy.decision import Fan
from ulproxy.relay.effects import End, Record
from ulproxy.relay.ends import Ends, Failure
from ulproxy.relay.exchange import MAX_KEPT, Exchange
from ulproxy.relay.gate import MAX_OUTSTANDING
from ulproxy.relay.legs import Member, SeveralLegs
from ulproxy.relay.local import judge_own
from ulproxy.relay.negotiate import several_answer
from ulproxy.relay.query import Answered, Query
from ulproxy.relay.side import Blamed, Leg
from ulproxy.relay.tally import Outcome
from ulproxy.relay.verdict import Collect, Drop, Pass, Respond, Verdict, Wait

MAX_QUERIES: Final = 16  # at once; the caller is told to send one after the other
_MODEST: Final = 16384  # the maximum length that the caller is told, in bytes: it sends no objects
_C_ECHO_RQ: Final = int(CommandField.C_ECHO_RQ)
_C_CANCEL_RQ: Final = int(CommandField.C_CANCEL_RQ)
_FANNED: Final = frozenset(
    int(field)
    for field in (
        CommandField.C_ECHO_RQ,
        CommandField.C_FIND_RQ,
        CommandField.C_MOVE_RQ,
        CommandField.C_GET_RQ,
    )
)


class FanOut(SeveralLegs):
    """The conduct of such an association."""

    def __init__(self, ends: Ends, exchange: Exchange, decision: Fan) -> None:
        super().__init__(ends, exchange, decision.caller)
        self._group = decision.group.title
        self._refused = decision.refused
        self._queries: list[Query] = []
        ends.facts["group"] = self._group
        if decision.left_out:
            ends.facts["left_out"] = "; ".join(decision.left_out)
        for forward in decision.members:
            self._know(forward, self._group)

    def start(self) -> None:
        """Calls all members."""
        failure = None
        for member in self._members.values():
            if not self._call(member):
                failure = Failure(member.failure, LOCAL_LIMIT_EXCEEDED, outcome=Outcome.LIMIT)
        if failure is not None:
            self._candidates_changed(failure)

    def moves_ended(self) -> None:
        """A retrieve that could not be told from another one may be possible now."""
        for query in list(self._queries):
            self._ask(query)

    def _asked(self, message: Message) -> Verdict:
        """What the caller asks goes to the members, what they answer is answered in one."""
        command = message.command
        if command.command_field == _C_CANCEL_RQ:
            return self._cancel(message)
        if command.command_field == _C_ECHO_RQ and self._group == self._relay_title:
            return judge_own(message)
        if command.request not in _FANNED:
            text = f"{self._group} is a group: it is queried and retrieved from, no more"
            return self._ends.refused(message, Status.NOT_AUTHORIZED, text, self._group)
        if len(self._queries) >= MAX_QUERIES:
            text = f"{MAX_QUERIES} requests at once to {self._group}"
            return self._ends.refused(message, Status.PROCESSING_FAILURE, text, self._group)
        return Collect(lambda data_set: self._begin(message, data_set))

    @property
    def _relay_title(self) -> str:
        return self._ends.policy.names.relay_title

    # From the caller

    def _begin(self, message: Message, data_set: bytes) -> None:
        due = [m.name for m in self._members.values() if m.is_offered(message.context_id)]
        kept = sum(len(query.data_set) * query.members for query in self._queries)
        if kept + len(data_set) * len(due) > MAX_KEPT:
            text = f"{len(data_set)} bytes to {len(due)} members at once"
            refused = self._ends.refused(message, Status.PROCESSING_FAILURE, text, self._group)
            self._exchange.refuse(self._ends.inbound, message, text, refused.command)
            return
        query = Query(message, data_set, due)
        self._queries.append(query)
        self._ask(query)

    def _ask(self, query: Query) -> None:
        """Asks whoever is to be asked now and can be; answers the caller when all have answered."""
        try:
            self._ask_all(query)
        except RemoteProtocolError as error:
            raise Blamed(self._ends.inbound, error) from error
        self.waits = any(one.waits for one in self._queries)

    def _ask_all(self, query: Query) -> None:
        query.waits = False
        for name in list(query.due):
            if query.retrieves and query.asked:
                break
            if self._members[name].connecting and not query.cancelled:
                if query.retrieves:
                    break
                continue
            if not self._ask_one(query, self._members[name]):
                break
        if query.over and query in self._queries:
            self._finish(query)

    def _ask_one(self, query: Query, member: Member) -> bool:
        """Whether the next member may be asked too."""
        message, inbound = query.message, self._ends.inbound
        refusal = self._refusal(query, member)
        if refusal is None:
            verdict = member.gate.judge(End.INBOUND, message)
            if isinstance(verdict, Wait):
                if not query.waited:
                    self._exchange.waiting(inbound, message, verdict.text)
                query.waits = query.waited = True
                return False
            if isinstance(verdict, Pass) and member.leg is not None:
                query.due.remove(member.name)
                query.asked.add(member.name)
                self._exchange.deliver(
                    inbound, member.leg, message.context_id, verdict, query.data_set
                )
                return True
            if not isinstance(verdict, Respond):
                raise AssertionError(verdict)
            refusal = Answered(verdict.command, text=verdict.text)
        query.due.remove(member.name)
        query.answers[member.name] = refusal
        return True

    def _refusal(self, query: Query, member: Member) -> Answered | None:
        """What the relay answers for a member that cannot be asked."""
        command, text, status = query.message.command, "", Status.PROCESSING_FAILURE
        if query.cancelled:
            text, status = "cancelled before it was asked", Status.CANCEL
        elif member.leg is None or member.accepted is None:
            text = member.failure or "released"
        elif query.message.context_id not in member.accepted:
            text, status = "presentation context not accepted", Status.SOP_CLASS_NOT_SUPPORTED
        return Answered(response(command, status), text=text) if text else None

    def _cancel(self, message: Message) -> Verdict:
        """PS3.7 9.3.2.3; goes to all that have been asked, and nobody else is asked any more."""
        number = message.command.message_id
        query = next((q for q in self._queries if q.message.command.message_id == number), None)
        if query is None:
            return Drop("C-CANCEL-RQ of nothing that is under way")
        query.cancelled = True
        for member in self._members.values():
            if member.name not in query.asked or member.leg is None:
                continue
            verdict = member.gate.judge(End.INBOUND, message)
            if isinstance(verdict, Pass):
                context_id = query.message.context_id  # whichever it came on
                self._exchange.deliver(self._ends.inbound, member.leg, context_id, verdict, b"")
        return Collect(lambda _: self._ask(query))

    # From the members

    def _said(self, member: Member, message: Message) -> Verdict:
        """A final response is kept until all have answered."""
        command = message.command
        verdict = member.gate.judge(End.ONWARD, message)
        if not command.is_response or not isinstance(verdict, Pass):
            return verdict
        query = next(
            (q for q in self._queries if q.is_answered_by(member.name, verdict.command)), None
        )
        if query is None:
            raise AssertionError("a response to nothing that the group was asked")
        if command.is_pending:
            return replace(verdict, command=query.pending(verdict.command))
        final = verdict.command
        return Collect(lambda data_set: self._answered(query, member, final, data_set))

    def _answered(self, query: Query, member: Member, command: CommandSet, data_set: bytes) -> None:
        syntax = self._ends.contexts[query.message.context_id].transfer_syntax
        failed = failed_instances(data_set, syntax) if data_set else ()
        query.asked.discard(member.name)
        query.answers[member.name] = Answered(command, failed)
        self._ask(query)

    def _finish(self, query: Query) -> None:
        self._queries.remove(query)
        self._report(query)
        message, command = query.message, query.final()
        inbound = self._ends.inbound
        if failed := query.failed:
            syntax = self._ends.contexts[message.context_id].transfer_syntax
            data_set = failed_list(failed, syntax)
            command = command.replaced({Element.COMMAND_DATA_SET_TYPE: 1})
            self._exchange.deliver(inbound, inbound, message.context_id, Pass(command), data_set)
        else:
            self._exchange.answer(inbound, message.context_id, command)

    def _report(self, query: Query) -> None:
        """Tells the log who did not do what was asked."""
        failed = {
            name: answer.text or f"status {answer.command.unsigned(Element.STATUS):04X}H"
            for name, answer in query.answers.items()
            if answer.command.unsigned(Element.STATUS) != Status.SUCCESS
        }
        if failed:
            asked = query.message.command
            facts: dict[str, object] = {
                "command": command_name(asked.command_field),
                "message_id": asked.message_id,
                "members": len(query.answers),
                "failed": "; ".join(f"{name}: {text}" for name, text in failed.items()),
            }
            self._ends.effects.append(Record("group answered in part", facts, warning=True))

    # Legs

    def _candidates_changed(self, failure: Failure | None) -> None:
        """The first member that accepts anything opens the door; the last that fails closes it."""
        ends = self._ends
        if ends.request is None:
            raise AssertionError("an answer to nothing")
        first = next((m for m in self._members.values() if m.accepted), None)
        if first is not None and first.accepted is not None:
            self._told = ends.policy.config.limits.max_pdu or _MODEST
            accepted = self._contexts(first.accepted)
            self._accept(several_answer(ends.request, accepted, self._told, self._refused))
        elif not any(member.connecting for member in self._members.values()):
            text, outcome = "no member accepts anything", Outcome.REJECTED
            failure = failure or Failure(text, NO_REASON, outcome=outcome)
            ends.fail(failure, failure.text)
            ends.abort_legs(failure.source, failure.reason)

    def _contexts(self, first: dict[int, str]) -> dict[int, str]:
        """What the caller is accepted: all that was offered, as the first member had it if it has it."""
        offered = {
            context.context_id: context.transfer_syntaxes
            for member in self._members.values()
            for context in member.forward.offered
        }
        return {
            number: first.get(
                number,
                IMPLICIT_VR_LITTLE_ENDIAN if IMPLICIT_VR_LITTLE_ENDIAN in syntaxes else syntaxes[0],
            )
            for number, syntaxes in offered.items()
        }

    def _joined(self) -> None:
        """It is asked what has been asked before it came."""
        for query in list(self._queries):
            self._ask(query)

    def _lost(self, member: Member, leg: Leg, failure: Failure) -> None:
        """Half an object cannot be answered for; a query can. What it was moving lingers."""
        self._unclaimed += member.gate.unanswered(End.ONWARD)
        member.gate.close()
        standing = any(m.leg or m.connecting for m in self._members.values())
        if leg.passing or not standing or len(self._unclaimed) > MAX_OUTSTANDING:
            self._give_up(failure)
            return
        for query in list(self._queries):
            if member.name in query.asked:
                query.asked.discard(member.name)
                command = response(query.message.command, Status.PROCESSING_FAILURE)
                query.answers[member.name] = Answered(command, text=failure.text)
            self._ask(query)
