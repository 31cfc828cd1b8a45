"""Rules that name many AEs on both sides, and what does not depend on how many AEs there are."""

from __future__ import annotations

import pytest

from tests.policy.border import (
    CT,
    NOTHING_ALLOWED,
    PACS,
    PACS_CALLS,
    WS1,
    policy,
    rejected,
    request,
    rule,
)
from ulproxy.policy.rules import MOST_PAIRED


@pytest.mark.parametrize("count", [MOST_PAIRED - 1, MOST_PAIRED, MOST_PAIRED + 1])
@pytest.mark.parametrize("caller", ["WS1", "network:inside", "*"])
@pytest.mark.parametrize("callee", ["PACS", "network:outside", "*"])
def test_a_rule_of_many_names(count, caller, callee):
    others = " ".join(f"X{n}" for n in range(count - 1))
    many = rule(f"{others} {caller}", f"{callee} {others}", "store")
    asked = policy(rule("WS1", "PACS", "find"), many, rule("*", "*", "get"), rule("PACS", "WS2"))
    assert [one.number for one in asked.rules(WS1, PACS)] == [1, 2, 3]
    elsewhere = policy(rule(f"{others} PACS", f"WS1 {others}"))
    assert list(elsewhere.rules(WS1, PACS)) == []


def test_an_open_move_to_one_that_is_not_in_the_file():
    """It was, before a reload."""
    asked = request("PACS", "HOSP_A", CT)
    decision = policy(rule("WS1", "PACS", "move")).decide(asked, PACS_CALLS, lambda _: ["gone"])
    assert rejected(decision) == NOTHING_ALLOWED
