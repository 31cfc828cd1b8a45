"""What becomes of a message: the values that gates and conducts return, and the exchange executes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ulproxy.dimse.command import CommandSet
from ulproxy.dimse.titles import Mapping
from ulproxy.relay.operation import OpenOperation


class Context(NamedTuple):
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


class Titles(NamedTuple):
    """How the AE titles in a data set are mapped, and the transfer syntax that it is in."""

    transfer_syntax: str
    mapping: Mapping


@dataclass(slots=True)
class Pass:
    """The message goes on, with this command set; its data set as it comes, or with titles mapped.

    `operation` is the one that the message's bytes count for; `observed` says why it would be refused if
    rules were enforced; `seen` is called with a data set whose titles are mapped, before they are.
    """

    command: CommandSet
    titles: Titles | None = None
    operation: OpenOperation | None = None
    observed: str = ""
    seen: Callable[[bytes], None] | None = None


class Respond(NamedTuple):
    """The message goes no further; its sender gets this response once it has sent all of it."""

    command: CommandSet
    text: str


class Drop(NamedTuple):
    """The message goes no further and there is nothing to say to it."""

    text: str


class Wait(NamedTuple):
    """The message is kept whole and judged again when a C-MOVE has ended."""

    text: str


class Hold(NamedTuple):
    """Nothing more is read from its sender, until the message can be judged again."""


class Collect(NamedTuple):
    """The message is kept whole and handed over, its data set as it came; empty where it has none."""

    take: Callable[[bytes], None]


Verdict = Pass | Respond | Drop | Wait | Hold | Collect
