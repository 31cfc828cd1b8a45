"""One end of an association under random events: never raises for the peer, and is where the model is."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.pdu.model import (
    AC_PDU,
    RECEIVED,
    REJECTION,
    RELEASE_RQ,
    RQ_PDU,
    Model,
)
from tests.pdu.playbook import Local, Output, Receive, do, together
from tests.pdu.strategies import encode, pdu, streams
from ulproxy.errors import LocalProtocolError
from ulproxy.pdu.association import Association
from ulproxy.pdu.fsm import Event, Role, State
from ulproxy.pdu.types import AbortReason

LOCAL = {
    Event.A_ASSOCIATE_REQUEST: Local("connect", RQ_PDU),
    Event.A_ASSOCIATE_ACCEPT: Local("accept", AC_PDU),
    Event.A_ASSOCIATE_REJECT: Local("reject", REJECTION),
    Event.A_RELEASE_REQUEST: Local("request_release"),
    Event.A_RELEASE_RESPONSE: Local("respond_release"),
    Event.A_ABORT_REQUEST: Local("abort", 2, 5),
    Event.ARTIM_EXPIRED: Local("artim_expired"),
}
INVALID = {
    pdu(0x63, b"x"): AbortReason.UNRECOGNIZED_PDU,
    pdu(4, b""): AbortReason.INVALID_PARAMETER_VALUE,
    pdu(7, bytes(5)): AbortReason.INVALID_PARAMETER_VALUE,
}
# Its header is fine, so the stream goes on behind it.
INVALID_BODY = {
    Event.A_ASSOCIATE_RQ_RECEIVED: pdu(1, b"\0\1".ljust(68)),
    Event.A_ASSOCIATE_AC_RECEIVED: pdu(2, b"\0\1".ljust(68)),
}


# Else nearly all of the time would go into beginnings.
ways = st.sampled_from(
    ["", "establish", "establish release", "establish released", "establish release released"]
)


class OneEnd(RuleBasedStateMachine):
    """Local primitives, the transport, ARTIM and whole PDUs of the peer in any order and cut."""

    @initialize(role=st.sampled_from(Role), way=ways)
    def begin(self, role: Role, way: str) -> None:
        self.association, self.model = Association(role), Model(role)
        self.deaf = False  # after an invalid PDU the stream means nothing
        self.artim = False
        self.ended = False
        for step in way.split():
            self.go(step)

    @precondition(lambda self: self.ended or self.model.state is State.Sta13)
    @rule(role=st.sampled_from(Role), way=ways)
    def begin_anew(self, role: Role, way: str) -> None:
        self.begin(role, way)

    def go(self, step: str) -> None:
        match step, self.model.role:
            case "establish", Role.ACCEPTOR:
                self.opens()
                self.hear([(Event.A_ASSOCIATE_RQ_RECEIVED, RQ_PDU)], [])
                self.asks(Event.A_ASSOCIATE_ACCEPT)
            case "establish", Role.REQUESTOR:
                self.asks(Event.A_ASSOCIATE_REQUEST)
                self.opens()
                self.hear([(Event.A_ASSOCIATE_AC_RECEIVED, AC_PDU)], [])
            case "release", _:
                self.asks(Event.A_RELEASE_REQUEST)
            case _:
                self.hear([(Event.A_RELEASE_RQ_RECEIVED, RELEASE_RQ)], [])

    def compare(self, outputs: list[Output], expected: list[Output]) -> None:
        assert outputs == expected
        assert self.association.state is self.model.state
        for output in outputs:
            self.artim = {"StartArtim": True, "StopArtim": False}.get(output.type, self.artim)
        self.ended |= self.model.state is State.Sta1

    def attempt(self, event: Event, step: Local) -> None:
        if self.model.expects(event):
            self.compare(do(self.association, step), self.model.step(event, abort=(2, 5)))
        else:
            with pytest.raises(LocalProtocolError):
                do(self.association, step)
            assert self.association.state is self.model.state

    @precondition(lambda self: not self.ended)
    @rule(event=st.sampled_from(sorted(LOCAL)))
    def asks(self, event: Event) -> None:
        if event is Event.A_ASSOCIATE_REQUEST and self.model.role is Role.ACCEPTOR:
            return  # whoever was called does not call
        self.attempt(event, LOCAL[event])

    @precondition(lambda self: not self.ended)
    @rule()
    def opens(self) -> None:
        called = self.model.role is Role.ACCEPTOR
        event = Event.TRANSPORT_INDICATION if called else Event.TRANSPORT_CONFIRM
        self.attempt(event, Local("transport_connected"))

    @precondition(lambda self: self.model.state is not State.Sta1)
    @rule()
    def closes(self) -> None:
        self.attempt(Event.TRANSPORT_CLOSED, Local("transport_closed"))

    def hear(self, pdus: list[tuple[Event, bytes]], cuts: list[int]) -> None:
        data = b"".join(encoded for _, encoded in pdus)
        expected: list[Output] = []
        for event, encoded in pdus:
            if self.model.state is State.Sta1 or self.deaf:
                break
            self.deaf = encoded in INVALID
            if encoded in INVALID_BODY.values() and self.is_read(event):
                reason = AbortReason.INVALID_PARAMETER_VALUE
                expected += self.model.step(Event.INVALID_PDU_RECEIVED, reason)
            else:
                reason = INVALID.get(encoded, AbortReason.UNEXPECTED_PDU)
                expected += self.model.step(event, reason)
        borders = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        pieces = [data[a:b] for a, b in pairwise(borders)]
        self.compare(together(Receive(data)(self.association, pieces)), together(expected))

    def is_read(self, event: Event) -> bool:
        """Where the body of an A-ASSOCIATE PDU is looked at: AE-6 and AE-3."""
        reads = {
            Event.A_ASSOCIATE_RQ_RECEIVED: State.Sta2,
            Event.A_ASSOCIATE_AC_RECEIVED: State.Sta5,
        }
        return self.model.state is reads[event]

    cuts = st.lists(st.integers(0, 1000), max_size=5)

    @precondition(lambda self: self.model.state not in (State.Sta1, State.Sta4) or self.ended)
    @rule(
        events=st.lists(st.sampled_from(sorted(RECEIVED)), min_size=1, max_size=3),
        cuts=cuts,
    )
    def hears(self, events: list[Event], cuts: list[int]) -> None:
        self.hear([(event, RECEIVED[event]) for event in events], cuts)

    @precondition(lambda self: self.model.state not in (State.Sta1, State.Sta4))
    @rule(event=st.sampled_from(sorted(INVALID_BODY)), cuts=cuts)
    def hears_an_invalid_body(self, event: Event, cuts: list[int]) -> None:
        self.hear([(event, INVALID_BODY[event])], cuts)

    @precondition(lambda self: self.model.state not in (State.Sta1, State.Sta4))
    @rule(
        encoded=st.sampled_from(sorted(INVALID)),
        more=st.lists(st.sampled_from(sorted(RECEIVED)), max_size=2),
        cuts=cuts,
        surely=st.integers(0, 3),
    )
    def hears_what_is_no_pdu(
        self, encoded: bytes, more: list[Event], cuts: list[int], surely: int
    ) -> None:
        if surely == 3:
            behind = [(event, RECEIVED[event]) for event in more]
            self.hear([(Event.INVALID_PDU_RECEIVED, encoded), *behind], cuts)

    @invariant()
    def artim_runs_where_the_state_says_so(self) -> None:
        assert self.artim == (self.association.state in (State.Sta2, State.Sta13))

    @invariant()
    def data_may_go_where_the_model_says_so(self) -> None:
        assert self.association.may_send_data == self.model.expects(Event.P_DATA_REQUEST)
        assert self.association.open == self.model.expects(Event.A_ABORT_REQUEST)


TestOneEnd = OneEnd.TestCase
OPEN = sorted(set(State) - {State.Sta1, State.Sta4})


def heard(role: Role, state: State, pieces: list[bytes]) -> tuple[list[Output], State]:
    association = Association(role)
    association.state = state
    return together(Receive(b"")(association, pieces)), association.state


@given(st.sampled_from(Role), st.sampled_from(OPEN), st.binary(max_size=200))
def test_random_bytes_never_raise_in_any_state(role, state, data):
    whole = heard(role, state, [data])
    assert heard(role, state, [data[at : at + 1] for at in range(len(data))]) == whole


@given(st.sampled_from(Role), st.sampled_from(OPEN), streams, st.data())
def test_damaged_streams_never_raise_in_any_state(role, state, parts, draw):
    damaged = bytearray(encode(parts))
    for _ in range(draw.draw(st.integers(0, 3))):
        if damaged:
            damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    data = bytes(damaged)
    whole = heard(role, state, [data])
    assert heard(role, state, [data[at : at + 1] for at in range(len(data))]) == whole
    assert whole[1] not in (State.Sta2, State.Sta4) or whole[1] is state
