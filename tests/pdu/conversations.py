"""Conversations of one end with its peer, played by test_association.py."""

from __future__ import annotations

from tests.pdu.model import (
    ABORT_PDU,
    AC_PDU,
    COMMAND,
    RELEASE_RP,
    RELEASE_RQ,
    RJ_PDU,
    RQ_PDU,
)
from tests.pdu.playbook import (
    Local,
    Raises,
    Receive,
    Step,
    command,
    data_run,
    fault,
)
from tests.pdu.samples import AC, RQ
from tests.pdu.strategies import pdu
from tests.pdu.ways_in import (
    ACCEPTED,
    ACCEPTOR,
    ASKED,
    ASKING,
    CALLED,
    CALLING,
    DATA,
    ESTABLISHED,
    FRAGMENT,
    INVALID,
    LAST,
    RELEASING,
    REQUESTOR,
    UNEXPECTED,
    UNKNOWN,
    abort,
)
from ulproxy.pdu.association import (
    AbortIndication,
    AssociateConfirmation,
    AssociateIndication,
    Close,
    PAbortIndication,
    ReleaseConfirmation,
    ReleaseIndication,
    Send,
    StartArtim,
    StopArtim,
)
from ulproxy.pdu.fsm import Role, State
from ulproxy.pdu.types import Rejection

