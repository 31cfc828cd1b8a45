"""Members of a group that are down, fail, or accept less than others (contract)."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.groups import (
    AC,
    ALL,
    FIRST,
    ROLE,
    RULES,
    SECOND,
    THIRD,
    answers,
    border,
    both,
    calls,
    final,
    find,
    found,
    in_part,
    joined,
)
from tests.relay.hospital import CONTEXTS, ECHO, FIND, MOVE, STORE
from tests.relay.playbook import (
    INBOUND,
    Playbook,
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
    rj,
)
from ulproxy.policy.endpoints import Endpoint
from ulproxy.relay.effects import CloseTransport, OpenTransport, StartTimer, StopTimer, Timer

PACS2 = Endpoint("10.2.0.3", 104)
FOUND = command(FIND, final(wire.C_FIND))
IN_PART = command(FIND, final(wire.C_FIND, status=0xB000))
PROPOSED = tuple(
    Asked(3, wire.CT, (wire.IMPLICIT, wire.JPEG)) if context.context_id == STORE else context
    for context in CONTEXTS
)


# Members that fail

RESET = logged("AE failed", callee="PACS2", why="reset")


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
    script >>= steps[0]
    for effect in told if len(told) > 1 else ():
        script <<= effect
    script <<= logged("AE failed", callee="PACS2", why=why)
    script = script << in_part(f"PACS2: {why}") << send(INBOUND, IN_PART)
    for effect in told if len(told) == 1 else ():
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
        << send(FIRST, abort(2, 6))
        << StartTimer(FIRST, Timer.ARTIM)
        << logged("AE failed", why="the AE's answer is illegal: context 99 was not proposed")
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


def test_who_is_left_out_is_named():
    rules = RULES.replace('to = ["PACS2"]', 'to = ["MINI"]')
    rq = wire.rq("ALL", "WS2", (Asked(FIND, wire.STUDY_FIND),))
    script = Playbook(border(rules=rules), peer=hospital.peer("10.1.0.2")) >> calls(rq)
    assert (
        script
        >> quietly(connected(FIRST))
        >> data(FIRST, wire.ac([Given(FIND)]))
        << StopTimer(FIRST, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.IDLE)
        << logged(
            "association established", callee="ARCHIVE", left_out="no rule lets WS2 call PACS2"
        )
        << send(INBOUND, hospital.relayed_ac("ALL", "WS2", (Given(FIND),)))
    )


def test_contexts_that_no_member_is_offered():
    """By the rules, or since titles could not be mapped in the transfer syntaxes that are proposed."""
    contexts = (
        Asked(FIND, wire.STUDY_FIND),
        Asked(11, wire.STUDY_FIND, (wire.DEFLATED,)),
        Asked(13, wire.PRINTER),
    )
    script = (
        Playbook(border()) >> calls(wire.rq("ALL", "WS1", contexts)) >> quietly(connected(FIRST))
    )
    given = (Given(FIND), Given(11, 4, wire.DEFLATED), Given(13, 1))
    assert (
        script
        >> data(FIRST, wire.ac([Given(FIND)]))
        << StopTimer(FIRST, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, hospital.relayed_ac("ALL", "WS1", given))
    )
