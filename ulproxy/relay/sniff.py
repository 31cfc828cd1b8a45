"""What somebody spoke who did not speak DICOM: a name for the log, from the first bytes that came."""

from __future__ import annotations

import re
from typing import Final

from ulproxy.pdu.types import PduType

_HTTP: Final = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|CONNECT|TRACE|PATCH|PRI) ")
_PDU_TYPES: Final = frozenset(bytes([pdu_type]) for pdu_type in PduType)
_HANDSHAKE: Final = b"\x16"  # RFC 8446 5.1: the content type of the record that TLS begins with
_ALERT: Final = b"\x15"


def spoken(first: bytes) -> str:
    """The protocol that begins with these bytes; what is unknown is shown as hexadecimal digits."""
    if first[:2] == _HANDSHAKE + b"\x03":
        return "TLS on a plain port"
    if _HTTP.match(first):
        return "HTTP"
    if first.startswith(b"SSH-"):  # RFC 4253 4.2
        return "SSH"
    if first[:1] in _PDU_TYPES and first[1:2] == b"\0":  # PS3.8 9.3.1: type, reserved
        return "DICOM"
    return f"an unknown protocol ({first[:8].hex(' ')})"


def spoken_for_tls(first: bytes) -> str:
    """The same for bytes that came where TLS was expected; `is_tls` has found that it is not."""
    what = spoken(first)
    if what == "DICOM":
        return "plain DICOM on a TLS port"
    return f"{what} on a TLS port"


def is_tls(first: bytes | memoryview) -> bool:
    """Whether a peer may mean TLS by its first bytes: a handshake, or an alert that refuses ours."""
    return first[:1] in (_HANDSHAKE, _ALERT)
