"""One table at a time: every key of the contract, and what is said of every kind of fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.policy.config_text import (
    AE_1,
    BASE,
    END,
    LIMITS,
    LISTENER_1,
    RELAY,
    RULE,
    assert_found,
    edited,
    problems,
)
from ulproxy.policy import schema
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import AeTls, Syslog
from ulproxy.policy.report import Report
from ulproxy.policy.toml_lines import Lines

EVERY_KEY: dict[str, dict[str, Any]] = {
    "relay": {"title": "A", "enforce": True, "on_revoke": "abort", "state": "s"},
    "limits": {
        "associations": 1,
        "associations_per_source": 1,
        "pending": 1,
        "artim": 1,
        "connect": 1,
        "idle": 1,
        "write": 1,
        "max_pdu": 0,
    },
    "metrics": {"bind": "127.0.0.1:9108"},
    "audit": {
        "file": "a",
        "syslog": "tls://a:1",
        "on_full": "drop",
        "tls": {"ca": "a", "certificate": "b", "key": "c", "profile": "modified"},
    },
    "listener": {
        "network": "n",
        "bind": "[::]:104",
        "tls": {
            "certificate": "a",
            "key": "b",
            "ca": "c",
            "client_certificate": "optional",
            "profile": "modified",
        },
    },
    "ae": {
        "title": "A",
        "network": "n",
        "address": "a:104",
        "sources": ["*"],
        "alias": "B",
        "name": "C",
        "tls": {"ca": "a", "certificate": "b", "key": "c", "profile": "bcp195"},
        "certificate": "sha256:" + "00" * 32,
        "omit": ["user-identity"],
        "associations": 1,
        "move_originator": False,
    },
    "group": {"title": "A", "members": ["B", "C"]},
    "rule": {
        "from": ["*"],
        "to": ["*"],
        "services": ["*"],
        "destinations": ["*"],
        "deidentify": "basic",
    },
}
REQUIRED = {
    "relay": {"title"},
    "listener": {"network", "bind"},
    "ae": {"title", "network"},
    "group": {"title", "members"},
    "rule": {"from", "to", "services"},
}
TABLES = schema.TABLES | schema.LISTS
LISTENER = schema.ListenerTable.model_validate({"network": "n", "bind": "127.0.0.1:1"})


def found(name, value):
    report = Report(Lines(""), {})
    table, whole = schema.read_table(TABLES[name], value, (name,), report)
    assert whole is not bool(report.problems)
    assert table is not None or not whole
    return [(problem.key, problem.text) for problem in report.problems]


@pytest.mark.parametrize("name", TABLES)
def test_every_key_of_the_contract(name):
    known = {field.alias or key for key, field in TABLES[name].model_fields.items()}
    assert known == EVERY_KEY[name].keys()
    assert found(name, EVERY_KEY[name]) == []


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name in TABLES for key in EVERY_KEY[name]]
)
def test_a_key_left_out(name, key):
    rest = {other: value for other, value in EVERY_KEY[name].items() if other != key}
    if key in REQUIRED.get(name, ()):
        [(place, text)] = found(name, rest)
        assert place == f"{name}.{key}"
        assert text.startswith(f"is missing; write {key} = ")
    else:
        assert found(name, rest) == []


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name in TABLES for key in EVERY_KEY[name]]
)
@pytest.mark.parametrize("secret", [{"secret": "secret"}, ["secret", 1], 19790527.5])
def test_a_key_of_the_wrong_type(name, key, secret):
    if secret == 19790527.5 and key in {"artim", "connect", "idle", "write"}:
        secret = "secret"
    for place, text in found(name, EVERY_KEY[name] | {key: secret}):
        assert place.startswith(f"{name}.{key}")
        assert "secret" not in text
        assert "19790527" not in text
        assert "; " in text
    assert found(name, EVERY_KEY[name] | {key: secret})


@pytest.mark.parametrize(
    ("name", "nested", "key"),
    [(n, "tls", key) for n in ("listener", "ae", "audit") for key in EVERY_KEY[n]["tls"]],
)
def test_nested_keys(name, nested, key):
    [(place, text)] = found(name, EVERY_KEY[name] | {nested: EVERY_KEY[name][nested] | {key: 1}})
    assert place == f"{name}.{nested}.{key}"
    assert f"; write {key} = " in text


def test_values_are_what_they_mean():
    report = Report(Lines(""), {})
    ae, whole = schema.read_table(schema.AeTable, EVERY_KEY["ae"], ("ae",), report)
    assert ae is not None
    assert whole
    assert ae.address == Endpoint("a", 104)
    assert ae.tls == AeTls(ca=Path("a"), certificate=Path("b"), key=Path("c"))
    audit, whole = schema.read_table(schema.AuditTable, EVERY_KEY["audit"], ("audit",), report)
    assert audit is not None
    assert whole
    assert audit.syslog == Syslog("tls", Endpoint("a", 1))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({}, (LISTENER, True)),
        ({"x": 1, "tls": 1}, (LISTENER, False)),
        ({"network": ""}, (None, False)),
    ],
)
def test_what_can_be_read_of_a_table_with_faults(fault, expected):
    report = Report(Lines(""), {})
    entry = {"network": "n", "bind": "127.0.0.1:1"} | fault
    assert schema.read_table(schema.ListenerTable, entry, ("listener", 0), report) == expected
    assert {problem.key for problem in report.problems} == {f"listener[1].{key}" for key in fault}


@pytest.mark.parametrize(
    ("line", "text", "key", "said"),
    [
        (RELAY + 1, "", "relay.title", 'is missing; write title = "HOSP_A"'),
        (RELAY + 1, "title = 5", "relay.title", 'is not text in quotes; write title = "HOSP_A"'),
        (RELAY + 1, 'title = ""', "relay.title", "is empty; use 1 to 16"),
        (LIMITS + 1, "pending = 0", "limits.pending", "is less than 1; write pending = 200"),
        (LIMITS + 1, 'pending = "5"', "limits.pending", "is not a whole number; write pending ="),
        (LIMITS + 1, "pending = true", "limits.pending", "is not a whole number; write pending ="),
        (LIMITS + 1, "artim = 0", "limits.artim", "is not more than 0; write artim = 30.0"),
        (LIMITS + 1, "artim = inf", "limits.artim", "is not a finite number; write artim = 30.0"),
        (LIMITS + 1, 'artim = "5"', "limits.artim", "is not a number; write artim = 30.0"),
        (LIMITS + 1, "max_pdu = 7", "limits.max_pdu", "is 7; write 0 (as the peers agree) or 8 to"),
        (LIMITS + 1, "pendign = 7", "limits.pendign", 'is unknown; did you mean "pending"?'),
        (LISTENER_1 + 2, 'bind = "x:1"', "listener[1].bind", '"x" is no IP address; write one'),
        (AE_1 + 4, "associations = 0", "ae[WS1].associations", "is less than 1; write assoc"),
        (AE_1 + 4, "move_originator = 0", "ae[WS1].move_originator", "is not true or false; write"),
        (AE_1 + 4, "tls = true", "ae[WS1].tls", 'is not a table; write tls = { ca = "ca.pem" }'),
        (AE_1 + 4, "certificate = 1", "ae[WS1].certificate", 'write certificate = "sha256:..."'),
        (AE_1 + 4, 'certificate = "CN=a"', "ae[WS1].certificate", "is no fingerprint and no name"),
        (
            AE_1 + 4,
            'tls = { profile = "tls1.2" }',
            "ae[WS1].tls.profile",
            'is not "bcp195" or "modified"; write profile = "bcp195"',
        ),
        (AE_1 + 4, 'sources = ["10.0.0.1/8"]', "ae[WS1].sources", 'write "10.0.0.0/8"'),
        (AE_1 + 4, 'omit = ["role-select"]', "ae[WS1].omit", 'did you mean "role-selection"?'),
        (AE_1 + 4, '"ali as" = ""', 'ae[WS1]."ali as"', 'did you mean "alias"?'),
        (AE_1 + 4, 'zzzz = ""', "ae[WS1].zzzz", 'known are "address", "alias", "associations"'),
        (RULE + 1, 'form = ["WS1"]', "rule[1].form", 'did you mean "from"?'),
        (RULE + 1, "from = []", "rule[1].from", 'is empty; write from = ["WS1"]'),
        (
            RULE + 3,
            "services = []",
            "rule[1].services",
            'is empty; write services = ["echo", "find"]',
        ),
        (
            RULE + 3,
            'services = ["qr"]',
            "rule[1].services",
            '"qr" is unknown; known are "commitment"',
        ),
        (RULE + 1, 'from = "WS1"', "rule[1].from", 'in quotes; write from = ["WS1"]'),
    ],
)
def test_what_is_said(line, text, key, said):
    matching = [p for p in problems(edited({line: text})) if p.key == key]
    assert [p.line for p in matching if said in p.text] == [line if text else line - 1]


def test_a_choice():
    assert_found(
        problems(BASE.replace("[limits]", 'on_revoke = "stop"\n[limits]')),
        [(LIMITS, "relay.on_revoke", 'is not "finish" or "abort"; write on_revoke = "finish"')],
    )


def test_all_the_faults_of_a_table_at_once():
    more = '[[listener]]\nbind = "127.0.0.1"\nnet = "inside"\ntls = { key = 1, kye = 1 }\n'
    assert_found(
        problems(edited(more=more)),
        [
            (END + 1, "listener[3].network", "is missing"),
            (END + 2, "listener[3].bind", "has no port"),
            (END + 3, "listener[3].net", 'did you mean "network"'),
            (END + 4, "listener[3].tls.certificate", "is missing"),
            (END + 4, "listener[3].tls.key", "is not text"),
            (END + 4, "listener[3].tls.kye", 'did you mean "key"?'),
        ],
    )
