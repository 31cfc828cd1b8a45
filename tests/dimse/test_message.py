"""Messages from fragments: any cut gives the same ones, and what stands in the wrong place is refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
)
from ulproxy.dimse.command import decode
from ulproxy.dimse.message import Message, MessageReader
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.reader import CommandFragment, PDataRun
from ulproxy.pdu.types import MAX_COMMAND

Step = CommandFragment | PDataRun
ACCEPTED = {1: "1.2", 3: "1.3", 255: "1.4"}
UNEXPECTED_PARAMETER, INVALID_PARAMETER_VALUE = 5, 6


def said(data: bytes, context_id: int = 1, *, last: bool = True) -> CommandFragment:
    return CommandFragment(context_id, memoryview(data), last)


def data(context_id: int = 1, *, last: bool = True, remaining: int = 0) -> PDataRun:
    return PDataRun(context_id, b"\4\0\0\0\0\0", last, remaining)


def take(reader: MessageReader, step: Step) -> Message | None:
    if isinstance(step, CommandFragment):
        return reader.command_fragment(step)
    reader.data_run(step)
    return None


def read(*steps: Step) -> tuple[list[Message], MessageReader]:
    reader = MessageReader(ACCEPTED)
    taken = [take(reader, step) for step in steps]
    return [message for message in taken if message is not None], reader


def test_a_message_without_a_data_set():
    messages, reader = read(said(C_ECHO_RQ, 3))
    assert messages == [Message(3, decode(C_ECHO_RQ))]
    assert not reader.under_way


def test_a_message_is_known_as_soon_as_its_command_set_is_whole():
    messages, _ = read(said(C_STORE_RQ))
    assert messages == [Message(1, decode(C_STORE_RQ))]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], False),
        ([said(C_ECHO_RQ[:10], last=False)], True),
        ([said(C_ECHO_RQ[:10], last=False), said(C_ECHO_RQ[10:])], False),
        ([said(C_STORE_RQ)], True),
        ([said(C_STORE_RQ), data(last=False, remaining=100)], True),
        ([said(C_STORE_RQ), data(last=False), data(last=False)], True),
        ([said(C_STORE_RQ), data(last=False), data()], False),
    ],
)
def test_under_way_from_the_first_fragment_to_the_last(steps, expected):
    _, reader = read(*steps)
    assert reader.under_way is expected


def test_a_fragment_of_nothing_may_begin_and_end_a_command_set():
    """PS3.8 E.1: even, and nothing says that it must have data."""
    messages, _ = read(said(b"", last=False), said(C_ECHO_RQ, last=False), said(b""))
    assert messages == [Message(1, decode(C_ECHO_RQ))]


def test_one_message_after_another_on_any_context():
    messages, reader = read(
        said(C_STORE_RQ),
        data(),
        said(C_ECHO_RQ, 255),
        said(C_FIND_RSP, 3),
        data(3),
        said(C_ECHO_RQ),
    )
    assert [message.context_id for message in messages] == [1, 255, 3, 1]
    assert not reader.under_way


def test_no_piece_is_kept_as_a_view():
    """The receive buffer is overwritten by the next read."""
    buffer = bytearray(C_ECHO_RQ[:20])
    reader = MessageReader(ACCEPTED)
    reader.command_fragment(CommandFragment(1, memoryview(buffer), last=False))
    buffer[:] = bytes(20)
    message = reader.command_fragment(said(C_ECHO_RQ[20:]))
    assert message == Message(1, decode(C_ECHO_RQ))


@st.composite
def cut(draw: st.DrawFn) -> tuple[list[Message], list[Step]]:
    """Messages, and one way of cutting them into fragments and pieces of fragments."""
    expected: list[Message] = []
    steps: list[Step] = []
    for name in draw(st.lists(st.sampled_from(sorted(VALID)), min_size=1, max_size=4)):
        context_id, whole = draw(st.sampled_from(sorted(ACCEPTED))), VALID[name]
        cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=6)))
        bounds = [0, *cuts, len(whole)]
        pieces = [whole[a:b] for a, b in pairwise(bounds)]
        steps += [said(piece, context_id, last=False) for piece in pieces[:-1]]
        steps.append(said(pieces[-1], context_id))
        expected.append(Message(context_id, decode(whole)))
        if expected[-1].command.has_data_set:
            steps += [
                data(context_id, last=False, remaining=n) for n in draw(st.lists(st.integers(0, 9)))
            ]
            steps.append(data(context_id))
    return expected, steps


@given(cut())
def test_any_cut_gives_the_same_messages(case):
    expected, steps = case
    messages, reader = read(*steps)
    assert messages == expected
    assert not reader.under_way


@pytest.mark.parametrize("name", VALID)
def test_byte_by_byte(name):
    whole = VALID[name]
    pieces = [said(whole[n : n + 1], last=n + 1 == len(whole)) for n in range(len(whole))]
    messages, _ = read(*pieces)
    assert messages == [Message(1, decode(whole))]


# Refused


def refused(before: list[Step], step: Step) -> RemoteProtocolError:
    _, reader = read(*before)
    with pytest.raises(RemoteProtocolError) as caught:
        take(reader, step)
    return caught.value


BEGUN = said(C_MOVE_RQ[:20], last=False)
WRONG_MOMENT: dict[str, tuple[list[Step], Step]] = {
    "data first": ([], data()),
    "data after a message without": ([said(C_ECHO_RQ)], data()),
    "data after the last": ([said(C_STORE_RQ), data()], data()),
    "data within a command set": ([BEGUN], data()),
    "command within data": ([said(C_STORE_RQ), data(last=False)], said(C_ECHO_RQ)),
    "command instead of data": ([said(C_STORE_RQ)], said(C_ECHO_RQ)),
    "another message within data": ([said(C_STORE_RQ), data(last=False)], said(C_ECHO_RQ, 3)),
    "another context in a command set": ([BEGUN], said(C_MOVE_RQ[20:], 3)),
    "another context in the data set": ([said(C_STORE_RQ)], data(3)),
    "another context within the data": ([said(C_STORE_RQ), data(last=False)], data(3)),
    "an unknown context within": ([BEGUN], said(C_MOVE_RQ[20:], 7)),
}


@pytest.mark.parametrize("name", WRONG_MOMENT)
def test_wrong_moment(name):
    """PS3.8 E.1: fragments of messages do not interleave, a message keeps to one context."""
    assert refused(*WRONG_MOMENT[name]).reason == UNEXPECTED_PARAMETER


@pytest.mark.parametrize("context_id", [0, 2, 5, 7, 253])
def test_a_context_that_was_not_accepted(context_id):
    error = refused([], said(C_ECHO_RQ, context_id))
    assert error.reason == INVALID_PARAMETER_VALUE
    assert str(context_id) in str(error)


@pytest.mark.parametrize(
    "broken", [b"", C_ECHO_RQ[:-1], C_ECHO_RQ[12:], C_ECHO_RQ + b"\0\0", b"\xff" * 40]
)
def test_a_broken_command_set(broken):
    assert refused([], said(broken)).reason == INVALID_PARAMETER_VALUE


def of_length(length: int) -> bytes:
    rest = length - len(command(FIELD, NO_DATA, element(0x1005, b"")))
    return command(FIELD, NO_DATA, element(0x1005, bytes(rest)))


@pytest.mark.parametrize("length", [MAX_COMMAND - 2, MAX_COMMAND])
@pytest.mark.parametrize("piece", [1000, MAX_COMMAND])
def test_as_long_as_a_command_set_may_be(length, piece):
    whole = of_length(length)
    assert len(whole) == length
    pieces = [said(whole[n : n + piece], last=n + piece >= length) for n in range(0, length, piece)]
    messages, _ = read(*pieces)
    assert messages == [Message(1, decode(whole))]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("length", [MAX_COMMAND + 1, MAX_COMMAND + 2, 2 * MAX_COMMAND])
def test_longer_than_a_command_set_may_be(length, last):
    """Refused as soon as it is too long, whether or not it ends."""
    error = refused([], said(bytes(length), last=last))
    assert error.reason == INVALID_PARAMETER_VALUE
    first = said(bytes(MAX_COMMAND), last=False)
    rest = said(bytes(length - MAX_COMMAND), last=last)
    assert refused([first], rest).reason == INVALID_PARAMETER_VALUE
