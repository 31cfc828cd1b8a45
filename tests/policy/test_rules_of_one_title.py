"""What the relay's own title stands for when an archive calls it: the AEs that have no alias of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.policy.border import (
    AES,
    CALLED_REFUSED,
    COMMITMENT,
    CT,
    CT1,
    FIND,
    IMPLICIT,
    MR,
    NOTHING_ALLOWED,
    PACS,
    PACS_CALLS,
    VERIFICATION,
    WS1,
    WS2,
    ae,
    peer,
    policy,
    rejected,
    request,
    rule,
)
from ulproxy.policy.decision import Answer, Forward, Shared

WS3 = ae("WS3", host="10.0.0.9")
WS4 = ae("WS4", host="10.0.0.10", alias="HOSP_A")
CALLER_ONLY = ae("MOD", host=None)
HIDDEN = (WS1, WS2, WS3, CT1, CALLER_ONLY, PACS)
MOVES = rule("network:inside", "PACS", "move")
COMMITS = rule("network:inside", "PACS", "commitment")


def moving(*names):
    return lambda archive: names if archive == "PACS" else ()


def shared(decision) -> Shared:
    assert isinstance(decision, Shared), decision
    return decision


def offered(forwards: tuple[Forward, ...]) -> dict[str, list[str]]:
    return {one.callee.name: [c.abstract_syntax for c in one.offered] for one in forwards}


def decided(*contexts, rules=(MOVES,), aes=HIDDEN, to=()):
    return policy(*rules, aes=aes).decide(
        request("PACS", "HOSP_A", *contexts), PACS_CALLS, moving(*to)
    )


def test_the_destination_of_an_open_move():
    decision = shared(decided(CT, FIND, to=["WS2"]))
    assert decision.caller is PACS
    assert offered(decision.candidates) == {"WS2": [CT]}
    assert decision.reported == ()
    [one] = decision.candidates
    assert (one.calling_ae_title, one.called_ae_title) == ("HB_PACS", "WS2")
    assert one.refused == {3: 1}


def test_several_in_the_order_of_the_file():
    for to in (["WS2", "WS3"], ["WS3", "WS2"], ["WS3", "WS3", "WS1", "WS2", "scanner"]):
        decision = shared(decided(CT, MR, to=to))
        assert list(offered(decision.candidates)) == ["WS2", "WS3"]


@pytest.mark.parametrize(
    "to", [(), ("WS1",), ("scanner", "WS1"), ("gone since a reload",), ("MOD",)]
)
def test_nobody_else_is_reached(to):
    """Not who has an alias, not who cannot be called."""
    assert rejected(decided(CT, to=to)) == NOTHING_ALLOWED


def test_a_move_of_another_archive_opens_nothing():
    calls = peer("outside", "192.0.2.2")
    asked = request("ARCHIVE", "HOSP_A", CT)
    assert rejected(policy(MOVES).decide(asked, calls, moving("WS2"))) == NOTHING_ALLOWED


def test_a_context_that_no_candidate_may_have():
    """A move allows the C-STOREs it causes, so a query alone reaches nobody."""
    assert rejected(decided(FIND, to=["WS2"])) == NOTHING_ALLOWED


def test_what_each_candidate_may_have_besides():
    rules = (MOVES, rule("PACS", "WS3", "find"))
    decision = shared(decided(CT, FIND, VERIFICATION, rules=rules, to=["WS2", "WS3"]))
    assert offered(decision.candidates) == {"WS2": [CT], "WS3": [CT, FIND]}


def test_the_relay_answers_c_echo_even_while_something_is_moved_behind_its_title():
    """Some archives verify a destination before they send to it."""
    assert decided(VERIFICATION, to=["WS2"]) == Answer(PACS, {1: IMPLICIT})
    both = shared(decided(VERIFICATION, CT, to=["WS2"]))
    assert offered(both.candidates) == {"WS2": [CT]}


def test_reports_on_storage_commitment():
    """To whoever may have asked for it, and nothing else: no move is open."""
    decision = shared(decided(COMMITMENT, CT, rules=(COMMITS,)))
    assert decision.candidates == ()
    assert offered(decision.reported) == {"WS2": [COMMITMENT], "WS3": [COMMITMENT]}
    assert rejected(decided(CT, rules=(COMMITS,))) == NOTHING_ALLOWED
    assert rejected(decided(COMMITMENT, rules=(MOVES,))) == NOTHING_ALLOWED


def test_reports_and_a_move_at_once():
    decision = shared(decided(COMMITMENT, CT, rules=(COMMITS, MOVES), to=["WS3"]))
    assert offered(decision.candidates) == {"WS3": [COMMITMENT, CT]}
    assert offered(decision.reported) == {"WS2": [COMMITMENT], "WS3": [COMMITMENT, CT]}


def test_the_alias_that_is_the_relays_title_is_an_alias():
    """It is the only one of that name (checks.py), so the title means that AE."""
    decision = decided(CT, aes=(WS1, WS4, PACS), to=["WS4"])
    assert isinstance(decision, Forward)
    assert decision.callee is WS4


def test_on_its_own_network_nobody_is_hidden():
    aes = (*AES, ae("MINI", host="10.0.0.8"))
    one = policy(rule("network:inside", "MINI", "move"), aes=aes)
    decision = one.decide(
        request("MINI", "HOSP_A", CT), peer(address="10.0.0.8"), lambda _: ("WS2",)
    )
    assert rejected(decision) == NOTHING_ALLOWED


def test_how_it_goes_on_to_one_of_them():
    """What relay/ asks where it knows for whom it is."""
    one = policy(MOVES, aes=HIDDEN)
    asked = request("PACS", "HOSP_A", CT, FIND)
    found = one.destination(asked, PACS, WS2)
    assert found == shared(one.decide(asked, PACS_CALLS, moving("WS2"))).candidates[0]
    assert rejected(one.destination(asked, PACS, CALLER_ONLY)) == CALLED_REFUSED


def test_nothing_is_kept_of_it():
    """A hundred thousand AEs may be behind it, and an archive may ask in many ways."""
    rules = policy(COMMITS, aes=HIDDEN)
    asked = replace(request("PACS", "HOSP_A", COMMITMENT), is_memorable=True)
    first = shared(rules.decide(asked, PACS_CALLS))
    again = rules.decide(asked, PACS_CALLS)
    assert again == first
    assert again is not first
