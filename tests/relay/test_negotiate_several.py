"""Negotiation with several AEs behind one association: what the caller is told, what a later one is asked."""

from __future__ import annotations

import pytest

from tests.relay import wire
from ulproxy import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import AAssociateAC, AAssociateRQ, decode_ac, decode_rq
from ulproxy.pdu.items import RoleSelection
from ulproxy.relay.negotiate import accepted_of, restricted, several_answer

EXTRAS = (
    wire.window(7, 3),
    wire.role(wire.CT, 1, 1),
    wire.role(wire.MR, 0, 1),
    wire.extended(wire.CT, b"\\1"),
    wire.identity(2, 1, b"name", b"passcode"),
)
CONTEXTS = (
    wire.Asked(1, wire.CT, (wire.JPEG, wire.IMPLICIT)),
    wire.Asked(3, wire.MR, (wire.EXPLICIT,)),
    wire.Asked(5, wire.CT, (wire.IMPLICIT,)),
)


def request() -> AAssociateRQ:
    return decode_rq(wire.rq("ALL", "WS1", CONTEXTS, 4096, EXTRAS)[6:])


def answer(*given: wire.Given) -> AAssociateAC:
    return decode_ac(wire.ac(given)[6:])


# What the caller is told


def test_each_context_is_accepted_or_refused_by_the_rules():
    told = several_answer(request(), {1: wire.JPEG, 5: wire.IMPLICIT}, 16384)
    contexts = [tuple(context) for context in told.presentation_contexts]
    assert contexts == [(1, 0, wire.JPEG), (3, 1, wire.EXPLICIT), (5, 0, wire.IMPLICIT)]
    assert told.titles == request().titles


def test_roles_are_those_proposed_of_what_is_accepted():
    roles = several_answer(request(), {1: wire.JPEG}, 0).user_information.roles
    assert roles == (RoleSelection(wire.CT, scu=True, scp=True),)
    assert several_answer(request(), {}, 0).user_information.roles == ()


@pytest.mark.parametrize("length", [0, 16384])
def test_the_rest_is_the_relays_own(length):
    """No window, no extended negotiation, no identity: there are several to agree with."""
    told = several_answer(request(), {1: wire.JPEG}, length).user_information
    assert told.maximum_length == length
    assert told.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert told.implementation_version_name == IMPLEMENTATION_VERSION_NAME
    assert told.asynchronous_operations_window is None
    assert told.sop_class_extended == ()
    assert told.server_response is None


# What a later one is asked


def test_a_later_one_is_proposed_what_the_caller_was_accepted():
    later = restricted(request(), {1: wire.IMPLICIT, 3: wire.EXPLICIT, 9: wire.JPEG})
    contexts = [tuple(context) for context in later.presentation_contexts]
    assert contexts == [(1, wire.CT, (wire.IMPLICIT,)), (3, wire.MR, (wire.EXPLICIT,))]
    assert later.user_information == request().user_information
    assert later.titles == request().titles


def test_nothing_accepted_is_nothing_proposed():
    assert restricted(request(), {}).presentation_contexts == ()


# What an AE accepts


def test_what_an_ae_accepts():
    """A context that it leaves out it does not accept; what it refuses is no transfer syntax's."""
    given = (wire.Given(1, 0, wire.JPEG), wire.Given(3, 4, wire.JPEG))
    assert accepted_of(request(), answer(*given)) == {1: wire.JPEG}
    assert accepted_of(request(), answer(wire.Given(5, 1))) == {}


@pytest.mark.parametrize("given", [wire.Given(7), wire.Given(3), wire.Given(5, 0, wire.JPEG)])
def test_what_was_not_proposed_cannot_be_accepted(given):
    with pytest.raises(RemoteProtocolError):
        accepted_of(request(), answer(given))
