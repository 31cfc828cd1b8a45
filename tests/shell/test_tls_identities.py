"""What a certificate goes by; failures in words."""

from __future__ import annotations

import hashlib
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.pki import Authority
from ulproxy.policy.certificates import certificate
from ulproxy.shell.tls import failure, identities


@pytest.fixture(scope="module")
def ca(tmp_path_factory) -> Authority:
    return Authority.new(tmp_path_factory.mktemp("pki"))


def test_identities(ca):
    hosts = ["WS1.Example", "*.Ward.example", "10.0.0.5", "fd00:0::5", "urn:dev:1", "a@b.example"]
    own = ca.issue("ws1", hosts)
    spki = own.private_key.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    fingerprints = {f"sha256:{hashlib.sha256(one).hexdigest()}" for one in (own.der, spki)}
    names = {"ws1.example", "*.ward.example", "10.0.0.5", "fd00::5", "urn:dev:1", "a@b.example"}
    assert identities(own.der) == fingerprints | names
    assert {certificate(host) for host in hosts} == names, "as the configuration has them"


def test_identities_without_names(ca):
    assert len(identities(ca.issue("nobody", []).der)) == 2
    assert all(one.startswith("sha256:") for one in identities(ca.issue("nobody", []).der))


def test_identities_are_no_fingerprints_that_somebody_has_chosen(ca):
    """A URI may be anything; a CA that signs one has not looked at what it is the fingerprint of."""
    own = ca.issue("own", ["ws1.example"])
    stolen = next(one for one in identities(own.der) if one.startswith("sha256:"))
    forged = identities(ca.issue("forged", [stolen, "ws1.example"]).der)
    assert stolen not in forged
    assert "ws1.example" in forged


def test_identities_of_other_names(ca):
    """A directory name is nothing that the configuration could mean."""
    name = x509.DirectoryName(x509.Name([]))
    builder = x509.CertificateBuilder(
        x509.Name([]),
        x509.Name([]),
        ca.own.private_key.public_key(),
        1,
        ca.own.certificate.not_valid_before_utc,
        ca.own.certificate.not_valid_after_utc,
    )
    made = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
    der = made.sign(ca.own.private_key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert len(identities(der)) == 2


def test_identities_of_a_version_that_there_is_not(ca):
    """X.509 ends with version 3, which is encoded as 2; OpenSSL looks at what is signed, not at this."""
    der = ca.issue("tomorrow").der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x04", 1)
    assert identities(der) == {f"sha256:{hashlib.sha256(der).hexdigest()}"}


@pytest.mark.parametrize("der", [b"", b"no certificate", b"\x30\x03\x02\x01\x01"])
def test_identities_of_what_cannot_be_read(der):
    assert identities(der) == {f"sha256:{hashlib.sha256(der).hexdigest()}"}


def test_certificate_with_broken_names(ca):
    """OpenSSL may take it all the same."""
    der = bytearray(ca.issue("odd", ["10.0.0.5"]).der)
    at = der.index(bytes([0x87, 4, 10, 0, 0, 5]))
    der[at] = 0x86  # a URI of the four bytes
    der[at + 2] = 0xFF
    assert len(identities(bytes(der))) == 2


# Failures ------------------------------------------------------------------------------------------


def test_words_for_what_has_none():
    error = ssl.SSLError(1, "something")
    error.reason = "BAD_RECORD_TYPE"
    assert failure(error) == "bad record type"
    error.reason = "TLSV1_ALERT_INTERNAL_ERROR"
    assert failure(error) == "the peer refused with the alert internal_error"
    nameless = ssl.SSLError(1, "[SSL] ASN1 lib (_ssl.c:1006)")
    nameless.reason = None  # type: ignore[assignment]
    assert failure(nameless) == "[ssl] asn1 lib"
