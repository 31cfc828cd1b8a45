"""A border to explain, and what is said of calls to it."""

from __future__ import annotations

from tests.policy.border import ae, config, peer, rule
from ulproxy.dimse.services import Service
from ulproxy.policy.explain import Question, explain
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