CONVERSATIONS: dict[str, tuple[Role, list[Step]]] = {
    "an acceptor's normal life": (
        ACCEPTOR,
        [
            *ACCEPTED,
            (Receive(COMMAND), [command(b"abcd")], State.Sta6),
            (
                Receive(COMMAND + DATA + LAST),
                [command(b"abcd"), data_run(FRAGMENT, FRAGMENT._replace(control=2))],
                State.Sta6,
            ),
            (Receive(RELEASE_RQ), [ReleaseIndication(collision=False)], State.Sta8),
            (Local("respond_release"), [Send(RELEASE_RP), StartArtim()], State.Sta13),
            (Local("transport_closed"), [StopArtim()], State.Sta1),
            (Local("transport_closed"), [], State.Sta1),
        ],
    ),
    "a requestor's normal life": (
        REQUESTOR,
        [
            *ESTABLISHED,
            (Receive(COMMAND), [command(b"abcd")], State.Sta6),
            (Local("request_release"), [Send(RELEASE_RQ)], State.Sta7),
            (Receive(RELEASE_RP), [ReleaseConfirmation(), Close()], State.Sta1),
            (Local("transport_closed"), [], State.Sta1),
        ],
    ),
    "we reject": (
        ACCEPTOR,
        [
            *ASKED,
            (
                Local("reject", Rejection(1, 1, 7)),
                [Send(pdu(3, b"\0\1\1\7")), StartArtim()],
                State.Sta13,
            ),
            (Local("transport_closed"), [StopArtim()], State.Sta1),
        ],
    ),
    "we are rejected": (
        REQUESTOR,
        [
            *ASKING,
            (Receive(RJ_PDU), [AssociateConfirmation(Rejection(2, 3, 1)), Close()], State.Sta1),
        ],
    ),
    "we are rejected with a triple that Table 9-21 does not have": (
        REQUESTOR,
        [
            *ASKING,
            (
                Receive(pdu(3, b"\xff\x09\x08\x07")),
                [AssociateConfirmation(Rejection(9, 8, 7)), Close()],
                State.Sta1,
            ),
        ],
    ),
    "ARTIM expires before a request: closed without a PDU": (
        ACCEPTOR,
        [*CALLED, (Local("artim_expired"), [StopArtim(), Close()], State.Sta1)],
    ),
    "ARTIM expires in the middle of a request": (
        ACCEPTOR,
        [
            *CALLED,
            (Receive(RQ_PDU[:-1]), [], State.Sta2),
            (Local("artim_expired"), [StopArtim(), Close()], State.Sta1),
        ],
    ),
    "ARTIM expires after an abort": (
        ACCEPTOR,
        [
            *ACCEPTED,
            (Local("abort", 2, 0), [abort(2, 0), StartArtim()], State.Sta13),
            (Local("artim_expired"), [StopArtim(), Close()], State.Sta1),
        ],
    ),
    "ARTIM cannot expire where it does not run": (
        ACCEPTOR,
        [*ACCEPTED, (Local("artim_expired"), Raises(), State.Sta6)],
    ),
    "the transport is lost before a request": (
        ACCEPTOR,
        [*CALLED, (Local("transport_closed"), [StopArtim()], State.Sta1)],
    ),
    "the transport is lost while the answer is awaited": (
        ACCEPTOR,
        [*ASKED, (Local("transport_closed"), [PAbortIndication(None)], State.Sta1)],
    ),
    "the transport is lost in the middle of a fragment": (
        ACCEPTOR,
        [
            *ACCEPTED,
            (
                Receive(DATA[:-2]),
                [data_run(FRAGMENT)._replace(fields=("data", 1, DATA[:-2], False, 2))],
                State.Sta6,
            ),
            (Local("transport_closed"), [PAbortIndication(None)], State.Sta1),
        ],
    ),
    "the transport does not open": (
        REQUESTOR,
        [*CALLING, (Local("transport_closed"), [PAbortIndication(None)], State.Sta1)],
    ),
    "we give up while it opens": (
        REQUESTOR,
        [*CALLING, (Local("abort", 2, 0), [StopArtim(), Close()], State.Sta1)],
    ),
    "we give up while the answer is awaited": (
        REQUESTOR,
        [*ASKING, (Local("abort", 0, 0), [abort(0, 0), StartArtim()], State.Sta13)],
    ),
    "the peer closes instead of answering": (
        REQUESTOR,
        [*ASKING, (Local("transport_closed"), [PAbortIndication(None)], State.Sta1)],
    ),
    "the peer aborts instead of answering": (
        REQUESTOR,
        [*ASKING, (Receive(ABORT_PDU), [AbortIndication(2, 6), Close()], State.Sta1)],
    ),
    "the peer aborts": (
        ACCEPTOR,
        [
            *ACCEPTED,
            (Receive(pdu(7, b"\xaa\xbb\x00\x00")), [AbortIndication(0, 0), Close()], State.Sta1),
        ],
    ),
    "the peer aborts with a reserved source and reason": (
        REQUESTOR,
        [
            *ESTABLISHED,
            (Receive(pdu(7, b"\0\0\1\3")), [AbortIndication(1, 3), Close()], State.Sta1),
        ],
    ),
    "the peer aborts while the answer is awaited": (
        ACCEPTOR,
        [*ASKED, (Receive(ABORT_PDU), [AbortIndication(2, 6), Close()], State.Sta1)],
    ),
    "what comes behind an abort has nobody to go to": (
        ACCEPTOR,
        [
            *ACCEPTED,
            (
                Receive(DATA + ABORT_PDU + COMMAND + RELEASE_RQ + UNKNOWN),
                [data_run(FRAGMENT), AbortIndication(2, 6), Close()],
                State.Sta1,
            ),
            (Receive(RQ_PDU), [], State.Sta1),
        ],
    ),
    "what comes behind a rejection and a release has nobody to go to": (
        REQUESTOR,
        [
            *RELEASING,
            (Receive(RELEASE_RP + DATA + UNKNOWN), [ReleaseConfirmation(), Close()], State.Sta1),
        ],
    ),
    "we pass an abort on": (
        REQUESTOR,
        [*ESTABLISHED, (Local("abort", 2, 5), [abort(2, 5), StartArtim()], State.Sta13)],
    ),
    "P-DATA right behind the A-ASSOCIATE-AC": (
        REQUESTOR,
        [
            *ASKING,
            (
                Receive(AC_PDU + COMMAND + DATA),
                [AssociateConfirmation(AC), command(b"abcd"), data_run(FRAGMENT)],
                State.Sta6,
            ),
        ],
    ),
    "P-DATA right behind the A-ASSOCIATE-RQ": (
        ACCEPTOR,
        [
            *CALLED,
            (
                Receive(RQ_PDU + COMMAND),
                [
                    StopArtim(),
                    AssociateIndication(RQ),
                    abort(2, 2),
                    fault(UNEXPECTED),
                    StartArtim(),
                ],
                State.Sta13,
            ),
        ],
    ),
    "an owner that accepts at once makes it legal": (
        ACCEPTOR,
        [
            *CALLED,
            (
                Receive(RQ_PDU + COMMAND, {AssociateIndication: Local("accept", AC_PDU)}),
                [StopArtim(), AssociateIndication(RQ), Send(AC_PDU), command(b"abcd")],
                State.Sta6,
            ),
        ],
    ),
    "an owner that rejects at once: what follows is ignored": (
        ACCEPTOR,
        [
            *CALLED,
            (
                Receive(
                    RQ_PDU + COMMAND + RELEASE_RQ,
                    {AssociateIndication: Local("reject", Rejection(1, 1, 3))},
                ),
                [
                    StopArtim(),
                    AssociateIndication(RQ),
                    Send(pdu(3, b"\0\1\1\3")),
                    StartArtim(),
                ],
                State.Sta13,
            ),
        ],
    ),
    "an owner that limits the P-DATA behind the acceptance": (
        REQUESTOR,
        [
            *ASKING,
            (
                Receive(AC_PDU + DATA, {AssociateConfirmation: Local("limit_received", 8)}),
                [AssociateConfirmation(AC), abort(2, 6), fault(INVALID), StartArtim()],
                State.Sta13,
            ),
        ],
    ),
    "in Sta13 all is ignored but a request and what is invalid": (
        ACCEPTOR,
        [
            *ACCEPTED,
            (Local("abort", 2, 0), [abort(2, 0), StartArtim()], State.Sta13),
            (
                Receive(DATA + COMMAND + RELEASE_RQ + RELEASE_RP + AC_PDU + RJ_PDU),
                [],
                State.Sta13,
            ),
            (Receive(RQ_PDU), [abort(0, 0)], State.Sta13),
            (Receive(RQ_PDU + DATA), [abort(0, 0)], State.Sta13),
            (Receive(pdu(1, bytes(68))), [abort(0, 0)], State.Sta13),  # whatever is in it
            (Receive(UNKNOWN), [abort(0, 0)], State.Sta13),
            (Receive(UNKNOWN + RQ_PDU), [], State.Sta13),  # one: the stream is lost
            (Local("transport_closed"), [StopArtim()], State.Sta1),
        ],
    ),
    "in Sta13 an abort closes": (
        REQUESTOR,
        [
            *ESTABLISHED,
            (Local("abort", 0, 0), [abort(0, 0), StartArtim()], State.Sta13),
            (Receive(ABORT_PDU), [StopArtim(), Close()], State.Sta1),
        ],
    ),
    "both sides abort after an error": (
        ACCEPTOR,
        [
            *ACCEPTED,
            (
                Receive(RELEASE_RP + DATA + ABORT_PDU),
                [abort(2, 2), fault(UNEXPECTED), StartArtim(), StopArtim(), Close()],
                State.Sta1,
            ),
        ],
    ),
}
