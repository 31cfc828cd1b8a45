"""User information: each sub-item against bytes written by hand."""

from __future__ import annotations

import dataclasses
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pdu.strategies import user_informations
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.items import (
    MAX_USER_INFORMATION,
    AsynchronousOperationsWindow,
    RoleSelection,
    SopClassCommonExtended,
    SopClassExtended,
    UserIdentity,
    UserInformation,
    decode_uid,
    decode_user_information,
    encode_user_information,
    item,
    walk,
)
from ulproxy.pdu.types import ItemType

CT = "1.2.840.10008.5.1.4.1.1.2"
STORAGE = "1.2.840.10008.4.2"
UNLIMITED = item(0x51, bytes(4))


def sub_item(item_type: int, *fields: str | bytes | int) -> bytes:
    """A sub-item by hand: numbers are single bytes."""
    parts = [
        field.encode("ascii")
        if isinstance(field, str)
        else bytes([field])
        if isinstance(field, int)
        else field
        for field in fields
    ]
    body = b"".join(parts)
    return bytes([item_type, 0]) + struct.pack(">H", len(body)) + body


def counted(value: str) -> bytes:
    return struct.pack(">H", len(value)) + value.encode("ascii")


# PS3.8 D.1 and PS3.7 D.3.3.2 to D.3.3.7; lengths stand as numbers so that no helper can be wrong.
CORPUS = {
    "maximum length": (
        bytes.fromhex("51 00 0004 00004000"),
        UserInformation(maximum_length=16384),
    ),
    "maximum length: no limit": (bytes.fromhex("51 00 0004 00000000"), UserInformation()),
    "implementation class uid": (
        b"\x52\x00\x00\x051.2.3",
        UserInformation(implementation_class_uid="1.2.3"),
    ),
    "asynchronous operations window": (
        bytes.fromhex("53 00 0004 0003 0102"),
        UserInformation(asynchronous_operations_window=AsynchronousOperationsWindow(3, 258)),
    ),
    "role selection": (
        b"\x54\x00\x00\x07\x00\x031.2\x00\x01\x54\x00\x00\x07\x00\x031.3\x01\x00",
        UserInformation(
            roles=(
                RoleSelection("1.2", scu=False, scp=True),
                RoleSelection("1.3", scu=True, scp=False),
            )
        ),
    ),
    "implementation version name": (
        b"\x55\x00\x00\x08ULPROXY1",
        UserInformation(implementation_version_name="ULPROXY1"),
    ),
    "SOP class extended": (
        b"\x56\x00\x00\x08\x00\x031.2\x01\x00\x02\x56\x00\x00\x05\x00\x031.3",
        UserInformation(
            sop_class_extended=(
                SopClassExtended("1.2", b"\x01\x00\x02"),
                SopClassExtended("1.3", b""),
            )
        ),
    ),
    "SOP class common extended": (
        (
            b"\x57\x00\x00\x15\x00\x031.2\x00\x031.3\x00\x09\x00\x031.4\x00\x021."
            b"\x57\x00\x00\x0c\x00\x031.2\x00\x031.3\x00\x00"
        ),
        UserInformation(
            sop_class_common_extended=(
                SopClassCommonExtended("1.2", "1.3", ("1.4", "1.")),
                SopClassCommonExtended("1.2", "1.3", ()),
            )
        ),
    ),
    "user identity, user name": (
        b"\x58\x00\x00\x0a\x01\x00\x00\x04jane\x00\x00",
        UserInformation(
            user_identity=UserIdentity(
                1, positive_response_requested=False, primary=b"jane", secondary=b""
            )
        ),
    ),
    "user identity, passcode": (
        b"\x58\x00\x00\x0d\x02\x01\x00\x04jane\x00\x03abc",
        UserInformation(
            user_identity=UserIdentity(
                2, positive_response_requested=True, primary=b"jane", secondary=b"abc"
            )
        ),
    ),
    "user identity, server response": (
        b"\x59\x00\x00\x05\x00\x03yes",
        UserInformation(server_response=b"yes"),
    ),
    "user identity, empty server response": (
        b"\x59\x00\x00\x02\x00\x00",
        UserInformation(server_response=b""),
    ),
}


@pytest.mark.parametrize("name", CORPUS)
def test_bytes_by_hand(name):
    body, information = CORPUS[name]
    assert decode_user_information(body) == information
    encoded = encode_user_information(information)
    if body[0] != ItemType.MAXIMUM_LENGTH:
        body = UNLIMITED + body
    assert encoded == struct.pack(">BxH", 0x50, len(body)) + body


