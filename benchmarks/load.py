"""A sender that costs little: `python -m benchmarks.load WHAT PORT TITLE ...`, figures as JSON.

Raw sockets, PDUs that are encoded before the clock starts. Every time is the program's own, so no
start of a process is in it.

    store PORT TITLE PDU COUNT BYTES      one association, COUNT objects of BYTES
    cycles PORT TITLE COUNT AT_ONCE       COUNT times an association with a C-ECHO, AT_ONCE of them
    find PORT TITLE                       one C-FIND, to its last response
"""

import json
import socket
import sys
import threading
import time
from io import BufferedReader
from typing import Self

from benchmarks import wire

HOST = "127.0.0.1"
TIMEOUT = 120.0
MAX_LENGTH = 16384
EXPLICIT = 2**32  # bytes that no element of explicit length can have
SMALL = 3000  # bytes of pixels
BUNDLE = 8 * 2**20  # bytes of PDUs that are encoded once and sent again and again
LAST_COMMAND = wire.COMMAND | wire.LAST
ECHO = wire.data_pdu(1, LAST_COMMAND, wire.echo_rq(1))


class LoadError(Exception):
    """The peer did not do its part."""


class Requestor:
    """One association on a blocking socket."""

    def __init__(
        self,
        port: int,
        called: str,
        abstract: str,
        max_length: int = MAX_LENGTH,
        transfer: str = wire.EXPLICIT_LITTLE,
    ) -> None:
        self.peer = self.connect(port)
        self._stream = self.peer.makefile("rb")
        self.peer.sendall(wire.associate_rq(called, abstract, max_length, transfer))

    def connect(self, port: int) -> socket.socket:
        """A connection to the relay, or to the sink."""
        peer = socket.create_connection((HOST, port), TIMEOUT)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer

    def established(self) -> Self:
        """The acceptor has accepted."""
        receive(self._stream, wire.ASSOCIATE_AC)
        return self

    def response(self) -> bytes:
        """The next command set, of a P-DATA-TF of its own."""
        return receive(self._stream, wire.DATA)[6:]

    def succeed(self) -> None:
        """The next command set says success."""
        if code := wire.status(self.response()):
            raise LoadError(f"status {code:04X}H")

    def release(self) -> None:
        """Release and close."""
        self.peer.sendall(wire.release_rq())
        receive(self._stream, wire.RELEASE_RP)
        self._stream.close()
        self.peer.close()


def receive(stream: BufferedReader, expected: int) -> bytes:
    """The body of the next PDU, which must be of the type expected."""
    header = stream.read(wire.PDU_HEADER.size)
    if len(header) < wire.PDU_HEADER.size:
        raise LoadError("the connection was closed")
    kind, length = wire.PDU_HEADER.unpack(header)
    body = stream.read(length)
    if kind != expected:
        raise LoadError(f"PDU type {expected} expected, {kind} came: {body[:16].hex()}")
    return body


def encoded(size: int, pdu: int, instance: str = wire.INSTANCE) -> list[tuple[bytes, int]]:
    """A C-STORE-RQ with `size` bytes of pixels as what to send and how often, in PDUs of `pdu`."""
    fragment = pdu - wire.PDV_HEADER.size
    head = wire.image(size, instance)
    first, rest = min(size, fragment - len(head)), max(0, size - fragment + len(head))
    full, last = divmod(rest, fragment)
    command = wire.data_pdu(1, LAST_COMMAND, wire.store_rq(instance))
    start = wire.data_pdu(1, 0 if rest else wire.LAST, head + bytes(first))
    blocks = [(command + start, 1)]
    if full:
        middle = wire.data_pdu(1, 0, bytes(fragment))
        times, more = divmod(full, max(1, BUNDLE // pdu))
        blocks += [(middle * max(1, BUNDLE // pdu), times)] * bool(times) + [(middle * more, 1)]
    if rest:
        blocks.append((wire.data_pdu(1, wire.LAST, bytes(last)), 1))
    if sum(len(block) * times for block, times in blocks) < BUNDLE:
        blocks = [(b"".join(block * times for block, times in blocks), 1)]
    return blocks


def endless(size: int, pdu: int) -> list[tuple[bytes, int]]:
    """The same with at least `size` bytes of encapsulated pixels: an explicit length ends at 4 GB."""
    fragment = pdu - wire.PDV_HEADER.size - len(wire.item_header(0))
    item = wire.data_pdu(1, 0, wire.item_header(fragment) + bytes(fragment))
    number = BUNDLE // pdu
    return [
        (wire.data_pdu(1, LAST_COMMAND, wire.store_rq()), 1),
        (wire.data_pdu(1, 0, wire.encapsulated()), 1),
        (item * number, -(-size // (fragment * number))),
        (wire.data_pdu(1, wire.LAST, wire.sequence_end()), 1),
    ]


def store(port: int, called: str, pdu: int, count: int, size: int) -> dict[str, float]:
    """So many objects, one after the other."""
    explicit = size < EXPLICIT
    blocks = encoded(size, pdu) if explicit else endless(size, pdu)
    transfer = wire.EXPLICIT_LITTLE if explicit else wire.JPEG_BASELINE
    requestor = Requestor(port, called, wire.CT_IMAGE, pdu, transfer).established()
    began = time.perf_counter()
    for _ in range(count):
        for block, times in blocks:
            for _ in range(times):
                requestor.peer.sendall(block)
        requestor.succeed()
    seconds = time.perf_counter() - began
    requestor.release()
    return {"wall": seconds, "bytes": count * sum(len(block) * times for block, times in blocks)}


def cycles(port: int, called: str, count: int, at_once: int) -> dict[str, float]:
    """Connect, associate, C-ECHO, release."""
    failures: list[Exception] = []

    def cycle() -> None:
        try:
            for _ in range(count // at_once):
                requestor = Requestor(port, called, wire.VERIFICATION).established()
                requestor.peer.sendall(ECHO)
                requestor.succeed()
                requestor.release()
        except (OSError, LoadError) as error:
            failures.append(error)

    threads = [threading.Thread(target=cycle) for _ in range(at_once)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    if failures:
        raise failures[0]
    return {"wall": seconds, "rate": count / seconds}


def find(port: int, called: str) -> dict[str, float]:
    """How many responses, how long."""
    requestor = Requestor(port, called, wire.STUDY_ROOT_FIND).established()
    request = wire.data_pdu(1, LAST_COMMAND, wire.find_rq())
    began, responses = time.perf_counter(), 0
    requestor.peer.sendall(request + wire.data_pdu(1, wire.LAST, wire.study(0)))
    while code := wire.status(requestor.response()):
        if code != wire.PENDING:
            raise LoadError(f"status {code:04X}H")
        requestor.response()
        responses += 1
    seconds = time.perf_counter() - began
    requestor.release()
    return {"wall": seconds, "responses": responses}


def main() -> None:
    """Do what the arguments say."""
    what, port, called, *rest = sys.argv[1:]
    numbers = list(map(int, rest))
    if what == "store":
        figures = store(int(port), called, *numbers)
    elif what == "cycles":
        figures = cycles(int(port), called, *numbers)
    else:
        figures = find(int(port), called)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
