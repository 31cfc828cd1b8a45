"""What somebody spoke who did not speak DICOM: a name for the log, from the first bytes that came."""

from __future__ import annotations

import re
from typing import Final

_HTTP: Final = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|CONNECT|TRACE|PATCH|PRI) ")


def spoken(first: bytes) -> str:
    """The protocol that begins with these bytes; what is unknown is shown as hexadecimal digits."""
    if first[:2] == b"\x16\x03":  # RFC 8446 5.1: a handshake record
        return "TLS on a plain port"
    if _HTTP.match(first):
        return "HTTP"
    if first.startswith(b"SSH-"):  # RFC 4253 4.2
        return "SSH"
    if first[:2] in (
        b"\x01\x00",
        b"\x02\x00",
        b"\x03\x00",
        b"\x04\x00",
        b"\x05\x00",
        b"\x06\x00",
        b"\x07\x00",
    ):
        return "DICOM"
    return f"an unknown protocol ({first[:8].hex(' ')})"
