"""A certification authority for tests: certificates that are right, and wrong in one way each.

It shares nothing with `ulproxy cert`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
DAY = timedelta(days=1)
LOCALHOST = ("127.0.0.1", "localhost")


def ec_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> Key:
    """Made once, because that takes long."""
    return rsa.generate_private_key(65537, bits)


def general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if "@" in text:
        return x509.RFC822Name(text)
    return x509.UniformResourceIdentifier(text) if ":" in text else x509.DNSName(text)


@dataclass(frozen=True)
class Credentials:
    """A certificate and its key, with their files."""

    certificate: x509.Certificate
    private_key: Key
    pem: Path
    key: Path

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True)
class Authority:
    """Who signs; `files` = where to put what it makes."""

    files: Path
    name: str
    own: Credentials

    @classmethod
    def new(cls, files: Path, name: str = "ca", parent: Authority | None = None) -> Authority:
        key = ec_key()
        extension = x509.BasicConstraints(ca=True, path_length=None)
        made = _certificate(name, key, parent, [], (-DAY, 365 * DAY), [extension])
        return cls(files, name, _stored(files, name, made, key))

    @property
    def pem(self) -> Path:
        return self.own.pem

    def issue(
        self,
        name: str,
        hosts: Sequence[str] = LOCALHOST,
        valid: tuple[timedelta, timedelta] = (-DAY, 30 * DAY),
        key: Key | None = None,
        usage: Sequence[x509.ObjectIdentifier] = (),
    ) -> Credentials:
        """A certificate for these hosts, valid from and to so long from now; `usage` is the extended one."""
        key = key or ec_key()
        extensions: list[x509.ExtensionType] = [x509.BasicConstraints(ca=False, path_length=None)]
        if usage:
            extensions.append(x509.ExtendedKeyUsage(usage))
        made = _certificate(name, key, self, hosts, valid, extensions)
        return _stored(self.files, name, made, key)


def self_signed(files: Path, name: str, hosts: Sequence[str] = LOCALHOST) -> Credentials:
    key = ec_key()
    return _stored(files, name, _certificate(name, key, None, hosts, (-DAY, 30 * DAY), []), key)


FOR_SERVERS = [ExtendedKeyUsageOID.SERVER_AUTH]
FOR_CLIENTS = [ExtendedKeyUsageOID.CLIENT_AUTH]


def _certificate(
    name: str,
    key: Key,
    issuer: Authority | None,
    hosts: Sequence[str],
    valid: tuple[timedelta, timedelta],
    extensions: Sequence[x509.ExtensionType],
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.own.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + valid[0])
        .not_valid_after(now + valid[1])
    )
    if hosts:
        names = x509.SubjectAlternativeName([general_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(issuer.own.private_key if issuer else key, hashes.SHA256())


def _stored(files: Path, name: str, certificate: x509.Certificate, key: Key) -> Credentials:
    pem, key_file = files / f"{name}.pem", files / f"{name}.key"
    pem.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Credentials(certificate, key, pem, key_file)
