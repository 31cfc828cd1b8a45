"""One end of an association: conversations as scripts, then every cell of Table 9-10."""

from __future__ import annotations

import pytest

from tests.pdu.conversations import CONVERSATIONS
from tests.pdu.conversations_release import RELEASES
from tests.pdu.model import (
    ABORT_PDU,
    AC_PDU,
    COMMAND,
    RECEIVED,
    REJECTION,
    RELEASE_RP,
    RELEASE_RQ,
    RJ_PDU,
    RQ_PDU,
    Model,
)
from tests.pdu.playbook import (
    Local,
    Output,
    Raises,
    Receive,
    Step,
    command,
    data_run,
    do,
    fault,
    play,
    settled,
)
from tests.pdu.samples import AC_BODY, RQ_BODY
from tests.pdu.strategies import Fragment, p_data_tf, pdu
from tests.pdu.ways_in import (
    ACCEPTED,
    ACCEPTOR,
    ASKED,
    ASKING,
    CALLED,
    DATA,
    ESTABLISHED,
    FRAGMENT,
    INVALID,
    ODD,
    REQUESTOR,
    UNEXPECTED,
    UNKNOWN,
    UNRECOGNIZED,
    abort,
)
from ulproxy.errors import LocalProtocolError
from ulproxy.pdu.association import (
    AbortIndication,
    Association,
    Close,
    PAbortIndication,
    StartArtim,
    StopArtim,
)
from ulproxy.pdu.fsm import Event, Role, State

SCRIPTS = CONVERSATIONS | RELEASES


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_conversation(name, bytewise):
    role, script = SCRIPTS[name]
    play(role, script, bytewise=bytewise)


NOT_A_REQUEST = {
    "an unknown PDU": (UNKNOWN, UNRECOGNIZED),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n", UNRECOGNIZED),
    "SSH": (b"SSH-2.0-OpenSSH_9.9\r\n", UNRECOGNIZED),
    "TLS": (bytes.fromhex("16 03 01 0200 01 0001FC0303"), UNRECOGNIZED),
    "P-DATA": (COMMAND, UNEXPECTED),
    "an acceptance": (AC_PDU, UNEXPECTED),
    "a rejection": (RJ_PDU, UNEXPECTED),
    "a release": (RELEASE_RQ, UNEXPECTED),
    "the answer to one": (RELEASE_RP, UNEXPECTED),
    "a request that is too short": (pdu(1, bytes(67)), INVALID),
    "a request without items": (pdu(1, b"\0\1".ljust(68, b" ")), INVALID),
    "a request with a maximum length of 7": (
        pdu(1, RQ_BODY.replace(b"\0\0\x40\0", b"\0\0\0\7")),
        INVALID,
    ),
    "a request that is cut short": (pdu(1, RQ_BODY[:-1]), INVALID),
    "odd P-DATA": (ODD, INVALID),
}


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("name", NOT_A_REQUEST)
def test_what_is_not_a_request_gets_an_abort_0_0(name, bytewise):
    """AA-1; the owner is told what came, because nobody else knows."""
    data, reason = NOT_A_REQUEST[name]
    script = [
        *CALLED,
        (Receive(data), [abort(0, 0), StartArtim(), fault(reason)], State.Sta13),
        (Local("artim_expired"), [StopArtim(), Close()], State.Sta1),
    ]
    play(ACCEPTOR, script, bytewise=bytewise)


def test_an_abort_in_place_of_a_request_closes():
    play(
        ACCEPTOR,
        [*CALLED, (Receive(ABORT_PDU), [StopArtim(), Close(), fault(UNEXPECTED)], State.Sta1)],
    )


