"""What passes where rules are only observed (`enforce = false`), and what is told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.policy.border import (
    AES,
    BIG_ENDIAN,
    CALLED_REFUSED,
    CALLING_REFUSED,
    COMMITMENT,
    CT,
    CT1,
    FIND,
    IMPLICIT,
    MOVE,
    NOTHING_ALLOWED,
    PACS,
    PACS_CALLS,
    PRINT,
    UNHEARD_OF,
    VERIFICATION,
    WS1,
    WS2,
    ae,
    config,
    forwarded,
    offered,
    peer,
    rejected,
    request,
    rule,
)
from ulproxy.dimse.command import CommandField
from ulproxy.policy.decision import Answer, Fan, Shared
from ulproxy.policy.model import Group
from ulproxy.policy.rules import Policy

HASH = "sha256:" + "0a" * 32
OWN = (ae("WS1", alias="HA_WS1", certificate=HASH), *AES[1:])


def policy(*rules, aes=AES, groups=()):
    return Policy(config(aes, rules, groups, enforce=False))


def test_whether_it_observes():
    assert policy().observes
    assert not Policy(config(AES)).observes


# Who calls


@pytest.mark.parametrize(
    ("calling", "where", "why"),
    [
        ("WS1", peer(address="10.9.9.9"), "WS1 does not call from 10.9.9.9"),
        ("WS1", peer(presents=[]), "WS1 presents no certificate"),
        ("WS1", peer(presents=["x"]), "WS1 presents another certificate"),
    ],
)
def test_an_ae_that_would_not_be_let_in(calling, where, why):
    one = policy(rule("WS1", "PACS", "echo"), aes=OWN)
    decision = forwarded(one.decide(request(calling, "HB_PACS"), where))
    assert decision.caller is OWN[0]
    assert decision.observed == (why,)
    assert decision.calling_ae_title == "HA_WS1"


@pytest.mark.parametrize("called", ["HB_PACS", "WS2"])
def test_a_title_that_is_not_in_the_file(called):
    """It is known outside by the relay's title, as an AE without an alias is."""
    one = policy(rule("*", "*", "echo"))
    decision = forwarded(one.decide(request("NEW 1", called), peer(address="10.0.0.77")))
    assert decision.observed == ("calling title unknown on network inside",)
    assert decision.calling_ae_title == ("HOSP_A" if called == "HB_PACS" else "NEW 1")
    caller = decision.caller
    assert (caller.name, caller.title, caller.network) == ("unknown:NEW 1", "NEW 1", "inside")
    assert (caller.address, caller.sources, caller.alias) == (None, (), None)
    assert one.selectors(caller) == ["unknown:NEW 1", "network:inside", "*"]
    assert one.ae(caller.name) is None


@pytest.mark.parametrize("calling", ["", "..", "a/b", "x."])
def test_what_is_no_title(calling):
    decision = policy(rule("*", "*")).decide(request(calling, "HB_PACS"), peer())
    assert rejected(decision) == CALLING_REFUSED


@pytest.mark.parametrize(
    ("called", "contexts"),
    [
        ("NOBODY", [VERIFICATION]),
        ("SENDER", [VERIFICATION]),
        ("HOSP_A", [CT]),
        ("HB_PACS", [(FIND, (BIG_ENDIAN,))]),
    ],
)
def test_a_stranger_is_refused_as_ever_where_nothing_could_pass(called, contexts):
    decision = policy(rule("*", "*")).decide(request("NEW", called, *contexts), peer())
    assert rejected(decision) == CALLING_REFUSED


def test_a_stranger_gets_an_echo_of_the_relay():
    answer = policy().decide(request("NEW", "HOSP_A"), peer())
    assert isinstance(answer, Answer)
    assert answer.accepted == {1: IMPLICIT}
    assert answer.observed == ("calling title unknown on network inside",)
    assert policy().decide(request("WS1", "HOSP_A"), peer()) == Answer(WS1, {1: IMPLICIT})


# Whom, and for what


def test_what_rules_allow_is_not_told():
    one = policy(rule("WS1", "PACS", "echo find"))
    decision = forwarded(one.decide(request("WS1", "HB_PACS", VERIFICATION, FIND), peer()))
    assert decision.observed == ()
    assert decision.rule is not None


def test_an_ae_that_no_rule_lets_it_call():
    decision = forwarded(policy().decide(request("WS1", "HB_PACS", FIND, CT, MOVE), peer()))
    assert offered(decision) == [FIND, CT, MOVE]
    assert decision.refused == {}
    assert decision.observed == ("no rule lets WS1 call PACS",)
    assert (decision.rule, decision.because) == (None, "")


def test_services_that_no_rule_allows():
    one = policy(rule("WS1", "PACS", "store echo"))
    asked = request("WS1", "HB_PACS", CT, FIND, PRINT, UNHEARD_OF, VERIFICATION)
    decision = forwarded(one.decide(asked, peer()))
    assert len(decision.offered) == 5
    assert decision.observed == ("no rule lets WS1 use find, print of PACS",)
    assert decision.rule is not None


