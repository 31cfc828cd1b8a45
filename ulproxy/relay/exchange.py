"""Messages from one side to the other, while both associations stand (PS3.7, PS3.8 annex E).

Command sets are judged and framed anew, data fragments go on as they come. Answers of the relay's own
never fall into a data set that is under way to the same peer, and none overtakes its request.
"""

from __future__ import annotations

from typing import Final

from ulproxy.dimse.command import CommandSet
from ulproxy.dimse.message import Message
from ulproxy.dimse.titles import mapped
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.reader import CommandFragment, PDataRun
from ulproxy.pdu.types import AbortReason
from ulproxy.pdu.writer import command_message, data_set_message
from ulproxy.relay.effects import Record, SendData
from ulproxy.relay.gate import Drop, Gate, LocalGate, Pass
from ulproxy.relay.pair import Collected, Pair, Side

# Answers of our own that wait while a data set is sent to the same peer; more, and it asks without end.
MAX_WAITING: Final = 256
# Messages refused or dropped that the log has a line for, in one association.
MAX_RECORDS: Final = 100


class Exchange:
    """What passes between two sides; raises RemoteProtocolError with the sender to blame."""

    def __init__(self, gate: Gate | LocalGate, pair: Pair) -> None:
        self._gate = gate
        self._pair = pair
        self._effects = pair.effects
        self._recorded = 0

    def data_run(self, side: Side, run: PDataRun) -> None:
        """Passes on what came of a data set, if its message passes."""
        side.messages.data_run(run)
        if side.collected is not None:
            self._collect(side, side.collected, run)
        elif side.passing:
            receiver = self._pair.other(side)
            if receiver.association.may_send_data:
                receiver.fragment_left = run.remaining
                side.octets_passed += len(run.data)
                self._effects.append(SendData(receiver.end, run.data))
        if run.last:
            self._message_ended(side)

    def command_fragment(self, side: Side, fragment: CommandFragment) -> None:
        """Judges a message as soon as its command set is whole."""
        message = side.messages.command_fragment(fragment)
        if message is None:
            return
        verdict = self._gate.judge(side.end, message)
        if isinstance(verdict, Pass):
            self._pass(side, message.context_id, verdict)
        elif isinstance(verdict, Drop):
            self._record("message dropped", side, message, verdict.text)
        else:
            side.reply = (message.context_id, verdict.command)
            if verdict.text:
                self._record("message refused", side, message, verdict.text)
        if not message.command.has_data_set:
            self._message_ended(side)

    def _pass(self, side: Side, context_id: int, verdict: Pass) -> None:
        side.messages_passed += 1
        if verdict.titles is not None:
            side.collected = Collected(context_id, verdict.command, verdict.titles)
            return
        receiver = self._pair.other(side)
        side.passing = True
        receiver.message_open = True
        self._write(receiver, context_id, verdict.command)

    def _collect(self, side: Side, message: Collected, run: PDataRun) -> None:
        """Holds a small data set until it is whole, then passes its message on in one piece."""
        data_set = message.collector.take(run)
        if data_set is None:
            return
        side.collected = None
        data_set = mapped(data_set, *message.titles)
        receiver = self._pair.other(side)
        if receiver.association.may_send_data:
            side.octets_passed += len(data_set)
            data = data_set_message(message.context_id, data_set, receiver.maximum_length)
            self._write(receiver, message.context_id, message.command)
            self._effects.append(SendData(receiver.end, data))

    def _message_ended(self, side: Side) -> None:
        receiver = self._pair.other(side)
        if side.passing:
            side.passing = receiver.message_open = False
            for data in receiver.waiting:
                self._effects.append(SendData(receiver.end, data))
            receiver.waiting.clear()
        if side.reply is not None:
            context_id, command = side.reply
            side.reply = None
            self._answer(side, context_id, command)

    def _answer(self, side: Side, context_id: int, command: CommandSet) -> None:
        """Answers the side that asked, between two messages that it is sent."""
        if not side.message_open:
            self._write(side, context_id, command)
        elif len(side.waiting) < MAX_WAITING:
            side.waiting.append(_framed(side, context_id, command))
        else:
            text = f"{MAX_WAITING} requests refused during one data set"
            raise RemoteProtocolError(text, AbortReason.NOT_SPECIFIED)

    def _write(self, side: Side, context_id: int, command: CommandSet) -> None:
        if side.association.may_send_data:
            self._effects.append(SendData(side.end, _framed(side, context_id, command)))

    def _record(self, event: str, side: Side, message: Message, text: str) -> None:
        """Tells the log, which one peer must not be able to fill."""
        self._recorded += 1
        if self._recorded > MAX_RECORDS:
            return
        facts: dict[str, object] = {
            "from": side.name,
            "command": f"{message.command.command_field:04X}H",
            "message_id": message.command.message_id,
            "why": text,
        }
        if self._recorded == MAX_RECORDS:
            facts["more"] = "not logged for this association"
        self._effects.append(Record(event, facts, warning=True))


def _framed(side: Side, context_id: int, command: CommandSet) -> bytes:
    return command_message(context_id, command.encode(), side.maximum_length)
