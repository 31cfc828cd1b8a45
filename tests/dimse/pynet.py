"""pynetdicom's codec of command sets, as a second opinion."""

from __future__ import annotations

from typing import Any

from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu_primitives import P_DATA


def written_by_pynetdicom(message: Any, primitive: Any) -> bytes:
    """The command set that it sends for a primitive."""
    message.primitive_to_message(primitive)
    data = b""
    for p_data in message.encode_msg(1, 0):
        for _, fragment in p_data.presentation_data_value_list:
            if fragment[0] & 1:
                data += fragment[1:]
    return data


def read_by_pynetdicom(command: bytes) -> Any:
    """The primitive that it makes of a command set without a data set."""
    message = DIMSEMessage()
    p_data = P_DATA()
    values: list[Any] = [
        [1, b"\x03" + command]
    ]  # a tuple, says its annotation, and takes a list only
    p_data.presentation_data_value_list = values
    assert message.decode_msg(p_data)
    return message.message_to_primitive()
