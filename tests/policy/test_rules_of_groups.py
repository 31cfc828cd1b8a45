"""What the rules say of a call to a group: whom it reaches, and what is offered to each member."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.policy.border import (
    AES,
    ARCHIVE,
    BIG_ENDIAN,
    CALLED_REFUSED,
    CT,
    EXPLICIT,
    FIND,
    GET,
    IMPLICIT,
    MOVE,
    MPPS,
    NOTHING_ALLOWED,
    PACS,
    PACS_CALLS,
    VERIFICATION,
    WS1,
    WS2,
    ae,
    config,
    peer,
    rejected,
    request,
    rule,
)
from ulproxy.dimse.services import Service
from ulproxy.policy.decision import Answer, Fan, Reject, Shared
from ulproxy.policy.model import Group
from ulproxy.policy.rules import Policy

ALL = Group("ALL_PACS", ("PACS", "ARCHIVE", "SENDER"))
SENDER = ae("SENDER", host=None)
AES_HERE = (*(one for one in AES if one.name != "SENDER"), SENDER)


def policy(*rules, groups=(ALL,)) -> Policy:
    return Policy(config(AES_HERE, rules, groups))


def fan(decision) -> Fan:
    assert isinstance(decision, Fan), decision
    return decision


def offered(decision) -> dict[str, list[str]]:
    members = fan(decision).members
    return {one.callee.name: [c.abstract_syntax for c in one.offered] for one in members}


def asked(*contexts, called="ALL_PACS", scp=()):
    return request("WS1", called, *contexts, scp=scp)


def test_every_member_that_the_caller_may_query():
    one = policy(rule("WS1", "PACS", "echo find"), rule("WS1", "ARCHIVE", "find move"))
    decision = fan(one.decide(asked(VERIFICATION, FIND, MOVE, MPPS), peer()))
    assert offered(decision) == {"PACS": [VERIFICATION, FIND], "ARCHIVE": [FIND, MOVE]}
    assert (decision.caller, decision.group) == (WS1, ALL)
    assert decision.refused == {7: 1}
    assert [m.rule and m.rule.number for m in decision.members] == [1, 2]
    assert [m.calling_ae_title for m in decision.members] == ["HA_WS1", "HA_WS1"]
    assert [m.called_ae_title for m in decision.members] == ["PACS", "ARCHIVE"]
    only = policy(rule("WS1", "ARCHIVE", "find"))
    assert offered(only.decide(asked(FIND), peer())) == {"ARCHIVE": [FIND]}


def test_in_one_transfer_syntax():
    one = policy(rule("*", "*"))
    decision = fan(one.decide(asked((FIND, (BIG_ENDIAN, EXPLICIT, IMPLICIT))), peer()))
    assert {m.offered[0].transfer_syntaxes for m in decision.members} == {(IMPLICIT,)}


def test_the_rule_is_one_that_lets_a_query_in():
    one = policy(rule("WS1", "PACS", "store"), rule("WS1", "PACS", "find"))
    [member] = fan(one.decide(asked(CT, FIND), peer())).members
    assert member.rule is not None
    assert member.rule.number == 2


def test_a_c_get_with_the_caller_as_storage_scp():
    one = policy(rule("WS1", "PACS", "get"), rule("WS1", "ARCHIVE", "find"))
    decision = fan(one.decide(asked(GET, CT, FIND, scp=[CT]), peer()))
    assert offered(decision) == {"PACS": [GET, CT], "ARCHIVE": [FIND]}
    assert decision.refused == {}
    assert offered(one.decide(asked(GET, CT), peer())) == {"PACS": [GET]}


def test_a_syntax_in_which_titles_cannot_be_mapped():
    one = policy(rule("*", "*"))
    decision = fan(one.decide(asked(VERIFICATION, (FIND, (BIG_ENDIAN,)), CT), peer()))
    assert decision.refused == {3: 4, 5: 1}


@pytest.mark.parametrize(
    ("rules", "contexts", "answer", "text"),
    [
        ((), [FIND], CALLED_REFUSED, "no rule lets WS1 call a member of ALL_PACS that has"),
        ((rule("WS1", "SENDER"),), [FIND], CALLED_REFUSED, "no rule lets WS1 call a member"),
        ((rule("PACS", "WS1"),), [FIND], NOTHING_ALLOWED, "no presentation context allowed to"),
        ((rule("WS1", "PACS", "find"),), [MOVE], NOTHING_ALLOWED, "allowed to PACS"),
        ((rule("WS1", "PACS"),), [CT, MPPS], NOTHING_ALLOWED, "a group is queried and retrieved"),
        ((), [CT], CALLED_REFUSED, "no rule lets WS1 call a member"),
    ],
)
def test_nobody_that_can_be_queried(rules, contexts, answer, text):
    decision = policy(*rules).decide(asked(*contexts), peer())
    assert rejected(decision) == answer
    assert isinstance(decision, Reject)
    assert text in decision.text


def test_a_member_does_not_query_itself():
    group = Group("EVERYBODY", ("WS1", "WS2", "PACS"))
    one = policy(rule("*", "*"), groups=(group,))
    assert list(offered(one.decide(asked(FIND, called="EVERYBODY"), peer()))) == ["WS2", "PACS"]
    alone = policy(rule("*", "*"), groups=(Group("ME", ("WS1",)),))
    assert rejected(alone.decide(asked(FIND, called="ME"), peer())) == CALLED_REFUSED


def test_an_archive_that_something_is_moved_from_has_no_rights_in_a_group():
    one = policy(rule("WS1", "PACS", "move"), groups=(Group("G", ("WS1",)),))
    decision = one.decide(request("PACS", "G", CT, FIND), PACS_CALLS, lambda _: ("WS1",))
    assert rejected(decision) == CALLED_REFUSED


# Its title


def test_a_title_and_an_alias_come_first():
    groups = (Group("WS2", ("PACS",)), Group("HB_PACS", ("ARCHIVE",)), Group("X", ("PACS",)))
    names = policy(groups=groups).names
    assert names.called("WS2", "inside") is WS2
    assert names.called("WS2", "outside") is groups[0]
    assert names.called("HB_PACS", "inside") is PACS
    assert names.called("HB_PACS", "outside") is groups[1]
    for network in ("inside", "outside", "nowhere"):
        assert names.called("X", network) is groups[2]


def test_the_relays_own_title_may_be_a_group():
    one = policy(
        rule("WS1", "network:outside", "echo find"),
        rule("WS2", "PACS", "move commitment"),
        groups=(Group("HOSP_A", ("PACS", "ARCHIVE")),),
    )
    decision = one.decide(asked(VERIFICATION, FIND, called="HOSP_A"), peer())
    assert offered(decision) == {"PACS": [VERIFICATION, FIND], "ARCHIVE": [VERIFICATION, FIND]}
    echo = one.decide(asked(called="HOSP_A"), peer())
    assert echo == Answer(WS1, {1: IMPLICIT})  # the relay answers for itself
    moved = one.decide(request("PACS", "HOSP_A", CT), PACS_CALLS, lambda _: ("WS2",))
    assert isinstance(moved, Shared)
    again = one.decide(request("PACS", "HOSP_A", CT), PACS_CALLS)
    assert rejected(again) == CALLED_REFUSED


# Groups in rules


def test_a_rule_means_the_members_by_the_group():
    one = policy(
        rule("WS1", "ALL_PACS", "find"),
        rule("ALL_PACS", "WS1", "store"),
        rule("WS2", "PACS", "move", "ALL_PACS"),
    )
    assert [found.number for found in one.rules(WS1, PACS)] == [1]
    assert [found.number for found in one.rules(ARCHIVE, WS1)] == [2]
    assert one.may(WS1, WS2, Service.FIND) is None
    assert one.move_destination(WS2, PACS, "HB_ARCHIVE") is ARCHIVE
    assert one.move_destination(WS2, PACS, "WS2") is None
    assert one.selectors(PACS) == ["PACS", "network:outside", "*", "ALL_PACS"]
    assert one.selectors(WS1) == ["WS1", "network:inside", "*"]


def test_a_group_is_no_move_destination():
    one = policy(rule("*", "*", "move", "*"))
    assert one.move_destination(WS1, PACS, "ALL_PACS") is None
    assert one.no_destination(WS1, PACS, "ALL_PACS") == "WS1 knows no AE by the title ALL_PACS"


def test_nothing_is_kept_of_it():
    """It may have as many members as there are AEs."""
    one = policy(rule("*", "*"))
    query = replace(asked(FIND), is_memorable=True)
    first = fan(one.decide(query, peer()))
    assert one.decide(query, peer()) == first
    assert one.decide(query, peer()) is not first
