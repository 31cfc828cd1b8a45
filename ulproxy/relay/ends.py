"""All ends of a relayed association, how they are opened and told, and how the whole comes to its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from ulproxy.dimse.command import Status, response
from ulproxy.dimse.message import Message, MessageReader
from ulproxy.pdu.associate import AAssociateAC, AAssociateRQ, encode_ac, encode_rq
from ulproxy.pdu.association import Close, Output, Send, StartArtim, StopArtim
from ulproxy.pdu.fsm import State
from ulproxy.pdu.types import AbortReason, AbortSource, Rejection, Result
from ulproxy.policy.decision import Forward, Peer, named_services
from ulproxy.policy.model import ApplicationEntity
from ulproxy.relay.admission import Admitted
from ulproxy.relay.border import Border
from ulproxy.relay.effects import (
    CloseTransport,
    Effect,
    End,
    OpenTransport,
    Record,
    SendData,
    StartTimer,
    StopTimer,
    Timer,
    printable,
)
from ulproxy.relay.gate import Gate, Grounds
from ulproxy.relay.moves import Attendance
from ulproxy.relay.negotiate import onward_request
from ulproxy.relay.operation import Auditor, described
from ulproxy.relay.retrieval import Retrieval
from ulproxy.relay.side import Leg, Side
from ulproxy.relay.tally import Key, Outcome, Refusal, Tally, failed
from ulproxy.relay.verdict import Context, Respond

# Onward associations that one inbound association may have had opened, those that ended included.
MAX_LEGS: Final = 256
PROVIDER: Final = (AbortSource.SERVICE_PROVIDER, AbortReason.NOT_SPECIFIED)


class Failure(NamedTuple):
    """Why an onward association is no more.

    A caller that still waits gets `rejection`, everybody else an A-ABORT with `source` and `reason`. `blame`
    is the reason of the A-ABORT that is due to the end that failed, if it has not had one.
    """

    text: str
    rejection: Rejection
    source: int = AbortSource.SERVICE_PROVIDER
    reason: int = AbortReason.NOT_SPECIFIED
    blame: int | None = None
    outcome: Outcome = Outcome.PROTOCOL


class Ends:
    """The caller's end, the legs, and the effects that were asked of the shell since it last took them."""

    def __init__(self, border: Border, peer: Peer) -> None:
        self.border = border
        self.policy = border.policy
        self.peer = peer
        self.inbound = Side(End.INBOUND)
        self.legs: list[Leg] = []
        self.effects: list[Effect] = []
        self.request: AAssociateRQ | None = None
        self.contexts: dict[int, Context] = {}
        self.windowed = False  # an Asynchronous Operations Window was accepted
        self.ended = False
        self.tally = border.tally
        self.asked = 0.0  # when, by the clock of the tally
        self.facts: dict[str, object] = {}  # for the log: who the AEs are, and by which rule
        self._asked: dict[str, object] = {}
        self._observed: dict[str, None] = {}
        self._admitted: dict[Side, Admitted] = {}
        self._gates: list[Gate] = []
        self._attendance: Attendance | None = None
        self._grounds: Grounds | None = None

    def side(self, end: End) -> Side:
        """The side of this end."""
        return self.inbound if end is End.INBOUND else self.legs[end.number - 1]

    def take(self) -> list[Effect]:
        """The effects, which are the caller's from now on."""
        taken = self.effects[:]
        self.effects.clear()
        return taken

    # What each end is told

    def perform(self, side: Side, outputs: Iterable[Output]) -> None:
        """Asks the shell for what an association wants of its transport and of ARTIM."""
        for output in outputs:
            match output:
                case Send():
                    if side.fragment_left:
                        self.cut(side)
                    else:
                        self.effects.append(SendData(side.end, output.data))
                case Close():
                    self.effects.append(CloseTransport(side.end))
                case StartArtim():
                    if side.association.state is not State.Sta1:  # cut instead of aborted
                        self.effects.append(StartTimer(side.end, Timer.ARTIM))
                case StopArtim():
                    self.effects.append(StopTimer(side.end, Timer.ARTIM))
                case _:
                    raise AssertionError(output)

    def cut(self, side: Side) -> None:
        """Closes without a word: within a fragment of a data set it would be taken for its bytes."""
        side.association.transport_closed()
        self.effects.append(CloseTransport(side.end))

    def abort(self, side: Side, source: int, reason: int) -> None:
        """Tells an end that is not closed yet."""
        if side.association.open:
            self.perform(side, side.association.abort(source, reason))

    def abort_legs(self, source: int, reason: int) -> None:
        """Tells all ends but the caller's."""
        for leg in self.legs:
            self.abort(leg, source, reason)

    def release(self, side: Side) -> None:
        """Asks an end to release, within the time of the release timer."""
        self.perform(side, side.association.request_release())
        self.effects.append(StartTimer(side.end, Timer.RELEASE))

    # Negotiation

    def open(self, forward: Forward, request: AAssociateRQ | None = None) -> Leg:
        """Asks an AE for an association: as the caller's request has it, or as this one."""
        if forward.callee.address is None or self.request is None:
            raise AssertionError("decided to forward to an AE that cannot be called")
        max_pdu = self.policy.config.limits.max_pdu
        proposed = request or onward_request(self.request, forward, max_pdu)
        leg = Leg(End.leg(len(self.legs) + 1), forward, proposed)
        leg.target = self.inbound
        self.legs.append(leg)
        leg.association.connect(encode_rq(proposed))  # AE-1: open the transport connection
        self.effects.append(OpenTransport(forward.callee.address, leg.end, forward.callee.tls))
        self.effects.append(StartTimer(leg.end, Timer.CONNECT))
        return leg

    def agree(self, leg: Leg, answer: AAssociateAC) -> None:
        """An AE has accepted: from now on both keep to what was said."""
        leg.maximum_length = answer.user_information.maximum_length
        leg.association.limit_received(leg.proposed.user_information.maximum_length)

    def accept(self, answer: AAssociateAC) -> None:
        """Accepts the caller's association."""
        request = self.request
        if request is None:
            raise AssertionError("an answer to nothing")
        self.inbound.maximum_length = request.user_information.maximum_length
        self.inbound.association.limit_received(answer.user_information.maximum_length)
        accepted = {
            context.context_id: context.transfer_syntax
            for context in answer.presentation_contexts
            if context.result == Result.ACCEPTANCE
        }
        for context in request.presentation_contexts:
            if (syntax := accepted.get(context.context_id)) is not None:
                self.contexts[context.context_id] = Context(context.abstract_syntax, syntax)
        self.inbound.messages = MessageReader(self.contexts)
        self.windowed = answer.user_information.asynchronous_operations_window is not None
        self.effects.append(StartTimer(End.INBOUND, Timer.IDLE))
        proposed = request.presentation_contexts
        facts = {**self.who(), "contexts": len(accepted), "proposed": len(proposed)}
        self.effects.append(Record("association established", facts))
        self.perform(self.inbound, self.inbound.association.accept(encode_ac(answer)))
        if self.tally is not None:
            self.tally.setup.add(self.tally.clock() - self.asked)

    def gate(self, caller: ApplicationEntity, callee: ApplicationEntity, group: str = "") -> Gate:
        """Who judges the messages between the caller and one AE."""
        gate = Gate(self.grounds, caller, callee, self.contexts, group)
        self._gates.append(gate)
        return gate

    @property
    def grounds(self) -> Grounds:
        """What all gates of this association judge by."""
        if self._grounds is None:
            border = self.border
            retrieval = Retrieval(self.policy, border.moves, self._attendance)
            auditor = Auditor(border.clock, self.effects.append) if border.audited else None
            commitments = border.commitments
            self._grounds = Grounds(self.policy, retrieval, commitments, auditor, self.tally)
        return self._grounds

    def refused(self, message: Message, status: Status, text: str, asked: str) -> Respond:
        """What the relay itself answers the caller, which asked this AE or title; the audit trail is told."""
        auditor = self.grounds.auditor
        if auditor is not None:
            context = self.contexts[message.context_id]
            caller = str(self.facts.get("caller", ""))
            operation = described(message.command, *context, caller, asked, auditor.clock())
            auditor.refused(replace(operation, status=int(status), refused=text))
        self.count_own(message, refused=True)
        return Respond(response(message.command, status), text)

    def count_own(self, message: Message, *, refused: bool) -> None:
        """The relay itself has answered a request."""
        if self.tally is not None:
            context = self.contexts[message.context_id]
            counted = self.tally.of(context.abstract_syntax, message.command.request)
            counted.requests += 1
            if refused:
                counted.answered("refused")
            else:
                counted.succeeded += 1

    # How it begins and ends

    def admit(self, caller: ApplicationEntity, callee: ApplicationEntity | None) -> str:
        """Counts the association, or says which limit is reached."""
        limits = self.policy.config.limits
        admitted = self.border.admission.enter(limits, str(self.peer.address), caller, callee)
        if isinstance(admitted, str):
            return admitted
        self._admitted[self.inbound] = admitted
        return ""

    def open_one(self, forward: Forward, request: AAssociateRQ | None) -> Leg | str:
        """Opens one leg of several, until it is `left`; or says which limit is reached."""
        admitted = self.border.admission.enter_leg(forward.callee)
        if isinstance(admitted, str):
            return admitted
        leg = self.open(forward, request)
        self._admitted[leg] = admitted
        return leg

    def left(self, leg: Leg) -> None:
        """The leg counts no more."""
        admitted = self._admitted.pop(leg, None)
        if admitted is not None:
            self.border.admission.leave(admitted)

    def attend(self, archive: ApplicationEntity) -> None:
        """The caller is an archive that something is moved from."""
        self._attendance = self.border.moves.attend(archive.name)

    def reject(self, rejection: Rejection, text: str, reason: Refusal) -> None:
        """Rejects the caller's association."""
        if self.tally is not None:
            self.tally.refused(reason)
        self.end(text, rejection, kind=Outcome.REJECTED)
        self.perform(self.inbound, self.inbound.association.reject(rejection))

    def fail(self, failure: Failure, text: str) -> None:
        """Rejects it for what has become of an AE, which the text says too."""
        self.reject(failure.rejection, text, failed(failure.outcome))

    def end(
        self,
        outcome: str,
        rejection: Rejection | None = None,
        *,
        kind: Outcome,
        warning: bool = True,
    ) -> None:
        """The association is over; the first who says so knows why, in words and what `kind` of end it is."""
        if self.ended:
            return
        self.ended = True
        self._count_end(kind)
        for gate in self._gates:
            gate.close()
        for admitted in self._admitted.values():
            self.border.admission.leave(admitted)
        self._admitted.clear()
        if self._attendance is not None:
            self.border.moves.leave(self._attendance)
        self.effects.append(self._record(outcome, rejection, warning=warning))

    def count_leg(self, leg: Leg, kind: Outcome) -> None:
        """An onward association is over; the first who says so knows how."""
        if self.tally is not None and leg.outcome is None:
            leg.outcome = kind
            callee = leg.forward.callee
            self.tally.add("associations", "onward", callee.network, kind.value)
            self.tally.add("ae_associations", self.tally.ae(callee.name), "callee", kind.value)

    def volumes(self, tally: Tally) -> Iterator[tuple[Key, int]]:
        """What has come from each end and was passed on, and what of it from which AE."""
        caller = str(self.facts.get("caller", ""))
        yield from _volumes(self.inbound, "inbound", self.peer.network, tally.ae(caller))
        for leg in self.legs:
            yield from _volumes(leg, "onward", leg.forward.callee.network, tally.ae(leg.callee))

    def _count_end(self, kind: Outcome) -> None:
        tally, network = self.tally, self.peer.network
        if tally is None:
            return
        if self.request is None:
            tally.add("connections_without_association", network, kind.value)
            return
        tally.add("associations", "inbound", network, kind.value)
        caller = tally.ae(str(self.facts.get("caller", "")))
        tally.add("ae_associations", caller, "caller", kind.value)
        if "would_be_refused" in self.facts:
            tally.add("would_be_refused", "association")
        for leg in self.legs:
            self.count_leg(leg, kind)
        for key, number in self.volumes(tally):
            tally.add(*key, number=number)

    def observed(self, texts: tuple[str, ...]) -> None:
        """What the rules would have refused, if they were enforced."""
        self._observed |= dict.fromkeys(texts)
        if self._observed:
            self.facts["would_be_refused"] = "; ".join(self._observed)

    def who(self) -> dict[str, object]:
        """What was asked by whom of whom, and the AEs that the titles turned out to be."""
        if self.request is None:
            return {}
        if not self._asked:  # it is said twice at least, and does not change
            self._asked = {
                "calling": printable(self.request.calling_ae_title),
                "called": printable(self.request.called_ae_title),
                "services": named_services(self.request.presentation_contexts),
            }
        return {**self._asked, **self.facts}

    def _record(self, outcome: str, rejection: Rejection | None, *, warning: bool) -> Record:
        facts: dict[str, object] = {**self.who(), "outcome": outcome}
        if rejection is not None:
            facts["answer"] = tuple(rejection)
            return Record("association rejected", facts, warning=True)
        if self.request is None:
            return Record("connection ended", facts, warning=warning)
        facts["inbound_messages"] = self.inbound.messages_passed
        facts["inbound_octets"] = self.inbound.octets_passed
        facts["onward_messages"] = sum(leg.messages_passed for leg in self.legs)
        facts["onward_octets"] = sum(leg.octets_passed for leg in self.legs)
        return Record("association ended", facts, warning=warning)


def _volumes(side: Side, end: str, network: str, ae: str) -> Iterator[tuple[Key, int]]:
    yield ("messages", end, network), side.messages_passed
    yield ("bytes", end, network), side.octets_passed
    yield ("ae_bytes", ae), side.octets_passed
