"""Table 9-10 of PS3.8 as a grid that can be laid beside the standard, and what its actions do.

Rules of this file: code reads the grid, nothing restates it; it does not know which association it
serves; the two roles differ in AR-8 alone (9.2.3). Rows are the events Evt1 to Evt19, columns the
states Sta1 to Sta13, "." a combination that cannot happen.
"""

from __future__ import annotations

from enum import Enum, IntEnum, auto
from typing import Final, NamedTuple


class Role(Enum):
    """Who asked for the association."""

    REQUESTOR = auto()
    ACCEPTOR = auto()
    __hash__ = object.__hash__  # there is one of each; Enum hashes names, and in Python


class State(IntEnum):
    """PS3.8 Tables 9-1 to 9-5."""

    Sta1 = 1  # idle
    Sta2 = 2  # transport open, awaiting A-ASSOCIATE-RQ
    Sta3 = 3  # awaiting the local answer to it
    Sta4 = 4  # awaiting the transport connection
    Sta5 = 5  # awaiting A-ASSOCIATE-AC or -RJ
    Sta6 = 6  # established
    Sta7 = 7  # awaiting A-RELEASE-RP
    Sta8 = 8  # awaiting the local answer to A-RELEASE-RQ
    Sta9 = 9  # collision, requestor: awaiting the local answer
    Sta10 = 10  # collision, acceptor: awaiting A-RELEASE-RP
    Sta11 = 11  # collision, requestor: awaiting A-RELEASE-RP
    Sta12 = 12  # collision, acceptor: awaiting the local answer
    Sta13 = 13  # awaiting the close of the transport connection


class Event(IntEnum):
    """PS3.8 Table 9-10, its rows."""

    A_ASSOCIATE_REQUEST = 1
    TRANSPORT_CONFIRM = 2
    A_ASSOCIATE_AC_RECEIVED = 3
    A_ASSOCIATE_RJ_RECEIVED = 4
    TRANSPORT_INDICATION = 5
    A_ASSOCIATE_RQ_RECEIVED = 6
    A_ASSOCIATE_ACCEPT = 7
    A_ASSOCIATE_REJECT = 8
    P_DATA_REQUEST = 9
    P_DATA_TF_RECEIVED = 10
    A_RELEASE_REQUEST = 11
    A_RELEASE_RQ_RECEIVED = 12
    A_RELEASE_RP_RECEIVED = 13
    A_RELEASE_RESPONSE = 14
    A_ABORT_REQUEST = 15
    A_ABORT_RECEIVED = 16
    TRANSPORT_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU_RECEIVED = 19


GRID: Final = """
Evt    1    2    3    4    5    6    7    8    9   10   11   12   13
  1  AE1    .    .    .    .    .    .    .    .    .    .    .    .
  2    .    .    .  AE2    .    .    .    .    .    .    .    .    .
  3    .  AA1  AA8    .  AE3  AA8  AA8  AA8  AA8  AA8  AA8  AA8  AA6
  4    .  AA1  AA8    .  AE4  AA8  AA8  AA8  AA8  AA8  AA8  AA8  AA6
  5  AE5    .    .    .    .    .    .    .    .    .    .    .    .
  6    .  AE6  AA8    .  AA8  AA8  AA8  AA8  AA8  AA8  AA8  AA8  AA7
  7    .    .  AE7    .    .    .    .    .    .    .    .    .    .
  8    .    .  AE8    .    .    .    .    .    .    .    .    .    .
  9    .    .    .    .    .  DT1    .  AR7    .    .    .    .    .
 10    .  AA1  AA8    .  AA8  DT2  AR6  AA8  AA8  AA8  AA8  AA8  AA6
 11    .    .    .    .    .  AR1    .    .    .    .    .    .    .
 12    .  AA1  AA8    .  AA8  AR2  AR8  AA8  AA8  AA8  AA8  AA8  AA6
 13    .  AA1  AA8    .  AA8  AA8  AR3  AA8  AA8 AR10  AR3  AA8  AA6
 14    .    .    .    .    .    .    .  AR4  AR9    .    .  AR4    .
 15    .    .  AA1  AA2  AA1  AA1  AA1  AA1  AA1  AA1  AA1  AA1    .
 16    .  AA2  AA3    .  AA3  AA3  AA3  AA3  AA3  AA3  AA3  AA3  AA2
 17    .  AA5  AA4  AA4  AA4  AA4  AA4  AA4  AA4  AA4  AA4  AA4  AR5
 18    .  AA2    .    .    .    .    .    .    .    .    .    .  AA2
 19    .  AA1  AA8    .  AA8  AA8  AA8  AA8  AA8  AA8  AA8  AA8  AA7
"""


