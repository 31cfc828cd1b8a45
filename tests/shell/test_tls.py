"""Contexts of the two profiles by the book, what a certificate goes by, failures in words."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.end_to_end.peers import ae, border, rule, toml
from tests.pki import (
    DAY,
    FOR_CLIENTS,
    FOR_SERVERS,
    Authority,
    Credentials,
    rsa_key,
    self_signed,
)
from tests.shell.memory import Outcome, shake_hands
from ulproxy.errors import ConfigError
from ulproxy.policy.config import load, parse
from ulproxy.policy.model import AeTls, ListenerTls
from ulproxy.shell.tls import (
    CIPHER_SUITES,
    TLS_1_3,
    Contexts,
    calling,
    failure,
    listening,
    server_name,
)

# PS3.15 B.13, in the order of the standard, by the names of IANA.
B_13_TLS_1_2 = [
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CCM",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
]
# RFC 9325 4.2, which B.12 refers to.
RFC_9325 = [
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
]
PROFILES = ["bcp195", "modified"]


@pytest.fixture(scope="module")
def ca(tmp_path_factory) -> Authority:
    return Authority.new(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def server(ca: Authority) -> Credentials:
    return ca.issue("server")


def accepting(own: Credentials, **more: Any) -> ssl.SSLContext:
    return listening(ListenerTls(certificate=own.pem, key=own.key, **more))


def iana(suite: str) -> str:
    """The name of a TLS 1.2 suite in the standards, by the one that OpenSSL has for it."""
    name = suite.replace("AES128", "AES_128").replace("AES256", "AES_256").replace("CCM8", "CCM_8")
    exchange, authentication, rest = name.replace("-", "_").split("_", 2)
    if rest == "CHACHA20_POLY1305":
        rest += "_SHA256"
    return f"TLS_{exchange}_{authentication}_WITH_{rest}"


# The profiles --------------------------------------------------------------------------------------


def test_suites_are_those_of_the_standards():
    assert [iana(suite) for suite in CIPHER_SUITES["modified"]] == B_13_TLS_1_2
    assert sorted(iana(suite) for suite in CIPHER_SUITES["bcp195"]) == sorted(RFC_9325)


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_but_the_profile(server, profile):
    for context in (accepting(server, profile=profile), calling(AeTls(profile=profile))):
        names = [suite["name"] for suite in context.get_ciphers()]
        assert sorted(set(names) - set(TLS_1_3[profile])) == sorted(CIPHER_SUITES[profile])
        assert set(names) & set(TLS_1_3[profile])
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.maximum_version is ssl.TLSVersion.TLSv1_3
        for option in ("OP_NO_COMPRESSION", "OP_NO_RENEGOTIATION", "OP_NO_TICKET"):
            assert context.options & getattr(ssl, option), option
        assert not context.options & 0x4, "a server without secure renegotiation is not talked to"


def test_a_suite_that_the_machine_adds(monkeypatch, server):
    """OpenSSL's configuration may switch on what the profile does not have."""
    monkeypatch.setitem(TLS_1_3, "bcp195", TLS_1_3["bcp195"][:2])
    with pytest.raises(OSError, match="TLS_AES_128_GCM_SHA256 is none of the profile's"):
        accepting(server)


# Who is trusted ------------------------------------------------------------------------------------


def connected(
    accepting: ssl.SSLContext, calling: ssl.SSLContext, host: str = "127.0.0.1"
) -> Outcome:
    return shake_hands(accepting, calling, host)


def test_both_present_a_certificate(ca, server):
    client = ca.issue("client")
    asking = accepting(server, ca=ca.pem, client_certificate="required")
    with_own = calling(AeTls(ca=ca.pem, certificate=client.pem, key=client.key))
    ends = connected(asking, with_own)
    assert (ends.server_error, ends.client_error) == (None, None)
    assert ends.server.version() == "TLSv1.3"
    assert ends.server.getpeercert(binary_form=True) == client.der
    assert ends.client.getpeercert(binary_form=True) == server.der


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize(
    ("asked", "error"),
    [("none", None), ("optional", None), ("required", "the peer presented no certificate")],
)
def test_client_without_a_certificate(ca, server, asked, error, version):
    more: dict[str, Any] = {} if asked == "none" else {"ca": ca.pem}
    client = calling(AeTls(ca=ca.pem))
    client.maximum_version = ssl.TLSVersion[version]
    ends = connected(accepting(server, client_certificate=asked, **more), client)
    assert ends.server_error == error
    if error is None:
        assert ends.server.getpeercert(binary_form=True) is None
    else:
        assert ends.client_error == (
            "the peer refused with the alert handshake_failure: "
            "no cipher suite in common, or it asks for a certificate"
            if version == "TLSv1_2"
            else "the peer refused with the alert certificate_required: it asks for a certificate"
        )


