"""One end of a relayed association: its state machine, the messages it sends, the stream it is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ulproxy.dimse.command import CommandSet
from ulproxy.dimse.message import Message, MessageReader
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import AAssociateRQ
from ulproxy.pdu.association import Association
from ulproxy.pdu.collector import Collector
from ulproxy.pdu.cutter import Cutter
from ulproxy.pdu.fsm import Role
from ulproxy.policy.decision import Forward
from ulproxy.relay.effects import End
from ulproxy.relay.operation import OpenOperation
from ulproxy.relay.tally import Outcome


class Blamed(RemoteProtocolError):  # noqa: N818 (it is the side that is)
    """What a side has done shows while another one's bytes are looked at."""

    def __init__(self, side: Side, error: RemoteProtocolError) -> None:
        super().__init__(str(error), error.reason)
        self.side = side


@dataclass(frozen=True, slots=True)
class Collected:
    """A message that is held until its data set is whole, and who takes it then."""

    take: Callable[[bytes], None]
    collector: Collector = field(default_factory=Collector)


class Side:
    """The association with one peer."""

    __slots__ = (
        "association",
        "collected",
        "cutter",
        "end",
        "fragment_left",
        "goes_on",
        "held",
        "maximum_length",
        "message_open",
        "messages",
        "messages_passed",
        "octets_passed",
        "operation",
        "passing",
        "reply",
        "target",
        "waiting",
    )

    def __init__(self, end: End) -> None:
        self.end = end
        self.association = Association(Role.ACCEPTOR if end is End.INBOUND else Role.REQUESTOR)
        self.messages = MessageReader(())
        self.maximum_length = 0  # of a P-DATA-TF that the peer takes, in bytes; 0 = no limit

        # What the peer sends:
        self.target: Side | None = None  # whom its messages go to
        self.cutter: Cutter | None = None  # where that one takes less than this one was told
        self.passing = False  # the message under way goes onward
        self.goes_on = False  # its last message may be followed by another at once
        self.collected: Collected | None = None  # the message under way, which is held
        self.held: Message | None = (
            None  # judged again before anything else of the peer is looked at
        )
        self.reply: tuple[int, CommandSet] | None = None  # due when the message under way has ended
        self.operation: OpenOperation | None = None  # what the bytes under way count for
        self.messages_passed = 0
        self.octets_passed = 0  # of data fragments, headers included

        # What the peer is sent:
        self.message_open = False  # a data set has begun and not ended
        self.fragment_left = 0  # bytes without which a PDU of ours would be taken for its data
        self.waiting: list[bytes] = []  # our own messages, due between two messages

    @property
    def unfinished(self) -> bool:
        """Whether the peer is within a message or a PDU, or may have another one to send at once."""
        return self.messages.under_way or self.goes_on or self.association.within_pdu

    @property
    def name(self) -> str:
        """Which of them it is, for the log."""
        return self.end.name.lower()


class Leg(Side):
    """An association that we asked an AE for: what we proposed to it, on what grounds."""

    __slots__ = ("forward", "outcome", "proposed")

    def __init__(self, end: End, forward: Forward, proposed: AAssociateRQ) -> None:
        super().__init__(end)
        self.forward = forward
        self.proposed = proposed
        self.outcome: Outcome | None = None  # once that is counted

    @property
    def callee(self) -> str:
        """The name of the AE."""
        return self.forward.callee.name
