"""A data set that is small enough to be held whole, out of the runs that it comes in."""

from __future__ import annotations

from typing import Final

from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.reader import PDataRun
from ulproxy.pdu.types import AbortReason

# A storage commitment of 17 000 instances; C-FIND responses and worklist items have a few KB.
MAX_DATA_SET: Final = 1 << 22
_HEADER: Final = 12  # of a P-DATA-TF with its only PDV


class Collector:
    """Takes the headers out of runs (see `PDataRun`) and keeps the rest."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._fragment_left = 0

    def take(self, run: PDataRun) -> bytes | None:
        """Takes a run; returns the data set when it is whole. Raises RemoteProtocolError if too long."""
        data, position = run.data, 0
        while position < len(data):
            if not self._fragment_left:
                self._fragment_left = int.from_bytes(data[position + 2 : position + 6]) - 6
                position += _HEADER
            upto = min(position + self._fragment_left, len(data))
            self._data += data[position:upto]
            self._fragment_left -= upto - position
            position = upto
        if len(self._data) > MAX_DATA_SET:
            text = f"data set of more than {MAX_DATA_SET} bytes where AE titles are mapped"
            raise RemoteProtocolError(text, AbortReason.NOT_SPECIFIED)
        return bytes(self._data) if run.last else None
