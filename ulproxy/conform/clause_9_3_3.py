"""PS3.8 9.3.3: the A-ASSOCIATE-AC, as it is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from ulproxy import IMPLEMENTATION_CLASS_UID
from ulproxy.conform.answer import Answer
from ulproxy.conform.case import Draft, Step, clause, must, should
from ulproxy.conform.conversation import Conversation
from ulproxy.conform.rq import Context, Request, rq
from ulproxy.conform.steps import accepted, given_answer, release, say, that
from ulproxy.pdu.items import walk
from ulproxy.pdu.types import (
    APPLICATION_CONTEXT_NAME,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MIN_ASSOCIATE_PDU,
    ItemType,
)

_UID: Final = re.compile(rb"[0-9.]{1,64}")
# Two that any Verification SCP takes, one that nobody does.
_THREE: Final = rq(
    contexts=(
        Context(1, transfer=(IMPLICIT_VR_LITTLE_ENDIAN,)),
        Context(3, transfer=(EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)),
        Context(5, abstract=IMPLEMENTATION_CLASS_UID),
    )
)
# Each of the fields that an answer repeats, as it is seldom sent; one at a time, for a failure of its own.
_REPEATED: Final = {
    (11, 26): rq(called=lambda title: title.encode().rjust(16)),
    (27, 42): rq(calling=lambda title: title.encode().center(16)),
    (43, 74): rq(reserved_43=bytes(range(0x40, 0x60))),
}
Check = Callable[[Answer], str | None]


def _says(check: Check, request: Request = _THREE) -> tuple[Step, ...]:
    """Asks, and has a look at the answer."""

    def look(conversation: Conversation) -> str | None:
        return check(given_answer(conversation))

    return (say(request), accepted, that(look), release)


def _repeats(first: int, last: int) -> tuple[Step, ...]:
    """The bytes of these numbers are those of the request, whatever they are."""

    def look(conversation: Conversation) -> str | None:
        asked = conversation.request[first - 1 : last]
        got = given_answer(conversation).pdu[first - 1 : last]
        return None if got == asked else f"{got!r}, not {asked!r}"

    return (say(_REPEATED[first, last]), accepted, that(look), release)


def _zero(*places: int) -> Check:
    def check(answer: Answer) -> str | None:
        wrong = [str(place) for place in places if answer.pdu[place - 1]]
        return f"byte {', '.join(wrong)} is not 00H" if wrong else None

    return check


def _version(answer: Answer) -> str | None:
    return None if answer.pdu[7] & 1 else f"protocol version {answer.pdu[6:8].hex()}H"


def _headers(data: bytes) -> Iterator[bytes]:
    """Each item with its header."""
    at = 0
    for _, body in walk(data):
        yield data[at : at + 4 + len(body)]
        at += 4 + len(body)


def _reserved(answer: Answer) -> str | None:
    for one in _headers(answer.pdu[6 + MIN_ASSOCIATE_PDU :]):
        inner = {ItemType.PRESENTATION_CONTEXT_AC: 8, ItemType.USER_INFORMATION: 4}.get(one[0])  # type: ignore[call-overload]
        for item in (one, *(_headers(one[inner:]) if inner else ())):
            if item[1]:
                return f"byte 2 of item {item[0]:02X}H is {item[1]:02X}H"
    return None


def _ascending(answer: Answer) -> str | None:
    kinds = [kind for kind, _ in answer.items]
    in_words = ", ".join(f"{kind:02X}H" for kind in kinds)
    return None if kinds == sorted(kinds) else f"items in the order {in_words}"


def _only_known(answer: Answer) -> str | None:
    known = {
        ItemType.APPLICATION_CONTEXT,
        ItemType.PRESENTATION_CONTEXT_AC,
        ItemType.USER_INFORMATION,
    }
    strange = [f"{kind:02X}H" for kind, _ in answer.items if kind not in known]
    return f"item {', '.join(strange)}" if strange else None


def _application(answer: Answer) -> str | None:
    names = answer.of(ItemType.APPLICATION_CONTEXT)
    return None if len(names) == 1 else f"{len(names)} application context items"


def _application_name(answer: Answer) -> str | None:
    wrong = [
        name
        for name in answer.of(ItemType.APPLICATION_CONTEXT)
        if name != APPLICATION_CONTEXT_NAME.encode()
    ]
    return f"application context name {wrong[0]!r}" if wrong else None


def _user(answer: Answer) -> str | None:
    count = len(answer.of(ItemType.USER_INFORMATION))
    return None if count == 1 else f"{count} user information items"


def _one_for_each(answer: Answer) -> str | None:
    got = sorted(context.context_id for context in answer.contexts)
    return None if got == [1, 3, 5] else f"contexts {got} are answered, not [1, 3, 5]"


def _results(answer: Answer) -> str | None:
    wrong = [one for one in answer.contexts if one.result > 4]
    return f"context {wrong[0].context_id} has result {wrong[0].result}" if wrong else None


def _context_reserved(answer: Answer) -> str | None:
    wrong = [one.context_id for one in answer.contexts if one.body[1] or one.body[3]]
    return f"byte 6 or 8 of context {wrong[0]} is not 00H" if wrong else None


def _one_syntax(*, when_accepted: bool) -> Check:
    def check(answer: Answer) -> str | None:
        for one in answer.contexts:
            if (one.result == 0) == when_accepted and len(one.transfer_syntaxes) != 1:
                return (
                    f"context {one.context_id} has {len(one.transfer_syntaxes)} transfer syntaxes"
                )
        return None

    return check


def _proposed(answer: Answer) -> str | None:
    both = {IMPLICIT_VR_LITTLE_ENDIAN.encode(), EXPLICIT_VR_LITTLE_ENDIAN.encode()}
    proposed = {1: {IMPLICIT_VR_LITTLE_ENDIAN.encode()}, 3: both}
    for one in answer.contexts:
        if one.result == 0 and not proposed.get(one.context_id, set()) & {*one.transfer_syntaxes}:
            return f"context {one.context_id} has {one.transfer_syntaxes}, which was not proposed"
    return None


def _maximum_length(answer: Answer) -> str | None:
    lengths = [len(body) for body in answer.user(ItemType.MAXIMUM_LENGTH)]
    return None if lengths == [4] else f"Maximum Length sub-items of {lengths} bytes, not [4]"


def _implementation_uid(answer: Answer) -> str | None:
    uids = answer.user(ItemType.IMPLEMENTATION_CLASS_UID)
    if len(uids) != 1:
        return f"{len(uids)} Implementation Class UID sub-items"
    return None if _UID.fullmatch(uids[0]) else f"{uids[0]!r} is no UID"


def _version_name(answer: Answer) -> str | None:
    names = answer.user(ItemType.IMPLEMENTATION_VERSION_NAME)
    if len(names) > 1:
        return f"{len(names)} Implementation Version Name sub-items"
    if any(not 1 <= len(name) <= 16 or not name.isascii() for name in names):
        return f"{names[0]!r} is not 1 to 16 characters of ISO 646"
    return None


def _not_asked(answer: Answer) -> str | None:
    asked = {
        ItemType.MAXIMUM_LENGTH,
        ItemType.IMPLEMENTATION_CLASS_UID,
        ItemType.IMPLEMENTATION_VERSION_NAME,
    }
    strange = [f"{kind:02X}H" for kind, _ in answer.sub_items if kind not in asked]
    return f"sub-item {', '.join(strange)}, without a proposal" if strange else None


def _whole() -> Iterator[Draft]:
    yield must("the items of the answer fill it", say(_THREE), accepted, release)
    yield must("bytes 2, 9 and 10 of the answer are 00H", *_says(_zero(2, 9, 10)))
    yield must("bit 0 of the answer's protocol version is set", *_says(_version))
    for first, last in _REPEATED:
        yield must(
            f"bytes {first} to {last} of the answer are those of the request",
            *_repeats(first, last),
        )
    yield must("reserved bytes of the answer's items and sub-items are 00H", *_says(_reserved))
    yield must(
        "the items of the answer are in the order of their types (9.3.1)", *_says(_ascending)
    )
    yield must("the answer has no other items than 9.3.3 says", *_says(_only_known))


def _contexts() -> Iterator[Draft]:
    yield must("each context that was proposed is answered once", *_says(_one_for_each))
    yield must("the results of contexts are 0 to 4", *_says(_results))
    yield must("bytes 6 and 8 of a context are 00H", *_says(_context_reserved))
    yield must(
        "an accepted context has one transfer syntax", *_says(_one_syntax(when_accepted=True))
    )
    yield must("the transfer syntax of an accepted context was proposed for it", *_says(_proposed))
    yield should(
        "a refused context has one transfer syntax as well, though it does not signify",
        *_says(_one_syntax(when_accepted=False)),
    )


CLAUSES: Final = (
    clause("9.3.3", "A-ASSOCIATE-AC PDU structure", *_whole()),
    clause(
        "9.3.3.1",
        "Application context item, answered",
        must("the answer has one application context", *_says(_application)),
        must("the application context name is DICOM's", *_says(_application_name)),
    ),
    clause("9.3.3.2", "Presentation context items, answered", *_contexts()),
    clause(
        "9.3.3.3",
        "User information item, answered",
        must("the answer has one user information item", *_says(_user)),
        must("the answer has one Maximum Length, of 4 bytes (D.1)", *_says(_maximum_length)),
        must(
            "the answer has one Implementation Class UID (PS3.7 D.3.3.2)",
            *_says(_implementation_uid),
        ),
        must(
            "an Implementation Version Name is there once, of 1 to 16 characters (PS3.7 D.3.3.2)",
            *_says(_version_name),
        ),
        must("nothing is answered that was not asked (PS3.7 D.3.3)", *_says(_not_asked)),
    ),
)
