"""The release of two joined associations, with data in flight and with collisions (PS3.8 7.2.2, 9.2)."""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.conversations import BOTH_ROLES, FIND_RSP, LATE, other, releasing
from tests.relay.hospital import CONTEXTS, FIND, GET, STORE
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Input,
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


def test_asked_by_the_caller():
    assert (
        releasing(INBOUND)
        >> data(ONWARD, RELEASE_RP)
        << StopTimer(ONWARD, RELEASE)
        << logged("association ended", outcome="released, asked by the inbound end")
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, ARTIM)
        << CloseTransport(ONWARD)
        >> counted(0)
        >> finished(False)
        >> lost(INBOUND)
        << StopTimer(INBOUND, ARTIM)
        >> finished()
    )


def test_asked_by_the_callee():
    assert (
        releasing(ONWARD)
        >> data(INBOUND, RELEASE_RP)
        << StopTimer(INBOUND, RELEASE)
        << logged("association ended", outcome="released, asked by the onward end")
        << send(ONWARD, RELEASE_RP)
        << StartTimer(ONWARD, ARTIM)
        << CloseTransport(INBOUND)
        >> counted(0)
        >> expired(ONWARD, ARTIM)
        << StopTimer(ONWARD, ARTIM)
        << CloseTransport(ONWARD)
        >> finished()
    )


def test_what_is_under_way_to_who_asked_arrives_before_the_answer():
    """AR-6, AR-7: nothing is lost, neither command sets nor data sets."""
    begun = command(STORE, wire.store_rq(1)) + fragment(STORE, b"object")[:-2]
    rest = b"ct" + command(GET, wire.response(wire.C_GET, 1, wire.STUDY_GET))
    assert (
        Playbook()
        >> BOTH_ROLES
        >> quietly(data(INBOUND, command(GET, wire.get_rq(1)) + fragment(GET, b"keys")))
        >> data(ONWARD, begun)
        << send(INBOUND, begun)
        >> data(INBOUND, RELEASE_RQ)
        << send(ONWARD, RELEASE_RQ)
        << StartTimer(ONWARD, RELEASE)
        >> data(ONWARD, rest)
        << send(INBOUND, rest)
        >> data(ONWARD, RELEASE_RP)
        << StopTimer(ONWARD, RELEASE)
        << logged("association ended", outcome="released, asked by the inbound end")
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, ARTIM)
        << CloseTransport(ONWARD)
    )


def test_who_asked_to_release_is_refused_nothing_any_more():
    """Sta7 has no P-DATA request: an answer of the relay's own has no way to the callee."""
    forbidden = command(STORE, wire.store_rq(9)) + fragment(STORE, b"data")
    assert (
        releasing(INBOUND)
        >> data(ONWARD, forbidden)  # no C-GET is open, so nothing causes it
        >> data(ONWARD, RELEASE_RP)
        << StopTimer(ONWARD, RELEASE)
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, ARTIM)
        << CloseTransport(ONWARD)
    )


def test_released_within_a_message_is_no_release():
    """The object is not complete, so its receiver must not take it for one that was released well."""
    script = Playbook() >> BOTH_ROLES
    got = command(STORE, wire.store_rq(9)) + fragment(STORE, b"half an object", last=False)
    assert (
        script
        >> quietly(data(INBOUND, command(9, wire.get_rq(1)) + fragment(9, b"keys")))
        >> quietly(data(INBOUND, RELEASE_RQ))
        >> data(ONWARD, got)
        << send(INBOUND, got)
        >> data(ONWARD, RELEASE_RP)
        << StopTimer(ONWARD, RELEASE)
        << logged("association ended", outcome="released within a message")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, ARTIM)
        << CloseTransport(ONWARD)
        >> counted(0)
    )


def test_released_within_a_fragment_closes_without_a_word():
    """What looks like an A-RELEASE-RP is data: the fragment goes on until the connection is lost."""
    script = Playbook() >> BOTH_ROLES
    got = command(STORE, wire.store_rq(9)) + fragment(STORE, bytes(100), last=False)[:-50]
    assert (
        script
        >> quietly(data(INBOUND, command(9, wire.get_rq(1)) + fragment(9, b"keys")))
        >> quietly(data(INBOUND, RELEASE_RQ), data(ONWARD, got))
        >> data(ONWARD, RELEASE_RP)
        << send(INBOUND, RELEASE_RP)
        >> lost(ONWARD)
        << logged("association ended")
        << CloseTransport(INBOUND)
        >> finished()
    )


