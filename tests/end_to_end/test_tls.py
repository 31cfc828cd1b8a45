"""TLS with DCMTK and pynetdicom on both sides, who is refused, and what is spoken on the wrong port."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import build_context, evt
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from tests.end_to_end.files import digest, digests, samples
from tests.end_to_end.peers import (
    Program,
    Relay,
    ae,
    border,
    free_port,
    program,
    relay,
    rule,
    run_tool,
    storescp,
    wait_until,
)
from tests.end_to_end.pynet import NO_DELAY, Stored, entity, record_into
from tests.pki import DAY, Authority, Credentials, rsa_key, self_signed

pytestmark = pytest.mark.xdist_group("tls")

FILES = [sample.path for sample in samples()][:6]
# DCMTK 3.6.7: only its "extended" profile has no TLS 1.3.
DCMTK = {"TLSv1.2": ["+pz"], "TLSv1.3": []}
RELEASED = "released, asked by the inbound end"
VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


@dataclass
class Certificates:
    """One CA, and a certificate of it for everyone; RSA, because DCMTK's profiles want it with TLS 1.2."""

    ca: Authority
    relay: Credentials
    scu: Credentials
    pacs: Credentials

    def table(self, own: Credentials, **more: str) -> dict[str, str]:
        return {
            "certificate": str(own.pem),
            "key": str(own.key),
            "ca": str(self.ca.pem),
            **more,
        }

    def dcmtk(self, own: Credentials) -> list[str | Path]:
        return ["+tls", own.key, own.pem, "+cf", self.ca.pem]

    def context(self, own: Credentials, version: str, *, server: bool) -> ssl.SSLContext:
        protocol = ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT
        context = ssl.SSLContext(protocol)
        context.load_cert_chain(own.pem, own.key)
        context.load_verify_locations(self.ca.pem)
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = context.maximum_version = VERSIONS[version]
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    ca = Authority.new(tmp_path_factory.mktemp("pki"))
    return Certificates(ca, *(ca.issue(name, key=rsa_key()) for name in ("relay", "scu", "pacs")))


@dataclass
class Border:
    """SCU on west over TLS, PACS on east; west also has a plain port, as another network."""

    through: Relay
    pacs: int

    @property
    def port(self) -> int:
        return self.through.ports["west"]

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self.through.program.log().splitlines())
        return [line for line in lines if line["event"] == event]

    def line(self, event: str) -> dict[str, Any]:
        """The next one of an event, which comes soon; it counts as seen."""
        seen = self.__dict__.setdefault(event, 0)
        wait_until(lambda: len(self.lines(event)) > seen, f"{event} is logged")
        lines = self.lines(event)[seen:]
        self.__dict__[event] += len(lines)
        (line,) = lines
        return line


@contextlib.contextmanager
def running(certificates: Certificates, directory: Path, pacs: int, **scu: Any) -> Iterator[Border]:
    made = border(
        [
            ae("SCU", "west", **scu),
            ae("PACS", "east", pacs, alias="FAR_PACS", tls=certificates.table(certificates.relay)),
            ae("SCU", "plain", alias="PLAIN_SCU", name="plain"),
        ],
        [rule(["SCU", "plain"], ["PACS"])],
        limits={"artim": 2.0},  # a browser waits for the end of what it does not understand
    )
    (west,) = (one for one in made["listener"] if one["network"] == "west")
    west["tls"] = certificates.table(certificates.relay, client_certificate="required")
    with relay(made, directory, "--log-format", "json") as through:
        yield Border(through, pacs)


@contextlib.contextmanager
def tls_storescp(
    certificates: Certificates, version: str, received: Path, directory: Path
) -> Iterator[int]:
    port = free_port()
    received.mkdir()
    options = [*certificates.dcmtk(certificates.pacs), *DCMTK[version], "+B", "+xa"]
    command: list[str | Path] = ["storescp", *options, "-od", received, str(port)]
    with program(command, directory) as started:
        wait_until(lambda: started.listens_on(port), "storescp listens")
        yield port


def storescu(
    border: Border, *options: str | Path, port: int | None = None
) -> subprocess.CompletedProcess[str]:
    titles = ("-aet", "SCU", "-aec", "FAR_PACS")
    where = ("127.0.0.1", str(port or border.port))
    return run_tool("storescu", *titles, *options, *where, *FILES, cwd=FILES[0].parent)


