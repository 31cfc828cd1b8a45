"""PDUs that a case says. Legal ones come from pdu/; these are for what no legal writer says."""

from __future__ import annotations

import struct
from typing import Final

from ulproxy.dimse.command import NO_DATA_SET, CommandField, Element, command_set
from ulproxy.dimse.services import VERIFICATION
from ulproxy.pdu.types import PduType

_PDU: Final = struct.Struct(">BBL")
_PDV: Final = struct.Struct(">LBB")
_AT_LIST: Final = 0x1005  # Attribute Identifier List: an element of any length (PS3.7 E.1)

COMMAND: Final = 0b01
LAST: Final = 0b10
WHOLE: Final = COMMAND | LAST
FIXED: Final = bytes(4)


def pdu(pdu_type: int, body: bytes, *, reserved: int = 0, length: int | None = None) -> bytes:
    """A PDU of any type; `length` where its header is to say another one than it has."""
    return _PDU.pack(pdu_type, reserved, len(body) if length is None else length) + body


def pdv(
    data: bytes, context_id: int = 1, control: int = WHOLE, *, length: int | None = None
) -> bytes:
    """A presentation data value item; `length` as above."""
    said = len(data) + 2 if length is None else length
    return _PDV.pack(said, context_id, control) + data


def p_data(*pdvs: bytes, reserved: int = 0, length: int | None = None) -> bytes:
    """A P-DATA-TF with these PDVs."""
    return pdu(PduType.P_DATA_TF, b"".join(pdvs), reserved=reserved, length=length)


def c_echo(message_id: int = 1, of_length: int = 0) -> bytes:
    """The command set of a C-ECHO-RQ; made so many bytes long by a list of attribute tags."""
    command = command_set(
        {
            Element.AFFECTED_SOP_CLASS_UID: VERIFICATION,
            Element.COMMAND_FIELD: CommandField.C_ECHO_RQ,
            Element.MESSAGE_ID: message_id,
            Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
        }
    ).encode()
    if not of_length:
        return command
    room = (of_length - len(command) - 8) & ~3
    tags = struct.pack("<HHL", 0, _AT_LIST, room) + bytes(room)
    head = command[:8] + (len(command) - 12 + len(tags)).to_bytes(4, "little")
    return head + command[12:] + tags


def echo(context_id: int = 1, message_id: int = 1) -> bytes:
    """A C-ECHO-RQ, whole, in a P-DATA-TF."""
    return p_data(pdv(c_echo(message_id), context_id))


def fragments(data: bytes, size: int, context_id: int = 1) -> list[bytes]:
    """A command cut into PDVs of so many bytes."""
    starts = range(0, len(data), size)
    return [
        pdv(
            data[at : at + size],
            context_id,
            COMMAND | (LAST if at + size >= len(data) else 0),
        )
        for at in starts
    ]
