"""Queries to a group: all members are asked at once, one answers for them (contract, PS3.4 C.4.1)."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.groups import (
    AC,
    ALL,
    FIRST,
    KEYS,
    ROLE,
    RQ,
    SECOND,
    THIRD,
    border,
    both,
    final,
    find,
    found,
    in_part,
    joined,
)
from tests.relay.hospital import CONTEXTS, ECHO, FIND, STORE
from tests.relay.playbook import (
    INBOUND,
    Playbook,
    accepted,
    connected,
    counted,
    data,
    logged,
    lost,
    quietly,
    send,
)
from tests.relay.wire import (
    Asked,
    abort,
    command,
    fragment,
    rj,
)
from ulproxy.policy.endpoints import Endpoint
from ulproxy.relay.effects import OpenTransport, StartTimer, StopTimer, Timer
from ulproxy.relay.fan import MAX_QUERIES

PACS2 = Endpoint("10.2.0.3", 104)
FOUND = command(FIND, final(wire.C_FIND))
IN_PART = command(FIND, final(wire.C_FIND, status=0xB000))
PROPOSED = tuple(
    Asked(3, wire.CT, (wire.IMPLICIT, wire.JPEG)) if context.context_id == STORE else context
    for context in CONTEXTS
)


def test_a_call_to_a_group_goes_to_all_members_at_once():
    """Each is called by its own title; what the callers can be told is told when the first has accepted."""
    onward = [
        hospital.relayed_rq(title, "HA_WS1", PROPOSED, extras=(ROLE,))
        for title in ("PACS", "PACS2")
    ]
    assert (
        Playbook(border())
        >> quietly(accepted())
        >> data(INBOUND, RQ)
        << StopTimer(INBOUND, Timer.ARTIM)
        << OpenTransport(hospital.endpoint("ARCHIVE"), FIRST)
        << StartTimer(FIRST, Timer.CONNECT)
        << OpenTransport(PACS2, SECOND)
        << StartTimer(SECOND, Timer.CONNECT)
        >> connected(SECOND)
        << send(SECOND, onward[1])
        >> connected(FIRST)
        << send(FIRST, onward[0])
        >> data(SECOND, AC)
        << StopTimer(SECOND, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.IDLE)
        << logged("association established", group="ALL", callee="ARCHIVE, PACS2", contexts=5)
        << send(INBOUND, hospital.relayed_ac("ALL", "WS1", ALL, extras=(ROLE,)))
        >> data(FIRST, AC)
        << StopTimer(FIRST, Timer.CONNECT)
        >> counted(1)
    )


def test_responses_come_as_they_come_with_the_titles_to_retrieve_by():
    """PACS is known by its alias; PACS2, behind the relay's own title, by that of the group."""
    assert (
        both()
        >> data(INBOUND, find())
        << send(FIRST, find())
        << send(SECOND, find())
        >> data(SECOND, found("PACS2"))
        << send(INBOUND, found("ALL"))
        >> data(FIRST, found("PACS"))
        << send(INBOUND, found("HB_PACS"))
        >> data(SECOND, found("PACS2") + FOUND)
        << send(INBOUND, found("ALL"))
        >> data(FIRST, found("PACS"))
        << send(INBOUND, found("HB_PACS"))
        >> data(FIRST, FOUND)
        << send(INBOUND, FOUND)
    )


def test_a_member_on_the_callers_own_network_is_known_by_its_title():
    rq = wire.rq("EVERY", "WS1", CONTEXTS, extras=[ROLE])
    assert (
        joined(FIRST, SECOND, THIRD, rq=rq)
        >> quietly(data(INBOUND, find()), data(FIRST, FOUND))
        >> data(THIRD, found("MINI"))
        << send(INBOUND, found("MINI"))
        >> data(SECOND, found("PACS2"))
        << send(INBOUND, found("EVERY"))
        >> data(THIRD, FOUND)
        >> data(SECOND, FOUND)
        << send(INBOUND, FOUND)
    )


def test_a_member_that_joins_late_is_asked_what_has_been_asked_before():
    assert (
        joined(FIRST)
        >> data(INBOUND, find(1) + find(2))
        << send(FIRST, find(1) + find(2))
        >> data(FIRST, FOUND)
        >> connected(SECOND)
        << send(SECOND, hospital.relayed_rq("PACS2", "HA_WS1", PROPOSED, extras=(ROLE,)))
        >> data(SECOND, AC)
        << StopTimer(SECOND, Timer.CONNECT)
        << send(SECOND, find(1) + find(2))
        >> data(SECOND, FOUND)
        << send(INBOUND, FOUND)
    )


def test_a_query_without_a_data_set_is_one_too():
    asked = command(FIND, {**wire.find_rq(1), wire.DATA_SET_TYPE: wire.NO_DATA})
    assert both() >> data(INBOUND, asked) << send(FIRST, asked) << send(SECOND, asked)


# What else can be said to a group


