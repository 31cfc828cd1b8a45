"""What `explain` adds: what would be right, and what else the rules say of the two."""

from __future__ import annotations

import pytest

from tests.policy.border import ae, config, peer, rule
from tests.policy.explaining import ARCHIVE, NO_ALIAS, PACS, POLICY, SENDER, WS1, WS2, said
from ulproxy.dimse.services import Service
from ulproxy.policy.explain import Question, explain
from ulproxy.policy.hints import by, caller_hints, hints, reached, rules_between
from ulproxy.policy.model import Group
from ulproxy.policy.rules import Policy

# Refused


def test_a_service_that_is_not_allowed():
    assert said("WS1", "HB_PACS", "print") == [
        "refused: A-ASSOCIATE-RJ 1,1,1: no presentation context allowed to pacs_b",
        "rule 1 (line 101): WS1 to pacs_b: echo, find",
        "rule 2 (line 102): WS1 to pacs_b: move, get",
    ]


def test_a_get_does_not_allow_to_store():
    """Its C-STOREs come the other way."""
    assert said("WS1", "HB_PACS", "store")[0].startswith("refused: A-ASSOCIATE-RJ 1,1,1: ")


@pytest.mark.parametrize(
    ("called", "lines"),
    [
        ("PACS", ["pacs_b is PACS on network outside, and called HB_PACS on network inside"]),
        ("pacs_b", ["pacs_b is PACS on network outside, and called HB_PACS on network inside"]),
        ("ARCHIVE", [f"ARCHIVE is ARCHIVE on network outside, and {NO_ALIAS}"]),
        ("second", ["second is WS2 on network inside"]),
        ("HA_WS1", ["WS1 is WS1 on network inside"]),
        ("XYZ", []),
    ],
)
def test_a_called_title_that_is_unknown(called, lines):
    all_lines = said("WS1", called)
    assert all_lines[0] == "refused: A-ASSOCIATE-RJ 1,1,7: called title unknown"
    assert all_lines[1:-1] == lines
    assert all_lines[-1].startswith("called titles on network inside: ")


def test_a_called_title_that_is_misspelt():
    assert said("WS1", "HB_PASC")[-1] == 'called titles on network inside: did you mean "HB_PACS"?'
    assert said("WS1", "Q")[-1] == (
        'called titles on network inside: known are "HB_PACS", "HOSP_A", "SENDER", "WS1", "WS2"'
    )


@pytest.mark.parametrize(
    ("calling", "network", "lines"),
    [
        ("HA_WS1", "inside", ["WS1 is WS1 on network inside"]),
        ("second", "inside", ["second is WS2 on network inside"]),
        ("WS1", "outside", ["WS1 is WS1 on network inside"]),
        ("WS9", "inside", []),
    ],
)
def test_a_calling_title_that_is_unknown(calling, network, lines):
    all_lines = said(calling, "HB_PACS", network=network)
    text = f"refused: A-ASSOCIATE-RJ 1,1,3: calling title unknown on network {network}"
    assert all_lines[0] == text
    assert all_lines[1:-1] == lines
    assert all_lines[-1].startswith(f"calling titles on network {network}: ")


def test_a_wrong_address():
    assert said("WS1", "HB_PACS", address="10.0.0.2") == [
        "refused: A-ASSOCIATE-RJ 1,1,3: WS1 does not call from 10.0.0.2",
        "WS1 calls from 10.0.0.1/32",
    ]


def test_one_that_never_calls():
    policy = Policy(config([ae("WS1", sources=[]), PACS], [rule("*", "*")]))
    lines = explain(policy, Question(peer(), "WS1", "HB_PACS")).lines
    assert lines[1] == "WS1 calls from nowhere"


def test_no_rule_between_them():
    policy = Policy(config((WS1, PACS), [rule("pacs_b", "WS1", "store")]))
    assert explain(policy, Question(peer(), "WS1", "HB_PACS")).lines == [
        "refused: A-ASSOCIATE-RJ 1,1,7: no rule lets WS1 call pacs_b",
        "rule 1 (line 101): pacs_b to WS1: store",  # but the other way
    ]


def test_no_address():
    assert said("WS1", "SENDER") == [
        "refused: A-ASSOCIATE-RJ 1,1,7: SENDER has no address: it only calls"
    ]


# What an archive sends because it was asked to


@pytest.mark.parametrize(
    ("called", "lines"),
    [
        ("HA_WS1", ["a C-MOVE of WS1 to WS1 is under way, its C-STOREs pass by rule 2 (line 102)"]),
        (
            "HOSP_A",  # second, and nobody else, has no alias
            [
                "a C-MOVE of WS1 to second is under way, its C-STOREs pass by rule 2 (line 102)",
                "a C-MOVE of second to second is under way, its C-STOREs pass by rule 4 (line 104)",
            ],
        ),
        ("ARCHIVE", []),
    ],
)
def test_c_stores_of_a_move(called, lines):
    all_lines = said("PACS", called, "store", network="outside")
    assert all_lines[0].startswith("refused: A-ASSOCIATE-RJ ")
    assert [line for line in all_lines if line.startswith("while")] == [
        f"while {line}" for line in lines
    ]
    other = said("PACS", called, "find", network="outside")
    assert not any(line.startswith("while") for line in other)


# Certificates and groups

HASH = "sha256:" + "0a" * 32


def test_another_certificate():
    """The question says what is presented where the listener asks, as `explain` has it there."""
    own = ae("WS1", certificate=HASH)
    policy = Policy(config([own, PACS], [rule("*", "*")]))
    question = Question(peer(presents=["ws1.example"]), "WS1", "HB_PACS")
    assert list(hints(policy, question)) == [
        "WS1 calls from 10.0.0.1/32",
        f"WS1 presents the certificate {HASH}",
    ]
    plain = Question(peer(address="10.0.0.9"), "WS1", "HB_PACS")
    assert list(hints(policy, plain)) == ["WS1 calls from 10.0.0.1/32"]


def test_nothing_is_said_of_a_caller_that_is_right():
    assert list(caller_hints(POLICY, Question(peer(), "WS1", "HB_PACS"))) == []


def test_a_group_that_is_refused():
    group = Group("ALL", ("pacs_b", "ARCHIVE"))
    policy = Policy(config([WS1, PACS, ARCHIVE], [rule("WS1", "pacs_b", "store")], [group]))
    question = Question(peer(), "WS1", "ALL", Service.FIND)
    assert explain(policy, question).lines == [
        "refused: A-ASSOCIATE-RJ 1,1,1: no presentation context allowed to pacs_b",
        "rule 1 (line 101): WS1 to pacs_b: store",
    ]


def test_groups_are_titles_that_can_be_called():
    policy = Policy(config([WS1, PACS], (), [Group("ALL_PACS", ("pacs_b",))]))
    lines = explain(policy, Question(peer(), "WS1", "ALL_PAC")).lines
    assert lines[-1] == 'called titles on network inside: did you mean "ALL_PACS"?'


def test_who_is_known_by_the_relays_title():
    assert reached(POLICY, "HOSP_A", "outside") == [WS2]
    assert reached(POLICY, "HOSP_A", "inside") == [ARCHIVE]
    assert reached(POLICY, "HOSP_A", "third") == [WS2, ARCHIVE]
    assert reached(POLICY, "WS1", "outside") == []


def test_rules_between():
    assert [line[:6] for line in rules_between(POLICY, WS1, PACS)] == ["rule 1", "rule 2"]
    assert list(rules_between(POLICY, SENDER, ARCHIVE)) == []
    assert by(POLICY.config.rules[1]) == "by rule 2 (line 102)"
