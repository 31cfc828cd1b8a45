"""`ulproxy explain`: its options, what it prints, its exit codes."""

from __future__ import annotations

import re

import pytest

from tests.cli_peers import RULE, called, config, over_tls
from ulproxy.dimse.services import Service

SERVICES = [service.value for service in Service]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "relay.toml"
    path.write_text(config())
    return path


def explained(file, **options):
    given = {
        "network": "inside",
        "source": "127.0.0.1",
        "calling": "WS1",
        "called": "HB_PACS",
        **options,
    }
    return called(
        "explain", file, *(part for name, value in given.items() for part in (f"--{name}", value))
    )


def test_explain_what_is_allowed(file):
    result = explained(file, service="move", destination="WS1")
    assert (result.exit_code, result.stderr) == (0, "")
    rule = f"rule 1 (line {RULE})"
    seen = "calling HB_PACS, called WS1, Move Originator WS1, at 127.0.0.1:11120"
    assert result.stdout.splitlines() == [
        f"allowed by {rule}: WS1 may use move of pacs_b",
        "caller: WS1, WS1 on network inside",
        "callee: pacs_b, PACS on network outside, at 127.0.0.1:104",
        "the callee sees: calling HA_WS1, called PACS",
        f"offered onward by {rule}: contexts for move",
        f"move destination by {rule}: WS1 is WS1; the callee is told HA_WS1",
        f"the destination sees: {seen}",
        f"{rule}: WS1 to pacs_b: echo, move",
    ]


@pytest.mark.parametrize(
    ("options", "code", "first"),
    [
        ({}, 0, "allowed by rule 1 "),
        ({"service": "echo"}, 0, "allowed by rule 1 "),
        ({"called": "HOSP_A"}, 0, "allowed: HOSP_A is the relay itself"),
        ({"calling": " WS1 "}, 0, "allowed by rule 1 "),
        ({"source": "::ffff:127.0.0.1"}, 0, "allowed by rule 1 "),
        ({"destination": "WS1"}, 0, "allowed by rule 1 "),
        ({"service": "store"}, 1, "refused: A-ASSOCIATE-RJ 1,1,1: "),
        ({"called": "HOSP_A", "service": "store"}, 1, "refused: A-ASSOCIATE-RJ 1,1,1: "),
        ({"called": "PACS"}, 1, "refused: A-ASSOCIATE-RJ 1,1,7: "),
        ({"calling": "WS2"}, 1, "refused: A-ASSOCIATE-RJ 1,1,3: "),
        ({"source": "10.0.0.1"}, 1, "refused: A-ASSOCIATE-RJ 1,1,3: "),
        ({"source": "::1"}, 1, "refused: A-ASSOCIATE-RJ 1,1,3: "),
        ({"network": "outside"}, 1, "refused: A-ASSOCIATE-RJ 1,1,3: "),
        ({"destination": "SENDER"}, 1, "refused: C-MOVE-RSP A801H: "),
        ({"service": "move", "destination": "X"}, 1, "refused: C-MOVE-RSP A801H: "),
    ],
)
def test_explain_decides(options, code, first, file):
    result = explained(file, **options)
    assert (result.exit_code, result.stderr) == (code, "")
    assert result.stdout.startswith(first)


@pytest.mark.parametrize(
    ("asks", "certificates", "code", "first"),
    [
        ("none", [], 0, "allowed by rule 1 "),
        ("required", [], 1, "refused: the TLS handshake: a certificate is required at 127.0.0.1:0"),
        ("required", ["WS1.example"], 0, "allowed by rule 1 "),
        ("required", ["sha256:" + "0A:" * 31 + "0A", "ws1.example"], 0, "allowed by rule 1 "),
        ("required", ["ws2.example"], 1, "refused: A-ASSOCIATE-RJ 1,1,3: WS1 presents another"),
        ("optional", [], 1, "refused: A-ASSOCIATE-RJ 1,1,3: WS1 presents no certificate"),
    ],
)
def test_explain_with_a_certificate(asks, certificates, code, first, file):
    text = over_tls(asks=asks)
    file.write_text(
        text.replace('alias = "HA_WS1"', 'alias = "HA_WS1"\ncertificate = "ws1.example"')
    )
    options = [part for one in certificates for part in ("--certificate", one)]
    call = ["--network", "inside", "--source", "127.0.0.1", "--calling", "WS1"]
    result = called("explain", file, *call, "--called", "HB_PACS", *options)
    assert (result.exit_code, result.stderr) == (code, "")
    assert result.stdout.startswith(first)


@pytest.mark.parametrize("service", SERVICES)
def test_explain_knows_every_service(service, file):
    assert explained(file, service=service).exit_code == (0 if service in ("echo", "move") else 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"network": "insde"}, '--network: no listener on "insde"; did you mean "inside"?'),
        ({"source": "localhost"}, '--source: "localhost" is no IP address'),
        ({"source": "127.0.0.0/8"}, '--source: "127.0.0.0/8" is no IP address'),
        ({"calling": ""}, '--calling: "" is no AE title'),
        ({"calling": "   "}, '--calling: "   " is no AE title'),
        ({"called": "A" * 17}, f'--called: "{"A" * 17}" is no AE title: 1 to 16 ASCII characters'),
        ({"called": "PÄCS"}, '--called: "PÄCS" is no AE title'),
        ({"certificate": "sha256:12"}, '--certificate: "sha256:12" is no fingerprint; write'),
        ({"certificate": "CN=a"}, '--certificate: "CN=a" is no fingerprint and no name'),
        ({"destination": "A\nB"}, '--destination: "A\\nB" is no AE title'),
        ({"service": "stroe"}, "'--service': 'stroe' is not one of 'echo', 'store'"),
        (
            {"service": "find", "destination": "WS1"},
            "--destination is for --service move, not for find",
        ),
    ],
)
def test_explain_is_asked_wrongly(options, said, file):
    result = explained(file, **options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in re.sub(r"\s+", " ", result.stderr) or said in result.stderr