def wrong(kind: str, ca: Authority, tmp_path: Path) -> Credentials:
    """A certificate of this kind, for localhost."""
    match kind:
        case "expired":
            return ca.issue(kind, valid=(-2 * DAY, -DAY))
        case "not yet valid":
            return ca.issue(kind, valid=(DAY, 2 * DAY))
        case "self-signed":
            return self_signed(tmp_path, kind)
        case "of another CA":
            return Authority.new(tmp_path, "other").issue(kind)
        case "of another CA by the same name":
            return Authority.new(tmp_path, "ca").issue(kind)
        case _:
            usage = FOR_SERVERS if kind == "for servers" else FOR_CLIENTS
            return ca.issue(kind, usage=usage)


REFUSED = "the peer's certificate is refused: "
UNKNOWN_CA = (REFUSED + "the CA that signed it is not in ca", "unknown_ca")
WRONG = {
    "expired": (REFUSED + "certificate has expired", "certificate_expired"),
    "not yet valid": (REFUSED + "certificate is not yet valid", "bad_certificate"),
    "self-signed": (REFUSED + "it is self-signed, and not in ca", "unknown_ca"),
    "of another CA": UNKNOWN_CA,
    "of another CA by the same name": (
        REFUSED + "certificate signature failure",
        "decrypt_error",
    ),
}


@pytest.mark.parametrize("kind", [*WRONG, "for servers"])
def test_certificate_of_the_client_is_refused(ca, server, tmp_path, kind):
    client = wrong(kind, ca, tmp_path)
    why, alert = WRONG.get(kind, (REFUSED + "unsuitable certificate purpose", None))
    asking = accepting(server, ca=ca.pem, client_certificate="optional")
    ends = connected(asking, calling(AeTls(ca=ca.pem, certificate=client.pem, key=client.key)))
    assert ends.server_error == why
    assert ends.client_error is not None
    assert ends.client_error.startswith(f"the peer refused with the alert {alert or ''}")


@pytest.mark.parametrize("kind", [*WRONG, "for clients"])
def test_certificate_of_the_server_is_refused(ca, tmp_path, kind):
    own = wrong(kind, ca, tmp_path)
    why, _ = WRONG.get(kind, (REFUSED + "unsuitable certificate purpose", None))
    ends = connected(accepting(own), calling(AeTls(ca=ca.pem)))
    assert ends.client_error == why
    assert ends.server_error is not None


@pytest.mark.parametrize(
    ("hosts", "called", "error"),
    [
        (["pacs.example"], "pacs.example", None),
        (["pacs.example"], "PACS.Example", None),
        (["*.ward.example"], "pacs.ward.example", None),
        (["10.0.0.5"], "10.0.0.5", None),
        (["fd00::5"], "fd00:0::5", None),
        (["10.0.0.5", "pacs.example"], "pacs.example", None),
        ([], "device.example", None),  # the common name, where there is nothing else
        (["pacs.example"], "10.0.0.5", "IP address mismatch, certificate is not valid for"),
        (["10.0.0.5"], "pacs.example", "Hostname mismatch, certificate is not valid for"),
        (["other.example"], "device.example", "Hostname mismatch, certificate is not valid for"),
    ],
)
def test_the_certificate_bears_the_host_that_is_called(ca, hosts, called, error):
    own = ca.issue("device.example", hosts)
    ends = connected(accepting(own), calling(AeTls(ca=ca.pem)), called)
    if error is None:
        assert ends.client_error is None
    else:
        assert ends.client_error == f"{REFUSED}{error} '{called}'"


def test_a_device_is_trusted_by_its_own_certificate(ca, tmp_path):
    """In `ca`, whoever has signed it."""
    for own in (self_signed(tmp_path, "own"), ca.issue("issued")):
        assert connected(accepting(own), calling(AeTls(ca=own.pem))).client_error is None
        other = self_signed(tmp_path, "other")
        assert connected(accepting(other), calling(AeTls(ca=own.pem))).client_error is not None


