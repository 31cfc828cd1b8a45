"""Headers of elements, at the ends of what they are in; and what may be done for one data set."""

from __future__ import annotations

import struct

import pytest

from ulproxy.dimse.elements import LONG, MAX_WORK, SHORT, UNDEFINED_LENGTH, Header, Work, header
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import AbortReason


def implicit(length: int) -> bytes:
    return struct.pack("<HHL", 0x0008, 0x0054, length)


def explicit(vr: bytes, length: int) -> bytes:
    if vr in LONG:
        return struct.pack("<HH2sHL", 0x0008, 0x0054, vr, 0, length)
    return struct.pack("<HH2sH", 0x0008, 0x0054, vr, length)


def refused(data: bytes, end: int, *, implicit: bool) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        header(data, 0, end, implicit=implicit)
    assert caught.value.reason == AbortReason.INVALID_PARAMETER_VALUE


def test_implicit():
    assert header(implicit(4), 0, 12, implicit=True) == Header(0x00080054, b"", 4, 0, 8)


@pytest.mark.parametrize("vr", sorted(SHORT | LONG))
def test_every_vr(vr):
    data = explicit(vr, 2)
    found = header(b"??" + data, 2, 2 + len(data) + 2, implicit=False)
    assert found == Header(0x00080054, vr, 2, 2, 2 + len(data))


def test_the_two_kinds_of_vr():
    """PS3.5 Tables 7.1-1 and 7.1-2, and all of 6.2."""
    assert not SHORT & LONG
    assert len(SHORT | LONG) == 34


@pytest.mark.parametrize("end", [7, 11])
def test_longer_than_what_it_is_in(end):
    refused(implicit(4), end, implicit=True)
    refused(explicit(b"AE", 4), end, implicit=False)
    refused(explicit(b"UT", 4), end, implicit=False)


@pytest.mark.parametrize("vr", [b"ZZ", b"ae", b"\0\0"])
def test_no_vr(vr):
    refused(explicit(vr, 0), 8, implicit=False)


@pytest.mark.parametrize("element", [0xE000, 0xE00D, 0xE0DD])
def test_items_and_delimiters_have_no_vr(element):
    data = struct.pack("<HHL", 0xFFFE, element, 0)
    assert header(data, 0, 8, implicit=False) == Header(0xFFFE0000 | element, b"", 0, 0, 8)


def test_an_undefined_length_fits_everywhere():
    for data, of in (
        (implicit(UNDEFINED_LENGTH), True),
        (explicit(b"SQ", UNDEFINED_LENGTH), False),
    ):
        found = header(data, 0, len(data), implicit=of)
        assert found.undefined
        assert found.start == len(data)
    assert not header(implicit(0), 0, 8, implicit=True).undefined


def test_a_length_in_16_bits_is_never_undefined():
    assert not header(explicit(b"LO", 0xFFFF), 0, 8 + 0xFFFF, implicit=False).undefined
    refused(explicit(b"LO", 0xFFFF), 8 + 0xFFFE, implicit=False)


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_what_may_be_spent(limit):
    work = Work(limit)
    work.spend(limit)
    assert work.left == 0
    with pytest.raises(RemoteProtocolError) as caught:
        work.spend(1)
    assert caught.value.reason == AbortReason.NOT_SPECIFIED


def test_how_much_there_is():
    assert Work().left == MAX_WORK
