"""A-ASSOCIATE-RQ and A-ASSOCIATE-AC (PS3.8 9.3.2, 9.3.3): read whole, written anew from known items.

The relay never copies one of these from one side to the other: what the standard says to ignore is
not forwarded. Bodies are PDUs without their six byte header.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.items import (
    UserInformation,
    decode_uid,
    decode_user_information,
    encode_user_information,
    item,
    walk,
)
from ulproxy.pdu.memo import MAX_BYTES, Memo
from ulproxy.pdu.types import APPLICATION_CONTEXT_NAME, MIN_ASSOCIATE_PDU, ItemType, PduType, Result

# 130 items have a meaning, PS3.6 has some 70 transfer syntaxes. What is skipped takes time as well, and 1 MiB
# of it would take a good part of a second from everybody else, at the word of whoever can connect.
MAX_ITEMS: Final = 1024
MAX_SYNTAXES: Final = 128

_PDU_HEADER: Final = struct.Struct(">BxL")


class PresentationContextRQ(NamedTuple):
    """PS3.8 9.3.2.2: a proposed presentation context."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


class PresentationContextAC(NamedTuple):
    """PS3.8 9.3.3.2: the answer to one; `transfer_syntax` counts only when the result is acceptance."""

    context_id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class AAssociateRQ:
    """An association request.

    `titles` are bytes 11 to 74 as they came, which the answer repeats (PS3.8 9.3.3). Where bit 0 of
    `protocol_version` is clear nothing behind the titles was read. `is_memorable`: it is neither long nor
    secret, so what comes of it may be remembered (memo.py).
    """

    titles: bytes
    presentation_contexts: tuple[PresentationContextRQ, ...]
    user_information: UserInformation
    application_context_name: str = APPLICATION_CONTEXT_NAME
    protocol_version: int = 1
    is_memorable: bool = field(default=False, compare=False)

    @property
    def called_ae_title(self) -> str:
        """Without the spaces that do not signify, nor the NULs that some devices pad with."""
        return self.titles[:16].decode("latin-1").strip(" \0")

    @property
    def calling_ae_title(self) -> str:
        """Likewise."""
        return self.titles[16:32].decode("latin-1").strip(" \0")


@dataclass(frozen=True, slots=True)
class AAssociateAC:
    """The acceptance of an association; `titles` and `is_memorable` as in the request that it answers."""

    titles: bytes
    presentation_contexts: tuple[PresentationContextAC, ...]
    user_information: UserInformation
    is_memorable: bool = field(default=False, compare=False)


_RQS: Final = Memo[bytes, AAssociateRQ]()
_ACS: Final = Memo[bytes, AAssociateAC]()
_ENCODED: Final = Memo[AAssociateRQ | AAssociateAC, bytes]()


def titles(called: str, calling: str) -> bytes:
    """Bytes 11 to 74 of an A-ASSOCIATE-RQ."""
    return (called.ljust(16) + calling.ljust(16)).encode("ascii") + bytes(32)


class _Variable(NamedTuple):
    """The items of an A-ASSOCIATE-RQ or -AC."""

    application_context_name: str
    contexts: list[bytes]
    user_information: UserInformation


def _few(items: Iterator[tuple[int, bytes]], most: int) -> Iterator[tuple[int, bytes]]:
    for number, one in enumerate(items):
        if number == most:
            raise RemoteProtocolError(f"more than {most} items behind each other")
        yield one


def _variable(data: bytes, context_type: ItemType) -> _Variable:
    """Exactly one application context, at least one presentation context, one user information."""
    single: dict[int, bytes] = {}
    contexts: list[bytes] = []
    for item_type, body in _few(walk(data), MAX_ITEMS):
        if item_type == context_type:
            contexts.append(body)
        elif item_type in (ItemType.APPLICATION_CONTEXT, ItemType.USER_INFORMATION):
            if item_type in single:
                raise RemoteProtocolError(f"item {item_type:02X}H twice")
            single[item_type] = body
    for wanted in (ItemType.APPLICATION_CONTEXT, ItemType.USER_INFORMATION):
        if wanted not in single:
            raise RemoteProtocolError(f"no item {wanted:02X}H")
    if not contexts:
        raise RemoteProtocolError("no presentation context")
    name = single[ItemType.APPLICATION_CONTEXT].rstrip(b"\0 ").decode("latin-1")
    return _Variable(name, contexts, decode_user_information(single[ItemType.USER_INFORMATION]))


def _syntaxes(body: bytes) -> tuple[list[str], list[str]]:
    """The abstract and the transfer syntaxes behind the four fixed bytes of a context."""
    abstract, transfer = [], []
    for item_type, content in _few(walk(body[4:]), MAX_SYNTAXES + 1):
        if item_type == ItemType.ABSTRACT_SYNTAX:
            abstract.append(decode_uid(content))
        elif item_type == ItemType.TRANSFER_SYNTAX:
            transfer.append(decode_uid(content))
    return abstract, transfer


def _new_id(body: bytes, seen: set[int]) -> int:
    """The presentation context id: odd, and not there before (PS3.8 9.3.2.2)."""
    if len(body) < 4:
        raise RemoteProtocolError(f"presentation context of {len(body)} bytes")
    context_id = body[0]
    if context_id % 2 == 0 or context_id in seen:
        raise RemoteProtocolError(f"presentation context id {context_id} is even or used twice")
    seen.add(context_id)
    return context_id


