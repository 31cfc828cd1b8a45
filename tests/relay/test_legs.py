"""Legs that come and go: releases in every state (PS3.8 7.2.2)."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.groups import (
    AC,
    FIRST,
    KEYS,
    SECOND,
    answers,
    border,
    both,
    calls,
    final,
    find,
    joined,
)
from tests.relay.hospital import ECHO, FIND, STORE
from tests.relay.playbook import (
    INBOUND,
    Playbook,
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
from tests.relay.wire import RELEASE_RP, RELEASE_RQ, Given, abort, command, fragment, rj
from ulproxy.relay.effects import CloseTransport, StartTimer, StopTimer, Timer

FOUND = command(FIND, final(wire.C_FIND))
RELEASED = "released, asked by the inbound end"
HALF = command(STORE, wire.store_rq(1)) + fragment(STORE, b"pixels", last=False)


def releasing() -> Playbook:
    """The caller has asked both members for the release."""
    return both() >> quietly(data(INBOUND, RELEASE_RQ))


# The caller releases


def test_a_leg_that_stands_is_asked_and_one_that_is_being_opened_is_given_up():
    assert (
        joined(FIRST)
        >> quietly(connected(SECOND))
        >> data(INBOUND, RELEASE_RQ)
        << send(FIRST, RELEASE_RQ)
        << StartTimer(FIRST, Timer.RELEASE)
        << StopTimer(SECOND, Timer.CONNECT)
        << send(SECOND, abort(2, 0))
        << StartTimer(SECOND, Timer.ARTIM)
        >> data(FIRST, RELEASE_RP)
        << StopTimer(FIRST, Timer.RELEASE)
        << logged("association ended", outcome=RELEASED)
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, Timer.ARTIM)
        << CloseTransport(FIRST)
        >> counted(0)
        >> data(SECOND, AC)  # too late
        >> quietly(lost(INBOUND))
        >> finished(False)
        >> expired(SECOND, Timer.ARTIM)
        << StopTimer(SECOND, Timer.ARTIM)
        << CloseTransport(SECOND)
        >> finished()
    )


def test_a_leg_that_has_no_connection_yet_is_closed():
    assert (
        joined(FIRST)
        >> data(INBOUND, RELEASE_RQ)
        << send(FIRST, RELEASE_RQ)
        << StartTimer(FIRST, Timer.RELEASE)
        << StopTimer(SECOND, Timer.CONNECT)
        << StopTimer(SECOND, Timer.ARTIM)
        << CloseTransport(SECOND)
    )


def test_a_leg_that_is_gone_is_not_asked():
    assert (
        both()
        >> quietly(lost(SECOND))
        >> data(INBOUND, RELEASE_RQ)
        << send(FIRST, RELEASE_RQ)
        << StartTimer(FIRST, Timer.RELEASE)
    )


def test_members_still_answer_while_they_are_released():
    assert (
        both()
        >> quietly(data(INBOUND, find() + RELEASE_RQ))
        >> data(SECOND, FOUND)
        >> data(FIRST, FOUND)
        << send(INBOUND, FOUND)
        >> data(SECOND, RELEASE_RP)
        << StopTimer(SECOND, Timer.RELEASE)
        << CloseTransport(SECOND)
        >> data(FIRST, RELEASE_RP)
        << StopTimer(FIRST, Timer.RELEASE)
        << logged("association ended", outcome=RELEASED)
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, Timer.ARTIM)
        << CloseTransport(FIRST)
    )


ENDED = (
    logged("association ended", outcome=RELEASED),
    send(INBOUND, RELEASE_RP),
    StartTimer(INBOUND, Timer.ARTIM),
)


@pytest.mark.parametrize(
    ("how", "effects"),
    [
        (lost(FIRST), ENDED),
        (data(FIRST, abort(0, 0)), (*ENDED, CloseTransport(FIRST))),
        (
            expired(FIRST, Timer.RELEASE),
            (send(FIRST, abort(2, 0)), StartTimer(FIRST, Timer.ARTIM), *ENDED),
        ),
        (
            data(FIRST, wire.pdu(9, b"")),
            (send(FIRST, abort(2, 1)), *ENDED, StartTimer(FIRST, Timer.ARTIM)),
        ),
    ],
    ids=["lost", "aborted", "too slow", "no PDU"],
)
def test_a_leg_that_does_not_answer_the_release_has_left_too(how, effects):
    script = releasing() >> quietly(data(SECOND, RELEASE_RP)) >> how
    for effect in effects:
        script <<= effect
    assert script >> counted(0)


@pytest.mark.parametrize(
    "how", [lost(FIRST), data(FIRST, abort(0, 0)), expired(FIRST, Timer.RELEASE)]
)
def test_half_an_object_of_a_leg_that_is_released_cannot_be_answered_for(how):
    script = releasing() >> quietly(data(SECOND, RELEASE_RP))
    script = script >> data(FIRST, HALF) << send(INBOUND, HALF) >> how
    if how.name == "expired RELEASE":
        script = script << send(FIRST, abort(2, 0)) << StartTimer(FIRST, Timer.ARTIM)
    script <<= logged("association ended")
    source = (0, 0) if how.received else (2, 0)
    script = script << send(INBOUND, abort(*source)) << StartTimer(INBOUND, Timer.ARTIM)
    if how.received:
        script <<= CloseTransport(FIRST)
    assert script >> counted(0)


def test_a_release_answered_within_an_object():
    assert (
        releasing()
        >> quietly(data(FIRST, HALF))
        >> data(FIRST, RELEASE_RP)
        << StopTimer(FIRST, Timer.RELEASE)
        << logged("association ended", outcome="released within a message")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, Timer.ARTIM)
        << send(SECOND, abort(2, 0))
        << StartTimer(SECOND, Timer.ARTIM)
        << CloseTransport(FIRST)
        >> counted(0)
    )


def test_a_release_that_both_have_asked_for():
    """PS3.8 7.2.2: we, the requestor, answer first and wait for the member's answer."""
    assert (
        releasing()
        >> quietly(data(SECOND, RELEASE_RP))
        >> data(FIRST, RELEASE_RQ)
        << send(FIRST, RELEASE_RP)
        >> data(FIRST, RELEASE_RP)
        << StopTimer(FIRST, Timer.RELEASE)
        << logged("association ended", outcome=RELEASED)
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, Timer.ARTIM)
        << CloseTransport(FIRST)
    )


