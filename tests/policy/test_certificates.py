"""By what a certificate is known: fingerprints, and subject alternative names as they are compared."""

from __future__ import annotations

import pytest

from ulproxy.policy.certificates import certificate, fingerprint

HASH = "sha256:" + "0a" * 32
AS_OPENSSL_PRINTS_IT = " SHA256:" + "0A:" * 31 + "0A"
NO_FINGERPRINTS = [
    "",
    "0a" * 32,
    "0a:" * 31 + "0a",
    "sha1:" + "0a" * 32,
    "md5:0a",
    "sha256:",
    "sha256:" + "0a" * 31 + "0",
    "sha256:" + "0a" * 32 + "0",
    "sha256:" + "g" * 64,
]


@pytest.mark.parametrize("read", [fingerprint, certificate])
@pytest.mark.parametrize("text", [HASH, AS_OPENSSL_PRINTS_IT])
def test_fingerprints(read, text):
    assert read(text) == HASH


@pytest.mark.parametrize("read", [fingerprint, certificate])
@pytest.mark.parametrize("text", NO_FINGERPRINTS)
def test_no_fingerprints(read, text):
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        read(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ws1.example", "ws1.example"),
        (" WS1.Example ", "ws1.example"),
        ("*.Hospital.example", "*.hospital.example"),
        ("ws1", "ws1"),
        ("ws1.example.", "ws1.example"),
        ("10.0.0.5", "10.0.0.5"),
        ("FD00:0::5", "fd00::5"),
        ("urn:oid:1.2.840.1", "urn:oid:1.2.840.1"),
        ("https://WS1.example/A", "https://WS1.example/A"),
        ("dicom://ws1.example:104", "dicom://ws1.example:104"),
        ("Service@Hospital.example", "Service@Hospital.example"),
    ],
)
def test_names(text, name):
    assert certificate(text) == name
    assert certificate(name) == name


@pytest.mark.parametrize(
    "text",
    [
        "ws1 example",
        "CN=ws1",
        "*",
        "*.",
        "*.*.example",
        "a..b",
        "10.0.0.300",
        "a@b c",
        "x:y",
        "a@\0",
    ],
)
def test_no_names(text):
    with pytest.raises(ValueError, match="or a subject alternative name such as"):
        certificate(text)
