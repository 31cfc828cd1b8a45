"""Where a message comes from: what each end of several has said, and what becomes of it on the others.

A message to one end is the beginning of what another one has said, complete only if that is; each passes
once, to whom it is for. What the relay says of its own is known by its status.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.relay import groups, wire
from tests.relay.listener import Heard, Listener
from tests.relay.playbook import INBOUND
from tests.relay.world import RESPONSE, UID, number_of
from ulproxy.relay.effects import End

CHANGED: Final = {
    wire.ERROR_COMMENT,
    wire.DESTINATION,
    wire.ORIGINATOR,
    wire.ORIGINATOR_ID,
    *groups.COUNTS.values(),
}
NUMBERED: Final = (wire.C_MOVE, wire.C_CANCEL)
# What sharing.py lets AEs ask of the archive on its own association.
ASKED_OF_ARCHIVE: Final = (wire.C_ECHO, wire.C_CANCEL, wire.N_EVENT_REPORT)
REFUSALS: Final = (0x0110, 0x0117, 0x0122, 0x0124)


@dataclass
class Connection:
    """One end, as the shell and the watcher know it."""

    end: End
    open: bool = False
    connecting: bool = False
    name: str = ""  # of the AE that was called
    unread: bytes = b""  # what it has said and is not read yet
    deaf: bool = False  # it has said something that cannot be read
    to: Listener = field(default_factory=Listener)  # what the relay says to it
    by: Listener = field(default_factory=lambda: Listener(strict=False))  # what it says
    contexts: dict[int, str] = field(default_factory=dict)  # accepted, with their transfer syntax
    begun: int = 0  # messages to it that have been looked at
    ended: int = 0  # those that were whole


class Witness:
    """Has heard everybody.

    `told` says where a C-STORE belongs that says this Message ID of its move, `possible` where one may that
    says none.
    """

    def __init__(
        self, told: dict[int, str], possible: Callable[[], set[str]], *, by_message: bool
    ) -> None:
        self.ends: dict[End, Connection] = {}
        self.told = told
        self.possible = possible
        self.by_message = by_message  # the caller is an archive, each message is for one AE
        self._passed: Counter[tuple[int, str, bytes, str]] = Counter()  # what, to whom
        self._asked: dict[tuple[int, int], set[End]] = {}  # who can have asked the caller
        self._finals: Counter[tuple[int, int]] = Counter()

    def judge(self, one: Connection) -> None:
        """Looks at what an end has just been told."""
        messages = one.to.messages
        while one.begun < len(messages) and messages[one.begun].command is not None:
            message = messages[one.begun]
            one.begun += 1
            assert message.context_id in one.contexts, "on a context that was not accepted"
            self._begun(one, message)
        if messages and not self._is_ours(one, messages[-1]):
            assert not messages[-1].data or self._sources(one, messages[-1]), "data of nobody"
        while one.ended < one.begun and messages[one.ended].complete:
            self._ended(one, messages[one.ended])
            one.ended += 1

    def _sources(self, one: Connection, message: Heard) -> list[tuple[Connection, Heard]]:
        """What others have said that this can be, in their order."""
        others = [self.ends[INBOUND]] if one.end is not INBOUND else [*self.ends.values()][1:]
        return [
            (other, said)
            for other in others
            for said in understood(other)
            if (said.context_id == message.context_id or said.field == wire.C_CANCEL)
            and unchanged(said) == unchanged(message)
            and said.data[: len(message.data)] == message.data
            and (not message.complete or (said.complete and said.data == message.data))
        ]

    def _is_ours(self, one: Connection, message: Heard) -> bool:
        """The final response of a group, with the list of what failed."""
        if self.by_message or one.end is not INBOUND or message.command is None:
            return False
        return bool(message.field & RESPONSE) and not is_pending(message)

    def _begun(self, one: Connection, message: Heard) -> None:
        """As soon as its command set is whole."""
        assert message.command is not None
        if message.field & RESPONSE:
            if one.end is INBOUND:
                self._answers_the_caller(message)
            else:
                self._answers_an_ae(one, message)
            return
        sources = self._sources(one, message)
        assert sources, f"nobody asks {one.name} {message}"
        if one.end is INBOUND:
            self._asked.pop((number_of(message), message.field), None)
            assert not self.by_message or message.field in ASKED_OF_ARCHIVE
        if message.field == wire.C_STORE:
            assert UID.fullmatch(message.command[wire.AFFECTED_INSTANCE])
        if self.by_message and one.end is not INBOUND:
            assert any(self._is_for(one, said) for _, said in sources), f"not for {one.name}"

    def _ended(self, one: Connection, message: Heard) -> None:
        """As soon as it is whole: it has not passed more often than it was said."""
        if message.field & RESPONSE or message.field == wire.C_CANCEL:
            return
        sources = self._sources(one, message)
        if one.end is INBOUND:
            asking = {other.end for other, _ in sources}
            self._asked[number_of(message), message.field] = asking
        whom = "the caller" if one.end is INBOUND else "anybody" if self.by_message else one.name
        what = message.context_id, repr(unchanged(message)), bytes(message.data), whom
        self._passed[what] += 1
        assert self._passed[what] <= len(sources), f"passed to {whom} more often than it was said"
        told = [said for _, said in sources if wire.ORIGINATOR_ID in (said.command or ())]
        if self.by_message and len(told) == len(sources) and one.end is not INBOUND:
            assert any(self._is_for(one, said) for said in told), f"not for {one.name}"

    def _is_for(self, one: Connection, said: Heard) -> bool:
        """Objects go where their C-MOVE leads, results to who has asked for them."""
        assert said.command is not None
        if said.field == wire.C_STORE:
            number = said.command.get(wire.ORIGINATOR_ID)
            if number is None:
                return self.possible() <= {one.name}  # of what has ended nothing is due
            return self.told.get(int.from_bytes(number, "little")) == one.name
        if said.field == wire.N_EVENT_REPORT:
            return one.name == ("WS3" if b"1.2.3" in said.data else "WS5")
        return said.field == wire.C_CANCEL

    def _answers_the_caller(self, message: Heard) -> None:
        """A final response answers a request once; that of a C-STORE is its receiver's, maybe early."""
        caller = self.ends[INBOUND]
        key = number_of(message), message.field & ~RESPONSE
        asked = [
            said
            for said in understood(caller)
            if (said.complete or self._sources(caller, message))
            and (number_of(said), said.field) == key
        ]
        assert message.context_id in {said.context_id for said in asked}, "a response to nothing"
        if is_pending(message):
            assert self._sources(caller, message), "a match that nobody has found"
            return
        self._finals[key] += 1
        assert self._finals[key] <= len(asked), "answered more than once"
        if self.by_message and status_of(message) not in REFUSALS:
            own = message.field == wire.C_ECHO | RESPONSE
            assert own or self._sources(caller, message), "nobody has answered it"

    def _answers_an_ae(self, one: Connection, message: Heard) -> None:
        """The caller's answer to what this one has asked; or the relay's own refusal."""
        key = number_of(message), message.field & ~RESPONSE
        asked = {(number_of(said), said.field) for said in understood(one)}
        assert key in asked, "it has not asked"
        if status_of(message) not in REFUSALS or message.data:
            asking = self._asked.get(key, {one.end})
            assert one.end in asking, "an answer to another one's request"
            assert self._sources(one, message), "nobody has answered it"


def understood(one: Connection) -> list[Heard]:
    """What an end has said, as far as there are command sets with all that makes a message."""
    return [said for said in one.by.messages if wire.FIELD in (said.command or ())]


def unchanged(message: Heard) -> dict[int, bytes]:
    """The elements that no relay changes."""
    assert message.command is not None
    changed = CHANGED
    if message.field & ~RESPONSE in NUMBERED:
        changed = changed | {wire.MESSAGE_ID, wire.RESPONDED_TO}
    return {number: value for number, value in message.command.items() if number not in changed}


def status_of(message: Heard) -> int:
    assert message.command is not None
    return int.from_bytes(message.command.get(wire.STATUS, b""), "little")


def is_pending(message: Heard) -> bool:
    return status_of(message) in (0xFF00, 0xFF01)