ERRORS = {
    "an unknown PDU": (UNKNOWN, UNRECOGNIZED),
    "a second request": (RQ_PDU, UNEXPECTED),
    "a second request with anything in it": (pdu(1, bytes(68)), UNEXPECTED),
    "an acceptance": (AC_PDU, UNEXPECTED),
    "a rejection": (RJ_PDU, UNEXPECTED),
    "the answer to a release that nobody asked for": (RELEASE_RP, UNEXPECTED),
    "an odd fragment": (ODD, INVALID),
    "a P-DATA-TF without a PDV": (pdu(4, b""), INVALID),
    "a PDV that does not fit": (bytes.fromhex("04 00 00000008 00000006 01 00 0000"), INVALID),
    "a release of five bytes": (pdu(5, bytes(5)), INVALID),
    "an abort of three bytes": (pdu(7, bytes(3)), INVALID),
    "a request of 2 MiB": (bytes.fromhex("01 00 00200000"), INVALID),
}


@pytest.mark.parametrize("way_in", [(ACCEPTOR, ACCEPTED), (REQUESTOR, ESTABLISHED)])
@pytest.mark.parametrize("name", ERRORS)
def test_a_protocol_error_gets_an_abort_of_the_provider(way_in, name):
    data, reason = ERRORS[name]
    role, start = way_in
    outputs = [abort(2, reason), fault(reason), StartArtim()]
    play(role, [*start, (Receive(data), outputs, State.Sta13)])
    good_data_before: Step = (Receive(COMMAND + data), [command(b"abcd"), *outputs], State.Sta13)
    play(role, [*start, good_data_before], bytewise=True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pdu(2, AC_BODY[:-1]), INVALID),
        (pdu(2, AC_BODY.replace(b"\xff\0\3\0", b"\xff\0\5\0")), INVALID),
        (pdu(2, AC_BODY.replace(b"\xff\0\3\0", b"\x01\0\3\0")), INVALID),
        (pdu(2, AC_BODY[:-4] + b"\0\0\0\7"), INVALID),
        (pdu(3, bytes(3)), INVALID),
        (RQ_PDU, UNEXPECTED),
        (COMMAND, UNEXPECTED),
        (RELEASE_RQ, UNEXPECTED),
        (RELEASE_RP, UNEXPECTED),
        (UNKNOWN, UNRECOGNIZED),
    ],
)
def test_an_answer_that_is_none(data, reason):
    outputs = [abort(2, reason), fault(reason), StartArtim()]
    play(REQUESTOR, [*ASKING, (Receive(data), outputs, State.Sta13)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (COMMAND, UNEXPECTED),
        (p_data_tf(Fragment(1, 1, b"")), UNEXPECTED),  # nothing in it, but a P-DATA-TF
        (DATA, UNEXPECTED),
        (RQ_PDU, UNEXPECTED),
        (RELEASE_RQ, UNEXPECTED),
        (UNKNOWN, UNRECOGNIZED),
    ],
)
def test_whatever_comes_while_the_answer_is_awaited_is_an_error(data, reason):
    outputs = [abort(2, reason), fault(reason), StartArtim()]
    play(ACCEPTOR, [*ASKED, (Receive(data), outputs, State.Sta13)])


@pytest.mark.parametrize(("limit", "kept"), [(11, False), (12, True), (13, True), (0, True)])
def test_the_peer_keeps_to_the_maximum_length_it_was_told(limit, kept):
    """DATA is a P-DATA-TF of 12 bytes (PS3.8 D.1)."""
    association = play(ACCEPTOR, ACCEPTED)
    association.limit_received(limit)
    outputs = do(association, Receive(DATA))
    assert (outputs == [data_run(FRAGMENT)]) == kept
    assert association.state is (State.Sta6 if kept else State.Sta13)


def test_outputs_come_one_by_one_as_of_the_state_the_owner_left():
    """Two commands in one read: between them the owner aborts, so the second is not heard."""
    association = play(ACCEPTOR, ACCEPTED)
    outputs = association.receive_data(memoryview(COMMAND + COMMAND))
    assert settled(next(outputs)) == command(b"abcd")
    association.abort(2, 0)
    assert list(outputs) == []
    assert association.state is State.Sta13


