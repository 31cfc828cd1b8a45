"""PS3.8 9.3.2.2 and 9.3.2.3: presentation contexts and user information, as they are taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ulproxy import IMPLEMENTATION_CLASS_UID
from ulproxy.conform.case import Draft, Step, clause, must, should
from ulproxy.conform.clause_9_3_2 import UNKNOWN, invalid, reacted, with_reserved
from ulproxy.conform.conversation import Conversation
from ulproxy.conform.rq import UID, USER, VERSION_NAME, Context, Request, maximum, rq
from ulproxy.conform.steps import (
    Ways,
    accepted,
    associate,
    depending,
    echo,
    given_answer,
    rejected,
    release,
    say,
    that,
    works,
)
from ulproxy.pdu.items import item
from ulproxy.pdu.types import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    PduType,
    Result,
)

_NO_SYNTAX: Final = IMPLEMENTATION_CLASS_UID  # a UID, but of no SOP class and no transfer syntax
_MANY: Final = tuple(f"{IMPLEMENTATION_CLASS_UID[:20]}.{number}" for number in range(50))


def _contexts(*contexts: Context) -> Request:
    return rq(contexts=contexts)


def _results(*expected: tuple[int, frozenset[int]]) -> Step:
    """Of each context the results that it may have; one that is not answered has none."""

    def check(conversation: Conversation) -> str | None:
        got = {
            context.context_id: context.result for context in given_answer(conversation).contexts
        }
        for context_id, results in expected:
            if got.get(context_id) not in results:
                wanted = "/".join(map(str, sorted(map(int, results))))
                return f"context {context_id} has result {got.get(context_id)}, not {wanted}"
        return None

    return that(check)


_REFUSED: Final = frozenset({1, 2, 3, 4})
_ACCEPTED: Final = frozenset({0})


def _not_accepted(context_id: int) -> Ways:
    """The association may be rejected, or accepted without this context."""
    refused = that(
        lambda conversation: (
            f"context {context_id} is accepted"
            if context_id in given_answer(conversation).accepted
            else None
        )
    )
    return {
        PduType.A_ASSOCIATE_AC: (accepted, refused),
        PduType.A_ASSOCIATE_RJ: (rejected,),
    }


def _legal() -> Iterator[Draft]:
    yield must(
        "ids may be in any order (7.1.1.13)",
        *works(_contexts(*map(Context, (255, 3, 1))), 255, 3, 1),
    )
    yield must("id 255 is as good as 1", *works(_contexts(Context(255)), 255))
    yield must(
        "128 contexts are all answered",
        associate(_contexts(*map(Context, range(1, 256, 2)))),
        that(_all_answered),
        echo(127),
        release,
    )
    yield must(
        "an abstract syntax may come twice, and each context is answered (7.1.1.13)",
        *works(
            _contexts(
                Context(1, transfer=(IMPLICIT_VR_LITTLE_ENDIAN,)),
                Context(3, transfer=(EXPLICIT_VR_LITTLE_ENDIAN,)),
                Context(5, transfer=(IMPLICIT_VR_LITTLE_ENDIAN,)),
            ),
            1,
            5,
        ),
    )
    yield must(
        "among 50 unknown transfer syntaxes the known one is found",
        *works(_contexts(Context(transfer=(*_MANY, IMPLICIT_VR_LITTLE_ENDIAN)))),
    )


def _overlooked() -> Iterator[Draft]:
    yield must("bytes 6 to 8 are not tested", *works(_contexts(Context(reserved=b"\xff" * 3))))
    yield must(
        "byte 2 of the syntaxes' sub-items is not tested",
        *works(_contexts(Context(items=lambda a, t: with_reserved(a) + with_reserved(t)))),
    )
    yield must(
        "byte 2 of the item is not tested",
        *works(rq(order=lambda a, c, u: a + with_reserved(c) + u)),
    )
    for where, items in (
        ("before the abstract syntax", lambda a, t: UNKNOWN + a + t),
        ("between the syntaxes", lambda a, t: a + UNKNOWN + t),
        ("behind them", lambda a, t: a + t + UNKNOWN),
    ):
        yield must(
            f"a sub-item of unrecognized type {where} is skipped (9.3.1)",
            *works(_contexts(Context(items=items))),
        )


def _all_answered(conversation: Conversation) -> str | None:
    got = sorted(context.context_id for context in given_answer(conversation).contexts)
    return None if got == list(range(1, 256, 2)) else f"{len(got)} contexts are answered, not 128"


def _not_supported() -> Iterator[Draft]:
    nobodys = Context(3, abstract=_NO_SYNTAX)
    yield must(
        "an abstract syntax of nothing is refused, and the others are not",
        associate(_contexts(Context(1), nobodys)),
        _results((1, _ACCEPTED), (3, _REFUSED)),
        echo(),
        release,
    )
    yield should(
        "the result for an abstract syntax of nothing is abstract-syntax-not-supported (3)",
        associate(_contexts(Context(1), nobodys)),
        _results((3, frozenset({Result.ABSTRACT_SYNTAX_NOT_SUPPORTED}))),
        release,
    )
    unknown = Context(3, transfer=(_NO_SYNTAX,))
    yield must(
        "a transfer syntax of nothing is refused, and the other context is not",
        associate(_contexts(Context(1), unknown)),
        _results((1, _ACCEPTED), (3, _REFUSED)),
        echo(),
        release,
    )
    yield should(
        "the result for a transfer syntax of nothing is transfer-syntaxes-not-supported (4)",
        associate(_contexts(Context(1), unknown)),
        _results((3, frozenset({Result.TRANSFER_SYNTAXES_NOT_SUPPORTED}))),
        release,
    )
    yield must(
        "where all contexts are refused, no answer accepts one",
        say(_contexts(Context(1, abstract=_NO_SYNTAX))),
        depending("A-ASSOCIATE-AC or A-ASSOCIATE-RJ", _not_accepted(1)),
    )


def _odd() -> Iterator[Draft]:
    yield reacted("a context of even id", _contexts(Context(2)))
    yield reacted("a context of id 0", _contexts(Context(0)))
    yield reacted("a request with two contexts of one id", _contexts(Context(1), Context(1)))
    yield reacted("a context without abstract syntax", _contexts(Context(items=lambda _, t: t)))
    yield reacted(
        "a context of two abstract syntaxes", _contexts(Context(items=lambda a, t: a + a + t))
    )
    yield reacted("a context without transfer syntax", _contexts(Context(items=lambda a, _: a)))
    yield reacted(
        "a context with the transfer before the abstract syntax",
        _contexts(Context(items=lambda a, t: t + a)),
    )
    yield reacted(
        "an abstract syntax of no bytes", _contexts(Context(items=lambda _, t: item(0x30, b"") + t))
    )
    yield reacted("an abstract syntax of 65 bytes", _contexts(Context(abstract="1." + "2" * 63)))
    yield reacted(
        "an abstract syntax that is no UID", _contexts(Context(abstract="../../etc/passwd"))
    )
    yield reacted(
        "an abstract syntax padded with NUL",
        _contexts(Context(items=lambda a, t: item(0x30, a[4:] + b"\0") + t)),
    )
    yield reacted("an abstract syntax of 64 bytes", _contexts(Context(abstract="1." + "2" * 62)))
    yield invalid(
        "a context with a sub-item longer than its item",
        _contexts(Context(items=lambda a, t: a + t[:2] + b"\xff\xff" + t[4:])),
    )
    yield invalid(
        "a context item of 2 bytes", rq(order=lambda a, c, u: a + c + item(0x20, b"\3\0") + u)
    )


def _user(*sub_items: bytes) -> Request:
    return rq(user=sub_items)


def _user_information() -> Iterator[Draft]:
    orders: Sequence[tuple[bytes, ...]] = ((VERSION_NAME, UID, maximum(16384)), (UID, *USER[::2]))
    for order in orders:
        names = ", ".join(f"{one[0]:02X}H" for one in order)
        yield must(f"sub-items may be in any order: {names}", *works(_user(*order)))
    yield must(
        "byte 2 of the item is not tested",
        *works(rq(order=lambda a, c, u: a + c + with_reserved(u))),
    )
    yield must(
        "byte 2 of user information sub-items is not tested",
        *works(_user(*map(with_reserved, USER))),
    )
    yield invalid(
        "a user information sub-item longer than its item", _user(*USER, b"\x53\0\0\xff\0")
    )
    yield invalid("user information with two stray bytes", _user(*USER, bytes(2)))
    yield reacted("user information without sub-items", _user())


CLAUSES: Final = (
    clause(
        "9.3.2.2",
        "Presentation context items",
        *_legal(),
        *_overlooked(),
        *_not_supported(),
        *_odd(),
    ),
    clause("9.3.2.3", "User information item", *_user_information()),
)
