"""What `explain` says: the decision, the rule that decided, and every name that is rewritten."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.border import SYNTAXES, ae, config, peer, rule
from tests.policy.explaining import PACS, WS1, WS2, said
from tests.policy.test_rules_at_large import borders
from ulproxy.dimse.services import Service
from ulproxy.policy.decision import Peer
from ulproxy.policy.explain import EXAMPLES, Question, explain
from ulproxy.policy.model import Relay
from ulproxy.policy.rules import Policy

# Allowed


def test_a_call():
    assert said("WS1", "HB_PACS") == [
        "allowed by rule 1 (line 101): WS1 may call pacs_b",
        "caller: WS1, WS1 on network inside",
        "callee: pacs_b, PACS on network outside, at 192.0.2.1:104",
        "the callee sees: calling HA_WS1, called PACS",
        "offered onward by rule 1 (line 101): contexts for echo, find",
        (  # as Storage SCP
            "offered onward by rule 2 (line 102), for the C-STOREs of a C-GET: contexts for store"
        ),
        "offered onward by rule 2 (line 102): contexts for move, get",
        "the caller sees: Retrieve AE Title HB_PACS for PACS",
        "rule 1 (line 101): WS1 to pacs_b: echo, find",
        "rule 2 (line 102): WS1 to pacs_b: move, get",
    ]


def test_a_service_is_allowed_by_its_own_rule():
    lines = said("WS2", "HB_PACS", "store")
    assert lines[0] == "allowed by rule 3 (line 103): second may use store of pacs_b"
    assert "caller: second, WS2 on network inside" in lines
    assert "the callee sees: calling HOSP_A, called PACS" in lines  # it has no alias
    assert "offered onward by rule 3 (line 103): contexts for store" in lines


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
            (
                "offered onward by rule 1 (line 101), for what the callee asks or reports: "
                "contexts for commitment"
            ),
            "the callee sees: Retrieve AE Title HB_PACS for PACS",
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
            (
                "WS2 is second; the callee is told HOSP_A, and Move Originator tells for whom its "
                "C-STOREs are"
            ),
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


# At large


def test_every_service_has_an_example_of_its_own():
    assert set(EXAMPLES) == set(Service)
    assert {service: EXAMPLES[service] for service in Service if service is not Service.OTHER} == {
        service: syntax for service, syntax in SYNTAXES.items() if service is not Service.OTHER
    }


@given(borders(), st.sampled_from([None, *Service]), st.data())
def test_a_service_is_allowed_when_a_rule_has_it(border, service, data):
    """Whatever the border: `explain` agrees with `may`, and names a line that there is."""
    policy = Policy(replace(border, relay=Relay(title="HOSP_A")))
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