def test_an_owner_that_lost_the_transport_in_between_hears_no_more():
    association = play(ACCEPTOR, ACCEPTED)
    outputs = association.receive_data(memoryview(DATA + RELEASE_RQ + UNKNOWN))
    next(outputs)
    assert do(association, Local("transport_closed")) == [settled(PAbortIndication(None))]
    assert list(outputs) == []


def test_nothing_happens_before_the_first_output_is_asked_for():
    association = play(ACCEPTOR, ACCEPTED)
    outputs = association.receive_data(memoryview(ABORT_PDU))
    assert association.open
    assert [settled(output) for output in outputs] == [
        settled(AbortIndication(2, 6)),
        settled(Close()),
    ]
    assert not association.open


# Every cell, by the second transcription.

LOCAL = {
    Event.A_ASSOCIATE_REQUEST: Local("connect", RQ_PDU),
    Event.A_ASSOCIATE_ACCEPT: Local("accept", AC_PDU),
    Event.A_ASSOCIATE_REJECT: Local("reject", REJECTION),
    Event.A_RELEASE_REQUEST: Local("request_release"),
    Event.A_RELEASE_RESPONSE: Local("respond_release"),
    Event.A_ABORT_REQUEST: Local("abort", 2, 5),
    Event.ARTIM_EXPIRED: Local("artim_expired"),
}
TRANSPORT = {
    Role.REQUESTOR: Event.TRANSPORT_CONFIRM,
    Role.ACCEPTOR: Event.TRANSPORT_INDICATION,
}
OPEN = sorted(set(State) - {State.Sta1, State.Sta4})  # where a peer can be heard


def in_state(role: Role, state: State) -> tuple[Association, Model]:
    association = Association(role)
    if state is not State.Sta1:
        association.connect(RQ_PDU)  # what AE-2 sends
    association.state = state
    return association, Model(role, state)


def raises_or(association: Association, step: Local) -> list[Output] | Raises:
    try:
        return do(association, step)
    except LocalProtocolError:
        return Raises()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", LOCAL)
def test_a_local_primitive_has_its_cell_or_is_our_own_error(role, state, event):
    association, model = in_state(role, state)
    expected = model.step(event, abort=(2, 5)) if model.expects(event) else Raises()
    assert raises_or(association, LOCAL[event]) == expected
    assert association.state is model.state


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", State)
def test_the_transport_opens_once(role, state):
    association, model = in_state(role, state)
    event = TRANSPORT[role]
    expected = model.step(event) if model.expects(event) else Raises()
    assert raises_or(association, Local("transport_connected")) == expected
    assert association.state is model.state


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", State)
def test_the_transport_may_close_at_any_time(role, state):
    association, model = in_state(role, state)
    lost = model.expects(Event.TRANSPORT_CLOSED)
    expected = model.step(Event.TRANSPORT_CLOSED) if lost else []
    assert raises_or(association, Local("transport_closed")) == expected
    assert association.state is State.Sta1


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("event", RECEIVED)
def test_a_received_pdu_has_its_cell(role, state, event, bytewise):
    association, model = in_state(role, state)
    expected = model.step(event)
    assert do(association, Receive(RECEIVED[event]), bytewise=bytewise) == expected
    assert association.state is model.state


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize(("data", "reason"), [(UNKNOWN, UNRECOGNIZED), (ODD, INVALID)])
def test_an_invalid_pdu_has_its_cell(role, state, data, reason):
    association, model = in_state(role, state)
    expected = model.step(Event.INVALID_PDU_RECEIVED, reason)
    assert do(association, Receive(data)) == expected
    assert association.state is model.state


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", State)
def test_what_may_be_asked_of_a_state(role, state):
    association, model = in_state(role, state)
    assert association.may_send_data == model.expects(Event.P_DATA_REQUEST)
    assert association.open == model.expects(Event.A_ABORT_REQUEST)
