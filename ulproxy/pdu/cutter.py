"""Fragments cut anew for a receiver that takes less than their sender was told (PS3.8 D.1)."""

from __future__ import annotations

from typing import Final

from ulproxy.pdu.reader import PDataRun
from ulproxy.pdu.writer import p_data_header

_HEADER: Final = 12  # of a P-DATA-TF with its only PDV
_LAST: Final = 0b10


class Cutter:
    """Takes runs (see `PDataRun`) of one data set after the other; what it returns are whole P-DATA-TFs.

    `maximum_length` is the receiver's, in bytes, at least 8.
    """

    def __init__(self, maximum_length: int) -> None:
        self._room = (maximum_length - 6) & ~1
        self._fragment_left = 0
        self._last = 0
        self._odd = b""  # a byte that waits for its other half: fragments are even

    def cut(self, run: PDataRun) -> bytes:
        """What came of the data set, in fragments that the receiver takes."""
        data, position = run.data, 0
        written: list[bytes] = []
        while position < len(data):
            if not self._fragment_left:
                self._fragment_left = int.from_bytes(data[position + 2 : position + 6]) - 6
                self._last = data[position + 11] & _LAST
                position += _HEADER
            upto = min(position + self._fragment_left, len(data))
            self._fragment_left -= upto - position
            self._write(run.context_id, self._odd + data[position:upto], written)
            position = upto
        return b"".join(written)

    def _write(self, context_id: int, data: bytes, written: list[bytes]) -> None:
        whole = not self._fragment_left
        even = len(data) if whole else len(data) & ~1
        self._odd = data[even:]
        for start in range(0, even, self._room):
            piece = data[start : min(start + self._room, even)]
            last = self._last if whole and start + self._room >= even else 0
            written += [p_data_header(context_id, last, len(piece)), piece]
        if whole and not even and self._last:
            written.append(p_data_header(context_id, _LAST, 0))
