"""What the relay itself says, byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ, A_RELEASE_RP, A_RELEASE_RQ, P_DATA_TF

from tests.pdu.reading import decode_p_data
from tests.pdu.strategies import Fragment, p_data_tf
from ulproxy.pdu import writer
from ulproxy.pdu.types import Rejection

octets = st.integers(0, 255)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (writer.A_RELEASE_RQ, "05 00 00000004 00000000"),
        (writer.A_RELEASE_RP, "06 00 00000004 00000000"),
        (writer.a_associate_rj(Rejection(1, 2, 3)), "03 00 00000004 00 01 02 03"),
        (writer.a_abort(2, 6), "07 00 00000004 0000 02 06"),
        (writer.a_abort(0, 6), "07 00 00000004 0000 00 00"),  # PS3.8 9.3.8: a user gives no reason
        (writer.p_data_header(0x21, 3, 0x01020304), "04 00 0102030A 01020306 21 03"),
        (writer.p_data_header(1, 0, 0), "04 00 00000006 00000002 01 00"),
        (writer.p_data_header(1, 2, 2**32 - 8), "04 00 FFFFFFFE FFFFFFFA 01 02"),
        (writer.command_message(5, b"ab", 0), "04 00 00000008 00000004 05 03 6162"),
        (
            writer.command_message(5, b"abcd", 8),
            "04 00 00000008 00000004 05 01 6162 04 00 00000008 00000004 05 03 6364",
        ),
        (writer.data_set_message(5, b"", 0), "04 00 00000006 00000002 05 02"),
        (
            writer.data_set_message(5, b"abcd", 8),
            "04 00 00000008 00000004 05 00 6162 04 00 00000008 00000004 05 02 6364",
        ),
    ],
)
def test_bytes(written, expected):
    assert written == bytes.fromhex(expected)


@given(octets, octets, octets)
def test_pynetdicom_writes_the_same(one, two, three):
    rejection = A_ASSOCIATE_RJ()
    rejection.result, rejection.source, rejection.reason_diagnostic = one, two, three
    assert writer.a_associate_rj(Rejection(one, two, three)) == rejection.encode()
    abort = A_ABORT_RQ()
    abort.source, abort.reason_diagnostic = one, two if one else 0
    assert writer.a_abort(one, two) == abort.encode()


def test_pynetdicom_releases_in_the_same_bytes():
    assert A_RELEASE_RQ().encode() == writer.A_RELEASE_RQ
    assert A_RELEASE_RP().encode() == writer.A_RELEASE_RP


@given(st.integers(0, 255), st.integers(0, 3), st.binary(max_size=50))
def test_a_header_is_that_of_a_fragment_alone_in_its_pdu(context_id, control, data):
    written = writer.p_data_header(context_id, control, len(data)) + data
    assert written == p_data_tf(Fragment(context_id, control, data))
    theirs = P_DATA_TF()
    theirs.decode(written)
    (value,) = theirs.presentation_data_value_items
    assert value.context_id == context_id
    assert value.data == bytes([control]) + data


commands = st.integers(1, 300).map(lambda half: bytes(i % 251 for i in range(2 * half)))


@pytest.mark.parametrize(
    ("write", "kind"), [(writer.command_message, 1), (writer.data_set_message, 0)]
)
@given(context_id=st.sampled_from([1, 3, 255]), command=commands, maximum=st.integers(8, 700))
def test_a_message_keeps_to_the_receivers_maximum(write, kind, context_id, command, maximum):
    """PS3.8 D.1, E.1: no longer than it takes, even, and no more fragments than needed."""
    message = write(context_id, command, maximum)
    parts = decode_p_data(message)
    assert b"".join(data for *_, data in parts) == command
    assert [control for _, control, _ in parts] == [kind] * (len(parts) - 1) + [kind | 2]
    assert {context for context, *_ in parts} == {context_id}
    room = maximum - 6 - maximum % 2
    assert all(len(data) == room for *_, data in parts[:-1])
    assert 0 < len(parts[-1][2]) <= room
    assert len(message) == len(command) + 12 * len(parts)


@pytest.mark.parametrize(
    ("length", "lengths"),
    [
        (writer.UNLIMITED_FRAGMENT - 2, [65534]),
        (writer.UNLIMITED_FRAGMENT, [65536]),
        (writer.UNLIMITED_FRAGMENT + 2, [65536, 2]),
    ],
)
def test_towards_no_limit_fragments_are_long_but_bounded(length, lengths):
    parts = decode_p_data(writer.command_message(1, bytes(length), 0))
    assert [len(data) for *_, data in parts] == lengths


@pytest.mark.parametrize(
    ("maximum", "lengths"), [(8, [2, 2]), (9, [2, 2]), (10, [4]), (2**32 - 1, [4])]
)
def test_the_bounds_of_the_maximum(maximum, lengths):
    parts = decode_p_data(writer.command_message(1, b"abcd", maximum))
    assert [len(data) for *_, data in parts] == lengths
