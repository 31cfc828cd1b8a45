"""Feeding a PduReader, joining what it says, and a P-DATA decoder that shares nothing with it."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from ulproxy.pdu.reader import CommandFragment, ControlPdu, PDataRun, PduEvent, PduReader

Plain = tuple[Any, ...]


def plain(event: PduEvent) -> Plain:
    """The event as a value that outlives the buffer."""
    if isinstance(event, PDataRun):
        return ("data", event.context_id, bytes(event.data), event.last, event.remaining)
    if isinstance(event, CommandFragment):
        return ("command", event.context_id, bytes(event.data), event.last, 0)
    if isinstance(event, ControlPdu):
        return ("control", event.type, event.body)
    return ("invalid", event.reason, event.text)


def joined(events: Iterable[Plain]) -> list[Plain]:
    """Neighbouring pieces of one context, command or data, put together up to the last."""
    out: list[Plain] = []
    for event in events:
        before = out[-1] if out else None
        if (
            before is not None
            and event[0] in ("data", "command")
            and before[:2] == event[:2]
            and not before[3]
        ):
            out[-1] = (*event[:2], before[2] + event[2], *event[3:])
        else:
            out.append(event)
    return out


def read(reader: PduReader, data: bytes) -> list[Plain]:
    """One read of the transport: the reader stops behind control PDUs and is asked again."""
    events: list[Plain] = []
    unread = memoryview(data)
    while unread:
        consumed, found = reader.receive_data(unread)
        assert 0 < consumed <= len(unread), "no progress"
        events += [plain(event) for event in found]
        unread = unread[consumed:]
    return events


def read_pieces(pieces: Iterable[bytes], maximum_length: int = 0) -> list[Plain]:
    """What a fresh reader says of a stream that comes in these pieces."""
    reader = PduReader()
    reader.maximum_length = maximum_length
    return joined(event for piece in pieces for event in read(reader, piece))


def single_bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def decode_p_data(data: bytes) -> list[tuple[int, int, bytes]]:
    """(context id, control header, data) of each PDV; the last one may be cut short."""
    found = []
    while data:
        pdu_type, reserved, length = struct.unpack(">BBL", data[:6])
        assert (pdu_type, reserved) == (4, 0)
        pdvs, data = data[6 : 6 + length], data[6 + length :]
        while pdvs:
            pdv_length, context_id, control = struct.unpack(">LBB", pdvs[:6])
            assert pdv_length % 2 == 0
            assert pdv_length + 4 <= length
            found.append((context_id, control, pdvs[6 : 4 + pdv_length]))
            pdvs = pdvs[4 + pdv_length :]
    return found