def test_everything_at_once():
    one = policy(rule("*", "PACS", "echo"))
    decision = forwarded(one.decide(request("NEW", "HB_PACS", FIND), peer()))
    assert decision.observed == (
        "calling title unknown on network inside",
        "no rule lets unknown:NEW use find of PACS",
    )


@pytest.mark.parametrize(
    ("called", "contexts", "answer"),
    [
        ("NOBODY", [CT], CALLED_REFUSED),
        ("SENDER", [CT], CALLED_REFUSED),  # it has no address
        ("HOSP_A", [CT], NOTHING_ALLOWED),  # the relay stores nothing
        ("HB_PACS", [(FIND, (BIG_ENDIAN,))], NOTHING_ALLOWED),  # titles could not be mapped
    ],
)
def test_what_is_no_matter_of_rules_is_refused_as_ever(called, contexts, answer):
    assert rejected(policy().decide(request("WS1", called, *contexts), peer())) == answer


def test_a_broken_request_is_refused_as_ever():
    asked = request("WS1", "HB_PACS")
    assert rejected(policy().decide(replace(asked, protocol_version=2), peer())) == (1, 2, 2)
    other = replace(asked, application_context_name="1.2")
    assert rejected(policy().decide(other, peer())) == (1, 1, 2)


def test_messages_are_judged_as_ever():
    """relay/ lets them pass, and tells."""
    one = policy(rule("WS1", "PACS", "store"))
    assert one.may_send(WS1, PACS, CT, CommandField.C_STORE_RQ)
    assert one.may_send(WS1, PACS, FIND, CommandField.C_FIND_RQ) is None


# Moves


@pytest.mark.parametrize(
    ("title", "expected", "by_rule"),
    [
        ("WS1", WS1, True),
        ("WS2", WS2, False),
        ("HB_ARCHIVE", AES[-1], False),
        ("SENDER", None, False),
        ("NOBODY", None, False),
        ("HOSP_A", None, False),
    ],
)
def test_move_destinations(title, expected, by_rule):
    one = policy(rule("WS1", "PACS", "move"))
    assert one.move_destination(WS1, PACS, title) is expected
    assert (one.move_rule(WS1, PACS, title) is not None) is by_rule


def test_a_move_to_another_one_is_told_as_it_would_be_refused():
    text = policy().no_destination(WS1, PACS, "WS2")
    assert text == "no rule lets WS1 move from PACS to WS2"


# Groups, and the relay's title


def test_a_group_reaches_every_member_that_can_be_called():
    groups = [Group("ALL", ("PACS", "ARCHIVE", "SENDER"))]
    one = policy(rule("WS1", "PACS", "find"), groups=groups)
    decision = one.decide(request("WS1", "ALL", FIND, MOVE), peer())
    assert isinstance(decision, Fan)
    assert {m.callee.name: m.observed for m in decision.members} == {
        "PACS": ("no rule lets WS1 use move of PACS",),
        "ARCHIVE": ("no rule lets WS1 call ARCHIVE",),
    }
    assert all(len(member.offered) == 2 for member in decision.members)
    stranger = one.decide(request("NEW", "ALL", FIND), peer())
    assert isinstance(stranger, Fan)
    assert [member.observed[0] for member in stranger.members] == [
        "calling title unknown on network inside"
    ] * 2


def test_behind_the_relays_title():
    """A report may be for whoever has asked, and without rules that is anyone of them."""
    aes = (*AES, ae("WS3", host="10.0.0.9"), ae("MOD", host=None))
    one = policy(rule("WS3", "PACS", "commitment"), aes=aes)
    asked = request("PACS", "HOSP_A", COMMITMENT, CT)
    decision = one.decide(asked, peer("outside", "192.0.2.99"), lambda _: ("WS2",))
    assert isinstance(decision, Shared)
    elsewhere = "PACS does not call from 192.0.2.99"
    assert {f.callee.name: f.observed for f in decision.candidates} == {
        "WS2": (elsewhere, "no rule lets PACS use commitment of WS2")
    }
    assert {f.callee.name: f.observed for f in decision.reported} == {
        "WS2": (elsewhere, "no rule lets PACS use commitment of WS2"),
        "WS3": (elsewhere, "no rule lets PACS use store of WS3"),
    }
    quiet = one.decide(request("PACS", "HOSP_A", COMMITMENT), PACS_CALLS)
    assert isinstance(quiet, Shared)
    assert {f.callee.name: f.observed for f in quiet.reported} == {
        "WS2": ("no rule lets PACS call WS2",),
        "WS3": (),
    }


def test_an_alias_reaches_its_ae():
    decision = forwarded(policy().decide(request("PACS", "HA_CT1", CT), PACS_CALLS))
    assert decision.callee is CT1
