"""From what an association wants to what the shell is asked for (PS3.8 9.2; contract "Refusals")."""

from __future__ import annotations

import pytest

from tests.relay import hospital
from ulproxy.pdu.association import Close, Connect, Send, StartArtim, StopArtim
from ulproxy.pdu.fsm import Role, State
from ulproxy.relay.effects import CloseTransport, End, SendData, StartTimer, StopTimer, Timer
from ulproxy.relay.ends import Ends
from ulproxy.relay.side import Side

BOTH = [End.INBOUND, End.ONWARD]


def ends(end: End) -> tuple[Ends, Side]:
    """Ends of which this one stands, and its side."""
    both = Ends(hospital.border(), hospital.peer())
    side = both.inbound
    if end is End.ONWARD:
        side = Side(end)
        both.legs.append(side)  # type: ignore[arg-type]
    return both, side


def test_the_sides():
    """We answer the peer that called us, and call the other one."""
    both, onward = ends(End.ONWARD)
    assert both.side(End.INBOUND) is both.inbound
    assert both.side(End.ONWARD) is onward
    assert both.inbound.association.role is Role.ACCEPTOR
    assert onward.association.role is Role.REQUESTOR
    assert [side.end for side in (both.inbound, onward)] == BOTH


@pytest.mark.parametrize("end", BOTH)
def test_outputs_become_effects_of_their_end(end):
    both, side = ends(end)
    side.association.state = State.Sta13
    both.perform(side, (Send(b"pdu"), Close(), StartArtim(), StopArtim()))
    assert both.take() == [
        SendData(end, b"pdu"),
        CloseTransport(end),
        StartTimer(end, Timer.ARTIM),
        StopTimer(end, Timer.ARTIM),
    ]


def test_what_is_taken_is_the_takers():
    both, onward = ends(End.ONWARD)
    both.perform(both.inbound, (Close(),))
    taken = both.take()
    both.perform(onward, (Close(),))
    assert taken == [CloseTransport(End.INBOUND)]
    assert both.take() == [CloseTransport(End.ONWARD)]
    assert both.take() == []


@pytest.mark.parametrize("end", BOTH)
def test_within_a_fragment_nothing_is_written(end):
    """The peer would take it for the object's bytes; and ARTIM is not for a closed connection."""
    both, side = ends(end)
    side.association.state = State.Sta13
    side.fragment_left = 1
    both.perform(side, (Send(b"A-ABORT"), StartArtim()))
    assert both.take() == [CloseTransport(end)]
    assert side.association.state is State.Sta1


def test_a_fragment_to_one_end_does_not_keep_the_other_from_being_told():
    both, onward = ends(End.ONWARD)
    onward.fragment_left = 1
    both.perform(both.inbound, (Send(b"A-ABORT"),))
    assert both.take() == [SendData(End.INBOUND, b"A-ABORT")]


def test_what_is_not_the_transports_is_a_bug():
    both, _ = ends(End.INBOUND)
    with pytest.raises(AssertionError):
        both.perform(both.inbound, (Connect(),))
