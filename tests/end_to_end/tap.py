"""A TCP forwarder that records what passes in each direction, and writes it as a capture file.

Stands on a leg of a session: clients connect to `port`, it connects to `target`.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

UP, DOWN = "up", "down"
"""From the client to the target, and back."""
_CHUNK = 1 << 16
_SEGMENT = 1400


@dataclass
class Connection:
    """One TCP connection through a tap: (time, direction, bytes) in the order of arrival."""

    client_port: int
    pieces: list[tuple[float, str, bytes]] = field(default_factory=list)


class Tap:
    """Forwards connections until its block ends."""

    def __init__(self, port: int = 0, target: int = 0) -> None:
        self.target = target
        self.connections: list[Connection] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(64)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._start(self._serve)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)

    def said(self, direction: str) -> bytes:
        """Everything that went in one direction, over all connections."""
        return b"".join(
            data for c in self.connections for _, towards, data in c.pieces if towards == direction
        )

    def _start(self, target, *arguments) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, (_, client_port) = self._listener.accept()
            except OSError:
                return
            connection = Connection(client_port)
            self.connections.append(connection)
            self._sockets.append(client)
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._sockets.append(server)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._pump, client, server, connection, UP)
            self._start(self._pump, server, client, connection, DOWN)

    @staticmethod
    def _pump(
        source: socket.socket, sink: socket.socket, connection: Connection, direction: str
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                connection.pieces.append((time.time(), direction, data))
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def leaks(secrets: list[bytes], received: bytes) -> list[bytes]:
    """Secrets that occur; a number only where it is not part of a longer one."""
    return [s for s in [*secrets, b"127.0.0.1"] if re.search(rb"(?<!\d)%s(?!\d)" % s, received)]


def write_pcap(path: Path, taps: Iterable[Tap]) -> int:
    """Write all connections as Ethernet, IPv4 and TCP; the number of connections."""
    connections = [(tap.port, c) for tap in taps for c in tap.connections if c.pieces]
    packets = [
        packet
        for number, (port, connection) in enumerate(connections)
        for packet in _packets(connection, 20_000 + number, port)
    ]
    packets.sort(key=lambda packet: packet[0])
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1)
    for when, frame in packets:
        seconds, micros = int(when), int(when % 1 * 1_000_000)
        out += struct.pack("<IIII", seconds, micros, len(frame), len(frame)) + frame
    path.write_bytes(out)
    return len(connections)


def _packets(
    connection: Connection, client_port: int, server_port: int
) -> Iterable[tuple[float, bytes]]:
    """A TCP conversation: handshake, data in segments, no acknowledgements but those it carries."""
    ports = {UP: (client_port, server_port), DOWN: (server_port, client_port)}
    begin = connection.pieces[0][0]
    sequence = {UP: 1, DOWN: 1}
    for direction, flags, number in ((UP, 0x02, 0), (DOWN, 0x12, 0), (UP, 0x10, 1)):
        yield begin, _frame(direction, ports[direction], number, min(number, 1), flags, b"")
    for when, direction, data in connection.pieces:
        other = sequence[DOWN if direction == UP else UP]
        for start in range(0, len(data), _SEGMENT):
            segment = data[start : start + _SEGMENT]
            frame = _frame(direction, ports[direction], sequence[direction], other, 0x18, segment)
            yield when, frame
            sequence[direction] += len(segment)


def _frame(
    direction: str, ports: tuple[int, int], number: int, other: int, flags: int, data: bytes
) -> bytes:
    addresses = (b"\x0a\0\0\1", b"\x0a\0\0\2")
    source, destination = addresses if direction == UP else addresses[::-1]
    tcp = struct.pack(">HHIIBBHHH", *ports, number, other, 0x50, flags, 0xFFFF, 0, 0) + data
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0)
    return bytes(12) + b"\x08\0" + ip + source + destination + tcp
