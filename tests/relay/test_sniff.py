"""What spoke on the port, by its first bytes (contract "What each side sees")."""

from __future__ import annotations

import pytest

from tests.relay.hospital import RQ
from ulproxy.relay.sniff import is_tls, spoken, spoken_for_tls

TLS_1_2 = bytes.fromhex("16030100c8010000c40303")
FIRST_BYTES = {
    "TLS on a plain port": [TLS_1_2, bytes.fromhex("160303"), b"\x16\x03"],
    "HTTP": [
        *(f"{verb} / HTTP/1.1\r\n".encode() for verb in ("GET", "HEAD", "POST", "PUT", "DELETE")),
        b"OPTIONS * HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT pacs:104 HTTP/1.1",
    ],
    "SSH": [b"SSH-2.0-OpenSSH_9.6\r\n", b"SSH-"],
    "DICOM": [RQ, *(bytes([kind, 0, 0, 0]) for kind in range(1, 8))],
}


@pytest.mark.parametrize(
    ("first", "name"), [(first, name) for name, all_ in FIRST_BYTES.items() for first in all_]
)
def test_known_protocols(first, name):
    assert spoken(first) == name
    assert spoken(first[:8]) == name  # which is all that is kept of them


@pytest.mark.parametrize(
    ("first", "digits"),
    [
        (b"", ""),
        (b"\x16", "16"),
        (b"\x16\x02", "16 02"),
        (b"\x08\x00\x00", "08 00 00"),
        (b"\x01\x01", "01 01"),
        (b"get / ", "67 65 74 20 2f 20"),
        (b"\x1b[2J\n\xff\x00\x00\x00", "1b 5b 32 4a 0a ff 00 00"),
    ],
)
def test_what_is_unknown_is_shown_in_digits(first, digits):
    """Never as it came: the bytes are a stranger's and go into a log."""
    assert spoken(first) == f"an unknown protocol ({digits})"


@pytest.mark.parametrize(
    ("first", "name"),
    [
        (RQ, "plain DICOM on a TLS port"),
        (b"GET / HTTP/1.1\r\n", "HTTP on a TLS port"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH on a TLS port"),
        (b"\x80\x2e\x01\x00", "an unknown protocol (80 2e 01 00) on a TLS port"),
    ],
)
def test_what_is_no_tls(first, name):
    assert not is_tls(first)
    assert not is_tls(memoryview(first))
    assert spoken_for_tls(first) == name


@pytest.mark.parametrize("first", [TLS_1_2, b"\x16", b"\x15\x03\x01\x00\x02\x02\x46"])
def test_what_may_be_tls(first):
    """A handshake, as little as there is of it yet, or an alert."""
    assert is_tls(first)
    assert is_tls(memoryview(first))
