"""Every length field of the reader at its bounds, and what a peer can make it hold.

A header alone tells: either it is refused, or the reader waits for the body.
"""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from tests.pdu.reading import read_pieces, single_bytes
from tests.pdu.strategies import Fragment, p_data_tf
from ulproxy.pdu.reader import PDataRun, PduReader
from ulproxy.pdu.types import MAX_CONTROL_PDU, MIN_ASSOCIATE_PDU, AbortReason, PduType

NO_LIMIT = 2**32 - 1
DATA = Fragment(1, 0, b"xy")

# What threads that other tests of the same process left behind may allocate meanwhile, in bytes; far below
# the mebibyte or the four gigabytes that are claimed.
NOISE = 1 << 16


def verdicts(stream: bytes, limit: int = 0) -> set[AbortReason | None]:
    """The reasons for which the stream is refused, None if it is not, whole and byte by byte."""
    found = [read_pieces([stream], limit), read_pieces(single_bytes(stream), limit)]
    assert found[0] == found[1]
    return {event[1] if event[0] == "invalid" else None for event in found[0][-1:]} or {None}


FINE, REFUSED = {None}, {AbortReason.INVALID_PARAMETER_VALUE}


@pytest.mark.parametrize("pdu_type", [PduType.A_ASSOCIATE_RQ, PduType.A_ASSOCIATE_AC])
@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, REFUSED),
        (1, REFUSED),
        (MIN_ASSOCIATE_PDU - 1, REFUSED),
        (MIN_ASSOCIATE_PDU, FINE),
        (MIN_ASSOCIATE_PDU + 1, FINE),
        (MAX_CONTROL_PDU - 1, FINE),
        (MAX_CONTROL_PDU, FINE),
        (MAX_CONTROL_PDU + 1, REFUSED),
        (2**31, REFUSED),
        (2**32 - 1, REFUSED),
    ],
)
def test_length_of_an_associate_pdu(pdu_type, length, expected):
    assert verdicts(struct.pack(">BxL", pdu_type, length)) == expected


@pytest.mark.parametrize(
    "pdu_type",
    [PduType.A_ASSOCIATE_RJ, PduType.A_RELEASE_RQ, PduType.A_RELEASE_RP, PduType.A_ABORT],
)
@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 2**32 - 1])
def test_length_of_a_pdu_of_four_bytes(pdu_type, length):
    """PS3.8 9.3.4 to 9.3.8."""
    assert verdicts(struct.pack(">BxL", pdu_type, length)) == (FINE if length == 4 else REFUSED)


@pytest.mark.parametrize("pdu_type", [0, 8, 0x41, 0xFF])
@pytest.mark.parametrize("length", [0, 1, 4, 2**32 - 1])
def test_an_unknown_type_is_refused_whatever_its_length(pdu_type, length):
    assert verdicts(struct.pack(">BxL", pdu_type, length)) == {AbortReason.UNRECOGNIZED_PDU}


@pytest.mark.parametrize("limit", [0, 8, 16384, 2**32 - 2])
@pytest.mark.parametrize("length", [0, 1, 4, 5, 6, 7, 8])
def test_a_p_data_tf_has_room_for_a_pdv(length, limit):
    """PS3.8 9.3.5: no P-DATA-TF without a PDV, whose length, id and control header are six bytes."""
    expected = REFUSED if length < 6 else FINE
    assert verdicts(struct.pack(">BxL", 4, length), limit) == expected


@pytest.mark.parametrize(
    ("limit", "length", "expected"),
    [
        (0, 2**32 - 2, FINE),
        (0, 2**32 - 1, FINE),
        (8, 7, FINE),
        (8, 8, FINE),
        (8, 9, REFUSED),
        (16384, 16383, FINE),
        (16384, 16384, FINE),
        (16384, 16385, REFUSED),
        (16384, 2**32 - 1, REFUSED),
        (NO_LIMIT - 1, NO_LIMIT - 1, FINE),
        (NO_LIMIT - 1, NO_LIMIT, REFUSED),
        (NO_LIMIT, NO_LIMIT, FINE),
    ],
)
def test_a_p_data_tf_keeps_to_what_was_agreed(limit, length, expected):
    """PS3.8 D.1."""
    assert verdicts(struct.pack(">BxL", 4, length), limit) == expected


