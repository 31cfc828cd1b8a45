"""Fuzzes two joined associations with two hostile ends: `python -m fuzz.join --seconds 60`.

An input is who calls whom, then one step after the other: bytes or a phrase from either end, whole or in
pieces, or something that befalls the connections. Phrases are there so that damage comes past the first PDU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from fuzz import driver
from tests.relay import wire
from tests.relay.hospital import ACCEPTED, CONTEXTS, ECHO, FIND, GET, MOVE, STORE
from tests.relay.playbook import INBOUND, ONWARD
from tests.relay.wire import command, fragment, p_data, pdv
from tests.relay.world import SETTINGS, World
from ulproxy.relay.effects import Timer

ROLE: Final = wire.role(wire.CT, 1, 1)
# (0010,4000), which no relay changes.
COMMENT: Final = bytes.fromhex("1000004008000000") + b"a remark"
_PENDING: Final = wire.response(wire.C_FIND, 1, None, 0xFF00, data=True)
_MOVED: Final = wire.response(wire.C_MOVE, 5, None, more={wire.ERROR_COMMENT: b"inside"})
PHRASES: Final = (
    *(wire.rq(one.called, one.calling, CONTEXTS, 512, [ROLE]) for one in SETTINGS),
    wire.ac(ACCEPTED, 512, [ROLE]),
    wire.ac(ACCEPTED[1:2], 0),
    wire.RELEASE_RQ,
    wire.RELEASE_RP,
    wire.abort(0, 0),
    wire.abort(2, 3),
    wire.rj(1, 1, 1),
    command(ECHO, wire.echo_rq(1)),
    command(ECHO, wire.echo_rsp(1)),
    command(STORE, wire.store_rq(1)),
    command(STORE, wire.store_rq(1, originator=("HA_WS1", 5))),
    command(STORE, wire.store_rq(1, originator=("PACS", 5))),
    command(STORE, wire.store_rq(1, "../1")),
    command(STORE, wire.store_rsp(1)),
    fragment(STORE, COMMENT),
    fragment(STORE, COMMENT, last=False),
    p_data(pdv(STORE, 0, COMMENT), pdv(STORE, 0, b""), pdv(STORE, 2, COMMENT)),
    command(FIND, wire.find_rq(1)),
    fragment(FIND, COMMENT),
    command(FIND, _PENDING) + fragment(FIND, COMMENT),
    command(FIND, wire.response(wire.C_FIND, 1, None)),
    command(FIND, wire.cancel_rq(1)),
    command(MOVE, wire.move_rq(5, "WS1")) + fragment(MOVE, COMMENT),
    command(MOVE, wire.move_rq(5, "WS2")) + fragment(MOVE, COMMENT),
    command(MOVE, wire.move_rq(5, "NOBODY")) + fragment(MOVE, COMMENT),
    command(MOVE, _MOVED),
    command(MOVE, {**_MOVED, wire.RESPONDED_TO: wire.us(0xFFFF)}),
    command(GET, wire.get_rq(1)) + fragment(GET, COMMENT),
    command(GET, wire.response(wire.C_GET, 1, None)),
    command(STORE, wire.request(wire.N_GET, 1, wire.PRINTER)),
    wire.commands_of(ECHO, wire.command_set(wire.echo_rq(2)), 8),
)
_EVENTS: Final[tuple[Callable[[World], None], ...]] = (
    World.connect,
    lambda world: world.lose(INBOUND),
    lambda world: world.lose(ONWARD),
    World.shut_down,
    World.end_move,
)
_TIMERS: Final = tuple((end, timer) for end in (INBOUND, ONWARD) for timer in Timer)


def one_input(data: bytes) -> None:
    """Whatever two ends say and whatever befalls them, what tests/relay/world.py asserts holds."""
    world = World(SETTINGS[data[0] % len(SETTINGS)] if data else SETTINGS[0])
    position = 1
    while position + 2 <= len(data):
        position = _step(world, data, position)
    world.finish()


def _step(world: World, data: bytes, position: int) -> int:
    """One step; returns where the next one begins."""
    kind, argument = data[position] % 8, data[position + 1]
    position += 2
    end = ONWARD if kind & 1 else INBOUND
    match kind:
        case 0 | 1:
            world.say(end, data[position : position + argument])
            return position + argument
        case 2 | 3:
            world.say(end, PHRASES[argument % len(PHRASES)])
        case 4:
            _EVENTS[argument % len(_EVENTS)](world)
        case 5:
            world.expire(*_TIMERS[argument % len(_TIMERS)])
        case _:
            size = max(1, data[position]) if position < len(data) else 1
            position += 1
            phrase = PHRASES[argument % len(PHRASES)]
            for start in range(0, len(phrase), size):
                world.say(end, phrase[start : start + size])
    return position


if __name__ == "__main__":
    sys.exit(driver.main(one_input, "join"))
