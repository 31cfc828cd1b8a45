"""What `explain` says: the decision, the rule that decided, and every name that is rewritten."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.border import SYNTAXES, ae, config, peer, rule
from tests.policy.test_rules_at_large import borders
from ulproxy.dimse.services import Service
from ulproxy.policy.decision import Peer
from ulproxy.policy.explain import EXAMPLES, Question, explain
from ulproxy.policy.rules import Policy

WS1 = ae("WS1", host="10.0.0.1", alias="HA_WS1")
WS2 = ae("WS2", host="10.0.0.2", name="second")
SENDER = ae("SENDER", host=None, alias="HA_SENDER")
PACS = ae("PACS", "outside", "192.0.2.1", alias="HB_PACS", name="pacs_b")
ARCHIVE = ae("ARCHIVE", "outside", "192.0.2.2")
POLICY = Policy(
    config(
        (WS1, WS2, SENDER, PACS, ARCHIVE),
        [
            rule("network:inside", "pacs_b", "echo find"),
            rule("WS1", "network:outside", "move get", "WS1 second pacs_b SENDER"),
            rule("second", "pacs_b", "store commitment"),
            rule("second", "pacs_b", "move"),
        ],
    )
)
NO_ALIAS = "has no alias that network inside could call it by"


def said(calling, called, service=None, destination=None, network="inside", address=None):
    homes = {"WS1": "10.0.0.1", "WS2": "10.0.0.2", "PACS": "192.0.2.1", "SENDER": "10.0.0.7"}
    where = peer(network, address or homes.get(calling, "10.0.0.1"))
    service = None if service is None else Service(service)
    explanation = explain(POLICY, Question(where, calling, called, service, destination))
    assert explanation.lines[0].startswith("allowed" if explanation.allowed else "refused")
    assert all(line.isprintable() and len(line) < 200 for line in explanation.lines)
    return explanation.lines


# Allowed


def test_a_call():
    assert said("WS1", "HB_PACS") == [
        "allowed by rule 1 (line 101): WS1 may call pacs_b",
        "caller: WS1, WS1 on network inside",
        "callee: pacs_b, PACS on network outside, at 192.0.2.1:104",
        "the callee sees: calling HA_WS1, called PACS",
        "offered onward: contexts for echo, find, get, move, store",  # as Storage SCP of its C-GET
        "rule 1 (line 101): WS1 to pacs_b: echo, find",
        "rule 2 (line 102): WS1 to pacs_b: move, get",
    ]


def test_a_service_is_allowed_by_its_own_rule():
    lines = said("WS2", "HB_PACS", "store")
    assert lines[0] == "allowed by rule 3 (line 103): second may use store of pacs_b"
    assert "caller: second, WS2 on network inside" in lines
    assert "the callee sees: calling HOSP_A, called PACS" in lines  # it has no alias
    assert "offered onward: contexts for store" in lines


def test_the_first_rule_that_allows_it_decided():
    assert said("WS2", "HB_PACS", "find")[0].startswith("allowed by rule 1 (line 101): ")
    assert said("WS2", "HB_PACS", "move")[0].startswith("allowed by rule 4 (line 104): ")


def test_the_relay_itself():
    for service in (None, "echo"):
        text = "allowed: HOSP_A is the relay itself, which answers echo"
        assert said("WS1", "HOSP_A", service) == [text]


def test_a_storage_commitment_report_by_the_rule_of_the_other_direction():
    """What it reports on was asked for; contract, Services."""
    policy = Policy(config((WS1, PACS), [rule("WS1", "pacs_b", "print commitment")]))
    for service in (None, Service.COMMITMENT):
        where = peer("outside", "192.0.2.1")
        explanation = explain(policy, Question(where, "PACS", "HA_WS1", service))
        assert explanation.allowed
        assert explanation.lines == [
            "allowed by rule 1 (line 101): pacs_b may report storage commitment to WS1",
            "caller: pacs_b, PACS on network outside",
            "callee: WS1, WS1 on network inside, at 10.0.0.1:104",
            "the callee sees: calling HB_PACS, called WS1",
            "offered onward: contexts for commitment",
            "rule 1 (line 101): WS1 to pacs_b: commitment, print",
        ]


def test_both_directions_are_shown_and_a_call_to_oneself_once():
    policy = Policy(config((WS1, WS2), [rule("*", "*", "echo"), rule("WS1", "second", "store")]))
    lines = explain(policy, Question(peer(), "WS1", "WS2")).lines
    assert lines[-3:] == [
        "rule 1 (line 101): WS1 to second: echo",
        "rule 2 (line 102): WS1 to second: store",
        "rule 1 (line 101): second to WS1: echo",
    ]
    lines = explain(policy, Question(peer(), "WS1", "WS1")).lines
    assert [line for line in lines if line.startswith("rule")] == [
        "rule 1 (line 101): WS1 to WS1: echo"
    ]


# Move destinations


@pytest.mark.parametrize("service", [None, "move"])
@pytest.mark.parametrize(
    ("destination", "told", "seen"),
    [
        (
            "WS1",
            "WS1 is WS1; the callee is told HA_WS1",
            "calling HB_PACS, called WS1, Move Originator WS1, at 10.0.0.1:104",
        ),
        (
            "WS2",  # without alias: known outside by the relay's title
            "WS2 is second; the callee is told HOSP_A",
            "calling HB_PACS, called WS2, Move Originator WS1, at 10.0.0.2:104",
        ),
        ("HB_PACS", "HB_PACS is pacs_b; the callee is told PACS", None),  # on its own network
    ],
)
def test_a_move_destination_with_the_rule_that_decided(service, destination, told, seen):
    lines = said("WS1", "HB_PACS", service, destination)
    assert lines[0].startswith(f"allowed by rule {2 if service else 1} (line ")
    at = lines.index(f"move destination by rule 2 (line 102): {told}")
    after = lines[at + 1]
    assert after == (f"the destination sees: {seen}" if seen else lines[-2])
    assert "rule 2 (line 102): WS1 to pacs_b: move, get" in lines


def test_a_destination_across_a_third_network():
    lab = ae("LAB", "third", "203.0.113.1", alias="HC_LAB")
    policy = Policy(config((WS1, PACS, lab), [rule("WS1", "pacs_b", "move", "*")]))
    lines = explain(policy, Question(peer(), "WS1", "HB_PACS", Service.MOVE, "HC_LAB")).lines
    assert (
        "move destination by rule 1 (line 101): HC_LAB is LAB; the callee is told HC_LAB" in lines
    )
    assert (
        "the destination sees: calling HB_PACS, called LAB, Move Originator HA_WS1,"
        " at 203.0.113.1:104" in lines
    )


@pytest.mark.parametrize("service", [None, "move"])
@pytest.mark.parametrize(
    ("calling", "destination", "why"),
    [
        ("WS2", "WS1", "no rule lets second move from pacs_b to WS1"),
        ("WS1", "SENDER", "SENDER has no address: it only calls"),
        ("WS1", "NOBODY", "WS1 knows no AE by the title NOBODY"),
        ("WS1", "HA_WS1", "WS1 knows no AE by the title HA_WS1"),
        ("WS1", "HOSP_A", "WS1 knows no AE by the title HOSP_A"),
        ("WS1", "second", "WS1 knows no AE by the title second"),
    ],
)
def test_a_destination_that_is_refused(calling, destination, why, service):
    lines = said(calling, "HB_PACS", service, destination)
    assert lines[0] == f"refused: C-MOVE-RSP A801H: {why}"
    assert lines[2].startswith("callee: pacs_b, ")  # the association would go on
    assert not any("destination by rule" in line for line in lines)


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


# At large


def test_every_service_has_an_example_of_its_own():
    assert set(EXAMPLES) == set(Service)
    assert {service: EXAMPLES[service] for service in Service if service is not Service.OTHER} == {
        service: syntax for service, syntax in SYNTAXES.items() if service is not Service.OTHER
    }


@given(borders(), st.sampled_from([None, *Service]), st.data())
def test_a_service_is_allowed_when_a_rule_has_it(border, service, data):
    """Whatever the border: `explain` agrees with `may`, and names a line that there is."""
    policy = Policy(border)
    caller, callee = (data.draw(st.sampled_from(border.aes)) for _ in range(2))
    called = policy.names.shown(callee, caller.network)
    address = ipaddress.ip_address("10.0.0.1")
    destination = data.draw(st.sampled_from([None, "A", "X", "HOSP_A"]))
    if service not in (None, Service.MOVE):
        destination = None
    question = Question(Peer(caller.network, address), caller.title, called, service, destination)
    allowed, lines = explain(policy, question)
    assert all(line.isprintable() for line in lines)
    if policy.names.called(called, caller.network) != callee:
        return  # hidden by another one, or the relay itself
    let_in = any(address in source for source in caller.sources) and callee.address is not None
    wanted = list(Service) if service is None else [service]
    may = any(policy.may(caller, callee, one) for one in wanted) or bool(
        Service.COMMITMENT in wanted and policy.may(callee, caller, Service.COMMITMENT)
    )
    moved = destination is None or policy.move_destination(caller, callee, destination) is not None
    assert allowed is (let_in and may and moved)
    if allowed:
        named = re.match(r"allowed by rule (\d) \(line 10(\d)\): ", lines[0])
        assert named is not None
        assert named[1] == named[2]
        assert int(named[1]) <= len(border.rules)
        shown = policy.names.shown(caller, callee.network)
        assert f"the callee sees: calling {shown}, called {callee.title}" in lines
