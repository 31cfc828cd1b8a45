"""How one end and its peer release an association, collisions included, played by test_association.py."""

from __future__ import annotations

from tests.pdu.model import (
    ABORT_PDU,
    COMMAND,
    RELEASE_RP,
    RELEASE_RQ,
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
from tests.pdu.ways_in import (
    ACCEPTED,
    ACCEPTOR,
    COLLIDED_ACCEPTOR,
    COLLIDED_REQUESTOR,
    DATA,
    ESTABLISHED,
    FRAGMENT,
    RELEASING,
    REQUESTOR,
    UNEXPECTED,
    abort,
)
from ulproxy.pdu.association import (
    AbortIndication,
    Close,
    ReleaseConfirmation,
    ReleaseIndication,
    Send,
    StartArtim,
    StopArtim,
)
from ulproxy.pdu.fsm import Role, State

RELEASES: dict[str, tuple[Role, list[Step]]] = {
    "a requestor is asked to release": (
        REQUESTOR,
        [
            *ESTABLISHED,
            (Receive(RELEASE_RQ), [ReleaseIndication(collision=False)], State.Sta8),
            (Local("respond_release"), [Send(RELEASE_RP), StartArtim()], State.Sta13),
            (Local("artim_expired"), [StopArtim(), Close()], State.Sta1),
        ],
    ),
    "an acceptor asks to release": (
        ACCEPTOR,
        [
            *ACCEPTED,
            (Local("request_release"), [Send(RELEASE_RQ)], State.Sta7),
            (Receive(RELEASE_RP), [ReleaseConfirmation(), Close()], State.Sta1),
        ],
    ),
    "P-DATA still comes while we ask to release (AR-6)": (
        REQUESTOR,
        [
            *RELEASING,
            (Receive(COMMAND + DATA), [command(b"abcd"), data_run(FRAGMENT)], State.Sta7),
            (
                Receive(DATA + RELEASE_RP),
                [data_run(FRAGMENT), ReleaseConfirmation(), Close()],
                State.Sta1,
            ),
        ],
    ),
    "P-DATA behind its A-RELEASE-RQ is a protocol error of the peer": (
        ACCEPTOR,
        [
            *ACCEPTED,
            (
                Receive(RELEASE_RQ + DATA),
                [
                    ReleaseIndication(collision=False),
                    abort(2, 2),
                    fault(UNEXPECTED),
                    StartArtim(),
                ],
                State.Sta13,
            ),
        ],
    ),
    "release collision, requestor": (
        REQUESTOR,
        [
            *COLLIDED_REQUESTOR,
            (Local("respond_release"), [Send(RELEASE_RP)], State.Sta11),
            (Receive(RELEASE_RP), [ReleaseConfirmation(), Close()], State.Sta1),
        ],
    ),
    "release collision, acceptor": (
        ACCEPTOR,
        [
            *COLLIDED_ACCEPTOR,
            (Local("respond_release"), Raises(), State.Sta10),  # the requestor answers first
            (Receive(RELEASE_RP), [ReleaseConfirmation()], State.Sta12),
            (Local("respond_release"), [Send(RELEASE_RP), StartArtim()], State.Sta13),
            (Local("transport_closed"), [StopArtim()], State.Sta1),
        ],
    ),
    "release collision with P-DATA before the peer's request": (
        ACCEPTOR,
        [
            *ACCEPTED,
            (Local("request_release"), [Send(RELEASE_RQ)], State.Sta7),
            (
                Receive(DATA + RELEASE_RQ),
                [data_run(FRAGMENT), ReleaseIndication(collision=True)],
                State.Sta10,
            ),
        ],
    ),
    "release collision, requestor: no P-DATA any more": (
        REQUESTOR,
        [
            *COLLIDED_REQUESTOR,
            (Receive(DATA), [abort(2, 2), fault(UNEXPECTED), StartArtim()], State.Sta13),
        ],
    ),
    "release collision, acceptor: no P-DATA any more": (
        ACCEPTOR,
        [
            *COLLIDED_ACCEPTOR,
            (Receive(DATA), [abort(2, 2), fault(UNEXPECTED), StartArtim()], State.Sta13),
        ],
    ),
    "release collision, requestor: the acceptor may not answer first": (
        REQUESTOR,
        [
            *COLLIDED_REQUESTOR,
            (Receive(RELEASE_RP), [abort(2, 2), fault(UNEXPECTED), StartArtim()], State.Sta13),
        ],
    ),
    "release collision, acceptor: a second request": (
        ACCEPTOR,
        [
            *COLLIDED_ACCEPTOR,
            (Receive(RELEASE_RQ), [abort(2, 2), fault(UNEXPECTED), StartArtim()], State.Sta13),
        ],
    ),
    "release collision, requestor: the peer aborts": (
        REQUESTOR,
        [*COLLIDED_REQUESTOR, (Receive(ABORT_PDU), [AbortIndication(2, 6), Close()], State.Sta1)],
    ),
    "release collision, acceptor: we abort": (
        ACCEPTOR,
        [
            *COLLIDED_ACCEPTOR,
            (Local("abort", 0, 0), [abort(0, 0), StartArtim()], State.Sta13),
        ],
    ),
    "an owner that answers a release at once": (
        ACCEPTOR,
        [
            *ACCEPTED,
            (
                Receive(RELEASE_RQ + DATA, {ReleaseIndication: Local("respond_release")}),
                [ReleaseIndication(collision=False), Send(RELEASE_RP), StartArtim()],
                State.Sta13,
            ),
        ],
    ),
}
