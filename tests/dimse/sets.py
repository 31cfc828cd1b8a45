"""Command sets by hand: an element is a number and the bytes of a value, nothing is computed but lengths."""

from __future__ import annotations

import struct


def element(number: int, value: bytes, group: int = 0) -> bytes:
    """Implicit VR little endian (PS3.5 A.1): tag, 32 bit length, value as it is."""
    return struct.pack("<HHI", group, number, len(value)) + value


def command(*elements: bytes) -> bytes:
    """The elements behind a right Command Group Length (PS3.7 6.3.1)."""
    body = b"".join(elements)
    return element(0x0000, struct.pack("<I", len(body))) + body


def us(number: int, value: int) -> bytes:
    return element(number, struct.pack("<H", value))


FIELD, NO_DATA = us(0x0100, 0x0030), us(0x0800, 0x0101)

# Byte by byte, so that no helper can be wrong.
C_ECHO_RQ = bytes.fromhex(
    "00000000 04000000 38000000"  # Command Group Length: 56
    "00000200 12000000 312e322e3834302e31303030382e312e3100"  # Affected SOP Class UID, NUL
    "00000001 02000000 3000"
    "00001001 02000000 0700"  # Message ID 7
    "00000008 02000000 0101"
)
C_MOVE_RQ = bytes.fromhex(
    "00000000 04000000 58000000"
    "00000200 1c000000 312e322e3834302e31303030382e352e312e342e312e322e322e3200"
    "00000001 02000000 2100"
    "00001001 02000000 ff7f"
    "00000006 04000000 57533120"  # Move Destination: WS1, space
    "00000007 02000000 0200"
    "00000008 02000000 0001"
)
C_STORE_RQ = command(
    element(0x0002, b"1.2.840.10008.5.1.4.1.1.2\0"),
    us(0x0100, 0x0001),
    us(0x0110, 5),
    us(0x0700, 0),
    us(0x0800, 0x0001),
    element(0x1000, b"1.2.3.4\0"),
    element(0x1030, b"WS1 "),
    us(0x1031, 9),
)
C_FIND_RSP = command(
    element(0x0002, b"1.2.840.10008.5.1.4.1.2.2.1\0"),
    us(0x0100, 0x8020),
    us(0x0120, 3),
    us(0x0800, 0xFEFE),
    us(0x0900, 0xFF01),
    element(0x0902, b"none"),
)
N_ACTION_RQ = command(
    element(0x0003, b"1.2.840.10008.1.20.1"),
    us(0x0100, 0x0130),
    us(0x0110, 1),
    us(0x0800, 0x0001),
    element(0x1001, b"1.2.840.10008.1.20.1.1"),
    us(0x1008, 1),
)
N_GET_RQ = command(
    element(0x0003, b"1.2.840.10008.5.1.1.16"),
    us(0x0100, 0x0110),
    us(0x0110, 2),
    us(0x0800, 0x0101),
    element(0x1001, b"1.2.840.10008.5.1.1.17"),
    element(0x1005, bytes.fromhex("10201000 10202000")),
)
VALID = {
    "C-ECHO-RQ": C_ECHO_RQ,
    "C-MOVE-RQ": C_MOVE_RQ,
    "C-STORE-RQ": C_STORE_RQ,
    "C-FIND-RSP": C_FIND_RSP,
    "N-ACTION-RQ": N_ACTION_RQ,
    "N-GET-RQ": N_GET_RQ,
}
