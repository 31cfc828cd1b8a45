"""The enumerations of PS3.8 chapter 9 and annex D, and the limits of this implementation."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

APPLICATION_CONTEXT_NAME: Final = "1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1, the only one there is
# Transfer syntaxes that the relay itself speaks, and reads AE titles in (PS3.5 10.1, A.1, A.2).
IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"

# An A-ASSOCIATE-RQ with 128 contexts of 30 transfer syntaxes each is 280 KB; SAML adds up to 64 KB.
MAX_CONTROL_PDU: Final = 1 << 20
# The fixed part of an A-ASSOCIATE-RQ or -AC: versions, titles, reserved (PS3.8 Tables 9-11, 9-17).
MIN_ASSOCIATE_PDU: Final = 68
# A command set is a few hundred bytes; only an Attribute Identifier List makes it long (16 000 tags fit).
MAX_COMMAND: Final = 1 << 16


class PduType(IntEnum):
    """PS3.8 9.3.1: the seven PDUs."""

    A_ASSOCIATE_RQ = 1
    A_ASSOCIATE_AC = 2
    A_ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    A_RELEASE_RQ = 5
    A_RELEASE_RP = 6
    A_ABORT = 7


class ItemType(IntEnum):
    """PS3.8 9.3.2, 9.3.3, D.1-D.3 and PS3.7 D.3.3: items and sub-items."""

    APPLICATION_CONTEXT = 0x10
    PRESENTATION_CONTEXT_RQ = 0x20
    PRESENTATION_CONTEXT_AC = 0x21
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER_INFORMATION = 0x50
    MAXIMUM_LENGTH = 0x51
    IMPLEMENTATION_CLASS_UID = 0x52
    ASYNCHRONOUS_OPERATIONS_WINDOW = 0x53
    ROLE_SELECTION = 0x54
    IMPLEMENTATION_VERSION_NAME = 0x55
    SOP_CLASS_EXTENDED = 0x56
    SOP_CLASS_COMMON_EXTENDED = 0x57
    USER_IDENTITY_RQ = 0x58
    USER_IDENTITY_AC = 0x59


class Result(IntEnum):
    """PS3.8 Table 9-18: Result/Reason of a presentation context in the A-ASSOCIATE-AC."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class AbortSource(IntEnum):
    """PS3.8 Table 9-26: who aborts; 1 is reserved."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """PS3.8 Table 9-26: why the service-provider aborts; 3 is reserved."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER_VALUE = 6


class Rejection(NamedTuple):
    """PS3.8 Table 9-21: the three fields of an A-ASSOCIATE-RJ."""

    result: int
    source: int
    reason: int

    @property
    def legal(self) -> bool:
        """Whether Table 9-21 has this triple and does not reserve it."""
        return self.result in (1, 2) and self.reason in _REASONS.get(self.source, ())


_REASONS: Final = {1: (1, 2, 3, 7), 2: (1, 2), 3: (1, 2)}

NO_REASON = Rejection(1, 1, 1)
APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection(1, 1, 2)
CALLING_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 3)
CALLED_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 7)
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(1, 2, 2)
NO_REASON_TRANSIENT_ACSE = Rejection(2, 2, 1)
TEMPORARY_CONGESTION = Rejection(2, 3, 1)
LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2)
