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
    answers,
    border,
    both,
    calls,
    final,
    find,
    found,
    joined,
)
from tests.relay.hospital import CONTEXTS, ECHO, FIND, MOVE, STORE
from tests.relay.playbook import (
    INBOUND,
    Playbook,
    accepted,
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
from tests.relay.wire import (
    RELEASE_RP,
    RELEASE_RQ,
    Asked,
    Given,
    abort,
    command,
    fragment,
    rj,
)
from ulproxy.policy.endpoints import Endpoint
from ulproxy.relay.effects import CloseTransport, OpenTransport, StartTimer, StopTimer, Timer
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


# Members that fail

RESET = logged("AE failed", callee="PACS2", why="reset")


def in_part(failed: str, members: int = 2, **facts: object):
    return logged("group answered in part", failed=failed, members=members, **facts)


def test_one_that_is_down_spoils_nothing():
    """The status says that something is missing, the log says of whom."""
    assert (
        joined(FIRST)
        >> lost(SECOND, "reset")
        << RESET
        >> data(INBOUND, find())
        << send(FIRST, find())
        >> data(FIRST, found("PACS"))
        << send(INBOUND, found("HB_PACS"))
        >> data(FIRST, FOUND)
        << in_part("PACS2: reset", command="C-FIND-RQ", message_id=1)
        << send(INBOUND, IN_PART)
    )


FAILURES = {
    "lost": ((lost(SECOND, "reset"),), "reset", ()),
    "aborted": (
        (data(SECOND, abort(2, 1)),),
        "aborted by the onward_2 end with (2, 1)",
        (CloseTransport(SECOND),),
    ),
    "too slow to take it": (
        (expired(SECOND, Timer.WRITE),),
        "the onward_2 end does not take what is sent to it (write)",
        (send(SECOND, abort(2, 0)), StartTimer(SECOND, Timer.ARTIM)),
    ),
    "breaks the protocol": (
        (data(SECOND, command(99, wire.echo_rq(1))),),
        "protocol error of the onward_2 end: presentation context 99 not accepted",
        (send(SECOND, abort(2, 6)), StartTimer(SECOND, Timer.ARTIM)),
    ),
}


@pytest.mark.parametrize(("steps", "why", "told"), FAILURES.values(), ids=FAILURES)
def test_one_that_fails_in_the_middle_of_a_query(steps, why, told):
    script = both() >> quietly(data(INBOUND, find()), data(FIRST, FOUND))
    script = script >> steps[0] << logged("AE failed", callee="PACS2", why=why)
    script = script << in_part(f"PACS2: {why}") << send(INBOUND, IN_PART)
    for effect in told:
        script <<= effect
    assert script >> counted(1)


def test_one_that_fails_while_it_is_still_waited_for_by_a_query():
    assert (
        joined(FIRST)
        >> quietly(data(INBOUND, find()), data(FIRST, FOUND), connected(SECOND))
        >> data(SECOND, rj(1, 1, 7))
        << StopTimer(SECOND, Timer.CONNECT)
        << in_part("PACS2: rejected by the AE with (1, 1, 7)")
        << send(INBOUND, IN_PART)
        << CloseTransport(SECOND)
    )


def test_a_member_that_releases_is_not_asked_any_more():
    assert (
        both()
        >> quietly(data(INBOUND, find()))
        >> data(SECOND, RELEASE_RQ)
        << send(SECOND, RELEASE_RP)
        << StartTimer(SECOND, Timer.ARTIM)
        >> data(FIRST, FOUND)
        << in_part("PACS2: released by the AE")
        << send(INBOUND, IN_PART)
        >> data(INBOUND, find(2))
        << send(FIRST, find(2))
    )


def test_a_failure_that_a_member_reports_itself():
    assert (
        both()
        >> quietly(data(INBOUND, find()), data(FIRST, FOUND))
        >> data(SECOND, command(FIND, final(wire.C_FIND, status=0xA700)))
        << in_part("PACS2: status A700H")
        << send(INBOUND, IN_PART)
    )


def test_when_all_fail_it_is_a_failure():
    """The first one's; what the relay itself says for one that is down is 0110H."""
    failed = command(FIND, final(wire.C_FIND, status=0xA700))
    assert (
        joined(FIRST)
        >> quietly(lost(SECOND, "reset"), data(INBOUND, find()))
        >> data(FIRST, failed)
        << in_part("PACS2: reset; ARCHIVE: status A700H")
        << send(INBOUND, command(FIND, final(wire.C_FIND, status=0x0110)))
    )


def test_when_the_last_member_is_gone_so_is_the_association():
    assert (
        both()
        >> quietly(lost(SECOND, "reset"))
        >> lost(FIRST, "reset")
        << logged("AE failed", callee="ARCHIVE")
        << logged("association ended", outcome="reset")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, Timer.ARTIM)
        >> counted(0)
    )


# Before the first one has accepted


def test_when_nobody_accepts_the_caller_is_rejected_as_by_the_last():
    assert (
        Playbook(border())
        >> calls()
        >> quietly(connected(FIRST))
        >> lost(SECOND, "10.2.0.3:104: refused")
        << logged("AE failed", callee="PACS2")
        >> data(FIRST, rj(1, 1, 3))
        << StopTimer(FIRST, Timer.CONNECT)
        << logged("AE failed", callee="ARCHIVE")
        << logged("association rejected", answer=(1, 1, 3))
        << send(INBOUND, rj(1, 1, 3))
        << StartTimer(INBOUND, Timer.ARTIM)
        << CloseTransport(FIRST)
        >> counted(0)
    )


