"""The title that several share: legs that are lost or released, and what the AEs say (PS3.8, PS3.7 9.1.4)."""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.archives import STORING
from tests.relay.playbook import (
    INBOUND,
    Playbook,
    counted,
    data,
    expired,
    logged,
    lost,
    quietly,
    send,
)
from tests.relay.sharing import (
    FIRST,
    FOURTH,
    MOVE_3,
    MOVE_4,
    OBJECT,
    SECOND,
    THIRD,
    TO_WS3,
    TO_WS4,
    WS4,
    answers,
    border,
    calls,
    done,
    standing,
    stored,
)
from tests.relay.wire import RELEASE_RP, RELEASE_RQ, Asked, Given, abort, command, fragment
from ulproxy.relay.effects import CloseTransport, OpenTransport, StartTimer, StopTimer, Timer

BOTH = border(TO_WS3, TO_WS4)
ARTIM = Timer.ARTIM


def storing() -> Playbook:
    """WS4 has been stored to, and has answered: the third leg."""
    return standing(BOTH, FIRST, SECOND) >> quietly(
        data(INBOUND, stored(MOVE_4) + OBJECT), *answers(THIRD), data(THIRD, done())
    )


# A leg is lost


@pytest.mark.parametrize(
    "how",
    [
        lost(THIRD, "reset"),
        data(THIRD, abort(0, 0)),
        data(THIRD, RELEASE_RQ),
        expired(THIRD, Timer.WRITE),
        data(THIRD, wire.pdu(9, b"")),
    ],
    ids=["lost", "aborts", "releases", "too slow", "no PDU"],
)
def test_nothing_is_lost_with_a_leg_that_is_idle(how):
    """The next C-STORE for its AE calls it again."""
    assert (
        storing()
        >> quietly(how)
        >> counted(1)
        >> data(INBOUND, stored(MOVE_4, 2) + OBJECT)
        << OpenTransport(WS4, FOURTH)
        << StartTimer(FOURTH, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
        >> quietly(answers(FOURTH)[0])
        >> data(FOURTH, answers(FOURTH)[1].received)
        << StopTimer(FOURTH, Timer.CONNECT)
        << send(FOURTH, stored(("WS4", 5), 2) + OBJECT)
    )


@pytest.mark.parametrize("how", [lost(THIRD, "reset"), data(THIRD, RELEASE_RQ)])
def test_what_a_lost_leg_has_been_sent_cannot_be_answered_for(how):
    """The archive would wait for the response for ever, or take it for stored."""
    script = storing() >> quietly(data(INBOUND, stored(MOVE_4, 2) + OBJECT)) >> how
    if how.received:
        script = script << send(THIRD, RELEASE_RP) << StartTimer(THIRD, ARTIM)
    assert (
        script
        << logged("association ended")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, ARTIM)
        >> counted(0)
    )


@pytest.mark.parametrize("rest", [OBJECT[-2:], OBJECT[18:]], ids=["in a fragment", "between two"])
def test_a_leg_is_released_in_the_middle_of_an_object(rest):
    """It will not answer; the object is not ended by our answer to it."""
    half = OBJECT[: -len(rest)]
    script = (
        storing() >> quietly(data(INBOUND, stored(MOVE_4, 2) + half)) >> data(THIRD, RELEASE_RQ)
    )
    script <<= logged("association ended", outcome="released by the AE within a message to it")
    script = script << send(INBOUND, abort(2, 0)) << StartTimer(INBOUND, ARTIM)
    if len(rest) == 2:
        script <<= CloseTransport(THIRD)
    else:
        script = script << send(THIRD, abort(2, 0)) << StartTimer(THIRD, ARTIM)
    assert script >> counted(0)


def test_a_leg_is_lost_in_the_middle_of_an_object():
    assert (
        storing()
        >> quietly(data(INBOUND, stored(MOVE_4, 2) + OBJECT[:-2]))
        >> lost(THIRD, "reset")
        << logged("association ended", outcome="reset")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, ARTIM)
        >> data(INBOUND, OBJECT[-2:])
        >> counted(0)
    )


def test_the_archive_is_lost_in_the_middle_of_an_object():
    """It is never completed: within a fragment its receiver is told nothing, the connection is closed."""
    assert (
        storing()
        >> quietly(data(INBOUND, stored(MOVE_4, 2) + OBJECT[:-2]))
        >> lost(INBOUND, "reset")
        << logged("association ended", outcome="reset")
        << CloseTransport(THIRD)
        >> counted(0)
    )


