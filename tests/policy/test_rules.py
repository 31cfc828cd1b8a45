"""What the rules say of a call: who may come in, whom it reaches, what is offered onward."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.policy.border import (
    BIG_ENDIAN,
    CALLED_REFUSED,
    CALLING_REFUSED,
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
    NOTHING_ALLOWED,
    PACS,
    PACS_CALLS,
    PRINT,
    SYNTAXES,
    UNHEARD_OF,
    UPS,
    VERIFICATION,
    WORKLIST,
    WS1,
    ae,
    forwarded,
    offered,
    peer,
    policy,
    rejected,
    request,
    rule,
)
from ulproxy.dimse.services import Service
from ulproxy.pdu.types import Result
from ulproxy.policy.decision import Answer, Reject

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


# Certificates

HASH = "sha256:" + "0a" * 32
WITH_CERTIFICATE = ae("WS1", alias="HA_WS1", certificate=HASH)


@pytest.mark.parametrize(
    ("presents", "why"),
    [
        (None, ""),  # the listener does not ask
        ([HASH], ""),
        (["sha256:" + "0b" * 32, HASH, "ws1.example"], ""),
        ([], "WS1 presents no certificate"),
        (["sha256:" + "0b" * 32, "ws1.example"], "WS1 presents another certificate"),
    ],
)
def test_its_own_certificate(presents, why):
    one = policy(rule("*", "*"), aes=(WITH_CERTIFICATE, PACS))
    decision = one.decide(request("WS1", "HB_PACS"), peer(presents=presents))
    if not why:
        forwarded(decision)
        return
    assert rejected(decision) == CALLING_REFUSED
    assert isinstance(decision, Reject)
    assert decision.text == why


@pytest.mark.parametrize("presents", [None, [], [HASH]])
def test_whoever_has_no_certificate_in_the_file_presents_any(presents):
    """That it is one of the listener's CA is a matter of TLS."""
    one = policy(rule("*", "*"), aes=(WS1, PACS))
    forwarded(one.decide(request("WS1", "HB_PACS"), peer(presents=presents)))


def test_a_name_in_the_certificate():
    aes = (ae("WS1", certificate="ws1.example"), PACS)
    one = policy(rule("*", "*"), aes=aes)
    asked = request("WS1", "HB_PACS")
    forwarded(one.decide(asked, peer(presents=[HASH, "a.example", "ws1.example"])))
    assert rejected(one.decide(asked, peer(presents=["ws1.example.org"]))) == CALLING_REFUSED


def test_the_address_counts_whatever_is_presented():
    one = policy(rule("*", "*"), aes=(WITH_CERTIFICATE, PACS))
    decision = one.decide(request("WS1", "HB_PACS"), peer(address="10.0.0.2", presents=[HASH]))
    assert rejected(decision) == CALLING_REFUSED


# What is remembered


def test_the_same_request_is_decided_once():
    rules = policy(rule("*", "*"))
    asked = replace(request("WS1", "HB_PACS"), is_memorable=True)
    first = rules.decide(asked, peer())
    assert rules.decide(replace(asked), peer()) is first
    assert rules.decide(replace(asked, is_memorable=False), peer()) is not first
    assert policy().decide(asked, peer()) != first


def test_another_caller_with_the_same_request_is_decided_for_itself():
    rules = policy(rule("WS1", "*"))
    asked = replace(request("WS1", "HB_PACS"), is_memorable=True)
    forwarded(rules.decide(asked, peer()))
    assert rejected(rules.decide(asked, peer("outside"))) == CALLING_REFUSED


def test_an_archive_that_something_is_moved_from_is_decided_for_anew():
    rules = policy(rule("*", "*"))
    asked = replace(request("WS1", "HB_PACS"), is_memorable=True)
    first = rules.decide(asked, peer(), lambda _: ("PACS",))
    assert rules.decide(asked, peer(), lambda _: ("PACS",)) is not first


def test_what_was_allowed_once_is_looked_up():
    rules = policy(rule("WS1", "PACS", "echo"))
    for _ in range(2):
        assert rules.may(WS1, PACS, Service.ECHO) is rules.config.rules[0]
        assert rules.may(WS1, PACS, Service.FIND) is None
        assert rules.may(PACS, WS1, Service.ECHO) is None
