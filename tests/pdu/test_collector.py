"""A small data set out of its runs, however they were cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pdu.strategies import Fragment, p_data_tf
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.collector import MAX_DATA_SET, Collector
from ulproxy.pdu.reader import PDataRun, PduReader

# Even pieces of a data set, and whether the next one stands in a PDU of its own.
pieces = st.lists(
    st.tuples(st.binary(max_size=30).map(lambda data: data[: len(data) & ~1]), st.booleans()),
    min_size=1,
    max_size=6,
)


def p_data(parts: list[tuple[bytes, bool]]) -> bytes:
    stream, pdu = b"", []
    for number, (data, alone) in enumerate(parts, 1):
        pdu.append(Fragment(1, 2 if number == len(parts) else 0, data))
        if alone or number == len(parts):
            stream += p_data_tf(*pdu)
            pdu = []
    return stream


@given(pieces, st.integers(1, 60))
def test_a_data_set_is_whole_when_its_last_run_came(parts, length):
    stream, reader, collector = p_data(parts), PduReader(), Collector()
    taken: list[bytes | None] = []
    for at in range(0, len(stream), length):
        for run in reader.receive_data(memoryview(stream)[at : at + length])[1]:
            assert isinstance(run, PDataRun)
            assert taken.count(None) == len(taken), "something behind the last run"
            taken.append(collector.take(run))
    assert taken[-1] == b"".join(data for data, _ in parts)


def test_an_empty_data_set():
    run = PDataRun(1, p_data_tf(Fragment(1, 2, b"")), last=True, remaining=0)
    assert Collector().take(run) == b""


@pytest.mark.parametrize("length", [MAX_DATA_SET - 2, MAX_DATA_SET])
def test_the_longest_data_set(length):
    run = PDataRun(1, p_data_tf(Fragment(1, 2, bytes(length))), last=True, remaining=0)
    assert Collector().take(run) == bytes(length)


@pytest.mark.parametrize("last", [False, True])
def test_a_longer_one_is_refused_before_it_is_whole(last):
    control = 2 if last else 0
    run = PDataRun(1, p_data_tf(Fragment(1, control, bytes(MAX_DATA_SET + 2))), last, 0)
    with pytest.raises(RemoteProtocolError) as caught:
        Collector().take(run)
    assert caught.value.reason == 0


@pytest.mark.parametrize("length", [MAX_DATA_SET - 1, MAX_DATA_SET, MAX_DATA_SET + 1])
def test_the_limit_is_one_of_the_whole_whatever_its_runs(length):
    """Refused with the run that is too much, so nothing grows past it."""
    whole, collector, size = bytes(length), Collector(), 1 << 16
    for at in range(0, length, size):
        fragment = whole[at : at + size]
        last = at + size >= length
        run = PDataRun(1, p_data_tf(Fragment(1, 2 * last, fragment)), last=last, remaining=0)
        if at + len(fragment) > MAX_DATA_SET:
            with pytest.raises(RemoteProtocolError):
                collector.take(run)
        else:
            assert collector.take(run) == (whole if last else None)
