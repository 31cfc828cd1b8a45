"""What the rules say of operations: reports and C-GET the other way, echo, moves, single messages."""

from __future__ import annotations

import pytest

from tests.policy.border import (
    ARCHIVE,
    BIG_ENDIAN,
    CALLED_REFUSED,
    CALLING_REFUSED,
    COMMITMENT,
    CT,
    CT1,
    EXPLICIT,
    FIND,
    GET,
    IMPLICIT,
    JPEG,
    MPPS,
    MR,
    NOTHING_ALLOWED,
    PACS,
    PACS_CALLS,
    PRINT,
    SYNTAXES,
    UNHEARD_OF,
    VERIFICATION,
    WS1,
    WS2,
    ae,
    forwarded,
    offered,
    peer,
    policy,
    rejected,
    request,
    rule,
)
from ulproxy.dimse.command import CommandField
from ulproxy.dimse.services import Service
from ulproxy.policy.decision import Answer

# The other direction


def test_a_storage_commitment_report_comes_the_other_way():
    """The contract: a commitment also allows its N-EVENT-REPORT on an association the other way."""
    one = policy(rule("scanner", "PACS", "commitment"))
    decision = one.decide(request("PACS", "HA_CT1", COMMITMENT, CT, VERIFICATION), PACS_CALLS)
    assert offered(decision) == [COMMITMENT]
    assert forwarded(decision).calling_ae_title == "HB_PACS"  # by which CT1 had called it
    assert forwarded(decision).rule is None
    with_role = request("PACS", "HA_CT1", COMMITMENT, scp=[COMMITMENT])
    assert offered(one.decide(with_role, PACS_CALLS)) == [COMMITMENT]


@pytest.mark.parametrize("services", ["store", "echo store find move get worklist mpps print"])
def test_nothing_else_comes_the_other_way(services):
    decision = policy(rule("scanner", "PACS", services)).decide(
        request("PACS", "HA_CT1", *SYNTAXES.values(), scp=SYNTAXES.values()), PACS_CALLS
    )
    assert rejected(decision) == CALLED_REFUSED


def test_a_report_needs_somebody_to_call():
    aes = (ae("CT1", host=None, alias="HA_CT1"), PACS)
    decision = policy(rule("CT1", "PACS", "commitment"), aes=aes).decide(
        request("PACS", "HA_CT1", COMMITMENT), PACS_CALLS
    )
    assert rejected(decision) == CALLED_REFUSED


@pytest.mark.parametrize(
    ("services", "scp", "expected"),
    [
        ("get", [CT], [GET, CT]),
        ("get", [CT, MR], [GET, CT, MR]),
        ("get", [], [GET]),
        ("get", [MPPS], [GET]),
        ("get store", [], [GET, CT, MR]),
        ("move", [CT], []),
        ("find", [CT], []),
    ],
)
def test_a_c_get_needs_the_caller_as_storage_scp(services, scp, expected):
    asked = request("WS1", "HB_PACS", GET, CT, MR, scp=scp)
    decision = policy(rule("WS1", "PACS", services)).decide(asked, peer())
    if expected:
        assert offered(decision) == expected
    else:
        assert rejected(decision) == NOTHING_ALLOWED


def test_what_the_callee_may_ask_of_the_caller_by_roles():
    """PS3.7 D.3.3.4: an SCP that calls; the rule is for the one that will ask."""
    one = policy(rule("WS1", "PACS", "echo"), rule("PACS", "WS1", "store print"))
    asked = request("WS1", "HB_PACS", VERIFICATION, CT, MR, PRINT, MPPS, scp=[CT, PRINT, MPPS])
    assert offered(one.decide(asked, peer())) == [VERIFICATION, CT, PRINT]


# The relay itself