@pytest.mark.parametrize(("length", "expected"), [(16382, FINE), (16384, FINE), (16386, REFUSED)])
@pytest.mark.parametrize("control", [0, 1, 2, 3])
def test_a_whole_p_data_tf_keeps_to_what_was_agreed(length, control, expected):
    """As above, with the header of its PDV, which takes another way through the reader."""
    stream = p_data_tf(Fragment(1, control, bytes(length - 6)))
    assert verdicts(stream, 16384) == expected


@pytest.mark.parametrize("control", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("pdu_length", "pdv_length", "expected"),
    [
        (6, 0, REFUSED),
        (6, 1, REFUSED),
        (6, 2, FINE),
        (6, 3, REFUSED),
        (6, 4, REFUSED),
        (7, 2, REFUSED),  # a stray byte
        (7, 3, REFUSED),
        (100, 0, REFUSED),
        (100, 1, REFUSED),
        (100, 2, FINE),
        (100, 3, REFUSED),
        (100, 84, FINE),
        (100, 90, FINE),  # six bytes are left: another PDV
        (100, 91, REFUSED),
        (100, 92, REFUSED),  # four are left
        (100, 94, REFUSED),
        (100, 95, REFUSED),
        (100, 96, FINE),  # fills the PDU
        (100, 97, REFUSED),
        (100, 98, REFUSED),
        (100, 2**32 - 2, REFUSED),
        (100, 2**32 - 1, REFUSED),
        (2**32 - 2, 2**32 - 6, FINE),
        (2**32 - 2, 2**32 - 4, REFUSED),
        (2**32 - 1, 2**32 - 6, REFUSED),
        (2**32 - 1, 2**32 - 5, REFUSED),
        (2**32 - 1, 2**32 - 12, FINE),  # seven are left: the next PDV will be refused
        (2**32 - 1, 2, FINE),
    ],
)
def test_length_of_a_pdv(pdu_length, pdv_length, control, expected):
    """PS3.8 9.3.5.1, E.1: at least id and control header, even, whole in its PDU."""
    stream = struct.pack(">BxLLBB", 4, pdu_length, pdv_length, 1, control)
    assert verdicts(stream) == expected


@pytest.mark.parametrize("pdu_length", [0, 5, 7, 8, 2**32 - 1])
def test_a_run_breaks_off_before_an_invalid_pdu(pdu_length):
    bad = struct.pack(">BxLLBB", 4, pdu_length, 3, 1, 0)
    whole = read_pieces([p_data_tf(DATA) + bad])
    assert whole[0] == ("data", 1, p_data_tf(DATA), False, 0)
    assert [event[0] for event in whole] == ["data", "invalid"]


# Memory.


def peak_of(stream: bytes) -> int:
    """How many bytes a reader allocates at most while this arrives, in one read and byte by byte."""
    peaks = []
    for pieces in ([memoryview(stream)], [memoryview(piece) for piece in single_bytes(stream)]):
        reader = PduReader()
        tracemalloc.start()
        for piece in pieces:
            reader.receive_data(piece)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return max(peaks)


@pytest.mark.parametrize("pdu_type", [1, 2])
def test_a_claimed_mebibyte_of_which_ten_bytes_come_takes_next_to_nothing(pdu_type):
    assert peak_of(struct.pack(">BxL", pdu_type, MAX_CONTROL_PDU) + bytes(10)) < NOISE


@pytest.mark.parametrize("control", [0, 1, 2, 3])
def test_a_fragment_of_four_gigabytes_streams_through(control):
    head = struct.pack(">BxLLBB", 4, 2**32 - 2, 2**32 - 6, 1, control)
    assert peak_of(head + bytes(1000)) < NOISE
    ((kind, context_id, data, last, remaining),) = read_pieces([head + bytes(1000)])
    assert (context_id, last) == (1, False)
    if kind == "data":
        assert data == head + bytes(1000)
        assert remaining == 2**32 - 8 - 1000
    else:
        assert (kind, data) == ("command", bytes(1000))


def test_memory_does_not_grow_with_what_streams_through():
    reader = PduReader()
    stream = memoryview(p_data_tf(Fragment(1, 0, bytes(4990))) * 200)
    pieces = [stream[at : at + 777] for at in range(0, len(stream), 777)]  # cuts headers, too
    tracemalloc.start()
    for piece in pieces:
        consumed, events = reader.receive_data(piece)
        assert consumed == len(piece)
        assert all(isinstance(event, PDataRun) for event in events)
    del events
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < NOISE
    assert peak < NOISE
