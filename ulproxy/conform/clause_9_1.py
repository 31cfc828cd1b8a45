"""PS3.8 9.1: use of the transport service provided by TCP."""

from __future__ import annotations

from math import ceil
from typing import Final

from ulproxy.conform.case import Step, clause, must, should
from ulproxy.conform.clause_9_3_4 import NOT_ACCEPTABLE
from ulproxy.conform.conversation import Conversation, conversation
from ulproxy.conform.fault import ViolationError
from ulproxy.conform.rq import LEGAL
from ulproxy.conform.steps import (
    CLOSED,
    aborted,
    accepted,
    answered,
    associate,
    close,
    closed,
    closed_by_artim,
    depending,
    echo,
    first,
    given,
    open_still,
    rejected,
    release,
    released,
    reset,
    say,
    verification,
    works,
)
from ulproxy.conform.wire import echo as c_echo_rq
from ulproxy.pdu.types import AbortSource, PduType
from ulproxy.pdu.writer import A_RELEASE_RP, A_RELEASE_RQ, a_abort

ABORT: Final = a_abort(AbortSource.SERVICE_USER, 0)
UNEXPECTED: Final = A_RELEASE_RP


_PAUSE: Final = (
    0.001  # seconds between two bytes: each is a segment, and read before the next comes
)


def beside(*steps: Step) -> Step:
    """The same script on a connection of its own, while the first one stands."""

    def step(first_one: Conversation) -> None:
        settings = first_one.settings
        first_one.transcript.append("another connection:")
        with conversation(settings, 3 * settings.timeout) as second:
            second.transcript = first_one.transcript
            for one in steps:
                one(second)
        first_one.transcript.append("the first connection:")

    return step


def trickle(conversation: Conversation) -> None:
    """The beginning of an A-ASSOCIATE-RQ, a byte now and then, until ARTIM is long over."""
    settings = conversation.settings
    artim = settings.artim or 0
    said = LEGAL.encode(settings)[: ceil((artim + settings.timeout) / artim * 4)]
    for byte in said:
        conversation.send(bytes([byte]))
        pdu = conversation.hear(artim / 4)
        if pdu is not None:
            conversation.hear_again(pdu)
            closed(conversation)
            return
    raise ViolationError(f"the connection is open {settings.timeout:g} s behind ARTIM")


