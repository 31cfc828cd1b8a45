"""One A-ASSOCIATE-RQ and one -AC by hand, from PS3.8 Tables 9-11 to 9-18 and D.1."""

from __future__ import annotations

from ulproxy.pdu.associate import (
    AAssociateAC,
    AAssociateRQ,
    PresentationContextAC,
    PresentationContextRQ,
)
from ulproxy.pdu.items import UserInformation

CT = b"1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1"
TITLES = b"PACS            WS1             " + bytes(32)

# Every length is a number here, so that no helper can be wrong.
RQ_BODY = (
    b"\x00\x01\x00\x00"  # protocol version, reserved
    b"PACS            "  # called
    b"WS1             "  # calling
    + bytes(32)
    + b"\x10\x00\x00\x151.2.840.10008.3.1.1.1"
    + (b"\x20\x00\x00\x4d" + b"\x01\x00\x00\x00")
    + b"\x30\x00\x00\x191.2.840.10008.5.1.4.1.1.2"
    + b"\x40\x00\x00\x111.2.840.10008.1.2"
    + b"\x40\x00\x00\x131.2.840.10008.1.2.1"
    + (b"\x20\x00\x00\x2e" + b"\xff\x00\x00\x00")
    + b"\x30\x00\x00\x111.2.840.10008.1.1"
    + b"\x40\x00\x00\x111.2.840.10008.1.2"
    + b"\x50\x00\x00\x1a"
    + b"\x51\x00\x00\x04\x00\x00\x40\x00"
    + b"\x52\x00\x00\x031.2"
    + b"\x55\x00\x00\x07RELAY_1"
)
RQ = AAssociateRQ(
    TITLES,
    (
        PresentationContextRQ(
            1, "1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
        ),
        PresentationContextRQ(255, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),
    ),
    UserInformation(16384, "1.2", implementation_version_name="RELAY_1"),
)
AC_BODY = (
    b"\x00\x01\x00\x00"
    + TITLES
    + b"\x10\x00\x00\x151.2.840.10008.3.1.1.1"
    + (b"\x21\x00\x00\x19" + b"\x01\x00\x00\x00" + b"\x40\x00\x00\x111.2.840.10008.1.2")
    + (b"\x21\x00\x00\x08" + b"\xff\x00\x03\x00" + b"\x40\x00\x00\x00")
    + b"\x50\x00\x00\x08"
    + b"\x51\x00\x00\x04\x00\x00\x00\x00"
)
AC = AAssociateAC(
    TITLES,
    (PresentationContextAC(1, 0, "1.2.840.10008.1.2"), PresentationContextAC(255, 3, "")),
    UserInformation(0),
)
