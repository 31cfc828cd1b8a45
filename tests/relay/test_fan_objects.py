"""Objects of a C-GET from a group: who sends them, whose the responses are (PS3.4 C.4.3)."""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.groups import (
    FIRST,
    SECOND,
    both,
    final,
    find,
)
from tests.relay.hospital import FIND, GET, STORE
from tests.relay.playbook import (
    INBOUND,
    Check,
    counted,
    data,
    expired,
    logged,
    lost,
    quietly,
    send,
)
from tests.relay.wire import RELEASE_RP, RELEASE_RQ, abort, command, fragment
from ulproxy.relay.effects import CloseTransport, StartTimer, StopTimer, Timer

GET_RQ = command(GET, wire.get_rq(1)) + fragment(GET, b"keys")


def got(status: int = 0, **counts: int) -> bytes:
    return command(GET, final(wire.C_GET, 1, status, **counts))


def store(message_id: int, originator: tuple[str, int] | None = None) -> bytes:
    return command(STORE, wire.store_rq(message_id, originator=originator))


def stored(message_id: int, status: int = 0) -> bytes:
    return command(STORE, wire.store_rsp(message_id, status))


OBJECT = fragment(STORE, b"pixels", last=False) + fragment(STORE, b"more")


def test_the_objects_of_a_c_get_and_their_responses_find_their_member():
    """Both members count their Message IDs from 1."""
    counts = {"completed": 1, "failed": 0, "warning": 0}
    assert (
        both()
        >> data(INBOUND, GET_RQ)
        << send(FIRST, GET_RQ)
        >> data(FIRST, store(1) + OBJECT)
        << send(INBOUND, store(1) + OBJECT)
        >> data(INBOUND, stored(1))
        << send(FIRST, stored(1))
        >> data(FIRST, got(**counts))
        << send(SECOND, GET_RQ)
        >> data(SECOND, store(1) + OBJECT)
        << send(INBOUND, store(1) + OBJECT)
        >> data(INBOUND, stored(1))
        << send(SECOND, stored(1))
        >> data(SECOND, got(**counts))
        << send(INBOUND, got(**{**counts, "completed": 2}))
    )


def test_the_response_to_who_is_gone_is_nobody_else_s():
    """It answers an object that the next member has nothing to do with, whatever its Message ID."""
    hold = Check("on hold", lambda join, _: join.on_hold(SECOND), True)
    free = Check("on hold", lambda join, _: join.on_hold(SECOND), False)
    failed = {"completed": 0, "failed": 0, "warning": 0}
    assert (
        both()
        >> data(INBOUND, GET_RQ)
        << send(FIRST, GET_RQ)
        >> data(FIRST, store(1) + OBJECT)
        << send(INBOUND, store(1) + OBJECT)
        >> lost(FIRST)
        << send(SECOND, GET_RQ)
        >> data(SECOND, store(2) + OBJECT)
        << send(INBOUND, store(2) + OBJECT)
        >> data(INBOUND, stored(2))
        << send(SECOND, stored(2))
        >> data(SECOND, store(1) + OBJECT)
        >> hold
        >> data(INBOUND, stored(1))  # the first member's
        << send(INBOUND, store(1) + OBJECT)
        >> free
        >> data(INBOUND, stored(1, 0xA700))
        << send(SECOND, stored(1, 0xA700))
        >> data(SECOND, got(**failed))
        << send(INBOUND, got(0xB000, **failed))
    )


@pytest.mark.parametrize(("most", "goes_on"), [(1, False), (2, True), (3, True)])
def test_how_many_responses_to_who_is_gone_are_remembered(monkeypatch, most, goes_on):
    """Two of them: one above, at, one below."""
    monkeypatch.setattr("ulproxy.relay.fan.MAX_OUTSTANDING", most)
    script = both() >> quietly(data(FIRST, store(1) + OBJECT), data(FIRST, store(2) + OBJECT))
    script >>= quietly(lost(FIRST))
    assert script >> Check("ended", lambda join, _: join.ended, not goes_on)


def test_while_one_member_sends_an_object_another_one_waits():
    """Messages to one receiver do not interleave (PS3.8 annex E)."""
    hold = Check("on hold", lambda join, _: join.on_hold(SECOND), True)
    free = Check("on hold", lambda join, _: join.on_hold(SECOND), False)
    found = command(FIND, wire.response(wire.C_FIND, 2, wire.STUDY_FIND, 0xFF00))
    done = command(FIND, final(wire.C_FIND, 2))
    assert (
        both()
        >> quietly(data(INBOUND, GET_RQ), data(INBOUND, find(2)))
        >> data(FIRST, store(1) + OBJECT[:-2])
        << send(INBOUND, store(1) + OBJECT[:-2])
        >> free
        >> data(SECOND, found + found[:9])
        >> hold
        >> data(SECOND, found[9:] + done)
        >> hold
        >> data(FIRST, OBJECT[-2:])
        << send(INBOUND, OBJECT[-2:], found, found)
        >> free
        >> data(FIRST, done)
        << send(INBOUND, done)
    )