def test_without_a_ca_those_of_the_system_are_trusted(monkeypatch, ca, server):
    assert connected(accepting(server), calling(AeTls())).client_error is not None
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.pem))
    assert connected(accepting(server), calling(AeTls())).client_error is None


def test_certificates_with_rsa(ca, tmp_path):
    own, weak = ca.issue("rsa", key=rsa_key()), ca.issue("weak", key=rsa_key(1, 1024))
    assert connected(accepting(own), calling(AeTls(ca=ca.pem))).client_error is None
    with pytest.raises(ssl.SSLError) as caught:
        accepting(weak)
    assert failure(caught.value) == "ee key too small"


@pytest.mark.parametrize(
    ("host", "name"),
    [("pacs.example.", "pacs.example"), ("fe80::1%eth0", "fe80::1"), ("10.0.0.5", "10.0.0.5")],
)
def test_the_name_that_is_asked_for(host, name):
    assert server_name(host) == name


def test_no_session_is_resumed(ca, server):
    """TLS 1.3: no ticket is sent; TLS 1.2: nothing that a later context would take."""
    client = calling(AeTls(ca=ca.pem))
    for version in ("TLSv1_3", "TLSv1_2"):
        client.maximum_version = ssl.TLSVersion[version]
        first = connected(accepting(server), client)
        assert first.client.session is None or not first.client.session.has_ticket
        again = shake_hands(accepting(server), client, "127.0.0.1", first.client.session)
        assert again.client_error is None
        assert not again.client.session_reused


# The contexts of a configuration -------------------------------------------------------------------


def configured(own: Credentials, ca: Authority, **listener: Any) -> dict[str, Any]:
    pacs = ae("PACS", "east", 104, tls={"ca": str(ca.pem)})
    made = border([ae("SCU", "west"), pacs], [rule(["SCU"], ["PACS"])])
    tls = {"certificate": str(own.pem), "key": str(own.key), **listener}
    for one in made["listener"]:
        one["tls"] = tls
    return made


def test_alike_tables_share_a_context(ca, server):
    config = parse(toml(configured(server, ca)))
    contexts = Contexts(config)
    east, west = (one.tls for one in config.listeners)
    assert east
    assert west
    assert contexts.listening(east) is contexts.listening(west)
    to_pacs = config.aes[1].tls
    assert to_pacs
    assert contexts.calling(to_pacs) is contexts.calling(to_pacs)
    assert Contexts(config).calling(to_pacs) is not contexts.calling(to_pacs)


def test_a_table_of_before_a_reload(ca, server):
    """An association that is open still goes by it; its files may be gone."""
    contexts = Contexts(parse(toml(configured(server, ca))))
    assert isinstance(contexts.calling(AeTls()), ssl.SSLContext)
    with pytest.raises(FileNotFoundError):
        contexts.calling(AeTls(ca=Path("/nowhere.pem")))


def test_files_that_openssl_refuses(ca, server, tmp_path):
    """What is wrong beyond what `ulproxy check` looks into."""
    config = configured(server, ca)
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    config["listener"][0]["tls"] = {"certificate": str(broken), "key": str(server.key)}
    config["ae"][1]["tls"] = {"ca": str(tmp_path / "gone.pem")}
    with pytest.raises(ConfigError) as caught:
        Contexts(parse(toml(config)))
    assert [problem.key for problem in caught.value.problems] == [
        "ae[PACS].tls",
        "listener[127.0.0.1:0].tls",
    ]
    assert "cannot be used: No such file or directory; see to its files" in str(caught.value)


def test_encrypted_key_is_not_asked_for_on_the_terminal(ca, server, tmp_path):
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        PrivateFormat,
    )

    secret = BestAvailableEncryption(b"secret")
    key = tmp_path / "encrypted.key"
    key.write_bytes(server.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    with pytest.raises(ssl.SSLError):
        listening(ListenerTls(certificate=server.pem, key=key))


def test_names_of_files_are_those_of_the_configuration(ca, server, tmp_path):
    for name in ("a.pem", "a.key"):
        source = server.pem if name == "a.pem" else server.key
        (tmp_path / name).write_bytes(source.read_bytes())
    config = configured(server, ca)
    for one in config["listener"]:
        one["tls"] = {"certificate": "a.pem", "key": "a.key"}
    (tmp_path / "relay.toml").write_text(toml(config))
    Contexts(load(tmp_path / "relay.toml"))
