"""A second transcription of PS3.8 Tables 9-6 to 9-10, in another shape than the one under test.

Event by event, each row of Table 9-10 names its actions and the states they stand in; the actions are
sentences of the standard; where they lead is listed state by state. Nothing here reads ulproxy's grid.
"""

from __future__ import annotations

from typing import Final

from ulproxy.pdu.fsm import Effect, Event, Role, State

_ESTABLISHED: Final = (6, 7, 8, 9, 10, 11, 12)

ROWS: Final[dict[int, dict[str, tuple[int, ...]]]] = {
    1: {"AE-1": (1,)},
    2: {"AE-2": (4,)},
    3: {"AA-1": (2,), "AA-8": (3, *_ESTABLISHED), "AE-3": (5,), "AA-6": (13,)},
    4: {"AA-1": (2,), "AA-8": (3, *_ESTABLISHED), "AE-4": (5,), "AA-6": (13,)},
    5: {"AE-5": (1,)},
    6: {"AE-6": (2,), "AA-8": (3, 5, *_ESTABLISHED), "AA-7": (13,)},
    7: {"AE-7": (3,)},
    8: {"AE-8": (3,)},
    9: {"DT-1": (6,), "AR-7": (8,)},
    10: {
        "AA-1": (2,),
        "DT-2": (6,),
        "AR-6": (7,),
        "AA-8": (3, 5, 8, 9, 10, 11, 12),
        "AA-6": (13,),
    },
    11: {"AR-1": (6,)},
    12: {
        "AA-1": (2,),
        "AR-2": (6,),
        "AR-8": (7,),
        "AA-8": (3, 5, 8, 9, 10, 11, 12),
        "AA-6": (13,),
    },
    13: {
        "AA-1": (2,),
        "AR-3": (7, 11),
        "AR-10": (10,),
        "AA-8": (3, 5, 6, 8, 9, 12),
        "AA-6": (13,),
    },
    14: {"AR-4": (8, 12), "AR-9": (9,)},
    15: {"AA-1": (3, 5, *_ESTABLISHED), "AA-2": (4,)},
    16: {"AA-2": (2, 13), "AA-3": (3, 5, *_ESTABLISHED)},
    17: {"AA-5": (2,), "AA-4": (3, 4, 5, *_ESTABLISHED), "AR-5": (13,)},
    18: {"AA-2": (2, 13)},
    19: {"AA-1": (2,), "AA-8": (3, 5, *_ESTABLISHED), "AA-7": (13,)},
}

CELLS: Final = {
    (State(state), Event(event)): action
    for event, row in ROWS.items()
    for action, states in row.items()
    for state in states
}

# Tables 9-6 (AE), 9-7 (DT), 9-8 (AR) and 9-9 (AA), in their order and words.
SENTENCES: Final = {
    "AE-1": "issue transport connect request",
    "AE-2": "send A-ASSOCIATE-RQ",
    "AE-3": "issue A-ASSOCIATE confirmation (accept)",
    "AE-4": "issue A-ASSOCIATE confirmation (reject); close transport connection",
    "AE-5": "start ARTIM",
    "AE-6": "stop ARTIM; issue A-ASSOCIATE indication",
    "AE-7": "send A-ASSOCIATE-AC",
    "AE-8": "send A-ASSOCIATE-RJ; start ARTIM",
    "DT-1": "send P-DATA-TF",
    "DT-2": "issue P-DATA indication",
    "AR-1": "send A-RELEASE-RQ",
    "AR-2": "issue A-RELEASE indication",
    "AR-3": "issue A-RELEASE confirmation; close transport connection",
    "AR-4": "send A-RELEASE-RP; start ARTIM",
    "AR-5": "stop ARTIM",
    "AR-6": "issue P-DATA indication",
    "AR-7": "send P-DATA-TF",
    "AR-8": "issue A-RELEASE indication",
    "AR-9": "send A-RELEASE-RP",
    "AR-10": "issue A-RELEASE confirmation",
    "AA-1": "send A-ABORT; start ARTIM",
    "AA-2": "stop ARTIM; close transport connection",
    "AA-3": "issue A-ABORT indication; close transport connection",
    "AA-4": "issue A-P-ABORT indication",
    "AA-5": "stop ARTIM",
    "AA-6": "",
    "AA-7": "send A-ABORT",
    "AA-8": "send A-ABORT; issue A-P-ABORT indication; start ARTIM",
}

_WORDS: Final = {
    "issue transport connect request": Effect.CONNECT,
    "close transport connection": Effect.CLOSE,
    "start ARTIM": Effect.START_ARTIM,
    "stop ARTIM": Effect.STOP_ARTIM,
    "send A-ASSOCIATE-RQ": Effect.SEND_A_ASSOCIATE_RQ,
    "send A-ASSOCIATE-AC": Effect.SEND_A_ASSOCIATE_AC,
    "send A-ASSOCIATE-RJ": Effect.SEND_A_ASSOCIATE_RJ,
    "send P-DATA-TF": Effect.SEND_P_DATA,
    "send A-RELEASE-RQ": Effect.SEND_A_RELEASE_RQ,
    "send A-RELEASE-RP": Effect.SEND_A_RELEASE_RP,
    "send A-ABORT": Effect.SEND_A_ABORT,
    "issue A-ASSOCIATE indication": Effect.INDICATE_ASSOCIATE,
    "issue A-ASSOCIATE confirmation (accept)": Effect.CONFIRM_ACCEPTANCE,
    "issue A-ASSOCIATE confirmation (reject)": Effect.CONFIRM_REJECTION,
    "issue P-DATA indication": Effect.INDICATE_P_DATA,
    "issue A-RELEASE indication": Effect.INDICATE_RELEASE,
    "issue A-RELEASE confirmation": Effect.CONFIRM_RELEASE,
    "issue A-ABORT indication": Effect.INDICATE_ABORT,
    "issue A-P-ABORT indication": Effect.INDICATE_P_ABORT,
}

EFFECTS: Final = {
    action: tuple(_WORDS[words] for words in sentence.split("; ") if words)
    for action, sentence in SENTENCES.items()
}

# The state that each of them ends in; AR-8 is the one that asks who called.
_LEADS_TO: Final = {
    1: "AE-4 AR-3 AR-5 AA-2 AA-3 AA-4 AA-5",
    2: "AE-5",
    3: "AE-6",
    4: "AE-1",
    5: "AE-2",
    6: "AE-3 AE-7 DT-1 DT-2",
    7: "AR-1 AR-6",
    8: "AR-2 AR-7",
    11: "AR-9",
    12: "AR-10",
    13: "AE-8 AR-4 AA-1 AA-6 AA-7 AA-8",
}
_NEXT: Final = {
    action: State(state) for state, actions in _LEADS_TO.items() for action in actions.split()
}


def next_state(role: Role, action: str) -> State:
    """Where `action` leads (Tables 9-6 to 9-9)."""
    if action == "AR-8":
        return State.Sta9 if role is Role.REQUESTOR else State.Sta10
    return _NEXT[action]
