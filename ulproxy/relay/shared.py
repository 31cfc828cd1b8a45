"""An archive calls the relay's own title, which several AEs share: each message tells for whom it is.

A C-STORE goes where the C-MOVE leads that it is of (moves.py). Before the first one comes, each AE that
something is being moved to is asked what it accepts, and the archive is accepted what all of them do. An AE
may serve one association at a time, so where there are several each is released as soon as it has answered,
and whom a C-STORE is for is called then. Nobody is kept while another one is waited for in vain.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final, NamedTuple

from ulproxy.dimse.command import CommandField, Status
from ulproxy.dimse.message import Message
from ulproxy.dimse.services import VERIFICATION, is_commitment
from ulproxy.dimse.transaction import transaction_uid
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.fsm import State
from ulproxy.pdu.types import (
    IMPLICIT_VR_LITTLE_ENDIAN,
    LOCAL_LIMIT_EXCEEDED,
    TEMPORARY_CONGESTION,
)
from ulproxy.policy.decision import Reject, Shared
from ulproxy.relay.effects import End, StartTimer, StopTimer, Timer
from ulproxy.relay.ends import Ends, Failure
from ulproxy.relay.exchange import MAX_KEPT, Exchange
from ulproxy.relay.legs import Member, SeveralLegs
from ulproxy.relay.local import judge_own
from ulproxy.relay.negotiate import least, several_answer
from ulproxy.relay.side import Blamed, Leg, Side
from ulproxy.relay.tally import Outcome
from ulproxy.relay.verdict import Collect, Hold, Pass, Respond, Verdict

# AEs that are asked at once what they accept; what others accept shows when something comes for them.
MAX_PROBED: Final = 32
_MODEST: Final = 16384  # the maximum length that is told before any AE has said its own, in bytes
MAX_TRIES: Final = 10  # one a second, where a limit is reached
MAX_REPORTS: Final = 16  # storage commitment results that wait for the AE that asked to be called
_C_STORE_RQ: Final = int(CommandField.C_STORE_RQ)
_N_EVENT_REPORT_RQ: Final = int(CommandField.N_EVENT_REPORT_RQ)
_C_ECHO_RQ: Final = int(CommandField.C_ECHO_RQ)
_C_CANCEL_RQ: Final = int(CommandField.C_CANCEL_RQ)


class Probed(NamedTuple):
    """What an AE accepts: transfer syntaxes by context id, and the maximum length that it takes, in bytes."""

    accepted: dict[int, str]
    maximum_length: int


class Report(NamedTuple):
    """A storage commitment result."""

    message: Message
    data_set: bytes


class ByMessage(SeveralLegs):
    """The conduct of such an association."""

    def __init__(self, ends: Ends, exchange: Exchange, decision: Shared) -> None:
        super().__init__(ends, exchange, decision.caller)
        self._decision = decision
        self._title = ends.policy.names.relay_title
        self._impatient = False
        self._awaited: Member | None = None  # whom the held message is for
        text, outcome = "nobody could be called", Outcome.UNREACHABLE
        self._last_failure = Failure(text, TEMPORARY_CONGESTION, outcome=outcome)
        self._probed: dict[str, Probed] = {}
        self._waiting_reports: list[tuple[Member, Report]] = []

    def start(self) -> None:
        """Asks everybody that something is being moved to."""
        for member in [self._know(one) for one in self._decision.candidates[:MAX_PROBED]]:
            self._call(member)
        if len(self._members) > 1:
            self._ends.effects.append(StartTimer(End.INBOUND, Timer.PATIENCE))
        self._candidates_changed(None)

    def impatient(self) -> None:
        """Who has not answered is called when something comes for it; who is idle is let go."""
        self._try_again()
        if self._ends.inbound.association.state is State.Sta3:
            self._impatient = True
            self._candidates_changed(None)
        elif self._awaited is not None and self._awaited.connecting:
            self._let_go_idle()

    def _limited(self, member: Member, text: str) -> bool:
        """Others that move at the same time may have what the limit allows: theirs will end."""
        member.tries += 1
        alone = self._ends.inbound.association.state is State.Sta3 and len(self._members) == 1
        if member.tries <= MAX_TRIES and not alone:
            member.again = True
            self._ends.effects.append(StartTimer(End.INBOUND, Timer.PATIENCE))
            return True
        member.tries = 0
        self._last_failure = Failure(text, LOCAL_LIMIT_EXCEEDED, outcome=Outcome.LIMIT)
        return super()._limited(member, text)

    def _try_again(self) -> None:
        for member in self._members.values():
            if member.again:
                member.again = False
                if not self._call(member):
                    self._retry_reports()

    def _let_go_idle(self) -> None:
        """Two archives that wait for what the other one keeps would wait for ever."""
        for member in self._members.values():
            leg = member.leg
            if leg is None or member.accepted is None:
                continue
            if member.gate.idle and not leg.messages.under_way:
                self._let_go(member)
            else:
                self._ends.effects.append(StartTimer(End.INBOUND, Timer.PATIENCE))

    def may_go_on(self, side: Side) -> bool:
        """The archive waits for the answer of an AE."""
        if isinstance(side, Leg):
            return super().may_go_on(side)
        return self._awaited is None or not self._awaited.connecting

    def _said(self, member: Member, message: Message) -> Verdict:
        return member.gate.judge(End.ONWARD, message)

    def _asked(self, message: Message) -> Verdict:
        """Finds out for whom a message is."""
        ends, command = self._ends, message.command
        if command.command_field == _C_CANCEL_RQ:
            return self._answer(message)
        abstract_syntax = ends.contexts[message.context_id].abstract_syntax
        if command.command_field == _C_ECHO_RQ and abstract_syntax == VERIFICATION:
            return judge_own(message)
        if command.command_field == _C_STORE_RQ:
            return self._store(message)
        if command.command_field == _N_EVENT_REPORT_RQ and is_commitment(abstract_syntax):
            return Collect(lambda data_set: self._report(Report(message, data_set)))
        text = "nothing but C-STOREs of C-MOVEs can be asked of the relay's own title"
        return ends.refused(message, Status.NOT_AUTHORIZED, text, self._title)

    def _store(self, message: Message) -> Verdict:
        ends, command = self._ends, message.command
        moves = ends.grounds.retrieval.causing(self._caller, command, shown=self._title)
        names = {move.destination for move in moves}
        if not names:
            text = f"nothing is moved behind {self._title} that this could be of"
            return ends.refused(message, Status.NOT_AUTHORIZED, text, self._title)
        if len(names) > 1:
            ends.grounds.retrieval.learn(self._caller, command, moves)
            text = f"a C-MOVE to any of {', '.join(sorted(names))} could have caused it"
            return ends.refused(message, Status.PROCESSING_FAILURE, text, self._title)
        member = self._destination(names.pop())
        if isinstance(member, str):
            return ends.refused(message, Status.PROCESSING_FAILURE, member, self._title)
        if member.leg is None or member.accepted is None:
            self._awaited = member
            ends.effects.append(StartTimer(End.INBOUND, Timer.PATIENCE))
            return Hold()
        self._awaited = None
        if message.context_id not in member.accepted:
            text = f"{member.name} does not accept the presentation context"
            return ends.refused(message, Status.SOP_CLASS_NOT_SUPPORTED, text, member.name)
        self._send_to(member.leg)
        return member.gate.judge(End.INBOUND, message)

    def _report(self, report: Report) -> None:
        """Passes a storage commitment result on to the AE that asked for it, which is called first."""
        ends, message = self._ends, report.message
        syntax = ends.contexts[message.context_id].transfer_syntax
        uid = transaction_uid(report.data_set, syntax)
        name = ends.border.commitments.asked_by(self._caller.name, uid)
        member = self._destination(name) if name else "nobody is known to have asked for it"
        if isinstance(member, str):
            self._refuse(message, member)
        elif member.leg is not None and member.accepted is not None:
            self._pass_report(member, member.leg, member.accepted, report)
        elif (
            len(self._waiting_reports) >= MAX_REPORTS
            or self._kept + len(report.data_set) > MAX_KEPT
        ):
            self._refuse(message, f"{len(self._waiting_reports)} results wait already")
        else:
            self._waiting_reports.append((member, report))

    def _pass_report(
        self, member: Member, leg: Leg, accepted: Container[int], report: Report
    ) -> None:
        message, inbound = report.message, self._ends.inbound
        if message.context_id not in accepted:
            text = f"{member.name} does not accept the presentation context"
            self._refuse(message, text, Status.SOP_CLASS_NOT_SUPPORTED)
            return
        match member.gate.judge(End.INBOUND, message):
            case Respond(command, text):
                self._exchange.refuse(inbound, message, text, command)
            case Pass() as verdict:
                self._exchange.deliver(inbound, leg, message.context_id, verdict, report.data_set)
            case verdict:
                raise AssertionError(verdict)

    def _refuse(
        self, message: Message, text: str, status: Status = Status.PROCESSING_FAILURE
    ) -> None:
        refused = self._ends.refused(message, status, text, self._title)
        self._exchange.refuse(self._ends.inbound, message, text, refused.command)

    @property
    def _kept(self) -> int:
        return sum(len(report.data_set) for _, report in self._waiting_reports)

    def _destination(self, name: str) -> Member | str:
        """Who is meant, with a leg that stands or is being opened; or why there is none."""
        member = self._members.get(name)
        if member is None:
            ends, ae = self._ends, self._ends.policy.ae(name)
            if ae is None or ends.request is None:
                return f"{name} is not in the file any more"
            forward = ends.policy.destination(ends.request, self._caller, ae)
            if isinstance(forward, Reject):
                return forward.text
            member = self._know(forward)
        if member.leg is None and not self._call_again(member):
            return f"{name}: {member.failure}"
        return member

    def _call_again(self, member: Member) -> bool:
        """Who did not answer while the archive waited has another chance, and only one."""
        if member.failure and self._awaited is not member:
            member.failure = ""
        return self._call(member)

    def _joined(self) -> None:
        """A C-STORE that waits for it is judged again, since it is not connecting; results are passed on."""
        self._retry_reports()

    def _retry_reports(self) -> None:
        reports, self._waiting_reports = self._waiting_reports, []
        try:
            for member, report in reports:
                if member.connecting:
                    self._waiting_reports.append((member, report))
                elif member.leg is None:
                    self._refuse(report.message, f"{member.name}: {member.failure}")
                else:
                    self._report(report)
        except RemoteProtocolError as error:
            raise Blamed(self._ends.inbound, error) from error

    def _lost(self, member: Member, leg: Leg, failure: Failure) -> None:
        """What it has been sent cannot be answered for; but nothing is lost with one that is idle."""
        inbound = self._ends.inbound
        receiving = inbound.passing and inbound.target is leg
        if receiving or leg.messages.under_way or not member.gate.idle:
            self._give_up(failure)
        else:
            self._retry_reports()

    def _candidates_changed(self, failure: Failure | None) -> None:
        """Accepts as soon as all have answered, or some have and the archive has waited enough."""
        ends = self._ends
        if failure is not None:
            self._last_failure = failure
        if ends.request is None:
            raise AssertionError("an answer to nothing")
        self._note_answers()
        answers = [probed.accepted for probed in self._probed.values() if probed.accepted]
        if self._connecting and not (answers and self._impatient):
            return
        accepted = self._accepted(answers) | self._reports()
        if not accepted and not self._probed:
            ends.fail(self._last_failure, self._last_failure.text)
            ends.abort_legs(self._last_failure.source, self._last_failure.reason)
            return
        for member in self._connecting:
            self._let_go(member)
        if len(self._members) > 1:
            ends.effects.append(StopTimer(End.INBOUND, Timer.PATIENCE))
        self._told = ends.policy.config.limits.max_pdu or (0 if answers else _MODEST)
        for probed in self._probed.values():
            if probed.accepted:
                self._told = least(self._told, probed.maximum_length)
        self._accept(several_answer(ends.request, accepted, self._told))

    def _note_answers(self) -> None:
        for name, member in self._members.items():
            if member.leg is None or member.accepted is None:
                continue
            self._probed[name] = Probed(member.accepted, member.leg.maximum_length)
            if len(self._members) > 1:
                self._let_go(member)

    @property
    def _connecting(self) -> list[Member]:
        return [member for member in self._members.values() if member.connecting]

    def _reports(self) -> dict[int, str]:
        """The contexts for storage commitment results, in the first transfer syntax that is offered."""
        return {
            context.context_id: context.transfer_syntaxes[0]
            for forward in reversed(self._decision.reported)
            for context in forward.offered
            if is_commitment(context.abstract_syntax)
        }

    def _accepted(self, answers: list[dict[int, str]]) -> dict[int, str]:
        """What all of them accept; of a SOP class without such a context, what some accept."""
        request = self._ends.request
        by_class: dict[str, dict[bool, dict[int, str]]] = {}
        for context_id, abstract_syntax, proposed in (
            request.presentation_contexts if request else ()
        ):
            syntaxes = [answer[context_id] for answer in answers if context_id in answer]
            if not syntaxes:
                continue
            unlike = len(set(syntaxes)) > 1 and IMPLICIT_VR_LITTLE_ENDIAN in proposed
            syntax = IMPLICIT_VR_LITTLE_ENDIAN if unlike else syntaxes[0]
            found = by_class.setdefault(abstract_syntax, {True: {}, False: {}})
            found[len(syntaxes) == len(answers)][context_id] = syntax
        return {
            context_id: syntax
            for found in by_class.values()
            for context_id, syntax in (found[True] or found[False]).items()
        }
