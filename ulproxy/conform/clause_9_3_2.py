"""PS3.8 9.3.1 and 9.3.2: PDUs and items in general, the A-ASSOCIATE-RQ as it is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ulproxy.conform.case import Draft, clause, must, should
from ulproxy.conform.rq import LEGAL, Request, rq
from ulproxy.conform.steps import (
    aborted,
    answered,
    associate,
    closed,
    depending,
    reacts,
    refused,
    rejection_says,
    release,
    released,
    say,
    verification,
    works,
)
from ulproxy.conform.wire import c_echo, p_data, pdu, pdv
from ulproxy.pdu.items import item
from ulproxy.pdu.types import (
    APPLICATION_CONTEXT_NAME,
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    ItemType,
    PduType,
    Rejection,
)

UNKNOWN: Final = item(0x7E, b"what nobody knows")
_APPLICATION: Final = APPLICATION_CONTEXT_NAME.encode()
_FIXED: Final = bytes.fromhex("0001 0000") + b" " * 32 + bytes(32)
_NOT_SIGNIFICANT: Final = "spaces in AE titles are not significant"


def with_reserved(item_bytes: bytes) -> bytes:
    """The item with its reserved byte set."""
    return item_bytes[:1] + b"\xff" + item_bytes[2:]


def invalid(why: str, request: Request) -> Draft:
    """A request that contradicts itself: whoever goes on guesses."""
    return must(f"{why} is answered with A-ASSOCIATE-RJ or A-ABORT", say(request), refused)


def _lacking(why: str, request: Request) -> Draft:
    """A request without what each has: PS3.8 does not say what becomes of it."""
    return should(f"{why} is answered with A-ASSOCIATE-RJ or A-ABORT", say(request), refused)


def reacted(why: str, request: Request) -> Draft:
    """A request that PS3.8 has no answer to: there is one all the same, and nothing else happens."""
    return should(f"{why} is answered, whichever way", say(request), reacts)


def _reserved() -> Iterator[Draft]:
    yield must("byte 2 of an A-ASSOCIATE-RQ is not tested", *works(rq(reserved=0xFF)))
    yield must(
        "byte 2 of a P-DATA-TF is not tested",
        verification,
        associate(),
        say(p_data(pdv(c_echo()), reserved=0xFF)),
        answered,
        release,
    )
    yield must(
        "byte 2 of an A-RELEASE-RQ is not tested",
        associate(),
        say(pdu(PduType.A_RELEASE_RQ, bytes(4), reserved=0xFF)),
        released,
    )
    yield must(
        "byte 2 of an A-ABORT is not tested",
        associate(),
        say(pdu(PduType.A_ABORT, bytes(4), reserved=0xFF)),
        closed,
    )


def _unrecognized() -> Iterator[Draft]:
    for where, order in (
        ("before the application context", lambda a, c, u: UNKNOWN + a + c + u),
        ("before the presentation contexts", lambda a, c, u: a + UNKNOWN + c + u),
        ("before the user information", lambda a, c, u: a + c + UNKNOWN + u),
        ("behind the user information", lambda a, c, u: a + c + u + UNKNOWN),
    ):
        yield must(f"an item of unrecognized type {where} is skipped", *works(rq(order=order)))
    yield must(
        "an item of unrecognized type without a body is skipped",
        *works(rq(order=lambda a, c, u: a + c + u + item(0xFE, b""))),
    )
    yield must(
        "an item of unrecognized type of 60000 bytes is skipped",
        *works(rq(order=lambda a, c, u: a + c + u + item(0x7E, bytes(60000)))),
    )
    yield should(
        "items that are not in the order of their types are taken, or refused",
        say(rq(order=lambda a, c, u: u + c + a)),
        reacts,
    )


def _request() -> Iterator[Draft]:
    for version in (0x0003, 0xFFFF):
        yield must(
            f"of the protocol version only bit 0 is tested: {version:04X}H",
            *works(rq(version=version)),
        )
    for version in (0x0000, 0x0002, 0x8000):
        yield must(
            f"a protocol version without bit 0 is not accepted: {version:04X}H",
            say(rq(version=version)),
            refused,
        )
    yield must("bytes 9 and 10 are not tested", *works(rq(reserved_9=b"\xff\xff")))
    yield must("bytes 43 to 74 are not tested", *works(rq(reserved_43=b"\xff" * 32)))
    for name, edge in (
        ("leading", lambda title: title.encode().rjust(16)),
        ("trailing", lambda title: title.encode().ljust(16)),
        ("leading and trailing", lambda title: title.encode().center(16)),
    ):
        if name != "trailing":  # those are in every other case
            yield must(f"{name} {_NOT_SIGNIFICANT}: called", *works(rq(called=edge)))
            yield must(f"{name} {_NOT_SIGNIFICANT}: calling", *works(rq(calling=edge)))
    yield should(
        "a called title of 16 spaces is rejected as called-AE-title-not-recognized",
        say(rq(called=lambda _: b" " * 16)),
        rejection_says(CALLED_AE_TITLE_NOT_RECOGNIZED, Rejection(2, 1, 7)),
    )
    yield should(
        "a calling title of 16 spaces is rejected as calling-AE-title-not-recognized",
        say(rq(calling=lambda _: b" " * 16)),
        rejection_says(CALLING_AE_TITLE_NOT_RECOGNIZED, Rejection(2, 1, 3)),
    )
    for length in (0, 1, 67):
        yield must(
            f"an A-ASSOCIATE-RQ of {length} bytes is answered with A-ABORT (AA-1)",
            say(pdu(PduType.A_ASSOCIATE_RQ, _FIXED[:length])),
            aborted,
        )
    yield from _lengths()


def _lengths() -> Iterator[Draft]:
    yield invalid(
        "an item longer than its PDU", rq(order=lambda a, c, u: a + c + u[:2] + b"\xff\xff" + u[4:])
    )
    yield invalid(
        "a request with three stray bytes behind its last item",
        rq(order=lambda a, c, u: a + c + u + bytes(3)),
    )
    yield _lacking("a request without items", rq(order=lambda *_: b""))
    yield _lacking("a request without application context", rq(application=b""))
    yield _lacking("a request without presentation context", rq(contexts=()))
    yield _lacking("a request without user information", rq(order=lambda a, c, _: a + c))
    yield reacted(
        "a request with two application contexts", rq(order=lambda a, c, u: a + a + c + u)
    )
    yield reacted(
        "a request with two user information items", rq(order=lambda a, c, u: a + c + u + u)
    )
    yield should(
        "a length of 4 GB is not waited for",
        say(rq(length=0xFFFF_FFFF)),
        depending("A-ABORT or the end", {PduType.A_ABORT: (aborted,), 0: (closed,)}),
    )


def _application() -> Iterator[Draft]:
    def named(name: bytes) -> Request:
        return rq(application=item(ItemType.APPLICATION_CONTEXT, name))

    yield must(
        "byte 2 of the item is not tested", *works(rq(application=with_reserved(LEGAL.application)))
    )
    yield should("another application context name is not accepted", say(named(b"1.2.3")), refused)
    yield reacted("an application context name of no bytes", named(b""))
    yield reacted("an application context name of 65 bytes", named(b"1." + b"2" * 63))
    yield reacted("an application context name padded with NUL", named(_APPLICATION + b"\0"))


CLAUSES: Final = (
    clause("9.3.1", "PDUs and items in general", *_reserved(), *_unrecognized()),
    clause("9.3.2", "A-ASSOCIATE-RQ PDU structure", *_request()),
    clause("9.3.2.1", "Application context item", *_application()),
)
