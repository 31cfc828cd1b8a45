"""PS3.8 and PS3.7 E once more, for the tests alone: an encoder by hand (listener.py reads)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
JPEG: Final = "1.2.840.10008.1.2.4.50"
VERIFICATION: Final = "1.2.840.10008.1.1"
CT: Final = "1.2.840.10008.5.1.4.1.1.2"
MR: Final = "1.2.840.10008.5.1.4.1.1.4"
STUDY_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
COMMITMENT: Final = "1.2.840.10008.1.20.1"
MPPS: Final = "1.2.840.10008.3.1.2.3.3"
PRINTER: Final = "1.2.840.10008.5.1.1.16"
PRIVATE: Final = "1.2.826.0.1.3680043.9.9999.1"
APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"

RELEASE_RQ: Final = bytes.fromhex("05000000000400000000")
RELEASE_RP: Final = bytes.fromhex("06000000000400000000")


def abort(source: int, reason: int) -> bytes:
    return bytes([7, 0, 0, 0, 0, 4, 0, 0, source, reason])


def rj(result: int, source: int, reason: int) -> bytes:
    return bytes([3, 0, 0, 0, 0, 4, 0, result, source, reason])


def pdu(kind: int, body: bytes) -> bytes:
    return bytes([kind, 0]) + len(body).to_bytes(4, "big") + body


def item(kind: int, body: bytes | str) -> bytes:
    raw = body.encode("ascii") if isinstance(body, str) else body
    return bytes([kind, 0]) + len(raw).to_bytes(2, "big") + raw


def counted(body: bytes | str) -> bytes:
    return item(0, body)[2:]


def window(invoked: int, performed: int) -> bytes:
    return item(0x53, invoked.to_bytes(2, "big") + performed.to_bytes(2, "big"))


def role(uid: str, scu: int, scp: int) -> bytes:
    return item(0x54, counted(uid) + bytes([scu, scp]))


def extended(uid: str, information: bytes) -> bytes:
    return item(0x56, counted(uid) + information)


def common(uid: str, service: str, *related: str) -> bytes:
    return item(0x57, counted(uid) + counted(service) + counted(b"".join(map(counted, related))))


def identity(kind: int, wants_response: int, primary: bytes, secondary: bytes = b"") -> bytes:
    return item(0x58, bytes([kind, wants_response]) + counted(primary) + counted(secondary))


def server_response(data: bytes) -> bytes:
    return item(0x59, counted(data))


def titles(called: str, calling: str) -> bytes:
    return called.encode("latin-1").ljust(16) + calling.encode("latin-1").ljust(16) + bytes(32)


@dataclass(frozen=True)
class Asked:
    """A presentation context of an A-ASSOCIATE-RQ."""

    context_id: int
    abstract: str
    transfer: tuple[str, ...] = (IMPLICIT,)

    def encoded(self) -> bytes:
        syntaxes = b"".join(item(0x40, name) for name in self.transfer)
        return item(0x20, bytes([self.context_id, 0, 0, 0]) + item(0x30, self.abstract) + syntaxes)


@dataclass(frozen=True)
class Given:
    """A presentation context of an A-ASSOCIATE-AC."""

    context_id: int
    result: int = 0
    transfer: str = IMPLICIT

    def encoded(self) -> bytes:
        return item(0x21, bytes([self.context_id, 0, self.result, 0]) + item(0x40, self.transfer))


def user_information(
    maximum_length: int | None,
    implementation: str | None = "1.2.276.0.99",
    version_name: str | None = "PEER_1",
    extras: Iterable[bytes] = (),
) -> bytes:
    """Sub-items in the order of their types, as the standard's examples and the relay have them."""
    parts = list(extras)
    if maximum_length is not None:
        parts.append(item(0x51, maximum_length.to_bytes(4, "big")))
    if implementation is not None:
        parts.append(item(0x52, implementation))
    if version_name is not None:
        parts.append(item(0x55, version_name))
    parts.sort(key=lambda part: part[:1])
    return item(0x50, b"".join(parts))


def associate(
    kind: int,
    raw_titles: bytes,
    contexts: Iterable[Asked | Given],
    information: bytes,
    *,
    version: int = 1,
    application_context: str = APPLICATION_CONTEXT,
) -> bytes:
    body = version.to_bytes(2, "big") + bytes(2) + raw_titles
    body += item(0x10, application_context)
    body += b"".join(context.encoded() for context in contexts) + information
    return pdu(kind, body)


def rq(
    called: str,
    calling: str,
    contexts: Iterable[Asked],
    maximum_length: int = 16384,
    extras: Iterable[bytes] = (),
    *,
    version: int = 1,
    application_context: str = APPLICATION_CONTEXT,
) -> bytes:
    """An A-ASSOCIATE-RQ of a peer."""
    information = user_information(maximum_length, extras=extras)
    raw = titles(called, calling)
    return associate(
        1, raw, contexts, information, version=version, application_context=application_context
    )


def ac(
    contexts: Iterable[Given],
    maximum_length: int = 16384,
    extras: Iterable[bytes] = (),
    raw_titles: bytes = bytes(64),
) -> bytes:
    """An A-ASSOCIATE-AC of a peer; nobody tests its titles (PS3.8 9.3.3)."""
    return associate(2, raw_titles, contexts, user_information(maximum_length, extras=extras))


def p_data(*pdvs: bytes) -> bytes:
    return pdu(4, b"".join(pdvs))


def pdv(context_id: int, control: int, data: bytes) -> bytes:
    return (len(data) + 2).to_bytes(4, "big") + bytes([context_id, control]) + data


