"""A certification authority for trying out TLS: a CA of one's own and certificates that it signs (RFC 5280).

RSA, because devices that speak no more than TLS 1.2 often know nothing else.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ulproxy.errors import UlproxyError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

KEY_BITS: Final = 3072  # 128 bits of security (NIST SP 800-57 part 1, table 2)
SKEW: Final = timedelta(days=1)  # clocks of devices are not always right
_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class AuthorityError(UlproxyError):
    """A file that is there, or is not, or is not what it should be; the text is for the user."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, and the files that they are in."""

    certificate: x509.Certificate
    key: PrivateKey
    certificate_file: Path
    key_file: Path


def pair_files(directory: Path, name: str) -> tuple[Path, Path]:
    """Where a certificate and its key are kept."""
    return directory / f"{name}.pem", directory / f"{name}.key"


def make_authority(directory: Path, common_name: str, days: int) -> Pair:
    """Makes `ca.pem` and `ca.key`; raises AuthorityError if one is there, OSError where they cannot be."""
    files = pair_files(directory, "ca")
    _check_free(*files)
    key = _new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        _builder(subject, subject, key, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
    )
    return _stored(Pair(builder.sign(key, hashes.SHA256()), key, *files))


def load_authority(directory: Path) -> Pair | None:
    """What `make_authority` has made; None if there is nothing of it."""
    files = pair_files(directory, "ca")
    missing = [file for file in files if not file.exists()]
    if len(missing) == len(files):
        return None
    if missing:
        raise AuthorityError(f"{missing[0]} is missing; put it back, or move the other one away")
    try:
        certificate = x509.load_pem_x509_certificate(files[0].read_bytes())
        key = load_pem_private_key(files[1].read_bytes(), password=None)
        public = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise AuthorityError(
            f"{files[0]} and {files[1]} are no certificate and key in PEM form without a passphrase"
        ) from None
    if not isinstance(key, PrivateKey) or key.public_key() != public:
        raise AuthorityError(f"{files[1]} is not the key of {files[0]}")
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        raise AuthorityError(f"{files[0]} has expired; move it away with its key and make another")
    return Pair(certificate, key, *files)


def issue(authority: Pair, directory: Path, name: str, hosts: Sequence[str], days: int) -> Pair:
    """Makes NAME.pem and NAME.key, for one that listens on these hosts and that calls others.

    `hosts` are IP addresses and host names; it ends with its CA at the latest. Raises as `make_authority`.
    """
    files = pair_files(directory, name)
    _check_free(*files)
    key = _new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = authority.certificate
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        _builder(subject, issuer.subject, key, days, issuer.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature", "key_encipherment"), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(names, critical=False)
        .add_extension(signed_by, critical=False)
    )
    return _stored(Pair(builder.sign(authority.key, hashes.SHA256()), key, *files))


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    days: int,
    latest: datetime | None = None,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    end = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(end if latest is None else min(end, latest))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*allowed: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in allowed for usage in _USAGES})


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _check_free(*files: Path) -> None:
    for file in files:
        if file.exists():
            raise AuthorityError(f"{file} is there already; move it away or use another name")


def _stored(pair: Pair) -> Pair:
    """Writes both files, or none; nobody but their owner may read the key."""
    private = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = pair.certificate.public_bytes(Encoding.PEM)
    with _made(pair.key_file, private, 0o600), _made(pair.certificate_file, public, 0o644):
        return pair


@contextlib.contextmanager
def _made(file: Path, content: bytes, mode: int) -> Iterator[None]:
    """A file that was not there; gone again if what comes after it fails."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise AuthorityError(f"{file} is there already; move it away or use another name") from None
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise
