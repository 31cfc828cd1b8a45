"""TLS: the two profiles of PS3.15 annex B as `ssl` contexts, what a certificate goes by, failures in words.

Both profiles are TLS 1.2 and 1.3 with forward secrecy and authenticated encryption, without compression or
renegotiation (RFC 9325 3.3, 3.5). There are no tickets: no session outlives its context, so what a reload
says of certificates holds for the next connection (RFC 9325 3.4). Key exchange groups are OpenSSL's own, none
of them below 256 bits (ECDHE) or 2048 bits (DHE).
"""

from __future__ import annotations

import hashlib
import re
import ssl
from contextlib import suppress
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ulproxy.errors import ConfigError, Problem
from ulproxy.policy.model import AeTls, Config, ListenerTls

# TLS 1.2, strongest first. B.12: those that RFC 9325 4.2 recommends. B.13: all that a server shall support;
# the optional ones with Camellia are not in OpenSSL, those with DHE not to be selected with lengths unset.
CIPHER_SUITES: Final = {
    "bcp195": (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
    ),
    "modified": (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES256-CCM",
        "ECDHE-ECDSA-AES256-CCM8",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-CCM",
        "ECDHE-ECDSA-AES128-CCM8",
    ),
}
# TLS 1.3: `ssl` takes OpenSSL's own, the first three where the machine's configuration says nothing else.
# B.12: those of RFC 8446 that IANA recommends. B.13: all of them.
_RECOMMENDED: Final = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_128_CCM_SHA256",
)
TLS_1_3: Final = {
    "bcp195": _RECOMMENDED,
    "modified": (*_RECOMMENDED, "TLS_AES_128_CCM_8_SHA256"),
}
# Certificates: RSA of 2048 bits or more, SHA-256 or better (B.13; RFC 9325 4.5).
_SECURITY_LEVEL: Final = "@SECLEVEL=2"
_FINGERPRINT: Final = "sha256:"
_LEGACY_SERVER_CONNECT: Final = 0x4  # RFC 9325 3.5: no server without RFC 5746

_ALERT: Final = re.compile(r"ALERT_(\w+)$")
# RFC 8446 6.2, by the names that OpenSSL gives the alerts.
_ALERTS: Final = {
    "BAD_CERTIFICATE": "it does not accept our certificate",
    "CERTIFICATE_EXPIRED": "our certificate is not valid now",
    "CERTIFICATE_REQUIRED": "it asks for a certificate",
    "CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "HANDSHAKE_FAILURE": "no cipher suite in common, or it asks for a certificate",
    "PROTOCOL_VERSION": "it speaks neither TLS 1.2 nor 1.3",
    "UNKNOWN_CA": "it does not trust who signed our certificate",
}
_WHERE: Final = re.compile(r" \(_ssl\.c:\d+\)$")  # nobody's business
_REASONS: Final = {
    "NO_SHARED_CIPHER": "no cipher suite in common",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no signature algorithm in common",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the peer presented no certificate",
    "UNSUPPORTED_PROTOCOL": "the peer speaks neither TLS 1.2 nor 1.3",
    "WRONG_VERSION_NUMBER": "the peer speaks no TLS",
}
# X509_verify_cert_error_string(3) says the same in words that tell nobody what to do.
_UNTRUSTED: Final = {
    18: "it is self-signed, and not in ca",
    19: "the CA that signed it is not in ca",
    20: "the CA that signed it is not in ca",
    21: "the CA that signed it is not in ca",
}


class Contexts:
    """The contexts of one configuration, made when it is loaded: its files are read then, once."""

    def __init__(self, config: Config) -> None:
        """Raises ConfigError where a file cannot be used."""
        self._listening: dict[ListenerTls, ssl.SSLContext] = {}
        self._calling: dict[AeTls, ssl.SSLContext] = {}
        problems = []
        for listener in config.listeners:
            if listener.tls is not None:
                try:
                    self.listening(listener.tls)
                except OSError as error:
                    problems.append(_problem(f"listener[{listener.bind}].tls", error))
        for ae in config.aes:
            if ae.tls is not None:
                try:
                    self.calling(ae.tls)
                except OSError as error:
                    problems.append(_problem(f"ae[{ae.name}].tls", error))
        if problems:
            raise ConfigError(problems)

    def listening(self, tls: ListenerTls) -> ssl.SSLContext:
        """For a listener that says so."""
        if tls not in self._listening:
            self._listening[tls] = listening(tls)
        return self._listening[tls]

    def calling(self, tls: AeTls) -> ssl.SSLContext:
        """For an AE that says so; OSError where an association still goes by a file that is gone."""
        if tls not in self._calling:
            self._calling[tls] = calling(tls)
        return self._calling[tls]


