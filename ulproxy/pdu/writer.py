"""Everything the relay itself says, but for A-ASSOCIATE-RQ and -AC: bytes of whole PDUs (PS3.8 9.3)."""

from __future__ import annotations

import struct
from typing import Final

from ulproxy.pdu.types import PduType, Rejection

_PDV: Final = struct.Struct(">BxLLBB")

# The longest P-DATA-TF of our own towards a receiver that knows no limit.
UNLIMITED_FRAGMENT: Final = 1 << 16

A_RELEASE_RQ: Final = bytes([PduType.A_RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0])
A_RELEASE_RP: Final = bytes([PduType.A_RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0])


def a_associate_rj(rejection: Rejection) -> bytes:
    """PS3.8 9.3.4."""
    return bytes([PduType.A_ASSOCIATE_RJ, 0, 0, 0, 0, 4, 0, *rejection])


def a_abort(source: int, reason: int) -> bytes:
    """PS3.8 9.3.8; the reason is sent as 0 when the source is the service-user."""
    return bytes([PduType.A_ABORT, 0, 0, 0, 0, 4, 0, 0, source, reason if source else 0])


def p_data_header(context_id: int, control: int, length: int) -> bytes:
    """The twelve bytes before a fragment of `length` bytes that is alone in its P-DATA-TF."""
    return _PDV.pack(PduType.P_DATA_TF, length + 6, length + 2, context_id, control)


def command_message(context_id: int, command: bytes, maximum_length: int) -> bytes:
    """A command set as command fragments, none longer than the receiver takes (PS3.8 E.1, E.2).

    `maximum_length` is the receiver's, in bytes: 0 = no limit, else at least 8.
    """
    if len(command) + 6 <= maximum_length:  # as they nearly all are
        return p_data_header(context_id, 0b11, len(command)) + command
    return _fragments(context_id, 0b01, command, maximum_length)


def data_set_message(context_id: int, data_set: bytes, maximum_length: int) -> bytes:
    """The same for a data set, as data fragments."""
    return _fragments(context_id, 0b00, data_set, maximum_length)


def _fragments(context_id: int, control: int, data: bytes, maximum_length: int) -> bytes:
    room = (maximum_length - 6) & ~1 if maximum_length else UNLIMITED_FRAGMENT
    if len(data) <= room:  # an empty data set has a fragment too
        return p_data_header(context_id, control | 0b10, len(data)) + data
    parts = []
    for start in range(0, len(data), room):
        fragment = data[start : start + room]
        last = 0b10 if start + room >= len(data) else 0
        parts += [p_data_header(context_id, control | last, len(fragment)), fragment]
    return b"".join(parts)