def test_a_held_member_may_have_more_than_one_object():
    """Each in its turn: what is read of it is kept, and goes on when its receiver is free."""
    one, two = store(1) + OBJECT, store(7) + OBJECT
    assert (
        both()
        >> data(FIRST, one[:-4])
        << send(INBOUND, one[:-4])
        >> data(SECOND, two + two)
        >> data(FIRST, one[-4:])
        << send(INBOUND, one[-4:], two, two)
    )


def test_requests_of_two_members_with_one_message_id_wait_for_each_other():
    """Else the response could be to either."""
    other = store(2) + OBJECT
    assert (
        both()
        >> data(FIRST, store(1) + OBJECT)
        << send(INBOUND, store(1) + OBJECT)
        >> data(SECOND, other + store(1) + OBJECT)
        << send(INBOUND, other)
        >> data(INBOUND, stored(2))
        << send(SECOND, stored(2))
        >> data(INBOUND, stored(1))
        << send(FIRST, stored(1))
        << send(INBOUND, store(1) + OBJECT)
        >> data(INBOUND, stored(1))
        << send(SECOND, stored(1))
    )


def test_one_that_waits_for_another_ones_response_waits_for_it_when_that_one_is_lost_too():
    """Or it would take it for its own."""
    assert (
        both()
        >> quietly(data(FIRST, store(1) + OBJECT))
        >> data(SECOND, store(1) + OBJECT)
        >> lost(FIRST)
        << logged("AE failed", callee="ARCHIVE")
        >> data(INBOUND, stored(1))
        << send(INBOUND, store(1) + OBJECT)
        >> data(INBOUND, stored(1, 0xA700))
        << send(SECOND, stored(1, 0xA700))
    )


def test_half_an_object_cannot_be_answered_for():
    """Its receiver is told, and so is everybody else."""
    assert (
        both()
        >> quietly(data(INBOUND, GET_RQ))
        >> data(FIRST, store(1) + fragment(STORE, b"pixels", last=False))
        << send(INBOUND, store(1) + fragment(STORE, b"pixels", last=False))
        >> lost(FIRST, "reset")
        << logged("AE failed", callee="ARCHIVE")
        << logged("association ended", outcome="reset")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, Timer.ARTIM)
        << send(SECOND, abort(2, 0))
        << StartTimer(SECOND, Timer.ARTIM)
        >> counted(0)
    )


@pytest.mark.parametrize("how", ["lost", "too slow to take it"])
def test_a_member_that_is_gone_while_it_is_held(how):
    """Its object has not begun, and does not begin any more."""
    script = both() >> quietly(
        data(INBOUND, GET_RQ), data(FIRST, store(1) + OBJECT[:-2]), data(SECOND, store(2) + OBJECT)
    )
    if how == "lost":
        script = script >> lost(SECOND, "reset") << logged("AE failed", callee="PACS2")
    else:
        script >>= quietly(expired(SECOND, Timer.WRITE))
    assert (
        script
        >> data(FIRST, OBJECT[-2:])
        << send(INBOUND, OBJECT[-2:])
        >> data(INBOUND, stored(1))
        << send(FIRST, stored(1))
    )


def test_a_c_cancel_of_a_member_is_not_held_for_a_message_id():
    """It has none of its own; nothing was asked that it could cancel."""
    assert (
        both()
        >> quietly(data(FIRST, store(1) + OBJECT))
        >> data(SECOND, command(FIND, wire.cancel_rq(1)))
        << logged("message dropped")
    )


def test_the_release_waits_for_all_members_and_takes_what_they_still_say():
    echo = command(FIND, final(wire.C_FIND))
    assert (
        both()
        >> quietly(data(INBOUND, find()))
        >> data(INBOUND, RELEASE_RQ)
        << send(FIRST, RELEASE_RQ)
        << StartTimer(FIRST, Timer.RELEASE)
        << send(SECOND, RELEASE_RQ)
        << StartTimer(SECOND, Timer.RELEASE)
        >> data(SECOND, echo)
        >> data(FIRST, echo)
        << send(INBOUND, echo)
        >> quietly(data(SECOND, RELEASE_RP))
        >> data(FIRST, RELEASE_RP)
        << StopTimer(FIRST, Timer.RELEASE)
        << logged("association ended", outcome="released, asked by the inbound end")
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, Timer.ARTIM)
        << CloseTransport(FIRST)
        >> counted(0)
    )
