"""The few DICOM bytes that the benchmark's own peers say, written by hand from PS3.8 and PS3.7.

Nothing here is shared with ulproxy, so a mistake there cannot hide behind the same mistake here. It
does only what a well-behaved peer of the benchmark needs: associations are accepted as proposed,
C-ECHO and C-STORE are answered with success, a release is confirmed.
"""

import struct
from collections.abc import Iterator

ASSOCIATE_RQ, ASSOCIATE_AC, DATA, RELEASE_RQ, RELEASE_RP = 1, 2, 4, 5, 6
COMMAND, LAST = 1, 2  # bits of the message control header
C_STORE_RQ, C_ECHO_RQ, RESPONSE = 0x0001, 0x0030, 0x8000
PDV_HEADER = struct.Struct(">IBB")  # length, presentation context id, message control header

VERIFICATION = "1.2.840.10008.1.1"
MULTI_FRAME_BYTE_SC = "1.2.840.10008.5.1.4.1.1.7.2"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION = "2.25.329800735698586629295641978511506172918"


def pdu(kind: int, body: bytes) -> bytes:
    """Any PDU: type, reserved, length, body."""
    return struct.pack(">BxI", kind, len(body)) + body


def data_pdu(context_id: int, control: int, fragment: bytes) -> bytes:
    """A P-DATA-TF with one PDV."""
    return pdu(DATA, PDV_HEADER.pack(len(fragment) + 2, context_id, control) + fragment)


def release_rq() -> bytes:
    """A-RELEASE-RQ."""
    return pdu(RELEASE_RQ, bytes(4))


def associate_rq(called: str, abstract: str, transfer: str, max_length: int) -> bytes:
    """A-ASSOCIATE-RQ with one presentation context, id 1."""
    context = bytes((1, 0, 0, 0)) + _item(0x30, abstract.encode()) + _item(0x40, transfer.encode())
    titles = f"{called:16}{'BENCH_SCU':16}".encode()
    return _associate(ASSOCIATE_RQ, titles, _item(0x20, context), max_length)


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
        (0x0800, _us(0x0101)),
    )


def store_rq(sop_class: str, sop_instance: str) -> bytes:
    """C-STORE-RQ with Message ID 1 as a command set; a data set follows."""
    return _command(
        (0x0002, _uid(sop_class)),
        (0x0100, _us(C_STORE_RQ)),
        (0x0110, _us(1)),
        (0x0700, _us(0)),
        (0x0800, _us(0x0001)),
        (0x1000, _uid(sop_instance)),
    )


def success(command: bytes) -> bytes:
    """The response to a request's command set, with Status 0000H."""
    asked = dict(_elements(command))
    (field,) = struct.unpack("<H", asked[0x0100])
    answer = [
        (0x0002, asked[0x0002]),
        (0x0100, _us(field | RESPONSE)),
        (0x0120, asked[0x0110]),
        (0x0800, _us(0x0101)),
        (0x0900, _us(0)),
    ]
    return _command(*answer, *([(0x1000, asked[0x1000])] if 0x1000 in asked else []))


def status(command: bytes) -> int:
    """The Status of a response's command set."""
    (value,) = struct.unpack("<H", dict(_elements(command))[0x0900])
    return int(value)


def answer(kind: int, body: bytes, max_length: int) -> bytes | None:
    """What an acceptor answers to a whole PDU; None for one that needs no answer (yet).

    A command is taken to come in one fragment, which any sender of a few hundred bytes does.
    """
    if kind == ASSOCIATE_RQ:
        return associate_ac(body, max_length)
    if kind == RELEASE_RQ:
        return pdu(RELEASE_RP, bytes(4))
    if kind == DATA:
        _, context_id, control = PDV_HEADER.unpack_from(body)
        if control == COMMAND | LAST:
            return data_pdu(context_id, COMMAND | LAST, success(body[6:]))
    return None


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
