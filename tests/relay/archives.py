"""Borders where moves are open, and the associations that archives open for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from tests.relay import hospital, wire
from tests.relay.hospital import CONTEXTS, MOVE
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Playbook,
    Quietly,
    established,
    receive,
    sent,
)
from tests.relay.wire import (
    Asked,
    Given,
    command,
    fragment,
    move_rq,
    us,
)
from ulproxy.relay.border import Border
from ulproxy.relay.join import Join

KEYS = fragment(MOVE, b"keys")
STORING: Final = (Asked(1, wire.CT, (wire.JPEG, wire.IMPLICIT)), Asked(3, wire.PRIVATE))
ADDRESS: Final = {"WS1": "10.1.0.1", "WS2": "10.1.0.2", "WS3": "10.1.0.3", "ASKER": "10.1.0.7"}
MOVING: Final = CONTEXTS[3:4]


def may_move(caller: str) -> Quietly:
    return established(wire.rq("HB_PACS", caller, MOVING), wire.ac([Given(MOVE)]))


class Asks(NamedTuple):
    """A C-MOVE-RQ of a caller, and the Message ID that the archive is told."""

    caller: str
    destination: str
    message_id: int = 5
    onward: int | None = None


def with_moves(*moves: Asks) -> Callable[[], Border]:
    """A border where these are open, each on an association of its own."""

    def border() -> Border:
        made = hospital.border()
        for move in moves:
            join = Join(made, hospital.peer(ADDRESS[move.caller]))
            join.accepted()
            receive(join, INBOUND, wire.rq("HB_PACS", move.caller, MOVING))
            join.connected()
            receive(join, ONWARD, wire.ac([Given(MOVE)]))
            asked = command(MOVE, move_rq(move.message_id, move.destination)) + KEYS
            onward = sent(receive(join, INBOUND, asked), ONWARD)
            message_id = us(move.message_id if move.onward is None else move.onward)
            assert (
                wire.command_set({**move_rq(0, ""), wire.MESSAGE_ID: message_id})[12:28] in onward
            )
            assert b"\x10\x01\x02\0\0\0" + message_id in onward
        return made

    return border


def storing(border: Callable[[], Border], called: str) -> Playbook:
    """The archive calls back, and the association to the destination stands."""
    return Playbook(border, peer=hospital.OUTSIDE) >> established(
        wire.rq(called, "PACS", STORING), wire.ac([Given(1), Given(3)])
    )


def stored(originator: tuple[str, int] | None, message_id: int = 1) -> bytes:
    return command(1, wire.store_rq(message_id, originator=originator))


OBJECT = fragment(1, b"pixels")
REFUSED = command(1, wire.store_rsp(1, 0x0124))

# The archive knows WS3 and ASKER by the relay's title, and both said 5.
RENUMBERED = (Asks("WS3", "WS3", 5), Asks("ASKER", "WS1", 5, 0xFFFF))
