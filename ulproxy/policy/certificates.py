"""By what an AE's certificate is known in the file: a fingerprint, or a name that the certificate bears.

Like values.py: from what the file says to what is compared, or a ValueError that says what would be right.
"""

from __future__ import annotations

import re
from typing import Final

from ulproxy.policy.endpoints import host_of

_FINGERPRINT: Final = re.compile("sha256:([0-9a-f]{64})")
_URI: Final = re.compile(r"(?:urn:|[A-Za-z][A-Za-z0-9+.-]*://)\S+")
_MAIL: Final = re.compile(r"[^\s@]+@[^\s@]+")
_WILDCARD: Final = "*."


def certificate(text: str) -> str:
    """The SHA-256 of a certificate or its public key, or a subject alternative name (RFC 5280 4.2.1.6).

    As it is compared: host names in lower case, IP addresses in their shortest form, URIs and mail
    addresses letter by letter.
    """
    text = text.strip()
    if text.lower().startswith("sha256:"):
        return fingerprint(text)
    wildcard = _WILDCARD if text.startswith(_WILDCARD) else ""
    if (host := host_of(text.removeprefix(wildcard))) is not None:
        return wildcard + host.rstrip(".")
    if text.isprintable() and (_URI.fullmatch(text) or _MAIL.fullmatch(text)):
        return text
    raise ValueError(
        'is no fingerprint and no name of a certificate; write "sha256:" and 64 hexadecimal digits, '
        'or a subject alternative name such as "ws1.example"'
    )


def fingerprint(text: str) -> str:
    """The SHA-256 of the DER form; colons are how OpenSSL prints it."""
    prefix, _, digits = text.strip().lower().partition(":")
    match = _FINGERPRINT.fullmatch(f"{prefix}:{digits.replace(':', '')}")
    if match is None:
        raise ValueError('is no fingerprint; write "sha256:" and 64 hexadecimal digits')
    return match[0]
