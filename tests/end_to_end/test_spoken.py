"""What does not speak DICOM on a plain port: one line in the log that names it, one A-ABORT, nothing onward.

The real programs are in test_tls.py; here is what they say, whole, cut and byte by byte.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.end_to_end.lanes import Lane, lanes
from tests.end_to_end.peers import wait_until
from tests.end_to_end.wire import Peer, abort


def client_hello() -> bytes:
    """The first flight of OpenSSL, as a browser or a DICOM client with TLS sends it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="pacs.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HTTP = b"GET / HTTP/1.1\r\nHost: pacs\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n"
SPOKEN: dict[str, tuple[bytes, str]] = {
    "a browser": (HTTP, "HTTP"),
    "a browser by HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), "HTTP"),
    "a form": (b"POST /login HTTP/1.1\r\nHost: pacs\r\nContent-Length: 0\r\n\r\n", "HTTP"),
    "an ssh client": (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "SSH"),
    "a TLS client": (client_hello(), "TLS on a plain port"),
    "HL7": (
        b"\x0bMSH|^~\\&|LAB|H|EHR|H|2024||ADT^A01|1|P|2.5\r\x1c\r",
        "an unknown protocol (0b 4d",
    ),
    "a port scanner": (b"\r\n\r\n\r\n\r\n", "an unknown protocol (0d 0a"),
}


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    with lanes(tmp_path_factory.mktemp("spoken")) as made:
        yield made["relay"]


@dataclass
class Said:
    """What came of a connection: all that the client was sent, and the lines about it in the log."""

    answer: bytes
    lines: list[dict[str, object]]


def say(lane: Lane, *pieces: bytes) -> Said:
    running = lane.through
    assert running is not None
    with Peer.connect(lane.way.port) as client:
        mine = f'"peer": "127.0.0.1:{client.socket.getsockname()[1]}"'
        for piece in pieces:
            client.send(piece)
            time.sleep(0.01)  # so that they come one by one
        answer = client.exactly(10)
        client.socket.shutdown(1)
        answer += client.rest()
    wait_until(lambda: mine in running.program.log(), "the log has a line")
    found = [line for line in running.program.log().splitlines() if mine in line]
    return Said(answer, [json.loads(line) for line in found])


def check(lane: Lane, said: Said, name: str) -> None:
    (line,) = said.lines
    assert (line["event"], line["network"]) == ("connection ended", "west")
    assert str(line["outcome"]).startswith(f"no A-ASSOCIATE-RQ: {name}")
    assert said.answer == abort(0, 0), "no alert of TLS, no banner, no page"
    lane.acceptor.socket.settimeout(0)
    with pytest.raises(BlockingIOError):
        lane.acceptor.socket.accept()


@pytest.mark.parametrize("who", SPOKEN)
def test_named_in_one_line(lane, who):
    data, name = SPOKEN[who]
    check(lane, say(lane, data), name)


@pytest.mark.parametrize("who", SPOKEN)
def test_named_as_soon_as_a_header_has_come(lane, who):
    """Who waits for an answer to its first bytes gets one."""
    data, name = SPOKEN[who]
    check(lane, say(lane, data[:8]), name)


@pytest.mark.parametrize("who", ["a browser", "an ssh client", "a TLS client"])
def test_named_when_it_comes_byte_by_byte(lane, who):
    data, name = SPOKEN[who]
    check(lane, say(lane, *(data[number : number + 1] for number in range(8))), name)
