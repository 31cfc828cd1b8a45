"""Elements of a data set that is held as bytes, by the letter of PS3.5 7, in the two little endian syntaxes.

Nothing is decoded: a reader goes from header to header. What PS3.5 does not allow raises
RemoteProtocolError, because receivers differ in how they go on from there. What a data set may cost is
counted in `Work`, because one thread reads those of all associations.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import AbortReason

ITEM: Final = 0xFFFE_E000
ITEM_DELIMITATION: Final = 0xFFFE_E00D
SEQUENCE_DELIMITATION: Final = 0xFFFE_E0DD
UNDEFINED_LENGTH: Final = 0xFFFF_FFFF

# PS3.5 7.1.2: VRs with 16 and with 32 bits of length.
SHORT: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_IMPLICIT: Final = struct.Struct("<HHL")
_EXPLICIT: Final = struct.Struct("<HH2sH")
_LENGTH: Final = struct.Struct("<L")

# A storage commitment report of 17 000 instances, each with a Retrieve AE Title: a tenth of a second.
MAX_WORK: Final = 450_000


class Work:
    """What may still be done for a data set; 1 is what it takes to pass over an element, 0.2 µs."""

    def __init__(self, limit: int = MAX_WORK) -> None:
        self.left = limit

    def spend(self, amount: int) -> None:
        """Raises RemoteProtocolError where that is more than is left."""
        self.left -= amount
        if self.left < 0:
            raise RemoteProtocolError("data set of too many elements", AbortReason.NOT_SPECIFIED)


class Header(NamedTuple):
    """The header from `at` to `start`, where the value begins; items and delimiters have one too."""

    tag: int
    vr: bytes  # empty where the data set does not say
    length: int
    at: int
    start: int

    @property
    def undefined(self) -> bool:
        """Whether a delimiter ends it."""
        return self.length == UNDEFINED_LENGTH


def header(data: bytes, at: int, end: int, *, implicit: bool) -> Header:
    """The header at this place; `end` is that of what the element is in (PS3.5 7.1).

    Raises RemoteProtocolError where the element does not fit, or has no VR of PS3.5.
    """
    start = at + 8
    if start > end:
        raise RemoteProtocolError("data set ends within an element")
    group, number, length = _IMPLICIT.unpack_from(data, at)
    vr = b""
    if not implicit and group != 0xFFFE:
        _, _, vr, length = _EXPLICIT.unpack_from(data, at)
        if vr in LONG and start + 4 <= end:
            (length,) = _LENGTH.unpack_from(data, start)
            start += 4
        elif vr not in SHORT:
            raise RemoteProtocolError("element without a VR of PS3.5")
    if length > end - start and length != UNDEFINED_LENGTH:
        raise RemoteProtocolError("element longer than what it is in")
    return Header(group << 16 | number, vr, length, at, start)
