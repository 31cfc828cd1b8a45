"""The title that several share: C-MOVEs that end before their C-STOREs do (PS3.7 9.1.4)."""

from __future__ import annotations

import pytest

from tests.relay import hospital
from tests.relay.playbook import (
    INBOUND,
    Playbook,
    accepted,
    data,
    logged,
    quietly,
    send,
)
from tests.relay.sharing import (
    FIRST,
    FOURTH,
    MOVE_4,
    OBJECT,
    RQ,
    SECOND,
    THIRD,
    TO_WS3,
    TO_WS4,
    WS4,
    answers,
    begins,
    border,
    done,
    ends,
    standing,
    stored,
)
from tests.relay.wire import rj
from ulproxy.relay.effects import OpenTransport, StartTimer, StopTimer, Timer

BOTH = border(TO_WS3, TO_WS4)
ARTIM = Timer.ARTIM


def storing() -> Playbook:
    """WS4 has been stored to, and has answered: the third leg."""
    return standing(BOTH, FIRST, SECOND) >> quietly(
        data(INBOUND, stored(MOVE_4) + OBJECT), *answers(THIRD), data(THIRD, done())
    )


@pytest.mark.parametrize("cut", [False, True], ids=["answered", "cut short"])
def test_what_is_still_due_of_it_passes_on_associations_of_its_time(cut):
    assert (
        storing()
        >> ends("WS4", cut=cut)
        >> data(INBOUND, stored(MOVE_4, 2) + OBJECT)
        << send(THIRD, stored(("WS4", 5), 2) + OBJECT)
        >> data(THIRD, done(2))
        << send(INBOUND, done(2))
    )


@pytest.mark.parametrize("cut", [False, True], ids=["answered", "cut short"])
def test_and_its_destination_is_still_called_for_it(cut):
    assert (
        standing(BOTH, FIRST, SECOND)
        >> ends("WS4", cut=cut)
        >> data(INBOUND, stored(MOVE_4) + OBJECT)
        << OpenTransport(WS4, THIRD)
        << StartTimer(THIRD, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
    )


@pytest.mark.parametrize("cut", [False, True])
def test_after_that_the_archive_may_not_call(cut):
    one = border(TO_WS3)()
    for move in one.moves.at("ARCHIVE"):
        one.moves.close(move, cut=cut)
    assert (
        Playbook(lambda: one, peer=hospital.OUTSIDE, bytewise=False)
        >> quietly(accepted())
        >> data(INBOUND, RQ)
        << StopTimer(INBOUND, ARTIM)
        << send(INBOUND, rj(1, 1, 1))
        << StartTimer(INBOUND, ARTIM)
    )


@pytest.mark.parametrize("cut", [False, True])
def test_on_a_later_association_it_is_refused(cut):
    """That one is for WS3 alone."""
    one = BOTH()
    for move in one.moves.at("ARCHIVE"):
        if move.destination == "WS4":
            one.moves.close(move, cut=cut)
    assert (
        Playbook(lambda: one, peer=hospital.OUTSIDE, bytewise=False)
        >> quietly(accepted(), data(INBOUND, RQ), *answers(FIRST))
        >> data(INBOUND, stored(MOVE_4) + OBJECT)
        << logged("message refused", status="0124H")
        << send(INBOUND, done(1, 0x0124))
    )


def test_of_one_that_was_cut_short_something_may_be_due():
    """So a C-STORE that names nothing is not the other one's for certain; of one that was answered it is."""
    half = stored(None) + OBJECT
    assert (
        storing()
        >> ends("WS4", cut=True)
        >> data(INBOUND, half)
        << logged("message refused", why="a C-MOVE to any of WS3, WS4 could have caused it")
        << send(INBOUND, done(1, 0x0110))
    )
    assert (
        storing()
        >> ends("WS4")
        >> data(INBOUND, half)
        << OpenTransport(hospital.endpoint("WS3"), FOURTH)
        << StartTimer(FOURTH, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
    )


def test_its_message_id_is_not_given_to_another_one_meanwhile():
    """As long as C-STOREs of it may come."""
    assert (
        storing()
        >> ends("WS4", cut=True)
        >> begins("WS4", "WS5", 0xFFFF, 0xFFFE)
        >> begins("WS5", "WS5", 0xFFFF, 0xFFFD)
        >> data(INBOUND, stored(MOVE_4, 2) + OBJECT)
        << send(THIRD, stored(("WS4", 5), 2) + OBJECT)
    )
