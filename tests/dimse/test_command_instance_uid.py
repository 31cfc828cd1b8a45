"""Affected SOP Instance UID: what is one, because receivers use it as a file name."""

from __future__ import annotations

import pytest

from tests.dimse.sets import N_ACTION_RQ, NO_DATA, command, element, us
from ulproxy.dimse.command import CommandField, decode

INSTANCE_UIDS = [
    (b"1.2.3\0", True),
    (b"1.2.3.4", True),
    (b"1.2.3 ", True),  # padded like a title by some devices
    (b"0", True),
    (b"1.2.840.10008.1.20.1.1", True),
    (b"1.02", True),  # PS3.5 9.1 forbids the zero, receivers do not care
    (b"1" * 63 + b"\0", True),
    (b"1" * 64, True),
    (b"1.2" + b" " * 61, True),  # 64
    (b"1.2" + b"\0" * 63, False),  # 66: a receiver has room for 64
    (b" 1.2.3", False),
    (b"\0001.2.3", False),  # empty to who reads until NUL
    (b"1" * 65 + b"\0", False),
    (b"1" * 66, False),
    (b"1.2." * 16, False),  # 64, with a dot in the end
    (b"..", False),
    (b".", False),
    (b"1..2", False),
    (b".1", False),
    (b"1.", False),
    (b"../../etc/passwd", False),
    (b"/etc/passwd", False),
    (b"C:\\x", False),
    (b"1.2.3;rm -rf /", False),
    (b"1.2 3.4", False),
    (b"1.2\0.3", False),
    (b"1.2\n", False),
    (b"1.2.3a", False),
    (b"-1", False),
    (b"\xb2\xb3", False),  # digits of latin-1
    ("١٢".encode(), False),
]


@pytest.mark.parametrize(("value", "valid"), INSTANCE_UIDS)
@pytest.mark.parametrize("field", [0x0001, 0x0100, 0x0140, 0x8001])
def test_affected_sop_instance_uid(field, value, valid):
    value = value if len(value) % 2 == 0 else value + b"\0"
    read = decode(command(us(0x0100, field), NO_DATA, element(0x1000, value)))
    assert read.has_valid_instance_uid is valid


@pytest.mark.parametrize("field", [*CommandField, 0x8001, 0x8140])
@pytest.mark.parametrize("more", [(), (element(0x1000, b""),), (element(0x1000, b"\0\0"),)])
def test_only_a_c_store_must_have_one(field, more):
    """PS3.7 10.1.5.1.3: of an N-CREATE the SCP may choose it; the others have a requested one or none."""
    read = decode(command(us(0x0100, field), NO_DATA, *more))
    assert read.has_valid_instance_uid is (field != CommandField.C_STORE_RQ)


def test_the_requested_one_is_the_business_of_who_is_asked():
    assert decode(N_ACTION_RQ).has_valid_instance_uid