def test_the_caller_aborts_while_it_waits_for_its_release():
    assert (
        releasing()
        >> data(INBOUND, abort(0, 0))
        << send(FIRST, abort(0, 0))
        << StartTimer(FIRST, Timer.ARTIM)
        << send(SECOND, abort(0, 0))
        << StartTimer(SECOND, Timer.ARTIM)
        << CloseTransport(INBOUND)
        >> counted(0)
    )


def test_the_caller_may_not_release_within_a_message():
    assert (
        both()
        >> quietly(data(INBOUND, find()[: -len(KEYS)]))
        >> data(INBOUND, RELEASE_RQ)
        << send(INBOUND, abort(2, 2))
        << StartTimer(INBOUND, Timer.ARTIM)
        << send(FIRST, abort(2, 0))
        << StartTimer(FIRST, Timer.ARTIM)
        << send(SECOND, abort(2, 0))
        << StartTimer(SECOND, Timer.ARTIM)
    )


# A member releases


def test_when_the_last_member_has_released_so_is_the_association():
    assert (
        both()
        >> quietly(data(SECOND, RELEASE_RQ), lost(SECOND))
        >> data(FIRST, RELEASE_RQ)
        << send(FIRST, RELEASE_RP)
        << StartTimer(FIRST, Timer.ARTIM)
        << logged("association ended", outcome="released by the AE")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, Timer.ARTIM)
    )


def test_a_member_may_not_release_within_a_message():
    assert (
        both()
        >> quietly(data(SECOND, wire.commands_of(ECHO, wire.command_set(wire.echo_rq(1)), 40)[:52]))
        >> data(SECOND, RELEASE_RQ)
        << send(SECOND, abort(2, 2))
        << StartTimer(SECOND, Timer.ARTIM)
        << logged(
            "AE failed", why="protocol error of the onward_2 end: A-RELEASE-RQ within a message"
        )
        >> counted(1)
    )


def test_a_member_that_releases_before_anybody_has_accepted_anything():
    nothing = wire.ac([Given(context.context_id, 3) for context in hospital.CONTEXTS])
    assert (
        Playbook(border())
        >> calls()
        >> quietly(*answers(FIRST, nothing))
        >> data(FIRST, RELEASE_RQ)
        << send(FIRST, RELEASE_RP)
        << StartTimer(FIRST, Timer.ARTIM)
        >> lost(SECOND, "refused")
        << logged("association rejected", outcome="refused")
        << send(INBOUND, rj(2, 3, 1))
        << StartTimer(INBOUND, Timer.ARTIM)
    )


def test_a_member_says_something_before_the_caller_is_accepted():
    """A member that accepts nothing has nothing to say."""
    nothing = wire.ac([Given(context.context_id, 3) for context in hospital.CONTEXTS])
    assert (
        Playbook(border())
        >> calls()
        >> quietly(connected(FIRST))
        >> data(FIRST, nothing + command(ECHO, wire.echo_rq(1)))
        << StopTimer(FIRST, Timer.CONNECT)
        << send(FIRST, abort(2, 6))
        << StartTimer(FIRST, Timer.ARTIM)
        << logged("AE failed", callee="ARCHIVE")
        >> counted(1)
    )