# DCMTK and pynetdicom ------------------------------------------------------------------------------


@pytest.mark.parametrize("onward", DCMTK)
@pytest.mark.parametrize("inbound", DCMTK)
def test_dcmtk(certificates, tmp_path, inbound, onward):
    received = tmp_path / "received"
    with (
        tls_storescp(certificates, onward, received, tmp_path) as pacs,
        running(certificates, tmp_path, pacs) as border,
    ):
        done = storescu(border, *certificates.dcmtk(certificates.scu), *DCMTK[inbound])
        assert done.returncode == 0, done.stderr
        assert border.line("association established")["tls"].startswith(f"{inbound} ")
        assert border.line("association ended")["outcome"] == RELEASED
    assert digests(received) == sorted(
        digest(sample.data) for sample in samples() if sample.path in FILES
    )


@contextlib.contextmanager
def pynetdicom_scp(context: ssl.SSLContext, stored: list[Stored]) -> Iterator[int]:
    made = entity("PACS")
    made.add_supported_context(Verification)
    made.add_supported_context(CTImageStorage)
    handlers: list[Any] = [NO_DELAY, (evt.EVT_C_STORE, record_into(stored))]
    server: Any = made.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=context
    )
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


@pytest.mark.parametrize("onward", VERSIONS)
@pytest.mark.parametrize("inbound", VERSIONS)
def test_pynetdicom(certificates, tmp_path, inbound, onward):
    """Small messages and a large one, so that reads and records do not fit each other."""
    stored: list[Stored] = []
    server = certificates.context(certificates.pacs, onward, server=True)
    client = certificates.context(certificates.scu, inbound, server=False)
    with (
        pynetdicom_scp(server, stored) as pacs,
        running(certificates, tmp_path, pacs) as border,
    ):
        contexts = [build_context(Verification), build_context(CTImageStorage)]
        association = entity("SCU").associate(
            "127.0.0.1",
            border.port,
            contexts=contexts,
            ae_title="FAR_PACS",
            tls_args=(client, "127.0.0.1"),
        )
        assert association.is_established
        assert border.line("association established")["tls"].startswith(f"{inbound} ")
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, "1.2.3"
        image.add_new("PixelData", "OW", bytes(range(256)) * 20_000)
        for _ in range(3):
            assert association.send_c_echo().Status == 0
            assert association.send_c_store(image).Status == 0
        association.release()
        assert border.line("association ended")["outcome"] == RELEASED
    assert len({one.digest for one in stored}) == 1
    assert len(stored) == 3


# Refused in the handshake --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(certificates, tmp_path_factory) -> Iterator[tuple[Border, Program]]:
    """A relay whose PACS must never be called; it would say so."""
    directory = tmp_path_factory.mktemp("guarded")
    port = free_port()
    command: list[str | Path] = ["storescp", "-v", "+B", str(port)]
    with (
        program(command, directory) as pacs,
        running(certificates, directory, port) as border,
    ):
        wait_until(lambda: pacs.listens_on(port), "storescp listens")
        wait_until(lambda: "Association" in pacs.log(), "it has said that it was called just now")
        yield border, pacs


@pytest.fixture
def guard(guarded) -> Iterator[Border]:
    border, pacs = guarded
    before = pacs.log()
    yield border
    assert pacs.log() == before, "the PACS has been called"


def bad(kind: str, certificates: Certificates, directory: Path) -> list[str | Path]:
    """What DCMTK is told to present."""
    ca = certificates.ca
    match kind:
        case "expired":
            own = ca.issue("expired", valid=(-2 * DAY, -DAY))
        case "of another CA":
            own = Authority.new(directory, "another").issue("of another CA")
        case "self-signed":
            own = self_signed(directory, "self-signed")
        case _:
            return ["+tla", "+cf", ca.pem]
    return certificates.dcmtk(own)


REFUSED = {
    "no certificate": "the peer presented no certificate",
    "expired": "the peer's certificate is refused: certificate has expired",
    "of another CA": "the peer's certificate is refused: the CA that signed it is not in ca",
    "self-signed": "the peer's certificate is refused: it is self-signed, and not in ca",
}


