"""Fragments cut anew: the same data set in P-DATA-TFs that the receiver takes, whatever came in one read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.relay.listener import heard
from tests.relay.wire import command, fragment, store_rq
from ulproxy.pdu.cutter import Cutter
from ulproxy.pdu.reader import PDataRun, PduReader

DATA = bytes(range(256)) * 2


def runs(stream: bytes, size: int) -> list[PDataRun]:
    """What a reader reports when bytes come in reads of this size."""
    reader, found = PduReader(), []
    for start in range(0, len(stream), size):
        _, events = reader.receive_data(memoryview(stream[start : start + size]))
        found += [replace(e, data=bytes(e.data)) for e in events if isinstance(e, PDataRun)]
    return found


@pytest.mark.parametrize("maximum_length", [8, 9, 10, 64, 263, 264, 518, 16384])
@pytest.mark.parametrize("size", [1, 13, 14, 100, 1 << 20])
@pytest.mark.parametrize("cuts", [[512], [256, 512], [2, 4, 300, 512], [512, 512]])
def test_the_data_set_stays_what_it_is(cuts, size, maximum_length):
    """[512, 512]: the last fragment is empty."""
    edges = [0, *cuts]
    stream = b"".join(
        fragment(1, DATA[a:b], last=n == len(cuts))
        for n, (a, b) in enumerate(zip(edges, cuts, strict=False), 1)
    )
    cutter = Cutter(maximum_length)
    written = b"".join(cutter.cut(run) for run in runs(stream, size))
    (message,) = heard(command(1, store_rq(1)) + written, max(maximum_length, 200)).messages
    assert bytes(message.data) == DATA
    assert message.complete
    position = 0
    while position < len(written):
        length = int.from_bytes(written[position + 2 : position + 6])
        assert length <= maximum_length
        assert length % 2 == 0
        position += 6 + length


def test_what_is_written_is_whole_after_every_read():
    """So an A-ABORT can follow, and is not taken for the object's bytes."""
    cutter = Cutter(16384)
    for run in runs(fragment(1, DATA), 100)[:-1]:
        written = cutter.cut(run)
        assert int.from_bytes(written[2:6]) == len(written) - 6
        assert not written[11] & 2


def test_one_data_set_after_the_other():
    cutter = Cutter(64)
    for _ in range(2):
        written = b"".join(cutter.cut(run) for run in runs(fragment(3, DATA), 33))
        assert written[-12 - 512 % 58 :][11] & 2
        assert written[10] == 3