def test_a_member_that_accepts_nothing_does_not_open_the_door():
    refused = wire.ac([Given(context.context_id, 3) for context in CONTEXTS])
    assert (
        Playbook(border())
        >> calls()
        >> quietly(connected(FIRST), connected(SECOND))
        >> data(FIRST, refused)
        << StopTimer(FIRST, Timer.CONNECT)
        >> data(SECOND, refused)
        << StopTimer(SECOND, Timer.CONNECT)
        << logged("association rejected", outcome="no member accepts anything")
        << send(INBOUND, rj(1, 1, 1))
        << StartTimer(INBOUND, Timer.ARTIM)
        << send(FIRST, abort(2, 0))
        << StartTimer(FIRST, Timer.ARTIM)
        << send(SECOND, abort(2, 0))
        << StartTimer(SECOND, Timer.ARTIM)
        >> counted(0)
    )


def test_an_answer_that_is_none_is_told_to_its_member():
    assert (
        Playbook(border())
        >> calls()
        >> quietly(connected(FIRST), connected(SECOND))
        >> data(FIRST, wire.ac([Given(99)]))
        << StopTimer(FIRST, Timer.CONNECT)
        << logged("AE failed", why="the AE's answer is illegal: context 99 was not proposed")
        << send(FIRST, abort(2, 6))
        << StartTimer(FIRST, Timer.ARTIM)
        >> quietly(data(SECOND, AC))
        >> data(INBOUND, find())
        << send(SECOND, find())
    )


@pytest.mark.parametrize("how", [lost(INBOUND), data(INBOUND, abort(0, 0))])
def test_a_caller_that_does_not_wait_for_its_answer(how):
    assert (
        Playbook(border())
        >> calls()
        >> quietly(connected(SECOND), how, data(SECOND, AC), lost(SECOND))
        >> finished()
        >> counted(0)
    )


# What members accept


def test_what_a_member_does_not_accept_it_is_not_asked():
    some = wire.ac([Given(c, 0 if c != FIND else 3) for c in (ECHO, STORE, FIND, MOVE)])
    assert (
        Playbook(border())
        >> calls()
        >> quietly(*answers(SECOND, some), *answers(FIRST))
        >> data(INBOUND, find())
        << send(FIRST, find())
        >> data(FIRST, FOUND)
        << in_part("PACS2: presentation context not accepted")
        << send(INBOUND, IN_PART)
    )


def test_a_member_that_the_caller_may_not_query_is_no_failure():
    rq = wire.rq("ALL", "WS2", (Asked(ECHO, wire.VERIFICATION), Asked(FIND, wire.STUDY_FIND)))
    script = Playbook(border(), peer=hospital.peer("10.1.0.2")) >> calls(rq)
    script >>= quietly(
        *answers(FIRST, wire.ac([Given(ECHO), Given(FIND)])),
        *answers(SECOND, wire.ac([Given(ECHO)])),
    )
    assert (
        script
        >> data(INBOUND, find())
        << send(FIRST, find())
        >> data(FIRST, FOUND)
        << send(INBOUND, FOUND)
        >> data(INBOUND, command(ECHO, wire.echo_rq(2)))
        << send(FIRST, command(ECHO, wire.echo_rq(2)))
        << send(SECOND, command(ECHO, wire.echo_rq(2)))
    )


def test_a_member_that_chose_another_transfer_syntax_is_called_again():
    """Proposed is then what the caller has been accepted, and no more."""
    jpeg = wire.ac([Given(ECHO), Given(STORE, 0, wire.JPEG), Given(FIND), Given(MOVE, 3)])
    again = tuple(
        Asked(context.context_id, context.abstract, (wire.IMPLICIT,)) for context in CONTEXTS
    )
    assert (
        joined(FIRST)
        >> quietly(data(INBOUND, find()), connected(SECOND))
        >> data(SECOND, jpeg)
        << StopTimer(SECOND, Timer.CONNECT)
        << send(SECOND, RELEASE_RQ)
        << StartTimer(SECOND, Timer.RELEASE)
        >> data(SECOND, RELEASE_RP)
        << StopTimer(SECOND, Timer.RELEASE)
        << OpenTransport(PACS2, THIRD)
        << StartTimer(THIRD, Timer.CONNECT)
        << CloseTransport(SECOND)
        >> connected(THIRD)
        << send(THIRD, hospital.relayed_rq("PACS2", "HA_WS1", again, extras=(ROLE,)))
        >> data(THIRD, AC)
        << StopTimer(THIRD, Timer.CONNECT)
        << send(THIRD, find())
    )


def test_a_cap_on_pdus_is_told_to_both_sides():
    made = border("max_pdu = 4096")
    onward = hospital.relayed_rq("PACS", "HA_WS1", PROPOSED, 4096, (ROLE,))
    assert (
        Playbook(made)
        >> calls()
        >> connected(FIRST)
        << send(FIRST, onward)
        >> data(FIRST, AC)
        << StopTimer(FIRST, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, hospital.relayed_ac("ALL", "WS1", ALL, 4096, (ROLE,)))
    )


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
