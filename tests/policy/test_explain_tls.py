"""What `explain` says of TLS and certificates, and where rules are only observed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.policy.border import AES, PACS, WS1, ae, config, peer, rule
from ulproxy.dimse.services import Service
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.explain import Question, explain
from ulproxy.policy.model import AeTls, Group, Listener, ListenerTls
from ulproxy.policy.rules import Policy

HASH = "sha256:" + "0a" * 32
BIND = Endpoint("127.0.0.1", 2762)
OWN = ae("WS1", alias="HA_WS1", certificate=HASH)


def tls(client_certificate: str) -> ListenerTls:
    return ListenerTls.model_validate(
        {
            "certificate": Path("a.pem"),
            "key": Path("a.key"),
            "ca": Path("ca.pem"),
            "client_certificate": client_certificate,
        }
    )


def said(*asks, presents=(), aes=(OWN, PACS), called="HB_PACS", rules=(), **more):
    """A call to listeners that ask for certificates: "required", "optional", "none"; None = no TLS."""
    listeners = [Listener("inside", BIND, ask and tls(ask)) for ask in asks]
    border = config(aes, rules or [rule("*", "*", "echo")])
    policy = Policy(replace(border, listeners=(*listeners, Listener("outside", BIND, tls("none")))))
    question = Question(peer(presents=presents, **more), "WS1", called, Service.ECHO)
    explanation = explain(policy, question)
    assert explanation.lines[0].startswith("allowed" if explanation.allowed else "refused")
    return explanation.lines


LISTENER = "listener 127.0.0.1:2762: TLS, profile bcp195, certificate of the caller"


@pytest.mark.parametrize("asks", ["required", "optional"])
@pytest.mark.parametrize("presents", [(HASH,), ("ws1.example", HASH)])
def test_its_own_certificate(asks, presents):
    lines = said(asks, presents=presents)
    shown = ", ".join(sorted(presents))
    assert lines[0].startswith("allowed by rule 1")
    assert lines[1] == f"caller: WS1, WS1 on network inside, presenting {shown}"
    assert lines[-1] == f"{LISTENER} {asks}"


@pytest.mark.parametrize("asks", ["required", "optional"])
def test_another_certificate(asks):
    assert said(asks, presents=["ws2.example"]) == [
        "refused: A-ASSOCIATE-RJ 1,1,3: WS1 presents another certificate",
        "WS1 calls from 10.0.0.1/32",
        f"WS1 presents the certificate {HASH}",
        f"{LISTENER} {asks}",
    ]


def test_no_certificate():
    """Where it is required there is no association to be rejected."""
    assert said("required") == [
        "refused: the TLS handshake: a certificate is required at 127.0.0.1:2762, and none is presented",
        f"{LISTENER} required",
    ]
    assert said("required", "required")[0] == (
        "refused: the TLS handshake: a certificate is required at 127.0.0.1:2762 and "
        "127.0.0.1:2762, and none is presented"
    )
    assert said("optional")[0] == "refused: A-ASSOCIATE-RJ 1,1,3: WS1 presents no certificate"
    assert said("optional", aes=(WS1, PACS))[0].startswith("allowed by rule 1")
    mixed = said("required", None)
    assert mixed[0] == "refused: A-ASSOCIATE-RJ 1,1,3: WS1 presents no certificate"


@pytest.mark.parametrize("asks", ["none", None])
@pytest.mark.parametrize("presents", [None, (), ("ws2.example",)])
def test_a_listener_that_does_not_ask(asks, presents):
    lines = said(asks, presents=presents)
    assert lines[0].startswith("allowed by rule 1")
    assert lines[1] == "caller: WS1, WS1 on network inside"
    assert (lines[-1] == f"{LISTENER} none") is (asks == "none")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "at 192.0.2.1:104"),
        (AeTls(), "at 192.0.2.1:104 over TLS, profile bcp195, shown no certificate"),
        (
            AeTls(certificate=Path("/etc/a.pem"), key=Path("/etc/a.key"), profile="modified"),
            "at 192.0.2.1:104 over TLS, profile modified, shown /etc/a.pem",
        ),
    ],
)
def test_how_an_ae_is_called(given, shown):
    lines = said("none", aes=(OWN, replace(PACS, tls=given)))
    assert f"callee: PACS, PACS on network outside, {shown}" in lines


# Where rules are only observed


def observed(called, service=None, destination=None, calling="WS1", rules=(), groups=(), **more):
    policy = Policy(config(AES, rules, groups, enforce=False))
    service = None if service is None else Service(service)
    explanation = explain(policy, Question(peer(**more), calling, called, service, destination))
    assert explanation.lines[0].startswith("allowed" if explanation.allowed else "refused")
    return explanation.lines


def test_what_no_rule_allows():
    assert observed("HB_PACS", "find") == [
        "allowed while rules are only observed: WS1 may use find of PACS",
        "would be refused: no rule lets WS1 call PACS",
        "caller: WS1, WS1 on network inside",
        "callee: PACS, PACS on network outside, at 192.0.2.1:104",
        "the callee sees: calling HA_WS1, called PACS",
        "offered onward although no rule allows it: contexts for find",
        "the caller sees: Retrieve AE Title HB_PACS for PACS",
    ]


def test_what_a_rule_allows():
    lines = observed("HB_PACS", "echo", rules=[rule("WS1", "PACS", "echo")])
    assert lines[0] == "allowed by rule 1 (line 101): WS1 may use echo of PACS"
    assert not any(line.startswith("would be refused") for line in lines)


def test_a_part_of_it():
    lines = observed("HB_PACS", rules=[rule("WS1", "PACS", "echo find get move store")])
    others = "commitment, mpps, other, print, ups, worklist"
    assert lines[:2] == [
        "allowed by rule 1 (line 101): WS1 may call PACS",
        f"would be refused: no rule lets WS1 use {others} of PACS",
    ]
    allowed = "echo, store, find, move, get"
    assert f"offered onward by rule 1 (line 101): contexts for {allowed}" in lines
    assert any(line.startswith("offered onward although no rule allows it: ") for line in lines)


@pytest.mark.parametrize("service", ["find", "commitment"])
def test_a_rule_the_other_way_is_not_for_it(service):
    lines = observed("HB_PACS", service, rules=[rule("PACS", "WS1", "commitment")])
    if service == "commitment":
        assert lines[0].startswith("allowed by rule 1 (line 101): WS1 may report storage")
    else:
        assert lines[0] == "allowed while rules are only observed: WS1 may use find of PACS"


def test_a_caller_that_would_be_refused():
    lines = observed("HB_PACS", "echo", calling="NEW", rules=[rule("*", "*")])
    assert lines[:3] == [
        "allowed by rule 1 (line 101): unknown:NEW may use echo of PACS",
        "would be refused: calling title unknown on network inside",
        "caller: unknown:NEW, NEW on network inside",
    ]
    assert "the callee sees: calling HOSP_A, called PACS" in lines
    assert lines[-1].startswith("calling titles on network inside: known are ")
    elsewhere = observed("HB_PACS", "echo", rules=[rule("*", "*")], address="10.9.9.9")
    assert elsewhere[-1] == "WS1 calls from 10.0.0.1/32"
    echo = observed("HOSP_A", "echo", calling="NEW")
    assert echo[:2] == [
        "allowed: HOSP_A is the relay itself, which answers echo",
        "would be refused: calling title unknown on network inside",
    ]


def test_a_move_destination():
    lines = observed("HB_PACS", "move", "WS2", rules=[rule("WS1", "PACS", "move")])
    assert lines[0].startswith("allowed by rule 1")
    at = lines.index("would be refused: no rule lets WS1 move from PACS to WS2")
    assert lines[at - 1].startswith("move destination while rules are only observed: WS2 is WS2; ")
    assert lines[at + 1].startswith("the destination sees: ")
    unknown = observed("HB_PACS", "move", "NOBODY")
    assert unknown[:2] == [
        "refused: C-MOVE-RSP A801H: WS1 knows no AE by the title NOBODY",
        "would be refused: no rule lets WS1 call PACS",
    ]


def test_a_group():
    lines = observed("ALL", "find", groups=[Group("ALL", ("PACS", "ARCHIVE"))])
    assert lines[2:4] == [
        "member PACS: allowed while rules are only observed: WS1 may use find of PACS",
        "  would be refused: no rule lets WS1 call PACS",
    ]


def test_reports_behind_the_relays_title():
    policy = Policy(config(AES, (), enforce=False))
    calls = peer("outside", "192.0.2.1")
    lines = explain(policy, Question(calls, "PACS", "HOSP_A", Service.COMMITMENT)).lines
    assert lines[2:4] == [
        "perhaps WS2: allowed while rules are only observed: PACS may use commitment of WS2",
        "  would be refused: no rule lets PACS call WS2",
    ]
