"""Fuzzes the header hop: `python -m fuzz.reader --seconds 60`."""

from __future__ import annotations

import struct
import sys
from typing import Final

from fuzz import driver
from tests.pdu.reading import Plain, joined, read_pieces, single_bytes
from ulproxy.pdu.types import MAX_CONTROL_PDU, MIN_ASSOCIATE_PDU

LIMIT: Final = 64  # as if the sender had been told this maximum length


def one_input(data: bytes) -> None:
    """However it is cut and limited, the reader never raises and says what `whole` says of the bytes."""
    for limit in (0, LIMIT):
        expected = whole(data, limit)
        for pieces in (
            [data],
            single_bytes(data),
            [data[at : at + 7] for at in range(0, len(data), 7)],
            [data[:13], data[13:]],
        ):
            said = [
                event[:2] if event[0] == "invalid" else event
                for event in read_pieces(pieces, limit)
            ]
            assert said == expected


def whole(data: bytes, limit: int) -> list[Plain]:
    """PS3.8 9.3 read from front to back, as if there were no reads and no 4 GB."""
    events: list[Plain] = []
    while len(data) >= 6:
        kind, length = struct.unpack(">BxL", data[:6])
        body, data = data[6 : 6 + length], data[6 + length :]
        if kind == 4:
            if length < 6 or (limit and length > limit):
                return joined([*events, ("invalid", 6)])
            invalid = _pdvs(body, length, events)
            if invalid:
                return joined([*events, ("invalid", 6)])
            continue
        if not 1 <= kind <= 7:
            return joined([*events, ("invalid", 1)])
        bounds = (MIN_ASSOCIATE_PDU, MAX_CONTROL_PDU) if kind <= 2 else (4, 4)
        if not bounds[0] <= length <= bounds[1]:
            return joined([*events, ("invalid", 6)])
        if len(body) == length:
            events.append(("control", kind, body))
    return joined(events)


def _pdvs(body: bytes, left: int, events: list[Plain]) -> bool:
    """Adds what is there of a P-DATA-TF with `left` bytes; returns whether it is invalid."""
    while len(body) >= 6:
        length, context_id, control = struct.unpack(">LBB", body[:6])
        left -= length + 4
        if length < 2 or length % 2 or left < 0 or 0 < left < 6:
            return True
        fragment, body = body[6 : 4 + length], body[4 + length :]
        remaining = length - 2 - len(fragment)
        last = control & 2 == 2 and remaining == 0
        if control & 1:
            if fragment or not remaining:
                events.append(("command", context_id, fragment, last, 0))
        else:
            head = struct.pack(">BxLLBB", 4, length + 4, length, context_id, control & 2)
            events.append(("data", context_id, head + fragment, last, remaining))
    return False


if __name__ == "__main__":
    sys.exit(driver.main(one_input, "reader"))