@pytest.mark.parametrize(
    ("syntax", "proposed", "answered"),
    [
        (VERIFICATION, (IMPLICIT,), IMPLICIT),
        (VERIFICATION, (EXPLICIT, IMPLICIT), EXPLICIT),
        (VERIFICATION, (BIG_ENDIAN, JPEG, EXPLICIT), EXPLICIT),
        (VERIFICATION, (BIG_ENDIAN,), None),
        (CT, (IMPLICIT,), None),
        (UNHEARD_OF, (IMPLICIT,), None),
    ],
)
def test_the_relay_answers_c_echo_to_its_own_title(syntax, proposed, answered):
    """Without a rule: who may call the border may know that it is there."""
    decision = policy().decide(request("WS1", "HOSP_A", (syntax, proposed)), peer())
    if answered is None:
        assert rejected(decision) == NOTHING_ALLOWED
    else:
        assert decision == Answer(WS1, {1: answered})


def test_the_relay_answers_nothing_but_c_echo():
    asked = request("WS1", "HOSP_A", CT, VERIFICATION, FIND, VERIFICATION)
    assert policy(rule("*", "*")).decide(asked, peer()) == Answer(WS1, {3: IMPLICIT, 7: IMPLICIT})


def test_who_is_not_known_gets_no_echo():
    asked = request("WS1", "HOSP_A")
    assert rejected(policy().decide(asked, peer(address="10.9.9.9"))) == CALLING_REFUSED


# While something is moved


def moving(*names):
    asked_of = []

    def destinations(archive):
        asked_of.append(archive)
        return names if archive == "PACS" else ()

    destinations.asked_of = asked_of  # type: ignore[attr-defined]
    return destinations


MOVES = rule("network:inside", "PACS", "move")


def test_an_archive_reaches_the_destination_of_an_open_move():
    """Without a rule of its own, and for C-STORE alone."""
    asked = request("PACS", "HA_WS1", CT, FIND, VERIFICATION)
    assert rejected(policy(MOVES).decide(asked, PACS_CALLS)) == CALLED_REFUSED
    to_it = moving("WS1")
    decision = policy(MOVES).decide(asked, PACS_CALLS, to_it)
    assert to_it.asked_of == ["PACS"]
    assert offered(decision) == [CT]
    assert forwarded(decision).callee is WS1
    assert forwarded(decision).rule is None
    assert rejected(policy(MOVES).decide(asked, PACS_CALLS, moving("CT1"))) == CALLED_REFUSED


def test_only_the_archive_that_was_asked():
    asked = request("ARCHIVE", "HA_WS1", CT)
    decision = policy(MOVES).decide(asked, peer("outside", "192.0.2.2"), moving("WS1"))
    assert rejected(decision) == CALLED_REFUSED


# Messages


def test_may_and_rules_go_by_the_order_of_the_file():
    one = policy(
        rule("network:inside", "PACS", "find"),
        rule("*", "*", "find store"),
        rule("WS1", "PACS", "store"),
        rule("WS2", "PACS", "get"),
    )
    assert [found.number for found in one.rules(WS1, PACS)] == [1, 2, 3]
    assert [found.number for found in one.rules(PACS, WS1)] == [2]

    def number(service):
        found = one.may(WS1, PACS, service)
        return found and found.number

    assert number(Service.FIND) == 1
    assert number(Service.STORE) == 2
    assert number(Service.GET) is None


