"""The two ends of a relayed association, and what the relay knows of the streams that it writes to them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ulproxy.dimse.command import CommandSet
from ulproxy.dimse.message import MessageReader
from ulproxy.pdu.association import Association, Close, Output, Send, StartArtim, StopArtim
from ulproxy.pdu.collector import Collector
from ulproxy.pdu.fsm import Role, State
from ulproxy.relay.effects import (
    CloseTransport,
    Effect,
    End,
    SendData,
    StartTimer,
    StopTimer,
    Timer,
)
from ulproxy.relay.gate import Titles


@dataclass(frozen=True, slots=True)
class Collected:
    """A message whose data set is held until its titles can be mapped."""

    context_id: int
    command: CommandSet
    titles: Titles
    collector: Collector = field(default_factory=Collector)


class Side:
    """The association with one peer, the messages it sends, and the stream that it is sent."""

    __slots__ = (
        "association",
        "collected",
        "end",
        "fragment_left",
        "maximum_length",
        "message_open",
        "messages",
        "messages_passed",
        "octets_passed",
        "passing",
        "reply",
        "waiting",
    )

    def __init__(self, end: End) -> None:
        self.end = end
        self.association = Association(Role.ACCEPTOR if end is End.INBOUND else Role.REQUESTOR)
        self.messages = MessageReader(())
        self.maximum_length = 0  # of a P-DATA-TF that the peer takes, in bytes; 0 = no limit

        # What the peer sends:
        self.passing = False  # the message under way goes onward
        self.collected: Collected | None = None  # the message under way, which is held
        self.reply: tuple[int, CommandSet] | None = None  # due when the message under way has ended
        self.messages_passed = 0
        self.octets_passed = 0  # of data fragments, headers included

        # What the peer is sent:
        self.message_open = False  # a data set has begun and not ended
        self.fragment_left = 0  # bytes without which a PDU of ours would be taken for its data
        self.waiting: list[bytes] = []  # our own messages, due between two messages

    @property
    def name(self) -> str:
        """Which of the two it is, for the log."""
        return self.end.name.lower()


class Pair:
    """Both sides, and the effects that were asked of the shell since it last took them."""

    __slots__ = ("effects", "inbound", "onward")

    def __init__(self) -> None:
        self.inbound = Side(End.INBOUND)
        self.onward = Side(End.ONWARD)
        self.effects: list[Effect] = []

    def side(self, end: End) -> Side:
        """The side of this end."""
        return self.inbound if end is End.INBOUND else self.onward

    def other(self, side: Side) -> Side:
        """The side that this one is joined with."""
        return self.onward if side is self.inbound else self.inbound

    def take(self) -> list[Effect]:
        """The effects, which are the caller's from now on."""
        taken = self.effects[:]
        self.effects.clear()
        return taken

    def perform(self, side: Side, output: Output) -> None:
        """Asks the shell for what an association wants of its transport and of ARTIM."""
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
