"""Associations over TLS, one after the other: `python -m benchmarks.handshakes PORT TITLE COUNT CA`.

COUNT times a handshake, an association with a C-ECHO, a release; figures as JSON. No session is resumed.
"""

import json
import socket
import ssl
import sys
import time
from pathlib import Path

from benchmarks import wire
from benchmarks.load import ECHO, HOST, TIMEOUT, Requestor


def trusting(ca: Path) -> ssl.SSLContext:
    """What a sender has that trusts this CA."""
    return ssl.create_default_context(cafile=ca)


def negotiated(port: int, context: ssl.SSLContext) -> str:
    """The version of TLS and the cipher suite that are spoken there."""
    with (
        socket.create_connection((HOST, port), TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as peer,
    ):
        cipher = peer.cipher()
        return f"{peer.version()} {cipher[0] if cipher else ''}"


def cycles(port: int, called: str, count: int, context: ssl.SSLContext) -> dict[str, float]:
    """Connect, shake hands, associate, C-ECHO, release."""

    class Secured(Requestor):
        def connect(self, port: int) -> socket.socket:
            return context.wrap_socket(super().connect(port), server_hostname=HOST)

    began = time.perf_counter()
    for _ in range(count):
        requestor = Secured(port, called, wire.VERIFICATION).established()
        requestor.peer.sendall(ECHO)
        requestor.succeed()
        requestor.release()
    seconds = time.perf_counter() - began
    return {"wall": seconds, "rate": count / seconds}


def main() -> None:
    """Do what the arguments say."""
    port, called, count, ca = sys.argv[1:]
    print(json.dumps(cycles(int(port), called, int(count), trusting(Path(ca)))))


if __name__ == "__main__":
    main()
