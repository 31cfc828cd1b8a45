"""What the relay's core asks of the shell: small values, executed in their order, nothing decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, NamedTuple

from ulproxy.policy.endpoints import Endpoint


class End(Enum):
    """One of the two connections of a relayed association."""

    INBOUND = auto()  # the peer called us
    ONWARD = auto()  # we call the peer


class Timer(Enum):
    """What a timer watches; its seconds are those of `[limits]`."""

    ARTIM = auto()  # PS3.8 9.1.4: Sta2 and Sta13
    CONNECT = auto()  # from the opening of the onward connection to its A-ASSOCIATE answer
    RELEASE = auto()  # from our A-RELEASE-RQ to its answer, as long as ARTIM
    IDLE = auto()  # restarted by every byte of either end
    WRITE = auto()  # runs while an end does not take what is written to it


MAX_SHOWN: Final = 64

# What the end of an open association is put down to in the log; the limit that sets the time in brackets.
EXPIRED: Final = {
    Timer.RELEASE: "no answer of the {} end to the A-RELEASE-RQ in time (artim)",
    Timer.IDLE: "nothing came from either end in time (idle)",
    Timer.WRITE: "the {} end does not take what is sent to it (write)",
}


class SendData(NamedTuple):
    """Write to this end; a view is valid until the core is called again."""

    end: End
    data: bytes | memoryview


class OpenTransport(NamedTuple):
    """Open the onward connection."""

    endpoint: Endpoint


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


def printable(title: str) -> str:
    """A title from a peer as a log may have it: a command set has room for one of 64 KB."""
    if len(title) > MAX_SHOWN:
        title = f"{title[:MAX_SHOWN]}..."
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in title)


Effect = SendData | OpenTransport | CloseTransport | StartTimer | StopTimer | Record