@pytest.mark.parametrize("version", DCMTK)
@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_the_handshake(certificates, guard, tmp_path, kind, version):
    done = storescu(guard, *bad(kind, certificates, tmp_path), *DCMTK[version])
    assert done.returncode != 0
    line = guard.line("connection ended")
    assert line["outcome"] == f"no TLS session: {REFUSED[kind]}"
    assert line["level"] == "warning"


def test_certificate_of_somebody_else(certificates, tmp_path):
    """Of the right CA; the AE is bound to another one."""
    bound = "sha256:" + "0" * 64
    with running(certificates, tmp_path, free_port(), certificate=bound) as border:
        done = storescu(border, *certificates.dcmtk(certificates.scu))
        assert done.returncode != 0
        line = border.line("association rejected")
        assert line["answer"] == [1, 1, 3]
        assert line["tls"].startswith("TLSv1.3 ")


# The wrong port ------------------------------------------------------------------------------------


def test_plain_dicom_on_a_tls_port(guard):
    assert storescu(guard).returncode != 0
    text = "no TLS session: plain DICOM on a TLS port"
    assert guard.line("connection ended")["outcome"] == text


def test_tls_on_a_plain_port(certificates, guard):
    port = guard.through.ports["plain"]
    done = storescu(guard, *certificates.dcmtk(certificates.scu), port=port)
    assert done.returncode != 0
    outcome = guard.line("connection ended")["outcome"]
    assert outcome.startswith("no A-ASSOCIATE-RQ: TLS on a plain port: ")


@pytest.mark.parametrize("network", ["west", "plain"])
def test_a_browser(guard, network):
    client = http.client.HTTPConnection("127.0.0.1", guard.through.ports[network], timeout=20)
    client.request("GET", "/")
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        client.getresponse()
    client.close()
    outcome = guard.line("connection ended")["outcome"]
    expected = "no TLS session: HTTP on" if network == "west" else "no A-ASSOCIATE-RQ: HTTP: "
    assert outcome.startswith(expected)


@pytest.mark.parametrize("network", ["west", "plain"])
def test_ssh(guard, network, tmp_path):
    port = str(guard.through.ports[network])
    options = ("-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null")
    done = run_tool("ssh", *options, "-p", port, "127.0.0.1", "true", cwd=tmp_path)
    assert done.returncode != 0
    outcome = guard.line("connection ended")["outcome"]
    expected = "no TLS session: SSH on" if network == "west" else "no A-ASSOCIATE-RQ: SSH: "
    assert outcome.startswith(expected)


# Two relays ----------------------------------------------------------------------------------------


def printed(directory: Path, name: str) -> list[dict[str, Any]]:
    """What `ulproxy cert new` prints to be pasted: for a listener, for an AE, and the certificate."""
    command = (sys.executable, "-m", "ulproxy", "cert", "new", name)
    done = run_tool(*command, cwd=directory)
    assert done.returncode == 0, done.stderr
    return [line for line in map(tomllib.loads, done.stdout.splitlines()) if line]


def test_two_relays_by_ulproxy_cert(tmp_path):
    """Two commands, and what they print: plain inside, TLS between."""
    _, call_b, is_a = printed(tmp_path, "hosp_a")
    listen_b, _, is_b = printed(tmp_path, "hosp_b")
    pacs, received = free_port(), tmp_path / "received"
    aes = [ae("HOSP_A", "border", alias="A", **is_a), ae("PACS", "inside", pacs, alias="HB_PACS")]
    b = border(aes, [rule(["HOSP_A"], ["PACS"])], relay={"title": "HOSP_B"})
    b["listener"][0].update(listen_b)
    with contextlib.ExitStack() as stack:
        stack.enter_context(storescp(pacs, received, tmp_path, nodelay=True))
        far = stack.enter_context(relay(b, tmp_path, "--log-format", "json"))
        to_b = {**call_b, **is_b, "alias": "FAR_PACS"}
        aes = [ae("SCU", "inside"), ae("HB_PACS", "border", far.ports["border"], **to_b)]
        a = border(aes, [rule(["SCU"], ["HB_PACS"])], relay={"title": "HOSP_A"})
        near = stack.enter_context(relay(a, tmp_path))
        done = storescu(Border(near, pacs), port=near.ports["inside"])
        assert done.returncode == 0, done.stderr
        established = Border(far, pacs).line("association established")
        assert established["tls"].startswith("TLSv1.3 ")
        assert established["network"] == "border"
    assert len(digests(received)) == len(FILES)
