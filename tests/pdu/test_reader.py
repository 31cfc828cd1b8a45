"""The header hop: the events are those of the bytes, whatever the cut, and nothing is held or copied."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pdu.reading import (
    Plain,
    decode_p_data,
    joined,
    plain,
    read,
    read_pieces,
    single_bytes,
)
from tests.pdu.strategies import Control, Fragment, encode, p_data_tf, pdu, pdus, streams
from ulproxy.pdu.reader import InvalidPdu, PDataRun, PduReader
from ulproxy.pdu.types import AbortReason, PduType

BODY = bytes(range(100, 170))  # enough for an A-ASSOCIATE, and nothing that looks like a header
RELEASE = pdu(5, bytes(4))


def command(data: bytes, context_id: int = 1, *, last: bool = True) -> Fragment:
    return Fragment(context_id, 3 if last else 1, data)


def data_set(data: bytes, context_id: int = 1, *, last: bool = True) -> Fragment:
    return Fragment(context_id, 2 if last else 0, data)


def run(*fragments: Fragment, remaining: int = 0) -> Plain:
    """The run that carries these fragments, each alone in its P-DATA-TF."""
    whole = b"".join(p_data_tf(fragment) for fragment in fragments)
    last = fragments[-1].last and not remaining
    return ("data", fragments[0].context_id, whole[: len(whole) - remaining], last, remaining)


def command_event(data: bytes, context_id: int = 1, *, last: bool = True) -> Plain:
    return ("command", context_id, data, last, 0)


CORPUS = {
    "nothing": (b"", []),
    "A-ASSOCIATE-RQ": (pdu(1, BODY), [("control", PduType.A_ASSOCIATE_RQ, BODY)]),
    "A-ASSOCIATE-AC": (pdu(2, BODY), [("control", PduType.A_ASSOCIATE_AC, BODY)]),
    "A-ASSOCIATE-RJ": (pdu(3, b"\0\1\1\7"), [("control", PduType.A_ASSOCIATE_RJ, b"\0\1\1\7")]),
    "A-RELEASE-RQ": (RELEASE, [("control", PduType.A_RELEASE_RQ, bytes(4))]),
    "A-RELEASE-RP": (pdu(6, bytes(4)), [("control", PduType.A_RELEASE_RP, bytes(4))]),
    "A-ABORT": (pdu(7, b"\0\0\2\6"), [("control", PduType.A_ABORT, b"\0\0\2\6")]),
    "reserved bytes are not tested": (
        pdu(5, b"\xff\xfe\xfd\xfc", reserved=0x99),
        [("control", PduType.A_RELEASE_RQ, b"\xff\xfe\xfd\xfc")],
    ),
    "two control PDUs": (
        RELEASE + pdu(6, bytes(4)),
        [("control", PduType.A_RELEASE_RQ, bytes(4)), ("control", PduType.A_RELEASE_RP, bytes(4))],
    ),
    "a command": (p_data_tf(command(b"abcd")), [command_event(b"abcd")]),
    "a command in two PDUs": (
        p_data_tf(command(b"ab", last=False)) + p_data_tf(command(b"cd")),
        [command_event(b"abcd")],
    ),
    "a command that ends with an empty fragment": (
        p_data_tf(command(b"ab", last=False)) + p_data_tf(command(b"")),
        [command_event(b"ab")],
    ),
    "an empty command fragment that is not the last": (
        p_data_tf(command(b"", last=False)),
        [command_event(b"", last=False)],
    ),
    "a data set": (p_data_tf(data_set(b"xy")), [run(data_set(b"xy"))]),
    "an empty data set": (p_data_tf(data_set(b"")), [run(data_set(b""))]),
    "two fragments are one run": (
        p_data_tf(data_set(b"xy", last=False)) + p_data_tf(data_set(b"zz")),
        [run(data_set(b"xy", last=False), data_set(b"zz"))],
    ),
    "a run ends with the data set": (
        p_data_tf(data_set(b"xy")) + p_data_tf(data_set(b"zz")),
        [run(data_set(b"xy")), run(data_set(b"zz"))],
    ),
    "a run ends with the context": (
        p_data_tf(data_set(b"xy", last=False)) + p_data_tf(data_set(b"zz", 3)),
        [run(data_set(b"xy", last=False)), run(data_set(b"zz", 3))],
    ),
    "a run ends with a command": (
        p_data_tf(data_set(b"xy", last=False)) + p_data_tf(command(b"ab")),
        [run(data_set(b"xy", last=False)), command_event(b"ab")],
    ),
    "a run ends with a control PDU": (
        p_data_tf(data_set(b"xy", last=False)) + RELEASE,
        [run(data_set(b"xy", last=False)), ("control", PduType.A_RELEASE_RQ, bytes(4))],
    ),
    "command and data set in one PDU": (
        p_data_tf(command(b"ab"), data_set(b"xy")),
        [command_event(b"ab"), run(data_set(b"xy"))],
    ),
    "data sets of two messages in one PDU": (
        p_data_tf(data_set(b"xy"), data_set(b"zz", 3)),
        [run(data_set(b"xy")), run(data_set(b"zz", 3))],
    ),
    "several PDVs of one data set in one PDU": (
        p_data_tf(data_set(b"xy", last=False), data_set(b"", last=False), data_set(b"zz")),
        [run(data_set(b"xy", last=False), data_set(b"", last=False), data_set(b"zz"))],
    ),
    "bits 2 to 7 of the control header are not tested and go on as 0": (
        p_data_tf(Fragment(1, 0b1111_1101, b"ab")) + p_data_tf(Fragment(1, 0b1010_1010, b"xy")),
        [command_event(b"ab", last=False), run(data_set(b"xy"))],
    ),
    "the reserved byte of a P-DATA-TF is not tested and goes on as 0": (
        p_data_tf(data_set(b"xy"), reserved=0xAA),
        [run(data_set(b"xy"))],
    ),
    "a fragment that is still coming": (
        p_data_tf(data_set(b"uvwxyz"))[:-4],
        [run(data_set(b"uvwxyz"), remaining=4)],
    ),
    "a fragment of which only the header came": (
        p_data_tf(data_set(b"xy"))[:12],
        [run(data_set(b"xy"), remaining=2)],
    ),
    "eleven bytes of header are not told yet": (p_data_tf(data_set(b"xy"))[:11], []),
    "a control PDU that is still coming": (RELEASE[:-1], []),
    "a command of which only the header came": (p_data_tf(command(b"abcd"))[:12], []),
    "a command that is still coming": (
        p_data_tf(command(b"abcd"))[:-2],
        [command_event(b"ab", last=False)],
    ),
    "an unknown type": (
        RELEASE + pdu(8, b"") + RELEASE,
        [
            ("control", PduType.A_RELEASE_RQ, bytes(4)),
            ("invalid", AbortReason.UNRECOGNIZED_PDU, "unrecognized PDU type 08H"),
        ],
    ),
    "type 0": (
        pdu(0, b""),
        [("invalid", AbortReason.UNRECOGNIZED_PDU, "unrecognized PDU type 00H")],
    ),
    "nothing is heard behind an invalid PDU": (
        pdu(4, b"") + RELEASE + p_data_tf(command(b"ab")),
        [("invalid", AbortReason.INVALID_PARAMETER_VALUE, "P-DATA-TF of 0 bytes")],
    ),
    "an A-ABORT of five bytes": (
        pdu(7, bytes(5)),
        [("invalid", AbortReason.INVALID_PARAMETER_VALUE, "A_ABORT of 5 bytes")],
    ),
    "bytes behind the last PDV": (
        pdu(4, p_data_tf(data_set(b"xy"))[6:] + bytes(3)),
        [
            (
                "invalid",
                AbortReason.INVALID_PARAMETER_VALUE,
                "3 stray bytes behind the last PDV",
            )
        ],
    ),
    "an odd fragment behind a good one": (
        pdu(4, p_data_tf(data_set(b"xy"))[6:] + struct.pack(">LBB", 3, 1, 2) + b"z"),
        [
            run(data_set(b"xy")),
            (
                "invalid",
                AbortReason.INVALID_PARAMETER_VALUE,
                "PDV of 3 bytes with 3 left in its P-DATA-TF",
            ),
        ],
    ),
}


@pytest.mark.parametrize("cut", [bytes, single_bytes], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name, cut):
    stream, expected = CORPUS[name]
    pieces = [stream] if cut is bytes else single_bytes(stream)
    assert read_pieces(pieces) == expected


def expected_events(parts) -> list[Plain]:
    """What a stream means, from what it was built of."""
    events: list[Plain] = []
    for part, _ in parts:
        if isinstance(part, Control):
            events.append(("control", part.type, part.body))
            continue
        for fragment in part:
            if fragment.command:
                events.append(("command", fragment.context_id, fragment.data, fragment.last, 0))
            else:
                events.append(run(fragment._replace(control=fragment.control & 2)))
    return joined(events)


@given(streams, st.data())
def test_any_cut_gives_the_events_of_the_stream(parts, draw):
    stream = encode(parts)
    expected = expected_events(parts)
    assert read_pieces([stream]) == expected
    assert read_pieces(single_bytes(stream)) == expected
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=12), label="cuts"))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read_pieces(pieces) == expected


@given(st.lists(pdus, min_size=1, max_size=4), st.data())
def test_a_stream_that_breaks_off_is_told_up_to_there_whatever_the_cut(parts, draw):
    stream = encode(parts)
    stream = stream[: draw.draw(st.integers(0, len(stream)), label="end")]
    assert read_pieces(single_bytes(stream)) == read_pieces([stream])


@given(streams)
def test_what_the_runs_carry_decodes_to_the_fragments_of_the_input(parts):
    """Identity, seen by a decoder that knows nothing of the reader."""
    sent = [
        (fragment.context_id, fragment.control & 3, fragment.data)
        for part, _ in parts
        if not isinstance(part, Control)
        for fragment in part
    ]
    events = read_pieces([encode(parts)])
    onward = decode_p_data(b"".join(event[2] for event in events if event[0] == "data"))
    assert onward == [fragment for fragment in sent if not fragment[1] & 1]
    commands = b"".join(event[2] for event in events if event[0] == "command")
    assert commands == b"".join(data for _, control, data in sent if control & 1)


@given(st.binary(max_size=200), st.sampled_from([0, 8, 64]))
def test_random_bytes_never_raise_and_mean_the_same_byte_by_byte(data, limit):
    events = read_pieces([data], limit)
    assert read_pieces(single_bytes(data), limit) == events
    assert all(event[0] != "invalid" for event in events[:-1])


@given(streams, st.data())
def test_damaged_streams_never_raise_and_mean_the_same_byte_by_byte(parts, draw):
    """Closer to the valid ones than random bytes, so it gets further in."""
    damaged = bytearray(encode(parts))
    for _ in range(draw.draw(st.integers(1, 3))):
        if damaged:
            at = draw.draw(st.integers(0, len(damaged) - 1))
            damaged[at] = draw.draw(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 0x7F, 0xFF]))
    stream = bytes(damaged)
    whole, bytewise = read_pieces([stream], 64), read_pieces(single_bytes(stream), 64)
    assert whole == bytewise


def test_the_reader_stops_behind_each_control_pdu():
    """What is read next may depend on what the control PDU changed."""
    reader, stream = PduReader(), RELEASE + p_data_tf(data_set(b"xy"))
    consumed, events = reader.receive_data(memoryview(stream))
    assert consumed == len(RELEASE)
    assert [plain(event)[0] for event in events] == ["control"]
    consumed, events = reader.receive_data(memoryview(stream)[consumed:])
    assert consumed == len(stream) - len(RELEASE)
    assert [plain(event) for event in events] == [run(data_set(b"xy"))]


def test_the_limit_may_change_behind_a_control_pdu_in_the_same_read():
    reader, stream = PduReader(), RELEASE + p_data_tf(data_set(b"uvwx"))
    consumed, _ = reader.receive_data(memoryview(stream))
    reader.maximum_length = 8
    _, events = reader.receive_data(memoryview(stream)[consumed:])
    assert [plain(event)[0] for event in events] == ["invalid"]


def test_the_limit_does_not_touch_a_pdu_whose_header_is_through():
    reader, stream = PduReader(), p_data_tf(data_set(b"uvwx"))
    reader.receive_data(memoryview(stream)[:6])
    reader.maximum_length = 8
    assert joined(read(reader, stream[6:])) == [run(data_set(b"uvwx"))]


def test_a_run_is_one_view_of_the_callers_buffer():
    buffer = bytearray(p_data_tf(data_set(b"xy", last=False)) * 1000 + p_data_tf(data_set(b"zz")))
    consumed, events = PduReader().receive_data(memoryview(buffer))
    assert consumed == len(buffer)
    (event,) = events
    assert isinstance(event, PDataRun)
    assert isinstance(event.data, memoryview)
    assert event.data.obj is buffer
    assert len(event.data) == len(buffer)
    assert event.last


def test_all_is_consumed_behind_an_invalid_pdu_and_nothing_is_said():
    reader = PduReader()
    stream = pdu(4, b"") + RELEASE
    assert reader.receive_data(memoryview(stream)) == (
        len(stream),
        [InvalidPdu(AbortReason.INVALID_PARAMETER_VALUE, "P-DATA-TF of 0 bytes")],
    )
    assert reader.receive_data(memoryview(RELEASE)) == (len(RELEASE), [])