def test_nothing_at_all_is_no_limit():
    assert decode_user_information(b"") == UserInformation()
    assert encode_user_information(UserInformation()) == bytes.fromhex("50 00 0008") + UNLIMITED


@given(user_informations)
def test_decoding_what_was_encoded_gives_the_same(information):
    ((item_type, body),) = walk(encode_user_information(information))
    assert item_type == ItemType.USER_INFORMATION
    assert decode_user_information(body) == information


@given(user_informations)
def test_sub_items_are_sent_in_the_order_of_their_types(information):
    types = [item_type for item_type, _ in walk(encode_user_information(information)[4:])]
    assert types == sorted(types)


@given(user_informations, st.data())
def test_sub_items_are_read_in_any_order_among_unknown_ones(information, draw):
    """PS3.8 9.3.2.3; D.2 note 2."""
    singles = [(kind, body) for kind, body in walk(encode_user_information(information)[4:])]
    unknown = draw.draw(
        st.lists(st.tuples(st.sampled_from([0, 0x10, 0x50, 0x5A, 0xFF]), st.binary(max_size=9)))
    )
    mixed = draw.draw(st.permutations(singles + unknown))
    repeated = [kind for kind, _ in mixed if kind in (0x54, 0x56, 0x57)]
    got = decode_user_information(b"".join(item(kind, body) for kind, body in mixed))
    if len(repeated) == len(set(repeated)):
        assert got == information
    assert sorted(got.roles) == sorted(information.roles)
    assert sorted(got.sop_class_extended) == sorted(information.sop_class_extended)


@given(user_informations, st.integers(0, 255))
def test_reserved_bytes_are_never_tested(information, reserved):
    """PS3.8 9.3.1."""
    body = b"".join(
        struct.pack(">BBH", kind, reserved, len(content)) + content
        for kind, content in walk(encode_user_information(information)[4:])
    )
    assert decode_user_information(body) == information


BAD = {
    "maximum length of 3 bytes": sub_item(0x51, bytes(3)),
    "maximum length of 5 bytes": sub_item(0x51, bytes(5)),
    "maximum length without bytes": sub_item(0x51),
    "implementation class uid without bytes": sub_item(0x52),
    "implementation class uid of 65 characters": sub_item(0x52, "1" * 65),
    "implementation class uid with a letter": sub_item(0x52, "1.2.A"),
    "implementation class uid of padding": sub_item(0x52, bytes(4)),
    "version name without bytes": sub_item(0x55),
    "version name of 17 characters": sub_item(0x55, "A" * 17),
    "window of 2 bytes": sub_item(0x53, bytes(2)),
    "window of 3 bytes": sub_item(0x53, bytes(3)),
    "role of 2": sub_item(0x54, counted(CT), 2, 0),
    "role as SCP of 255": sub_item(0x54, counted(CT), 0, 255),
    "roles missing": sub_item(0x54, counted(CT)),
    "one role missing": sub_item(0x54, counted(CT), 1),
    "role of no SOP class": sub_item(0x54, counted(""), 1, 1),
    "role without a length": sub_item(0x54, 0),
    "extended uid longer than its item": sub_item(0x56, 0, 9, "1.2"),
    "extended without a uid": sub_item(0x56),
    "common extended without service class": sub_item(0x57, counted(CT)),
    "common extended without related classes": sub_item(0x57, counted(CT), counted(STORAGE)),
    "related classes longer than their item": sub_item(
        0x57, counted(CT), counted(STORAGE), 0, 5, counted("1.2"[:2])
    ),
    "related class cut short": sub_item(
        0x57, counted(CT), counted(STORAGE), 0, 4, counted("1.2")[:4]
    ),
    "related class that is no uid": sub_item(0x57, counted(CT), counted(STORAGE), 0, 3, 0, 1, "x"),
    "identity without fields": sub_item(0x58),
    "identity without secondary": sub_item(0x58, 1, 0, counted("jane")),
    "identity that asks for a response with 2": sub_item(0x58, 1, 2, counted("a"), counted("")),
    "identity primary longer than its item": sub_item(0x58, 1, 0, 0, 9, "jane", counted("")),
    "server response longer than its item": sub_item(0x59, 0, 4, "yes"),
    "server response without a length": sub_item(0x59),
    "one stray byte": UNLIMITED + b"\x52",
    "three stray bytes": UNLIMITED + b"\x52\x00\x00",
    "sub-item longer than all": b"\x52\x00\x00\x061.2.3",
    "unknown sub-item longer than all": b"\x5f\x00\xff\xff1.2.3",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_invalid_is_blamed_on_the_peer(name):
    with pytest.raises(RemoteProtocolError) as caught:
        decode_user_information(BAD[name])
    assert caught.value.reason == 6


@pytest.mark.parametrize("value", [*range(10), 16384, 2**32 - 2, 2**32 - 1])
def test_the_maximum_length_is_0_or_has_room_for_a_pdv_of_two_bytes(value):
    body = sub_item(0x51, value.to_bytes(4))
    if 1 <= value <= 7:
        with pytest.raises(RemoteProtocolError, match=f"maximum length {value}"):
            decode_user_information(body)
    else:
        assert decode_user_information(body).maximum_length == value


@pytest.mark.parametrize(
    "once",
    [body for body, _ in CORPUS.values() if body[0] not in (0x54, 0x56, 0x57)],
)
def test_a_sub_item_that_may_come_once_is_invalid_twice(once):
    """PS3.8 D.1; twice the same or not."""
    with pytest.raises(RemoteProtocolError, match="twice"):
        decode_user_information(once + UNLIMITED + once)


@pytest.mark.parametrize("length", [1, 2, 63, 64])
@pytest.mark.parametrize("padding", [b"", b"\0", b" ", b"\0\0 "])
def test_a_uid_and_its_padding(length, padding):
    assert decode_uid(b"1" * length + padding) == "1" * length


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"1" * 65, b"1,2", b"1.2\n", b"\x001.2", b"1 2", b"\xb9.2", b"1" * 70]
)
def test_what_is_no_uid(body):
    with pytest.raises(RemoteProtocolError, match="no UID"):
        decode_uid(body)


