"""What associations with several onward ones have in common: legs that come, go and are opened anew."""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

from ulproxy.dimse.command import CommandField, Status, response
from ulproxy.dimse.message import Message, MessageReader
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import AAssociateAC, AAssociateRQ
from ulproxy.pdu.cutter import Cutter
from ulproxy.pdu.fsm import State
from ulproxy.pdu.types import NO_REASON_TRANSIENT_ACSE, AbortSource
from ulproxy.policy.decision import Forward
from ulproxy.policy.model import ApplicationEntity
from ulproxy.relay.conduct import Conduct
from ulproxy.relay.effects import End, Record, StopTimer, Timer
from ulproxy.relay.ends import MAX_LEGS, PROVIDER, Ends, Failure
from ulproxy.relay.exchange import Exchange
from ulproxy.relay.gate import Gate
from ulproxy.relay.negotiate import accepted_of, least, onward_request, restricted
from ulproxy.relay.operation import OpenOperation
from ulproxy.relay.side import Leg, Side
from ulproxy.relay.tally import Outcome
from ulproxy.relay.verdict import Drop, Hold, Verdict

_AWAITING: Final = State.Sta3  # the caller waits for an answer to its A-ASSOCIATE-RQ


class Member:
    """One AE, and the leg to it while there is one.

    `accepted` has the transfer syntaxes by context id, None = its answer has not come. `failure` says why it
    has no leg.
    """

    def __init__(self, forward: Forward, gate: Gate) -> None:
        self.forward = forward
        self.gate = gate
        self.leg: Leg | None = None
        self.accepted: dict[int, str] | None = None
        self.failure = ""
        self.again = False  # to be called when the one before has left, or the limit allows
        self.tries = 0  # how often in a row the limit has not allowed it

    @property
    def name(self) -> str:
        """The AE's, in the file."""
        return self.forward.callee.name

    def is_offered(self, context_id: int) -> bool:
        """Whether the rules let the caller use this presentation context of it."""
        return any(context.context_id == context_id for context in self.forward.offered)

    @property
    def connecting(self) -> bool:
        """Whether its answer is awaited."""
        return self.again or (self.leg is not None and self.accepted is None)


