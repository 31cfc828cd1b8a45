"""PS3.8 9.3.4 and 9.3.6 to 9.3.8: the PDUs of four bytes, as they are said and as they are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from ulproxy.conform.case import Draft, Step, clause, must, should
from ulproxy.conform.conversation import Conversation
from ulproxy.conform.fault import ViolationError
from ulproxy.conform.rq import LEGAL, rq
from ulproxy.conform.steps import (
    aborted,
    associate,
    closed,
    given,
    heard,
    instead,
    rejection_says,
    released,
    say,
)
from ulproxy.conform.wire import echo as c_echo_rq
from ulproxy.conform.wire import pdu
from ulproxy.pdu.items import item
from ulproxy.pdu.types import (
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    AbortReason,
    AbortSource,
    ItemType,
    PduType,
    Rejection,
)
from ulproxy.pdu.writer import A_RELEASE_RQ

NOT_ACCEPTABLE: Final = rq(application=item(ItemType.APPLICATION_CONTEXT, b"1.2.840.10008.3.1.1.2"))
"""A request that a provider may reject: the application context is none of DICOM's."""

_REJECTING: Final = {
    "another application context": NOT_ACCEPTABLE,
    "protocol version 0": rq(version=0),
    "a called title that nobody has": rq(called=lambda _: b"NOBODY.OF.THIS.N"),
}


def _says(pdu_type: PduType, *checks: Callable[[bytes], str | None]) -> Step:
    """Expects a PDU of this type, and something of its bytes."""

    def step(conversation: Conversation) -> None:
        what = pdu_type.name.replace("_", "-")
        got = heard(conversation, what)
        if got[:1] != bytes([pdu_type]):
            raise instead(got, what)
        for check in checks:
            wrong = check(got)
            if wrong is not None:
                raise ViolationError(f"{what} {wrong}: {got.hex(' ')}")

    return step


def _four(got: bytes) -> str | None:
    return None if len(got) == 10 else f"of {len(got) - 6} bytes, not 4"


def _zero(*places: int) -> Callable[[bytes], str | None]:
    """Bytes as Table 9-21 counts them: from 1."""

    def check(got: bytes) -> str | None:
        wrong = [str(place) for place in places if got[place - 1 : place] != b"\0"]
        return f"with byte {', '.join(wrong)} not 00H" if wrong else None

    return check


def _legal_rejection(got: bytes) -> str | None:
    if len(got) == 10 and Rejection(*got[7:]).legal:
        return None
    return "with fields that Table 9-21 does not have"


def _legal_abort(got: bytes) -> str | None:
    source, reason = got[8:10] if len(got) == 10 else (255, 255)
    if source == AbortSource.SERVICE_PROVIDER and reason in set(AbortReason):
        return None
    if source == AbortSource.SERVICE_USER:
        return None
    return "with fields that Table 9-26 does not have"


def _user_without_reason(got: bytes) -> str | None:
    return "of the service-user with a reason" if got[8:9] == b"\0" and any(got[9:]) else None


def _rejections() -> Iterator[Draft]:
    for name, request in _REJECTING.items():
        when: tuple[Step, ...] = (say(request), given(f"does not reject {name}", _peeked))
        yield must(
            f"the A-ASSOCIATE-RJ to {name} has length 4, and values of Table 9-21",
            *when,
            _says(PduType.A_ASSOCIATE_RJ, _four, _legal_rejection),
        )
        yield must(
            f"the A-ASSOCIATE-RJ to {name} has 00H in reserved bytes",
            *when,
            _says(PduType.A_ASSOCIATE_RJ, _zero(2, 7)),
        )
    yield should(
        "protocol version 0 is rejected as protocol-version-not-supported (2, 2)",
        say(rq(version=0)),
        rejection_says(PROTOCOL_VERSION_NOT_SUPPORTED, Rejection(2, 2, 2)),
    )
    yield should(
        "another application context is rejected as application-context-name-not-supported (1, 2)",
        say(NOT_ACCEPTABLE),
        rejection_says(APPLICATION_CONTEXT_NOT_SUPPORTED, Rejection(2, 1, 2)),
    )


def _peeked(conversation: Conversation) -> None:
    """Expects an A-ASSOCIATE-RJ, and leaves it to be heard."""
    got = heard(conversation, "A-ASSOCIATE-RJ")
    if got[:1] != bytes([PduType.A_ASSOCIATE_RJ]):
        raise instead(got, "A-ASSOCIATE-RJ")
    conversation.hear_again(got)


def _aborts() -> Iterator[Draft]:
    in_sta2: tuple[Step, ...] = (say(c_echo_rq()),)
    in_sta6: tuple[Step, ...] = (associate(), say(LEGAL))
    for name, script in (("in Sta2", in_sta2), ("in Sta6", in_sta6)):
        yield must(
            f"an A-ABORT {name} has length 4, and values of Table 9-26",
            *script,
            _says(PduType.A_ABORT, _four, _legal_abort),
        )
        yield must(
            f"an A-ABORT {name} has 00H in reserved bytes",
            *script,
            _says(PduType.A_ABORT, _zero(2, 7, 8)),
        )
        yield must(
            f"an A-ABORT {name} has reason 0 if its source is the service-user",
            *script,
            _says(PduType.A_ABORT, _user_without_reason),
        )
    for name, received in (
        (
            "reserved bytes of an A-ABORT that comes are not tested",
            pdu(7, b"\xff\xff\0\0", reserved=0xFF),
        ),
        ("the reason of an A-ABORT of the service-user is not tested", pdu(7, b"\0\0\0\xff")),
    ):
        yield must(name, associate(), say(received), closed)
    for name, received in (
        ("an A-ABORT of a reserved source closes the connection", pdu(7, b"\0\0\1\0")),
        ("an A-ABORT of source and reason FFH closes the connection", pdu(7, b"\0\0\xff\xff")),
    ):
        yield should(name, associate(), say(received), closed)


def _of_other_lengths(pdu_type: PduType, when: tuple[Step, ...]) -> Iterator[Draft]:
    for length in (0, 3, 5):
        yield must(
            f"an A-RELEASE-RQ of length {length} is answered with A-ABORT (AA-8)",
            *when,
            say(pdu(pdu_type, bytes(length))),
            aborted,
        )


CLAUSES: Final = (
    clause("9.3.4", "A-ASSOCIATE-RJ PDU structure", *_rejections()),
    clause(
        "9.3.6",
        "A-RELEASE-RQ PDU structure",
        must(
            "reserved bytes of an A-RELEASE-RQ are not tested",
            associate(),
            say(pdu(5, b"\xff" * 4, reserved=0xFF)),
            released,
        ),
        *_of_other_lengths(PduType.A_RELEASE_RQ, (associate(),)),
    ),
    clause(
        "9.3.7",
        "A-RELEASE-RP PDU structure",
        must(
            "an A-RELEASE-RP has length 4",
            associate(),
            say(A_RELEASE_RQ),
            _says(PduType.A_RELEASE_RP, _four),
        ),
        must(
            "an A-RELEASE-RP has 00H in reserved bytes",
            associate(),
            say(A_RELEASE_RQ),
            _says(PduType.A_RELEASE_RP, _zero(2, 7, 8, 9, 10)),
        ),
    ),
    clause("9.3.8", "A-ABORT PDU structure", *_aborts()),
)
