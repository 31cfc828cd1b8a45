"""The header hop: bytes of a PDU stream -> control PDUs, command fragments, runs of data (PS3.8 9.3).

Two rules. A P-DATA-TF is never held: what arrives of a fragment is reported at once, as a view of the
caller's buffer that is valid until the next call. And the events depend on the bytes alone, never on
how they were cut into reads, once neighbouring pieces of one fragment are joined.

A data fragment that is alone in its PDU goes on with the twelve bytes before it, so neighbouring
fragments of one context are one contiguous run. Where a PDU has several PDVs each data fragment gets
a PDU header of its own: a PDU that mixed commands and data could not go on as it came. Reserved bytes
and bits of the headers go on as 0, as a sender's must (9.3.1, E.2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from ulproxy.pdu.types import MAX_CONTROL_PDU, MIN_ASSOCIATE_PDU, AbortReason, PduType
from ulproxy.pdu.writer import p_data_header

_PDU: Final = struct.Struct(">BxL")
_PDV: Final = struct.Struct(">LBB")
_BOTH: Final = struct.Struct(">HLLBB")
_P_DATA_TF_RESERVED_0: Final = PduType.P_DATA_TF << 8
_COMMAND: Final = 0b01
_LAST: Final = 0b10
_FIXED_LENGTH: Final = frozenset(
    {PduType.A_ASSOCIATE_RJ, PduType.A_RELEASE_RQ, PduType.A_RELEASE_RP, PduType.A_ABORT}
)
_CONTROL: Final = frozenset(PduType) - {PduType.P_DATA_TF}


class ControlPdu(NamedTuple):
    """A whole PDU other than P-DATA-TF; `body` is what follows the six byte header."""

    type: PduType
    body: bytes


@dataclass(slots=True)
class CommandFragment:
    """A piece of a command fragment; `last` = the command set ends with it."""

    context_id: int
    data: memoryview
    last: bool


@dataclass(slots=True)
class PDataRun:
    """Data fragments of one message, framed as P-DATA-TFs, ready to be sent on.

    `last` = the data set ends with it; `remaining` = bytes still to come of the fragment that the run
    breaks off in, 0 when it ends with a PDU.
    """

    context_id: int
    data: memoryview | bytes
    last: bool
    remaining: int


class InvalidPdu(NamedTuple):
    """Evt19: the stream cannot be understood from here on; always the last event."""

    reason: AbortReason
    text: str


PduEvent = ControlPdu | CommandFragment | PDataRun | InvalidPdu


class PduReader:
    """Reads one direction of an association.

    `maximum_length` is what the sender was told to keep to (PS3.8 D.1), in bytes of a P-DATA-TF's
    variable field; 0 = no limit. It may be set at any time and counts from the next PDU on.
    """

    __slots__ = (
        "_context_id",
        "_control",
        "_control_type",
        "_control_wanted",
        "_flags",
        "_fragment_left",
        "_head",
        "_invalid",
        "_pdu_left",
        "maximum_length",
    )

    def __init__(self) -> None:
        self.maximum_length = 0
        self._head = bytearray()  # a header that a read cut in two
        self._pdu_left = 0  # bytes of the P-DATA-TF behind the current fragment
        self._fragment_left = 0
        self._context_id = 0
        self._flags = 0
        self._control: bytearray | None = None
        self._control_type = PduType.A_ABORT
        self._control_wanted = 0
        self._invalid = False

    @property
    def within_pdu(self) -> bool:
        """Whether a PDU has begun and not ended."""
        if self._control is not None or self._head:
            return True
        return self._pdu_left > 0 or self._fragment_left > 0

    def receive_data(self, unread: memoryview) -> tuple[int, list[PduEvent]]:
        """Reads on; returns how many bytes were consumed, and what they held.

        Stops behind each control PDU, since that may change what the next bytes mean. Never raises.
        After an InvalidPdu everything is consumed and nothing reported.
        """
        events: list[PduEvent] = []
        position, end = 0, len(unread)
        while position < end:
            if self._invalid:
                return end, events
            if (control := self._control) is not None:
                return self._control_body(control, unread, position, events), events
            if self._fragment_left:
                position = self._fragment(unread, position, position, events)
            elif self._pdu_left:
                position = self._pdv_header(unread, position, events)
            elif self._at_fragment(unread, position, _COMMAND | _LAST):
                position = self._fragment(unread, position, position + 12, events)
            else:
                position = self._pdu_header(unread, position, events)
        return position, events

    def _at_fragment(self, unread: memoryview, position: int, flags_allowed: int) -> bool:
        """Whether a fragment alone in its PDU starts here, with all of its twelve bytes."""
        if self._head or len(unread) - position < 12:
            return False
        kind, length, pdv_length, context_id, flags = _BOTH.unpack_from(unread, position)
        if (
            kind != _P_DATA_TF_RESERVED_0
            or length != pdv_length + 4
            or flags & ~flags_allowed
            or length < 6
            or length & 1
            or length > (self.maximum_length or length)
        ):
            return False
        self._context_id, self._flags, self._fragment_left = context_id, flags, length - 6
        return True

    def _fragment(
        self, unread: memoryview, start: int, position: int, events: list[PduEvent]
    ) -> int:
        """Reports what is there of the current fragment, which goes on at `position`."""
        if self._flags & _COMMAND:
            return self._command_fragment(unread, position, events)
        context_id, end = self._context_id, len(unread)
        while True:
            if self._fragment_left > end - position:
                self._fragment_left -= end - position
                position, last = end, False
                break
            position += self._fragment_left
            self._fragment_left = 0
            last = bool(self._flags & _LAST)
            if last or self._pdu_left or not self._at_fragment(unread, position, _LAST):
                break
            if self._context_id != context_id:  # the header just read belongs to the next run
                self._fragment_left = 0
                break
            position += 12
        events.append(PDataRun(context_id, unread[start:position], last, self._fragment_left))
        return position

    def _command_fragment(self, unread: memoryview, position: int, events: list[PduEvent]) -> int:
        upto = min(position + self._fragment_left, len(unread))
        self._fragment_left -= upto - position
        if upto > position or not self._fragment_left:  # a read may end with the header
            last = self._fragment_left == 0 and bool(self._flags & _LAST)
            events.append(CommandFragment(self._context_id, unread[position:upto], last))
        return upto

    def _gather(self, unread: memoryview, position: int) -> int:
        """Completes the six bytes of a header as far as the bytes reach."""
        upto = position + 6 - len(self._head)
        self._head += unread[position:upto]
        return min(upto, len(unread))

    def _pdu_header(self, unread: memoryview, position: int, events: list[PduEvent]) -> int:
        position = self._gather(unread, position)
        if len(self._head) < 6:
            return position
        kind, length = _PDU.unpack(self._head)
        self._head.clear()
        if kind == PduType.P_DATA_TF:
            if length < 6:
                return self._fail(events, position, f"P-DATA-TF of {length} bytes")
            if length > (self.maximum_length or length):
                text = f"P-DATA-TF of {length} bytes, {self.maximum_length} were agreed"
                return self._fail(events, position, text)
            self._pdu_left = length
            return position
        if kind not in _CONTROL:
            self._invalid = True
            text = f"unrecognized PDU type {kind:02X}H"
            events.append(InvalidPdu(AbortReason.UNRECOGNIZED_PDU, text))
            return position
        least, most = (4, 4) if kind in _FIXED_LENGTH else (MIN_ASSOCIATE_PDU, MAX_CONTROL_PDU)
        if not least <= length <= most:
            return self._fail(events, position, f"{PduType(kind).name} of {length} bytes")
        self._control, self._control_type = bytearray(), PduType(kind)
        self._control_wanted = length
        return position

    def _control_body(
        self, control: bytearray, unread: memoryview, position: int, events: list[PduEvent]
    ) -> int:
        """Collects the rest of a control PDU, whose memory grows only with what really comes."""
        upto = position + self._control_wanted - len(control)
        control += unread[position:upto]
        if len(control) == self._control_wanted:
            events.append(ControlPdu(self._control_type, bytes(control)))
            self._control = None
        return min(upto, len(unread))

    def _pdv_header(self, unread: memoryview, position: int, events: list[PduEvent]) -> int:
        position = self._gather(unread, position)
        if len(self._head) < 6:
            return position
        pdv_length, self._context_id, self._flags = _PDV.unpack(self._head)
        self._head.clear()
        # PS3.8 9.3.5.1, E.1: whole in one PDU, even
        if pdv_length < 2 or pdv_length & 1 or pdv_length + 4 > self._pdu_left:
            text = f"PDV of {pdv_length} bytes with {self._pdu_left - 4} left in its P-DATA-TF"
            return self._fail(events, position, text)
        self._pdu_left -= pdv_length + 4
        if 0 < self._pdu_left < 6:
            text = f"{self._pdu_left} stray bytes behind the last PDV"
            return self._fail(events, position, text)
        self._fragment_left = pdv_length - 2
        last = bool(self._flags & _LAST) and not self._fragment_left
        if self._flags & _COMMAND:
            if not self._fragment_left:
                events.append(CommandFragment(self._context_id, unread[:0], last))
            return position
        header = p_data_header(self._context_id, self._flags & _LAST, self._fragment_left)
        events.append(PDataRun(self._context_id, header, last, self._fragment_left))
        return position

    def _fail(self, events: list[PduEvent], position: int, text: str) -> int:
        self._invalid = True
        events.append(InvalidPdu(AbortReason.INVALID_PARAMETER_VALUE, text))
        return position