class SeveralLegs(Conduct):
    """Keeps the legs; what they are for is for those who inherit."""

    def __init__(self, ends: Ends, exchange: Exchange, caller: ApplicationEntity) -> None:
        self._ends = ends
        self._exchange = exchange
        self._caller = caller
        self._members: dict[str, Member] = {}
        self._leaving: set[Leg] = set()  # asked to release
        self._unclaimed: list[OpenOperation] = []  # asked of the caller by an AE that is gone since
        self._told = 0  # the maximum length that the caller was told, in bytes; 0 = no limit
        ends.facts["caller"] = caller.name

    def _know(self, forward: Forward, group: str = "") -> Member:
        """One more AE, which has no leg yet."""
        ends = self._ends
        gate = ends.gate(self._caller, forward.callee, group)
        member = self._members[forward.callee.name] = Member(forward, gate)
        ends.facts["callee"] = ", ".join(self._members)
        ends.observed(forward.observed)
        return member

    @abstractmethod
    def _asked(self, message: Message) -> Verdict:
        """What becomes of a request or a C-CANCEL-RQ of the caller."""

    @abstractmethod
    def _said(self, member: Member, message: Message) -> Verdict:
        """What becomes of a message of an AE."""

    @abstractmethod
    def _candidates_changed(self, failure: Failure | None) -> None:
        """An AE has answered, or failed, while the caller waits for its own answer."""

    @abstractmethod
    def _joined(self) -> None:
        """One more leg stands, and takes what the caller was accepted; or one that was tried does not."""

    @abstractmethod
    def _lost(self, member: Member, leg: Leg, failure: Failure) -> None:
        """A leg of an association that stands is no more."""

    def judge(self, side: Side, message: Message) -> Verdict:
        """Messages of several to one: no two at once, and each response finds its request."""
        inbound = self._ends.inbound
        if not isinstance(side, Leg):
            return self._answer(message) if message.command.is_response else self._asked(message)
        member = self._members[side.callee]
        if member.leg is not side and inbound.association.state is not State.Sta8:
            return Drop("its association is being released")
        return self._said(member, message) if self._is_free_for(side, message) else Hold()

    def may_go_on(self, side: Side) -> bool:
        """A leg waits for the end of another one's object, or until its request can be told apart."""
        return not isinstance(side, Leg) or side.held is None or self._is_free_for(side, side.held)

    def _is_free_for(self, leg: Leg, message: Message) -> bool:
        command = message.command
        if self._ends.inbound.message_open:
            return False
        if command.is_response or command.command_field == CommandField.C_CANCEL_RQ:
            return True
        answer = response(command, Status.SUCCESS)
        if any(one.answered_by(answer) for one in self._unclaimed):
            return False
        others = (member for name, member in self._members.items() if name != leg.callee)
        return not any(m.leg and m.gate.expects(End.INBOUND, answer) for m in others)

    def _answer(self, message: Message) -> Verdict:
        """A response goes to who has asked, a C-CANCEL-RQ to who was asked."""
        for operation in self._unclaimed:
            if operation.answered_by(message.command):
                self._unclaimed.remove(operation)
                return Drop("who has asked is gone")
        for member in self._members.values():
            spoken = message.context_id in (member.accepted or ())
            if member.leg and spoken and member.gate.expects(End.INBOUND, message.command):
                self._send_to(member.leg)
                return member.gate.judge(End.INBOUND, message)
        return Drop("nothing that was asked here")

    def _send_to(self, leg: Leg) -> None:
        """What the caller sends next is for this AE, which may take shorter P-DATA-TFs than it was told."""
        inbound, takes = self._ends.inbound, leg.maximum_length
        inbound.target = leg
        inbound.cutter = None if least(takes, self._told) == self._told else Cutter(takes)

    def answered(self, leg: Leg, answer: AAssociateAC) -> None:
        """An AE has accepted: is it in time, and does it agree with what the caller was accepted?"""
        member = self._members[leg.callee]
        try:
            member.accepted = accepted_of(leg.proposed, answer)
        except RemoteProtocolError as error:
            text = f"the AE's answer is illegal: {error}"
            self.failed(leg, Failure(text, NO_REASON_TRANSIENT_ACSE, blame=error.reason))
            return
        self._ends.agree(leg, answer)
        if self._ends.inbound.association.state is _AWAITING:
            self._candidates_changed(None)
        elif self._agrees(member):
            self._keep_to_contexts(member)
            self._joined()
        else:
            self._let_go(member)
            if not self._call(member):
                self._joined()

    def _accept(self, answer: AAssociateAC) -> None:
        """Accepts the caller; from now on the legs that stand may say something too."""
        self._ends.accept(answer)
        for member in self._members.values():
            self._keep_to_contexts(member)

    def _keep_to_contexts(self, member: Member) -> None:
        """An AE may speak on the contexts that it and the caller have accepted."""
        contexts = self._ends.contexts
        if member.leg is not None and member.accepted is not None:
            member.accepted = {n: s for n, s in member.accepted.items() if n in contexts}
            member.leg.messages = MessageReader(member.accepted)

    def failed(self, leg: Leg, failure: Failure) -> None:
        """One of several: it is for those who inherit to say whether the others go on."""
        ends, member = self._ends, self._members[leg.callee]
        ends.count_leg(leg, failure.outcome)
        waits = ends.inbound.association.state is _AWAITING
        if failure.blame is not None:
            ends.abort(leg, AbortSource.SERVICE_PROVIDER, failure.blame)
        if member.leg is leg:
            member.leg, member.accepted, member.failure = None, None, failure.text
            facts = {**ends.who(), "callee": member.name, "why": failure.text}
            ends.effects.append(Record("AE failed", facts, warning=True))
            if waits:
                self._candidates_changed(failure)
            elif not ends.ended:
                self._lost(member, leg, failure)
        elif leg.messages.under_way and not ends.ended:
            self._give_up(failure)
        self._left(leg)

    def release_asked(self, side: Side, *, collision: bool) -> None:
        """The caller's goes to all legs; that of a leg is answered here, and it is gone."""
        if not isinstance(side, Leg):
            for member in self._members.values():
                self._let_go(member)
            self._left(None)
            return
        if side.message_open:  # the rest of it would come behind our answer
            text = "released by the AE within a message to it"
            self._give_up(Failure(text, NO_REASON_TRANSIENT_ACSE))
            return
        self._ends.perform(side, side.association.respond_release())
        self._ends.left(side)
        self._ends.count_leg(side, Outcome.RELEASED)
        member = self._members[side.callee]
        if not collision and member.leg is side:
            member.leg, member.accepted, member.failure = None, None, "released by the AE"
            self._lost(member, side, Failure(member.failure, NO_REASON_TRANSIENT_ACSE))

    def released(self, side: Side) -> None:
        """A leg has answered ours."""
        leg = self._ends.legs[side.end.number - 1]
        self._ends.count_leg(leg, Outcome.RELEASED)
        if leg.messages.under_way:
            self._give_up(Failure("released within a message", NO_REASON_TRANSIENT_ACSE))
        self._left(leg)

    def _call(self, member: Member) -> bool:
        """Opens a leg: for the caller's contexts while it waits, later for what it was accepted."""
        ends = self._ends
        if len(ends.legs) >= MAX_LEGS:
            member.failure = f"{MAX_LEGS} associations have been opened for this one"
        if member.failure:
            return False
        if any(leg.callee == member.name for leg in self._leaving):
            member.again = True  # an AE may serve one association at a time
            return True
        proposal = self._proposal(member.forward)
        if proposal is not None and not proposal.presentation_contexts:
            member.failure = "nothing that the caller was accepted may go there"
            return False
        opened = ends.open_one(member.forward, proposal)
        if isinstance(opened, str):
            return self._limited(member, opened)
        member.leg, member.accepted, member.tries = opened, None, 0
        return True

    def _limited(self, member: Member, text: str) -> bool:
        """A limit is reached: whether to try again."""
        member.failure = text
        return False

    def _proposal(self, forward: Forward) -> AAssociateRQ | None:
        ends = self._ends
        if ends.request is None or ends.inbound.association.state is _AWAITING:
            return None
        max_pdu = ends.policy.config.limits.max_pdu
        accepted = {number: context.transfer_syntax for number, context in ends.contexts.items()}
        return restricted(onward_request(ends.request, forward, max_pdu), accepted)

    def _agrees(self, member: Member) -> bool:
        """Whether what the AE accepted is in the transfer syntaxes that the caller was told."""
        contexts = self._ends.contexts
        return all(
            number not in contexts or contexts[number].transfer_syntax == syntax
            for number, syntax in (member.accepted or {}).items()
        )

    def _let_go(self, member: Member) -> None:
        """Releases a leg that stands, and gives up one that is being opened."""
        leg, member.leg, member.again = member.leg, None, False
        if leg is None:
            return
        if member.accepted is None:
            self._ends.left(leg)
            self._ends.effects.append(StopTimer(leg.end, Timer.CONNECT))
            self._ends.abort(leg, *PROVIDER)
        else:
            self._leaving.add(leg)
            self._ends.release(leg)
        member.accepted = None

    def _left(self, leg: Leg | None) -> None:
        """When the last leg has left, the caller that asked for it is answered."""
        inbound = self._ends.inbound
        if leg is not None:
            self._leaving.discard(leg)
            self._ends.left(leg)
            member = self._members[leg.callee]
            if member.again and not self._ends.ended:
                member.again = False
                if not self._call(member):
                    self._joined()
        if not self._leaving and inbound.association.state is State.Sta8:
            text = "released, asked by the inbound end"
            self._ends.end(text, kind=Outcome.RELEASED, warning=False)
            self._ends.perform(inbound, inbound.association.respond_release())

    def _give_up(self, failure: Failure) -> None:
        """Ends the whole: what is lost cannot be answered for."""
        self._ends.end(failure.text, kind=failure.outcome)
        self._ends.abort(self._ends.inbound, failure.source, failure.reason)
        self._ends.abort_legs(failure.source, failure.reason)
