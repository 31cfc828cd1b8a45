"""The title that several share: who is asked before the archive is accepted (contract, PS3.7 9.1.4)."""

from __future__ import annotations

from tests.relay import hospital, wire
from tests.relay.archives import STORING
from tests.relay.playbook import (
    INBOUND,
    Playbook,
    accepted,
    connected,
    counted,
    data,
    expired,
    logged,
    quietly,
    send,
)
from tests.relay.sharing import (
    AC,
    FIRST,
    LEGS,
    MOVE_3,
    MOVE_4,
    OBJECT,
    RQ,
    SECOND,
    THIRD,
    TO_WS3,
    TO_WS4,
    WS3,
    WS4,
    answers,
    border,
    calls,
    done,
    standing,
    stored,
)
from tests.relay.wire import RELEASE_RP, RELEASE_RQ, Given, abort, command
from ulproxy.relay.effects import CloseTransport, OpenTransport, StartTimer, StopTimer, Timer

BOTH = border(TO_WS3, TO_WS4)


def relayed(called: str) -> bytes:
    return hospital.relayed_rq(called, "HB_PACS", STORING)


def test_one_open_move_is_one_leg():
    """It stays, since it is who the archive calls for."""
    assert (
        Playbook(border(TO_WS3), peer=hospital.OUTSIDE)
        >> quietly(accepted())
        >> data(INBOUND, RQ)
        << StopTimer(INBOUND, Timer.ARTIM)
        << OpenTransport(WS3, FIRST)
        << StartTimer(FIRST, Timer.CONNECT)
        >> connected(FIRST)
        << send(FIRST, relayed("WS3"))
        >> data(FIRST, AC)
        << StopTimer(FIRST, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.IDLE)
        << logged("association established", caller="ARCHIVE", callee="WS3")
        << send(INBOUND, hospital.relayed_ac("HOSP_A", "PACS", (Given(1), Given(3))))
        >> data(INBOUND, stored(MOVE_3) + OBJECT)
        << send(FIRST, stored(("WS3", 5)) + OBJECT)
        >> data(FIRST, done())
        << send(INBOUND, done())
        >> counted(1)
    )


