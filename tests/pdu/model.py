"""What one end of an association should do, by the second transcription of Table 9-10 alone."""

from __future__ import annotations

from typing import Any

from tests.pdu.playbook import Output, command, fault, settled
from tests.pdu.samples import AC, AC_BODY, RQ, RQ_BODY
from tests.pdu.strategies import Fragment, p_data_tf, pdu
from tests.pdu.table_9_10 import CELLS, EFFECTS, next_state
from ulproxy.pdu.association import (
    AbortIndication,
    AssociateConfirmation,
    AssociateIndication,
    Close,
    Connect,
    PAbortIndication,
    ReleaseConfirmation,
    ReleaseIndication,
    Send,
    StartArtim,
    StopArtim,
)
from ulproxy.pdu.fsm import Effect, Event, Role, State
from ulproxy.pdu.types import AbortReason, Rejection

RQ_PDU, AC_PDU = pdu(1, RQ_BODY), pdu(2, AC_BODY)
RJ_PDU = pdu(3, b"\x00\x02\x03\x01")
RELEASE_RQ, RELEASE_RP = pdu(5, bytes(4)), pdu(6, bytes(4))
ABORT_PDU = pdu(7, b"\x00\x00\x02\x06")
COMMAND = p_data_tf(Fragment(1, 3, b"abcd"))
REJECTION = Rejection(2, 3, 1)

# What the peer may send, and the event that it is.
RECEIVED = {
    Event.A_ASSOCIATE_AC_RECEIVED: AC_PDU,
    Event.A_ASSOCIATE_RJ_RECEIVED: RJ_PDU,
    Event.A_ASSOCIATE_RQ_RECEIVED: RQ_PDU,
    Event.P_DATA_TF_RECEIVED: COMMAND,
    Event.A_RELEASE_RQ_RECEIVED: RELEASE_RQ,
    Event.A_RELEASE_RP_RECEIVED: RELEASE_RP,
    Event.A_ABORT_RECEIVED: ABORT_PDU,
}

_OUTPUTS: dict[Effect, Any] = {
    Effect.CONNECT: Connect(),
    Effect.CLOSE: Close(),
    Effect.START_ARTIM: StartArtim(),
    Effect.STOP_ARTIM: StopArtim(),
    Effect.SEND_A_ASSOCIATE_RQ: Send(RQ_PDU),
    Effect.SEND_A_ASSOCIATE_AC: Send(AC_PDU),
    Effect.SEND_A_ASSOCIATE_RJ: Send(pdu(3, bytes([0, *REJECTION]))),
    Effect.SEND_A_RELEASE_RQ: Send(RELEASE_RQ),
    Effect.SEND_A_RELEASE_RP: Send(RELEASE_RP),
    Effect.INDICATE_ASSOCIATE: AssociateIndication(RQ),
    Effect.CONFIRM_ACCEPTANCE: AssociateConfirmation(AC),
    Effect.CONFIRM_REJECTION: AssociateConfirmation(Rejection(2, 3, 1)),
    Effect.INDICATE_P_DATA: command(b"abcd"),
    Effect.CONFIRM_RELEASE: ReleaseConfirmation(),
    Effect.INDICATE_ABORT: AbortIndication(2, 6),
}


class Model:
    """The state of one end, and the outputs that each event should give."""

    def __init__(self, role: Role, state: State = State.Sta1) -> None:
        self.role = role
        self.state = state

    def expects(self, event: Event) -> bool:
        return (self.state, event) in CELLS

    def step(
        self,
        event: Event,
        reason: AbortReason = AbortReason.UNEXPECTED_PDU,
        abort: tuple[int, int] = (0, 0),
    ) -> list[Output]:
        """Takes the cell. `reason` = what AA-8 blames the peer for, `abort` = what Evt15 was given."""
        action = CELLS[self.state, event]
        before, self.state = self.state, next_state(self.role, action)
        outputs = []
        for effect in EFFECTS[action]:
            if effect is Effect.SEND_A_ABORT:
                fields = (2, reason) if action == "AA-8" else abort
                outputs.append(settled(Send(pdu(7, bytes([0, 0, *fields])))))
            elif effect is Effect.INDICATE_P_ABORT:
                lost = event is Event.TRANSPORT_CLOSED
                outputs.append(settled(PAbortIndication(None)) if lost else fault(reason))
            elif effect is Effect.INDICATE_RELEASE:
                outputs.append(settled(ReleaseIndication(before is State.Sta7)))
            else:
                outputs.append(settled(_OUTPUTS[effect]))
        if before is State.Sta2 and event in {*RECEIVED, Event.INVALID_PDU_RECEIVED}:
            # Not in the standard: the owner is told what came in place of the A-ASSOCIATE-RQ.
            outputs += [] if event is Event.A_ASSOCIATE_RQ_RECEIVED else [fault(reason)]
        return outputs
