"""Acceptors with one thing wrong on purpose, and the cases that it fails: those and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.conform.acceptor import Flaw, rejection
from ulproxy.conform.answer import Pdv, pdvs
from ulproxy.conform.fault import ViolationError
from ulproxy.conform.wire import p_data, pdu, pdv
from ulproxy.dimse.command import CommandSet, decode
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import AAssociateRQ, decode_rq
from ulproxy.pdu.items import item, walk
from ulproxy.pdu.types import PduType, Rejection

RQ, AC, RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = (bytes([one]) for one in PduType)
Bytes = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Wrong:
    """A flaw, and the cases that fail of it, or are skipped, among those that `of` names."""

    flaw: Flaw
    of: str
    fails: str
    skips: str = ""
    timeout: float = 0.3


def ids(text: str) -> set[str]:
    """Case ids of "9.3.3/1-3 5 D.1/2": numbers behind an id are of the same clause."""
    found, clause = set(), ""
    for word in text.split():
        name, _, numbers = word.rpartition("/")
        clause = name or clause
        first, _, last = numbers.partition("-")
        found |= {f"{clause}/{n}" for n in range(int(first), int(last or first) + 1)}
    return found


def on(pdu_type: bytes, change: Bytes) -> Bytes:
    """The change to PDUs of this type alone."""
    return lambda data: change(data) if data[:1] == pdu_type else data


def says(pdu_type: bytes, change: Bytes) -> Flaw:
    return Flaw(says=on(pdu_type, change))


def hears(pdu_type: bytes, change: Bytes) -> Flaw:
    return Flaw(hears=on(pdu_type, change))


def put(place: int, value: int) -> Bytes:
    """A byte, as the standard counts them: from 1."""
    return lambda data: data[: place - 1] + bytes([value]) + data[place:]


def items(change: Callable[[list[bytes]], list[bytes]]) -> Flaw:
    """The items of an A-ASSOCIATE-AC, each with its header."""

    def changed(data: bytes) -> bytes:
        made = change([item(kind, body) for kind, body in walk(data[74:])])
        return pdu(2, data[6:74] + b"".join(made))

    return says(AC, changed)


def each(kind: int, change: Bytes) -> Flaw:
    """The items of one type."""
    return items(lambda all_: [change(one) if one[0] == kind else one for one in all_])


def user(change: Callable[[list[bytes]], list[bytes]]) -> Flaw:
    """The user information sub-items."""

    def changed(one: bytes) -> bytes:
        return item(0x50, b"".join(change([item(kind, body) for kind, body in walk(one[4:])])))

    return each(0x50, changed)


def context(change: Callable[[int, int, bytes], tuple[int, int, bytes]]) -> Flaw:
    """Context id, result, and the sub-items of each presentation context item."""

    def changed(one: bytes) -> bytes:
        context_id, result, rest = change(one[4], one[6], one[8:])
        return item(0x21, bytes([context_id, 0, result, 0]) + rest)

    return each(0x21, changed)


def command(change: Callable[[CommandSet], CommandSet]) -> Flaw:
    """The C-ECHO-RSP."""

    def changed(data: bytes) -> bytes:
        if int.from_bytes(data[2:6]) + 6 != len(data):  # in several PDUs
            return data
        (one,) = pdvs(data)
        return p_data(pdv(change(decode(one.fragment)).encode(), one.context_id))

    return says(DATA, changed)


def fragments(change: Callable[[int, int, bytes], bytes]) -> Flaw:
    """Context id, control header and fragment of each PDV -> PDVs."""

    def changed(data: bytes) -> bytes:
        at, made = 0, []
        while at < len(data):
            end = at + 6 + int.from_bytes(data[at + 2 : at + 6])
            made += [p_data(*(change(*one) for one in pdvs(data[at:end])))]
            at = end
        return b"".join(made)

    return says(DATA, changed)


# What is wrong with what is heard


def reserved_tested(data: bytes) -> bytes:
    return put(1, 0x99)(data) if data[1] else data


def _walked(data: bytes) -> list[tuple[int, int, bytes]]:
    """Type, reserved byte and body of the items in these bytes, as far as they can be read."""
    found, at = [], 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4])
        found.append((data[at], data[at + 1], data[at + 4 : end]))
        at = end
    return found


def all_items(data: bytes) -> list[tuple[int, int, bytes]]:
    """Those of an A-ASSOCIATE-RQ, and those within them."""
    outer = _walked(data[74:])
    inner = [
        _walked(body[4 if kind == 0x20 else 0 :]) for kind, _, body in outer if kind in {0x20, 0x50}
    ]
    return [*outer, *(one for some in inner for one in some)]


def unless(holds: Callable[[bytes], bool], pdu_type: bytes = RQ) -> Flaw:
    """A PDU that this does not hold of is taken for one of unrecognized type."""
    return hears(pdu_type, lambda data: data if holds(data) else put(1, 0x99)(data))


def deaf_unless(holds: Callable[[bytes], bool]) -> Flaw:
    """An A-ASSOCIATE-RQ that this does not hold of is not answered."""
    return hears(RQ, lambda data: data if holds(data) else b"")


def legal(data: bytes) -> bool:
    """Whether the relay's own decoder takes an A-ASSOCIATE-RQ."""
    try:
        decode_rq(data[6:])
    except RemoteProtocolError:
        return False
    return True


