"""An association with one AE: what the log has of it, and what is told where rules are only observed."""

from __future__ import annotations

from tests.relay import hospital, wire
from tests.relay.archives import STORING, Asks, with_moves
from tests.relay.hospital import ECHO, MOVE, RULES
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Playbook,
    accepted,
    connected,
    data,
    established,
    expired,
    logged,
    moving,
    quietly,
    send,
)
from tests.relay.wire import Asked, Given, abort, command, fragment
from ulproxy.policy.config import parse
from ulproxy.policy.rules import Policy
from ulproxy.relay.border import Border
from ulproxy.relay.effects import StartTimer, StopTimer, Timer


def observing(rules: str = RULES) -> Border:
    """A border where everything whose route is known passes."""
    head = '[relay]\ntitle = "HOSP_A"\nenforce = false\n'
    return Border(Policy(parse(head + hospital.LISTENERS + hospital.AES + rules)))


def ended(script: Playbook, **facts: object) -> Playbook:
    """The record of its end has these facts."""
    return (
        script
        >> expired(INBOUND, Timer.IDLE)
        << logged("association ended", **facts)
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, Timer.ARTIM)
        << send(ONWARD, abort(2, 0))
        << StartTimer(ONWARD, Timer.ARTIM)
    )


def test_the_rule_that_lets_it_in_is_named():
    facts = {"caller": "WS1", "callee": "ARCHIVE", "rule": 1, "because": None}
    assert ended(Playbook() >> established(), **facts)


def test_what_else_lets_it_in_is_named():
    script = Playbook(with_moves(Asks("WS1", "WS1")), peer=hospital.OUTSIDE)
    script >>= established(wire.rq("HA_WS1", "PACS", STORING), wire.ac([Given(1), Given(3)]))
    assert ended(script, rule=None, because="an open C-MOVE", callee="WS1")


def test_what_would_be_refused_is_told_and_passes():
    """The context, the message on it, and the destination of a move."""
    contexts = (Asked(ECHO, wire.VERIFICATION), Asked(MOVE, wire.STUDY_MOVE))
    rq = wire.rq("HB_PACS", "MOD1", contexts)
    given = (Given(ECHO), Given(MOVE))
    no_rule = "no rule lets MOD1 use echo, move of ARCHIVE"
    echo, keys = command(ECHO, wire.echo_rq(1)), fragment(MOVE, b"keys")
    script = (
        Playbook(observing, peer=hospital.peer("10.1.0.4"))
        >> quietly(accepted(), data(INBOUND, rq))
        >> quietly(connected())
        >> data(ONWARD, wire.ac(given))
        << StopTimer(ONWARD, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.IDLE)
        << logged("association established", would_be_refused=no_rule, rule=None)
        << send(INBOUND, hospital.relayed_ac("HB_PACS", "MOD1", given))
        >> data(INBOUND, echo)
        << logged("message would be refused", why="no rule lets MOD1 ask ARCHIVE for 0030H")
        << send(ONWARD, echo)
        >> data(INBOUND, command(MOVE, wire.move_rq(5, "WS2")) + keys)
        << logged("message would be refused", why="no rule lets MOD1 ask ARCHIVE for 0021H")
        << send(ONWARD, command(MOVE, wire.move_rq(5, "HA_WS2")) + keys)
        >> moving("WS2")
    )
    assert ended(script, would_be_refused=no_rule)


def test_a_destination_that_would_be_refused():
    rq = wire.rq("HB_PACS", "WS2", [Asked(MOVE, wire.STUDY_MOVE)])
    keys = fragment(MOVE, b"keys")
    script = Playbook(observing, peer=hospital.peer("10.1.0.2"))
    script >>= established(rq, wire.ac([Given(MOVE)]))
    assert (
        script
        >> data(INBOUND, command(MOVE, wire.move_rq(5, "WS1")) + keys)
        << logged("message would be refused", why="no rule lets WS2 move from ARCHIVE to WS1")
        << send(ONWARD, command(MOVE, wire.move_rq(5, "HA_WS1")) + keys)
        >> data(INBOUND, command(MOVE, wire.move_rq(6, "WS2")) + keys)
        << send(ONWARD, command(MOVE, wire.move_rq(6, "HA_WS2")) + keys)
    )