def test_the_archive_is_lost_between_two_fragments():
    assert (
        storing()
        >> quietly(data(INBOUND, stored(MOVE_4, 2) + OBJECT[:18]))
        >> data(INBOUND, abort(0, 0))
        << logged("association ended")
        << send(THIRD, abort(0, 0))
        << StartTimer(THIRD, ARTIM)
        << CloseTransport(INBOUND)
        >> counted(0)
    )


def test_a_leg_is_lost_while_another_one_is_stored_to():
    """What that one gets is none of its business."""
    script = storing() >> quietly(
        data(INBOUND, stored(MOVE_3) + OBJECT),
        *answers(FOURTH),
        data(FOURTH, done()),
        data(INBOUND, stored(MOVE_3, 2) + OBJECT[:-2]),
    )
    assert (
        script
        >> lost(THIRD, "reset")
        << logged("AE failed", callee="WS4")
        >> data(INBOUND, OBJECT[-2:])
        << send(FOURTH, OBJECT[-2:])
        >> data(FOURTH, done(2))
        << send(INBOUND, done(2))
    )


def test_a_response_that_is_not_whole():
    half = wire.commands_of(1, wire.command_set(wire.store_rsp(1)), 40)[:52]
    assert (
        storing()
        >> quietly(data(THIRD, half))
        >> lost(THIRD, "reset")
        << logged("AE failed", callee="WS4")
        << logged("association ended", outcome="reset")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, ARTIM)
    )


# What the archive and the AEs say to each other otherwise

VERIFYING = (*STORING, Asked(5, wire.VERIFICATION))
ROLE = wire.role(wire.VERIFICATION, 1, 1)


def verifying() -> Playbook:
    """The AEs may verify the archive on the association that it opened."""
    rq = wire.rq("HOSP_A", "PACS", VERIFYING, extras=[ROLE])
    ac = wire.ac([Given(1), Given(3), Given(5)], extras=[ROLE])
    script = calls(BOTH, rq) >> quietly(*answers(FIRST, ac), *answers(SECOND, ac))
    script >>= quietly(data(FIRST, RELEASE_RP), data(SECOND, RELEASE_RP))
    for move, leg in ((MOVE_3, THIRD), (MOVE_4, FOURTH)):
        script >>= quietly(data(INBOUND, stored(move) + OBJECT), *answers(leg, ac))
        script >>= quietly(data(leg, done()))
    return script


def echo(message_id: int) -> bytes:
    return command(5, wire.echo_rq(message_id))


def echoed(message_id: int) -> bytes:
    return command(5, wire.echo_rsp(message_id))


def test_what_an_ae_asks_the_archive_is_answered_to_it():
    """Two with one Message ID wait for each other; the archive's own C-ECHO is for the relay."""
    assert (
        verifying()
        >> data(FOURTH, echo(1))
        << send(INBOUND, echo(1))
        >> data(THIRD, echo(1))
        >> data(INBOUND, echo(1))
        << send(INBOUND, echoed(1))
        >> data(INBOUND, echoed(1))
        << send(FOURTH, echoed(1))
        << send(INBOUND, echo(1))
        >> data(INBOUND, echoed(1))
        << send(THIRD, echoed(1))
    )


def test_an_answer_waits_for_the_end_of_an_object_to_another_ae():
    """They are different receivers: it does not."""
    assert (
        verifying()
        >> quietly(data(THIRD, echo(7)), data(INBOUND, stored(MOVE_4, 2) + OBJECT[:-2]))
        >> data(INBOUND, OBJECT[-2:] + echoed(7))
        << send(FOURTH, OBJECT[-2:])
        << send(THIRD, echoed(7))
    )


@pytest.mark.parametrize(
    ("message", "answer", "event"),
    [
        (command(1, wire.store_rsp(9)), b"", "message dropped"),
        (command(1, wire.cancel_rq(9)), b"", "message dropped"),
        (
            command(1, wire.request(wire.N_GET, 9, wire.CT)),
            command(1, wire.response(wire.N_GET, 9, wire.CT, 0x0124)),
            "message refused",
        ),
        (
            command(1, wire.request(wire.C_ECHO, 9, wire.CT)),
            command(1, wire.response(wire.C_ECHO, 9, wire.CT, 0x0124)),
            "message refused",
        ),
    ],
    ids=["a response to nothing", "a C-CANCEL of nothing", "N-GET", "C-ECHO for storage"],
)
def test_nothing_but_c_stores_can_be_asked(message, answer, event):
    script = storing() >> data(INBOUND, message) << logged(event)
    assert script << send(INBOUND, answer) if answer else script


