"""How a peer goes about things: how long it thinks, what it forgets, how much it says."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

# Seconds; see network.py.
DELAYS: Final = (0.0, 0.0, 0.0, 0.25, 0.5, 2.0)
EVEN_LATER: Final = (4.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True)
class Habits:
    """Of one connection. Shares of what it does; `takes` as `Listener.maximum_length`."""

    takes: int = 16384
    forgets: float = 0.0  # to answer
    repeats: float = 0.0  # its answers
    fails: float = 0.0  # what it is asked
    late: float = 0.0
    releases: bool = True  # when it is asked to
    comments: bool = False
    lingers: float = 0.0  # seconds from the end of an association to that of its connection
    offends: float = 0.0
    biggest: int = 500  # half the bytes of an object

    @classmethod
    def drawn(cls, chance: random.Random, *, kind: bool) -> Habits:
        """`kind` = as others would wish."""
        odd = not kind and chance.random() < 0.3
        return cls(
            takes=chance.choice((0, 16384, 16384, 512, 128)),
            forgets=chance.choice((0.0, 0.05, 0.3)) if odd else 0.0,
            repeats=chance.choice((0.0, 0.2)) if odd else 0.0,
            fails=chance.choice((0.0, 0.1, 0.5)),
            late=0.2 if odd else 0.02 * (not kind),
            releases=not odd or chance.random() < 0.8,
            comments=chance.random() < 0.3,
            lingers=chance.choice((0.0, 0.0, 0.5, 2.0, 1000.0)),
            offends=0.1 if odd else 0.0,
            biggest=chance.choice((20, 100, 300, 1000, 3000)),
        )

    def drawn_size(self, chance: random.Random) -> int:
        return chance.randint(1, self.biggest)

    def delay(self, chance: random.Random) -> float:
        """Seconds until the next thing is done."""
        return chance.choice(EVEN_LATER if chance.random() < self.late else DELAYS)
