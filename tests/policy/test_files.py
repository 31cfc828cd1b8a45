"""The files that a configuration names: missing, unreadable, of another kind, of another key, too old."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.policy.config_text import assert_found
from tests.policy.pki import DAY, NOW, UNKNOWN_CURVE, certificate, new_key, private, write_pair
from ulproxy.policy.checks import Draft
from ulproxy.policy.config import load
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.files import FileChecks
from ulproxy.policy.model import AeTls, Audit, Listener, ListenerTls, Relay
from ulproxy.policy.report import Report
from ulproxy.policy.toml_lines import Lines

KEY, OTHER_KEY = new_key(), new_key()
PEM, PRIVATE = certificate(KEY), private(KEY)
RELATIVE = "file names are relative to the directory of the configuration"


@pytest.fixture
def checked(tmp_path):
    """What is found of a listener with these files; None = it is not there."""

    def check(certificate=PEM, key=PRIVATE, ca=PEM, now=NOW):
        for name, content in (("a.pem", certificate), ("a.key", key), ("ca.pem", ca)):
            if content is not None:
                (tmp_path / name).write_bytes(content)
        names = {"certificate": tmp_path / "a.pem", "key": tmp_path / "a.key"}
        tls = ListenerTls(**names, ca=tmp_path / "ca.pem")
        draft = Draft(listeners={0: Listener("n", Endpoint("::1", 1), tls)})
        report = Report(Lines(""), {})
        FileChecks(report, now).check(draft)
        keys = [f"{p.key.removeprefix('listener[1].tls.')}: {p.text}" for p in report.problems]
        notes = [f"{p.key.removeprefix('listener[1].tls.')}: {p.text}" for p in report.notes]
        assert all("; " in text for text in keys)
        return [text.replace(str(tmp_path), "DIR") for text in keys], notes

    return check


def test_files_that_are_right(checked):
    assert checked() == ([], [])
    assert checked(certificate=b"subject=x\n" + PEM + PEM, key=PEM + PRIVATE) == ([], [])
    both = PRIVATE + PEM
    assert checked(certificate=both, key=both) == ([], [])


def test_files_that_are_not_there(checked):
    missing = f"cannot be read: No such file or directory; {RELATIVE}"
    found, _ = checked(certificate=None, key=None, ca=None)
    assert found == [
        f'ca: "DIR/ca.pem" {missing}',
        f'certificate: "DIR/a.pem" {missing}',
        f'key: "DIR/a.key" {missing}',
    ]
    found, _ = checked(ca=b"")
    assert found == [f'ca: "DIR/ca.pem" cannot be read: it is empty; {RELATIVE}']


def test_a_directory(checked, tmp_path):
    (tmp_path / "ca.pem").mkdir()
    assert checked(ca=None)[0] == [f'ca: "DIR/ca.pem" cannot be read: Is a directory; {RELATIVE}']


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", 'has no whole certificate in PEM form; name a file with "-----BEGIN CERT'),
        (PRIVATE, "has no whole certificate in PEM form"),
        (PEM[:-200], "has no whole certificate in PEM form"),
        (PEM.replace(b"\nMII", b"\nMIJ", 1), "has no whole certificate in PEM form"),
        (certificate(KEY, form=Encoding.DER), 'is in DER form; convert it to PEM with "openssl"'),
    ],
)
def test_what_is_no_certificate(content, said, checked):
    found, _ = checked(certificate=content, ca=content)
    assert [text.partition(":")[0] for text in found] == ["ca", "certificate"]
    assert all(said in text for text in found)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", 'has no whole private key in PEM form; name a file with "-----BEGIN PRIVATE'),
        (PEM, "has no whole private key in PEM form"),
        (PRIVATE[:60], "has no whole private key in PEM form"),
        (
            private(rsa.generate_private_key(65537, 2048), form=Encoding.DER),
            'is in DER form; convert it to PEM with "openssl"',
        ),
        (private(KEY, b"secret"), "is encrypted; write the name of a key without a passphrase"),
        (private(OTHER_KEY), 'is not the key of the first certificate in "DIR/a.pem"; write the'),
    ],
)
def test_what_is_not_its_key(content, said, checked):
    [text] = checked(key=content)[0]
    assert text.startswith("key: ")
    assert said in text


@pytest.mark.parametrize(("bits", "good"), [(1024, False), (2047, False), (2048, True)])
def test_an_rsa_key_that_is_too_short(bits, good, checked):
    key = rsa.generate_private_key(65537, bits)
    found, _ = checked(certificate=certificate(key), key=private(key))
    said = f"key: has {bits} bits; write one of an RSA key of 2048 bits or more"
    assert found == ([] if good else [said])


def test_a_key_that_openssl_may_know(checked):
    """What cannot be told is not a mistake."""
    assert checked(UNKNOWN_CURVE, UNKNOWN_CURVE)[0] == []
    assert checked(UNKNOWN_CURVE, PRIVATE)[0] == []
    assert checked(PEM, UNKNOWN_CURVE)[0] == []


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (NOW - DAY, NOW, []),
        (NOW - DAY, NOW - timedelta(seconds=1), ["has expired on 2030-01-15"]),
        (NOW, NOW + DAY, []),
        (NOW + timedelta(seconds=1), NOW + DAY, ["is valid only from 2030-01-15 12:00 UTC on"]),
    ],
)
def test_dates(begin, end, expected, checked):
    dated = certificate(KEY, begin, end)
    found, notes = checked(certificate=PEM + dated, ca=dated + PEM)
    assert found == []
    assert notes == [f"{key}: {text}" for key in ("ca", "certificate") for text in expected]


def test_everything_that_has_files(tmp_path):
    nowhere = tmp_path / "nowhere"
    tls = AeTls(ca=nowhere)
    draft = Draft(
        relay=Relay(title="A", state=nowhere / "state"), audit=Audit(file=tmp_path, tls=tls)
    )
    report = Report(Lines(""), {})
    FileChecks(report).check(draft)
    assert_found(
        report.problems,
        [
            (0, "relay.state", f'there is no directory "{nowhere}"; make it or write another one'),
            (0, "audit.file", f'"{tmp_path}" is a directory; write a file name'),
            (0, "audit.tls.ca", "cannot be read: No such file"),
        ],
    )
    good = Draft(relay=Relay(title="A", state=nowhere), audit=Audit(file=nowhere, tls=AeTls()))
    report = Report(Lines(""), {})
    FileChecks(report).check(good)
    assert report.problems == []
    FileChecks(report).check(Draft())
    assert report.problems == []


def test_a_whole_file(tmp_path):
    """Relative to its directory; a file that many AEs name is read once."""
    write_pair(tmp_path)
    ae = """\
[[ae]]
title = "A{}"
network = "n"
address = "10.0.0.1:104"
tls = {{ ca = "a.pem", certificate = "a.pem", key = "a.key" }}
"""
    text = '[relay]\ntitle = "R"\n[[listener]]\nnetwork = "n"\nbind = "127.0.0.1:0"\n'
    text += "".join(map(ae.format, range(3)))
    path = tmp_path / "relay.toml"
    path.write_text(text)
    found = load(path)
    assert found.notes == ()
    assert found.aes[2].tls == AeTls(
        ca=tmp_path / "a.pem", certificate=tmp_path / "a.pem", key=tmp_path / "a.key"
    )
