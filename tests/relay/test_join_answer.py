"""What the callee answers, and what a caller says that does not wait for it (PS3.8 9.3.3, 9.3.4)."""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.hospital import AC, ACCEPTED, RQ, endpoint, relayed_ac
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Playbook,
    accepted,
    connected,
    counted,
    data,
    expired,
    finished,
    logged,
    lost,
    quietly,
    send,
)
from tests.relay.wire import Asked, Given, abort, rj
from ulproxy.relay.effects import CloseTransport, OpenTransport, StartTimer, StopTimer, Timer

ARTIM = Timer.ARTIM
ASKED = quietly(accepted(), data(INBOUND, RQ))
CALLING = quietly(accepted(), data(INBOUND, RQ), connected())


def rejected(script: Playbook, *rejection: int) -> Playbook:
    """The last input leads to an A-ASSOCIATE-RJ for the caller, which then waits for its close."""
    return (
        script
        << logged("association rejected", answer=rejection, callee="ARCHIVE")
        << send(INBOUND, rj(*rejection))
        << StartTimer(INBOUND, ARTIM)
    )


def test_the_ae_cannot_be_reached():
    script = Playbook() >> ASKED >> lost(ONWARD, "Connection refused")
    assert (
        rejected(script, 2, 3, 1)
        >> counted(0)
        >> lost(INBOUND)
        << StopTimer(INBOUND, ARTIM)
        >> finished()
    )


def test_the_connection_to_the_ae_does_not_stand_in_time():
    script = Playbook() >> ASKED >> expired(ONWARD, Timer.CONNECT)
    assert (
        rejected(script, 2, 3, 1)
        << StopTimer(ONWARD, ARTIM)
        << CloseTransport(ONWARD)
        >> counted(0)
        >> expired(INBOUND, ARTIM)
        << StopTimer(INBOUND, ARTIM)
        << CloseTransport(INBOUND)
        >> finished()
    )


def test_the_ae_does_not_answer_in_time():
    script = Playbook() >> CALLING >> expired(ONWARD, Timer.CONNECT)
    assert (
        rejected(script, 2, 3, 1)
        << send(ONWARD, abort(2, 0))
        << StartTimer(ONWARD, ARTIM)
        >> data(ONWARD, AC)  # too late
        >> counted(0)
        >> lost(ONWARD)
        << StopTimer(ONWARD, ARTIM)
        >> finished(False)
    )


LEGAL = [
    (result, source, reason)
    for result in (1, 2)
    for source, reason in [(1, 1), (1, 2), (1, 3), (1, 7), (2, 1), (2, 2), (3, 1), (3, 2)]
]
ILLEGAL = [
    *((result, 1, 1) for result in (0, 3, 255)),
    *((1, source, 1) for source in (0, 4, 255)),
    *((1, 1, reason) for reason in (0, 4, 5, 6, 8, 9, 10, 11)),
    *((1, 2, reason) for reason in (0, 3)),
    *((1, 3, reason) for reason in (0, 3, 4, 5, 6, 7)),
]


@pytest.mark.parametrize("told", LEGAL)
def test_the_ae_refuses(told):
    """PS3.8 Table 9-21."""
    script = Playbook() >> CALLING >> data(ONWARD, rj(*told))
    script << StopTimer(ONWARD, Timer.CONNECT)
    assert rejected(script, *told) << CloseTransport(ONWARD) >> counted(0)


@pytest.mark.parametrize("told", ILLEGAL)
def test_the_ae_refuses_with_an_illegal_triple(told):
    script = Playbook() >> CALLING >> data(ONWARD, rj(*told))
    script << StopTimer(ONWARD, Timer.CONNECT)
    assert rejected(script, 2, 2, 1) << CloseTransport(ONWARD) >> counted(0)


ILLEGAL_ANSWERS = {
    "P-DATA": (wire.command(1, wire.echo_rq(1)), 2),
    "A-ASSOCIATE-RQ": (RQ, 2),
    "A-RELEASE-RQ": (wire.RELEASE_RQ, 2),
    "A-RELEASE-RP": (wire.RELEASE_RP, 2),
    "unknown PDU": (wire.pdu(8, b"????"), 1),
    "HTTP": (b"HTTP/1.1 400 Bad Request", 1),
    "A-ASSOCIATE-RJ of 5 bytes": (wire.pdu(3, bytes(5)), 6),
    "A-ABORT of 3 bytes": (wire.pdu(7, bytes(3)), 6),
    "A-ASSOCIATE-AC that ends within an item": (wire.pdu(2, AC[6:-1]), 6),
    "no presentation context": (wire.ac([]), 6),
    "a result of 5": (wire.ac([Given(1, 5)]), 6),
    "a context twice": (wire.ac([Given(1), Given(1)]), 6),
    **{f"maximum length of {n}": (wire.ac(ACCEPTED, n), 6) for n in (1, 7)},
}


