"""`ulproxy cert`: what it makes, what it prints, and that it overwrites nothing."""

from __future__ import annotations

import os
import re
import ssl
import stat
import subprocess
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.cli_peers import called, config
from tests.end_to_end.peers import toml
from tests.pki import Authority
from tests.shell.memory import shake_hands
from ulproxy.commands import authority as module
from ulproxy.policy.config import load
from ulproxy.shell.tls import Contexts, identities

DAY = timedelta(days=1)


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    """The working directory; keys are quickly made, but for one test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "_new_key", lambda: ec.generate_private_key(ec.SECP256R1()))
    return tmp_path


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def printed(*arguments: object) -> list[str]:
    result = called("cert", *arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout.splitlines()


def refused(*arguments: object) -> str:
    result = called("cert", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    return result.stderr


# What it makes -------------------------------------------------------------------------------------


def test_keys_that_every_device_takes(tmp_path):
    printed("new", "hosp_a", "--directory", tmp_path)
    for name in ("ca", "hosp_a"):
        key = certificate(tmp_path / f"{name}.pem").public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        assert key.key_size == 3072


def test_openssl_finds_nothing_wrong(here):
    """To the letter of RFC 5280, for both purposes."""
    printed("new", "hosp_a", "--host", "pacs.example")
    for purpose in ("sslserver", "sslclient"):
        strict = ["-x509_strict", "-verify_hostname", "pacs.example", "-purpose", purpose]
        command = ["openssl", "verify", *strict, "-CAfile", "ca.pem", "hosp_a.pem"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_certificate(here):
    hosts = ["10.0.0.5", "fd00:0::5", "PACS.Example"]
    printed("new", "hosp_a", *(part for host in hosts for part in ("--host", host)))
    made, ca = certificate(here / "hosp_a.pem"), certificate(here / "ca.pem")
    assert made.subject.rfc4514_string() == "CN=hosp_a"
    made.verify_directly_issued_by(ca)
    assert identities(made.public_bytes(Encoding.DER)) >= {"10.0.0.5", "fd00::5", "pacs.example"}
    now = datetime.now(UTC)
    assert made.not_valid_before_utc < now - DAY / 2
    assert timedelta(824) < made.not_valid_after_utc - now <= timedelta(825)
    assert timedelta(3649) < ca.not_valid_after_utc - now <= timedelta(3650)
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, True)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.digital_signature) == (True, False)


def test_it_ends_with_its_ca(here):
    printed("ca", "--days", 10, "--name", "Hospital A")
    printed("new", "hosp_a", "--days", 100)
    made, ca = certificate(here / "hosp_a.pem"), certificate(here / "ca.pem")
    assert made.not_valid_after_utc == ca.not_valid_after_utc
    assert made.issuer.rfc4514_string() == "CN=Hospital A"


def test_nobody_else_reads_the_keys(here):
    printed("new", "hosp_a")
    for file in here.iterdir():
        mode = stat.S_IMODE(file.stat().st_mode)
        assert (mode & 0o077 == 0) == (file.suffix == ".key")


def test_one_ca_for_all(here):
    first = printed("new", "hosp_a")
    before = (here / "ca.pem").read_bytes()
    second = printed("new", "hosp_b")
    assert (here / "ca.pem").read_bytes() == before
    assert first[0].startswith("# ca.pem and ca.key: a CA, until ")
    assert re.fullmatch(
        r"# hosp_b\.pem and hosp_b\.key: for 127\.0\.0\.1, localhost, until \d{4}-\d\d-\d\d",
        second[0],
    )


def test_two_relays_with_tls_in_two_commands(here):
    """The lines that are printed stand in a file as they are."""
    lines = {name: printed("new", name) for name in ("hosp_a", "hosp_b")}
    configs = {}
    for name, other in (("hosp_a", "hosp_b"), ("hosp_b", "hosp_a")):
        listener, to = (tomllib.loads(line) for line in lines[name] if line.startswith("tls"))
        bound = next(tomllib.loads(one) for one in lines[other] if one.startswith("certificate"))
        at = {"network": "border", "address": "127.0.0.1:1"}
        text = {
            "relay": {"title": name.upper()},
            "listener": [{"network": "border", "bind": "127.0.0.1:2762", **listener}],
            "ae": [{"title": "P", **at, **to, **bound}],
        }
        (here / f"{name}.toml").write_text(toml(text))
        configs[name] = load(here / f"{name}.toml")
    for name, other in (("hosp_a", "hosp_b"), ("hosp_b", "hosp_a")):
        listening, to_it = configs[other].listeners[0].tls, configs[name].aes[0].tls
        assert listening
        assert to_it
        accepting = Contexts(configs[other]).listening(listening)
        ends = shake_hands(accepting, Contexts(configs[name]).calling(to_it), "127.0.0.1")
        assert (ends.server_error, ends.client_error) == (None, None)
        presented = ends.server.getpeercert(binary_form=True)
        assert presented
        assert configs[other].aes[0].certificate in identities(presented)


def test_from_another_directory(here, monkeypatch):
    """Names of files are relative to the configuration, which lies beside them."""
    (here / "tls").mkdir()
    lines = printed("new", "hosp_a", "--directory", "tls")
    assert lines[0].startswith("# tls/ca.pem and tls/ca.key: ")
    assert 'tls = { ca = "ca.pem", certificate = "hosp_a.pem", key = "hosp_a.key" }' in lines


# What it refuses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["hosp_a.pem", "hosp_a.key"])
def test_nothing_is_overwritten(here, file):
    printed("ca")
    (here / file).write_text("precious")
    assert refused("new", "hosp_a") == (
        f"{file} is there already; move it away or use another name\n"
    )
    assert (here / file).read_text() == "precious"
    assert len(list(here.iterdir())) == 3


def test_the_ca_is_not_overwritten(here):
    printed("ca")
    before = (here / "ca.key").read_bytes()
    assert refused("ca") == "ca.pem is there already; move it away or use another name\n"
    assert (here / "ca.key").read_bytes() == before


@pytest.mark.parametrize("late", ["ca.pem", "ca.key"])
def test_a_file_that_comes_between(here, monkeypatch, late):
    """Whoever is quicker keeps it, and nothing half-made is left."""
    quick = module._new_key

    def slow() -> object:
        (here / late).write_text("quicker")
        return quick()

    monkeypatch.setattr(module, "_new_key", slow)
    assert refused("ca") == f"{late} is there already; move it away or use another name\n"
    assert [(one.name, one.read_text()) for one in here.iterdir()] == [(late, "quicker")]


@pytest.mark.parametrize("missing", ["ca.pem", "ca.key"])
def test_half_a_ca(here, missing):
    printed("ca")
    (here / missing).unlink()
    text = f"{missing} is missing; put it back, or move the other one away\n"
    assert refused("new", "hosp_a") == text
    assert len(list(here.iterdir())) == 1


@pytest.mark.parametrize("broken", ["ca.pem", "ca.key"])
def test_broken_ca(here, broken):
    printed("ca")
    (here / broken).write_text("nonsense")
    assert refused("new", "hosp_a") == (
        "ca.pem and ca.key are no certificate and key in PEM form without a passphrase\n"
    )


def test_key_of_another_ca(here, tmp_path_factory):
    printed("ca")
    other = Authority.new(tmp_path_factory.mktemp("other"))
    (here / "ca.key").write_bytes(other.own.key.read_bytes())
    assert refused("new", "hosp_a") == "ca.key is not the key of ca.pem\n"


def test_ca_that_has_expired(here, monkeypatch):
    monkeypatch.setattr(module, "SKEW", 3 * DAY)
    printed("ca", "--days", 1)
    pem = certificate(here / "ca.pem")

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return pem.not_valid_after_utc

    monkeypatch.setattr(module, "datetime", Later)
    assert refused("new", "hosp_a").startswith("ca.pem has expired; ")


def test_directory_that_cannot_be_written_to(here, monkeypatch):
    def fails(file: Path, *_: object) -> int:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(os, "open", fails)
    assert refused("ca") == "ca.key: Permission denied\n"


@pytest.mark.parametrize("name", ["ca", "", "../a", "a/b", ".a", "-a" * 40, "a" * 64, "ä"])
def test_names_that_are_none(here, name):
    result = called("cert", "new", "--", name)
    assert result.exit_code == 2
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("host", ["", "10.0.0.5:104", "http://pacs", "a b", "300.1.1.1"])
def test_hosts_that_are_none(here, host):
    result = called("cert", "new", "a", "--host", host)
    assert result.exit_code == 2
    assert "is no IP address and no host name" in result.stderr


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb"])
def test_common_names_that_are_none(here, name):
    assert called("cert", "ca", "--name", name).exit_code == 2


# What a certificate goes by ------------------------------------------------------------------------


@pytest.mark.parametrize("form", [Encoding.PEM, Encoding.DER])
def test_show(here, form):
    made = Authority.new(here).issue("ws1", ["ws1.example", "10.0.0.5"])
    file = here / "device.crt"
    file.write_bytes(made.certificate.public_bytes(form))
    lines = printed("show", file)
    assert lines[:2] == ["# subject CN=ws1", "# issuer CN=ca"]
    assert re.fullmatch(r"# valid from \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d", lines[2])
    known_by = [tomllib.loads(line)["certificate"] for line in lines[3:]]
    assert set(known_by) == identities(made.der)
    assert ssl.PEM_cert_to_DER_cert(made.pem.read_text()) == made.der
    assert known_by[0] in identities(made.der) - identities(
        Authority.new(here, "b").issue("b", [], key=made.private_key).der
    )
    assert known_by[2:] == ["10.0.0.5", "ws1.example"]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\n"])
def test_show_what_is_no_certificate(here, content):
    (here / "file").write_bytes(content)
    assert refused("show", "file") == "file: no certificate that can be read\n"


def test_show_a_name_with_control_characters(here):
    made = Authority.new(here).issue("red\x1b[31m")
    lines = printed("show", made.pem)
    assert all(line.isprintable() for line in lines)


def test_show_a_file_that_cannot_be_read(here, monkeypatch):
    (here / "file").write_bytes(b"")

    def fails(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied", "file")

    monkeypatch.setattr(Path, "read_bytes", fails)
    assert refused("show", "file") == "file: Permission denied\n"


# What other commands say of such files ------------------------------------------------------------


def broken_for_openssl(here: Path) -> Path:
    """A file that everything but OpenSSL takes: two pairs, and the relay's title in the system's CAs."""
    printed("new", "hosp_a")
    file = here / "relay.toml"
    tls = 'tls = { certificate = "hosp_a.pem", key = "hosp_a.key" }'
    text = config().replace('bind = "127.0.0.1:0"\n', f'bind = "127.0.0.1:0"\n{tls}\n', 1)
    file.write_text(text)
    return file


@pytest.mark.parametrize("command", ["check", "run"])
def test_what_only_openssl_finds(here, monkeypatch, command):
    from ulproxy.shell import tls

    file = broken_for_openssl(here)
    monkeypatch.setitem(tls.TLS_1_3, "bcp195", ())
    result = called(command, file)
    assert result.exit_code == 2
    output = result.stdout if command == "check" else result.stderr
    assert "listener[127.0.0.1:0].tls: cannot be used: " in output
    assert "is none of the profile's cipher suites" in output


def test_check_takes_what_was_made(here):
    result = called("check", broken_for_openssl(here))
    assert result.exit_code == 0, result.stdout