def test_of_several_each_is_asked_what_it_accepts_and_let_go():
    """An AE may serve one association at a time; which of them it is for shows with the first C-STORE."""
    assert (
        Playbook(BOTH, peer=hospital.OUTSIDE)
        >> quietly(accepted())
        >> data(INBOUND, RQ)
        << StopTimer(INBOUND, Timer.ARTIM)
        << OpenTransport(WS3, FIRST)
        << StartTimer(FIRST, Timer.CONNECT)
        << OpenTransport(WS4, SECOND)
        << StartTimer(SECOND, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
        >> connected(SECOND)
        << send(SECOND, relayed("WS4"))
        >> data(SECOND, AC)
        << StopTimer(SECOND, Timer.CONNECT)
        << send(SECOND, RELEASE_RQ)
        << StartTimer(SECOND, Timer.RELEASE)
        >> connected(FIRST)
        << send(FIRST, relayed("WS3"))
        >> data(SECOND, RELEASE_RP)
        << StopTimer(SECOND, Timer.RELEASE)
        << CloseTransport(SECOND)
        >> data(FIRST, AC)
        << StopTimer(FIRST, Timer.CONNECT)
        << send(FIRST, RELEASE_RQ)
        << StartTimer(FIRST, Timer.RELEASE)
        << StopTimer(INBOUND, Timer.PATIENCE)
        << StartTimer(INBOUND, Timer.IDLE)
        << logged("association established", caller="ARCHIVE", callee="WS3, WS4")
        << send(INBOUND, hospital.relayed_ac("HOSP_A", "PACS", (Given(1), Given(3))))
        >> data(INBOUND, stored(MOVE_4) + OBJECT[:12])
        << OpenTransport(WS4, THIRD)
        << StartTimer(THIRD, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
    )


# What is proposed the second time: what the archive was accepted, in that transfer syntax.
AGAIN = hospital.relayed_rq(
    "WS4", "HB_PACS", tuple(wire.Asked(c.context_id, c.abstract) for c in STORING)
)


def test_it_is_called_for_the_c_store_that_waits():
    script = standing(BOTH, FIRST, SECOND)
    script >>= quietly(data(INBOUND, stored(MOVE_4) + OBJECT[:12]))
    assert (
        script
        >> connected(THIRD)
        << send(THIRD, AGAIN)
        >> data(INBOUND, OBJECT[12:])
        >> data(THIRD, AC)
        << StopTimer(THIRD, Timer.CONNECT)
        << send(THIRD, stored(("WS4", 5)) + OBJECT)
        >> data(THIRD, done())
        << send(INBOUND, done())
    )


def test_it_is_not_called_before_it_has_left():
    """WS4 has `associations = 1`: what asked it what it accepts counts until then."""
    script = calls(BOTH) >> quietly(*answers(FIRST), *answers(SECOND), data(FIRST, RELEASE_RP))
    assert (
        script
        >> data(INBOUND, stored(MOVE_4) + OBJECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
        >> data(SECOND, RELEASE_RP)
        << StopTimer(SECOND, Timer.RELEASE)
        << OpenTransport(WS4, THIRD)
        << StartTimer(THIRD, Timer.CONNECT)
        << CloseTransport(SECOND)
    )


def test_one_that_does_not_answer_its_release_has_left_too():
    script = calls(BOTH) >> quietly(*answers(FIRST), *answers(SECOND), data(FIRST, RELEASE_RP))
    assert (
        script
        >> quietly(data(INBOUND, stored(MOVE_4) + OBJECT))
        >> expired(SECOND, Timer.RELEASE)
        << send(SECOND, abort(2, 0))
        << StartTimer(SECOND, Timer.ARTIM)
        << OpenTransport(WS4, THIRD)
        << StartTimer(THIRD, Timer.CONNECT)
    )


def test_the_same_one_again_keeps_its_leg():
    script = standing(BOTH, FIRST, SECOND) >> quietly(
        data(INBOUND, stored(MOVE_4) + OBJECT), *answers(THIRD), data(THIRD, done())
    )
    assert (
        script
        >> data(INBOUND, stored(MOVE_4, 2) + OBJECT)
        << send(THIRD, stored(("WS4", 5), 2) + OBJECT)
    )


# The slowest


def test_the_slowest_keeps_the_archive_waiting_no_longer_than_its_patience():
    script = calls(BOTH) >> quietly(*answers(FIRST), data(FIRST, RELEASE_RP), connected(SECOND))
    assert (
        script
        >> expired(INBOUND, Timer.PATIENCE)
        << StopTimer(SECOND, Timer.CONNECT)
        << send(SECOND, abort(2, 0))
        << StartTimer(SECOND, Timer.ARTIM)
        << StopTimer(INBOUND, Timer.PATIENCE)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, hospital.relayed_ac("HOSP_A", "PACS", (Given(1), Given(3))))
        >> data(SECOND, AC)  # too late
        >> data(INBOUND, stored(MOVE_4) + OBJECT)
        << OpenTransport(WS4, THIRD)
        << StartTimer(THIRD, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
    )


def test_when_nobody_has_answered_until_then_the_first_answer_decides():
    assert (
        calls(BOTH)
        >> quietly(connected(FIRST))
        >> expired(INBOUND, Timer.PATIENCE)
        >> data(FIRST, AC)
        << StopTimer(FIRST, Timer.CONNECT)
        << send(FIRST, RELEASE_RQ)
        << StartTimer(FIRST, Timer.RELEASE)
        << StopTimer(SECOND, Timer.CONNECT)
        << StopTimer(SECOND, Timer.ARTIM)
        << CloseTransport(SECOND)
        << StopTimer(INBOUND, Timer.PATIENCE)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, hospital.relayed_ac("HOSP_A", "PACS", (Given(1), Given(3))))
    )


def test_a_patience_that_ends_when_nothing_is_awaited():
    script = standing(BOTH, FIRST, SECOND) >> expired(INBOUND, Timer.PATIENCE)
    script >>= quietly(data(INBOUND, stored(MOVE_4) + OBJECT), *answers(THIRD))
    assert script >> expired(INBOUND, Timer.PATIENCE) >> counted(1)


# Whom another one waits for


def held() -> Playbook:
    """WS4 has been stored to and is idle; an object for WS3 waits for it to answer."""
    script = standing(BOTH, FIRST, SECOND) >> quietly(
        data(INBOUND, stored(MOVE_4) + OBJECT), *answers(THIRD), data(THIRD, done())
    )
    return (
        script
        >> data(INBOUND, stored(MOVE_3) + OBJECT)
        << OpenTransport(WS3, LEGS[3])
        << StartTimer(LEGS[3], Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
    )


def test_who_is_idle_is_let_go_while_another_one_is_waited_for():
    """Another archive may wait for it, and keep the one that this one waits for."""
    assert (
        held()
        >> expired(INBOUND, Timer.PATIENCE)
        << send(THIRD, RELEASE_RQ)
        << StartTimer(THIRD, Timer.RELEASE)
        >> data(THIRD, RELEASE_RP)
        << StopTimer(THIRD, Timer.RELEASE)
        << CloseTransport(THIRD)
        >> expired(INBOUND, Timer.PATIENCE)
        >> quietly(connected(LEGS[3]))
        >> data(LEGS[3], AC)
        << StopTimer(LEGS[3], Timer.CONNECT)
        << send(LEGS[3], stored(("WS3", 5)) + OBJECT)
    )


def test_who_has_still_to_answer_is_not():
    script = standing(BOTH, FIRST, SECOND) >> quietly(
        data(INBOUND, stored(MOVE_4) + OBJECT),
        *answers(THIRD),
        data(INBOUND, stored(MOVE_3, 2) + OBJECT),
    )
    assert (
        script
        >> expired(INBOUND, Timer.PATIENCE)
        << StartTimer(INBOUND, Timer.PATIENCE)
        >> data(THIRD, done())
        << send(INBOUND, done())
        >> expired(INBOUND, Timer.PATIENCE)
        << send(THIRD, RELEASE_RQ)
        << StartTimer(THIRD, Timer.RELEASE)
    )


def test_who_is_let_go_has_no_more_to_say():
    assert (
        held()
        >> quietly(expired(INBOUND, Timer.PATIENCE))
        >> data(THIRD, command(1, wire.request(wire.C_ECHO, 1, wire.CT)))
        << logged("message dropped", why="its association is being released")
    )
