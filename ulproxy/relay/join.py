"""Associations made one: what one end's indication asks of the others. No socket, no clock.

The shell calls an input for what happened and executes the effects it returns, in their order. Each end
is a state machine of its own (PS3.8 Table 9-10); what passes between them is the conduct's business. Two
rules for whoever changes this: a data set is passed on while it comes, so it may never be completed by
anything but its sender's own bytes; and after `Ends.end` nothing passes any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, assert_never

from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import AAssociateRQ
from ulproxy.pdu.association import (
    AbortIndication,
    AssociateConfirmation,
    AssociateIndication,
    Output,
    PAbortIndication,
    ReleaseConfirmation,
    ReleaseIndication,
)
from ulproxy.pdu.fsm import DATA_INDICATED, State
from ulproxy.pdu.reader import CommandFragment, PDataRun
from ulproxy.pdu.types import (
    LOCAL_LIMIT_EXCEEDED,
    NO_REASON_TRANSIENT_ACSE,
    TEMPORARY_CONGESTION,
    AbortReason,
    AbortSource,
    Rejection,
)
from ulproxy.policy.decision import Answer, Fan, Forward, Peer, Reject, Shared, covers
from ulproxy.policy.rules import Policy
from ulproxy.relay.border import Border
from ulproxy.relay.conduct import Conduct
from ulproxy.relay.effects import EXPIRED, Effect, End, StopTimer, Timer
from ulproxy.relay.ends import PROVIDER, Ends, Failure
from ulproxy.relay.exchange import Exchange
from ulproxy.relay.fan import FanOut
from ulproxy.relay.local import Local
from ulproxy.relay.shared import ByMessage
from ulproxy.relay.side import Blamed, Leg, Side
from ulproxy.relay.sniff import spoken
from ulproxy.relay.straight import Straight
from ulproxy.relay.tally import Key, Outcome, Refusal, Tally, decided

_REASONS: Final = frozenset(AbortReason)
_UNREACHABLE: Final = TEMPORARY_CONGESTION


class Join:
    """An inbound association and the onward ones that it is joined with."""

    def __init__(self, border: Border, peer: Peer) -> None:
        self._border = border
        self._peer = peer
        self._ends = Ends(border, peer)
        self._inbound = self._ends.inbound
        self._conduct: Conduct | None = None
        self._exchange = Exchange(self._ends.effects, border.tally)
        self._decision: Answer | Fan | Forward | Shared | None = None
        self._moving = frozenset[str]()  # where the caller, an archive, had been asked to move to
        self._waits = False
        self._first = b""

    def accepted(self) -> list[Effect]:
        """A peer opened a transport connection."""
        self._apply(self._inbound, self._inbound.association.transport_connected())
        return self._ends.take()

    def connected(self, end: End = End.ONWARD) -> list[Effect]:
        """An onward connection stands."""
        leg = self._ends.side(end)
        self._apply(leg, leg.association.transport_connected())
        return self._settled()

    def receive_data(self, end: End, unread: memoryview) -> list[Effect]:
        """Bytes came from this end; views in the effects are parts of `unread`."""
        side = self._ends.side(end)
        if len(self._first) < 8 and self._ends.request is None:
            self._first += bytes(unread[:8])
        self._indicated(side, side.association.receive_data(unread))
        return self._settled()

    def lost(self, end: End, text: str) -> list[Effect]:
        """This end's connection is gone, or could not be opened; `text` says how, for the log."""
        side = self._ends.side(end)
        if side.association.state is State.Sta2:
            text = "closed without asking for an association"
            self._ends.end(text, kind=Outcome.LOST, warning=False)
        connecting = side.association.state is State.Sta4
        kind = Outcome.UNREACHABLE if connecting else Outcome.LOST
        for output in side.association.transport_closed():
            if isinstance(output, PAbortIndication):
                self._failed(side, Failure(text, _UNREACHABLE, outcome=kind))
            else:
                self._apply(side, (output,))
        return self._settled()

    def expired(self, end: End, timer: Timer) -> list[Effect]:
        """A timer that was started ran out."""
        side = self._ends.side(end)
        if timer is Timer.ARTIM:
            if side.association.state is State.Sta2:
                self._ends.end("no A-ASSOCIATE-RQ in time", kind=Outcome.TIMEOUT)
            self._apply(side, side.association.artim_expired())
        elif timer is Timer.PATIENCE:
            if not self.ended:  # which may have come while the caller's connection is still open
                self._conducting.impatient()
        elif timer is Timer.CONNECT:
            text = "no answer to the A-ASSOCIATE-RQ in time"
            self._failed(side, _overdue(text))
        else:
            self._took_too_long(side, timer)
        return self._settled()

    def moves_ended(self) -> list[Effect]:
        """A C-MOVE that this association waits for may be over (`waits`)."""
        for parked in self._exchange.parked():
            if self.ended:  # by one that waited before it
                break
            try:
                self._exchange.judge_again(parked)
            except RemoteProtocolError as error:
                self._blame(parked.side, error)
        if not self.ended:
            self._to_conduct(self._conducting.moves_ended)
        return self._settled()

    def shutdown(self, text: str) -> list[Effect]:
        """Ends the association at once; an end that has nothing to be told any more is closed."""
        sides = (self._inbound, *self._ends.legs)
        silent = [side for side in sides if side.association.state in (State.Sta2, State.Sta13)]
        self._abort_all(text, Outcome.STOPPED, warning=self.asked)
        for side in silent:
            self._ends.cut(side)
        return self._settled()

    def abandon(self) -> list[Effect]:
        """Gives back what the association counts for, whatever state a bug has left it in."""
        self._ends.effects.clear()
        self._ends.end("internal error", kind=Outcome.INTERNAL)
        for side in (self._inbound, *self._ends.legs):
            side.association.transport_closed()  # by the shell
        self._border.moves.waiting -= self._waits
        self._waits = False
        return self._ends.take()

    @property
    def finished(self) -> bool:
        """Whether all ends are idle (Sta1): there is nothing left to wait for."""
        if self._inbound.association.state is not State.Sta1:
            return False
        return all(leg.association.state is State.Sta1 for leg in self._ends.legs)

    @property
    def pending(self) -> bool:
        """Whether this connection has no association: it has not asked yet, or has had its end."""
        return self._inbound.association.state in (State.Sta1, State.Sta2, State.Sta13)

    @property
    def asked(self) -> bool:
        """Whether an association has been asked for."""
        return self._ends.request is not None

    @property
    def ended(self) -> bool:
        """Whether nothing passes any more."""
        return self._ends.ended

    @property
    def waits(self) -> bool:
        """Whether a message waits for a C-MOVE to end (`moves_ended`)."""
        return self._waits

    @property
    def holds(self) -> bool:
        """Whether there is an end that nothing should be read from (`on_hold`)."""
        return bool(self._exchange.held)

    def on_hold(self, end: End) -> bool:
        """Whether nothing should be read from this end for now."""
        return self._ends.side(end).association.on_hold

    def awaits_more(self, end: End) -> bool:
        """Whether this end may say more before it is answered; with an asynchronous window it always may."""
        return self._ends.windowed or self._ends.side(end).unfinished

    def volumes(self, tally: Tally) -> Iterable[tuple[Key, int]]:
        """See `Ends`; nothing where it is counted already."""
        return () if self.ended else self._ends.volumes(tally)

    def would_be_refused(self, policy: Policy) -> bool:
        """Whether an open association would not be let through now by these rules."""
        request, before = self._ends.request, self._decision
        if request is None or before is None or self.ended:
            return False
        now = policy.decide(request, self._peer, lambda _: self._moving)
        return not covers(now, before)

    def _indicated(self, side: Side, outputs: Iterator[Output]) -> None:
        for output in outputs:
            try:
                if isinstance(output, PDataRun):
                    self._exchange.data_run(side, output)
                elif isinstance(output, CommandFragment):
                    self._exchange.command_fragment(side, output)
                else:
                    self._apply(side, (output,))
            except RemoteProtocolError as error:
                self._blame(side, error)

    def _settled(self) -> list[Effect]:
        """Goes on with whatever need not be held any more; the effects of all of it."""
        conduct, exchange = self._conduct, self._exchange
        if conduct is not None:
            while exchange.held and (side := self._free(conduct)) is not None:
                self._go_on(side)
            waits = not self.ended and (exchange.waits or conduct.waits)
            if waits is not self._waits:
                self._waits = waits
                self._border.moves.waiting += 1 if waits else -1
        return self._ends.take()

    def _free(self, conduct: Conduct) -> Side | None:
        """A side whose held message can be judged now; at the end of all, the rest that it sent is read."""
        held = self._exchange.held
        return next((side for side in held if self.ended or conduct.may_go_on(side)), None)

    def _go_on(self, side: Side) -> None:
        gone = side.association.state not in DATA_INDICATED  # nothing comes behind its command set
        try:
            self._exchange.go_on(side, drop=self.ended or gone)
        except RemoteProtocolError as error:
            self._blame(side, error)
        if side.held is None:
            self._indicated(side, side.association.resume())

    def _apply(self, side: Side, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case AssociateIndication():
                    self._requested(output.request)
                case AssociateConfirmation() if isinstance(side, Leg):
                    self._answered(side, output)
                case ReleaseIndication():
                    self._release_asked(side, output)
                case ReleaseConfirmation():
                    self._ends.effects.append(StopTimer(side.end, Timer.RELEASE))
                    self._conducting.released(side)
                case AbortIndication():
                    self._aborted(side, output)
                case PAbortIndication():
                    self._p_aborted(side, output)
                case _:
                    self._ends.perform(side, (output,))

    def _requested(self, request: AAssociateRQ) -> None:
        """Decides once, on the policy of this moment, which then holds for the whole association."""
        ends, border = self._ends, self._border
        ends.request, ends.policy = request, border.policy
        if ends.tally is not None:
            ends.asked = ends.tally.clock()
        decision = border.policy.decide(request, self._peer, self._moving_to)
        if isinstance(decision, Reject):
            ends.reject(decision.rejection, decision.text, decided(decision.rejection))
            return
        self._decision = decision
        callee = decision.callee if isinstance(decision, Forward) else None
        if text := border.full or ends.admit(decision.caller, callee):
            reason = Refusal.AUDIT if border.full else Refusal.LIMIT
            ends.reject(LOCAL_LIMIT_EXCEEDED, text, reason)
            return
        if self._moving:
            ends.attend(decision.caller)
        self._conduct = self._conducted(decision)
        self._exchange.by(self._conduct.judge)
        self._conduct.start()

    def _moving_to(self, archive: str) -> frozenset[str]:
        self._moving = self._border.moves.destinations(archive)
        return self._moving

    def _conducted(self, decision: Answer | Fan | Forward | Shared) -> Conduct:
        match decision:
            case Answer():
                return Local(self._ends, decision)
            case Forward():
                return Straight(self._ends, decision)
            case Fan():
                return FanOut(self._ends, self._exchange, decision)
            case Shared():
                return ByMessage(self._ends, self._exchange, decision)
            case _:
                assert_never(decision)

    @property
    def _conducting(self) -> Conduct:
        if self._conduct is None:
            raise AssertionError("nothing has been asked for")
        return self._conduct

    def _answered(self, leg: Leg, output: AssociateConfirmation) -> None:
        """An AE's answer: a rejection is passed on as it is, if it is legal (PS3.8 Table 9-21)."""
        self._ends.effects.append(StopTimer(leg.end, Timer.CONNECT))
        answer = output.answer
        if isinstance(answer, Rejection):
            legal = answer if answer.legal else NO_REASON_TRANSIENT_ACSE
            text = f"rejected by the AE with {tuple(answer)}"
            self._conducting.failed(leg, Failure(text, legal, outcome=Outcome.REJECTED))
        else:
            self._conducting.answered(leg, answer)

    def _release_asked(self, side: Side, output: ReleaseIndication) -> None:
        if side.messages.under_way:
            self._fault(side, AbortReason.UNEXPECTED_PDU, "A-RELEASE-RQ within a message")
        else:
            self._conducting.release_asked(side, collision=output.collision)

    def _aborted(self, side: Side, output: AbortIndication) -> None:
        """The peer's source and reason go on where Table 9-26 has them (PS3.8 9.3.8)."""
        text = f"aborted by the {side.name} end with {tuple(output)}"
        source, reason = PROVIDER
        if output.source == AbortSource.SERVICE_USER:
            source = AbortSource.SERVICE_USER
        elif output.source == AbortSource.SERVICE_PROVIDER and output.reason in _REASONS:
            reason = AbortReason(output.reason)
        failure = Failure(text, _UNREACHABLE, source, reason, outcome=Outcome.ABORTED)
        self._failed(side, failure)

    def _p_aborted(self, side: Side, output: PAbortIndication) -> None:
        """The peer broke the protocol and has been told so; `lost` takes the other case."""
        text = "" if output.fault is None else output.fault.text
        if self._ends.request is None:
            text = f"no A-ASSOCIATE-RQ: {spoken(self._first)}: {text}"
            self._ends.end(text, kind=Outcome.PROTOCOL)
            return
        rejection = _UNREACHABLE
        if self._inbound.association.state is State.Sta3:
            text = f"the AE's answer is illegal: {text}"
            rejection = NO_REASON_TRANSIENT_ACSE
        else:
            text = f"protocol error of the {side.name} end: {text}"
        self._failed(side, Failure(text, rejection))

    def _to_conduct(self, happened: Callable[[], None]) -> None:
        """Tells it what happened; what fails then is what the caller has asked for."""
        try:
            happened()
        except RemoteProtocolError as error:
            self._blame(self._inbound, error)

    def _blame(self, side: Side, error: RemoteProtocolError) -> None:
        """The side whose bytes were looked at, unless the error says that it is another one."""
        culprit = error.side if isinstance(error, Blamed) else side
        self._fault(culprit, error.reason, str(error))

    def _fault(self, side: Side, reason: int, text: str) -> None:
        text = f"protocol error of the {side.name} end: {text}"
        self._failed(side, Failure(text, NO_REASON_TRANSIENT_ACSE, blame=reason))

    def _took_too_long(self, side: Side, timer: Timer) -> None:
        text = EXPIRED[timer].format(side.name)
        if timer is Timer.IDLE or side is self._inbound:
            self._abort_all(text, Outcome.TIMEOUT)
        else:
            self._failed(side, _overdue(text))

    def _failed(self, side: Side, failure: Failure) -> None:
        """This end is no more."""
        if isinstance(side, Leg):
            self._to_conduct(lambda: self._conducting.failed(side, failure))
            return
        self._ends.end(failure.text, kind=failure.outcome)
        if failure.blame is not None:
            self._ends.abort(side, AbortSource.SERVICE_PROVIDER, failure.blame)
        self._ends.abort_legs(failure.source, failure.reason)

    def _abort_all(self, text: str, kind: Outcome, *, warning: bool = True) -> None:
        self._ends.end(text, kind=kind, warning=warning)
        self._ends.abort(self._inbound, *PROVIDER)
        self._ends.abort_legs(*PROVIDER)


def _overdue(text: str) -> Failure:
    blame = AbortReason.NOT_SPECIFIED
    return Failure(text, _UNREACHABLE, blame=blame, outcome=Outcome.TIMEOUT)
