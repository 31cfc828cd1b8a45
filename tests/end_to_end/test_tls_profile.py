"""What `openssl s_client` finds at a TLS port: the profile of PS3.15 B.12 or B.13, and nothing else."""

from __future__ import annotations

import re
import select
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import pytest

from tests.end_to_end.peers import ae, border, relay
from tests.end_to_end.wire import (
    VERIFICATION,
    Context,
    associate_rq,
    message,
)
from tests.pki import LOCALHOST, Authority, rsa_key

pytestmark = pytest.mark.xdist_group("tls")

GCM = ["AES256-GCM-SHA384", "AES128-GCM-SHA256"]
B_12 = {f"ECDHE-{key}-{suite}" for key in ("RSA", "ECDSA") for suite in GCM}
B_13 = B_12 | {
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-CCM",
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES256-CCM8",
    "ECDHE-ECDSA-AES128-CCM8",
}
PROFILES = {"bcp195": B_12, "modified": B_13}
TLS_1_3 = {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"}
WEAK_GROUPS = ["P-224", "P-192", "sect163k1", "secp224k1"]


def openssl(*arguments: str) -> str:
    """What it prints; `s_client` ends with its input, of which there is none."""
    command = ["openssl", *arguments]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=60, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


def suites(version: str) -> set[str]:
    """All that this machine's OpenSSL has for a version, the worst included."""
    everything = ["-s", f"-{version}", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    return set(openssl("ciphers", *everything).strip().split(":"))


@dataclass
class Port:
    """A TLS listener: its profile and the kind of key that it has."""

    number: int
    profile: str
    key: str

    def connect(self, *options: str) -> str:
        return openssl("s_client", "-connect", f"127.0.0.1:{self.number}", *options)

    def suite(self, *options: str) -> str | None:
        """Which one is agreed on; None = there is no TLS with these options."""
        found = re.search(r"^New, \S+, Cipher is (\S+)", self.connect(*options), re.MULTILINE)
        assert found
        return None if found[1] == "(NONE)" else found[1]


@pytest.fixture(scope="module")
def ports(tmp_path_factory) -> Iterator[dict[tuple[str, str], Port]]:
    directory = tmp_path_factory.mktemp("profiles")
    ca = Authority.new(directory)
    own = {"rsa": ca.issue("rsa", key=rsa_key()), "ecdsa": ca.issue("ecdsa", LOCALHOST)}
    kinds = [(profile, key) for profile in PROFILES for key in own]
    made = border([ae("SCU", "-".join(kind), name="-".join(kind)) for kind in kinds], [])
    for listener in made["listener"]:
        profile, _, key = listener["network"].partition("-")
        files = {"certificate": str(own[key].pem), "key": str(own[key].key)}
        listener["tls"] = {**files, "profile": profile}
    with relay(made, directory) as running:
        yield {kind: Port(running.ports["-".join(kind)], *kind) for kind in kinds}


@pytest.fixture(params=PROFILES)
def profile(request) -> str:
    return str(request.param)


@pytest.fixture(params=["rsa", "ecdsa"])
def port(request, ports, profile) -> Port:
    made: Port = ports[profile, request.param]
    return made


@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_nothing_below_tls_1_2(port, version):
    """The client would: it lowers its own security level for it."""
    legacy = ("-cipher", "ALL:@SECLEVEL=0", f"-{version}")
    assert port.suite(*legacy) is None
    assert "alert protocol version" in port.connect(*legacy)


def test_no_suite_outside_the_profile(port):
    outside = suites("tls1_2") - PROFILES[port.profile] - TLS_1_3
    assert len(outside) > 60
    offered = ":".join([*sorted(outside), "@SECLEVEL=0"])
    assert port.suite("-tls1_2", "-cipher", offered) is None
    assert "alert handshake failure" in port.connect("-tls1_2", "-cipher", offered)


def test_every_suite_of_the_profile(port):
    """Those that go with the key; CCM8 only where OpenSSL counts it as strong enough."""
    for suite in sorted(PROFILES[port.profile]):
        if f"-{port.key.upper()}-" in suite:
            got = port.suite("-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")
            assert got == suite or (got is None and suite.endswith("CCM8"))


def test_suites_of_tls_1_3(port):
    for suite in sorted(TLS_1_3):
        assert port.suite("-tls1_3", "-ciphersuites", suite) == suite
    outside = "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"
    assert port.suite("-tls1_3", "-ciphersuites", outside) is None


def test_tls_1_3_is_preferred(port):
    assert "New, TLSv1.3, " in port.connect()


@pytest.mark.parametrize("group", WEAK_GROUPS)
def test_no_weak_group(port, group):
    """B.13: 256 bits or more."""
    assert port.suite("-tls1_2", "-groups", "P-256") is not None
    said = port.connect("-tls1_2", "-groups", group, "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in said or "SSL_CONF_cmd(-groups" in said  # OpenSSL may not have it


def test_no_compression_and_secure_renegotiation(port):
    said = port.connect("-tls1_2", "-comp")
    assert "Compression: NONE" in said
    assert "Secure Renegotiation IS supported" in said


def test_no_ticket(port):
    assert "TLS session ticket:" not in port.connect("-tls1_2")
    assert "Post-Handshake New Session Ticket" not in port.connect("-tls1_3")


class Client:
    """`openssl s_client` that goes on, with commands of its own: R renegotiates, K updates the keys."""

    def __init__(self, port: Port, *options: str) -> None:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port.number}", *options]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, bufsize=0, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT
        )
        self._said = b""

    def __enter__(self) -> Self:
        self.until(b"Verify return code: ")
        self.until(b"---\n")
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()
        self._process.wait(20)

    def until(self, expected: bytes) -> None:
        """Wait until it has said this; what it has said so far is forgotten."""
        assert self._process.stdout
        while expected not in self._said:
            assert select.select([self._process.stdout], [], [], 20)[0], self._said
            more = self._process.stdout.read(1 << 16)
            assert more, self._said
            self._said += more
        self._said = self._said.partition(expected)[2]

    def say(self, data: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(data)


REQUEST = associate_rq([Context(1, VERIFICATION)], called="RELAY", calling="SCU")
ECHO = message(1, {2: VERIFICATION, 0x100: 0x30, 0x110: 1})
ECHOED = message(1, {2: VERIFICATION, 0x100: 0x8030, 0x120: 1, 0x900: 0})


def test_no_renegotiation(port):
    """RFC 9325 3.5: asked for by the client, it is refused."""
    with Client(port, "-tls1_2") as client:
        client.say(b"R\n")
        client.until(b"no renegotiation")


def test_keys_are_updated(port):
    """RFC 8446 4.6.3: before, within and after an association, asking for ours too."""
    with Client(port, "-tls1_3") as client:
        client.say(b"K\n")
        client.until(b"KEYUPDATE")
        client.say(REQUEST)
        client.until(b"1.2.840.10008.3.1.1.1")
        for _ in range(3):
            client.say(b"K\n")
            client.until(b"KEYUPDATE")
            client.say(ECHO)
            client.until(ECHOED[-10:])
