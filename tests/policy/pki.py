"""Keys and certificates for tests, made where they are needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

# On a curve that OpenSSL knows and cryptography does not (secp112r1), valid in 2026.
UNKNOWN_CURVE = b"""\
-----BEGIN CERTIFICATE-----
MIIBIDCB7KADAgECAhRRnZDWzwql3ER6vgU4KWCoHTqU/TAKBggqhkjOPQQDAjAM
MQowCAYDVQQDDAF4MB4XDTI2MTEyNDExNTU0N1oXDTI2MTEyNTExNTU0N1owDDEK
MAgGA1UEAwwBeDAyMBAGByqGSM49AgEGBSuBBAAGAx4ABJ7pBMVULNRhuir+pObR
zXXdK0C7C1pr831HNCmjUzBRMB0GA1UdDgQWBBSjKq2kbYXd43i1jSmIl/Z+P27z
NDAfBgNVHSMEGDAWgBSjKq2kbYXd43i1jSmIl/Z+P27zNDAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCAyMAMCACDk+6+MNWQZde+G2pw5WnAg42NXF70f/gTk5B
r7vd3A==
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
ME4CAQAwEAYHKoZIzj0CAQYFK4EEAAYENzA1AgEBBA4Qkfn52NjyOZm3Qk1k1aEg
Ax4ABJ7pBMVULNRhuir+pObRzXXdK0C7C1pr831HNCk=
-----END PRIVATE KEY-----
"""


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    key: Key, begin: datetime = NOW - DAY, end: datetime = NOW + DAY, form: Encoding = Encoding.PEM
) -> bytes:
    """Self-signed, as bytes of a file."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(form)


def private(key: Key, passphrase: bytes = b"", form: Encoding = Encoding.PEM) -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(form, PrivateFormat.PKCS8, encryption)


def write_pair(directory: Path, name: str = "a", key: Key | None = None) -> None:
    """NAME.pem and NAME.key, valid now."""
    key = key or new_key()
    now = datetime.now(UTC)
    (directory / f"{name}.pem").write_bytes(certificate(key, now - DAY, now + DAY))
    (directory / f"{name}.key").write_bytes(private(key))
