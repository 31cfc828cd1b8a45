"""Both ends ask to release at once (PS3.8 7.2.2): answered on each side, as Table 9-10 says."""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.conversations import BOTH_ROLES, FIND_RSP, LATE, releasing
from tests.relay.hospital import FIND
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Playbook,
    counted,
    data,
    expired,
    finished,
    logged,
    lost,
    quietly,
    send,
    shutdown,
)
from tests.relay.wire import RELEASE_RP, RELEASE_RQ, abort, command, fragment
from ulproxy.relay.effects import CloseTransport, StartTimer, StopTimer, Timer

ARTIM, RELEASE = Timer.ARTIM, Timer.RELEASE


def collided_after_the_callers() -> Playbook:
    """The caller asked first, the callee before it saw that."""
    return (
        releasing(INBOUND)
        >> data(ONWARD, RELEASE_RQ)
        << logged("association ended", outcome="released, asked by both ends")
        << send(INBOUND, RELEASE_RP)  # Sta8: AR-4
        << StartTimer(INBOUND, ARTIM)
        << send(ONWARD, RELEASE_RP)  # Sta9: the requestor answers first, AR-9
        >> counted(0)
    )


def collided_after_the_callees() -> Playbook:
    """The callee asked first, the caller before it saw that."""
    return (
        releasing(ONWARD)
        >> data(INBOUND, RELEASE_RQ)
        << logged("association ended", outcome="released, asked by both ends")
        << send(ONWARD, RELEASE_RP)  # Sta8: AR-4
        << StartTimer(ONWARD, ARTIM)  # Sta10: the acceptor waits for the requestor's answer
        >> counted(0)
    )


def test_collision_after_the_caller_asked():
    assert (
        collided_after_the_callers()
        >> data(ONWARD, RELEASE_RP)  # Sta11: AR-3
        << StopTimer(ONWARD, RELEASE)
        << CloseTransport(ONWARD)
        >> lost(INBOUND)
        << StopTimer(INBOUND, ARTIM)
        >> finished()
    )


def test_collision_after_the_callee_asked():
    assert (
        collided_after_the_callees()
        >> data(INBOUND, RELEASE_RP)  # AR-10, then AR-4
        << StopTimer(INBOUND, RELEASE)
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, ARTIM)
        >> lost(ONWARD)
        << StopTimer(ONWARD, ARTIM)
        >> lost(INBOUND)
        << StopTimer(INBOUND, ARTIM)
        >> finished()
    )


@pytest.mark.parametrize("first", [INBOUND, ONWARD])
def test_data_in_flight_before_a_collision_arrives(first):
    """Whoever has not answered yet may send, until it asks to release itself."""
    second = ONWARD if first is INBOUND else INBOUND
    flying = command(FIND, FIND_RSP) if first is INBOUND else command(FIND, wire.find_rq(1))
    flying += fragment(FIND, b"data in flight")
    asked = data(INBOUND, command(FIND, wire.find_rq(1)) + fragment(FIND, b"keys"))
    before = [asked] if first is INBOUND else []
    script = Playbook() >> BOTH_ROLES >> quietly(*before, data(first, RELEASE_RQ))
    answers = (
        send(INBOUND, RELEASE_RP),
        StartTimer(INBOUND, ARTIM),
        send(ONWARD, RELEASE_RP),
        StartTimer(ONWARD, ARTIM),
    )
    script = script >> data(second, flying + RELEASE_RQ) << send(first, flying)
    for answer in answers[:3] if first is INBOUND else answers[2:]:
        script <<= answer
    assert script >> counted(0)


@pytest.mark.parametrize("first", [INBOUND, ONWARD])
def test_a_collision_within_a_message_is_a_fault(first):
    second = ONWARD if first is INBOUND else INBOUND
    half = command(FIND, FIND_RSP) if first is INBOUND else command(FIND, wire.find_rq(1))
    asked = data(INBOUND, command(FIND, wire.find_rq(1)) + fragment(FIND, b"keys"))
    before = [asked] if first is INBOUND else []
    assert (
        Playbook()
        >> BOTH_ROLES
        >> quietly(*before, data(first, RELEASE_RQ), data(second, half))
        >> data(second, RELEASE_RQ)
        << logged("association ended")
        << send(second, abort(2, 2))
        << StartTimer(second, ARTIM)
        << send(first, abort(2, 0))
        << StartTimer(first, ARTIM)
    )


@pytest.mark.parametrize(("late", "reason"), [LATE["P-DATA-TF"], LATE["unknown PDU"]])
def test_who_collided_says_nothing_but_the_answer(late, reason):
    assert (
        collided_after_the_callers()
        >> data(ONWARD, late)
        << send(ONWARD, abort(2, reason))
        << StartTimer(ONWARD, ARTIM)
    )
    assert (
        collided_after_the_callees()
        >> data(INBOUND, late)
        << send(INBOUND, abort(2, reason))
        << StartTimer(INBOUND, ARTIM)
    )


def test_no_answer_in_time_after_a_collision():
    assert (
        collided_after_the_callers()
        >> expired(ONWARD, RELEASE)
        << send(ONWARD, abort(2, 0))
        << StartTimer(ONWARD, ARTIM)
        >> expired(ONWARD, ARTIM)
        << StopTimer(ONWARD, ARTIM)
        << CloseTransport(ONWARD)
    )
    assert (
        collided_after_the_callees()
        >> expired(INBOUND, RELEASE)
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, ARTIM)
    )


def test_an_end_that_is_lost_after_a_collision_is_nobody_elses_business():
    assert (
        collided_after_the_callers()
        >> lost(ONWARD)
        >> lost(INBOUND)
        << StopTimer(INBOUND, ARTIM)
        >> finished()
    )
    assert (
        collided_after_the_callees()
        >> data(INBOUND, abort(0, 0))
        << CloseTransport(INBOUND)
        >> finished(False)
    )


def test_shutdown_after_a_collision():
    assert (
        collided_after_the_callers()
        >> shutdown()
        << send(ONWARD, abort(2, 0))
        << StartTimer(ONWARD, ARTIM)
        << CloseTransport(INBOUND)  # has been answered
    )