def test_a_c_echo_succeeds_if_any_member_does():
    echo, answer = command(ECHO, wire.echo_rq(1)), command(ECHO, wire.echo_rsp(1))
    assert (
        both()
        >> data(INBOUND, echo)
        << send(FIRST, echo)
        << send(SECOND, echo)
        >> data(SECOND, command(ECHO, wire.echo_rsp(1, 0x0110)))
        >> data(FIRST, answer)
        << in_part("PACS2: status 0110H", command="C-ECHO-RQ")
        << send(INBOUND, answer)
    )


@pytest.mark.parametrize(
    ("context_id", "asked", "refused"),
    [
        (STORE, wire.store_rq(1), wire.store_rsp(1, 0x0124)),
        (
            FIND,
            wire.request(wire.N_GET, 1, wire.PRINTER),
            wire.response(wire.N_GET, 1, wire.PRINTER, 0x0124),
        ),
    ],
)
def test_nothing_else_is_asked_of_a_group(context_id, asked, refused):
    more = fragment(context_id, b"pixels") if context_id == STORE else b""
    assert (
        both()
        >> data(INBOUND, command(context_id, asked) + more)
        << logged("message refused", status="0124H")
        << send(INBOUND, command(context_id, refused))
    )


def test_a_group_is_not_called_for_anything_else():
    asked = wire.rq("ALL", "WS1", [Asked(1, wire.CT)])
    assert (
        Playbook(border())
        >> quietly(accepted())
        >> data(INBOUND, asked)
        << StopTimer(INBOUND, Timer.ARTIM)
        << send(INBOUND, rj(1, 1, 1))
        << StartTimer(INBOUND, Timer.ARTIM)
    )


@pytest.mark.parametrize("number", [MAX_QUERIES - 1, MAX_QUERIES, MAX_QUERIES + 1])
def test_how_many_requests_there_may_be_at_once(number):
    """MAX_QUERIES - 1, at, + 1."""
    script = both() >> quietly(*(data(INBOUND, find(n)) for n in range(1, number)))
    script = script >> data(INBOUND, find(number))
    if number <= MAX_QUERIES:
        script = script << send(FIRST, find(number)) << send(SECOND, find(number))
    else:
        script <<= send(INBOUND, command(FIND, final(wire.C_FIND, number, 0x0110)))
    assert script


def test_another_one_may_be_asked_when_one_is_answered():
    script = both() >> quietly(*(data(INBOUND, find(n)) for n in range(1, MAX_QUERIES + 1)))
    script >>= quietly(data(FIRST, FOUND), data(SECOND, FOUND))
    assert script >> data(INBOUND, find(99)) << send(FIRST, find(99)) << send(SECOND, find(99))


# The relay's own title may be a group


def test_the_relays_own_title_may_be_a_group():
    """Then the relay still answers a C-ECHO itself."""
    echo = command(ECHO, wire.echo_rq(2))
    made = border(title="ALL")
    assert (
        joined(FIRST, SECOND, made=made)
        >> data(INBOUND, find())
        << send(FIRST, find())
        << send(SECOND, find())
        >> data(INBOUND, echo)
        << send(INBOUND, command(ECHO, wire.echo_rsp(2)))
        >> data(SECOND, found("PACS2"))
        << send(INBOUND, found("ALL"))
    )


# Queries by a title


def test_a_query_by_a_title_is_mapped_for_each_member():
    pacs = fragment(FIND, bytes.fromhex("0800540008000000") + b"HB_PACS ")
    asked = command(FIND, wire.find_rq(1))
    assert (
        both()
        >> data(INBOUND, asked + pacs)
        << send(FIRST, asked + fragment(FIND, bytes.fromhex("0800540004000000") + b"PACS"))
        << send(SECOND, asked + fragment(FIND, bytes.fromhex("0800540004000000") + b"PACS"))
    )


@pytest.mark.parametrize("late", [False, True])
def test_a_query_that_cannot_be_read_is_its_callers_fault(late):
    """Also where that shows when a member joins: the one that could be asked before has gone."""
    broken = command(FIND, wire.find_rq(1)) + fragment(FIND, KEYS[-8:-2])
    script = joined(FIRST)
    if late:
        script = script >> quietly(lost(FIRST), data(INBOUND, broken), connected(SECOND))
        script = script >> data(SECOND, AC) << StopTimer(SECOND, Timer.CONNECT)
    else:
        script = script >> quietly(connected(SECOND)) >> data(INBOUND, broken)
    script = script << logged("association ended") << send(INBOUND, abort(2, 6))
    script <<= StartTimer(INBOUND, Timer.ARTIM)
    for leg in (FIRST, SECOND)[late:]:
        script = script << send(leg, abort(2, 0)) << StartTimer(leg, Timer.ARTIM)
    assert script >> counted(0)


def test_what_is_about_nothing_bothers_nobody():
    """A response to nothing, a C-CANCEL-RQ of nothing, a response of a member that was not asked."""
    assert (
        both()
        >> data(INBOUND, command(ECHO, wire.echo_rsp(1)))
        << logged("message dropped", why="nothing that was asked here")
        >> data(INBOUND, command(FIND, wire.cancel_rq(1)))
        << logged("message dropped", why="C-CANCEL-RQ of nothing that is under way")
        >> data(FIRST, FOUND)
        << logged("message dropped")
    )
