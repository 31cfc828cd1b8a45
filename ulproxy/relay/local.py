"""The relay's own Verification SCP (PS3.4 annex A)."""

from __future__ import annotations

from typing import Final

from ulproxy.dimse.command import CommandField, Status, response
from ulproxy.dimse.message import Message
from ulproxy.policy.decision import Answer
from ulproxy.relay.conduct import Conduct
from ulproxy.relay.ends import Ends
from ulproxy.relay.negotiate import own_answer
from ulproxy.relay.side import Side
from ulproxy.relay.tally import Outcome
from ulproxy.relay.verdict import Drop, Respond, Verdict

_C_CANCEL_RQ: Final = int(CommandField.C_CANCEL_RQ)


def judge_own(message: Message) -> Verdict:
    """C-ECHO succeeds; whatever else is asked of the relay is not authorized."""
    command = message.command
    if command.command_field == CommandField.C_ECHO_RQ:
        return Respond(response(command, Status.SUCCESS), "")
    if command.is_response or command.command_field == _C_CANCEL_RQ:
        return Drop("the relay has asked for nothing")
    return Respond(response(command, Status.NOT_AUTHORIZED), "the relay itself answers C-ECHO only")


class Local(Conduct):
    """An association that the relay answers itself: there are no legs."""

    def __init__(self, ends: Ends, decision: Answer) -> None:
        self._ends = ends
        self._decision = decision
        ends.facts["caller"] = decision.caller.name
        ends.observed(decision.observed)

    def start(self) -> None:
        """Accepts."""
        ends = self._ends
        if ends.request is None:
            raise AssertionError("an answer to nothing")
        max_pdu = ends.policy.config.limits.max_pdu
        ends.accept(own_answer(ends.request, self._decision, max_pdu))

    def judge(self, side: Side, message: Message) -> Verdict:
        """What the relay itself answers."""
        del side
        verdict = judge_own(message)
        if isinstance(verdict, Respond) and verdict.text:
            title = self._ends.policy.names.relay_title
            return self._ends.refused(message, Status.NOT_AUTHORIZED, verdict.text, title)
        if isinstance(verdict, Respond):
            self._ends.count_own(message, refused=False)
        return verdict

    def release_asked(self, side: Side, *, collision: bool) -> None:
        """Releases: there is nobody else to ask."""
        del collision
        self._ends.end("released", kind=Outcome.RELEASED, warning=False)
        self._ends.perform(side, side.association.respond_release())
