"""`decide` against the judge of judge.py: every rule of a small border, every call, enforced and observed."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, product

import pytest

from tests.policy.border import CT, SYNTAXES, UNHEARD_OF, ae, config, peer, request, rule
from tests.policy.judge import judged, lines_allowing, plain
from ulproxy.dimse.services import Service
from ulproxy.policy.model import Group
from ulproxy.policy.rules import Policy

HASH = "sha256:" + "0a" * 32
WS1 = ae("WS1", host="10.0.0.1", alias="HA_WS1")
WS2 = ae("WS2", host="10.0.0.2")
PACS = ae("PACS", "outside", "192.0.2.1", alias="HB_PACS", certificate=HASH)
LAB = ae("LAB", "third", "203.0.113.1")
AES = (WS1, WS2, PACS, LAB)
GROUPS = (Group("ALL", ("PACS", "LAB")), Group("HERE", ("WS1", "WS2")))

FROM = ("WS1", "network:inside", "*", "WS2 PACS", "HERE")
TO = ("PACS", "network:outside", "*", "ALL")
SERVICES = ("echo find", "store", "get", "move", "commitment", "mpps worklist print ups other")
CALLS = (
    ("WS1", peer(), "HB_PACS"),
    ("WS1", peer(), "WS2"),
    ("WS1", peer(), "HOSP_A"),
    ("WS1", peer(), "ALL"),
    ("WS1", peer(), "NOBODY"),
    ("WS1", peer(address="10.0.0.2"), "HB_PACS"),
    ("WS1", peer(address="10.0.0.2"), "ALL"),
    ("WS2", peer(address="10.0.0.2"), "HB_PACS"),
    ("NEW", peer(), "HB_PACS"),
    ("NEW", peer(), "HOSP_A"),
    ("LAB", peer("third", "203.0.113.1"), "HERE"),
)
BACK = (
    ("PACS", peer("outside", "192.0.2.1", presents=[HASH, "pacs.example"]), "HA_WS1"),
    ("PACS", peer("outside", "192.0.2.1"), "HOSP_A"),
    ("PACS", peer("outside", "192.0.2.1", presents=[]), "HOSP_A"),
)
CONTEXTS = (
    ((*SYNTAXES.values(), UNHEARD_OF), ()),
    ((*SYNTAXES.values(), UNHEARD_OF), (*SYNTAXES.values(), UNHEARD_OF)),
    ((SYNTAXES[Service.ECHO],), ()),
    ((CT,), (CT,)),
)
MOVING = ((), ("WS1",), ("WS2",), ("WS2", "LAB"))
CASES = [*product(CALLS, CONTEXTS, [()]), *product(BACK, CONTEXTS, MOVING)]
BORDERS = list(product(FROM, TO, SERVICES, (True, False)))


@pytest.mark.parametrize(("from_", "to", "services", "enforce"), BORDERS)
def test_matrix(from_, to, services, enforce):
    """22080 combinations: 240 borders x (11 calls + 3 calls back x 4 moves) x 4 proposals."""
    border = config(AES, [rule(from_, to, services)], GROUPS, enforce=enforce)
    policy = Policy(border)
    for (calling, where, called), (syntaxes, scp), moving in CASES:
        asked = request(calling, called, *syntaxes, scp=scp)
        decision = policy.decide(asked, where, defaultdict(tuple, PACS=moving).__getitem__)
        assert plain(decision) == judged(border, asked, where, moving)


def test_the_matrix_is_large_enough_and_has_every_answer():
    assert len(BORDERS) * len(CASES) == 22080
    answers = set()
    for from_, to, services, enforce in BORDERS[:: len(SERVICES) - 1]:
        border = config(AES, [rule(from_, to, services)], GROUPS, enforce=enforce)
        for (calling, where, called), (syntaxes, scp), moving in CASES:
            asked = request(calling, called, *syntaxes, scp=scp)
            said = judged(border, asked, where, moving)
            answers.add(said[1] if said[0] == "reject" else said[0])
    assert answers == {(1, 1, 1), (1, 1, 3), (1, 1, 7), "answer", "forward", "fan", "shared"}


@pytest.mark.parametrize(("asking", "asked"), list(product((WS1, WS2, PACS), repeat=2)))
@pytest.mark.parametrize("pair", list(combinations(product(FROM, TO), 2)))
def test_two_rules_for_every_pair(asking, asked, pair):
    """1710 combinations, each for every service."""
    (from_1, to_1), (from_2, to_2) = pair
    border = config(
        AES, [rule(from_1, to_1, "find store"), rule(from_2, to_2, "store echo")], GROUPS
    )
    policy = Policy(border)
    assert [r.line for r in policy.rules(asking, asked)] == lines_allowing(
        border, asking, asked, None
    )
    for service in Service:
        found = policy.may(asking, asked, service)
        expected = lines_allowing(border, asking, asked, service)
        assert (found and found.line) == (expected[0] if expected else None)


DESTINATIONS = (None, "WS2", "network:inside", "*", "ALL", "HERE", "WS1 LAB", "")
# What they call each of them; nobody calls WS2 or LAB from another network, or an AE by its name.
CALLED = {
    WS1: {"WS1": WS1, "WS2": WS2, "HB_PACS": PACS},
    WS2: {"WS1": WS1, "WS2": WS2, "HB_PACS": PACS},
    LAB: {"HA_WS1": WS1, "HB_PACS": PACS, "LAB": LAB},
}
MEMBERS = {"ALL": {"PACS", "LAB"}, "HERE": {"WS1", "WS2"}, "*": {"WS1", "WS2", "PACS", "LAB"}}
MEMBERS["network:inside"] = MEMBERS["HERE"]
TITLES = ("WS1", "WS2", "HA_WS1", "HB_PACS", "PACS", "LAB", "ALL", "HOSP_A", "NOBODY")


@pytest.mark.parametrize("destinations", DESTINATIONS)
@pytest.mark.parametrize("from_", ["WS1", "HERE", "*"])
@pytest.mark.parametrize("enforce", [True, False])
def test_move_destinations(destinations, from_, enforce):
    """1296 combinations: 8 destinations x 3 callers in the rule x enforced or not x 3 callers x 9 titles."""
    one = Policy(config(AES, [rule(from_, "PACS", "move", destinations)], GROUPS, enforce=enforce))
    named = (destinations or "").split()
    for (caller, called), title in product(CALLED.items(), TITLES):
        meant = called.get(title)
        allowed = {name for word in named for name in MEMBERS.get(word, {word})}
        if destinations is None:
            allowed = {caller.name}
        by_rule = meant is not None and meant.name in allowed
        by_rule = by_rule and caller.name in MEMBERS.get(from_, {from_})
        found = one.move_rule(caller, PACS, title)
        assert found == ((meant, one.config.rules[0]) if by_rule else None)
        passes = by_rule or not enforce
        assert one.move_destination(caller, PACS, title) is (meant if passes else None)
