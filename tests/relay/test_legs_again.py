"""Legs that are opened again, and how many there may be."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.groups import (
    AES,
    FIRST,
    FOURTH,
    ROLE,
    RQ,
    SECOND,
    THIRD,
    answers,
    border,
    both,
    final,
    find,
    joined,
)
from tests.relay.hospital import ECHO, FIND, GET, STORE
from tests.relay.playbook import (
    INBOUND,
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
    shutdown,
)
from tests.relay.wire import RELEASE_RP, RELEASE_RQ, Given, abort, command, fragment, rj
from ulproxy.policy.endpoints import Endpoint
from ulproxy.relay import legs
from ulproxy.relay.effects import CloseTransport, OpenTransport, StartTimer, StopTimer, Timer

FOUND = command(FIND, final(wire.C_FIND))
RELEASED = "released, asked by the inbound end"
HALF = command(STORE, wire.store_rq(1)) + fragment(STORE, b"pixels", last=False)

# A leg that was let go for another one to the same AE

JPEG = wire.ac([Given(ECHO), Given(STORE, 0, wire.JPEG), Given(FIND), Given(GET)], extras=[ROLE])


def disagreeing() -> Playbook:
    return joined(FIRST) >> quietly(data(INBOUND, find()), *answers(SECOND, JPEG))


@pytest.mark.parametrize(
    "how",
    [data(SECOND, RELEASE_RP), lost(SECOND), data(SECOND, abort(0, 0))],
    ids=["released", "lost", "aborted"],
)
def test_it_is_called_again_when_the_one_before_has_left(how):
    assert (
        disagreeing()
        >> data(FIRST, FOUND)
        >> quietly(how, *answers(THIRD))
        >> data(THIRD, FOUND)
        << send(INBOUND, FOUND)
    )


def test_it_says_nothing_any_more():
    """In its transfer syntax nobody would understand it."""
    assert (
        disagreeing()
        >> data(SECOND, HALF)
        << send(SECOND, abort(2, 6))
        << StartTimer(SECOND, Timer.ARTIM)
        << OpenTransport(Endpoint("10.2.0.3", 104), THIRD)
        << StartTimer(THIRD, Timer.CONNECT)
        >> counted(1)
    )


def test_one_that_disagrees_again_breaks_the_protocol():
    """It was proposed the one transfer syntax."""
    assert (
        disagreeing()
        >> quietly(data(FIRST, FOUND), data(SECOND, RELEASE_RP), connected(THIRD))
        >> data(THIRD, JPEG)
        << StopTimer(THIRD, Timer.CONNECT)
        << send(THIRD, abort(2, 6))
        << StartTimer(THIRD, Timer.ARTIM)
        << logged("AE failed", callee="PACS2")
        << logged("group answered in part")
        << send(INBOUND, command(FIND, final(wire.C_FIND, status=0xB000)))
    )


def test_the_release_of_the_caller_while_one_is_to_be_called_again():
    assert (
        disagreeing()
        >> data(INBOUND, RELEASE_RQ)
        << send(FIRST, RELEASE_RQ)
        << StartTimer(FIRST, Timer.RELEASE)
        >> quietly(data(FIRST, RELEASE_RP))
        >> data(SECOND, RELEASE_RP)
        << StopTimer(SECOND, Timer.RELEASE)
        << logged("association ended", outcome=RELEASED)
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, Timer.ARTIM)
        << CloseTransport(SECOND)
    )


def test_the_association_ends_while_one_is_to_be_called_again():
    assert (
        disagreeing()
        >> quietly(data(INBOUND, abort(0, 0)), lost(FIRST))
        >> lost(SECOND)
        << StopTimer(SECOND, Timer.ARTIM)
        >> finished()
    )


# How many there may be


@pytest.mark.parametrize("others", [0, 1, 2])
def test_the_associations_of_a_member(others):
    """`associations` of PACS2 is 2: one below, at, one above."""

    def made():
        one = border()()
        callee = one.policy.ae("PACS2")
        assert callee is not None
        for _ in range(others):
            one.admission.enter_leg(callee)
        return one

    script = Playbook(made) >> quietly(accepted()) >> data(INBOUND, RQ)
    script <<= StopTimer(INBOUND, Timer.ARTIM)
    script = script << OpenTransport(hospital.endpoint("ARCHIVE"), FIRST)
    script <<= StartTimer(FIRST, Timer.CONNECT)
    if others < 2:
        script = script << OpenTransport(Endpoint("10.2.0.3", 104), SECOND)
        script <<= StartTimer(SECOND, Timer.CONNECT)
    assert script


def test_no_member_may_have_one_more():
    made = border(aes=AES.replace("associations = 2", "associations = 1"))

    def full():
        one = made()
        for name in ("ARCHIVE", "ARCHIVE", "ARCHIVE", "PACS2"):
            callee = one.policy.ae(name)
            assert callee is not None
            assert not isinstance(one.admission.enter_leg(callee), str)
        return one

    assert (
        Playbook(full)
        >> quietly(accepted())
        >> data(INBOUND, RQ)
        << StopTimer(INBOUND, Timer.ARTIM)
        << logged(
            "association rejected",
            outcome="limit of 1 associations reached (to PACS2)",
            answer=(2, 3, 2),
        )
        << send(INBOUND, rj(2, 3, 2))
        << StartTimer(INBOUND, Timer.ARTIM)
        >> counted(0)
    )


def test_a_member_that_had_to_be_called_again_counts_once():
    """Its limit is one, and the leg before is not counted until it has left."""
    made = border(aes=AES.replace("associations = 2", "associations = 1"))
    assert (
        joined(FIRST, made=made)
        >> quietly(data(INBOUND, find()), *answers(SECOND, JPEG))
        >> data(SECOND, RELEASE_RP)
        << StopTimer(SECOND, Timer.RELEASE)
        << OpenTransport(Endpoint("10.2.0.3", 104), THIRD)
        << StartTimer(THIRD, Timer.CONNECT)
        << CloseTransport(SECOND)
    )


@pytest.mark.parametrize("most", [2, 3, 4])
def test_how_many_legs_are_opened(monkeypatch, most):
    """MAX_LEGS is 256, those that have ended included; here a third one would be due."""
    monkeypatch.setattr(legs, "MAX_LEGS", most)
    script = joined(FIRST) >> quietly(data(INBOUND, find()), data(FIRST, FOUND), connected(SECOND))
    script = script >> data(SECOND, JPEG) << StopTimer(SECOND, Timer.CONNECT)
    script = script << send(SECOND, RELEASE_RQ) << StartTimer(SECOND, Timer.RELEASE)
    if most == 2:
        why = "PACS2: 2 associations have been opened for this one"
        script <<= logged("group answered in part", failed=why)
        script <<= send(INBOUND, command(FIND, final(wire.C_FIND, status=0xB000)))
    script = script >> data(SECOND, RELEASE_RP) << StopTimer(SECOND, Timer.RELEASE)
    if most > 2:
        script = script << OpenTransport(Endpoint("10.2.0.3", 104), THIRD)
        script <<= StartTimer(THIRD, Timer.CONNECT)
    assert script << CloseTransport(SECOND)


def test_the_limit_is_reached_when_one_is_to_be_called_again(monkeypatch):
    """Two members wait for their legs to leave; the first one takes the last that there may be."""
    monkeypatch.setattr(legs, "MAX_LEGS", 4)
    rq = wire.rq("EVERY", "WS1", hospital.CONTEXTS, extras=[ROLE])
    script = joined(FIRST, rq=rq) >> quietly(
        data(INBOUND, find()), data(FIRST, FOUND), *answers(SECOND, JPEG), *answers(THIRD, JPEG)
    )
    assert (
        script
        >> data(SECOND, RELEASE_RP)
        << StopTimer(SECOND, Timer.RELEASE)
        << OpenTransport(Endpoint("10.2.0.3", 104), FOURTH)
        << StartTimer(FOURTH, Timer.CONNECT)
        << CloseTransport(SECOND)
        >> data(THIRD, RELEASE_RP)
        << StopTimer(THIRD, Timer.RELEASE)
        << CloseTransport(THIRD)
        >> quietly(*answers(FOURTH))
        >> data(FOURTH, FOUND)
        << logged(
            "group answered in part",
            failed="MINI: 4 associations have been opened for this one",
        )
        << send(INBOUND, command(FIND, final(wire.C_FIND, status=0xB000)))
    )


# The end of all


def test_the_relay_stops():
    assert (
        joined(FIRST)
        >> shutdown()
        << logged("association ended", outcome="the relay stops")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, Timer.ARTIM)
        << send(FIRST, abort(2, 0))
        << StartTimer(FIRST, Timer.ARTIM)
        << StopTimer(SECOND, Timer.ARTIM)
        << CloseTransport(SECOND)
        >> counted(0)
    )


def test_nothing_came_for_long():
    assert (
        both()
        >> expired(INBOUND, Timer.IDLE)
        << logged("association ended")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, Timer.ARTIM)
        << send(FIRST, abort(2, 0))
        << StartTimer(FIRST, Timer.ARTIM)
        << send(SECOND, abort(2, 0))
        << StartTimer(SECOND, Timer.ARTIM)
        >> lost(FIRST)
        << StopTimer(FIRST, Timer.ARTIM)
        >> finished(False)
        >> quietly(lost(SECOND), lost(INBOUND))
        >> finished()
    )


def test_a_member_that_does_not_answer_in_time():
    assert (
        joined(FIRST)
        >> quietly(connected(SECOND), data(INBOUND, find()), data(FIRST, FOUND))
        >> expired(SECOND, Timer.CONNECT)
        << send(SECOND, abort(2, 0))
        << StartTimer(SECOND, Timer.ARTIM)
        << logged("AE failed", why="no answer to the A-ASSOCIATE-RQ in time")
        << logged("group answered in part")
        << send(INBOUND, command(FIND, final(wire.C_FIND, status=0xB000)))
    )
