"""An association that goes to one AE: whatever happens on one end is told to the other."""

from __future__ import annotations

from ulproxy.dimse.message import Message, MessageReader
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import AAssociateAC
from ulproxy.pdu.fsm import State
from ulproxy.pdu.types import NO_REASON_TRANSIENT_ACSE, AbortSource
from ulproxy.policy.decision import Forward, named_services
from ulproxy.relay.conduct import Conduct
from ulproxy.relay.ends import PROVIDER, Ends, Failure
from ulproxy.relay.negotiate import inbound_answer
from ulproxy.relay.side import Leg, Side
from ulproxy.relay.tally import Outcome
from ulproxy.relay.verdict import Verdict


class Straight(Conduct):
    """The caller and one callee."""

    def __init__(self, ends: Ends, forward: Forward) -> None:
        self._ends = ends
        self._forward = forward
        self._gate = ends.gate(forward.caller, forward.callee)
        ends.facts |= {"caller": forward.caller.name, "callee": forward.callee.name}
        if forward.rule is not None:
            ends.facts["rule"] = forward.rule.number
        elif forward.because:
            ends.facts["because"] = forward.because
        ends.observed(forward.observed)

    def start(self) -> None:
        """Calls the callee."""
        self._ends.inbound.target = self._ends.open(self._forward)

    def answered(self, leg: Leg, answer: AAssociateAC) -> None:
        """Tells the caller, narrowed to what it asked for."""
        ends = self._ends
        if ends.request is None:
            raise AssertionError("an answer to nothing")
        max_pdu = ends.policy.config.limits.max_pdu
        try:
            given = inbound_answer(ends.request, self._forward, leg.proposed, answer, max_pdu)
        except RemoteProtocolError as error:
            text = f"the AE's answer is illegal: {error}"
            self.failed(leg, Failure(text, NO_REASON_TRANSIENT_ACSE, blame=error.reason))
            return
        ends.agree(leg, answer)
        leg.messages = MessageReader(ends.contexts)
        if refused := self._forward.refused:
            contexts = ends.request.presentation_contexts
            by_rules = (context for context in contexts if context.context_id in refused)
            ends.facts["refused_by_rules"] = named_services(by_rules)
        ends.accept(given)

    def failed(self, leg: Leg, failure: Failure) -> None:
        """The caller that still waits is rejected, whoever stands is aborted."""
        ends = self._ends
        ends.count_leg(leg, failure.outcome)
        waits = ends.inbound.association.state is State.Sta3
        if waits:
            ends.fail(failure, f"AE {self._forward.callee.name}: {failure.text}")
        else:
            ends.end(failure.text, kind=failure.outcome)
        if failure.blame is not None:
            ends.abort(leg, AbortSource.SERVICE_PROVIDER, failure.blame)
        if not waits:
            ends.abort(ends.inbound, failure.source, failure.reason)

    def judge(self, side: Side, message: Message) -> Verdict:
        """What the rules say."""
        return self._gate.judge(side.end, message)

    def release_asked(self, side: Side, *, collision: bool) -> None:
        """Passes the A-RELEASE-RQ on; a collision is answered on each side at once (PS3.8 7.2.2)."""
        ends, other = self._ends, self._other(side)
        if not collision:
            ends.release(other)
            return
        text = "released, asked by both ends"
        ends.end(text, kind=Outcome.RELEASED, warning=False)
        ends.perform(other, other.association.respond_release())
        if side.association.state is State.Sta9:  # the requestor answers first
            ends.perform(side, side.association.respond_release())

    def released(self, side: Side) -> None:
        """Passes the answer on."""
        ends, other = self._ends, self._other(side)
        if side.association.state is State.Sta12:
            ends.perform(side, side.association.respond_release())
        elif other.association.state is State.Sta8:
            if side.messages.under_way:
                ends.end("released within a message", kind=Outcome.PROTOCOL)
                ends.abort(other, *PROVIDER)
            else:
                text = f"released, asked by the {other.name} end"
                ends.end(text, kind=Outcome.RELEASED, warning=False)
                ends.perform(other, other.association.respond_release())

    def _other(self, side: Side) -> Side:
        if side.target is None:
            raise AssertionError("one end of two")
        return side.target