def bodies(data: bytes, kind: int) -> list[bytes]:
    """Of the items and sub-items of this type in an A-ASSOCIATE-RQ."""
    return [body for one, _, body in all_items(data) if one == kind]


def ascending(data: bytes) -> bool:
    kinds = [kind for kind, _, _ in _walked(data[74:])]
    return kinds == sorted(kinds)


def abstract_first(data: bytes) -> bool:
    contexts = [body for kind, _, body in _walked(data[74:]) if kind == 0x20]
    return all(body[4:5] != b"\x40" for body in contexts)


def known_items(data: bytes) -> bool:
    return {kind for kind, _, _ in _walked(data[74:])} <= {0x10, 0x20, 0x50}


def known_sub_items(data: bytes) -> bool:
    inner = {kind for kind, _, _ in all_items(data)} - {0x10, 0x20, 0x50}
    return inner <= {0x30, 0x40, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x7E, 0xFE}


def known_syntax_items(data: bytes) -> bool:
    bodies = [body for kind, _, body in _walked(data[74:]) if kind == 0x20]
    return all({kind for kind, _, _ in _walked(body[4:])} <= {0x30, 0x40} for body in bodies)


def ascending_sub_items(data: bytes) -> bool:
    kinds = [kind for kind, _, _ in all_items(data) if 0x51 <= kind <= 0x59]
    return kinds == sorted(kinds)


def context_reserved(data: bytes) -> bool:
    return not any(any(body[1:4]) for kind, _, body in _walked(data[74:]) if kind == 0x20)


def heard(data: bytes) -> list[Pdv]:
    """The PDVs of a P-DATA-TF; none where they do not fill it."""
    try:
        return pdvs(data)
    except ViolationError:
        return []


def instead(answers: Callable[[bytes], bytes | None]) -> Flaw:
    """What is said whatever the state is; None = as ever."""
    return Flaw(hears=lambda data: data, answers=answers)


def rejecting(holds: Callable[[AAssociateRQ], bool], why: Rejection) -> Flaw:
    return Flaw(rejects=lambda request: rejection(request) if holds(request) else why)


def accepting(*never: int) -> Flaw:
    """Whatever would be rejected for one of these reasons is accepted."""

    def decide(request: AAssociateRQ) -> Rejection | None:
        why = rejection(request)
        return None if why is not None and why.reason in never else why

    return Flaw(rejects=decide)