def fragment(context_id: int, data: bytes, *, last: bool = True) -> bytes:
    """A data fragment alone in its P-DATA-TF."""
    return p_data(pdv(context_id, 0b10 if last else 0, data))


def us(value: int) -> bytes:
    return value.to_bytes(2, "little")


def text(value: str) -> bytes:
    return (value + " " * (len(value) % 2)).encode("latin-1")


def uid(value: str) -> bytes:
    return (value + "\0" * (len(value) % 2)).encode("ascii")


Elements = Mapping[int, bytes]


def command_set(elements: Elements) -> bytes:
    """PS3.7 6.3.1 and E.1: group length first, elements ascending, implicit VR little endian."""
    body = b"".join(
        (number >> 16).to_bytes(2, "little")
        + (number & 0xFFFF).to_bytes(2, "little")
        + len(value).to_bytes(4, "little")
        + value
        for number, value in sorted(elements.items())
    )
    return bytes([0, 0, 0, 0, 4, 0, 0, 0]) + len(body).to_bytes(4, "little") + body


def command(context_id: int, elements: Elements) -> bytes:
    """A command set in one P-DATA-TF."""
    return p_data(pdv(context_id, 0b11, command_set(elements)))


def commands_of(context_id: int, raw: bytes, room: int) -> bytes:
    """A command set in fragments of `room` bytes, each alone in its P-DATA-TF."""
    parts = [raw[start : start + room] for start in range(0, len(raw), room)]
    return b"".join(
        p_data(pdv(context_id, 0b01 | (0b10 if index == len(parts) - 1 else 0), part))
        for index, part in enumerate(parts)
    )


# PS3.7 E.1: Command Fields and the elements that the tests name.
C_STORE, C_GET, C_FIND, C_MOVE, C_ECHO, C_CANCEL = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030, 0x0FFF
N_EVENT_REPORT, N_GET, N_SET, N_ACTION, N_CREATE, N_DELETE = range(0x0100, 0x0151, 0x10)
AFFECTED_CLASS, REQUESTED_CLASS, FIELD, MESSAGE_ID = 0x0002, 0x0003, 0x0100, 0x0110
RESPONDED_TO, DESTINATION, PRIORITY, DATA_SET_TYPE = 0x0120, 0x0600, 0x0700, 0x0800
STATUS, ERROR_COMMENT, AFFECTED_INSTANCE, REQUESTED_INSTANCE = 0x0900, 0x0902, 0x1000, 0x1001
EVENT_TYPE, ACTION_TYPE, REMAINING = 0x1002, 0x1008, 0x1020
ORIGINATOR, ORIGINATOR_ID = 0x1030, 0x1031
NO_DATA, HAS_DATA = us(0x0101), us(0x0000)


def request(
    field: int, message_id: int, sop_class: str, *, data: bool = False, more: Elements | None = None
) -> dict[int, bytes]:
    return {
        AFFECTED_CLASS: uid(sop_class),
        FIELD: us(field),
        MESSAGE_ID: us(message_id),
        DATA_SET_TYPE: HAS_DATA if data else NO_DATA,
        **(more or {}),
    }


def response(
    field: int,
    message_id: int,
    sop_class: str | None,
    status: int = 0,
    *,
    data: bool = False,
    more: Elements | None = None,
) -> dict[int, bytes]:
    elements = {
        FIELD: us(field | 0x8000),
        RESPONDED_TO: us(message_id),
        DATA_SET_TYPE: HAS_DATA if data else NO_DATA,
        STATUS: us(status),
        **(more or {}),
    }
    return elements if sop_class is None else {AFFECTED_CLASS: uid(sop_class), **elements}


def echo_rq(message_id: int) -> dict[int, bytes]:
    return request(C_ECHO, message_id, VERIFICATION)


def echo_rsp(message_id: int, status: int = 0) -> dict[int, bytes]:
    return response(C_ECHO, message_id, VERIFICATION, status)


def store_rq(
    message_id: int,
    instance: str = "1.2.3.4",
    sop_class: str = CT,
    originator: tuple[str, int] | None = None,
) -> dict[int, bytes]:
    elements = {PRIORITY: us(0), AFFECTED_INSTANCE: uid(instance)}
    if originator is not None:
        elements |= {ORIGINATOR: text(originator[0]), ORIGINATOR_ID: us(originator[1])}
    return request(C_STORE, message_id, sop_class, data=True, more=elements)


def store_rsp(
    message_id: int, status: int = 0, instance: str = "1.2.3.4", sop_class: str = CT
) -> dict[int, bytes]:
    more = {AFFECTED_INSTANCE: uid(instance)}
    return response(C_STORE, message_id, sop_class, status, more=more)


def find_rq(message_id: int, sop_class: str = STUDY_FIND) -> dict[int, bytes]:
    return request(C_FIND, message_id, sop_class, data=True, more={PRIORITY: us(0)})


def get_rq(message_id: int, sop_class: str = STUDY_GET) -> dict[int, bytes]:
    return request(C_GET, message_id, sop_class, data=True, more={PRIORITY: us(0)})


def move_rq(message_id: int, destination: str, sop_class: str = STUDY_MOVE) -> dict[int, bytes]:
    more = {PRIORITY: us(0), DESTINATION: text(destination)}
    return request(C_MOVE, message_id, sop_class, data=True, more=more)


def cancel_rq(message_id: int) -> dict[int, bytes]:
    return {FIELD: us(C_CANCEL), RESPONDED_TO: us(message_id), DATA_SET_TYPE: NO_DATA}
