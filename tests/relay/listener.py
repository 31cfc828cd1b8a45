"""A peer's ear: reads a PDU stream byte by byte, shares nothing with the relay and trusts nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.relay.wire import DATA_SET_TYPE, FIELD, NO_DATA


@dataclass
class Heard:
    """A message as its receiver has it so far."""

    context_id: int
    raw: bytearray = field(default_factory=bytearray)
    command: dict[int, bytes] | None = None
    data: bytearray = field(default_factory=bytearray)
    complete: bool = False

    @property
    def field(self) -> int:
        assert self.command is not None
        return int.from_bytes(self.command[FIELD], "little")


class Listener:
    """What a strict peer makes of a PDU stream, byte by byte; asserts that it is valid.

    `maximum_length` is what this peer said it takes in a P-DATA-TF, 0 = any; `strict` = reserved bytes
    and bits are 0, which a sender must see to and a receiver must not.
    """

    def __init__(self, maximum_length: int = 0, *, strict: bool = True) -> None:
        self.maximum_length = maximum_length
        self.strict = strict
        self.controls: list[tuple[int, bytes]] = []
        self.messages: list[Heard] = []
        self._head = bytearray()
        self._control: tuple[int, int, bytearray] | None = None
        self._pdu_left = 0
        self._pdv_left = 0
        self._flags = 0

    @property
    def between_pdus(self) -> bool:
        return not (self._head or self._control or self._pdu_left or self._pdv_left)

    @property
    def within_message(self) -> bool:
        return bool(self.messages) and not self.messages[-1].complete

    def feed(self, data: bytes) -> None:
        position = 0
        while position < len(data):
            if self._control is not None:
                position = self._feed_control(self._control, data, position)
            elif self._pdv_left:
                upto = min(len(data), position + self._pdv_left)
                self._feed_fragment(data[position:upto])
                self._pdv_left -= upto - position
                position = upto
                self._end_fragment()
            else:
                self._head.append(data[position])
                position += 1
                if len(self._head) == 6:
                    head = bytes(self._head)
                    self._head.clear()
                    if self._pdu_left:
                        self._begin_pdv(head)
                    else:
                        self._begin_pdu(head)

    def _begin_pdu(self, head: bytes) -> None:
        kind, reserved, length = head[0], head[1], int.from_bytes(head[2:], "big")
        assert kind in range(1, 8), f"PDU type {kind}"
        assert not self.strict or reserved == 0
        if kind == 4:
            assert length >= 6
            assert not self.maximum_length or length <= self.maximum_length, f"{length} bytes"
            self._pdu_left = length
        else:
            assert length == 4 or (kind in (1, 2) and length >= 68)
            assert not self.within_message or kind == 7, f"PDU {kind} within a message"
            self._control = (kind, length, bytearray())

    def _feed_control(self, control: tuple[int, int, bytearray], data: bytes, position: int) -> int:
        kind, length, body = control
        upto = min(len(data), position + length - len(body))
        body += data[position:upto]
        if len(body) == length:
            self.controls.append((kind, bytes(body)))
            self._control = None
        return upto

    def _begin_pdv(self, head: bytes) -> None:
        length, context_id, self._flags = int.from_bytes(head[:4], "big"), head[4], head[5]
        assert context_id % 2 == 1
        assert not self.strict or self._flags <= 3
        assert length % 2 == 0
        assert 2 <= length <= self._pdu_left - 4
        self._pdu_left -= 4 + length
        assert self._pdu_left == 0 or self._pdu_left >= 6
        if not self.within_message:
            assert self._flags & 1, "a data set without a command set"
            self.messages.append(Heard(context_id))
        message = self.messages[-1]
        assert message.context_id == context_id, "messages interleaved"
        assert bool(self._flags & 1) == (message.command is None), "command and data sets mixed up"
        self._pdv_left = length - 2
        self._end_fragment()

    def _feed_fragment(self, data: bytes) -> None:
        message = self.messages[-1]
        (message.raw if self._flags & 1 else message.data).extend(data)

    def _end_fragment(self) -> None:
        if self._pdv_left or not self._flags & 2:
            return
        message = self.messages[-1]
        if self._flags & 1:
            message.command = parse_command_set(bytes(message.raw))
            message.complete = message.command[DATA_SET_TYPE] == NO_DATA
        else:
            message.complete = True


def parse_command_set(data: bytes) -> dict[int, bytes]:
    """The elements of a command set; asserts what PS3.7 6.3.1 asks."""
    elements: dict[int, bytes] = {}
    rest = data
    while rest:
        assert rest[:2] == b"\0\0", "another group"
        number, length = int.from_bytes(rest[2:4], "little"), int.from_bytes(rest[4:8], "little")
        assert length % 2 == 0
        assert len(rest) >= 8 + length
        assert not elements or number > max(elements)
        elements[number] = rest[8 : 8 + length]
        rest = rest[8 + length :]
    assert int.from_bytes(elements.pop(0), "little") == len(data) - 12
    return elements


def heard(data: bytes, maximum_length: int = 0) -> Listener:
    """A listener that has heard this much."""
    listener = Listener(maximum_length)
    listener.feed(data)
    return listener