@pytest.mark.parametrize(("answer", "reason"), ILLEGAL_ANSWERS.values(), ids=ILLEGAL_ANSWERS)
def test_the_ae_answers_with_something_illegal(answer, reason):
    assert (
        Playbook(bytewise=len(answer) < 64)  # else the fault comes before the last byte
        >> CALLING
        >> data(ONWARD, answer)
        << send(ONWARD, abort(2, reason))
        << logged("association rejected", answer=(2, 2, 1))
        << send(INBOUND, rj(2, 2, 1))
        << StartTimer(INBOUND, ARTIM)
        << StartTimer(ONWARD, ARTIM)
        >> counted(0)
    )


@pytest.mark.parametrize(
    "given",
    [Given(11), Given(1, 0, wire.EXPLICIT), Given(3, 0, wire.EXPLICIT)],
    ids=["a context", "a transfer syntax", "one of another context"],
)
def test_the_ae_accepts_what_was_not_proposed(given):
    script = Playbook() >> CALLING >> data(ONWARD, wire.ac([given]))
    script << StopTimer(ONWARD, Timer.CONNECT)
    assert (
        rejected(script, 2, 2, 1)
        << send(ONWARD, abort(2, 6))
        << StartTimer(ONWARD, ARTIM)
        >> counted(0)
    )


@pytest.mark.parametrize("fields", [(0, 0), (2, 1), (1, 9)])
def test_the_ae_aborts_instead_of_answering(fields):
    script = Playbook() >> CALLING >> data(ONWARD, abort(*fields))
    assert rejected(script, 2, 3, 1) << CloseTransport(ONWARD) >> counted(0)


def test_the_ae_closes_instead_of_answering():
    assert rejected(Playbook() >> CALLING >> lost(ONWARD), 2, 3, 1) >> counted(0)


# A PDU that comes while the onward answer is awaited

TOO_EARLY = {
    "P-DATA-TF": (wire.command(1, wire.echo_rq(1)), 2),
    "A-ASSOCIATE-RQ": (RQ, 2),
    "A-RELEASE-RQ": (wire.RELEASE_RQ, 2),
    "A-RELEASE-RP": (wire.RELEASE_RP, 2),
    "A-ASSOCIATE-RJ": (rj(1, 1, 1), 2),
    "unknown": (wire.pdu(9, b""), 1),
    "P-DATA-TF of 5 bytes": (wire.pdu(4, bytes(5))[:6], 6),
}


@pytest.mark.parametrize(("early", "reason"), TOO_EARLY.values(), ids=TOO_EARLY)
def test_a_pdu_while_the_connection_is_opened(early, reason):
    assert (
        Playbook(bytewise=False)
        >> ASKED
        >> data(INBOUND, early)
        << send(INBOUND, abort(2, reason))
        << logged("association ended")
        << StopTimer(ONWARD, ARTIM)
        << CloseTransport(ONWARD)
        << StartTimer(INBOUND, ARTIM)
        >> counted(0)
    )


@pytest.mark.parametrize(("early", "reason"), TOO_EARLY.values(), ids=TOO_EARLY)
def test_a_pdu_while_the_answer_is_awaited(early, reason):
    assert (
        Playbook(bytewise=False)
        >> CALLING
        >> data(INBOUND, early)
        << send(INBOUND, abort(2, reason))
        << logged("association ended")
        << send(ONWARD, abort(2, 0))
        << StartTimer(ONWARD, ARTIM)
        << StartTimer(INBOUND, ARTIM)
        >> counted(0)
        >> data(ONWARD, AC)
    )


def test_p_data_behind_the_request_in_the_same_read():
    assert (
        Playbook(bytewise=False)
        >> quietly(accepted())
        >> data(INBOUND, RQ + wire.command(1, wire.echo_rq(1)))
        << StopTimer(INBOUND, ARTIM)
        << OpenTransport(endpoint("ARCHIVE"))
        << StartTimer(ONWARD, Timer.CONNECT)
        << send(INBOUND, abort(2, 2))
        << StopTimer(ONWARD, ARTIM)
        << CloseTransport(ONWARD)
        << StartTimer(INBOUND, ARTIM)
    )


def test_p_data_behind_the_acceptance_in_the_same_read():
    """PS3.8 allows it: the callee may ask at once what its roles let it ask."""
    report = wire.request(wire.N_EVENT_REPORT, 1, wire.PRINTER)
    script = Playbook() >> quietly(
        accepted(), data(INBOUND, wire.rq("HB_PACS", "WS1", [Asked(1, wire.PRINTER)])), connected()
    )
    assert (
        script
        >> data(ONWARD, wire.ac([Given(1)]) + wire.command(1, report))
        << StopTimer(ONWARD, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, relayed_ac("HB_PACS", "WS1", (Given(1),)), wire.command(1, report))
    )