def test_a_c_cancel_of_what_was_asked_goes_to_who_was_asked():
    assert (
        storing()
        >> quietly(data(INBOUND, stored(MOVE_4, 2) + OBJECT))
        >> data(INBOUND, command(1, wire.cancel_rq(2)))
        << send(THIRD, command(1, wire.cancel_rq(2)))
    )


def test_an_ae_may_not_ask_what_no_rule_allows():
    asked = command(1, wire.store_rq(1)) + fragment(1, b"pixels")
    refused = command(1, wire.store_rsp(1, 0x0124))
    assert storing() >> data(THIRD, asked) << logged("message refused") << send(THIRD, refused)


def test_on_what_the_archive_was_not_accepted_nobody_speaks():
    """WS3 accepted one context more than the archive could be told."""
    contexts = (Asked(1, wire.CT), Asked(3, wire.CT))
    script = calls(BOTH, wire.rq("HOSP_A", "PACS", contexts))
    script = script >> quietly(*answers(FIRST, wire.ac([Given(1), Given(3)])))
    script = script >> quietly(*answers(SECOND, wire.ac([Given(3)])), data(FIRST, RELEASE_RP))
    script >>= quietly(data(SECOND, RELEASE_RP), data(INBOUND, stored3()))
    script >>= quietly(
        *answers(THIRD, wire.ac([Given(3)])), data(THIRD, command(3, wire.store_rsp(1)))
    )
    assert (
        script
        >> data(THIRD, command(1, wire.store_rsp(1)))
        << send(THIRD, abort(2, 6))
        << StartTimer(THIRD, ARTIM)
        << logged(
            "AE failed",
            why="protocol error of the onward_3 end: presentation context 1 not accepted",
        )
    )


def stored3() -> bytes:
    return command(3, wire.store_rq(1, originator=MOVE_3)) + fragment(3, b"pixels")


# The archive releases


def test_the_release_goes_to_all_legs():
    script = storing() >> quietly(
        data(INBOUND, stored(MOVE_3) + OBJECT), *answers(FOURTH), data(FOURTH, done())
    )
    assert (
        script
        >> data(INBOUND, RELEASE_RQ)
        << send(FOURTH, RELEASE_RQ)
        << StartTimer(FOURTH, Timer.RELEASE)
        << send(THIRD, RELEASE_RQ)
        << StartTimer(THIRD, Timer.RELEASE)
        >> quietly(data(THIRD, RELEASE_RP))
        >> data(FOURTH, RELEASE_RP)
        << StopTimer(FOURTH, Timer.RELEASE)
        << logged("association ended", outcome="released, asked by the inbound end")
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, ARTIM)
        << CloseTransport(FOURTH)
        >> counted(0)
    )


def test_a_release_when_nobody_was_stored_to():
    """The legs that were asked what they accept have left."""
    assert (
        standing(BOTH, FIRST, SECOND)
        >> data(INBOUND, RELEASE_RQ)
        << logged("association ended", outcome="released, asked by the inbound end")
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, ARTIM)
        >> counted(0)
    )


def test_a_release_before_those_have_left():
    script = calls(BOTH) >> quietly(*answers(FIRST), *answers(SECOND), data(FIRST, RELEASE_RP))
    assert (
        script
        >> data(INBOUND, RELEASE_RQ)
        >> data(SECOND, RELEASE_RP)
        << StopTimer(SECOND, Timer.RELEASE)
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, ARTIM)
        << CloseTransport(SECOND)
    )


@pytest.mark.parametrize("how", [lost(INBOUND), expired(INBOUND, Timer.IDLE)])
def test_the_association_ends_while_a_c_store_waits(how):
    assert (
        standing(BOTH, FIRST, SECOND)
        >> quietly(data(INBOUND, stored(MOVE_4) + OBJECT + stored(MOVE_3, 2) + OBJECT), how)
        >> counted(0)
    )