@pytest.mark.parametrize(
    ("sender", "receiver", "syntax", "field", "allowed"),
    [
        (CT1, PACS, CT, CommandField.C_STORE_RQ, True),
        (PACS, CT1, CT, CommandField.C_STORE_RQ, False),
        (CT1, PACS, CT, CommandField.N_ACTION_RQ, False),
        (CT1, PACS, COMMITMENT, CommandField.N_ACTION_RQ, True),
        (PACS, CT1, COMMITMENT, CommandField.N_ACTION_RQ, False),
        # a report goes against the service that it reports on
        (PACS, CT1, COMMITMENT, CommandField.N_EVENT_REPORT_RQ, True),
        (PACS, CT1, PRINT, CommandField.N_EVENT_REPORT_RQ, True),
        (PACS, CT1, MPPS, CommandField.N_EVENT_REPORT_RQ, False),
        (PACS, WS1, COMMITMENT, CommandField.N_EVENT_REPORT_RQ, False),
        # or along with it, where who reports is the one that calls
        (CT1, PACS, COMMITMENT, CommandField.N_EVENT_REPORT_RQ, True),
        (CT1, PACS, MPPS, CommandField.N_EVENT_REPORT_RQ, False),
        (CT1, PACS, VERIFICATION, CommandField.C_ECHO_RQ, False),
        (CT1, PACS, UNHEARD_OF, CommandField.C_STORE_RQ, True),
        (CT1, PACS, UNHEARD_OF, CommandField.N_SET_RQ, False),
        (CT1, PACS, UNHEARD_OF, 0x0777, False),
    ],
)
def test_may_send(sender, receiver, syntax, field, allowed):
    one = policy(rule("WS1", "*", "get"), rule("scanner", "PACS", "store commitment print"))
    found = one.may_send(sender, receiver, syntax, field)
    assert (found is not None) is allowed
    assert found is None or found.number == 2


def test_ae():
    one = policy()
    assert one.ae("scanner") is CT1
    assert one.ae("CT1") is None


# Move destinations


@pytest.mark.parametrize(
    ("caller", "title", "destinations", "expected"),
    [
        # left out: the caller itself, nobody else
        (WS1, "WS1", None, "WS1"),
        (WS1, "WS2", None, None),
        (WS2, "WS2", None, "WS2"),
        (WS1, "HA_WS1", None, None),  # what others call it
        (WS1, "HB_PACS", None, None),
        # names
        (WS1, "WS2", "WS2", "WS2"),
        (WS1, "WS1", "WS2", None),
        (WS1, "CT1", "WS2 scanner", "scanner"),
        (WS1, "scanner", "scanner", None),  # its name is for the file
        (WS1, "HB_ARCHIVE", "ARCHIVE", "ARCHIVE"),
        (WS1, "ARCHIVE", "ARCHIVE", None),
        # a network
        (WS1, "CT1", "network:inside", "scanner"),
        (WS1, "HB_ARCHIVE", "network:inside", None),
        (WS1, "HB_ARCHIVE", "network:outside", "ARCHIVE"),
        (WS1, "HB_PACS", "network:outside", "PACS"),
        # everybody that can be called
        (WS1, "WS1", "*", "WS1"),
        (WS1, "WS2", "*", "WS2"),
        (WS1, "HB_PACS", "*", "PACS"),
        (WS1, "SENDER", "*", None),  # without address
        (WS1, "NOBODY", "*", None),
        (WS1, "HOSP_A", "*", None),  # the relay itself stores nothing
        (WS1, "", "*", None),
        # nobody
        (WS1, "WS1", "", None),
    ],
)
def test_move_destination(caller, title, destinations, expected):
    one = policy(rule("network:inside", "PACS", "move", destinations))
    found = one.move_destination(caller, PACS, title)
    assert (found and found.name) == expected


def test_a_destination_needs_a_rule_with_move():
    one = policy(rule("WS1", "PACS", "get find", "*"), rule("WS1", "ARCHIVE", "move", "*"))
    assert one.move_destination(WS1, PACS, "WS1") is None
    assert one.move_destination(WS1, ARCHIVE, "WS1") is WS1
    assert one.move_destination(WS2, ARCHIVE, "WS2") is None


def test_any_rule_with_move_may_name_it():
    one = policy(
        rule("WS1", "PACS", "move", "ARCHIVE"),
        rule("WS1", "PACS", "find", "WS2"),
        rule("*", "PACS", "move"),
        rule("WS1", "*", "move", "scanner"),
    )
    assert one.move_destination(WS1, PACS, "WS1") is WS1
    assert one.move_destination(WS1, PACS, "CT1") is CT1
    assert one.move_destination(WS1, PACS, "HB_ARCHIVE") is ARCHIVE
    assert one.move_destination(WS1, PACS, "WS2") is None
