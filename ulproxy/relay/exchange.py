"""Messages from one side to another, while their associations stand (PS3.7, PS3.8 annex E).

Command sets are judged and framed anew, data fragments go on as they come. Answers of the relay's own
never fall into a data set that is under way to the same peer, and none overtakes its request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from ulproxy.dimse.command import (
    CommandField,
    CommandSet,
    Element,
    Status,
    command_name,
    response,
)
from ulproxy.dimse.message import Message
from ulproxy.dimse.titles import mapped
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.collector import MAX_DATA_SET
from ulproxy.pdu.reader import CommandFragment, PDataRun
from ulproxy.pdu.types import AbortReason
from ulproxy.pdu.writer import command_message, data_set_message
from ulproxy.relay.effects import Effect, Record, SendData
from ulproxy.relay.side import Blamed, Collected, Side
from ulproxy.relay.tally import Tally
from ulproxy.relay.verdict import Collect, Drop, Pass, Respond, Verdict, Wait

# Answers of our own that wait while a data set is sent to the same peer; more, and it asks without end.
MAX_WAITING: Final = 256
# Messages of one side that wait for a C-MOVE to end, each held whole.
MAX_PARKED: Final = 16
# Bytes of the data sets that wait so: that of the longest one (collector.py), for all of them together.
MAX_KEPT: Final = MAX_DATA_SET
# Messages refused or dropped that the log has a line for, in one association.
MAX_RECORDS: Final = 100

_C_CANCEL_RQ: Final = int(CommandField.C_CANCEL_RQ)

Judge = Callable[[Side, Message], Verdict]


class Parked(NamedTuple):
    """A message that waits for a C-MOVE to end."""

    side: Side
    message: Message
    data_set: bytes


class Exchange:
    """What passes between sides; raises RemoteProtocolError with the sender to blame.

    `held` are the sides of which nothing is looked at before their held message is judged again.
    """

    def __init__(self, effects: list[Effect], tally: Tally | None = None) -> None:
        self.held: list[Side] = []
        self._judge: Judge = _nobody
        self._effects = effects
        self._tally = tally
        self._recorded = 0
        self._parked: list[Parked] = []

    def by(self, judge: Judge) -> None:
        """Who says what becomes of a message; it has set the sender's `target` where the message passes."""
        self._judge = judge

    def data_run(self, side: Side, run: PDataRun) -> None:
        """Passes on what came of a data set, if its message passes."""
        side.messages.data_run(run)
        if side.collected is not None:
            self._collect(side, side.collected, run)
        elif side.passing and side.target is not None:
            self._stream(side, side.target, run)
        if run.last:
            self._message_ended(side)

    def _stream(self, side: Side, receiver: Side, run: PDataRun) -> None:
        if receiver.association.may_send_data:
            side.octets_passed += len(run.data)
            if side.operation is not None:
                side.operation.octets += len(run.data)
            if side.cutter is not None:
                if data := side.cutter.cut(run):
                    self._effects.append(SendData(receiver.end, data))
                return
            receiver.fragment_left = run.remaining
            self._effects.append(SendData(receiver.end, run.data))

    def command_fragment(self, side: Side, fragment: CommandFragment) -> None:
        """Judges a message as soon as its command set is whole."""
        message = side.messages.command_fragment(fragment)
        if message is not None:
            self.judge(side, message)

    def judge(self, side: Side, message: Message) -> None:
        """Does with a message what is said of it."""
        if self._parked and message.command.command_field == _C_CANCEL_RQ:
            self._unpark(side, message.command.message_id)
        side.goes_on = message.command.may_be_followed
        verdict = self._judge(side, message)
        if isinstance(verdict, Pass):
            self._pass(side, message, verdict)
        elif isinstance(verdict, Respond):
            side.reply = (message.context_id, verdict.command)
            self._refused(side, message, verdict)
        elif isinstance(verdict, Drop):
            self._record("message dropped", side, message, verdict.text)
        elif isinstance(verdict, Collect):
            self._keep(side, message, verdict.take)
        elif isinstance(verdict, Wait):
            self.waiting(side, message, verdict.text)
            self._keep(side, message, lambda data_set: self._park(side, message, data_set))
        else:
            side.held = message
            side.association.hold()
            self.held.append(side)
            return
        if not message.command.has_data_set:
            self._message_ended(side)

    def go_on(self, side: Side, *, drop: bool) -> None:
        """Judges the held message of a side again, or drops it."""
        self.held.remove(side)
        message, side.held = side.held, None
        if message is not None and not drop:
            self.judge(side, message)

    def _pass(self, side: Side, message: Message, verdict: Pass) -> None:
        receiver = side.target
        if receiver is None:
            raise AssertionError("a message that passes goes to somebody")
        if verdict.titles is not None:
            context_id = message.context_id
            side.collected = Collected(
                lambda data_set: self.deliver(side, receiver, context_id, verdict, data_set)
            )
            return
        if verdict.observed:
            self._observed(side, message, verdict)
        side.messages_passed += 1
        side.passing = receiver.message_open = True
        side.operation = verdict.operation
        if receiver.association.may_send_data:
            data = _framed(receiver, message.context_id, verdict.command)
            self._effects.append(SendData(receiver.end, data))

    def deliver(
        self, sender: Side, receiver: Side, context_id: int, verdict: Pass, data_set: bytes
    ) -> None:
        """Passes on a message that was kept, in one piece and between two others."""
        self._observed(sender, Message(context_id, verdict.command), verdict)
        if verdict.seen is not None:
            verdict.seen(data_set)
        if verdict.titles is not None:
            data_set = mapped(data_set, *verdict.titles)
        if not receiver.association.may_send_data:
            return
        sender.messages_passed += 1
        message = _framed(receiver, context_id, verdict.command)
        if verdict.command.has_data_set:
            sender.octets_passed += len(data_set)
            if verdict.operation is not None:
                verdict.operation.octets += len(data_set)
            message += data_set_message(context_id, data_set, receiver.maximum_length)
        self._write(receiver, message)

    def answer(self, side: Side, context_id: int, command: CommandSet) -> None:
        """Answers the side that asked, between two messages that it is sent."""
        if side.association.may_send_data:
            self._write(side, _framed(side, context_id, command))

    def refuse(
        self, side: Side, message: Message, text: str, command: CommandSet | None = None
    ) -> None:
        """Answers a message that was kept, and goes no further; the text is for the log."""
        command = command or response(message.command, Status.PROCESSING_FAILURE)
        self._refused(side, message, Respond(command, text))
        self.answer(side, message.context_id, command)

    def waiting(self, side: Side, message: Message, text: str) -> None:
        """Tells the log why a message is kept until a C-MOVE has ended."""
        self._record("message waits", side, message, text)

    def parked(self) -> list[Parked]:
        """Takes the messages that wait for a C-MOVE to end."""
        parked, self._parked = self._parked, []
        return parked

    @property
    def waits(self) -> bool:
        """Whether there is such a message."""
        return bool(self._parked)

    def judge_again(self, parked: Parked) -> None:
        """Judges one of them once more."""
        side, message, data_set = parked
        verdict = self._judge(side, message)
        if isinstance(verdict, Pass) and side.target is not None:
            self.deliver(side, side.target, message.context_id, verdict, data_set)
        elif isinstance(verdict, Respond):
            self.refuse(side, message, verdict.text, verdict.command)
        else:
            self._parked.append(parked)

    def _keep(self, side: Side, message: Message, take: Callable[[bytes], None]) -> None:
        if message.command.has_data_set:
            side.collected = Collected(take)
        else:
            take(b"")

    def _park(self, side: Side, message: Message, data_set: bytes) -> None:
        kept = sum(len(parked.data_set) for parked in self._parked)
        if len(self._parked) < MAX_PARKED and kept + len(data_set) <= MAX_KEPT:
            self._parked.append(Parked(side, message, data_set))
        else:
            self.refuse(side, message, f"{len(self._parked)} messages wait already")

    def _unpark(self, side: Side, message_id: int) -> None:
        """A message that waits is cancelled: nothing has been done for it."""
        for parked in self._parked:
            if parked.side is side and parked.message.command.message_id == message_id:
                self._parked.remove(parked)
                command = response(parked.message.command, Status.CANCEL)
                self.answer(side, parked.message.context_id, command)
                return

    def _collect(self, side: Side, message: Collected, run: PDataRun) -> None:
        """Holds a small data set until it is whole."""
        data_set = message.collector.take(run)
        if data_set is not None:
            side.collected = None
            message.take(data_set)

    def _message_ended(self, side: Side) -> None:
        receiver = side.target
        if side.passing and receiver is not None:
            side.passing = receiver.message_open = False
            side.operation = None
            if receiver.waiting:
                self._send_waiting(receiver)
        if side.reply is not None:
            context_id, command = side.reply
            side.reply = None
            self.answer(side, context_id, command)

    def _send_waiting(self, receiver: Side) -> None:
        waiting, receiver.waiting = receiver.waiting, []
        if receiver.association.may_send_data:
            self._effects += (SendData(receiver.end, data) for data in waiting)

    def _write(self, side: Side, message: bytes) -> None:
        """Writes a whole message; one that falls into a data set waits for its end."""
        if not side.message_open:
            self._effects.append(SendData(side.end, message))
        elif len(side.waiting) < MAX_WAITING:
            side.waiting.append(message)
        else:
            text = f"{MAX_WAITING} requests refused during one data set"
            raise Blamed(side, RemoteProtocolError(text, AbortReason.NOT_SPECIFIED))

    def _refused(self, side: Side, message: Message, verdict: Respond) -> None:
        if verdict.text:
            status = verdict.command.unsigned(Element.STATUS)
            if self._tally is not None:
                self._tally.refused_with(status)
            self._record("message refused", side, message, verdict.text, status=f"{status:04X}H")

    def _observed(self, side: Side, message: Message, verdict: Pass) -> None:
        if verdict.observed:
            if self._tally is not None:
                self._tally.add("would_be_refused", "message")
            self._record("message would be refused", side, message, verdict.observed)

    def _record(self, event: str, side: Side, message: Message, text: str, **more: object) -> None:
        """Tells the log, which one peer must not be able to fill."""
        self._recorded += 1
        if self._recorded > MAX_RECORDS:
            return
        facts: dict[str, object] = {
            "from": side.name,
            "command": command_name(message.command.command_field),
            "message_id": message.command.message_id,
            **more,
            "why": text,
        }
        if self._recorded == MAX_RECORDS:
            facts["more"] = "not logged for this association"
        self._effects.append(Record(event, facts, warning=True))


def _nobody(side: Side, message: Message) -> Verdict:
    raise AssertionError((side, message))


def _framed(side: Side, context_id: int, command: CommandSet) -> bytes:
    return command_message(context_id, command.encode(), side.maximum_length)
