"""The few DICOM bytes that the benchmark's own peers say, written by hand from PS3.8 and PS3.7.

Nothing here is shared with ulproxy, so a mistake there cannot hide behind the same mistake here. It
does only what a well-behaved peer of the benchmark needs: associations are accepted as proposed,
C-ECHO and C-STORE are answered with success, C-FIND with studies, a release is confirmed.
"""

import struct
from collections.abc import Iterator

ASSOCIATE_RQ, ASSOCIATE_AC, DATA, RELEASE_RQ, RELEASE_RP = 1, 2, 4, 5, 6
COMMAND, LAST = 1, 2  # bits of the message control header
C_STORE_RQ, C_FIND_RQ, C_ECHO_RQ, RESPONSE = 0x0001, 0x0020, 0x0030, 0x8000
NO_DATA_SET, PENDING = 0x0101, 0xFF00
PDU_HEADER = struct.Struct(">BxI")  # type, length
PDV_HEADER = struct.Struct(">IBB")  # length, presentation context id, message control header

VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
INSTANCE = "2.25.329800735698586629295641978511506172919"
CALLING = "BENCH_SCU"
IMPLEMENTATION = "2.25.329800735698586629295641978511506172918"


def pdu(kind: int, body: bytes) -> bytes:
    """Any PDU: type, reserved, length, body."""
    return PDU_HEADER.pack(kind, len(body)) + body


def data_pdu(context_id: int, control: int, fragment: bytes) -> bytes:
    """A P-DATA-TF with one PDV."""
    return pdu(DATA, PDV_HEADER.pack(len(fragment) + 2, context_id, control) + fragment)


def release_rq() -> bytes:
    """A-RELEASE-RQ."""
    return pdu(RELEASE_RQ, bytes(4))


def release_rp() -> bytes:
    """A-RELEASE-RP."""
    return pdu(RELEASE_RP, bytes(4))


def associate_rq(
    called: str, abstract: str, max_length: int, transfer: str = EXPLICIT_LITTLE
) -> bytes:
    """A-ASSOCIATE-RQ with one presentation context, id 1."""
    syntaxes = _item(0x30, abstract.encode()) + _item(0x40, transfer.encode())
    titles = f"{called:16}{CALLING:16}".encode()
    context = _item(0x20, bytes((1, 0, 0, 0)) + syntaxes)
    return _associate(ASSOCIATE_RQ, titles, context, max_length)


def associate_ac(request: bytes, max_length: int) -> bytes:
    """A-ASSOCIATE-AC to the body of a request: all contexts, each with its first syntax."""
    accepted = b"".join(
        _item(0x21, bytes((body[0], 0, 0, 0)) + _item(0x40, _first_transfer_syntax(body)))
        for kind, body in _items(request[68:])
        if kind == 0x20
    )
    return _associate(ASSOCIATE_AC, request[4:36], accepted, max_length)


def echo_rq(message_id: int) -> bytes:
    """C-ECHO-RQ as a command set."""
    return _command(
        (0x0002, _uid(VERIFICATION)),
        (0x0100, _us(C_ECHO_RQ)),
        (0x0110, _us(message_id)),
        (0x0800, _us(NO_DATA_SET)),
    )


def store_rq(instance: str = INSTANCE) -> bytes:
    """C-STORE-RQ with Message ID 1 as a command set; a data set follows."""
    return _command(
        (0x0002, _uid(CT_IMAGE)),
        (0x0100, _us(C_STORE_RQ)),
        (0x0110, _us(1)),
        (0x0700, _us(0)),
        (0x0800, _us(0x0001)),
        (0x1000, _uid(instance)),
    )


def find_rq() -> bytes:
    """C-FIND-RQ with Message ID 1 as a command set; an identifier follows."""
    return _command(
        (0x0002, _uid(STUDY_ROOT_FIND)),
        (0x0100, _us(C_FIND_RQ)),
        (0x0110, _us(1)),
        (0x0700, _us(0)),
        (0x0800, _us(0x0001)),
    )


def find_pending(message_id: int) -> bytes:
    """C-FIND-RSP with status Pending; an identifier follows."""
    return _command(
        (0x0002, _uid(STUDY_ROOT_FIND)),
        (0x0100, _us(C_FIND_RQ | RESPONSE)),
        (0x0120, _us(message_id)),
        (0x0800, _us(0x0001)),
        (0x0900, _us(PENDING)),
    )


