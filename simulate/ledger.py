"""What has been said by whom and may be heard where: objects, requests, matches, by what is unique in them.

Everything that a peer says has a number of its own in it, which no relay changes. So whoever hears
something can look up whose it is, whom it was for, and whether the rules of that association let it pass.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from simulate.border import SERVICES, Version, network_of, title_of
from tests.relay import wire
from tests.relay.listener import Heard
from tests.relay.world import number_of
from ulproxy.dimse.services import Service

# What the relay answers of its own; nobody else here says so.
REFUSALS: Final = frozenset({0x0110, 0x0117, 0x0122, 0x0124, 0xA801})
CANCELLED: Final = 0xFE00
REMARK: Final = bytes.fromhex("10000040")  # (0010,4000), which no relay changes
RETRIEVE: Final = bytes.fromhex("08005400")  # (0008,0054) Retrieve AE Title
TAG: Final = 8
ECHOES: Final = 1000  # Message IDs of C-ECHOs begin here: they have nothing else of their own


class BrokenError(AssertionError):
    """Something does not hold that must."""


def require(condition: object, text: str) -> None:
    """Raises BrokenError."""
    if not condition:
        raise BrokenError(text)


@dataclass
class Moment:
    """Of an association: the rules by which it was decided, once it was; whether the relay has ended it."""

    version: Version | None = None
    is_over: Callable[[], bool] = lambda: False


@dataclass
class Asked:
    """A request: by whom, on which association, with what."""

    tag: str
    asking: str
    moment: Moment
    field: int
    context_id: int
    number: int
    destination: str = ""  # of a move, the name of an AE; "" = nobody
    called: tuple[str, ...] = ()  # who may be asked by it
    told: dict[str, int] = dataclasses.field(
        default_factory=dict
    )  # the Message ID that each archive was told
    heard: Counter[str] = dataclasses.field(default_factory=Counter)
    cause: Asked | None = None  # of a C-STORE: the move or get that it is of
    receiver: str = ""  # of a C-STORE: who may have it
    data: bytes = b""
    whole: bool = False  # its last byte has been said
    statuses: set[int] = dataclasses.field(default_factory=set)  # that have been answered
    cancelled: bool = False
    left: bool = False  # before it was answered
    names_move: bool = False  # of a C-STORE: it says a Message ID
    got: int = 0  # whole objects, or final responses


@dataclass(frozen=True)
class Match:
    """A pending response to a query, by who has found it."""

    query: Asked
    by: str


class Ledger:
    """All that has been said."""

    def __init__(self) -> None:
        self.asked: dict[str, Asked] = {}
        self.matches: dict[str, Match] = {}
        self.covered: Counter[str] = Counter()
        self._numbers = 0

    def tag(self) -> str:
        """A number of its own."""
        self._numbers += 1
        return f"{self._numbers:0{TAG}d}"

    def add(self, asked: Asked) -> Asked:
        self.asked[asked.tag] = asked
        return asked

    def request(self, message: Heard) -> Asked | None:
        """What a request that somebody hears is; None = it has no number, or not yet."""
        require(message.command is not None, "a request without a command set")
        assert message.command is not None
        if message.field == wire.C_STORE:
            instance = message.command[wire.AFFECTED_INSTANCE].rstrip(b"\0").decode()
            tag = f"{int(instance.rpartition('.')[2]):0{TAG}d}"
        elif message.field == wire.C_ECHO:
            tag = f"{number_of(message) - ECHOES:0{TAG}d}"
        elif message.complete and message.data:
            tag = tag_of(bytes(message.data))
        else:
            return None
        asked = self.asked.get(tag)
        require(asked is not None, f"nobody has said {tag}")
        assert asked is not None
        require(asked.field == message.field, f"{tag} was another request")
        require(asked.context_id == message.context_id, f"{tag} on another context")
        return asked

    def heard_request(self, by: str, asked: Asked) -> None:
        """An AE has been asked something: by the rules of that association, and not more often than once."""
        version = asked.moment.version
        require(version is not None, f"{asked.tag} passed before it was decided")
        assert version is not None
        if asked.field == wire.C_STORE:
            if by != asked.receiver and self._is_undecidable(asked, by):
                how = "its number" if asked.names_move else "nothing"
                self.covered[f"objects taken for another move's, saying {how}"] += 1
                asked.receiver = by
            require(by == asked.receiver, f"object {asked.tag} of {asked.asking} passed to {by}")
        else:
            require(by in asked.called, f"{asked.tag} of {asked.asking} passed to {by}")
        service = SERVICES[asked.field]
        if asked.cause is None:
            allowed = version.allows(asked.asking, by, service) or (
                service is Service.STORE and self._is_moved(asked.asking, by)
            )
            require(allowed, f"no rule of {version.number}: {asked.asking} to {by} {service}")
        if service is Service.MOVE:
            leads = version.leads(asked.asking, by, asked.destination)
            require(leads, f"no rule of {version.number} leads {asked.asking} there: {asked.tag}")
        asked.heard[by] += 1
        require(asked.heard[by] == 1, f"{asked.tag} passed to {by} again")

    def _is_moved(self, archive: str, to: str) -> bool:
        """Whether a C-STORE that says nothing of a move may be taken for one of it."""
        known = self.asked.values()
        return any(one.destination == to and archive in one.called for one in known)

    def _is_undecidable(self, asked: Asked, by: str) -> bool:
        """Whether the move of an object was over for the relay, and there is another one just like it.

        The archive's answer, or the end of the association of who had asked, has overtaken what the archive
        says on a connection of its own; and it names no move, or one whose Message ID was given again.
        """
        move, archive = asked.cause, asked.asking
        if move is None:
            return False
        cut = move.left or move.cancelled or move.moment.is_over()
        if not cut and (asked.names_move or not move.statuses - {0xFF00}):
            return False
        number = move.told.get(archive)
        return any(
            one.destination == by
            and archive in one.called
            and (not asked.names_move or one.told.get(archive, one.number) == number)
            for one in self.asked.values()
        )

    def heard_object(self, by: str, asked: Asked, message: Heard) -> None:
        """An AE takes an object for whole."""
        require(asked.whole, f"object {asked.tag} is whole for {by}, and was not sent so")
        require(message.data == asked.data, f"object {asked.tag} is another one for {by}")
        asked.got += 1
        require(asked.got == 1, f"object {asked.tag} passed twice")
        self._check_originator(by, asked, message)
        self.covered["objects whole"] += 1

    def _check_originator(self, by: str, asked: Asked, message: Heard) -> None:
        """As the destination knows it, if it is said: who asked for the move, and by which Message ID."""
        assert message.command is not None
        title = message.command.get(wire.ORIGINATOR)
        number = message.command.get(wire.ORIGINATOR_ID)
        move = asked.cause
        if move is None or move.field != wire.C_MOVE or number is None:
            return
        moves = {
            (known.number, title_of(known.asking, network_of(by)))
            for known in self.asked.values()
            if known.destination == by and asked.asking in known.called
        }
        if move.moment.is_over() or move.left or move.cancelled or move.statuses - {0xFF00}:
            # Let through by a rule of its own it is of a move that the relay does not know.
            told = move.told.get(asked.asking, move.number)
            moves.add((told, title_of(move.asking, network_of(by))))
        # It may name itself.
        moves |= {(one, title_of(asked.asking, network_of(by))) for one, _ in moves}
        said = int.from_bytes(number, "little"), (title or b"").decode().strip()
        require(said in moves, f"object {asked.tag} of move {move.tag} says {said}")

    def check_status(self, asked: Asked, status: int) -> None:
        """A response of a receiver is its own; the relay refuses, and does not accept."""
        own = status in asked.statuses
        if asked.field == wire.C_MOVE and asked.cancelled:  # it may not have gone on yet
            own = own or status == CANCELLED
        require(own or status in REFUSALS, f"{asked.tag}: nobody has answered {status:04X}H")
        if asked.field == wire.C_STORE and status == 0:
            require(asked.got == 1, f"object {asked.tag} was answered, and nobody has it")

    def heard_match(self, by: str, asked: Asked, data: bytes, group: str) -> None:
        """A pending response: of this query, once, with the finder called what the receiver calls it."""
        match = self.matches.pop(tag_of(data), None)
        require(match is not None, f"a match that nobody has found, or again: {data!r}")
        assert match is not None
        require(match.query is asked, f"a match of {match.query.tag} for {asked.tag}")
        title = element(data, RETRIEVE).decode().strip()
        known = title_of(match.by, network_of(by))
        require(title in (known, group), f"{match.by} is called {title} to {by}")
        self.covered["matches"] += 1


def element(data: bytes, tag: bytes) -> bytes:
    """The value of an element of a data set in implicit VR little endian; b"" = it is not there."""
    while len(data) >= 8:
        length = int.from_bytes(data[4:8], "little")
        if data[:4] == tag:
            return data[8 : 8 + length]
        data = data[8 + length :]
    return b""


def tag_of(data: bytes) -> str:
    return element(data, REMARK).decode()


def remark(tag: str) -> bytes:
    """A data set that is one remark."""
    return REMARK + len(tag).to_bytes(4, "little") + tag.encode()


def found(title: str, tag: str) -> bytes:
    """A match."""
    value = wire.text(title)
    return RETRIEVE + len(value).to_bytes(4, "little") + value + remark(tag)
