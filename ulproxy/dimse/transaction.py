"""What the relay reads in data sets: Transaction UID, Failed SOP Instance UID List (PS3.4 J.3, C.4.2).

A storage commitment result comes on another association than its request; the Transaction UID tells that
they belong together. A C-MOVE or C-GET that several archives answer has one list of what failed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import Final

from ulproxy.dimse.elements import (
    ITEM_DELIMITATION,
    SEQUENCE_DELIMITATION,
    Header,
    Work,
    header,
)
from ulproxy.pdu.types import IMPLICIT_VR_LITTLE_ENDIAN

TRANSACTION_UID: Final = 0x0008_1195
FAILED_SOP_INSTANCE_UID_LIST: Final = 0x0008_0058
MAX_FAILED_LIST: Final = 0xFFFE  # PS3.5 7.1.2: UI has a length of 16 bits, and it is even
_UID: Final = re.compile(r"[0-9.]{1,64}")  # PS3.5 9.1, as far as everybody keeps to it
_ON_HEADER: Final = 6  # see `Work`
_ON_UID: Final = 2


def transaction_uid(data_set: bytes, transfer_syntax: str) -> str:
    """Transaction UID (0008,1195) of a storage commitment N-ACTION or N-EVENT-REPORT; empty if there is none.

    `transfer_syntax` is Implicit or Explicit VR Little Endian. Raises RemoteProtocolError where the data set
    cannot be read as far as that.
    """
    uids = _uids(data_set, transfer_syntax, TRANSACTION_UID)
    return uids[0] if len(uids) == 1 else ""


def failed_instances(data_set: bytes, transfer_syntax: str) -> tuple[str, ...]:
    """Failed SOP Instance UID List (0008,0058) of a C-MOVE or C-GET response, without what is no UID.

    Arguments and errors are those of `transaction_uid`.
    """
    return _uids(data_set, transfer_syntax, FAILED_SOP_INSTANCE_UID_LIST)


def failed_list(uids: Iterable[str], transfer_syntax: str) -> bytes:
    """A data set of nothing but a Failed SOP Instance UID List (0008,0058).

    In explicit VR it has at most 65534 bytes: UIDs that would be beyond are left out, so the list is shorter
    than the number of failed sub-operations.
    """
    value = "\\".join(uids).encode("ascii")
    tag = FAILED_SOP_INSTANCE_UID_LIST
    name = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN:
        value += b"\0" * (len(value) % 2)  # PS3.5 6.2: UI is padded with NUL
        return name + struct.pack("<L", len(value)) + value
    if len(value) > MAX_FAILED_LIST:
        value = value[: value.rfind(b"\\", 0, MAX_FAILED_LIST + 1)]
    value += b"\0" * (len(value) % 2)
    return name + b"UI" + struct.pack("<H", len(value)) + value


def _uids(data: bytes, transfer_syntax: str, tag: int) -> tuple[str, ...]:
    """The UIDs in the first element with this tag that is in no item."""
    implicit, work, at = transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN, Work(), 0
    while at < len(data):
        work.spend(_ON_HEADER)
        element = header(data, at, len(data), implicit=implicit)
        if element.undefined:
            at = _behind(data, element, work, implicit=implicit)
            continue
        at = element.start + element.length
        if element.tag == tag:
            work.spend(_ON_UID * data.count(b"\\", element.start, at))
            texts = data[element.start : at].decode("latin-1").split("\\")
            uids = (text.strip(" \0") for text in texts)
            return tuple(uid for uid in uids if _UID.fullmatch(uid))
    return ()


def _behind(data: bytes, sequence: Header, work: Work, *, implicit: bool) -> int:
    """Where a sequence of undefined length ends; those in it may have one or not."""
    at, inside = sequence.start, [implicit or sequence.vr == b"UN"]  # PS3.5 6.2.2 note 4
    while inside:
        work.spend(_ON_HEADER)
        element = header(data, at, len(data), implicit=inside[-1])
        at = element.start
        if element.undefined:
            inside.append(inside[-1] or element.vr == b"UN")
        elif element.tag in {ITEM_DELIMITATION, SEQUENCE_DELIMITATION}:
            inside.pop()
        else:
            at += element.length
    return at
