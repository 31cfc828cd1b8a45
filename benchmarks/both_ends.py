"""Sender and receiver in one process, so that one clock sees both: how long a relay holds a byte.

`python -m benchmarks.both_ends WHAT PORT TITLE COUNT LISTEN` calls TITLE at PORT; LISTEN is where the way
ends. Times are medians of COUNT tries, from before the sender's call until the receiver has bytes.

    fragment   a P-DATA-TF of 16 KB within an object
    small      a C-STORE of 3 KB: its first byte, and the response back (`answered`)
    whole      an object of 512 KiB: its first byte, by whatever association it comes
"""

import json
import queue
import socket
import statistics
import sys
import threading
import time
from io import BufferedReader

from benchmarks import wire
from benchmarks.load import (
    HOST,
    LAST_COMMAND,
    MAX_LENGTH,
    SMALL,
    TIMEOUT,
    LoadError,
    Requestor,
    encoded,
    receive,
)

OBJECT = 512 * 1024
ARRIVAL_SECONDS = 10.0
FRAGMENT = wire.data_pdu(1, 0, bytes(MAX_LENGTH - wire.PDV_HEADER.size))
SUCCESS = wire.data_pdu(1, LAST_COMMAND, wire.success(wire.store_rq()))


class Ends:
    """One association; both ends of it in this thread."""

    def __init__(self, port: int, called: str, listener: socket.socket) -> None:
        self.sender = Requestor(port, called, wire.CT_IMAGE)
        self.receiver = accept(listener)
        self.sender.established()
        self._buffer = bytearray(2**18)

    def pass_on(self, data: bytes) -> float:
        """From sender to receiver; the seconds until the first byte of it was there."""
        began = time.perf_counter()
        self.sender.peer.sendall(data)
        got = self.receiver.recv_into(self._buffer)
        seconds = time.perf_counter() - began
        while 0 < got < len(data):
            more = self.receiver.recv_into(self._buffer)
            got = got + more if more else 0
        if not got:
            raise LoadError("the connection was closed")
        return seconds


def accept(listener: socket.socket) -> socket.socket:
    """One association, established."""
    peer, _ = listener.accept()
    peer.settimeout(TIMEOUT)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with peer.makefile("rb") as stream:  # nothing can be behind an A-ASSOCIATE-RQ
        request = receive(stream, wire.ASSOCIATE_RQ)
    peer.sendall(wire.associate_ac(request, MAX_LENGTH))
    return peer


def fragment(port: int, called: str, count: int, listener: socket.socket) -> dict[str, float]:
    """Within an object, which is never finished."""
    ends = Ends(port, called, listener)
    ends.pass_on(wire.data_pdu(1, LAST_COMMAND, wire.store_rq()))
    return {"first": statistics.median(ends.pass_on(FRAGMENT) for _ in range(count))}


def small(port: int, called: str, count: int, listener: socket.socket) -> dict[str, float]:
    """Whole objects, small ones."""
    ends, ((request, _),) = Ends(port, called, listener), encoded(SMALL, MAX_LENGTH)
    firsts, answers = [], []
    for _ in range(count):
        firsts.append(ends.pass_on(request))
        began = time.perf_counter()
        ends.receiver.sendall(SUCCESS)
        ends.sender.succeed()
        answers.append(time.perf_counter() - began)
    return {"first": statistics.median(firsts), "answered": statistics.median(answers)}


def whole(port: int, called: str, count: int, listener: socket.socket) -> dict[str, float]:
    """Large objects; a relay may have them whole before it passes them on, on an association of its own."""
    arrivals: queue.Queue[float] = queue.Queue()
    threading.Thread(target=_receive_all, args=(listener, arrivals), daemon=True).start()
    sender = Requestor(port, called, wire.CT_IMAGE).established()
    firsts = []
    for number in range(count):  # a router that deletes one must not take another for it
        ((request, _),) = encoded(OBJECT, MAX_LENGTH, f"{wire.INSTANCE}.{number}")
        began = time.perf_counter()
        sender.peer.sendall(request)
        sender.succeed()
        firsts.append(arrivals.get(timeout=ARRIVAL_SECONDS) - began)
    sender.release()
    return {"first": statistics.median(firsts)}


def _receive_all(listener: socket.socket, arrivals: "queue.Queue[float]") -> None:
    while True:
        with accept(listener) as peer, peer.makefile("rb") as stream:
            command = b""
            while stream.peek(1):
                arrived = time.perf_counter()
                kind, body = _pdu(stream)
                control = body[5] if kind == wire.DATA else 0
                if kind == wire.RELEASE_RQ:
                    peer.sendall(wire.release_rp())
                elif control & wire.COMMAND:
                    command = body[6:]
                    arrivals.put(arrived)
                elif control & wire.LAST:
                    peer.sendall(wire.data_pdu(body[4], LAST_COMMAND, wire.success(command)))


def _pdu(stream: BufferedReader) -> tuple[int, bytes]:
    kind, length = wire.PDU_HEADER.unpack(stream.read(wire.PDU_HEADER.size))
    return kind, stream.read(length)


def main() -> None:
    """Do what the arguments say."""
    what, port, called, count, listen = sys.argv[1:]
    with socket.create_server((HOST, int(listen))) as listener:
        listener.settimeout(TIMEOUT)
        measure = {"fragment": fragment, "small": small, "whole": whole}[what]
        print(json.dumps(measure(int(port), called, int(count), listener)))


if __name__ == "__main__":
    main()