@pytest.mark.parametrize("by", [INBOUND, ONWARD])
def test_asked_within_a_message(by):
    """An A-RELEASE-RQ behind half a message is unexpected."""
    half = command(FIND, wire.find_rq(1)) if by is INBOUND else command(FIND, FIND_RSP)
    asked = data(INBOUND, command(FIND, wire.find_rq(1)) + fragment(FIND, b"keys"))
    assert (
        Playbook()
        >> BOTH_ROLES
        >> quietly(*([asked] if by is ONWARD else []), data(by, half))
        >> data(by, RELEASE_RQ)
        << logged("association ended")
        << send(by, abort(2, 2))
        << StartTimer(by, ARTIM)
        << send(other(by), abort(2, 0))
        << StartTimer(other(by), ARTIM)
        >> counted(0)
    )


def test_asked_within_a_command_set():
    whole = command(FIND, wire.find_rq(1))
    half = wire.p_data(wire.pdv(FIND, 1, whole[12:30]))
    assert (
        Playbook()
        >> BOTH_ROLES
        >> data(INBOUND, half)
        >> data(INBOUND, RELEASE_RQ)
        << send(INBOUND, abort(2, 2))
        << StartTimer(INBOUND, ARTIM)
        << send(ONWARD, abort(2, 0))
        << StartTimer(ONWARD, ARTIM)
    )


# While it is released: everything that is not an answer


@pytest.mark.parametrize(("late", "reason"), LATE.values(), ids=LATE)
@pytest.mark.parametrize("by", [INBOUND, ONWARD])
def test_who_asked_to_release_says_nothing_more(by, late, reason):
    assert (
        releasing(by)
        >> data(by, late)
        << send(by, abort(2, reason))
        << logged("association ended")
        << send(other(by), abort(2, 0))
        << StartTimer(other(by), ARTIM)
        << StartTimer(by, ARTIM)
        >> counted(0)
    )


@pytest.mark.parametrize("by", [INBOUND, ONWARD])
def test_no_answer_in_time(by):
    """A side that does not answer within artim is aborted."""
    script = releasing(by) >> expired(other(by), RELEASE) << logged("association ended")
    for end in (other(by), by):
        script = script << send(end, abort(2, 0)) << StartTimer(end, ARTIM)
    assert script >> counted(0)


@pytest.mark.parametrize(
    ("how", "seen"), [(data(ONWARD, abort(0, 0)), (0, 0)), (lost(ONWARD), (2, 0))]
)
def test_the_callee_ends_instead_of_answering(how: Input, seen: tuple[int, int]):
    script = releasing(INBOUND) >> how << logged("association ended")
    script = script << send(INBOUND, abort(*seen)) << StartTimer(INBOUND, ARTIM)
    if how.received:
        script <<= CloseTransport(ONWARD)
    assert script >> counted(0)


@pytest.mark.parametrize(
    ("how", "seen"), [(data(INBOUND, abort(0, 0)), (0, 0)), (lost(INBOUND), (2, 0))]
)
def test_who_asked_ends_before_the_answer(how: Input, seen: tuple[int, int]):
    script = releasing(INBOUND) >> how << logged("association ended")
    script = script << send(ONWARD, abort(*seen)) << StartTimer(ONWARD, ARTIM)
    if how.received:
        script <<= CloseTransport(INBOUND)
    assert script >> counted(0)


def test_after_the_answer_the_peer_may_say_what_it_likes():
    """Sta13: AA-6 ignores, AA-7 aborts once more for an A-ASSOCIATE-RQ or something invalid."""
    assert (
        releasing(INBOUND)
        >> quietly(data(ONWARD, RELEASE_RP))
        >> data(INBOUND, command(1, wire.echo_rq(1)) + RELEASE_RQ + RELEASE_RP)
        >> data(INBOUND, wire.rq("HB_PACS", "WS1", CONTEXTS))
        << send(INBOUND, abort(0, 0))
        >> data(INBOUND, abort(0, 0))
        << StopTimer(INBOUND, ARTIM)
        << CloseTransport(INBOUND)
        >> finished()
    )


def test_shutdown_while_it_is_released():
    assert (
        releasing(INBOUND)
        >> shutdown()
        << logged("association ended", outcome="the relay stops")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, ARTIM)
        << send(ONWARD, abort(2, 0))
        << StartTimer(ONWARD, ARTIM)
    )
