"""From what an association wants to what the shell is asked for (PS3.8 9.2; contract "Refusals")."""

from __future__ import annotations

import pytest

from ulproxy.pdu.association import Close, Connect, Send, StartArtim, StopArtim
from ulproxy.pdu.fsm import Role, State
from ulproxy.relay.effects import CloseTransport, End, SendData, StartTimer, StopTimer, Timer
from ulproxy.relay.pair import Pair

ENDS = [End.INBOUND, End.ONWARD]


def test_the_two_sides():
    """We answer the peer that called us, and call the other one."""
    pair = Pair()
    assert pair.side(End.INBOUND) is pair.inbound
    assert pair.side(End.ONWARD) is pair.onward
    assert pair.other(pair.inbound) is pair.onward
    assert pair.other(pair.onward) is pair.inbound
    assert pair.inbound.association.role is Role.ACCEPTOR
    assert pair.onward.association.role is Role.REQUESTOR
    assert [side.end for side in (pair.inbound, pair.onward)] == ENDS


@pytest.mark.parametrize("end", ENDS)
def test_outputs_become_effects_of_their_end(end):
    pair = Pair()
    side = pair.side(end)
    side.association.state = State.Sta13
    for output in (Send(b"pdu"), Close(), StartArtim(), StopArtim()):
        pair.perform(side, output)
    assert pair.take() == [
        SendData(end, b"pdu"),
        CloseTransport(end),
        StartTimer(end, Timer.ARTIM),
        StopTimer(end, Timer.ARTIM),
    ]


def test_what_is_taken_is_the_takers():
    pair = Pair()
    pair.perform(pair.inbound, Close())
    taken = pair.take()
    pair.perform(pair.onward, Close())
    assert taken == [CloseTransport(End.INBOUND)]
    assert pair.take() == [CloseTransport(End.ONWARD)]
    assert pair.take() == []


@pytest.mark.parametrize("end", ENDS)
def test_within_a_fragment_nothing_is_written(end):
    """The peer would take it for the object's bytes; and ARTIM is not for a closed connection."""
    pair = Pair()
    side = pair.side(end)
    side.association.state = State.Sta13
    side.fragment_left = 1
    pair.perform(side, Send(b"A-ABORT"))
    pair.perform(side, StartArtim())
    assert pair.take() == [CloseTransport(end)]
    assert side.association.state is State.Sta1


def test_a_fragment_to_one_end_does_not_keep_the_other_from_being_told():
    pair = Pair()
    pair.onward.fragment_left = 1
    pair.perform(pair.inbound, Send(b"A-ABORT"))
    assert pair.take() == [SendData(End.INBOUND, b"A-ABORT")]


def test_what_is_not_the_transports_is_a_bug():
    with pytest.raises(AssertionError):
        Pair().perform(Pair().inbound, Connect())
