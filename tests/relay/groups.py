"""A group of archives, and what its members and its callers say.

PACS has an alias, PACS2 is behind the relay's title, MINI lives where the callers live.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.relay import hospital, wire
from tests.relay.hospital import CONTEXTS, FIND
from tests.relay.playbook import (
    INBOUND,
    Input,
    Logged,
    Playbook,
    Quietly,
    accepted,
    connected,
    data,
    logged,
    quietly,
)
from tests.relay.wire import Given, command, fragment, us
from ulproxy.policy.config import parse
from ulproxy.policy.rules import Policy
from ulproxy.relay.border import Border
from ulproxy.relay.effects import End

AES: Final = """
[[ae]]
title = "PACS2"
network = "outside"
address = "10.2.0.3:104"
associations = 2
[[group]]
title = "ALL"
members = ["ARCHIVE", "PACS2"]
[[group]]
title = "EVERY"
members = ["ARCHIVE", "PACS2", "MINI"]
"""
RULES: Final = """
[[rule]]
from = ["WS1", "WS3"]
to = ["EVERY"]
services = ["echo", "find", "move", "get"]
destinations = ["WS1", "WS2"]
[[rule]]
from = ["WS2"]          # may query one of them, and verify both
to = ["ARCHIVE"]
services = ["echo", "find"]
[[rule]]
from = ["WS2"]
to = ["PACS2"]
services = ["echo"]
[[rule]]
from = ["ALL"]          # storage of their own accord, and echo
to = ["WS1"]
services = ["store", "echo"]
"""
LEGS: Final = tuple(End.leg(n) for n in range(1, 9))
FIRST, SECOND, THIRD, FOURTH = LEGS[:4]
ROLE: Final = wire.role(wire.CT, 1, 1)
ALL: Final = tuple(Given(context.context_id) for context in CONTEXTS)
AC: Final = wire.ac(ALL, extras=[ROLE])
RQ: Final = wire.rq("ALL", "WS1", CONTEXTS, extras=[ROLE])
RETRIEVE: Final = bytes.fromhex("08005400")  # (0008,0054) Retrieve AE Title
FAILED_LIST: Final = bytes.fromhex("08005800")  # (0008,0058) Failed SOP Instance UID List
KEYS: Final = fragment(FIND, RETRIEVE + bytes(4))


def border(
    limits: str = "", rules: str = RULES, aes: str = AES, title: str = "HOSP_A"
) -> Callable[[], Border]:
    """A border with these groups; `title` is the relay's own."""
    head = f'[relay]\ntitle = "{title}"\n[limits]\n{limits}\n'

    def made() -> Border:
        text = head + hospital.LISTENERS + hospital.AES + aes + hospital.RULES + rules
        return Border(Policy(parse(text)))

    return made


def calls(rq: bytes = RQ) -> Quietly:
    """The caller has asked for its association."""
    return quietly(accepted(), data(INBOUND, rq))


def answers(leg: End, ac: bytes = AC) -> tuple[Input, Input]:
    """The onward connection stands, and its AE accepts."""
    return connected(leg), data(leg, ac)


def joined(*members: End, rq: bytes = RQ, made: Callable[[], Border] | None = None) -> Playbook:
    """These members have accepted."""
    script = Playbook(made or border()) >> calls(rq)
    return script >> quietly(*(step for leg in members for step in answers(leg)))


def both() -> Playbook:
    return joined(FIRST, SECOND)


def retrieve_ae_title(title: str) -> bytes:
    value = wire.text(title)
    return RETRIEVE + len(value).to_bytes(4, "little") + value


def found(title: str, message_id: int = 1) -> bytes:
    """A pending response of a C-FIND that names where to retrieve from."""
    pending = wire.response(wire.C_FIND, message_id, wire.STUDY_FIND, 0xFF00, data=True)
    return command(FIND, pending) + fragment(FIND, retrieve_ae_title(title))


def find(message_id: int = 1) -> bytes:
    return command(FIND, wire.find_rq(message_id)) + KEYS


def final(field: int, message_id: int = 1, status: int = 0, **counts: int) -> wire.Elements:
    """A final response of a query or retrieve; `counts` are those of its sub-operations."""
    sop_class = {
        wire.C_FIND: wire.STUDY_FIND,
        wire.C_MOVE: wire.STUDY_MOVE,
        wire.C_GET: wire.STUDY_GET,
        wire.C_ECHO: wire.VERIFICATION,
    }[field]
    more = {COUNTS[name]: us(number) for name, number in counts.items()}
    return wire.response(field, message_id, sop_class, status, more=more)


COUNTS: Final = {"remaining": 0x1020, "completed": 0x1021, "failed": 0x1022, "warning": 0x1023}


def failed_list(*uids: str) -> bytes:
    value = wire.uid("\\".join(uids))
    return FAILED_LIST + len(value).to_bytes(4, "little") + value


def in_part(failed: str, members: int = 2, **facts: object) -> Logged:
    """The line of the log that says who did not do what was asked."""
    return logged("group answered in part", failed=failed, members=members, **facts)