@pytest.mark.parametrize("length", [1, 15, 16])
def test_version_names_of_1_to_16_characters(length):
    name = "ULPROXY_0.1_TEST"[:length]
    assert decode_user_information(sub_item(0x55, name)).implementation_version_name == name


def test_a_version_name_in_any_character_set_is_read():
    body = sub_item(0x55, b"\xe4\xff ")
    assert decode_user_information(body).implementation_version_name == "\xe4\xff"


def test_walk():
    assert list(walk(b"")) == []
    assert list(walk(b"\x10\x99\x00\x00\x20\x00\x00\x02ab")) == [(0x10, b""), (0x20, b"ab")]
    assert list(walk(item(7, bytes(65535)))) == [(7, bytes(65535))]


def filler(length: int) -> bytes:
    """User information of this length: one extended negotiation item, which goes on as it came."""
    return sub_item(0x56, counted("1.2"), bytes(length - 9))


@pytest.mark.parametrize("length", [MAX_USER_INFORMATION - 1, MAX_USER_INFORMATION])
def test_the_longest_user_information_still_fits_with_the_relays_own_names(length):
    information = decode_user_information(filler(length))
    ours = dataclasses.replace(
        information,
        maximum_length=2**32 - 1,
        implementation_class_uid="1" * 64,
        implementation_version_name="A" * 16,
    )
    ((item_type, body),) = walk(encode_user_information(ours))
    assert item_type == ItemType.USER_INFORMATION
    assert body.endswith(filler(length))


def test_user_information_too_long_to_be_written_anew_is_invalid():
    with pytest.raises(RemoteProtocolError, match="user information of 65408 bytes"):
        decode_user_information(filler(MAX_USER_INFORMATION + 1))


def test_secrets_stay_out_of_repr():
    information = UserInformation(
        user_identity=UserIdentity(
            2, positive_response_requested=True, primary=b"jane", secondary=b"hunter2"
        ),
        server_response=b"ticket",
    )
    assert "UserIdentity(type=2)" in repr(information)
    assert not any(secret in repr(information) for secret in ("jane", "hunter2", "ticket"))


def acceptable(body: bytes) -> UserInformation | None:
    """The value, or None where the peer is blamed; nothing else may happen."""
    try:
        return decode_user_information(body)
    except RemoteProtocolError:
        return None


@given(user_informations)
def test_truncated_anywhere_the_value_has_whole_sub_items_or_the_peer_is_blamed(information):
    body = encode_user_information(information)[4:]
    starts, position = {0}, 0
    for _, content in walk(body):
        position += 4 + len(content)
        starts.add(position)
    for end in range(len(body)):
        assert (acceptable(body[:end]) is not None) == (end in starts)


@given(user_informations, st.data())
def test_damaged_bytes_give_a_value_that_can_be_written_again_or_blame_the_peer(information, draw):
    damaged = bytearray(encode_user_information(information)[4:])
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = draw.draw(st.integers(0, 255))
    value = acceptable(bytes(damaged))
    if value is not None:
        if not value.implementation_version_name:  # padding alone: no name
            value = dataclasses.replace(value, implementation_version_name=None)
        assert decode_user_information(encode_user_information(value)[4:]) == value
