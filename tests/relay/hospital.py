"""The border of the tests: two networks and who lives on them, and what their associations look like."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from tests.relay import wire
from tests.relay.wire import Asked, Given
from ulproxy import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from ulproxy.policy.config import parse
from ulproxy.policy.decision import Peer
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.rules import Policy
from ulproxy.relay.border import Border
from ulproxy.relay.store import OpenMove

LISTENERS: Final = """
[[listener]]
network = "inside"
bind = "127.0.0.1:11112"
[[listener]]
network = "outside"
bind = "127.0.0.1:2762"
"""
AES: Final = """
[[ae]]
title = "WS1"
network = "inside"
address = "10.1.0.1:104"
alias = "HA_WS1"
[[ae]]
title = "WS2"
network = "inside"
address = "10.1.0.2:104"
alias = "HA_WS2"
associations = 2
[[ae]]
title = "WS3"           # shares the relay's title
network = "inside"
address = "10.1.0.3:104"
[[ae]]
title = "MOD1"
network = "inside"
address = "10.1.0.4:104"
alias = "HA_MOD1"
[[ae]]
title = "MINI"          # an archive on the callers' own network
network = "inside"
address = "10.1.0.9:104"
[[ae]]
title = "ASKER"         # only calls
network = "inside"
sources = ["10.1.0.0/24"]
[[ae]]
title = "PACS"
network = "outside"
address = "10.2.0.1:104"
alias = "HB_PACS"
name = "ARCHIVE"
associations = 3
[[ae]]
title = "OLD"
network = "outside"
address = "10.2.0.2:104"
alias = "HB_OLD"
omit = ["async-operations", "role-selection", "sop-class-extended", "sop-class-common-extended",
        "user-identity", "implementation-version-name"]
"""
RULES: Final = """
[[rule]]
from = ["WS1"]
to = ["ARCHIVE"]
services = ["echo", "find", "move", "get", "store", "print"]
destinations = ["WS1", "WS2"]
[[rule]]
from = ["WS2", "WS3"]
to = ["ARCHIVE"]
services = ["echo", "move"]
[[rule]]
from = ["MOD1"]
to = ["ARCHIVE"]
services = ["store", "worklist", "mpps", "commitment", "other"]
[[rule]]
from = ["WS1"]
to = ["OLD"]
services = ["store", "get"]
[[rule]]
from = ["WS1"]
to = ["MINI"]
services = ["echo", "store", "move"]
[[rule]]
from = ["ASKER"]        # shares the relay's title too, and moves to another
to = ["ARCHIVE"]
services = ["move"]
destinations = ["WS1"]
[[rule]]
from = ["ARCHIVE"]
to = ["WS2", "MINI"]
services = ["store"]
"""

CONTEXTS: Final = (
    Asked(1, wire.VERIFICATION, (wire.IMPLICIT,)),
    Asked(3, wire.CT, (wire.IMPLICIT, wire.JPEG)),
    Asked(5, wire.STUDY_FIND, (wire.IMPLICIT,)),
    Asked(7, wire.STUDY_MOVE, (wire.IMPLICIT,)),
    Asked(9, wire.STUDY_GET, (wire.IMPLICIT,)),
)
ECHO, STORE, FIND, MOVE, GET = (context.context_id for context in CONTEXTS)
ACCEPTED: Final = tuple(Given(context.context_id) for context in CONTEXTS)


def policy(limits: str = "", rules: str = RULES, aes: str = AES) -> Policy:
    head = f'[relay]\ntitle = "HOSP_A"\n[limits]\n{limits}\n'
    return Policy(parse(head + LISTENERS + aes + rules))


def border(limits: str = "", rules: str = RULES) -> Border:
    return Border(policy(limits, rules))


def endpoint(name: str) -> Endpoint:
    """Where the relay calls an AE."""
    ae = policy().ae(name)
    assert ae is not None
    assert ae.address is not None
    return ae.address


def peer(address: str = "10.1.0.1", network: str = "inside") -> Peer:
    return Peer(network, ip_address(address))


OUTSIDE: Final = peer("10.2.0.1", "outside")


def relayed_rq(
    called: str,
    calling: str,
    contexts: tuple[Asked, ...] = CONTEXTS,
    maximum_length: int = 16384,
    extras: tuple[bytes, ...] = (),
    version_name: str | None = IMPLEMENTATION_VERSION_NAME,
) -> bytes:
    """What the callee gets: the same, under the relay's implementation identification."""
    information = wire.user_information(
        maximum_length, IMPLEMENTATION_CLASS_UID, version_name, extras
    )
    return wire.associate(1, wire.titles(called, calling), contexts, information)


def relayed_ac(
    called: str,
    calling: str,
    contexts: tuple[Given, ...] = ACCEPTED,
    maximum_length: int = 16384,
    extras: tuple[bytes, ...] = (),
) -> bytes:
    """What the caller gets: its own titles back, the callee's answers, the relay's identification."""
    information = wire.user_information(
        maximum_length, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, extras
    )
    return wire.associate(2, wire.titles(called, calling), contexts, information)


RQ: Final = wire.rq("HB_PACS", "WS1", CONTEXTS)
AC: Final = wire.ac(ACCEPTED)


def a_move(
    caller: str,
    archive: str,
    destination: str,
    shown_caller: str,
    message_id: int,
    shown_destination: str = "",
) -> OpenMove:
    """A C-MOVE as it would go on if no other one were open."""
    shown = shown_destination or f"HA_{destination}"
    return OpenMove(caller, archive, destination, shown_caller, message_id, message_id, shown)
