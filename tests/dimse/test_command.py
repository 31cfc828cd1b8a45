"""Command sets: what is read, what is refused, and what is written, against bytes by hand."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzz.command import one_input
from tests.dimse.sets import (
    C_ECHO_RQ,
    C_FIND_RSP,
    C_MOVE_RQ,
    C_STORE_RQ,
    FIELD,
    NO_DATA,
    VALID,
    command,
    element,
    us,
)
from ulproxy.dimse.command import (
    CommandField,
    CommandSet,
    Element,
    Status,
    command_name,
    command_set,
    decode,
)
from ulproxy.errors import RemoteProtocolError

GROUP_LENGTH = 0x0000

# Reading


def test_c_echo_rq():
    read = decode(C_ECHO_RQ)
    assert read.command_field == read.request == CommandField.C_ECHO_RQ
    assert read.message_id == 7
    assert read.text(Element.AFFECTED_SOP_CLASS_UID) == "1.2.840.10008.1.1"
    assert (read.is_response, read.is_pending, read.has_data_set) == (False, False, False)
    assert Element.AFFECTED_SOP_CLASS_UID in read
    assert Element.STATUS not in read
    assert read.text(Element.MOVE_DESTINATION) == ""
    assert read.unsigned(Element.STATUS) == 0
    assert repr(read) == "CommandSet(0030H, id 7)"


def test_c_move_rq():
    read = decode(C_MOVE_RQ)
    assert read.command_field == CommandField.C_MOVE_RQ
    assert read.message_id == 0x7FFF
    assert read.text(Element.MOVE_DESTINATION) == "WS1"
    assert read.has_data_set


def test_c_store_rq():
    read = decode(C_STORE_RQ)
    assert read.text(Element.AFFECTED_SOP_INSTANCE_UID) == "1.2.3.4"
    assert read.text(Element.MOVE_ORIGINATOR_AE_TITLE) == "WS1"
    assert read.unsigned(Element.MOVE_ORIGINATOR_MESSAGE_ID) == 9


def test_c_find_rsp():
    read = decode(C_FIND_RSP)
    assert (read.command_field, read.request) == (0x8020, CommandField.C_FIND_RQ)
    assert (read.is_response, read.is_pending, read.has_data_set) == (True, True, True)
    assert read.message_id == 3
    assert read.unsigned(Element.STATUS) == Status.PENDING_WARNING


@pytest.mark.parametrize("name", VALID)
def test_what_is_read_is_written_as_it_came(name):
    assert decode(VALID[name]).encode() == VALID[name]


@pytest.mark.parametrize(
    ("data_set_type", "expected"),
    [(0x0101, False)]
    + [(value, True) for value in (0x0000, 0x0001, 0x0100, 0x0102, 0x0103, 0xFEFE, 0xFFFF)],
)
def test_a_data_set_follows_unless_it_says_0101(data_set_type, expected):
    read = decode(command(FIELD, us(0x0800, data_set_type)))
    assert read.has_data_set is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [(0xFF00, True), (0xFF01, True)]
    + [(value, False) for value in (0xFF02, 0x0000, 0xFE00, 0xB000, 0xA701, 0x00FF, None)],
)
def test_pending(status, expected):
    more = () if status is None else (us(0x0900, status),)
    read = decode(command(us(0x0100, 0x8020), NO_DATA, *more))
    assert read.is_pending is expected
    assert read.may_be_followed is expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [(value, True) for value in (0x8100, 0x8110, 0x8120, 0x8130, 0x8140, 0x8150)]
    + [(value, False) for value in (0x8001, 0x8010, 0x8020, 0x8021, 0x8030, 0x0130, 0x0FFF)],
)
def test_an_event_may_follow_a_response_of_dimse_n(field, expected):
    read = decode(command(us(0x0100, field), NO_DATA, us(0x0900, 0)))
    assert read.may_be_followed is expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [(0x0001, 1), (0x8001, 2), (0x0FFF, 2), (0x8FFF, 2), (0x0FFE, 1), (0x7777, 1), (0x8000, 2)],
)
def test_message_id(field, expected):
    """Of a response and of a C-CANCEL-RQ it is the one being responded to (PS3.7 9.3.2.3)."""
    read = decode(command(us(0x0100, field), us(0x0110, 1), us(0x0120, 2), NO_DATA))
    assert read.message_id == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", ""),
        (b"WS1 ", "WS1"),
        (b" WS1", "WS1"),
        (b"WS1\0", "WS1"),
        (b"W S1", "W S1"),
        (b"    ", ""),
        (b"\0\0", ""),
        (b"A" * 16, "A" * 16),
        (b"A" * 18, "A" * 18),
        (b"\xe4\xff", "\xe4\xff"),
    ],
)
def test_text_is_without_padding(value, expected):
    read = decode(command(FIELD, element(0x0600, value), NO_DATA))
    assert read.text(Element.MOVE_DESTINATION) == expected


UNUSUAL = {
    "no Message ID, no SOP class": command(FIELD, NO_DATA),
    "Length to End, retired": command(element(0x0001, bytes(4)), FIELD, NO_DATA),
    "a field that nobody knows": command(us(0x0100, 0x4242), NO_DATA),
    "an element that nobody knows": command(FIELD, NO_DATA, element(0xFFFF, b"abcdef")),
    "Priority of 4": command(FIELD, element(0x0700, bytes(4)), NO_DATA),
    "Priority 77": command(FIELD, us(0x0700, 77), NO_DATA),
    "empty SOP class": command(element(0x0002, b""), FIELD, NO_DATA),
    "a SOP class that is no UID": command(element(0x0002, b"CT  "), FIELD, NO_DATA),
    "a destination of 64": command(FIELD, element(0x0600, b"A" * 64), NO_DATA),
    "bytes that are no text": command(FIELD, element(0x0600, b"\xff\xfe"), NO_DATA),
    "a status in a request": command(FIELD, NO_DATA, us(0x0900, 0xA700)),
    "60 000 bytes": command(FIELD, NO_DATA, element(0x1005, bytes(60_000))),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_merely_unusual_passes(name):
    assert decode(UNUSUAL[name]).encode() == UNUSUAL[name]


# Broken structure


def with_length(group_length: int, *elements: bytes) -> bytes:
    return element(0, struct.pack("<I", group_length)) + b"".join(elements)


EXACT = len(FIELD + NO_DATA)
BROKEN = {
    "nothing": b"",
    "no group length": FIELD + NO_DATA,
    "group length alone": command(),
    "group length 1 short": with_length(EXACT - 1, FIELD, NO_DATA),
    "group length 1 long": with_length(EXACT + 1, FIELD, NO_DATA),
    "group length 0": with_length(0, FIELD, NO_DATA),
    "group length of all bytes": with_length(EXACT + 12, FIELD, NO_DATA),
    "group length 2^32 - 1": with_length(2**32 - 1, FIELD, NO_DATA),
    "group length of 2 bytes": element(0, struct.pack("<H", EXACT)) + FIELD + NO_DATA,
    "group length of 8 bytes": element(0, struct.pack("<Q", EXACT)) + FIELD + NO_DATA,
    "group length empty": element(0, b"") + FIELD + NO_DATA,
    "group length big endian": element(0, struct.pack(">I", EXACT)) + FIELD + NO_DATA,
    "group length not first": FIELD + element(0, struct.pack("<I", EXACT)) + NO_DATA,
    "group length last": FIELD + NO_DATA + element(0, struct.pack("<I", EXACT)),
    "group length twice": command(element(0, struct.pack("<I", EXACT)), FIELD, NO_DATA),
    "descending": command(NO_DATA, FIELD),
    "descending by one": command(FIELD, us(0x0111, 1), us(0x0110, 1), NO_DATA),
    "duplicate": command(FIELD, FIELD, NO_DATA),
    "duplicate of another value": command(FIELD, us(0x0100, 0x0001), NO_DATA),
    "odd length": command(element(0x0002, b"1.2.3"), FIELD, NO_DATA),
    "odd length in the end": command(FIELD, NO_DATA, element(0x1000, b"1")),
    "group 0002": command(FIELD, NO_DATA, element(0x0010, b"1.", group=0x0002)),
    "group 0008": command(FIELD, NO_DATA, element(0x0018, b"1.", group=0x0008)),
    "group 0100, number of the field": command(element(0, b"0\0", group=0x0100), NO_DATA),
    "group FFFE": command(FIELD, NO_DATA, element(0xE000, b"", group=0xFFFE)),
    "undefined length": command(FIELD, NO_DATA, struct.pack("<HHI", 0, 0x0900, 0xFFFFFFFF)),
    "longer than the rest": command(FIELD, NO_DATA, struct.pack("<HHI", 0, 0x0900, 2)),
    "a byte behind": command(FIELD, NO_DATA, b"\0"),
    "seven bytes behind": command(FIELD, NO_DATA, b"\0" * 7),
    "eight bytes behind": command(FIELD, NO_DATA, b"\0" * 8),
    "no Command Field": command(us(0x0110, 1), NO_DATA),
    "no Command Data Set Type": command(FIELD, us(0x0110, 1)),
    "explicit VR": bytes.fromhex("00000000 554c0400 14000000") + FIELD + NO_DATA,
    "big endian": bytes.fromhex("00000000 00000004 00000014 00000100 00000002 0030"),
}
SHORTS = (0x0100, 0x0110, 0x0120, 0x0800, 0x0900, 0x1031)


def refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(data)
    assert caught.value.reason == 6
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", BROKEN)
def test_broken_structure(name):
    refused(BROKEN[name])


@pytest.mark.parametrize("number", SHORTS)
@pytest.mark.parametrize("length", [0, 4, 6, 64])
def test_an_unsigned_short_has_two_bytes(number, length):
    elements = {0x0100: FIELD, 0x0800: NO_DATA, number: element(number, bytes(length))}
    refused(command(*(elements[key] for key in sorted(elements))))


@pytest.mark.parametrize("name", VALID)
def test_truncated_at_every_byte(name):
    """Not even where an element ends: the group length says how many there are."""
    for end in range(len(VALID[name])):
        refused(VALID[name][:end])


# Mutation: decode raises RemoteProtocolError or reads exactly what is written again.


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(VALID[draw(st.sampled_from(sorted(VALID)))])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.integers(0, 12)))
        data[at:until] = draw(
            st.one_of(
                st.binary(max_size=4),
                st.just(bytes(data[at:until]) * 2),
                st.sampled_from([FIELD, NO_DATA, b"\0\0", b"\xff\xff\xff\xff"]),
            )
        )
        if draw(st.booleans()):  # a right group length, so that more than that is looked at
            data[:12] = element(GROUP_LENGTH, struct.pack("<I", max(0, len(data) - 12)))
    return bytes(data)


@given(st.one_of(mutated(), st.binary(max_size=80)))
@example(b"")
@example(C_ECHO_RQ)
@example(C_ECHO_RQ + C_ECHO_RQ)
def test_nothing_else_is_raised(data):
    one_input(data)
    with suppress(RemoteProtocolError):
        read = decode(data)
        assert isinstance(read.has_valid_instance_uid, bool)
        assert 0 <= read.message_id < 1 << 16
        for number in Element:
            assert isinstance(read.text(number), str)


# Writing


@pytest.mark.parametrize(
    ("number", "value", "expected"),
    [
        (Element.MOVE_DESTINATION, "WS1", b"WS1 "),
        (Element.MOVE_DESTINATION, "WS12", b"WS12"),
        (Element.MOVE_DESTINATION, "A" * 15, b"A" * 15 + b" "),
        (Element.MOVE_DESTINATION, "A" * 16, b"A" * 16),
        (Element.MOVE_ORIGINATOR_AE_TITLE, "A", b"A "),
        (Element.ERROR_COMMENT, "why", b"why "),
        (Element.ERROR_COMMENT, "", b""),
        (Element.AFFECTED_SOP_CLASS_UID, "1.2.3", b"1.2.3\0"),
        (Element.REQUESTED_SOP_CLASS_UID, "1.2.34", b"1.2.34"),
        (Element.AFFECTED_SOP_INSTANCE_UID, "1" * 63, b"1" * 63 + b"\0"),
        (Element.REQUESTED_SOP_INSTANCE_UID, "1" * 64, b"1" * 64),
        (Element.MESSAGE_ID, 0, b"\0\0"),
        (Element.MESSAGE_ID, 0x1234, b"\x34\x12"),
        (Element.STATUS, Status.MOVE_DESTINATION_UNKNOWN, b"\x01\xa8"),
        (Element.STATUS, 0xFFFF, b"\xff\xff"),
    ],
)
def test_padding_is_the_vrs_own(number, value, expected):
    written = command_set({number: value}).encode()
    assert written == command(element(number, expected))


def test_replaced():
    read = decode(C_MOVE_RQ)
    changed = read.replaced(
        {
            Element.MOVE_DESTINATION: "HA_WS1",
            Element.MESSAGE_ID: 9,
            Element.AFFECTED_SOP_CLASS_UID: None,
            Element.ERROR_COMMENT: None,  # was not there
            Element.MOVE_ORIGINATOR_MESSAGE_ID: 4,
        }
    )
    assert changed.encode() == command(
        us(0x0100, 0x0021),
        us(0x0110, 9),
        element(0x0600, b"HA_WS1"),
        us(0x0700, 2),
        us(0x0800, 0x0100),
        us(0x1031, 4),
    )
    assert read.encode() == C_MOVE_RQ  # as it was
    assert changed != read
    assert read.replaced({}) == read
    assert read.replaced({}) is not read


def test_the_order_of_changes_is_not_that_of_the_bytes():
    one = command_set({Element.STATUS: 0, Element.COMMAND_FIELD: 0x8030, Element.MESSAGE_ID: None})
    assert one.encode() == command(us(0x0100, 0x8030), us(0x0900, 0))


def test_a_command_set_is_a_value_that_cannot_be_a_key():
    assert decode(C_ECHO_RQ) == decode(C_ECHO_RQ)
    assert decode(C_ECHO_RQ) != decode(C_MOVE_RQ)
    assert decode(C_ECHO_RQ) != C_ECHO_RQ
    assert command_set({}) == CommandSet({})
    with pytest.raises(TypeError, match="unhashable"):
        hash(decode(C_ECHO_RQ))


def test_repr_has_no_data():
    assert repr(decode(C_STORE_RQ)) == "CommandSet(0001H, id 5)"


@given(
    st.dictionaries(
        st.sampled_from([n for n in Element if n != Element.COMMAND_GROUP_LENGTH]),
        st.integers(0, 0xFFFF)
        | st.text("0123456789.ABC_-", max_size=64).map(lambda text: text.strip())
        | st.none(),
    )
)
def test_whatever_is_replaced_has_its_group_length(changes):
    encoded = decode(C_STORE_RQ).replaced(changes).encode()
    assert len(encoded) % 2 == 0
    assert int.from_bytes(encoded[8:12], "little") == len(encoded) - 12
    if all(isinstance(changes.get(number, 0), int) for number in Element if number in SHORTS):
        read = decode(encoded)
        for number, value in changes.items():
            if isinstance(value, str):
                assert read.text(number) == value
            elif value is None:
                assert number not in read
            else:
                assert read.unsigned(number) == value


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (0x0001, "C-STORE-RQ"),
        (0x8001, "C-STORE-RSP"),
        (0x8020, "C-FIND-RSP"),
        (0x0100, "N-EVENT-REPORT-RQ"),
        (0x8130, "N-ACTION-RSP"),
        (0x0FFF, "C-CANCEL-RQ"),
        (0x0002, "0002H"),
        (0x8002, "8002H"),
        (0xFFFF, "FFFFH"),
    ],
)
def test_the_name_of_a_command(field, expected):
    """PS3.7 E.1-1; one that has none by its number."""
    assert command_name(field) == expected
