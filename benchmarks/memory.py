"""How much memory one object of more than 4 GB costs a relay while it streams.

A sender and a sink of the benchmark's own, since no explicit length holds 4 GB: the data set is
encapsulated pixel data, whose fragments may be as many as they like. Sent twice: in PDUs of
128 KiB, and as one PDU of nearly 4 GiB to a sink that asks for no maximum length. The sink stops
reading now and then, so a relay that takes what it cannot pass on shows.
"""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from benchmarks import wire
from benchmarks.processes import PeerError
from benchmarks.variants import HOST, Variant, start

GOAL = 8 * 2**20  # bytes that resident memory may grow
SINK = "MEMORY"
TIMEOUT = 60.0
BLOCK = 2**20
REST_EVERY, REST_SECONDS = 2**30, 0.5

ITEM = struct.Struct("<HHI")
HEAD = (
    struct.pack("<HH2sHHHH", 0x0028, 0x0002, b"US", 2, 1, 0x0028, 0x0100)
    + struct.pack("<2sHH", b"US", 2, 8)
    + struct.pack("<HH2sxxI", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF)
    + ITEM.pack(0xFFFE, 0xE000, 0)
)
TAIL = ITEM.pack(0xFFFE, 0xE0DD, 0)


@dataclass(frozen=True, slots=True)
class Result:
    """What one object did to one variant."""

    variant: str
    pdu: str
    object_bytes: int
    seconds: float
    cpu: float
    before: int  # resident bytes when the relay was ready, before any association
    peak: int  # the most resident bytes from then until the release

    @property
    def growth(self) -> int:
        """What the goal bounds."""
        return self.peak - self.before


class Sink:
    """An acceptor in a thread, one association at a time; counts the bytes of data sets."""

    def __init__(self) -> None:
        self.max_length = 0
        self.received = 0
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._buffer = bytearray(BLOCK)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop listening, which ends the thread."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(TIMEOUT)
                try:
                    self._associate(peer)
                except OSError:
                    continue  # the sender sees it too, and says so

    def _associate(self, peer: socket.socket) -> None:
        stream: BufferedReader = BufferedReader(socket.SocketIO(peer, "rb"), BLOCK)
        command = b""
        for kind, length in _headers(stream):
            if kind != wire.DATA:
                if said := wire.answer(kind, _exactly(stream, length), self.max_length):
                    peer.sendall(said)
                continue
            left = length
            while left:
                size, context_id, control = wire.PDV_HEADER.unpack(_exactly(stream, 6))
                left -= size + 4
                if control & wire.COMMAND:
                    command = _exactly(stream, size - 2)
                    continue
                self._drain(stream, size - 2)
                if control & wire.LAST:
                    answer = wire.success(command)
                    peer.sendall(wire.data_pdu(context_id, wire.COMMAND | wire.LAST, answer))

    def _drain(self, stream: BufferedReader, size: int) -> None:
        view = memoryview(self._buffer)
        while size:
            got = stream.readinto(view[: min(size, BLOCK)])
            if not got:
                raise ConnectionError
            size -= got
            rested = self.received // REST_EVERY
            self.received += got
            if self.received // REST_EVERY > rested:
                time.sleep(REST_SECONDS)


def measure(names: list[str], work: Path, *, quick: bool) -> Iterator[Result]:
    """Both objects over each variant, a fresh process for each object."""
    total = 2**28 if quick else 2**32 + 2**26
    sink = Sink()
    try:
        for name in names:
            for pdu, max_length in (("128 KiB", 131072), ("4 GiB", 0)):
                sink.max_length = max_length
                with ExitStack() as stack:
                    (variant,) = start([name], {SINK: sink.port}, work, stack)
                    if variant.process:
                        yield _stream(variant, sink, pdu, total)
    finally:
        sink.close()


def _stream(variant: Variant, sink: Sink, pdu: str, total: int) -> Result:
    process = variant.process
    assert process is not None
    sink.received = 0
    process.forget_peak()
    before, cpu, began = process.resident(), process.cpu(), time.perf_counter()
    try:
        with socket.create_connection((HOST, variant.ports[SINK]), TIMEOUT) as peer:
            sent = _store(peer, total, whole=pdu == "4 GiB")
    except OSError as error:
        raise PeerError(f"{variant.name}: {error!r}\n{process.explain()}") from error
    seconds = time.perf_counter() - began
    if sink.received != sent:
        raise PeerError(f"{variant.name}: {sink.received} of {sent} bytes arrived")
    used = process.cpu() - cpu
    return Result(variant.name, pdu, sent, seconds, used, before, process.peak())


def _store(peer: socket.socket, total: int, *, whole: bool) -> int:
    """One association with one C-STORE; the bytes of its data set."""
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream, sent = peer.makefile("rb"), 0
    sop_class, transfer = wire.MULTI_FRAME_BYTE_SC, wire.JPEG_BASELINE
    peer.sendall(wire.associate_rq(SINK, sop_class, transfer, 16384))
    _expect(stream, wire.ASSOCIATE_AC)
    command = wire.store_rq(sop_class, wire.IMPLEMENTATION + ".1")
    peer.sendall(wire.data_pdu(1, wire.COMMAND | wire.LAST, command))
    for block, times, data in _object(total, whole=whole):
        for _ in range(times):
            peer.sendall(block)
        sent += data * times
    answer = _expect(stream, wire.DATA)
    peer.sendall(wire.release_rq())
    _expect(stream, wire.RELEASE_RP)
    if code := wire.status(answer[6:]):
        raise PeerError(f"C-STORE status {code:04X}H")
    return sent


def _object(total: int, *, whole: bool) -> Iterator[tuple[bytes, int, int]]:
    """The data set as blocks to send: the bytes, how often, and how many of them are data set."""
    yield wire.data_pdu(1, 0, HEAD), 1, len(HEAD)
    if whole:  # as near to 4 GiB as the length field of a PDU and of a PDV allow
        times = min(total // BLOCK, 4095)
        size = times * BLOCK
        header = struct.pack(">BxI", wire.DATA, size + 14) + wire.PDV_HEADER.pack(size + 10, 1, 0)
        yield header + ITEM.pack(0xFFFE, 0xE000, size), 1, 8
        yield bytes(BLOCK), times, BLOCK
        total -= size
    size = 131072 - 6 - 8
    pdu = wire.data_pdu(1, 0, ITEM.pack(0xFFFE, 0xE000, size) + bytes(size))
    yield pdu * 8, -(-total // (8 * size)), 8 * (size + 8)
    yield wire.data_pdu(1, wire.LAST, TAIL), 1, len(TAIL)


def _headers(stream: BufferedReader) -> Iterator[tuple[int, int]]:
    while len(header := stream.read(6)) == 6:
        yield struct.unpack(">BxI", header)


def _expect(stream: BufferedReader, kind: int) -> bytes:
    got, length = next(_headers(stream), (0, 0))
    body = _exactly(stream, length)
    if got != kind:
        raise PeerError(f"PDU type {kind} expected, {got} came: {body[:16].hex()}")
    return body


def _exactly(stream: BufferedReader, length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise ConnectionError
    return data