def _context_rq(body: bytes, seen: set[int]) -> PresentationContextRQ:
    context_id = _new_id(body, seen)
    abstract, transfer = _syntaxes(body)
    if len(abstract) != 1 or not transfer:
        raise RemoteProtocolError(
            f"context {context_id} with {len(abstract)} abstract, {len(transfer)} transfer syntaxes"
        )
    return PresentationContextRQ(context_id, abstract[0], tuple(transfer))


def _context_ac(body: bytes, seen: set[int]) -> PresentationContextAC:
    context_id, result = _new_id(body, seen), body[2]
    if result > Result.TRANSFER_SYNTAXES_NOT_SUPPORTED:
        raise RemoteProtocolError(f"context {context_id} with result {result}")
    if result != Result.ACCEPTANCE:  # PS3.8 9.3.3.2: the transfer syntax is not significant
        return PresentationContextAC(context_id, result, "")
    _, transfer = _syntaxes(body)
    if len(transfer) != 1:
        raise RemoteProtocolError(f"context {context_id} with {len(transfer)} transfer syntaxes")
    return PresentationContextAC(context_id, result, transfer[0])


def decode_rq(body: bytes) -> AAssociateRQ:
    """Reads an A-ASSOCIATE-RQ; raises RemoteProtocolError. The same bytes give the same object, mostly."""
    request = _RQS.get(body)
    if request is None:
        request = _decode_rq(body)
        if request.is_memorable:
            _RQS.put(body, request)
    return request


def _decode_rq(body: bytes) -> AAssociateRQ:
    if len(body) < MIN_ASSOCIATE_PDU:
        raise RemoteProtocolError(f"A-ASSOCIATE-RQ of {len(body)} bytes")
    version, raw_titles = int.from_bytes(body[:2]), body[4:MIN_ASSOCIATE_PDU]
    if not version & 1:  # another protocol may look different behind the titles
        return AAssociateRQ(raw_titles, (), UserInformation(), "", version)
    name, contexts, information = _variable(
        body[MIN_ASSOCIATE_PDU:], ItemType.PRESENTATION_CONTEXT_RQ
    )
    seen: set[int] = set()
    proposed = tuple(_context_rq(context, seen) for context in contexts)
    memorable = len(body) <= MAX_BYTES and not information.is_secret
    return AAssociateRQ(raw_titles, proposed, information, name, version, memorable)


def decode_ac(body: bytes) -> AAssociateAC:
    """Reads an A-ASSOCIATE-AC; raises RemoteProtocolError. Titles are never tested (9.3.3)."""
    answer = _ACS.get(body)
    if answer is None:
        answer = _decode_ac(body)
        if answer.is_memorable:
            _ACS.put(body, answer)
    return answer


def _decode_ac(body: bytes) -> AAssociateAC:
    if len(body) < MIN_ASSOCIATE_PDU:
        raise RemoteProtocolError(f"A-ASSOCIATE-AC of {len(body)} bytes")
    _, contexts, information = _variable(body[MIN_ASSOCIATE_PDU:], ItemType.PRESENTATION_CONTEXT_AC)
    seen: set[int] = set()
    answered = tuple(_context_ac(context, seen) for context in contexts)
    memorable = len(body) <= MAX_BYTES and not information.is_secret
    return AAssociateAC(body[4:MIN_ASSOCIATE_PDU], answered, information, memorable)


def encode_rq(request: AAssociateRQ) -> bytes:
    """The whole A-ASSOCIATE-RQ PDU."""
    pdu = _ENCODED.get(request)
    if pdu is None:
        pdu = _encode_rq(request)
        _remember(request, pdu)
    return pdu


def _encode_rq(request: AAssociateRQ) -> bytes:
    contexts = b"".join(
        item(
            ItemType.PRESENTATION_CONTEXT_RQ,
            bytes([context_id, 0, 0, 0])
            + item(ItemType.ABSTRACT_SYNTAX, abstract.encode("ascii"))
            + b"".join(item(ItemType.TRANSFER_SYNTAX, name.encode("ascii")) for name in transfer),
        )
        for context_id, abstract, transfer in request.presentation_contexts
    )
    return _encode(PduType.A_ASSOCIATE_RQ, request.titles, contexts, request.user_information)


def encode_ac(answer: AAssociateAC) -> bytes:
    """The whole A-ASSOCIATE-AC PDU."""
    pdu = _ENCODED.get(answer)
    if pdu is None:
        pdu = _encode_ac(answer)
        _remember(answer, pdu)
    return pdu


def _encode_ac(answer: AAssociateAC) -> bytes:
    contexts = b"".join(
        item(
            ItemType.PRESENTATION_CONTEXT_AC,
            bytes([context_id, 0, result, 0])
            + item(ItemType.TRANSFER_SYNTAX, transfer.encode("ascii")),
        )
        for context_id, result, transfer in answer.presentation_contexts
    )
    return _encode(PduType.A_ASSOCIATE_AC, answer.titles, contexts, answer.user_information)


def _remember(message: AAssociateRQ | AAssociateAC, pdu: bytes) -> None:
    if len(pdu) <= MAX_BYTES and not message.user_information.is_secret:
        _ENCODED.put(message, pdu)


def _encode(
    pdu_type: PduType, raw_titles: bytes, contexts: bytes, information: UserInformation
) -> bytes:
    body = (
        b"\x00\x01\x00\x00"
        + raw_titles
        + item(ItemType.APPLICATION_CONTEXT, APPLICATION_CONTEXT_NAME.encode("ascii"))
        + contexts
        + encode_user_information(information)
    )
    return _PDU_HEADER.pack(pdu_type, len(body)) + body
