"""Two associations made one: what one end's indication asks of the other. No socket, no clock.

The shell calls an input for what happened and executes the effects it returns, in their order. Each end
is a state machine of its own (PS3.8 Table 9-10); the join passes from one to the other what the rules
allow. Two rules for whoever changes this: a data set is passed on while it comes, so it may never be
completed by anything but its sender's own bytes; and after `_end` nothing passes any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ulproxy.dimse.message import MessageReader
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import AAssociateAC, AAssociateRQ, encode_ac, encode_rq
from ulproxy.pdu.association import (
    AbortIndication,
    AssociateConfirmation,
    AssociateIndication,
    Connect,
    Output,
    PAbortIndication,
    ReleaseConfirmation,
    ReleaseIndication,
)
from ulproxy.pdu.fsm import State
from ulproxy.pdu.reader import CommandFragment, PDataRun
from ulproxy.pdu.types import (
    LOCAL_LIMIT_EXCEEDED,
    NO_REASON_TRANSIENT_ACSE,
    TEMPORARY_CONGESTION,
    AbortReason,
    AbortSource,
    Rejection,
    Result,
)
from ulproxy.policy.decision import Answer, Fan, Forward, Peer, Reject, Shared, named_services
from ulproxy.policy.rules import Policy
from ulproxy.relay.admission import Admitted
from ulproxy.relay.border import Border
from ulproxy.relay.effects import (
    EXPIRED,
    Effect,
    End,
    OpenTransport,
    Record,
    StartTimer,
    StopTimer,
    Timer,
    printable,
)
from ulproxy.relay.exchange import Exchange
from ulproxy.relay.gate import Context, Gate, LocalGate
from ulproxy.relay.negotiate import inbound_answer, onward_request, own_answer
from ulproxy.relay.pair import Pair, Side
from ulproxy.relay.sniff import spoken

_REASONS: Final = frozenset(AbortReason)
_PROVIDER: Final = (AbortSource.SERVICE_PROVIDER, AbortReason.NOT_SPECIFIED)


class Join:
    """An inbound association and the onward one that it is joined with."""

    def __init__(self, border: Border, peer: Peer) -> None:
        self._border = border
        self._policy = border.policy
        self._peer = peer
        self._pair = Pair()
        self._inbound, self._onward = self._pair.inbound, self._pair.onward
        self._effects = self._pair.effects
        self._request: AAssociateRQ | None = None
        self._forward: Forward | None = None
        self._proposed: AAssociateRQ | None = None
        self._admitted: Admitted | None = None
        self._ended = False
        self._first = b""
        self._gate: Gate | LocalGate = LocalGate()
        self._exchange = Exchange(self._gate, self._pair)

    def accepted(self) -> list[Effect]:
        """A peer opened a transport connection."""
        self._apply(self._inbound, self._inbound.association.transport_connected())
        return self._pair.take()

    def connected(self) -> list[Effect]:
        """The onward connection stands."""
        self._apply(self._onward, self._onward.association.transport_connected())
        return self._pair.take()

    def receive_data(self, end: End, unread: memoryview) -> list[Effect]:
        """Bytes came from this end; views in the effects are parts of `unread`."""
        side = self._pair.side(end)
        if len(self._first) < 8 and self._request is None:
            self._first += bytes(unread[:8])
        for output in side.association.receive_data(unread):
            try:
                if isinstance(output, PDataRun):
                    self._exchange.data_run(side, output)
                elif isinstance(output, CommandFragment):
                    self._exchange.command_fragment(side, output)
                else:
                    self._apply(side, (output,))
            except RemoteProtocolError as error:
                self._fault(side, error.reason, str(error))
        return self._pair.take()

    def lost(self, end: End, text: str) -> list[Effect]:
        """This end's connection is gone, or could not be opened; `text` says how, for the log."""
        side = self._pair.side(end)
        if side.association.state is State.Sta2:
            self._end("closed without asking for an association", warning=False)
        for output in side.association.transport_closed():
            if isinstance(output, PAbortIndication):
                self._failed(side, text, *_PROVIDER)
            else:
                self._apply(side, (output,))
        return self._pair.take()

    def expired(self, end: End, timer: Timer) -> list[Effect]:
        """A timer that was started ran out."""
        side = self._pair.side(end)
        if timer is Timer.ARTIM:
            if side.association.state is State.Sta2:
                self._end("no A-ASSOCIATE-RQ in time")
            self._apply(side, side.association.artim_expired())
        elif timer is Timer.CONNECT:
            self._failed(side, "no answer to the A-ASSOCIATE-RQ in time", *_PROVIDER)
            self._abort(side, *_PROVIDER)
        else:
            self._abort_both(EXPIRED[timer].format(side.name))
        return self._pair.take()

    def shutdown(self, text: str) -> list[Effect]:
        """Ends the association at once; an end that has nothing to be told any more is closed."""
        silent = [
            side
            for side in (self._inbound, self._onward)
            if side.association.state in (State.Sta2, State.Sta13)
        ]
        self._abort_both(text)
        for side in silent:
            self._pair.cut(side)
        return self._pair.take()

    @property
    def finished(self) -> bool:
        """Whether both ends are idle (Sta1): there is nothing left to wait for."""
        inbound, onward = self._inbound.association, self._onward.association
        return inbound.state is State.Sta1 and onward.state is State.Sta1

    @property
    def pending(self) -> bool:
        """Whether this connection has no association: it has not asked yet, or has had its end."""
        return self._inbound.association.state in (State.Sta1, State.Sta2, State.Sta13)

    @property
    def asked(self) -> bool:
        """Whether an association has been asked for."""
        return self._request is not None

    @property
    def ended(self) -> bool:
        """Whether nothing passes any more."""
        return self._ended

    def would_be_refused(self, policy: Policy) -> bool:
        """Whether an open association would not be let through now by these rules."""
        if self._request is None or self._ended:
            return False
        decision = policy.decide(self._request, self._peer, self._border.moves.destinations)
        if self._forward is None:
            return not isinstance(decision, Answer)
        if not isinstance(decision, Forward) or decision.callee.name != self._forward.callee.name:
            return True
        before = {context.context_id for context in self._forward.offered}
        return not before <= {context.context_id for context in decision.offered}

    def _apply(self, side: Side, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case Connect():
                    self._connect(side)
                case AssociateIndication():
                    self._requested(side, output)
                case AssociateConfirmation():
                    self._answered(side, output)
                case ReleaseIndication():
                    self._release_asked(side, output)
                case ReleaseConfirmation():
                    self._released(side)
                case AbortIndication():
                    self._aborted(side, output)
                case PAbortIndication():
                    self._p_aborted(side, output)
                case _:
                    self._pair.perform(side, output)

    def _connect(self, side: Side) -> None:
        if self._forward is None or self._forward.callee.address is None:
            raise AssertionError("decided to forward to an AE that cannot be called")
        self._effects.append(OpenTransport(self._forward.callee.address))
        self._effects.append(StartTimer(side.end, Timer.CONNECT))

    def _requested(self, side: Side, output: AssociateIndication) -> None:
        """Decides once, on the policy of this moment, which then holds for the whole association."""
        request = self._request = output.request
        self._policy = policy = self._border.policy
        decision = policy.decide(request, self._peer, self._border.moves.destinations)
        if isinstance(decision, Fan | Shared):
            decision = (decision.members if isinstance(decision, Fan) else decision.candidates)[0]
        if isinstance(decision, Reject):
            self._reject(decision.rejection, decision.text)
            return
        callee = decision.callee if isinstance(decision, Forward) else None
        limits = policy.config.limits
        admitted = self._border.admission.enter(
            limits, str(self._peer.address), decision.caller, callee
        )
        if isinstance(admitted, str):
            self._reject(LOCAL_LIMIT_EXCEEDED, admitted)
            return
        self._admitted = admitted
        if isinstance(decision, Answer):
            answer = own_answer(request, decision, limits.max_pdu)
            self._establish(request, answer)
            self._apply(side, side.association.accept(encode_ac(answer)))
        else:
            self._forward = decision
            self._proposed = onward_request(request, decision, limits.max_pdu)
            self._apply(self._onward, self._onward.association.connect(encode_rq(self._proposed)))

    def _answered(self, side: Side, output: AssociateConfirmation) -> None:
        """The callee's answer: a rejection goes back as it is, an acceptance narrowed to what was asked."""
        self._effects.append(StopTimer(side.end, Timer.CONNECT))
        answer = output.answer
        if isinstance(answer, Rejection):
            legal = answer if answer.legal else NO_REASON_TRANSIENT_ACSE
            self._reject(legal, f"rejected by the AE with {tuple(answer)}")
            return
        if self._request is None or self._forward is None or self._proposed is None:
            raise AssertionError("an answer to nothing")
        max_pdu = self._policy.config.limits.max_pdu
        try:
            given = inbound_answer(self._request, self._forward, self._proposed, answer, max_pdu)
        except RemoteProtocolError as error:
            self._reject(NO_REASON_TRANSIENT_ACSE, f"the AE's answer is illegal: {error}")
            self._abort(side, AbortSource.SERVICE_PROVIDER, error.reason)
            return
        side.maximum_length = answer.user_information.maximum_length
        side.association.limit_received(self._proposed.user_information.maximum_length)
        self._establish(self._request, given)
        self._apply(self._inbound, self._inbound.association.accept(encode_ac(given)))

    def _establish(self, request: AAssociateRQ, answer: AAssociateAC) -> None:
        self._inbound.maximum_length = request.user_information.maximum_length
        self._inbound.association.limit_received(answer.user_information.maximum_length)
        accepted = {
            context.context_id: context.transfer_syntax
            for context in answer.presentation_contexts
            if context.result == Result.ACCEPTANCE
        }
        contexts = {
            context.context_id: Context(context.abstract_syntax, accepted[context.context_id])
            for context in request.presentation_contexts
            if context.context_id in accepted
        }
        if self._forward is not None:
            caller, callee = self._forward.caller, self._forward.callee
            self._gate = Gate(self._policy, self._border.moves, caller, callee, contexts)
            self._exchange = Exchange(self._gate, self._pair)
        for side in (self._inbound, self._onward):
            side.messages = MessageReader(contexts)
        self._effects.append(StartTimer(End.INBOUND, Timer.IDLE))
        proposed = request.presentation_contexts
        facts = {**self._who(), "contexts": len(contexts), "proposed": len(proposed)}
        if self._forward is not None and (refused := self._forward.refused):
            by_rules = (context for context in proposed if context.context_id in refused)
            facts["refused_by_rules"] = named_services(by_rules)
        self._effects.append(Record("association established", facts))

    def _release_asked(self, side: Side, output: ReleaseIndication) -> None:
        """Passes the A-RELEASE-RQ on; a collision is answered on each side at once (PS3.8 7.2.2)."""
        other = self._pair.other(side)
        if side.messages.under_way:
            self._fault(side, AbortReason.UNEXPECTED_PDU, "A-RELEASE-RQ within a message")
        elif output.collision:
            self._end("released, asked by both ends", warning=False)
            self._apply(other, other.association.respond_release())
            if side.association.state is State.Sta9:  # the requestor answers first
                self._apply(side, side.association.respond_release())
        elif self._forward is None:
            self._end("released", warning=False)
            self._apply(side, side.association.respond_release())
        else:
            self._apply(other, other.association.request_release())
            self._effects.append(StartTimer(other.end, Timer.RELEASE))

    def _released(self, side: Side) -> None:
        other = self._pair.other(side)
        self._effects.append(StopTimer(side.end, Timer.RELEASE))
        if side.association.state is State.Sta12:
            self._apply(side, side.association.respond_release())
        elif other.association.state is State.Sta8:
            if side.messages.under_way:
                self._failed(side, "released within a message", *_PROVIDER)
            else:
                self._end(f"released, asked by the {other.name} end", warning=False)
                self._apply(other, other.association.respond_release())

    def _aborted(self, side: Side, output: AbortIndication) -> None:
        """The peer's source and reason go on where Table 9-26 has them (PS3.8 9.3.8)."""
        text = f"aborted by the {side.name} end with {tuple(output)}"
        if output.source == AbortSource.SERVICE_USER:
            self._failed(side, text, AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)
        elif output.source == AbortSource.SERVICE_PROVIDER and output.reason in _REASONS:
            self._failed(side, text, AbortSource.SERVICE_PROVIDER, output.reason)
        else:
            self._failed(side, text, *_PROVIDER)

    def _p_aborted(self, side: Side, output: PAbortIndication) -> None:
        """The peer broke the protocol and has been told so; `lost` takes the other case."""
        text = "" if output.fault is None else output.fault.text
        if self._request is None:
            self._end(f"no A-ASSOCIATE-RQ: {spoken(self._first)}: {text}")
        elif self._inbound.association.state is State.Sta3:
            self._reject(NO_REASON_TRANSIENT_ACSE, f"the AE's answer is illegal: {text}")
        else:
            self._failed(side, f"protocol error of the {side.name} end: {text}", *_PROVIDER)

    def _fault(self, side: Side, reason: int, text: str) -> None:
        self._end(f"protocol error of the {side.name} end: {text}")
        self._abort(side, AbortSource.SERVICE_PROVIDER, reason)
        self._abort(self._pair.other(side), *_PROVIDER)

    def _failed(self, side: Side, text: str, source: int, reason: int) -> None:
        """This end is no more: the caller that still waits is rejected, whoever stands is aborted."""
        if side is self._onward and self._inbound.association.state is State.Sta3:
            self._reject(TEMPORARY_CONGESTION, f"AE {self._callee}: {text}")
            return
        self._end(text)
        self._abort(self._pair.other(side), source, reason)

    def _reject(self, rejection: Rejection, text: str) -> None:
        self._end(text, rejection)
        self._apply(self._inbound, self._inbound.association.reject(rejection))

    def _abort_both(self, text: str) -> None:
        self._end(text)
        for side in (self._inbound, self._onward):
            self._abort(side, *_PROVIDER)

    def _abort(self, side: Side, source: int, reason: int) -> None:
        if side.association.open:
            self._apply(side, side.association.abort(source, reason))

    def _end(
        self, outcome: str, rejection: Rejection | None = None, *, warning: bool = True
    ) -> None:
        """The association is over; the first who says so knows why."""
        if self._ended:
            return
        self._ended = True
        self._gate.close()
        if self._admitted is not None:
            self._border.admission.leave(self._admitted)
        facts: dict[str, object] = {**self._who(), "outcome": outcome}
        if rejection is not None:
            self._effects.append(
                Record("association rejected", {**facts, "answer": tuple(rejection)}, warning=True)
            )
            return
        if self._request is None:
            self._effects.append(Record("connection ended", facts, warning=warning))
            return
        for side in (self._inbound, self._onward):
            facts[f"{side.name}_messages"] = side.messages_passed
            facts[f"{side.name}_octets"] = side.octets_passed
        self._effects.append(Record("association ended", facts, warning=warning))

    @property
    def _callee(self) -> str:
        return "" if self._forward is None else self._forward.callee.name

    def _who(self) -> dict[str, object]:
        """What was asked by whom of whom, and the AEs that the titles turned out to be."""
        if self._request is None:
            return {}
        facts: dict[str, object] = {
            "calling": printable(self._request.calling_ae_title),
            "called": printable(self._request.called_ae_title),
            "services": named_services(self._request.presentation_contexts),
        }
        if self._forward is not None:
            facts |= {"caller": self._forward.caller.name, "callee": self._callee}
            if self._forward.rule is not None:
                facts["rule"] = self._forward.rule.number
        return facts
