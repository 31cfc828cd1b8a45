"""What an acceptor said, taken apart: the A-ASSOCIATE-AC and the C-ECHO-RSP.

As little as possible is taken for granted, so that one fault of an acceptor fails the case that is about it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from ulproxy.conform.fault import ViolationError
from ulproxy.conform.words import in_words
from ulproxy.dimse.command import CommandSet, decode
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.items import walk
from ulproxy.pdu.types import MIN_ASSOCIATE_PDU, ItemType, PduType

_PDV: Final = struct.Struct(">LBB")


class ContextAnswer(NamedTuple):
    """A presentation context item of an A-ASSOCIATE-AC, as far as it can be read."""

    context_id: int
    result: int
    transfer_syntaxes: tuple[bytes, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An A-ASSOCIATE-AC; the whole PDU, and the items in it."""

    pdu: bytes
    items: tuple[tuple[int, bytes], ...]

    def of(self, item_type: int) -> list[bytes]:
        """The bodies of the items of this type."""
        return [body for kind, body in self.items if kind == item_type]

    @property
    def contexts(self) -> list[ContextAnswer]:
        """In the order of the answer."""
        found = []
        for body in self.of(ItemType.PRESENTATION_CONTEXT_AC):
            if len(body) < 4:
                raise ViolationError(f"presentation context item of {len(body)} bytes")
            syntaxes = (
                value for kind, value in _walk(body[4:]) if kind == ItemType.TRANSFER_SYNTAX
            )
            found.append(ContextAnswer(body[0], body[2], tuple(syntaxes), body))
        return found

    @property
    def sub_items(self) -> list[tuple[int, bytes]]:
        """Those of all user information items."""
        return [one for body in self.of(ItemType.USER_INFORMATION) for one in _walk(body)]

    def user(self, item_type: int) -> list[bytes]:
        """The bodies of the user information sub-items of this type."""
        return [body for kind, body in self.sub_items if kind == item_type]

    @property
    def accepted(self) -> set[int]:
        """The ids of the presentation contexts that were accepted."""
        return {context.context_id for context in self.contexts if context.result == 0}

    @property
    def maximum_length(self) -> int:
        """What the acceptor takes; 0 = no limit, or not said."""
        lengths = [body for body in self.user(ItemType.MAXIMUM_LENGTH) if len(body) == 4]
        return int.from_bytes(lengths[0]) if lengths else 0


def answer(pdu: bytes) -> Answer:
    """Takes an A-ASSOCIATE-AC apart; raises ViolationError where its items do not fill it."""
    if len(pdu) < 6 + MIN_ASSOCIATE_PDU:
        raise ViolationError(f"A-ASSOCIATE-AC of {len(pdu) - 6} bytes")
    return Answer(pdu, tuple(_walk(pdu[6 + MIN_ASSOCIATE_PDU :])))


def _walk(data: bytes) -> list[tuple[int, bytes]]:
    try:
        return list(walk(data))
    except RemoteProtocolError as error:
        raise ViolationError(f"A-ASSOCIATE-AC: {error}") from None


class Pdv(NamedTuple):
    """A presentation data value: its context, its message control header, its fragment."""

    context_id: int
    control: int
    fragment: bytes


class Response(NamedTuple):
    """A command set that came, whole, and the P-DATA-TFs that it came in."""

    pdus: tuple[bytes, ...]
    pdvs: tuple[Pdv, ...]
    command: CommandSet


def pdvs(pdu: bytes) -> list[Pdv]:
    """The PDVs of a P-DATA-TF; raises ViolationError where there are none, or they do not fill it."""
    found, position, body = [], 0, pdu[6:]
    while position < len(body):
        if position + 6 > len(body):
            raise ViolationError(f"PDV that does not fit: {in_words(pdu)}")
        length, context_id, control = _PDV.unpack_from(body, position)
        fragment = body[position + 6 : position + 4 + length]
        if length < 2 or len(fragment) != length - 2:
            raise ViolationError(f"PDV that does not fit: {in_words(pdu)}")
        found.append(Pdv(context_id, control, fragment))
        position += 4 + length
    if not found:
        raise ViolationError("P-DATA-TF without a PDV")
    return found


def command_in(pdus: list[bytes]) -> Response | None:
    """The command set that these P-DATA-TFs carry; None while it is not whole."""
    for pdu in pdus:
        if pdu[0] != PduType.P_DATA_TF:
            raise ViolationError(f"{in_words(pdu)} instead of a response")
    found = [one for pdu in pdus for one in pdvs(pdu)]
    if not found[-1].control & 2:
        return None
    try:
        command = decode(b"".join(one.fragment for one in found))
    except RemoteProtocolError as error:
        raise ViolationError(f"the response: {error}") from None
    return Response(tuple(pdus), tuple(found), command)
