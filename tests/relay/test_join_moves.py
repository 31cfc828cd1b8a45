"""C-MOVE: destinations, what is remembered, Message IDs (contract "What each side sees", PS3.7 9.1.4)."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.archives import (
    ADDRESS,
    KEYS,
    MOVING,
    RENUMBERED,
    may_move,
    with_moves,
)
from tests.relay.hospital import MOVE
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Playbook,
    counted,
    data,
    established,
    logged,
    lost,
    moving,
    quietly,
    send,
)
from tests.relay.wire import (
    Given,
    abort,
    command,
    move_rq,
    us,
)


@pytest.mark.parametrize(
    ("caller", "destination", "shown"),
    [
        ("WS1", "WS1", "HA_WS1"),
        ("WS1", "WS2", "HA_WS2"),
        ("WS3", "WS3", "HOSP_A"),
        ("ASKER", "WS1", "HA_WS1"),
        ("WS1", " WS1 ", "HA_WS1"),  # spaces around a title do not signify
    ],
)
def test_a_move_destination_becomes_what_the_archive_calls_it(caller, destination, shown):
    pending = wire.response(wire.C_MOVE, 5, wire.STUDY_MOVE, 0xFF00, more={wire.REMAINING: us(9)})
    final = wire.response(wire.C_MOVE, 5, wire.STUDY_MOVE)
    assert (
        Playbook(peer=hospital.peer(ADDRESS[caller]))
        >> may_move(caller)
        >> data(INBOUND, command(MOVE, move_rq(5, destination)) + KEYS)
        << send(ONWARD, command(MOVE, move_rq(5, shown)) + KEYS)
        >> moving(destination.strip())
        >> data(ONWARD, command(MOVE, pending))
        << send(INBOUND, command(MOVE, pending))
        >> moving(destination.strip())
        >> data(ONWARD, command(MOVE, final))
        << send(INBOUND, command(MOVE, final))
        >> moving()
    )


def test_within_a_network_a_destination_keeps_its_title():
    script = Playbook() >> established(wire.rq("MINI", "WS1", MOVING), wire.ac([Given(MOVE)]))
    asked = command(MOVE, move_rq(5, "WS1")) + KEYS
    assert script >> data(INBOUND, asked) << send(ONWARD, asked) >> moving("WS1", archive="MINI")


@pytest.mark.parametrize(
    "how", [data(INBOUND, abort(0, 0)), data(ONWARD, abort(0, 0)), lost(INBOUND), lost(ONWARD)]
)
def test_a_move_ends_with_its_association(how):
    script = Playbook() >> may_move("WS1")
    script >>= quietly(data(INBOUND, command(MOVE, move_rq(5, "WS2")) + KEYS))
    assert script >> moving("WS2") >> quietly(how) >> moving() >> counted(0)


def test_a_cancelled_move_is_open_until_its_final_response():
    cancelled = wire.response(wire.C_MOVE, 5, wire.STUDY_MOVE, 0xFE00)
    assert (
        Playbook()
        >> may_move("WS1")
        >> quietly(data(INBOUND, command(MOVE, move_rq(5, "WS1")) + KEYS))
        >> data(INBOUND, command(MOVE, wire.cancel_rq(5)))
        << send(ONWARD, command(MOVE, wire.cancel_rq(5)))
        >> moving("WS1")
        >> data(ONWARD, command(MOVE, cancelled))
        << send(INBOUND, command(MOVE, cancelled))
        >> moving()
    )


# Equal Message IDs behind equal titles


def test_a_move_that_would_look_like_another_is_renumbered():
    """The archive knows WS3 and ASKER by the relay's title; Message IDs are set back everywhere."""
    pending = wire.response(wire.C_MOVE, 0xFFFF, wire.STUDY_MOVE, 0xFF00)
    final = wire.response(wire.C_MOVE, 0xFFFF, wire.STUDY_MOVE)
    assert (
        Playbook(with_moves(RENUMBERED[0]), peer=hospital.peer(ADDRESS["ASKER"]))
        >> may_move("ASKER")
        >> data(INBOUND, command(MOVE, move_rq(5, "WS1")) + KEYS)
        << send(ONWARD, command(MOVE, move_rq(0xFFFF, "HA_WS1")) + KEYS)
        >> moving("WS1", "WS3")
        >> data(ONWARD, command(MOVE, pending))
        << send(INBOUND, command(MOVE, {**pending, wire.RESPONDED_TO: us(5)}))
        >> data(INBOUND, command(MOVE, wire.cancel_rq(0xFFFF)))
        << logged("message dropped")
        >> data(INBOUND, command(MOVE, wire.cancel_rq(5)))
        << send(ONWARD, command(MOVE, wire.cancel_rq(0xFFFF)))
        >> data(ONWARD, command(MOVE, {**final, wire.RESPONDED_TO: us(5)}))
        << logged("message dropped")
        >> data(ONWARD, command(MOVE, final))
        << send(INBOUND, command(MOVE, {**final, wire.RESPONDED_TO: us(5)}))
        >> moving("WS3")
    )


def test_two_moves_of_one_caller_with_the_same_message_id():
    first, second = command(MOVE, move_rq(5, "HA_WS1")), command(MOVE, move_rq(0xFFFF, "HA_WS2"))
    final = wire.response(wire.C_MOVE, 5, wire.STUDY_MOVE)
    assert (
        Playbook()
        >> may_move("WS1")
        >> data(INBOUND, command(MOVE, move_rq(5, "WS1")) + KEYS)
        << send(ONWARD, first + KEYS)
        >> data(INBOUND, command(MOVE, move_rq(5, "WS2")) + KEYS)
        << send(ONWARD, second + KEYS)
        >> data(ONWARD, command(MOVE, {**final, wire.RESPONDED_TO: us(0xFFFF)}))
        << send(INBOUND, command(MOVE, final))
        >> moving("WS1")
        >> data(ONWARD, command(MOVE, final))
        << send(INBOUND, command(MOVE, final))
        >> moving()
    )
