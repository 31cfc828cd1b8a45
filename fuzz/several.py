"""Fuzzes associations of several legs, hostile on any end: `python -m fuzz.several --seconds 60`.

An input is who calls whom, then one step after the other: bytes or a phrase from one of the ends, whole or in
pieces, an AE that answers, or something that befalls connections and moves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from fuzz import driver
from tests.relay import wire
from tests.relay.playbook import INBOUND
from tests.relay.several import COMMIT, ECHO, FIND, GET, MOVE, SETTINGS, STORE, Several
from tests.relay.wire import Given, command, fragment, p_data, pdv
from ulproxy.relay.effects import End, Timer

# (0010,4000), which no relay changes; behind a Transaction UID.
REMARK: Final = bytes.fromhex("1000004008000000")
COMMENT: Final = REMARK + b"a remark"
RESULT: Final = bytes.fromhex("0800951106000000") + b"1.2.3\0" + COMMENT
ENDS: Final = (INBOUND, *(End.leg(number) for number in range(1, 7)))


def stored(
    number: int, originator: tuple[str, int] | None = None, instance: str = "1.2.3"
) -> bytes:
    return command(STORE, wire.store_rq(number, instance, originator=originator))


def answer(context_id: int, field: int, status: int = 0, number: int = 1) -> bytes:
    return command(context_id, wire.response(field, number, None, status))


def numbered(number: int) -> bytes:
    return REMARK + f"{number:8d}".encode()


_REPORT: Final = wire.request(wire.N_EVENT_REPORT, 1, wire.COMMITMENT, data=True)
_FOUND: Final = wire.response(wire.C_FIND, 1, None, 0xFF00, data=True)
_FAILED: Final = wire.response(wire.C_MOVE, 1, None, 0xB000, data=True)
PHRASES: Final = (
    stored(1, ("HOSP_A", 5)),
    stored(2, ("HOSP_A", 0xFFFF)),
    stored(1),
    stored(1, ("HOSP_A", 77)),
    stored(2, ("HOSP_A", 0xFFFE)),
    stored(1, ("PACS", 5), "../1"),
    fragment(STORE, COMMENT),
    fragment(STORE, COMMENT, last=False),
    p_data(pdv(STORE, 0, COMMENT), pdv(STORE, 0, b""), pdv(STORE, 2, COMMENT)),
    *(stored(1) + fragment(STORE, numbered(number)) for number in range(3)),
    answer(STORE, wire.C_STORE),
    answer(STORE, wire.C_STORE, 0xA700, 2),
    command(COMMIT, _REPORT) + fragment(COMMIT, RESULT),
    answer(COMMIT, wire.N_EVENT_REPORT),
    command(ECHO, wire.echo_rq(1)),
    answer(ECHO, wire.C_ECHO),
    command(FIND, wire.find_rq(1)) + fragment(FIND, COMMENT),
    *(command(FIND, _FOUND) + fragment(FIND, numbered(number)) for number in range(2)),
    answer(FIND, wire.C_FIND),
    answer(FIND, wire.C_FIND, 0xA700),
    command(FIND, wire.cancel_rq(1)),
    command(MOVE, wire.move_rq(1, "WS1")) + fragment(MOVE, COMMENT),
    command(MOVE, wire.move_rq(1, "WS3")) + fragment(MOVE, COMMENT),
    command(MOVE, wire.move_rq(1, "WS4")) + fragment(MOVE, COMMENT),
    answer(MOVE, wire.C_MOVE),
    command(MOVE, _FAILED) + fragment(MOVE, bytes.fromhex("0800580004000000312e3200")),
    command(MOVE, wire.cancel_rq(1)),
    command(GET, wire.get_rq(1)) + fragment(GET, COMMENT),
    answer(GET, wire.C_GET),
    command(STORE, wire.request(wire.N_GET, 1, wire.PRINTER)),
    wire.RELEASE_RQ,
    wire.RELEASE_RP,
    wire.abort(0, 0),
    wire.rj(1, 1, 1),
    wire.ac([Given(STORE)]),
    *(wire.rq(one.called, one.calling, one.contexts, 512, one.roles) for one in SETTINGS),
)
_EVENTS: Final[tuple[Callable[[Several], object], ...]] = (
    Several.moves_ended,
    lambda world: world.end_move(cut=False),
    lambda world: world.end_move(cut=True),
    Several.begin_move,
    Several.shut_down,
)
_LENGTHS: Final = (16384, 0, 64, 24)
_TIMERS: Final = tuple(Timer)


def one_input(data: bytes) -> None:
    """Whatever several ends say and whatever befalls them, what tests/relay/several.py asserts holds."""
    setting = SETTINGS[data[0] % len(SETTINGS)] if data else SETTINGS[0]
    world = Several(setting)
    length = _LENGTHS[data[0] // len(SETTINGS) % len(_LENGTHS)] if data else 0
    rq = wire.rq(setting.called, setting.calling, setting.contexts, length, setting.roles)
    world.say(INBOUND, rq)
    position = 1
    while position + 2 <= len(data):
        position = _step(world, data, position)
    world.finish()


def _step(world: Several, data: bytes, position: int) -> int:
    """One step; returns where the next one begins."""
    kind, argument = data[position] % 8, data[position + 1]
    end = ENDS[data[position] // 8 % len(ENDS)]
    position += 2
    match kind:
        case 0:
            world.say(end, data[position : position + argument])
            return position + argument
        case 1:
            _EVENTS[argument % len(_EVENTS)](world)
        case 2:
            world.expire(end, _TIMERS[argument % len(_TIMERS)])
        case 3:
            world.lose(end) if argument % 4 == 3 else world.connect(end)
        case 4:
            _serve(world, end, argument)
        case 5:
            size = max(1, data[position]) if position < len(data) else 1
            position += 1
            phrase = PHRASES[argument % len(PHRASES)]
            for start in range(0, len(phrase), size):
                world.say(end, phrase[start : start + size])
        case _:
            world.say(end, PHRASES[argument % len(PHRASES)])
    return position


def _serve(world: Several, end: End, how: int) -> None:
    """An AE is connected to and accepts: all but one context perhaps, in one of the transfer syntaxes."""
    world.connect(end)
    if end is INBOUND or end not in world.ends:
        return
    proposed = world.proposed(end)
    given = [
        Given(context_id, 3 * (number == how // 16), syntaxes[how % len(syntaxes)])
        for number, (context_id, syntaxes) in enumerate(proposed, 1)
        if syntaxes
    ]
    world.say(end, wire.ac(given, _LENGTHS[how // 4 % len(_LENGTHS)]))


if __name__ == "__main__":
    sys.exit(driver.main(one_input, "several"))
