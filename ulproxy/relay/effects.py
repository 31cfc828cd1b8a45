"""What the relay's core asks of the shell: small values, executed in their order, nothing decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar, Final, NamedTuple

from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import AeTls


class End:
    """One of the connections of a relayed association: the caller's, or one of those that we open.

    There is one object for each: they are compared by identity. `number` is 0 for the caller's.
    """

    __slots__ = ("name", "number")
    INBOUND: ClassVar[End]
    ONWARD: ClassVar[End]
    _legs: ClassVar[list[End]] = []

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number

    def __repr__(self) -> str:
        return f"End.{self.name}"

    @classmethod
    def leg(cls, number: int) -> End:
        """The connection that we opened as the first, second, ... one, counted from 1."""
        while len(cls._legs) < number:
            following = len(cls._legs) + 1
            cls._legs.append(cls("ONWARD" if following == 1 else f"ONWARD_{following}", following))
        return cls._legs[number - 1]


End.INBOUND = End("INBOUND", 0)
End.ONWARD = End.leg(1)


class Timer(Enum):
    """What a timer watches; its seconds are those of `[limits]`."""

    ARTIM = auto()  # PS3.8 9.1.4: Sta2 and Sta13
    CONNECT = auto()  # from the opening of the onward connection to its A-ASSOCIATE answer
    RELEASE = auto()  # from our A-RELEASE-RQ to its answer, as long as ARTIM
    PATIENCE = auto()  # how long the slowest of several AEs may keep the caller waiting
    IDLE = auto()  # restarted by every byte of either end
    WRITE = auto()  # runs while an end does not take what is written to it
    __hash__ = object.__hash__  # there is one of each; Enum hashes names, and in Python


MAX_SHOWN: Final = 64

# What the end of an open association is put down to in the log; the limit that sets the time in brackets.
EXPIRED: Final = {
    Timer.RELEASE: "no answer of the {} end to the A-RELEASE-RQ in time (artim)",
    Timer.IDLE: "nothing came from either end in time (idle)",
    Timer.WRITE: "the {} end does not take what is sent to it (write)",
}


@dataclass(slots=True)
class SendData:
    """Write to this end; a view is valid until the core is called again."""

    end: End
    data: bytes | memoryview


class OpenTransport(NamedTuple):
    """Open an onward connection, over TLS where `tls` says how."""

    endpoint: Endpoint
    end: End = End.ONWARD
    tls: AeTls | None = None


class CloseTransport(NamedTuple):
    """Close this end at once, whatever is still unsent."""

    end: End


class StartTimer(NamedTuple):
    """(Re)start a timer."""

    end: End
    timer: Timer


class StopTimer(NamedTuple):
    """Stop a timer, if it runs."""

    end: End
    timer: Timer


@dataclass(frozen=True, slots=True)
class Record:
    """Something that the log should have: what happened, and the facts by name."""

    event: str
    facts: dict[str, object] = field(default_factory=dict)
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """A DIMSE operation that is over, for the audit trail: who asked whom for what, and what came of it.

    `asking` and `asked` are names of AEs. `status` None = there was no final response. `matches` counts
    the pending responses of a C-FIND, `sub_operations` are the completed, failed and warning ones of a C-MOVE
    or C-GET. `octets` are the bytes of the request's data set, headers of its fragments included where it
    streamed; `transfer_syntax` is that of its presentation context. `began` is `Border.clock`'s, in seconds.
    `refused` says why the relay refused it; empty = it passed.
    """

    service: str
    request: int
    asking: str
    asked: str
    message_id: int
    sop_class: str
    sop_instance: str
    status: int | None
    began: float
    octets: int = 0
    matches: int = 0
    sub_operations: tuple[int, int, int] | None = None
    destination: str = ""
    rule: int | None = None
    refused: str = ""
    transfer_syntax: str = ""


def printable(title: str) -> str:
    """A title from a peer as a log may have it: a command set has room for one of 64 KB."""
    if len(title) > MAX_SHOWN:
        title = f"{title[:MAX_SHOWN]}..."
    if title.isascii() and title.isprintable():
        return title
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in title)


Effect = SendData | OpenTransport | CloseTransport | StartTimer | StopTimer | Record | Operation