def success(command: bytes) -> bytes:
    """The response to a request's command set, with Status 0000H."""
    asked = dict(_elements(command))
    answer = [
        (0x0002, asked[0x0002]),
        (0x0100, _us(field(command) | RESPONSE)),
        (0x0120, asked[0x0110]),
        (0x0800, _us(NO_DATA_SET)),
        (0x0900, _us(0)),
    ]
    return _command(*answer, *([(0x1000, asked[0x1000])] if 0x1000 in asked else []))


def field(command: bytes) -> int:
    """Command Field."""
    return _unsigned(command, 0x0100)


def has_data(command: bytes) -> bool:
    """Whether a data set follows, by Command Data Set Type."""
    return _unsigned(command, 0x0800) != NO_DATA_SET


def status(command: bytes) -> int:
    """The Status of a response's command set."""
    return _unsigned(command, 0x0900)


def study(number: int) -> bytes:
    """What a C-FIND response says of a study."""
    return b"".join(
        (
            _element(0x0008, 0x0020, b"DA", b"20260101"),
            _element(0x0008, 0x0050, b"SH", b"%08d" % number),
            _element(0x0008, 0x0052, b"CS", b"STUDY "),
            _element(0x0008, 0x0054, b"AE", b"FIND"),
            _element(0x0010, 0x0010, b"PN", b"Benchmark^Relay "),
            _element(0x0010, 0x0020, b"LO", b"B%07d" % number),
            _element(0x0020, 0x000D, b"UI", b"2.25.1%08d" % number),
        )
    )


def image(size: int, instance: str = INSTANCE) -> bytes:
    """What stands before `size` bytes of pixels in a data set: what an archive files it by."""
    return _identity(instance) + struct.pack("<HH2sxxI", 0x7FE0, 0x0010, b"OW", size)


def encapsulated(instance: str = INSTANCE) -> bytes:
    """The same before encapsulated pixels, PS3.5 A.4: items, as many as one likes."""
    pixels = struct.pack("<HH2sxxI", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF)
    return _identity(instance) + pixels + item_header(0)


def item_header(size: int) -> bytes:
    """Of one fragment of encapsulated pixels."""
    return struct.pack("<HHI", 0xFFFE, 0xE000, size)


def sequence_end() -> bytes:
    """After the last of them."""
    return struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def _identity(instance: str) -> bytes:
    return b"".join(
        (
            _element(0x0008, 0x0016, b"UI", _uid(CT_IMAGE)),
            _element(0x0008, 0x0018, b"UI", _uid(instance)),
            _element(0x0010, 0x0020, b"LO", b"BENCH "),
            _element(0x0020, 0x000D, b"UI", _uid(f"{INSTANCE}.1")),
            _element(0x0020, 0x000E, b"UI", _uid(f"{INSTANCE}.2")),
        )
    )


def answer(kind: int, body: bytes, max_length: int) -> bytes | None:
    """What an acceptor answers to a whole PDU that is no P-DATA-TF; None for one without an answer."""
    if kind == ASSOCIATE_RQ:
        return associate_ac(body, max_length)
    return release_rp() if kind == RELEASE_RQ else None


def _associate(kind: int, titles: bytes, contexts: bytes, max_length: int) -> bytes:
    user = _item(0x51, struct.pack(">I", max_length)) + _item(0x52, IMPLEMENTATION.encode())
    items = _item(0x10, APPLICATION_CONTEXT.encode()) + contexts + _item(0x50, user)
    return pdu(kind, struct.pack(">Hxx", 1) + titles + bytes(32) + items)


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, length = struct.unpack_from(">BxH", data)
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]


def _first_transfer_syntax(context: bytes) -> bytes:
    return next(body for kind, body in _items(context[4:]) if kind == 0x40)


def _us(value: int) -> bytes:
    return struct.pack("<H", value)


def _uid(value: str) -> bytes:
    return value.encode() + b"\0" * (len(value) % 2)


def _command(*elements: tuple[int, bytes]) -> bytes:
    body = b"".join(struct.pack("<HHI", 0, tag, len(value)) + value for tag, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _elements(command: bytes) -> Iterator[tuple[int, bytes]]:
    while command:
        _, tag, length = struct.unpack_from("<HHI", command)
        yield tag, command[8 : 8 + length]
        command = command[8 + length :]


def _unsigned(command: bytes, tag: int) -> int:
    (value,) = struct.unpack("<H", dict(_elements(command))[tag])
    return int(value)


def _element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value
