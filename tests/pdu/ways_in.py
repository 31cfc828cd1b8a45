"""The ways into the states that a test begins in, as scripts, and what is said there."""

from __future__ import annotations

from tests.pdu.model import (
    AC_PDU,
    RELEASE_RQ,
    RQ_PDU,
)
from tests.pdu.playbook import (
    Local,
    Receive,
    Step,
)
from tests.pdu.samples import AC, RQ
from tests.pdu.strategies import Fragment, p_data_tf, pdu
from ulproxy.pdu.association import (
    AssociateConfirmation,
    AssociateIndication,
    Connect,
    ReleaseIndication,
    Send,
    StartArtim,
    StopArtim,
)
from ulproxy.pdu.fsm import Role, State
from ulproxy.pdu.types import AbortReason

ACCEPTOR, REQUESTOR = Role.ACCEPTOR, Role.REQUESTOR
UNRECOGNIZED, UNEXPECTED, INVALID = (
    AbortReason.UNRECOGNIZED_PDU,
    AbortReason.UNEXPECTED_PDU,
    AbortReason.INVALID_PARAMETER_VALUE,
)


def abort(source: int, reason: int) -> Send:
    return Send(pdu(7, bytes([0, 0, source, reason])))


FRAGMENT = Fragment(1, 0, b"uvwxyz")
DATA, LAST = p_data_tf(FRAGMENT), p_data_tf(FRAGMENT._replace(control=2))
UNKNOWN = pdu(0x63, b"")
ODD = p_data_tf(Fragment(1, 0, b"odd"))

# Ways in: a script up to where a test begins.
CALLED: list[Step] = [(Local("transport_connected"), [StartArtim()], State.Sta2)]
ASKED: list[Step] = [
    *CALLED,
    (Receive(RQ_PDU), [StopArtim(), AssociateIndication(RQ)], State.Sta3),
]
ACCEPTED: list[Step] = [*ASKED, (Local("accept", AC_PDU), [Send(AC_PDU)], State.Sta6)]
CALLING: list[Step] = [(Local("connect", RQ_PDU), [Connect()], State.Sta4)]
ASKING: list[Step] = [
    *CALLING,
    (Local("transport_connected"), [Send(RQ_PDU)], State.Sta5),
]
ESTABLISHED: list[Step] = [
    *ASKING,
    (Receive(AC_PDU), [AssociateConfirmation(AC)], State.Sta6),
]
RELEASING: list[Step] = [
    *ESTABLISHED,
    (Local("request_release"), [Send(RELEASE_RQ)], State.Sta7),
]
COLLIDED_REQUESTOR: list[Step] = [
    *RELEASING,
    (Receive(RELEASE_RQ), [ReleaseIndication(collision=True)], State.Sta9),
]
COLLIDED_ACCEPTOR: list[Step] = [
    *ACCEPTED,
    (Local("request_release"), [Send(RELEASE_RQ)], State.Sta7),
    (Receive(RELEASE_RQ), [ReleaseIndication(collision=True)], State.Sta10),
]
