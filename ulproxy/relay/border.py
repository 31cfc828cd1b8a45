"""What all associations of a process share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ulproxy.policy.rules import Policy
from ulproxy.relay.admission import Admission
from ulproxy.relay.moves import Moves
from ulproxy.relay.store import Commitments, MemoryCommitments
from ulproxy.relay.tally import Tally


@dataclass
class Border:
    """The rules in force, which a reload replaces; the moves and associations that are open.

    `clock` tells seconds; `audited` = each operation is reported; `full` says why everybody is refused;
    `tally` None = nothing is counted.
    """

    policy: Policy
    moves: Moves = field(default_factory=Moves)
    commitments: Commitments = field(default_factory=MemoryCommitments)
    admission: Admission = field(default_factory=Admission)
    clock: Callable[[], float] = lambda: 0.0
    audited: bool = False
    full: str = ""
    tally: Tally | None = None
