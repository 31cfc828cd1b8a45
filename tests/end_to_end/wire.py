"""DICOM by hand: a second, tiny encoder and decoder of PS3.8 PDUs and PS3.7 command sets over a socket.

It shares nothing with ulproxy, so that what it says is evidence. No state machine: a test says each PDU.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

RQ, AC, RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
MAXIMUM_LENGTH, IMPLEMENTATION_UID, ASYNC, ROLE, VERSION_NAME = range(0x51, 0x56)
EXTENDED, COMMON_EXTENDED, IDENTITY_RQ, IDENTITY_AC = range(0x56, 0x5A)
OUR_UID = "1.2.826.0.1.3680043.9.9999.1"
OUR_VERSION = "HANDWRITTEN"


Command = dict[int, bytes | int | str]
"""Elements of group 0000 by element number."""


@dataclass(frozen=True)
class Context:
    """A presentation context; `result` only in an A-ASSOCIATE-AC."""

    id: int
    abstract: str
    transfers: tuple[str, ...] = (IMPLICIT,)
    result: int = 0


@dataclass(frozen=True)
class Associate:
    """An A-ASSOCIATE-RQ or -AC as it was on the wire."""

    version: int
    called: str
    calling: str
    application_context: str
    contexts: tuple[Context, ...]
    user: tuple[tuple[int, bytes], ...]

    def sub_items(self, kind: int) -> list[bytes]:
        """The values of the user information sub-items of one type, in order."""
        return [value for item, value in self.user if item == kind]

    @property
    def maximum_length(self) -> int:
        (value,) = self.sub_items(MAXIMUM_LENGTH)
        return int.from_bytes(value, "big")


@dataclass(frozen=True)
class Pdu:
    kind: int
    body: bytes


@dataclass
class Message:
    """A DIMSE message put together from its fragments."""

    context: int
    command: dict[int, bytes] = field(default_factory=dict)
    data: bytes = b""

    def number(self, element: int) -> int:
        return int.from_bytes(self.command[element], "little")

    def text(self, element: int) -> str:
        return self.command[element].rstrip(b"\0 ").decode("ascii")


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(body)) + body


def counted(*values: bytes | str) -> bytes:
    """Each value behind its length in two bytes, as the user information sub-items have them."""
    encoded = [v.encode("ascii") if isinstance(v, str) else v for v in values]
    return b"".join(struct.pack(">H", len(v)) + v for v in encoded)


def user_items(maximum_length: int = 16384, *more: tuple[int, bytes]) -> list[tuple[int, bytes]]:
    return [
        (MAXIMUM_LENGTH, struct.pack(">I", maximum_length)),
        (IMPLEMENTATION_UID, OUR_UID.encode()),
        (VERSION_NAME, OUR_VERSION.encode()),
        *more,
    ]


def _context_item(context: Context, kind: int) -> bytes:
    value = struct.pack(">BxBx", context.id, context.result)
    if kind == 0x20:
        value += item(0x30, context.abstract.encode())
    return item(kind, value + b"".join(item(0x40, t.encode()) for t in context.transfers))


def associate_rq(
    contexts: list[Context],
    user: list[tuple[int, bytes]] | None = None,
    called: str = "PACS",
    calling: str = "SCU",
    version: int = 1,
    application_context: str = APPLICATION_CONTEXT,
) -> bytes:
    head = struct.pack(">H2x16s16s32x", version, *(t.ljust(16).encode() for t in (called, calling)))
    items = item(0x10, application_context.encode())
    items += b"".join(_context_item(context, 0x20) for context in contexts)
    return pdu(RQ, head + items + _user_information(user))


def associate_ac(
    rq: Associate,
    contexts: list[Context] | None = None,
    user: list[tuple[int, bytes]] | None = None,
) -> bytes:
    """Accept what `rq` asked: every context with its first transfer syntax, unless `contexts` says."""
    if contexts is None:
        contexts = [Context(c.id, "", c.transfers[:1]) for c in rq.contexts]
    head = struct.pack(">H2x16s16s32x", 1, *(t.ljust(16).encode() for t in (rq.called, rq.calling)))
    items = item(0x10, APPLICATION_CONTEXT.encode())
    items += b"".join(_context_item(context, 0x21) for context in contexts)
    return pdu(AC, head + items + _user_information(user))


def _user_information(user: list[tuple[int, bytes]] | None) -> bytes:
    chosen = user_items() if user is None else user
    return item(0x50, b"".join(item(kind, value) for kind, value in chosen))


def reject(result: int, source: int, reason: int) -> bytes:
    return pdu(RJ, bytes([0, result, source, reason]))


def abort(source: int, reason: int) -> bytes:
    return pdu(ABORT, bytes([0, 0, source, reason]))


def release_rq() -> bytes:
    return pdu(RELEASE_RQ, bytes(4))


def release_rp() -> bytes:
    return pdu(RELEASE_RP, bytes(4))


def pdv(context: int, data: bytes, *, command: bool, last: bool) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context, command + 2 * last) + data


def message(context: int, command: Command, data: bytes = b"", fragment: int = 16000) -> bytes:
    """A whole DIMSE message as P-DATA-TF PDUs: the command in one, the data set in fragments."""
    has_data = 0x0001 if data else 0x0101
    said = command_set({**command, 0x800: has_data})
    pdus = [pdu(DATA, pdv(context, said, command=True, last=True))]
    for start in range(0, len(data), fragment):
        piece, last = data[start : start + fragment], start + fragment >= len(data)
        pdus.append(pdu(DATA, pdv(context, piece, command=False, last=last)))
    return b"".join(pdus)


def command_set(elements: Command) -> bytes:
    """Implicit VR little endian, group 0000: int as US, str as UI padded with NUL, bytes as they are."""
    out = b""
    for element, value in sorted(elements.items()):
        if isinstance(value, int):
            raw = struct.pack("<H", value)
        elif isinstance(value, str):
            raw = value.encode("ascii") + b"\0" * (len(value) % 2)
        else:
            raw = value + b" " * (len(value) % 2)
        out += struct.pack("<HHI", 0, element, len(raw)) + raw
    return struct.pack("<HHII", 0, 0, 4, len(out)) + out


def parse_command(raw: bytes) -> dict[int, bytes]:
    elements: dict[int, bytes] = {}
    offset = 0
    while offset < len(raw):
        group, element, length = struct.unpack_from("<HHI", raw, offset)
        assert group == 0
        elements[element] = raw[offset + 8 : offset + 8 + length]
        offset += 8 + length
    assert int.from_bytes(elements[0], "little") == len(raw) - 12, "Command Group Length is wrong"
    assert list(elements) == sorted(elements), "elements are out of order"
    return elements


def _items(raw: bytes) -> list[tuple[int, bytes]]:
    found = []
    offset = 0
    while offset < len(raw):
        kind, length = struct.unpack_from(">BxH", raw, offset)
        value = raw[offset + 4 : offset + 4 + length]
        assert len(value) == length, "an item ends behind its PDU"
        found.append((kind, value))
        offset += 4 + length
    return found


def _parse_context(value: bytes) -> Context:
    syntaxes = _items(value[4:])
    abstract = "".join(v.decode() for kind, v in syntaxes if kind == 0x30)
    transfers = tuple(v.decode() for kind, v in syntaxes if kind == 0x40)
    return Context(value[0], abstract, transfers, value[2])


def parse_associate(body: bytes) -> Associate:
    version, called, calling = struct.unpack_from(">H2x16s16s", body)
    items = _items(body[68:])
    (application_context,) = (v.decode() for kind, v in items if kind == 0x10)
    (user,) = (v for kind, v in items if kind == 0x50)
    contexts = tuple(_parse_context(v) for kind, v in items if kind in {0x20, 0x21})
    titles = (called.decode().strip(), calling.decode().strip())
    return Associate(version, *titles, application_context, contexts, tuple(_items(user)))


def pdvs(body: bytes) -> list[tuple[int, int, bytes]]:
    """(presentation context id, message control header, fragment) of each PDV of a P-DATA-TF."""
    found = []
    offset = 0
    while offset < len(body):
        length, context, header = struct.unpack_from(">IBB", body, offset)
        found.append((context, header, body[offset + 6 : offset + 4 + length]))
        offset += 4 + length
    return found


def split_pdus(stream: bytes) -> tuple[list[Pdu], bytes]:
    """The whole PDUs of a stream of bytes, and what is left of the last."""
    found = []
    while len(stream) >= 6:
        kind, length = struct.unpack_from(">BxI", stream)
        if len(stream) < 6 + length:
            break
        found.append(Pdu(kind, stream[6 : 6 + length]))
        stream = stream[6 + length :]
    return found, stream


class Peer:
    """One end of a connection whose PDUs the test says one by one."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(40)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def connect(cls, port: int) -> Self:
        return cls(socket.create_connection(("127.0.0.1", port), timeout=40))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        """Vanish: the other end gets a TCP RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def exactly(self, count: int) -> bytes:
        got = bytearray()
        while len(got) < count:
            try:
                more = self.socket.recv(min(count - len(got), 1 << 18))
            except ConnectionResetError:
                more = b""
            if not more:
                break
            got += more
        return bytes(got)

    def receive(self) -> Pdu | None:
        """The next PDU; None when the connection is over instead."""
        head = self.exactly(6)
        if not head:
            return None
        assert len(head) == 6, f"the connection ended inside a PDU header: {head!r}"
        kind, length = struct.unpack(">BxI", head)
        body = self.exactly(length)
        assert len(body) == length, "the connection ended inside a PDU"
        return Pdu(kind, body)

    def rest(self) -> bytes:
        """Everything until the connection is over."""
        return self.exactly(1 << 40)

    def expect(self, kind: int) -> Pdu:
        got = self.receive()
        assert got is not None, f"the connection is over; PDU {kind} was expected"
        assert got.kind == kind, f"PDU {got.kind} {got.body[:40]!r} instead of {kind}"
        return got

    def expect_associate(self, kind: int) -> Associate:
        return parse_associate(self.expect(kind).body)

    def expect_message(self) -> Message:
        """The next DIMSE message, command and data set."""
        found: Message | None = None
        command, data, waiting = bytearray(), bytearray(), True
        while waiting:
            for context, header, fragment in pdvs(self.expect(DATA).body):
                found = found or Message(context)
                assert waiting, "one PDU holds the end of one message and the start of another"
                assert found.context == context, "fragments of two messages are interleaved"
                if header & 1:
                    command += fragment
                    if header & 2:
                        found.command = parse_command(bytes(command))
                        waiting = found.number(0x800) != 0x0101
                else:
                    data += fragment
                    waiting = not header & 2
        assert found is not None
        found.data = bytes(data)
        return found


class Acceptor:
    """A listening socket: the called AE of a test."""

    def __init__(self, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(64)
        self.socket.settimeout(40)
        self.port: int = self.socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        self.socket.close()

    def accept(self) -> Peer:
        return Peer(self.socket.accept()[0])
