"""One end of an association: reader, state machine and writer, without a socket (PS3.8 9.2).

What happens goes in (bytes, local primitives, what the transport did, ARTIM), what is to be done comes
out as values, in order. Invalid PDUs are turned into Evt19 here, once. `receive_data` is lazy: the owner
handles each output before the next byte is looked at, because that may change the state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from ulproxy.errors import LocalProtocolError, RemoteProtocolError
from ulproxy.pdu import associate, writer
from ulproxy.pdu.associate import AAssociateAC, AAssociateRQ
from ulproxy.pdu.fsm import DATA_ALLOWED, DATA_INDICATED, Effect, Event, Role, State, transition
from ulproxy.pdu.reader import (
    CommandFragment,
    ControlPdu,
    InvalidPdu,
    PDataRun,
    PduEvent,
    PduReader,
)
from ulproxy.pdu.types import AbortReason, AbortSource, PduType, Rejection


class Send(NamedTuple):
    """Whole PDUs for the peer."""

    data: bytes


class Connect(NamedTuple):
    """The transport connection is to be opened."""


class Close(NamedTuple):
    """The transport connection is to be closed at once."""


class StartArtim(NamedTuple):
    """(Re)start the ARTIM timer (PS3.8 9.1.4)."""


class StopArtim(NamedTuple):
    """Stop it if it runs."""


class AssociateIndication(NamedTuple):
    """The peer asks for an association."""

    request: AAssociateRQ


class AssociateConfirmation(NamedTuple):
    """The peer answered our request: an acceptance or the fields of its rejection."""

    answer: AAssociateAC | Rejection


class ReleaseIndication(NamedTuple):
    """The peer asks to release; `collision` = we had asked as well."""

    collision: bool


class ReleaseConfirmation(NamedTuple):
    """The peer answered our A-RELEASE-RQ."""


class AbortIndication(NamedTuple):
    """The peer aborted, with the source and reason it gave."""

    source: int
    reason: int


class PAbortIndication(NamedTuple):
    """The association failed: `fault` says what the peer sent wrong, None = its transport was lost."""

    fault: InvalidPdu | None


Output = (
    Send
    | Connect
    | Close
    | StartArtim
    | StopArtim
    | AssociateIndication
    | AssociateConfirmation
    | ReleaseIndication
    | ReleaseConfirmation
    | AbortIndication
    | PAbortIndication
    | CommandFragment
    | PDataRun
)

_P_DATA: Final = (PDataRun, CommandFragment)
_RECEIVED: Final = {
    PduType.A_ASSOCIATE_RQ: Event.A_ASSOCIATE_RQ_RECEIVED,
    PduType.A_ASSOCIATE_AC: Event.A_ASSOCIATE_AC_RECEIVED,
    PduType.A_ASSOCIATE_RJ: Event.A_ASSOCIATE_RJ_RECEIVED,
    PduType.A_RELEASE_RQ: Event.A_RELEASE_RQ_RECEIVED,
    PduType.A_RELEASE_RP: Event.A_RELEASE_RP_RECEIVED,
    PduType.A_ABORT: Event.A_ABORT_RECEIVED,
}
_FIXED: Final[dict[Effect, tuple[Output, ...]]] = {
    Effect.CONNECT: (Connect(),),
    Effect.CLOSE: (Close(),),
    Effect.START_ARTIM: (StartArtim(),),
    Effect.STOP_ARTIM: (StopArtim(),),
    Effect.SEND_A_RELEASE_RQ: (Send(writer.A_RELEASE_RQ),),
    Effect.SEND_A_RELEASE_RP: (Send(writer.A_RELEASE_RP),),
    Effect.CONFIRM_RELEASE: (ReleaseConfirmation(),),
    # P-DATA comes and goes without an output of its own: the owner passes it on.
    Effect.SEND_P_DATA: (),
    Effect.INDICATE_P_DATA: (),
}


class _AbortRequest(NamedTuple):
    source: int
    reason: int


class Association:
    """The end that faces one peer. `role` is ours: requestor when we call the peer."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.state: State = State.Sta1
        self._reader = PduReader()
        self._request = b""
        self._held: list[PduEvent] | None = None
        self._unread = b""

    @property
    def may_send_data(self) -> bool:
        """Whether Table 9-10 has an action for a P-DATA request now (Evt9)."""
        return self.state in DATA_ALLOWED

    @property
    def open(self) -> bool:
        """Whether an abort still has somebody to reach: Sta3 to Sta12."""
        return transition(self.role, self.state, Event.A_ABORT_REQUEST) is not None

    @property
    def within_pdu(self) -> bool:
        """Whether the peer has sent a part of a PDU and owes the rest."""
        return self._reader.within_pdu

    def limit_received(self, maximum_length: int) -> None:
        """What the peer was told to keep to, in bytes of a P-DATA-TF's variable field; 0 = no limit."""
        self._reader.maximum_length = maximum_length

    def hold(self) -> None:
        """Looks at nothing behind the event that is being handled until `resume`; what comes is kept."""
        if self._held is None:
            self._held = []

    @property
    def on_hold(self) -> bool:
        """Whether bytes are only kept: their sender should not be read."""
        return self._held is not None

    def resume(self) -> Iterator[Output]:
        """Goes on behind the event at which `hold` was called."""
        events, unread = self._held or [], self._unread
        self._held, self._unread = None, b""
        return self._read(events, memoryview(unread))

    def receive_data(self, unread: memoryview) -> Iterator[Output]:
        """What the peer's bytes mean, each output as of the state that the one before left behind."""
        if self._held is None:
            return self._read((), unread)
        self._unread += bytes(unread)
        return iter(())

    def _read(self, events: Iterable[PduEvent], unread: memoryview) -> Iterator[Output]:
        pending = iter(events)
        while True:
            for event in pending:
                if self.state is State.Sta1:  # closed: what else came has nobody to go to
                    return
                if isinstance(event, _P_DATA):
                    if self.state in DATA_INDICATED:
                        yield event
                    else:
                        yield from self._unexpected(Event.P_DATA_TF_RECEIVED, "P-DATA-TF")
                elif isinstance(event, ControlPdu):
                    yield from self._control(event)
                else:
                    yield from self._fire(Event.INVALID_PDU_RECEIVED, event)
                if self._held is not None:
                    self._held = [_kept(later) for later in pending]
                    self._unread = bytes(unread)
                    return
            if not unread:
                return
            consumed, found = self._reader.receive_data(unread)
            unread = unread[consumed:]
            pending = iter(found)

    def _control(self, pdu: ControlPdu) -> list[Output]:
        event = _RECEIVED[pdu.type]
        cell = transition(self.role, self.state, event)
        effects = cell.effects if cell else ()
        try:
            if Effect.INDICATE_ASSOCIATE in effects:
                return self._fire(event, associate.decode_rq(pdu.body))
            if Effect.CONFIRM_ACCEPTANCE in effects:
                return self._fire(event, associate.decode_ac(pdu.body))
        except RemoteProtocolError as error:
            fault = InvalidPdu(AbortReason(error.reason), f"{pdu.type.name}: {error}")
            return self._fire(Event.INVALID_PDU_RECEIVED, fault)
        if Effect.CONFIRM_REJECTION in effects:
            return self._fire(event, Rejection(*pdu.body[1:]))
        if Effect.INDICATE_ABORT in effects:
            return self._fire(event, AbortIndication(*pdu.body[2:]))
        return self._unexpected(event, pdu.type.name)

    def _unexpected(self, event: Event, name: str) -> list[Output]:
        """Fires an event that says nothing more; where Table 9-10 does not expect it, that is the fault."""
        fault = InvalidPdu(AbortReason.UNEXPECTED_PDU, f"{name} in {self.state.name}")
        return self._fire(event, fault)

    def connect(self, request: bytes) -> list[Output]:
        """Evt1: asks for an association with this A-ASSOCIATE-RQ PDU."""
        self._request = request
        return self._fire(Event.A_ASSOCIATE_REQUEST)

    def transport_connected(self) -> list[Output]:
        """Evt2 or Evt5: the connection that we opened, or that the peer did, stands."""
        if self.role is Role.REQUESTOR:
            return self._fire(Event.TRANSPORT_CONFIRM)
        return self._fire(Event.TRANSPORT_INDICATION)

    def accept(self, answer: bytes) -> list[Output]:
        """Evt7: answers with this A-ASSOCIATE-AC PDU."""
        return self._fire(Event.A_ASSOCIATE_ACCEPT, answer)

    def reject(self, rejection: Rejection) -> list[Output]:
        """Evt8."""
        return self._fire(Event.A_ASSOCIATE_REJECT, rejection)

    def request_release(self) -> list[Output]:
        """Evt11."""
        return self._fire(Event.A_RELEASE_REQUEST)

    def respond_release(self) -> list[Output]:
        """Evt14."""
        return self._fire(Event.A_RELEASE_RESPONSE)

    def abort(self, source: int, reason: int) -> list[Output]:
        """Evt15; a relay says who aborted on the other side, so source and reason are its owner's."""
        return self._fire(Event.A_ABORT_REQUEST, _AbortRequest(source, reason))

    def transport_closed(self) -> list[Output]:
        """Evt17; nothing in Sta1, where the transport had been closed by us."""
        if self.state is State.Sta1:
            return []
        return self._fire(Event.TRANSPORT_CLOSED)

    def artim_expired(self) -> list[Output]:
        """Evt18."""
        return self._fire(Event.ARTIM_EXPIRED)

    def _fire(self, event: Event, value: object = None) -> list[Output]:
        """Takes the cell's action; `value` is what its effects speak of."""
        cell = transition(self.role, self.state, event)
        if cell is None:
            raise LocalProtocolError(f"{event.name} in {self.state.name}")
        collision = self.state is State.Sta7
        awaiting_request = self.state is State.Sta2
        self.state = cell.next_state
        outputs: list[Output] = []
        for effect in cell.effects:
            if effect in _FIXED:
                outputs += _FIXED[effect]
            else:
                outputs.append(self._output(effect, cell.action, value, collision=collision))
        if awaiting_request and isinstance(value, InvalidPdu):
            # AA-1 in Sta2 has nobody to indicate to, but its owner wants to know what came instead
            outputs.append(PAbortIndication(value))
        return outputs

    def _output(self, effect: Effect, action: str, value: object, *, collision: bool) -> Output:
        match effect, value:
            case Effect.SEND_A_ASSOCIATE_RQ, _:
                return Send(self._request)
            case Effect.SEND_A_ASSOCIATE_AC, bytes():
                return Send(value)
            case Effect.SEND_A_ASSOCIATE_RJ, Rejection():
                return Send(writer.a_associate_rj(value))
            case Effect.SEND_A_ABORT, _:
                return Send(writer.a_abort(*_abort_fields(action, value)))
            case Effect.INDICATE_ASSOCIATE, AAssociateRQ():
                return AssociateIndication(value)
            case Effect.CONFIRM_ACCEPTANCE | Effect.CONFIRM_REJECTION, AAssociateAC() | Rejection():
                return AssociateConfirmation(value)
            case Effect.INDICATE_RELEASE, _:
                return ReleaseIndication(collision)
            case Effect.INDICATE_ABORT, AbortIndication():
                return value
            case Effect.INDICATE_P_ABORT, InvalidPdu() | None:
                return PAbortIndication(value)
            case _:
                raise AssertionError((effect, value))


def _kept(event: PduEvent) -> PduEvent:
    """The event without a view of bytes that are its reader's."""
    if isinstance(event, _P_DATA):
        return replace(event, data=memoryview(bytes(event.data)))
    return event


def _abort_fields(action: str, value: object) -> tuple[int, int]:
    """AA-8 blames the peer's PDU; AA-1 and AA-7 are the user's, unless the relay passes one on."""
    if isinstance(value, _AbortRequest):
        return value
    if action == "AA8" and isinstance(value, InvalidPdu):
        return AbortSource.SERVICE_PROVIDER, value.reason
    return AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED
