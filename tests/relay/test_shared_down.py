"""The title that several share: AEs that are down, refuse, or may not be called (contract "Refusals")."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.playbook import (
    INBOUND,
    Check,
    Playbook,
    accepted,
    connected,
    counted,
    data,
    expired,
    finished,
    logged,
    lost,
    quietly,
    send,
)
from tests.relay.sharing import (
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
    stored,
)
from tests.relay.wire import RELEASE_RP, Given, abort, rj
from ulproxy.relay import shared
from ulproxy.relay.admission import Admitted
from ulproxy.relay.effects import CloseTransport, OpenTransport, StartTimer, StopTimer, Timer

BOTH = border(TO_WS3, TO_WS4)


def down() -> Playbook:
    """WS4 could not be called; WS3 has accepted."""
    script = calls(BOTH) >> quietly(*answers(FIRST), data(FIRST, RELEASE_RP))
    return (
        script
        >> lost(SECOND, "refused")
        << logged("AE failed", callee="WS4", why="refused")
        << StopTimer(INBOUND, Timer.PATIENCE)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, hospital.relayed_ac("HOSP_A", "PACS", (Given(1), Given(3))))
    )


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ((lost(THIRD, "refused"),), "refused"),
        ((connected(THIRD), data(THIRD, rj(2, 3, 2))), "rejected by the AE with (2, 3, 2)"),
    ],
)
def test_one_that_is_down_is_tried_once_more(steps, why):
    """Then the C-STOREs for it are refused without waiting for it each time."""
    script = (
        down()
        >> data(INBOUND, stored(MOVE_4) + OBJECT)
        << OpenTransport(WS4, THIRD)
        << StartTimer(THIRD, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
    )
    assert (
        script
        >> quietly(*steps)
        >> data(INBOUND, stored(MOVE_4, 2) + OBJECT)
        << logged("message refused", status="0110H", why=f"WS4: {why}")
        << send(INBOUND, done(2, 0x0110))
        >> data(INBOUND, stored(MOVE_3, 3) + OBJECT)
        << OpenTransport(WS3, LEGS[3])
        << StartTimer(LEGS[3], Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
    )


def test_what_waited_for_one_that_is_down_is_refused():
    assert (
        down()
        >> quietly(data(INBOUND, stored(MOVE_4) + OBJECT[:-1]))
        >> lost(THIRD, "refused")
        << logged("AE failed", callee="WS4")
        << logged("message refused", status="0110H", why="WS4: refused")
        >> data(INBOUND, OBJECT[-1:])
        << send(INBOUND, done(1, 0x0110))
    )


def test_when_all_are_down_the_archive_is_rejected():
    assert (
        calls(BOTH)
        >> quietly(lost(FIRST, "refused"), connected(SECOND))
        >> data(SECOND, rj(1, 1, 3))
        << StopTimer(SECOND, Timer.CONNECT)
        << logged("association rejected", answer=(1, 1, 3))
        << send(INBOUND, rj(1, 1, 3))
        << StartTimer(INBOUND, Timer.ARTIM)
        << CloseTransport(SECOND)
        >> counted(0)
        >> expired(INBOUND, Timer.PATIENCE)
    )


def test_an_answer_that_is_none():
    assert (
        calls(border(TO_WS3))
        >> quietly(connected(FIRST))
        >> data(FIRST, wire.ac([Given(99)]))
        << StopTimer(FIRST, Timer.CONNECT)
        << send(FIRST, abort(2, 6))
        << StartTimer(FIRST, Timer.ARTIM)
        << logged("association rejected", answer=(2, 2, 1))
        << send(INBOUND, rj(2, 2, 1))
        << StartTimer(INBOUND, Timer.ARTIM)
    )


def test_nobody_may_be_called():
    """WS4 has one association already, and may have one."""

    def full():
        one = border(TO_WS4)()
        callee = one.policy.ae("WS4")
        assert callee is not None
        one.admission.enter_leg(callee)
        return one

    assert (
        Playbook(full, peer=hospital.OUTSIDE)
        >> quietly(accepted())
        >> data(INBOUND, RQ)
        << StopTimer(INBOUND, Timer.ARTIM)
        << logged("association rejected", outcome="limit of 1 associations reached (to WS4)")
        << send(INBOUND, rj(2, 3, 2))
        << StartTimer(INBOUND, Timer.ARTIM)
        >> counted(0)
    )


def taken():
    """WS4 may have one association, and has it: somebody else is moving, say."""
    one = border(TO_WS3, TO_WS4)()
    callee = one.policy.ae("WS4")
    assert callee is not None
    assert one.admission.enter_leg(callee) == WS4_TAKEN
    return one


WS4_TAKEN = Admitted((("to", "WS4"),))
GIVE_BACK = Check("WS4 is free", lambda _, one: one.admission.leave(WS4_TAKEN), None)


def test_a_limit_that_others_have_reached_is_waited_for():
    """Their moves end; so it is tried once a second."""
    assert (
        Playbook(taken, peer=hospital.OUTSIDE)
        >> quietly(accepted())
        >> data(INBOUND, RQ)
        << StopTimer(INBOUND, Timer.ARTIM)
        << OpenTransport(WS3, FIRST)
        << StartTimer(FIRST, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
        << StartTimer(INBOUND, Timer.PATIENCE)
        >> expired(INBOUND, Timer.PATIENCE)
        << StartTimer(INBOUND, Timer.PATIENCE)
        >> GIVE_BACK
        >> expired(INBOUND, Timer.PATIENCE)
        << OpenTransport(WS4, SECOND)
        << StartTimer(SECOND, Timer.CONNECT)
    )


def test_a_c_store_waits_for_the_limit_too_but_not_for_ever():
    script = (
        Playbook(taken, peer=hospital.OUTSIDE)
        >> quietly(accepted(), data(INBOUND, RQ), *answers(FIRST), data(FIRST, RELEASE_RP))
        >> expired(INBOUND, Timer.PATIENCE)
        << StartTimer(INBOUND, Timer.PATIENCE)
        << StopTimer(INBOUND, Timer.PATIENCE)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, hospital.relayed_ac("HOSP_A", "PACS", (Given(1), Given(3))))
        >> data(INBOUND, stored(MOVE_4) + OBJECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
        << StartTimer(INBOUND, Timer.PATIENCE)
    )
    for _ in range(shared.MAX_TRIES - 3):
        script = script >> expired(INBOUND, Timer.PATIENCE) << StartTimer(INBOUND, Timer.PATIENCE)
    assert (
        script
        >> expired(INBOUND, Timer.PATIENCE)
        << logged("message refused", status="0110H")
        << send(INBOUND, done(1, 0x0110))
    )


@pytest.mark.parametrize("how", [lost(INBOUND), data(INBOUND, abort(0, 0))])
def test_an_archive_that_does_not_wait(how):
    assert calls(BOTH) >> quietly(connected(FIRST), how, lost(FIRST)) >> counted(0) >> finished()


@pytest.mark.parametrize("most", [1, 2, 3])
def test_how_many_are_asked(monkeypatch, most):
    """MAX_PROBED is 32; who is not asked shows when something comes for it."""
    monkeypatch.setattr(shared, "MAX_PROBED", most)
    script = Playbook(BOTH, peer=hospital.OUTSIDE) >> quietly(accepted()) >> data(INBOUND, RQ)
    script = script << StopTimer(INBOUND, Timer.ARTIM) << OpenTransport(WS3, FIRST)
    script <<= StartTimer(FIRST, Timer.CONNECT)
    if most > 1:
        script = script << OpenTransport(WS4, SECOND) << StartTimer(SECOND, Timer.CONNECT)
        assert script << StartTimer(INBOUND, Timer.PATIENCE)
        return
    assert (
        script
        >> quietly(*answers(FIRST))
        >> data(INBOUND, stored(MOVE_4) + OBJECT)
        << OpenTransport(WS4, SECOND)
        << StartTimer(SECOND, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
    )
