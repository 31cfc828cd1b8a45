"""The files that a configuration names: whether they are there, and hold what they are named for.

What would fail when the relay starts or first calls an AE is found when the configuration is read.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ulproxy.policy.checks import Draft
from ulproxy.policy.model import AeTls, ListenerTls
from ulproxy.policy.report import Report
from ulproxy.policy.toml_lines import KeyPath
from ulproxy.policy.values import shown

MIN_RSA_BITS: Final = 2048  # RFC 9325 (BCP 195) 4.5
_PATH_MAX: Final = 4096
_DER: Final = b"\x30\x82"  # a long SEQUENCE, as certificates and keys are


class FileChecks:
    """The checks of the files of one configuration; each file is read once, however often it is named."""

    def __init__(self, report: Report, now: datetime | None = None) -> None:
        self._report = report
        self._now = now or datetime.now(UTC)
        self._contents: dict[Path, bytes | str] = {}

    def check(self, draft: Draft) -> None:
        """Report what is wrong with the files that a draft names."""
        for index, listener in draft.listeners.items():
            self._check_tls(("listener", index, "tls"), listener.tls)
        for index, ae in draft.aes.items():
            self._check_tls(("ae", index, "tls"), ae.tls)
        if draft.relay is not None:
            self._check_place(("relay", "state"), draft.relay.state)
        if draft.audit is not None:
            self._check_place(("audit", "file"), draft.audit.file)
            self._check_tls(("audit", "tls"), draft.audit.tls)

    def _check_tls(self, path: KeyPath, tls: ListenerTls | AeTls | None) -> None:
        if tls is None:
            return
        if tls.ca is not None:
            self._certificates((*path, "ca"), tls.ca)
        if tls.certificate is None or tls.key is None:
            return
        certificates = self._certificates((*path, "certificate"), tls.certificate)
        key = self._public_key((*path, "key"), tls.key)
        if not certificates or key is None:
            return
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
            text = (
                f"has {key.key_size} bits; write one of an RSA key of {MIN_RSA_BITS} bits or more"
            )
            self._report.problem((*path, "key"), text)
        if (own := _key_of(certificates[0])) is not None and own != key:
            self._report.problem(
                (*path, "key"),
                f"is not the key of the first certificate in {_named(tls.certificate)}; write the "
                "one that it was made for",
            )

    def _check_place(self, path: KeyPath, file: Path | None) -> None:
        """A file that will be made where it is not there."""
        if file is None:
            return
        if file.is_dir():
            self._report.problem(path, f"{_named(file)} is a directory; write a file name")
        elif not file.parent.is_dir():
            text = f"there is no directory {_named(file.parent)}; make it or write another one"
            self._report.problem(path, text)

    def _certificates(self, path: KeyPath, file: Path) -> list[x509.Certificate]:
        """What is in a file of certificates; nothing where it has been reported as faulty."""
        content = self._content(path, file)
        try:
            found = x509.load_pem_x509_certificates(content) if content else []
        except ValueError:
            found = []
            self._report.problem(path, _no_pem(file, content, "certificate"))
        self._note_dates(path, found)
        return found

    def _public_key(self, path: KeyPath, file: Path) -> PublicKeyTypes | None:
        """The public half of a private key; None where that cannot be told."""
        content = self._content(path, file)
        if not content:
            return None
        try:
            # Whether an RSA key's primes are such takes a third of a second, and OpenSSL does not ask.
            key = load_pem_private_key(content, password=None, unsafe_skip_rsa_key_validation=True)
            return key.public_key()
        except TypeError:
            text = f"{_named(file)} is encrypted; write the name of a key without a passphrase"
            self._report.problem(path, text)
        except ValueError:
            self._report.problem(path, _no_pem(file, content, "private key"))
        except UnsupportedAlgorithm:  # OpenSSL may know more than cryptography
            pass
        return None

    def _content(self, path: KeyPath, file: Path) -> bytes:
        """The bytes of a file; none where it cannot be read, which is reported."""
        if file not in self._contents:
            try:
                self._contents[file] = file.read_bytes() or "it is empty"
            except OSError as error:
                self._contents[file] = str(error.strerror)
        content = self._contents[file]
        if isinstance(content, bytes):
            return content
        self._report.problem(
            path,
            f"{_named(file)} cannot be read: {content}; file names are relative to the directory "
            "of the configuration",
        )
        return b""

    def _note_dates(self, path: KeyPath, certificates: list[x509.Certificate]) -> None:
        for one in certificates:
            if one.not_valid_after_utc < self._now:
                self._report.note(path, f"has expired on {one.not_valid_after_utc:%Y-%m-%d}")
            elif one.not_valid_before_utc > self._now:
                begin = one.not_valid_before_utc
                self._report.note(path, f"is valid only from {begin:%Y-%m-%d %H:%M} UTC on")


def _no_pem(file: Path, content: bytes, what: str) -> str:
    if content.startswith(_DER):
        return f'{_named(file)} is in DER form; convert it to PEM with "openssl"'
    right = f"-----BEGIN {what.upper()}-----"
    return f'{_named(file)} has no whole {what} in PEM form; name a file with "{right}" in it'


def _named(file: Path) -> str:
    return shown(str(file), _PATH_MAX)


def _key_of(certificate: x509.Certificate) -> PublicKeyTypes | None:
    """None where cryptography does not know such keys."""
    try:
        return certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return None