def listening(tls: ListenerTls) -> ssl.SSLContext:
    """A context to accept connections with; raises OSError where a file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context, tls.profile)
    context.num_tickets = 0
    if tls.asks:
        asked = {"optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
        context.verify_mode = asked[tls.client_certificate]
        context.load_verify_locations(tls.ca)
    context.load_cert_chain(tls.certificate, tls.key, password="")
    return context


def calling(tls: AeTls) -> ssl.SSLContext:
    """A context to open connections with; raises OSError where a file cannot be used.

    The peer's certificate must be signed by one in `ca`, or be in it, and bear the host that is called: a
    name or an IP address (RFC 9525; its common name counts where it has no other names).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context, tls.profile)
    if tls.ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(tls.ca)
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key, password="")
    return context


def server_name(host: str) -> str:
    """What the certificate of an endpoint's host must bear: no scope of an address, no dot at the end."""
    return host.partition("%")[0].rstrip(".")


def _restrict(context: ssl.SSLContext, profile: str) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.options &= ~_LEGACY_SERVER_CONNECT
    context.set_ciphers(":".join((*CIPHER_SUITES[profile], _SECURITY_LEVEL)))
    # What is in `ca` is trusted: the certificate of one device, or a CA that another one has signed.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    allowed = {*CIPHER_SUITES[profile], *TLS_1_3[profile]}
    if others := {suite["name"] for suite in context.get_ciphers()} - allowed:
        text = f"{', '.join(sorted(others))} is none of the profile's cipher suites"
        raise OSError(f"{text}; remove it from the configuration of OpenSSL")


def _problem(key: str, error: OSError) -> Problem:
    """What FileChecks does not see: OpenSSL has the last word."""
    text = failure(error) if isinstance(error, ssl.SSLError) else error.strerror or str(error)
    return Problem(0, key, f"cannot be used: {text}; see to its files")


def identities(der: bytes) -> frozenset[str]:
    """What a certificate goes by: "sha256:..." of itself and of its public key, its alternative names.

    Names as `ulproxy.policy.certificates` compares them. What cannot be read of it is left out.
    """
    found = {_fingerprint(der)}
    with suppress(ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        certificate = x509.load_der_x509_certificate(der)
        with suppress(ValueError, UnsupportedAlgorithm):
            form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            found.add(_fingerprint(certificate.public_key().public_bytes(*form)))
        with suppress(
            x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType
        ):
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            texts = filter(None, map(_name, names.value))
            # A URI may look like a fingerprint: whoever chose it is not whose fingerprint it is.
            found.update(text for text in texts if not text.startswith(_FINGERPRINT))
    return frozenset(found)


def _fingerprint(data: bytes) -> str:
    return f"{_FINGERPRINT}{hashlib.sha256(data).hexdigest()}"


def _name(name: x509.GeneralName) -> str | None:
    match name:
        case x509.DNSName():
            return name.value.lower()
        case x509.IPAddress():
            return str(name.value)
        case x509.UniformResourceIdentifier() | x509.RFC822Name():
            return name.value
        case _:
            return None


def failure(error: ssl.SSLError) -> str:
    """What went wrong with TLS, in words for the log."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = _UNTRUSTED.get(error.verify_code, error.verify_message.rstrip("."))
        return f"the peer's certificate is refused: {why}"
    if isinstance(error, ssl.SSLEOFError):
        return "closed without close_notify"
    reason = error.reason or _WHERE.sub("", str(error.args[-1]))
    if alert := _ALERT.search(reason):
        words = f": {_ALERTS[alert[1]]}" if alert[1] in _ALERTS else ""
        return f"the peer refused with the alert {alert[1].lower()}{words}"
    return _REASONS.get(reason, reason.lower().replace("_", " "))
