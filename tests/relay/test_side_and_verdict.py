"""Sides, and what is said of a message: what they are before anything has happened."""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.judging import decoded, gate
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.fsm import Role, State
from ulproxy.relay.effects import End
from ulproxy.relay.side import Blamed, Collected, Side
from ulproxy.relay.verdict import Context, Pass


@pytest.mark.parametrize(
    ("end", "role", "name"),
    [
        (End.INBOUND, Role.ACCEPTOR, "inbound"),
        (End.ONWARD, Role.REQUESTOR, "onward"),
        (End.leg(3), Role.REQUESTOR, "onward_3"),
    ],
)
def test_a_side(end, role, name):
    side = Side(end)
    assert (side.association.role, side.association.state) == (role, State.Sta1)
    assert side.name == name
    assert not side.messages.under_way
    assert side.waiting == []


def test_what_is_collected_is_collected_for_one_message_each():
    one, other = Collected(print), Collected(print)
    assert one.collector is not other.collector


def test_who_is_blamed_is_told_what_for():
    side = Side(End.INBOUND)
    error = Blamed(side, RemoteProtocolError("too much", 5))
    assert (str(error), error.reason, error.side) == ("too much", 5, side)
    assert isinstance(error, RemoteProtocolError)


def test_what_passes_passes_as_it_came_unless_something_else_is_said():
    verdict = Pass(decoded(wire.echo_rq(1)))
    assert verdict == Pass(verdict.command, None, None, "", None)


def test_a_context_is_what_was_proposed_and_accepted():
    contexts = {1: Context(wire.VERIFICATION, wire.EXPLICIT)}
    assert contexts[1].abstract_syntax == wire.VERIFICATION
    assert gate(contexts=contexts).idle
