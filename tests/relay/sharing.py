"""An archive that calls the title which WS3, WS4 and WS5 share, while something is moved to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.relay import hospital, wire
from tests.relay.archives import STORING
from tests.relay.playbook import (
    INBOUND,
    Check,
    Input,
    Playbook,
    Quietly,
    accepted,
    connected,
    data,
    quietly,
)
from tests.relay.wire import RELEASE_RP, Given, command, fragment
from ulproxy.policy.config import parse
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.rules import Policy
from ulproxy.relay.border import Border
from ulproxy.relay.effects import End
from ulproxy.relay.join import Join

AES: Final = """
[[ae]]
title = "WS4"
network = "inside"
address = "10.1.0.5:104"
associations = 1
[[ae]]
title = "WS5"
network = "inside"
address = "10.1.0.6:104"
"""
RULES: Final = """
[[rule]]
from = ["WS1", "WS3", "WS4", "WS5"]
to = ["ARCHIVE"]
services = ["move", "commitment"]
destinations = ["WS3", "WS4", "WS5"]
[[rule]]
from = ["network:inside"]
to = ["ARCHIVE"]
services = ["echo"]
"""
WS3: Final = hospital.endpoint("WS3")
WS4, WS5 = Endpoint("10.1.0.5", 104), Endpoint("10.1.0.6", 104)
LEGS: Final = tuple(End.leg(n) for n in range(1, 9))
FIRST, SECOND, THIRD, FOURTH = LEGS[:4]
RQ: Final = wire.rq("HOSP_A", "PACS", STORING)
AC: Final = wire.ac([Given(1), Given(3)])
OBJECT: Final = fragment(1, b"begin!", last=False) + fragment(1, b"end.")
# Both say 5: the second one is told to the archive by another Message ID.
TO_WS3: Final = ("WS3", "WS3", 5)
TO_WS4: Final = ("WS4", "WS4", 5)
MOVE_3, MOVE_4 = ("HOSP_A", 5), ("HOSP_A", 0xFFFF)


def border(
    *moves: tuple[str, str, int], limits: str = "", old: str = "", new: str = ""
) -> Callable[[], Border]:
    """A border where these C-MOVEs are open: caller, destination, Message ID.

    In its file each `old` has become `new`.
    """
    head = f'[relay]\ntitle = "HOSP_A"\n[limits]\n{limits}\n'
    text = head + hospital.LISTENERS + hospital.AES + AES + hospital.RULES + RULES
    text = text.replace(old, new) if old else text

    def made() -> Border:
        one = Border(Policy(parse(text)))
        for caller, destination, message_id in moves:
            opened(one, caller, destination, message_id)
        return one

    return made


def opened(one: Border, caller: str, destination: str, message_id: int) -> int:
    """Opens another one; returns the Message ID that the archive is told."""
    names = one.policy.names
    ae, target = one.policy.ae(caller), one.policy.ae(destination)
    assert ae is not None
    assert target is not None
    shown = names.shown(ae, "outside")
    wanted = hospital.a_move(
        caller, "ARCHIVE", destination, shown, message_id, names.shown(target, "outside")
    )
    return one.moves.open(wanted, ()).onward_message_id


def closed(one: Border, destination: str, *, cut: bool) -> None:
    for move in one.moves.at("ARCHIVE"):
        if move.destination == destination:
            one.moves.close(move, cut=cut)


def ends(destination: str, *, cut: bool = False) -> Check:
    """The C-MOVE to this AE is over; `cut` = cancelled, or its association is gone."""

    def end(_: Join, one: Border) -> None:
        closed(one, destination, cut=cut)

    return Check(f"the move to {destination} ends", end, None)


def begins(caller: str, destination: str, message_id: int, told: int) -> Check:
    """Another one is opened, which the archive is told by this Message ID."""
    return Check(
        f"a move to {destination} begins",
        lambda _, one: opened(one, caller, destination, message_id),
        told,
    )


def answers(leg: End, ac: bytes = AC) -> tuple[Input, Input]:
    """The onward connection stands, and its AE accepts."""
    return connected(leg), data(leg, ac)


def probed(*legs: End, ac: bytes = AC) -> Quietly:
    """Where there are several, each is released as soon as it has answered."""
    asked = [answers(leg, ac) for leg in legs]
    left = [data(leg, RELEASE_RP) for leg in legs] if len(legs) > 1 else []
    return quietly(accepted(), data(INBOUND, RQ), *(one for pair in asked for one in pair), *left)


def calls(made: Callable[[], Border], rq: bytes = RQ, *, bytewise: bool = True) -> Playbook:
    """The archive has asked for its association."""
    script = Playbook(made, peer=hospital.OUTSIDE, bytewise=bytewise)
    return script >> quietly(accepted(), data(INBOUND, rq))


def standing(made: Callable[[], Border], *legs: End, ac: bytes = AC) -> Playbook:
    """All candidates have accepted, and the archive was."""
    return Playbook(made, peer=hospital.OUTSIDE) >> probed(*legs, ac=ac)


def stored(originator: tuple[str, int] | None, message_id: int = 1, context_id: int = 1) -> bytes:
    sop_class = wire.CT if context_id == 1 else wire.PRIVATE
    return command(
        context_id, wire.store_rq(message_id, sop_class=sop_class, originator=originator)
    )


def done(message_id: int = 1, status: int = 0) -> bytes:
    return command(1, wire.store_rsp(message_id, status))
