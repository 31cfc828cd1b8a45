"""What the rules say: tables of rules and requests. test_rules_at_large.py has the generated ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.policy.border import (
    BIG_ENDIAN,
    COMMITMENT,
    CT,
    DEFLATED,
    EXPLICIT,
    FIND,
    GET,
    IMPLICIT,
    JPEG,
    MOVE,
    MPPS,
    MR,
    PRINT,
    SYNTAXES,
    UNHEARD_OF,
    UPS,
    VERIFICATION,
    WORKLIST,
    ae,
    config,
    peer,
    request,
    rule,
)
from ulproxy.dimse.command import CommandField
from ulproxy.dimse.services import Service
from ulproxy.pdu.types import Result
from ulproxy.policy.rules import Answer, Forward, Policy, Reject

WS1 = ae("WS1", host="10.0.0.1", alias="HA_WS1")
WS2 = ae("WS2", host="10.0.0.2")
CT1 = ae("CT1", host="10.0.0.3", alias="HA_CT1", name="scanner")
SENDER = ae("SENDER", host=None, alias="HA_SENDER")
PACS = ae("PACS", "outside", "192.0.2.1", alias="HB_PACS")
ARCHIVE = ae("ARCHIVE", "outside", "192.0.2.2", alias="HB_ARCHIVE")
AES = (WS1, WS2, CT1, SENDER, PACS, ARCHIVE)
PACS_CALLS = peer("outside", "192.0.2.1")

CALLING_REFUSED, CALLED_REFUSED, NOTHING_ALLOWED = (1, 1, 3), (1, 1, 7), (1, 1, 1)


def policy(*rules, aes=AES):
    return Policy(config(aes, rules))


def forwarded(decision) -> Forward:
    assert isinstance(decision, Forward), decision
    return decision


def rejected(decision) -> tuple[int, ...]:
    assert isinstance(decision, Reject), decision
    assert decision.text.isprintable()
    return decision.rejection


def offered(decision) -> list[str]:
    return [context.abstract_syntax for context in forwarded(decision).offered]


# Refusals, in the order of the contract's table


@pytest.mark.parametrize("version", [0, 2, 0xFFFE])
def test_protocol_version_bit_0_clear(version):
    asked = replace(
        request("WS1", "HB_PACS"), protocol_version=version, application_context_name=""
    )
    assert rejected(policy(rule("*", "*")).decide(asked, peer())) == (1, 2, 2)


@pytest.mark.parametrize("version", [1, 3, 0xFFFF])
def test_protocol_version_bit_0_set(version):
    asked = replace(request("WS1", "HB_PACS"), protocol_version=version)
    forwarded(policy(rule("*", "*")).decide(asked, peer()))


@pytest.mark.parametrize("name", ["", "1.2.840.10008.3.1.1.2", "1.2.840.10008.3.1.1.1.1"])
def test_another_application_context(name):
    asked = replace(request("WS1", "HB_PACS"), application_context_name=name)
    assert rejected(policy(rule("*", "*")).decide(asked, peer())) == (1, 1, 2)


@pytest.mark.parametrize(
    ("calling", "network", "address"),
    [
        ("NOBODY", "inside", "10.0.0.1"),
        ("", "inside", "10.0.0.1"),
        ("ws1", "inside", "10.0.0.1"),
        ("HA_WS1", "inside", "10.0.0.1"),  # its alias
        ("WS1", "inside", "10.0.0.2"),  # from where another one calls
        ("WS1", "inside", "192.0.2.1"),
        ("WS1", "inside", "::1"),
        ("WS1", "outside", "10.0.0.1"),  # at the listener of another network
        ("PACS", "inside", "192.0.2.1"),
        ("HOSP_A", "outside", "192.0.2.1"),
        ("scanner", "inside", "10.0.0.3"),  # its name in the file
    ],
)
def test_caller_unknown_or_from_the_wrong_address(calling, network, address):
    """The same for both, so that nobody learns which titles there are."""
    decision = policy(rule("*", "*")).decide(request(calling, "HB_PACS"), peer(network, address))
    assert rejected(decision) == CALLING_REFUSED


@pytest.mark.parametrize("called", ["NOBODY", "", "PACS", "hb_pacs", "HA_WS1", "scanner"])
def test_called_title_unknown(called):
    decision = policy(rule("*", "*")).decide(request("WS1", called), peer())
    assert rejected(decision) == CALLED_REFUSED


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (rule("WS2", "PACS"),),
        (rule("WS1", "ARCHIVE"),),
        (rule("PACS", "WS1", "echo store find move get"),),  # the other way
        (rule("network:outside", "*", "echo store"),),
        (rule("*", "network:inside", "echo store"),),
        (rule("network:nowhere", "PACS"),),
    ],
)
def test_not_callable_by_this_caller(rules):
    decision = policy(*rules).decide(request("WS1", "HB_PACS", *SYNTAXES.values()), peer())
    assert rejected(decision) == CALLED_REFUSED


def test_an_ae_without_an_address_cannot_be_called():
    decision = policy(rule("*", "*")).decide(request("WS1", "SENDER"), peer())
    assert rejected(decision) == CALLED_REFUSED
    assert isinstance(decision, Reject)
    assert decision.text == "SENDER has no address: it only calls"


def test_every_context_refused():
    decision = policy(rule("WS1", "PACS", "find")).decide(
        request("WS1", "HB_PACS", CT, MOVE, VERIFICATION), peer()
    )
    assert rejected(decision) == NOTHING_ALLOWED


def test_the_caller_is_looked_at_before_the_called():
    """Who is not known does not learn which titles can be called."""
    asked = request("NOBODY", "NOBODY")
    assert rejected(policy(rule("*", "*")).decide(asked, peer())) == CALLING_REFUSED


def test_version_context_caller_called_in_this_order():
    everything = replace(
        request("NOBODY", "NOBODY"), protocol_version=0, application_context_name="1.2"
    )
    assert rejected(policy().decide(everything, peer())) == (1, 2, 2)
    assert rejected(policy().decide(replace(everything, protocol_version=1), peer())) == (1, 1, 2)


# Titles


@pytest.mark.parametrize(
    ("calling", "called", "where", "callee", "shown"),
    [
        ("WS1", "HB_PACS", peer(), "PACS", ("HA_WS1", "PACS")),
        ("WS2", "HB_PACS", peer(address="10.0.0.2"), "PACS", ("HOSP_A", "PACS")),
        ("WS1", "WS2", peer(), "WS2", ("WS1", "WS2")),  # within a network
        ("WS1", "WS1", peer(), "WS1", ("WS1", "WS1")),
        ("PACS", "HA_CT1", PACS_CALLS, "scanner", ("HB_PACS", "CT1")),
        ("PACS", "ARCHIVE", PACS_CALLS, "ARCHIVE", ("PACS", "ARCHIVE")),
        (" WS1 ", "  HB_PACS", peer(), "PACS", ("HA_WS1", "PACS")),  # spaces do not signify
    ],
)
def test_what_the_callee_is_shown(calling, called, where, callee, shown):
    decision = forwarded(policy(rule("*", "*")).decide(request(calling, called), where))
    assert decision.callee.name == callee
    assert (decision.calling_ae_title, decision.called_ae_title) == shown


def test_a_title_of_the_own_network_is_found_before_an_alias_and_that_before_the_relay():
    aes = (WS1, ae("X", "outside", "192.0.2.9", alias="HOSP_A"), PACS)
    with_alias = policy(rule("*", "*"), aes=aes)
    assert forwarded(with_alias.decide(request("WS1", "HOSP_A"), peer())).callee.name == "X"
    own = (*aes, ae("HOSP_A", "inside", "10.0.0.9", name="own"))
    with_title = policy(rule("*", "*"), aes=own)
    assert forwarded(with_title.decide(request("WS1", "HOSP_A"), peer())).callee.name == "own"
    with_relay = policy(rule("*", "*"), aes=(WS1, PACS))
    assert isinstance(with_relay.decide(request("WS1", "HOSP_A"), peer()), Answer)


# Sources


@pytest.mark.parametrize(
    ("sources", "address", "allowed"),
    [
        (["10.0.0.1"], "10.0.0.1", True),
        (["10.0.0.1"], "10.0.0.2", False),
        (["10.0.0.0/30"], "10.0.0.3", True),
        (["10.0.0.0/30"], "10.0.0.4", False),
        (["10.0.0.9", "172.16.0.0/12"], "172.31.255.255", True),
        (["10.0.0.9", "172.16.0.0/12"], "172.32.0.0", False),
        (["0.0.0.0/0", "::/0"], "203.0.113.7", True),
        (["0.0.0.0/0", "::/0"], "2001:db8::7", True),
        (["0.0.0.0/0"], "2001:db8::7", False),
        (["fd00::/64"], "fd00::5", True),
        (["fd00::/64"], "fd00:0:0:1::5", False),
        (["fd00::5"], "10.0.0.1", False),
        ([], "10.0.0.1", False),
    ],
)
def test_sources(sources, address, allowed):
    aes = (ae("WS1", sources=sources), PACS)
    decision = policy(rule("*", "*"), aes=aes).decide(
        request("WS1", "HB_PACS"), peer("inside", address)
    )
    if allowed:
        forwarded(decision)
    else:
        assert rejected(decision) == CALLING_REFUSED


# Services: what is offered onward


@pytest.mark.parametrize("service", Service)
def test_a_service_allows_its_abstract_syntax_and_no_other(service):
    decision = policy(rule("WS1", "PACS", service)).decide(
        request("WS1", "HB_PACS", *SYNTAXES.values()), peer()
    )
    assert offered(decision) == [SYNTAXES[service]]
    refused = {
        2 * n + 1: Result.USER_REJECTION for n, one in enumerate(Service) if one is not service
    }
    assert forwarded(decision).refused == refused


def test_contexts_keep_their_ids_and_order():
    asked = request("WS1", "HB_PACS", CT, MPPS, MR, FIND, CT)
    decision = forwarded(policy(rule("WS1", "PACS", "store")).decide(asked, peer()))
    assert decision.offered == (
        asked.presentation_contexts[0],
        asked.presentation_contexts[2],
        asked.presentation_contexts[4],
    )
    assert decision.refused == {3: 1, 7: 1}


@pytest.mark.parametrize(
    ("services", "allowed"),
    [("store", True), ("other", True), ("store other", True), ("find get move print", False)],
)
def test_an_abstract_syntax_that_nobody_knows_is_offered_for_store_or_other(services, allowed):
    decision = policy(rule("WS1", "PACS", f"echo {services}")).decide(
        request("WS1", "HB_PACS", VERIFICATION, UNHEARD_OF), peer()
    )
    assert offered(decision) == [VERIFICATION, UNHEARD_OF][: 1 + allowed]


def test_rules_add_up_and_the_first_is_named():
    both = policy(
        rule("WS2", "PACS", "print"),
        rule("network:inside", "network:outside", "find"),
        rule("WS1", "PACS", "store"),
        rule("*", "*", "echo"),
    )
    decision = both.decide(request("WS1", "HB_PACS", *SYNTAXES.values()), peer())
    assert offered(decision) == [VERIFICATION, CT, FIND]
    first = forwarded(decision).rule
    assert first is not None
    assert (first.number, first.line) == (2, 102)


@pytest.mark.parametrize("selector", ["WS1", "network:inside", "*", "WS1 *", "CT2 WS1"])
@pytest.mark.parametrize("called", ["PACS", "network:outside", "*", "PACS PACS"])
def test_selectors(selector, called):
    one = policy(rule(selector, called, "echo"))
    assert offered(one.decide(request("WS1", "HB_PACS"), peer())) == [VERIFICATION]
    assert [found.number for found in one.rules(WS1, PACS)] == [1]


@pytest.mark.parametrize("syntax", [FIND, WORKLIST, MPPS, COMMITMENT, UPS])
@pytest.mark.parametrize(
    ("proposed", "kept"),
    [
        ((IMPLICIT,), (IMPLICIT,)),
        ((EXPLICIT, IMPLICIT), (EXPLICIT, IMPLICIT)),
        ((BIG_ENDIAN, DEFLATED, EXPLICIT, JPEG), (EXPLICIT,)),
        ((BIG_ENDIAN, DEFLATED), ()),
    ],
)
def test_contexts_with_small_data_sets_are_offered_in_little_endian(syntax, proposed, kept):
    asked = request("WS1", "HB_PACS", (syntax, proposed), VERIFICATION)
    decision = forwarded(policy(rule("WS1", "PACS")).decide(asked, peer()))
    if kept:
        assert decision.offered[0].transfer_syntaxes == kept
        assert decision.refused == {}
    else:
        assert offered(decision) == [VERIFICATION]
        assert decision.refused == {1: Result.TRANSFER_SYNTAXES_NOT_SUPPORTED}


@pytest.mark.parametrize("syntax", [VERIFICATION, CT, MOVE, GET, PRINT, UNHEARD_OF])
def test_other_contexts_are_offered_as_they_came(syntax):
    proposed = (BIG_ENDIAN, JPEG, DEFLATED, "1.2.3")
    asked = request("WS1", "HB_PACS", (syntax, proposed))
    decision = forwarded(policy(rule("WS1", "PACS")).decide(asked, peer()))
    assert decision.offered[0].transfer_syntaxes == proposed


def test_no_context_in_a_syntax_that_can_be_mapped():
    asked = request("WS1", "HB_PACS", (FIND, (BIG_ENDIAN,)))
    assert rejected(policy(rule("WS1", "PACS")).decide(asked, peer())) == NOTHING_ALLOWED


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


def test_an_archive_calls_a_destination_without_alias_by_the_relays_title():
    asked = request("PACS", "HOSP_A", CT)
    decision = forwarded(policy(MOVES).decide(asked, PACS_CALLS, moving("WS2")))
    assert decision.callee is WS2
    assert (decision.calling_ae_title, decision.called_ae_title) == ("HB_PACS", "WS2")


@pytest.mark.parametrize("names", [(), ("WS1",), ("scanner", "WS1"), ("gone since a reload",)])
def test_by_the_relays_title_nobody_else_is_reached(names):
    asked = request("PACS", "HOSP_A", CT)
    assert rejected(policy(MOVES).decide(asked, PACS_CALLS, moving(*names))) == NOTHING_ALLOWED


def test_an_undecidable_destination_is_never_guessed():
    aes = (*AES, ae("WS3", host="10.0.0.9"))
    asked = request("PACS", "HOSP_A", CT)
    decision = policy(MOVES, aes=aes).decide(asked, PACS_CALLS, moving("WS2", "WS3"))
    assert rejected(decision) == NOTHING_ALLOWED


def test_the_relay_answers_c_echo_even_while_something_is_moved_to_whom_its_title_stands_for():
    """Some archives verify a destination before they send to it."""
    decision = policy(MOVES).decide(request("PACS", "HOSP_A"), PACS_CALLS, moving("WS2"))
    assert decision == Answer(PACS, {1: IMPLICIT})
    both = policy(MOVES).decide(
        request("PACS", "HOSP_A", VERIFICATION, CT), PACS_CALLS, moving("WS2")
    )
    assert offered(both) == [CT]


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
