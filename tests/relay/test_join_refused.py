"""Messages that go no further, the relay's answers to them, and how many of either it bears."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.conversations import BOTH_ROLES
from tests.relay.hospital import CONTEXTS, ECHO, FIND, GET, MOVE, STORE
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Playbook,
    counted,
    data,
    established,
    logged,
    moving,
    quietly,
    send,
)
from tests.relay.wire import Given, abort, command, fragment, text
from ulproxy.relay.effects import CloseTransport, StartTimer, StopTimer, Timer

ARTIM = Timer.ARTIM
INSTANCE = "1.2.3.4"


def ws2() -> Playbook:
    """WS2 may echo and move."""
    return Playbook(peer=hospital.peer("10.1.0.2")) >> established(
        wire.rq("HB_PACS", "WS2", [CONTEXTS[0], CONTEXTS[3]]), wire.ac([Given(ECHO), Given(MOVE)])
    )


def refusal(field: int, sop_class: str | None, status: int, instance: str | None = None):
    more = {} if instance is None else {wire.AFFECTED_INSTANCE: wire.uid(instance)}
    return wire.response(field, 21, sop_class, status, more=more)


def n_rq(field: int, *, data: bool = False) -> dict[int, bytes]:
    return {
        wire.REQUESTED_CLASS: wire.uid(wire.PRINTER),
        wire.FIELD: wire.us(field),
        wire.MESSAGE_ID: wire.us(21),
        wire.DATA_SET_TYPE: wire.HAS_DATA if data else wire.NO_DATA,
        wire.REQUESTED_INSTANCE: wire.uid(INSTANCE),
    }


# On contexts that were accepted for something else: the request, and the service's response with 0124H.
NOT_ALLOWED = {
    "C-STORE": (
        wire.store_rq(21, sop_class=wire.STUDY_MOVE),
        refusal(wire.C_STORE, wire.STUDY_MOVE, 0x0124, INSTANCE),
    ),
    "C-FIND": (wire.find_rq(21), refusal(wire.C_FIND, wire.STUDY_FIND, 0x0124)),
    "C-GET": (wire.get_rq(21), refusal(wire.C_GET, wire.STUDY_GET, 0x0124)),
    **{
        name: (n_rq(field, data=has_data), refusal(field, wire.PRINTER, 0x0124, INSTANCE))
        for name, field, has_data in [
            ("N-EVENT-REPORT", wire.N_EVENT_REPORT, True),
            ("N-GET", wire.N_GET, False),
            ("N-SET", wire.N_SET, True),
            ("N-ACTION", wire.N_ACTION, True),
            ("N-CREATE", wire.N_CREATE, True),
            ("N-DELETE", wire.N_DELETE, False),
            ("a command that nobody knows", 0x0777, False),
        ]
    },
}


@pytest.mark.parametrize(("asked", "answer"), NOT_ALLOWED.values(), ids=NOT_ALLOWED)
def test_a_service_that_is_not_allowed(asked, answer):
    """Its data set is swallowed, and answered when it has ended; then the association goes on."""
    script = ws2() >> data(INBOUND, command(MOVE, asked)) << logged("message refused")
    if asked[wire.DATA_SET_TYPE] == wire.HAS_DATA:
        script = script >> data(INBOUND, fragment(MOVE, b"data", last=False))
        script = script >> data(INBOUND, fragment(MOVE, b"set!"))
    assert (
        script
        << send(INBOUND, command(MOVE, answer))
        >> data(INBOUND, command(ECHO, wire.echo_rq(22)))
        << send(ONWARD, command(ECHO, wire.echo_rq(22)))
        >> counted(1)
    )


def test_what_the_callee_asks_and_no_rule_allows():
    assert (
        ws2()
        >> data(ONWARD, command(ECHO, wire.echo_rq(21)))
        << logged("message refused")
        << send(ONWARD, command(ECHO, wire.echo_rsp(21, 0x0124)))
    )


BAD_INSTANCES = {
    "a path": b"../../etc/passwd",
    "a letter": b"1.2.3a",
    "an empty component": b"1..2",
    "a dot first": b".1.2",
    "a dot last": b"1.2.",
    "65 characters": b"1." * 32 + b"1" + b"\0",
    "a space within": b"1. 2",
    "nothing": b"",
    "a NUL within": b"1.2\x001.",
}


@pytest.mark.parametrize("instance", BAD_INSTANCES.values(), ids=BAD_INSTANCES)
def test_affected_sop_instance_uid_that_is_no_uid(instance):
    asked = {**wire.store_rq(21), wire.AFFECTED_INSTANCE: instance + b"\0" * (len(instance) % 2)}
    assert (
        Playbook()
        >> BOTH_ROLES
        >> data(INBOUND, command(STORE, asked))
        << logged("message refused")
        >> data(INBOUND, fragment(STORE, b"data"))
        << send(INBOUND, command(STORE, refusal(wire.C_STORE, wire.CT, 0x0117)))
        >> data(INBOUND, command(ECHO, wire.echo_rq(22)))
        << send(ONWARD, command(ECHO, wire.echo_rq(22)))
    )


@pytest.mark.parametrize("instance", ["1", "0.0", "1." * 31 + "22"])
def test_affected_sop_instance_uid_that_is_one(instance):
    asked = command(STORE, wire.store_rq(21, instance))
    assert Playbook() >> BOTH_ROLES >> data(INBOUND, asked) << send(ONWARD, asked)


def test_a_sop_class_that_cannot_be_said_back_is_left_out():
    asked = {**wire.find_rq(21), wire.AFFECTED_CLASS: b"\xff\xfe", wire.DATA_SET_TYPE: wire.NO_DATA}
    answer = refusal(wire.C_FIND, None, 0x0124)
    assert ws2() >> data(INBOUND, command(MOVE, asked)) << send(INBOUND, command(MOVE, answer))


@pytest.mark.parametrize(
    "title",
    ["NOBODY", "", "PACS", "HB_PACS", "WS3", "ASKER", "HA_WS1", "HOSP_A", "WS1\\WS2", "MINI"],
)
def test_move_destination_unknown_or_not_allowed(title):
    """A801H, the same whether it is unknown or forbidden; the association goes on."""
    asked = {**wire.move_rq(21, ""), wire.DESTINATION: text(title)}
    answer = refusal(wire.C_MOVE, wire.STUDY_MOVE, 0xA801)
    assert (
        Playbook()
        >> BOTH_ROLES
        >> data(INBOUND, command(MOVE, asked))
        << logged("message refused", command="C-MOVE-RQ")
        >> data(INBOUND, fragment(MOVE, b"keys"))
        << send(INBOUND, command(MOVE, answer))
        >> moving()
        >> data(INBOUND, command(ECHO, wire.echo_rq(22)))
        << send(ONWARD, command(ECHO, wire.echo_rq(22)))
    )


def test_without_destinations_in_its_rule_a_move_goes_to_the_caller_alone():
    answer = refusal(wire.C_MOVE, wire.STUDY_MOVE, 0xA801)
    asked = command(MOVE, wire.move_rq(21, "WS1")) + fragment(MOVE, b"keys")
    allowed = command(MOVE, wire.move_rq(22, "WS2")) + fragment(MOVE, b"keys")
    onward = command(MOVE, wire.move_rq(22, "HA_WS2")) + fragment(MOVE, b"keys")
    assert (
        ws2()
        >> data(INBOUND, asked)
        << send(INBOUND, command(MOVE, answer))
        >> data(INBOUND, allowed)
        << send(ONWARD, onward)
    )


# C-CANCEL


def test_c_cancel_of_what_is_under_way():
    assert (
        Playbook()
        >> BOTH_ROLES
        >> quietly(data(INBOUND, command(FIND, wire.find_rq(7)) + fragment(FIND, b"keys")))
        >> data(INBOUND, command(FIND, wire.cancel_rq(7)))
        << send(ONWARD, command(FIND, wire.cancel_rq(7)))
        >> data(ONWARD, command(FIND, wire.response(wire.C_FIND, 7, wire.STUDY_FIND, 0xFE00)))
        << send(INBOUND, command(FIND, wire.response(wire.C_FIND, 7, wire.STUDY_FIND, 0xFE00)))
        >> data(INBOUND, command(FIND, wire.cancel_rq(7)))  # it crossed the final response
        << logged("message dropped", command="C-CANCEL-RQ", message_id=7)
        >> counted(1)
    )


def test_c_cancel_of_nothing():
    """Neither what was never asked, nor what the other side asks, nor what was refused."""
    assert (
        Playbook()
        >> BOTH_ROLES
        >> quietly(data(INBOUND, command(GET, wire.get_rq(3)) + fragment(GET, b"keys")))
        >> quietly(data(INBOUND, command(FIND, n_rq(wire.N_GET))))
        >> data(INBOUND, command(FIND, wire.cancel_rq(4)))
        >> data(INBOUND, command(FIND, wire.cancel_rq(21)))
        >> data(ONWARD, command(FIND, wire.cancel_rq(3)))
        << logged("message dropped")
    )


# Error Comment


@pytest.mark.parametrize("status", [0xC001, 0x0000])
def test_an_error_comment_stays_on_its_network(status):
    comment = {wire.ERROR_COMMENT: text("disk /srv/pacs full"), 0x0901: bytes(4), 0x0903: b"\1\0"}
    said = {**wire.echo_rsp(1, status), **comment}
    kept = {number: value for number, value in said.items() if number != wire.ERROR_COMMENT}
    asked = command(ECHO, wire.echo_rq(1))
    assert (
        Playbook()
        >> BOTH_ROLES
        >> data(INBOUND, asked)
        << send(ONWARD, asked)
        >> data(ONWARD, command(ECHO, said))
        << send(INBOUND, command(ECHO, kept))
    )
    within = established(wire.rq("MINI", "WS1", CONTEXTS[:1]), wire.ac([Given(ECHO)]))
    assert (
        Playbook()
        >> within
        >> data(INBOUND, asked)
        << send(ONWARD, asked)
        >> data(ONWARD, command(ECHO, said))
        << send(INBOUND, command(ECHO, said))
    )


# The relay's own answers and a data set that is under way to the same peer

ASKED = command(FIND, n_rq(wire.N_GET))
ANSWER = command(FIND, refusal(wire.N_GET, wire.PRINTER, 0x0124, INSTANCE))
GETTING = quietly(data(INBOUND, command(GET, wire.get_rq(5)) + fragment(GET, b"keys")))
PUSHED = command(STORE, wire.store_rq(1))


def test_an_answer_waits_for_the_end_of_the_data_set():
    begun, rest = PUSHED + fragment(STORE, bytes(100))[:-20], bytes(20)
    assert (
        Playbook()
        >> BOTH_ROLES
        >> GETTING
        >> data(ONWARD, begun)
        << send(INBOUND, begun)
        >> data(INBOUND, ASKED + ASKED)
        >> data(INBOUND, command(ECHO, wire.echo_rq(9)))  # what passes is not kept back
        << send(ONWARD, command(ECHO, wire.echo_rq(9)))
        >> data(ONWARD, rest)
        << send(INBOUND, rest, ANSWER, ANSWER)
        >> data(INBOUND, ASKED)
        << send(INBOUND, ANSWER)
    )


def test_an_answer_waits_between_two_fragments_too():
    assert (
        Playbook()
        >> BOTH_ROLES
        >> GETTING
        >> quietly(data(ONWARD, PUSHED))
        >> data(INBOUND, ASKED)
        >> data(ONWARD, fragment(STORE, b"data", last=False))
        << send(INBOUND, fragment(STORE, b"data", last=False))
        >> data(ONWARD, fragment(STORE, b""))
        << send(INBOUND, fragment(STORE, b""), ANSWER)
    )


def test_an_answer_to_the_sender_of_a_data_set_does_not_wait():
    """It is the other direction of the same association."""
    refused = wire.store_rq(21, "no uid", wire.CT)
    assert (
        Playbook()
        >> BOTH_ROLES
        >> GETTING
        >> quietly(data(INBOUND, command(STORE, wire.store_rq(8))))
        >> data(ONWARD, command(STORE, refused) + fragment(STORE, b"data"))
        >> data(INBOUND, fragment(STORE, b"data"))
        << send(
            ONWARD,
            fragment(STORE, b"data"),
            command(STORE, refusal(wire.C_STORE, wire.CT, 0x0117)),
        )
    )


def test_what_waits_is_sent_while_the_peer_waits_for_its_release():
    """AR-7: the caller has asked to release, and still takes what it is owed."""
    assert (
        Playbook()
        >> BOTH_ROLES
        >> GETTING
        >> quietly(data(ONWARD, PUSHED), data(INBOUND, ASKED + wire.RELEASE_RQ))
        >> data(ONWARD, fragment(STORE, b"data") + wire.RELEASE_RP)
        << send(INBOUND, fragment(STORE, b"data"), ANSWER)
        << StopTimer(ONWARD, Timer.RELEASE)
        << send(INBOUND, wire.RELEASE_RP)
        << StartTimer(INBOUND, ARTIM)
        << CloseTransport(ONWARD)
    )


@pytest.mark.parametrize("refused", [255, 256, 257])
def test_how_many_answers_may_wait(refused):
    """MAX_WAITING = 256; one more and the peer asks without end: it is aborted, for want of room."""
    script = (
        Playbook(bytewise=False, by_end=True)
        >> BOTH_ROLES
        >> GETTING
        >> quietly(data(ONWARD, PUSHED))
    )
    script = script >> data(INBOUND, ASKED * refused)
    if refused <= 256:
        end = fragment(STORE, b"data")
        assert script >> data(ONWARD, end) << send(INBOUND, end, ANSWER * refused)
    else:
        assert (
            script
            << send(INBOUND, abort(2, 0))
            << StartTimer(INBOUND, ARTIM)
            << send(ONWARD, abort(2, 0))
            << StartTimer(ONWARD, ARTIM)
            >> counted(0)
        )


@pytest.mark.parametrize("asking", [4095, 4096, 4097])
def test_how_many_requests_may_be_unanswered(asking):
    """MAX_OUTSTANDING = 4096; more means that the peer does not wait for answers at all."""
    many = b"".join(command(ECHO, wire.echo_rq(number)) for number in range(asking))
    script = Playbook(bytewise=False, by_end=True) >> BOTH_ROLES >> data(INBOUND, many)
    onward = b"".join(command(ECHO, wire.echo_rq(number)) for number in range(min(asking, 4096)))
    if asking <= 4096:
        answer, another = command(ECHO, wire.echo_rsp(0)), command(ECHO, wire.echo_rq(0))
        assert (
            script
            << send(ONWARD, onward)
            >> data(ONWARD, answer)
            << send(INBOUND, answer)
            >> data(INBOUND, another)
            << send(ONWARD, another)
        )
    else:
        assert (
            script
            << send(ONWARD, onward)
            << send(INBOUND, abort(2, 0))
            << StartTimer(INBOUND, ARTIM)
            << send(ONWARD, abort(2, 0))
            << StartTimer(ONWARD, ARTIM)
            >> counted(0)
        )


def test_a_move_that_is_one_request_too_many_is_not_remembered():
    """Else the archive could store to its destination for ever after."""
    many = b"".join(command(ECHO, wire.echo_rq(number)) for number in range(4096))
    assert (
        Playbook(bytewise=False, by_end=True)
        >> BOTH_ROLES
        >> quietly(data(INBOUND, many))
        >> data(INBOUND, command(MOVE, wire.move_rq(1, "WS1")))
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, ARTIM)
        << send(ONWARD, abort(2, 0))
        << StartTimer(ONWARD, ARTIM)
        >> moving()
    )
