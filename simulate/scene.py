"""What all who take part in one simulated run share."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from simulate.border import Version, entities
from simulate.clock import Loop
from simulate.ledger import Asked, Ledger
from simulate.lines import Fault, Line
from simulate.network import Network, Socket

CONFIGURED: Final = "silent, as the file says"
NAMING: Final = ("names", "names", "own title", "silent", CONFIGURED)


class Speaker(Protocol):
    """A peer."""

    gone: bool

    @property
    def answered(self) -> bool:
        """Whether it knows what has become of the association that it has asked for."""

    def poke(self) -> None: ...


class Spoken(NamedTuple):
    """A line of the conversation; `now` in seconds."""

    now: float
    who: str
    does: str
    what: str
    octets: int


class Scene:
    """The loop, the network and what has been said; `traced` = the conversation is kept.

    `kind` = nothing bad happens and everybody behaves, so everybody must be answered. `back` opens an
    association of an archive to a title, for the move of this Message ID.
    """

    back: Callable[[str, str, int, Asked], Speaker]

    def __init__(
        self, chance: random.Random, version: Version, *, kind: bool, traced: bool
    ) -> None:
        self.chance = chance
        self.kind = kind
        self.loop = Loop(chance)
        self.network = Network(self.loop, chance, kind=kind)
        self.ledger = Ledger()
        self.covered: Counter[str] = self.ledger.covered
        self.version = version
        self.peers: list[Speaker] = []
        self.calm = kind or chance.random() < 0.2
        # How each archive says of which move an object is.
        self.naming = {name: chance.choice(NAMING) for name in entities()}
        self.conversation: list[Spoken] = []
        self._healed = False
        self._traced = traced
        self._numbers = 0

    def is_silent(self, archive: str) -> bool:
        """Whether its objects say nothing of their move."""
        return self.naming[archive] in ("silent", CONFIGURED)

    def number(self) -> int:
        """One that nobody has had."""
        self._numbers += 1
        return self._numbers

    def trace(self, who: str, does: str, what: str = "", octets: int = 0) -> None:
        """Notes what somebody does."""
        if self._traced:
            self.conversation.append(Spoken(self.loop.now, who, does, what, octets))

    def poke(self) -> None:
        """Something has happened that others may be waiting for."""
        for peer in self.peers:
            peer.poke()

    def heal(self) -> None:
        """Nothing more befalls any connection."""
        self._healed = True
        self.trace("the network", "heals")
        self.network.heal()

    def befall(self, line: Line) -> None:
        """Draws what befalls a connection."""
        if self._healed:
            line.heal()
            return
        if self.calm:
            return
        chance = self.chance
        for flow in (line.inward, line.outward):
            while chance.random() < 0.3:
                kind = chance.choice(("reset", "close", "stall", "stall", "stall"))
                at = chance.choice((chance.randint(0, 500), chance.randint(300, 3000)))
                seconds = chance.choice((0.25, 0.5, 2.0, 10.0, 1000.0))
                flow.faults.append(Fault(kind, at, seconds))
            flow.faults.sort(key=lambda fault: fault.at)

    def called(self, name: str, address: str) -> tuple[Line, Socket]:
        """An AE calls the relay from its address."""
        line = self.network.line((address, 40000 + self.number()))
        sock = Socket(self.loop)
        sock.attach(line)
        self.befall(line)
        self.trace(name, "connects")
        return line, sock