class Effect(Enum):
    """What an action asks of its owner: something to send, to indicate, or to do to the transport."""

    CONNECT = auto()
    CLOSE = auto()
    START_ARTIM = auto()
    STOP_ARTIM = auto()
    SEND_A_ASSOCIATE_RQ = auto()
    SEND_A_ASSOCIATE_AC = auto()
    SEND_A_ASSOCIATE_RJ = auto()
    SEND_P_DATA = auto()
    SEND_A_RELEASE_RQ = auto()
    SEND_A_RELEASE_RP = auto()
    SEND_A_ABORT = auto()
    INDICATE_ASSOCIATE = auto()
    CONFIRM_ACCEPTANCE = auto()
    CONFIRM_REJECTION = auto()
    INDICATE_P_DATA = auto()
    INDICATE_RELEASE = auto()
    CONFIRM_RELEASE = auto()
    INDICATE_ABORT = auto()
    INDICATE_P_ABORT = auto()
    __hash__ = object.__hash__  # there is one of each; Enum hashes names, and in Python


class Action(NamedTuple):
    """PS3.8 Tables 9-6 to 9-9: the effects in their order, and the state for each role."""

    effects: tuple[Effect, ...]
    requestor: State
    acceptor: State


def _action(next_state: State, *effects: Effect, acceptor: State | None = None) -> Action:
    return Action(effects, next_state, next_state if acceptor is None else acceptor)


_E, _S = Effect, State
ACTIONS: Final = {
    "AE1": _action(_S.Sta4, _E.CONNECT),
    "AE2": _action(_S.Sta5, _E.SEND_A_ASSOCIATE_RQ),
    "AE3": _action(_S.Sta6, _E.CONFIRM_ACCEPTANCE),
    "AE4": _action(_S.Sta1, _E.CONFIRM_REJECTION, _E.CLOSE),
    "AE5": _action(_S.Sta2, _E.START_ARTIM),
    # A request that is not acceptable is rejected by its owner: AE-8, the same bytes and the same end.
    "AE6": _action(_S.Sta3, _E.STOP_ARTIM, _E.INDICATE_ASSOCIATE),
    "AE7": _action(_S.Sta6, _E.SEND_A_ASSOCIATE_AC),
    "AE8": _action(_S.Sta13, _E.SEND_A_ASSOCIATE_RJ, _E.START_ARTIM),
    "DT1": _action(_S.Sta6, _E.SEND_P_DATA),
    "DT2": _action(_S.Sta6, _E.INDICATE_P_DATA),
    "AR1": _action(_S.Sta7, _E.SEND_A_RELEASE_RQ),
    "AR2": _action(_S.Sta8, _E.INDICATE_RELEASE),
    "AR3": _action(_S.Sta1, _E.CONFIRM_RELEASE, _E.CLOSE),
    "AR4": _action(_S.Sta13, _E.SEND_A_RELEASE_RP, _E.START_ARTIM),
    "AR5": _action(_S.Sta1, _E.STOP_ARTIM),
    "AR6": _action(_S.Sta7, _E.INDICATE_P_DATA),
    "AR7": _action(_S.Sta8, _E.SEND_P_DATA),
    "AR8": _action(_S.Sta9, _E.INDICATE_RELEASE, acceptor=_S.Sta10),
    "AR9": _action(_S.Sta11, _E.SEND_A_RELEASE_RP),
    "AR10": _action(_S.Sta12, _E.CONFIRM_RELEASE),
    "AA1": _action(_S.Sta13, _E.SEND_A_ABORT, _E.START_ARTIM),
    "AA2": _action(_S.Sta1, _E.STOP_ARTIM, _E.CLOSE),
    "AA3": _action(_S.Sta1, _E.INDICATE_ABORT, _E.CLOSE),
    "AA4": _action(_S.Sta1, _E.INDICATE_P_ABORT),
    "AA5": _action(_S.Sta1, _E.STOP_ARTIM),
    "AA6": _action(_S.Sta13),
    "AA7": _action(_S.Sta13, _E.SEND_A_ABORT),
    "AA8": _action(_S.Sta13, _E.SEND_A_ABORT, _E.INDICATE_P_ABORT, _E.START_ARTIM),
}


class Transition(NamedTuple):
    """One cell of the grid for one role."""

    action: str
    effects: tuple[Effect, ...]
    next_state: State


def _read_grid(role: Role) -> dict[tuple[State, Event], Transition]:
    cells = {}
    for row in GRID.strip().splitlines()[1:]:
        number, *names = row.split()
        for state, name in zip(State, names, strict=True):
            if name != ".":
                action = ACTIONS[name]
                after = action.requestor if role is Role.REQUESTOR else action.acceptor
                cells[state, Event(int(number))] = Transition(name, action.effects, after)
    return cells


_CELLS: Final = {role: _read_grid(role) for role in Role}


def transition(role: Role, state: State, event: Event) -> Transition | None:
    """The cell of Table 9-10, or None where it is empty."""
    return _CELLS[role].get((state, event))


def _states(event: Event, effect: Effect) -> frozenset[State]:
    cells = _CELLS[Role.REQUESTOR]
    return frozenset(s for (s, e), cell in cells.items() if e is event and effect in cell.effects)


# Where P-DATA may come and go without an action of its own: read off the grid for the hot path.
DATA_INDICATED: Final = _states(Event.P_DATA_TF_RECEIVED, Effect.INDICATE_P_DATA)
DATA_ALLOWED: Final = _states(Event.P_DATA_REQUEST, Effect.SEND_P_DATA)
