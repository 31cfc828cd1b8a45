"""What somebody spoke who did not speak DICOM: a name for the log, from the first bytes that came."""

from __future__ import annotations

import re
from typing import Final

from ulproxy.pdu.types import PduType

_HTTP: Final = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|CONNECT|TRACE|PATCH|PRI) ")
_PDU_TYPES: Final = frozenset(bytes([pdu_type]) for pdu_type in PduType)


def spoken(first: bytes) -> str:
    """The protocol that begins with these bytes; what is unknown is shown as hexadecimal digits."""
    if first[:2] == b"\x16\x03":  # RFC 8446 5.1: a handshake record
        return "TLS on a plain port"
    if _HTTP.match(first):
        return "HTTP"
    if first.startswith(b"SSH-"):  # RFC 4253 4.2
        return "SSH"
    if first[:1] in _PDU_TYPES and first[1:2] == b"\0":  # PS3.8 9.3.1: type, reserved
        return "DICOM"
    return f"an unknown protocol ({first[:8].hex(' ')})"
