"""PS3.8 9.2: the state machine of Table 9-10, as far as an acceptor shows it: Sta2, Sta6, Sta8, Sta13."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ulproxy.conform.case import Draft, Step, clause, must, should
from ulproxy.conform.clause_9_3_4 import NOT_ACCEPTABLE
from ulproxy.conform.conversation import Conversation
from ulproxy.conform.rq import LEGAL
from ulproxy.conform.steps import (
    CLOSED,
    Saying,
    Ways,
    abort_says,
    aborted,
    associate,
    close,
    closed,
    depending,
    echo,
    given,
    open_still,
    rejected,
    release,
    released,
    say,
    silent,
    unmet,
)
from ulproxy.conform.wire import FIXED, pdu
from ulproxy.conform.wire import echo as c_echo_rq
from ulproxy.pdu.associate import AAssociateAC, PresentationContextAC, encode_ac
from ulproxy.pdu.items import UserInformation
from ulproxy.pdu.types import (
    IMPLICIT_VR_LITTLE_ENDIAN,
    NO_REASON,
    AbortReason,
    AbortSource,
    PduType,
)
from ulproxy.pdu.writer import A_RELEASE_RP, A_RELEASE_RQ, a_abort, a_associate_rj

_AC: Final = encode_ac(
    AAssociateAC(
        bytes(64),
        (PresentationContextAC(1, 0, IMPLICIT_VR_LITTLE_ENDIAN),),
        UserInformation(16384, "1.2"),
    )
)
_RQ: Final[dict[str, Saying]] = {"A-ASSOCIATE-RQ": LEGAL}
_ANSWERS: Final[dict[str, Saying]] = {
    "A-ASSOCIATE-AC": _AC,
    "A-ASSOCIATE-RJ": a_associate_rj(NO_REASON),
}
_P_DATA: Final[dict[str, Saying]] = {"P-DATA-TF": c_echo_rq()}
_RELEASES: Final[dict[str, Saying]] = {"A-RELEASE-RQ": A_RELEASE_RQ, "A-RELEASE-RP": A_RELEASE_RP}
_UNRECOGNIZED: Final[dict[str, Saying]] = {
    f"PDU of type {pdu_type:02X}H": pdu(pdu_type, FIXED) for pdu_type in (0x00, 0x08, 0xFF)
}
_ABORT: Final = a_abort(AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)
_HTTP: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
_CLIENT_HELLO: Final = bytes.fromhex("16 03 01 00 05 01 00 00 01 03") + bytes(32)


def _sta2() -> Iterator[Draft]:
    for name, what in (_ANSWERS | _P_DATA | _RELEASES).items():
        yield must(f"{name} is answered with A-ABORT (AA-1)", say(what), aborted)
    for name, what in _UNRECOGNIZED.items():
        yield must(f"an unrecognized {name} is answered with A-ABORT (AA-1)", say(what), aborted)
    yield must("A-ABORT closes the connection, without a PDU (AA-2)", say(_ABORT), closed)
    yield should(
        "the A-ABORT is of service-user source (AA-1)",
        say(c_echo_rq()),
        abort_says(AbortSource.SERVICE_USER),
    )
    yield should(
        "HTTP is answered with A-ABORT or the end of the connection, at once",
        say(_HTTP),
        depending("A-ABORT", {PduType.A_ABORT: (aborted,), CLOSED: (closed,)}),
    )
    yield should(
        "TLS is answered with A-ABORT or the end of the connection, at once",
        say(_CLIENT_HELLO),
        depending("A-ABORT", {PduType.A_ABORT: (aborted,), CLOSED: (closed,)}),
    )


def _sta6() -> Iterator[Draft]:
    for name, what in (_RQ | _ANSWERS | {"A-RELEASE-RP": A_RELEASE_RP}).items():
        yield must(f"{name} is answered with A-ABORT (AA-8)", associate(), say(what), aborted)
    for name, what in _UNRECOGNIZED.items():
        yield must(
            f"an unrecognized {name} is answered with A-ABORT (AA-8)",
            associate(),
            say(what),
            aborted,
        )
    yield must("P-DATA-TF is taken (DT-2)", associate(), echo(), release)
    yield must("A-RELEASE-RQ is answered with A-RELEASE-RP (AR-2, AR-4)", associate(), release)
    yield must(
        "A-ABORT closes the connection, without a PDU (AA-3)", associate(), say(_ABORT), closed
    )
    yield must(
        "an A-ABORT of the peer's service-provider too",
        associate(),
        say(a_abort(AbortSource.SERVICE_PROVIDER, AbortReason.UNEXPECTED_PDU)),
        closed,
    )


def _sta6_abort() -> Iterator[Draft]:
    yield must(
        "the A-ABORT is of service-provider source (AA-8)",
        associate(),
        say(A_RELEASE_RP),
        abort_says(AbortSource.SERVICE_PROVIDER),
    )
    yield should(
        "the reason of the A-ABORT for an unrecognized PDU is unrecognized-PDU (1)",
        associate(),
        say(_UNRECOGNIZED["PDU of type 08H"]),
        abort_says(AbortSource.SERVICE_PROVIDER, AbortReason.UNRECOGNIZED_PDU),
    )
    yield should(
        "the reason of the A-ABORT for an unexpected PDU is unexpected-PDU (2)",
        associate(),
        say(A_RELEASE_RP),
        abort_says(AbortSource.SERVICE_PROVIDER, AbortReason.UNEXPECTED_PDU),
    )
    yield must(
        "an A-ABORT between the C-ECHO-RQ and its response closes the connection",
        associate(),
        say(c_echo_rq(), _ABORT),
        depending("the end", {PduType.P_DATA_TF: (_heard_one, closed), CLOSED: (closed,)}),
    )


def _heard_one(conversation: Conversation) -> None:
    conversation.hear()


def _sta8() -> Iterator[Draft]:
    ends: Ways = {PduType.A_ABORT: (aborted,), PduType.A_RELEASE_RP: (released, silent)}
    for name, what in (_P_DATA | {"A-RELEASE-RP": A_RELEASE_RP}).items():
        yield must(
            f"{name} behind an A-RELEASE-RQ is aborted (AA-8), or comes too late (Sta13)",
            associate(),
            say(A_RELEASE_RQ, what),
            depending("A-RELEASE-RP or A-ABORT", ends),
        )
    answer = depending("A-ABORT", {PduType.A_ABORT: (aborted,), CLOSED: (unmet(_CLOSES),)})
    late: Ways = {PduType.A_ABORT: (aborted,), PduType.A_RELEASE_RP: (released, answer)}
    for name, what in (_RQ | {"an unrecognized PDU": pdu(8, FIXED)}).items():
        yield must(
            f"{name} behind an A-RELEASE-RQ is answered with A-ABORT (AA-8, AA-7)",
            associate(),
            say(A_RELEASE_RQ, what),
            depending("A-RELEASE-RP or A-ABORT", late),
        )
    yield must(
        "A-ABORT behind an A-RELEASE-RQ closes the connection (AA-3, AA-2)",
        associate(),
        say(A_RELEASE_RQ, _ABORT),
        depending("the end", {PduType.A_RELEASE_RP: (released, closed), CLOSED: (closed,)}),
    )


_RELEASED: Final[tuple[Step, ...]] = (associate(), release)
_ABORTED: Final[tuple[Step, ...]] = (associate(), say(A_RELEASE_RP), aborted)
_NOT_UNDERSTOOD: Final[tuple[Step, ...]] = (associate(), say(pdu(8, FIXED)), aborted)
_REJECTED: Final[tuple[Step, ...]] = (
    say(NOT_ACCEPTABLE),
    given("does not reject another application context", rejected),
)
_CLOSES: Final = "closes the connection at once, so there is no Sta13 to see"
_STANDS: Final = given(_CLOSES, open_still)


def _sta13() -> Iterator[Draft]:
    for when, script, ignored in (
        ("after a release", _RELEASED, _ANSWERS | _P_DATA | _RELEASES),
        ("after an A-ABORT", _ABORTED, _P_DATA | _RELEASES),
        ("after an A-ASSOCIATE-RJ", _REJECTED, _P_DATA | _RELEASES),
    ):
        for name, what in (_RQ | {"an unrecognized PDU": pdu(8, FIXED)}).items():
            yield must(
                f"{when} {name} is answered with A-ABORT (AA-7)",
                *script,
                _STANDS,
                say(what),
                aborted,
            )
        for name, what in ignored.items():
            yield must(f"{when} {name} is ignored (AA-6)", *script, _STANDS, say(what), silent)
        yield must(
            f"{when} A-ABORT closes the connection (AA-2)", *script, _STANDS, say(_ABORT), closed
        )
        yield must(f"{when} the end of the connection is the end (AR-5)", *script, close)
    # The length of a PDU of unrecognized type may be as little what PS3.8 says as its type is.
    yield should(
        "after an A-ABORT for an unrecognized PDU A-ASSOCIATE-RQ is answered with A-ABORT (AA-7)",
        *_NOT_UNDERSTOOD,
        _STANDS,
        say(LEGAL),
        aborted,
    )
    yield should(
        "after an A-ABORT for an unrecognized PDU A-ABORT closes the connection (AA-2)",
        *_NOT_UNDERSTOOD,
        _STANDS,
        say(_ABORT),
        closed,
    )


CLAUSES: Final = (
    clause("9.2.Sta2", "State machine, awaiting A-ASSOCIATE-RQ", *_sta2()),
    clause("9.2.Sta6", "State machine, association established", *_sta6(), *_sta6_abort()),
    clause("9.2.Sta8", "State machine, A-RELEASE-RQ behind", *_sta8()),
    clause("9.2.Sta13", "State machine, awaiting the end of the connection", *_sta13()),
)
