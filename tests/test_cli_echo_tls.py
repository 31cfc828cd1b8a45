"""`ulproxy echo` over TLS, as the relay would call the AE: pynetdicom's server, and what is no TLS."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE

from tests.cli_peers import called, config
from tests.pki import DAY, Authority, Credentials, self_signed


@pytest.fixture(scope="module")
def ca(tmp_path_factory) -> Authority:
    return Authority.new(tmp_path_factory.mktemp("pki"))


@contextlib.contextmanager
def scp(own: Credentials, ca: Authority | None = None) -> Iterator[int]:
    """A Verification SCP; with a `ca`, callers need a certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.pem, own.key)
    if ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ca.pem)
    entity = AE(ae_title="PACS")
    entity.add_supported_context("1.2.840.10008.1.1")
    server: Any = entity.start_server(("127.0.0.1", 0), block=False, ssl_context=context)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Somebody who is called once."""

    def serve() -> None:
        with listening.accept()[0] as sock, contextlib.suppress(OSError):
            answer(sock)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


def echo(directory: Path, port: int, **tls: Path) -> tuple[int, str]:
    """Exit code, and what is said behind where the AE is."""
    table = ", ".join(f"{key} = {json.dumps(str(file))}" for key, file in tls.items())
    file = directory / "relay.toml"
    file.write_text(config(pacs=port, connect=2.0, more=f"tls = {{ {table} }}"))
    result = called("echo", file, "pacs_b")
    where = f"pacs_b (PACS at 127.0.0.1:{port}), called as HOSP_A: "
    assert result.output.startswith(where)
    return result.exit_code, result.output.removeprefix(where).rstrip("\n")


@pytest.mark.parametrize("both", [False, True])
def test_answered(tmp_path, ca, both):
    own = ca.issue("relay")
    with scp(ca.issue("pacs"), ca if both else None) as port:
        more = {"certificate": own.pem, "key": own.key} if both else {}
        code, text = echo(tmp_path, port, ca=ca.pem, **more)
    assert re.fullmatch(r"C-ECHO status 0000H in \d+ ms", text)
    assert code == 0


def test_certificate_that_is_refused(tmp_path, ca):
    wrong = {
        "certificate has expired": ca.issue("old", valid=(-2 * DAY, -DAY)),
        "it is self-signed, and not in ca": self_signed(tmp_path, "self-signed"),
        "IP address mismatch, certificate is not valid for '127.0.0.1'": ca.issue("b", ["b.c"]),
    }
    for why, own in wrong.items():
        with scp(own) as port:
            text = f"127.0.0.1:{port}: the peer's certificate is refused: {why}"
            assert echo(tmp_path, port, ca=ca.pem) == (1, text)


@pytest.mark.parametrize("stays", [True, False])
def test_certificate_that_is_asked_for(tmp_path, ca, stays):
    """TLS 1.3 says so when the association has been asked for; whether it is heard is up to TCP."""
    own = ca.issue("pacs")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.pem, own.key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.pem)

    def refuse(sock: socket.socket) -> None:
        secure = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        with secure, contextlib.suppress(OSError):
            with contextlib.suppress(ssl.SSLError):
                secure.do_handshake()
            while stays and os.read(secure.fileno(), 1 << 16):
                pass

    alert = "the peer refused with the alert certificate_required: it asks for a certificate"
    cut = ["closed without close_notify", "Connection reset by peer", "Broken pipe"]
    with answering(refuse) as port:
        code, text = echo(tmp_path, port, ca=ca.pem)
        texts = [f"127.0.0.1:{port}: {why}" for why in [alert, *(() if stays else cut)]]
    assert code == 1
    assert text in [*texts, *(() if stays else ["the AE closed the connection"])]


def test_an_ae_without_tls(tmp_path, ca):
    entity = AE(ae_title="PACS")
    entity.add_supported_context("1.2.840.10008.1.1")
    server: Any = entity.start_server(("127.0.0.1", 0), block=False)
    port = server.server_address[1]
    try:
        assert echo(tmp_path, port, ca=ca.pem)[0] == 1
    finally:
        server.shutdown()


ANSWERS = {
    bytes.fromhex("07 00 00000004 00000000"): "the peer speaks no TLS",
    # fatal, protocol_version
    bytes.fromhex("15 0303 0002 0246"): (
        "the peer refused with the alert protocol_version: it speaks neither TLS 1.2 nor 1.3"
    ),
    b"": "closed without close_notify",
}


@pytest.mark.parametrize("said", ANSWERS)
def test_answers_to_tls(tmp_path, ca, said):
    def answer(sock: socket.socket) -> None:
        sock.recv(1 << 16)
        if said:
            sock.sendall(said)
            sock.recv(1 << 16)

    with answering(answer) as port:
        assert echo(tmp_path, port, ca=ca.pem) == (1, f"127.0.0.1:{port}: {ANSWERS[said]}")


def test_file_that_is_gone(tmp_path, ca):
    code, text = echo(tmp_path, 104, ca=tmp_path / "gone.pem")
    assert (code, text) == (1, "127.0.0.1:104: No such file or directory")
