"""What must go together for TLS, and what is said of TLS that does nothing."""

from __future__ import annotations

import pytest

from tests.policy.config_text import (
    AE_1,
    AE_2,
    END,
    LISTENER_1,
    LISTENER_2,
    assert_found,
    edited,
    problems,
)
from ulproxy.policy.config import parse

PAIR = 'certificate = "a.pem", key = "a.key"'
ASKS = f'tls = {{ {PAIR}, ca = "ca.pem", client_certificate = "required" }}'
OPTIONAL = ASKS.replace("required", "optional")
NAMED = 'certificate = "ws1.example"'


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (PAIR, None),
        (f'{PAIR}, client_certificate = "none"', None),
        (f'{PAIR}, client_certificate = "required", ca = "ca.pem"', None),
        (f'{PAIR}, client_certificate = "required"', "client_certificate"),
        (f'{PAIR}, client_certificate = "optional"', "client_certificate"),
    ],
)
def test_who_asks_for_certificates_knows_whom_to_trust(tls, expected):
    faults = problems(edited({LISTENER_2 + 3: f"tls = {{ {tls} }}"}))
    said = 'needs to know whom to trust; write ca = "ca.pem"'
    key = f"listener[2].tls.{expected}"
    assert_found(faults, [(LISTENER_2 + 3, key, said)] if expected else [])


def test_a_ca_that_serves_for_nothing():
    text = edited({LISTENER_2 + 3: f'tls = {{ {PAIR}, ca = "ca.pem" }}'})
    said = "serves to check the certificates of callers, and none is asked for"
    assert_found(parse(text).notes, [(LISTENER_2 + 3, "listener[2].tls.ca", said)])


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ("", None),
        ('ca = "ca.pem"', None),
        (f'{PAIR}, ca = "ca.pem"', None),
        ('certificate = "a.pem"', ("key", "is missing; a certificate needs its key, write key =")),
        ('key = "a.key"', ("certificate", "is missing; a key needs its certificate, write cert")),
    ],
)
def test_a_certificate_and_its_key(tls, expected):
    text = edited({AE_2 + 5: f"tls = {{ {tls} }}"}, f"[audit]\ntls = {{ {tls} }}\n")
    faults = problems(text)
    places = [(AE_2 + 5, "ae[PACS].tls"), (END + 2, "audit.tls")] if expected else []
    assert_found(faults, [(line, f"{key}.{expected[0]}", expected[1]) for line, key in places])


@pytest.mark.parametrize(
    ("syslog", "good"), [('syslog = "tls://a"', True), ("", True), ('syslog = "udp://a"', False)]
)
def test_tls_of_the_repository_is_for_syslog_over_tls(syslog, good):
    faults = problems(edited(more=f"[audit]\n{syslog}\ntls = {{}}\n"))
    said = 'is for syslog over TLS; write "tls://" in syslog, or remove tls'
    assert_found(faults, [] if good else [(END + 3, "audit.tls", said)])


def test_tls_towards_one_that_is_not_called():
    text = edited({AE_1 + 3: 'sources = ["*"]', AE_1 + 5: "tls = {}"})
    said = "says how to call this AE, which has no address; listeners ask for TLS"
    assert_found(parse(text).notes, [(AE_1 + 5, "ae[WS1].tls", said)])
    faults = problems(edited({AE_1 + 3: 'address = "x"', AE_1 + 5: "tls = {}"}))
    assert_found(faults, [(AE_1 + 3, "ae[WS1].address", "has no port")])


NOBODY = 'is asked for by no listener on network "inside": it may call without'


@pytest.mark.parametrize(
    ("edits", "more", "said"),
    [
        ({}, "", NOBODY),
        ({LISTENER_1 + 3: f"tls = {{ {PAIR} }}"}, "", NOBODY),
        ({LISTENER_2 + 3: ASKS}, "", NOBODY),
        ({LISTENER_1 + 3: ASKS}, "", None),
        ({LISTENER_1 + 3: OPTIONAL}, "", None),
        (
            {LISTENER_1 + 3: ASKS},
            '[[listener]]\nnetwork = "inside"\nbind = "127.0.0.1:1"\n',
            f"is not asked for by listener[3] (line {END + 1}): it may call there without",
        ),
    ],
)
def test_a_certificate_that_nobody_asks_for(edits, more, said):
    notes = parse(edited({AE_1 + 5: NAMED, **edits}, more)).notes
    assert_found(notes, [(AE_1 + 5, "ae[WS1].certificate", said)] if said else [])


def test_a_listener_with_faults_may_ask():
    faults = problems(edited({AE_1 + 5: NAMED, LISTENER_1 + 2: 'bind = "x"'}))
    assert_found(faults, [(LISTENER_1 + 2, "listener[1].bind", "has no port")])


def test_two_may_have_the_same_certificate():
    text = edited({LISTENER_1 + 3: ASKS, AE_1 + 5: NAMED})
    more = f'[[ae]]\ntitle = "WS2"\nnetwork = "inside"\nsources = ["*"]\n{NAMED}\n'
    assert problems(text + more) == []