CLAUSES: Final = (
    clause(
        "9.1.1",
        "General",
        must(
            "a connection has one association: another A-ASSOCIATE-RQ is answered with A-ABORT",
            associate(),
            say(LEGAL),
            aborted,
        ),
        must(
            "a connection has one association: after its release no other one is accepted",
            associate(),
            release,
            say(LEGAL),
            depending("no acceptance", {PduType.A_ABORT: (aborted,), CLOSED: (closed,)}),
        ),
        should(
            "associations on two connections stand at the same time",
            associate(),
            beside(*works()),
            echo(message_id=2),
            release,
        ),
    ),
    clause(
        "9.1.2",
        "Opening a TCP transport connection",
        must(
            "without an A-ASSOCIATE-RQ the connection is closed when ARTIM runs out, without a PDU",
            closed_by_artim,
            artim=1,
        ),
        must(
            "half an A-ASSOCIATE-RQ does not stop ARTIM",
            say(first(100, LEGAL)),
            closed_by_artim,
            artim=1,
        ),
        must("a byte now and then does not restart ARTIM", trickle, artim=1),
        must("a connection that is closed without a word disturbs nobody", close),
        must("a connection that is reset without a word disturbs nobody", reset),
    ),
    clause(
        "9.1.3",
        "Transferring data on a TCP connection",
        must(
            "an A-ASSOCIATE-RQ may come byte by byte",
            say(LEGAL, pieces=1, pause=_PAUSE),
            accepted,
            echo(),
            release,
        ),
        must(
            "a P-DATA-TF may come byte by byte",
            verification,
            associate(),
            say(c_echo_rq(), pieces=1, pause=_PAUSE),
            answered,
            release,
        ),
        must(
            "an A-RELEASE-RQ may come byte by byte",
            associate(),
            say(A_RELEASE_RQ, pieces=1, pause=_PAUSE),
            released,
        ),
        must(
            "an A-ABORT may come byte by byte",
            associate(),
            say(ABORT, pieces=1, pause=_PAUSE),
            closed,
        ),
        must(
            "the header of a PDU may come apart from its body",
            say(first(6, LEGAL)),
            open_still,
            say(lambda conversation: LEGAL.encode(conversation.settings)[6:]),
            accepted,
            echo(),
            release,
        ),
        must(
            "a C-ECHO-RQ and an A-RELEASE-RQ may come in one segment",
            verification,
            associate(),
            say(c_echo_rq(), A_RELEASE_RQ),
            answered,
            released,
        ),
        must(
            "the end of a PDU and the beginning of the next may come in one segment",
            verification,
            associate(),
            say(c_echo_rq(), first(4, A_RELEASE_RQ)),
            answered,
            say(lambda _: A_RELEASE_RQ[4:]),
            released,
        ),
        must(
            "an A-ASSOCIATE-RQ and an A-ABORT may come in one segment",
            say(LEGAL, ABORT),
            depending("the end", {PduType.A_ASSOCIATE_AC: (accepted, closed), CLOSED: (closed,)}),
        ),
        should(
            "a C-ECHO-RQ behind the A-ASSOCIATE-RQ in one segment is answered, or aborted (Sta3)",
            verification,
            say(LEGAL, c_echo_rq()),
            depending(
                "A-ASSOCIATE-AC or A-ABORT",
                {
                    PduType.A_ASSOCIATE_AC: (
                        accepted,
                        depending(
                            "C-ECHO-RSP or A-ABORT",
                            {
                                PduType.P_DATA_TF: (answered, release),
                                PduType.A_ABORT: (aborted,),
                            },
                        ),
                    ),
                    PduType.A_ABORT: (aborted,),
                },
            ),
        ),
        should(
            "of two C-ECHO-RQs in one segment both are answered, in their order",
            verification,
            associate(),
            say(c_echo_rq(message_id=7), c_echo_rq(message_id=8)),
            answered,
            answered,
            release,
        ),
    ),
    clause(
        "9.1.4",
        "Closing a TCP transport connection",
        must("an A-ABORT that comes closes the connection", associate(), say(ABORT), closed),
        must(
            "a requestor that closes the connection without a release disturbs nobody",
            associate(),
            close,
        ),
        must("a requestor that resets the connection disturbs nobody", associate(), reset),
        must(
            "a requestor that closes the connection within a P-DATA-TF disturbs nobody",
            associate(),
            say(c_echo_rq()[:30]),
            close,
        ),
        must(
            "a requestor that closes the connection within its A-ASSOCIATE-RQ disturbs nobody",
            say(first(-30, LEGAL)),
            close,
        ),
        must(
            "a requestor that closes the connection without waiting for the answer disturbs nobody",
            say(LEGAL),
            close,
        ),
        should(
            "after an A-RELEASE-RP it is for the requestor to close (AR-4: Sta13)",
            associate(),
            release,
            open_still,
        ),
        should(
            "after an A-ABORT of its own it is for the peer to close (AA-8: Sta13)",
            associate(),
            say(UNEXPECTED),
            aborted,
            open_still,
        ),
        should(
            "after an A-ASSOCIATE-RJ it is for the requestor to close (AE-8: Sta13)",
            say(NOT_ACCEPTABLE),
            given("does not reject another application context", rejected),
            open_still,
        ),
    ),
    clause(
        "9.1.5",
        "ARTIM timer",
        must(
            "after an A-RELEASE-RP the connection is closed when ARTIM runs out",
            associate(),
            release,
            closed_by_artim,
            artim=1,
        ),
        must(
            "after an A-ABORT of its own the connection is closed when ARTIM runs out",
            associate(),
            say(UNEXPECTED),
            aborted,
            closed_by_artim,
            artim=1,
        ),
        must(
            "after an A-ABORT in Sta2 the connection is closed when ARTIM runs out",
            say(UNEXPECTED),
            given("does not abort", aborted),
            closed_by_artim,
            artim=1,
        ),
        must(
            "after an A-ASSOCIATE-RJ the connection is closed when ARTIM runs out",
            say(NOT_ACCEPTABLE),
            given("does not reject another application context", rejected),
            closed_by_artim,
            artim=1,
        ),
    ),
)
