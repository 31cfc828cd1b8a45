"""Messages of every service across the relay, in both directions (PS3.7 9 and 10).

A command set arrives as it was sent, in one fragment if the receiver takes that; data fragments arrive as
they came.
"""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.conversations import BOTH_ROLES
from tests.relay.hospital import ACCEPTED, ECHO, FIND, GET, STORE
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Playbook,
    Quietly,
    counted,
    data,
    established,
    logged,
    quietly,
    send,
)
from tests.relay.wire import Asked, Given, command, commands_of, fragment, p_data, pdv, us
from ulproxy.relay.effects import End, StartTimer, Timer

MODALITY = (
    Asked(1, wire.COMMITMENT),
    Asked(3, wire.MPPS),
    Asked(5, "1.2.840.10008.5.1.4.31"),
    Asked(7, wire.PRIVATE),
    Asked(9, wire.CT),
)
COMMITMENT, MPPS, WORKLIST, PRIVATE, CT = (context.context_id for context in MODALITY)
FROM_MODALITY = established(
    wire.rq("HB_PACS", "MOD1", MODALITY), wire.ac([Given(c.context_id) for c in MODALITY])
)
PRINTING = established(wire.rq("HB_PACS", "WS1", [Asked(1, wire.PRINTER)]), wire.ac([Given(1)]))
KEYS = fragment(FIND, b"keys")


def n_request(field: int, sop_class: str, *, affected: bool = False, has_data: bool = True):
    """An N-service names what it acts on as requested, N-CREATE and N-EVENT-REPORT as affected."""
    elements = wire.request(field, 21, sop_class, data=has_data)
    instance = wire.AFFECTED_INSTANCE if affected else wire.REQUESTED_INSTANCE
    elements[instance] = wire.uid("1.2.3.4.5")
    if not affected:
        elements[wire.REQUESTED_CLASS] = elements.pop(wire.AFFECTED_CLASS)
    return elements


SERVICES = {
    "C-ECHO": (BOTH_ROLES, ECHO, wire.echo_rq(21)),
    "C-STORE": (BOTH_ROLES, STORE, wire.store_rq(21)),
    "C-FIND": (BOTH_ROLES, FIND, wire.find_rq(21)),
    "C-GET": (BOTH_ROLES, GET, wire.get_rq(21)),
    "C-FIND worklist": (FROM_MODALITY, WORKLIST, wire.find_rq(21, MODALITY[2].abstract)),
    "C-STORE private": (FROM_MODALITY, PRIVATE, wire.store_rq(21, sop_class=wire.PRIVATE)),
    "C-ECHO on another context": (BOTH_ROLES, STORE, wire.echo_rq(21)),
    "N-CREATE mpps": (FROM_MODALITY, MPPS, n_request(wire.N_CREATE, wire.MPPS, affected=True)),
    "N-SET mpps": (FROM_MODALITY, MPPS, n_request(wire.N_SET, wire.MPPS)),
    "N-ACTION commitment": (FROM_MODALITY, COMMITMENT, n_request(wire.N_ACTION, wire.COMMITMENT)),
    "N-GET printer": (PRINTING, 1, n_request(wire.N_GET, wire.PRINTER, has_data=False)),
    "N-DELETE print": (PRINTING, 1, n_request(wire.N_DELETE, wire.PRINTER, has_data=False)),
    "N-GET private": (FROM_MODALITY, PRIVATE, n_request(wire.N_GET, wire.PRIVATE, has_data=False)),
    "unknown command": (FROM_MODALITY, PRIVATE, n_request(0x0FFE, wire.PRIVATE)),
}


def script_of(association: Quietly) -> Playbook:
    address = "10.1.0.4" if association is FROM_MODALITY else "10.1.0.1"
    return Playbook(peer=hospital.peer(address)) >> association


def whole(context_id: int, elements, content: bytes = b"data set") -> bytes:
    """A message with the data set that its command set announces."""
    has_data = elements[wire.DATA_SET_TYPE] != wire.NO_DATA
    return command(context_id, elements) + (fragment(context_id, content) if has_data else b"")


@pytest.mark.parametrize(("association", "context_id", "asked"), SERVICES.values(), ids=SERVICES)
def test_a_request_and_its_responses(association, context_id, asked):
    field = int.from_bytes(asked[wire.FIELD], "little")
    pending = wire.response(field, 21, None, 0xFF00, data=True, more={wire.REMAINING: us(3)})
    final = wire.response(field, 21, None, 0xB000)
    answers = whole(context_id, pending) * 2 + whole(context_id, final)
    assert (
        script_of(association)
        >> data(INBOUND, whole(context_id, asked))
        << send(ONWARD, whole(context_id, asked))
        >> data(ONWARD, answers)
        << send(INBOUND, answers)
        >> data(ONWARD, whole(context_id, final))  # a second final response answers nothing
        << logged("message dropped", message_id=21)
    )


REPORT = n_request(wire.N_EVENT_REPORT, wire.COMMITMENT, affected=True)
REPORTED = wire.response(wire.N_EVENT_REPORT, 21, wire.COMMITMENT)


def test_an_n_event_report_on_the_same_association():
    """It comes against the direction of the service that it reports on."""
    assert (
        script_of(FROM_MODALITY)
        >> data(ONWARD, whole(COMMITMENT, REPORT))
        << send(INBOUND, whole(COMMITMENT, REPORT))
        >> data(INBOUND, whole(COMMITMENT, REPORTED))
        << send(ONWARD, whole(COMMITMENT, REPORTED))
    )


ROLE = wire.role(wire.COMMITMENT, 0, 1)
REPORTING = established(
    wire.rq("HA_MOD1", "PACS", [Asked(1, wire.COMMITMENT)], extras=[ROLE]),
    wire.ac([Given(1)], extras=[ROLE]),
)


def test_an_n_event_report_on_an_association_of_its_own():
    assert (
        Playbook(peer=hospital.OUTSIDE)
        >> REPORTING
        >> data(INBOUND, whole(1, REPORT))
        << send(ONWARD, whole(1, REPORT))
        >> data(ONWARD, whole(1, REPORTED))
        << send(INBOUND, whole(1, REPORTED))
    )


def test_the_association_of_an_n_event_report_is_for_nothing_else():
    asked = n_request(wire.N_ACTION, wire.COMMITMENT)
    refused = wire.response(wire.N_ACTION, 21, wire.COMMITMENT, 0x0124)
    refused[wire.AFFECTED_INSTANCE] = asked[wire.REQUESTED_INSTANCE]
    assert (
        Playbook(peer=hospital.OUTSIDE)
        >> REPORTING
        >> data(INBOUND, whole(1, asked))
        << logged("message refused")
        << send(INBOUND, command(1, refused))
    )


def test_several_operations_under_way_at_once():
    """Responses come in any order; a data set of one does not keep back the other direction."""
    assert (
        Playbook()
        >> BOTH_ROLES
        >> data(INBOUND, command(ECHO, wire.echo_rq(1)) + whole(STORE, wire.store_rq(2)))
        << send(ONWARD, command(ECHO, wire.echo_rq(1)), whole(STORE, wire.store_rq(2)))
        >> data(INBOUND, command(STORE, wire.store_rq(3)))
        << send(ONWARD, command(STORE, wire.store_rq(3)))
        >> data(ONWARD, command(STORE, wire.store_rsp(2)) + command(ECHO, wire.echo_rsp(1)))
        << send(INBOUND, command(STORE, wire.store_rsp(2)), command(ECHO, wire.echo_rsp(1)))
        >> data(INBOUND, fragment(STORE, b"data"))
        << send(ONWARD, fragment(STORE, b"data"))
    )


# How they are cut


def test_a_command_set_is_framed_anew():
    raw = wire.command_set(wire.echo_rq(1))
    sent = p_data(pdv(ECHO, 1, b""), pdv(ECHO, 1, raw[:30])) + p_data(pdv(ECHO, 1, raw[30:]))
    assert (
        Playbook()
        >> BOTH_ROLES
        >> data(INBOUND, sent)
        >> data(INBOUND, p_data(pdv(ECHO, 3, b"")))
        << send(ONWARD, command(ECHO, wire.echo_rq(1)))
    )


def test_data_fragments_go_on_as_they_come():
    """Also empty ones, and what shares a PDU with something else gets a PDU of its own."""
    asked = wire.command_set(wire.store_rq(1))
    together = p_data(pdv(STORE, 3, asked), pdv(STORE, 0, b"0123"), pdv(STORE, 0, b""))
    alone = fragment(STORE, b"0123", last=False) + fragment(STORE, b"", last=False)
    rest = fragment(STORE, bytes(range(256)) * 8, last=False) + fragment(STORE, b"")
    assert (
        Playbook()
        >> BOTH_ROLES
        >> data(INBOUND, together + rest)
        << send(ONWARD, command(STORE, wire.store_rq(1)), alone, rest)
        >> data(INBOUND, command(ECHO, wire.echo_rq(2)))
        << send(ONWARD, command(ECHO, wire.echo_rq(2)))
    )


@pytest.mark.parametrize(
    ("takes", "room"), [(8, 2), (9, 2), (13, 6), (14, 8), (100, 94), (16384, 16378), (0, 1 << 16)]
)
def test_no_fragment_is_longer_than_its_receiver_takes(takes, room):
    raw = wire.command_set({**wire.echo_rq(1), 0x0999: bytes(20000)})
    association = established(ac=wire.ac(ACCEPTED, takes))
    short = wire.command_set(wire.echo_rq(2))
    most = room if takes else 10000
    assert (
        Playbook(bytewise=False)
        >> association
        >> data(INBOUND, commands_of(ECHO, raw, most))
        << send(ONWARD, commands_of(ECHO, raw, room))
        >> data(INBOUND, commands_of(ECHO, short, 2))
        << send(ONWARD, commands_of(ECHO, short, room))
    )


@pytest.mark.parametrize("end", [INBOUND, ONWARD])
def test_max_pdu_is_kept_to(end: End):
    """Each is told at most `max_pdu`, and a P-DATA-TF beyond what was told is a fault (PS3.8 D.1)."""

    def border():
        return hospital.border("max_pdu = 1000")

    script = Playbook(border, bytewise=False, by_end=True) >> BOTH_ROLES
    least, most = wire.p_data(pdv(ECHO, 1, bytes(994))), wire.p_data(pdv(ECHO, 1, bytes(996)))
    other = ONWARD if end is INBOUND else INBOUND
    assert (
        script
        >> data(end, least)
        >> data(end, most)
        << logged("association ended")
        << send(end, wire.abort(2, 6))
        << StartTimer(end, Timer.ARTIM)
        << send(other, wire.abort(2, 0))
        << StartTimer(other, Timer.ARTIM)
        >> counted(0)
    )


def filled(size: int) -> bytes:
    """A C-ECHO-RQ of this many bytes."""
    raw = wire.command_set({**wire.echo_rq(1), 0x0999: b""})
    return wire.command_set({**wire.echo_rq(1), 0x0999: bytes(size - len(raw))})


@pytest.mark.parametrize("size", [(1 << 16) - 2, 1 << 16])
@pytest.mark.parametrize("room", [1 << 16, 4096, 10])
def test_the_longest_command_set(size, room):
    association = established(ac=wire.ac(ACCEPTED, 0))
    assert (
        Playbook(bytewise=False)
        >> association
        >> data(INBOUND, commands_of(ECHO, filled(size), room))
        << send(ONWARD, commands_of(ECHO, filled(size), 1 << 16))
    )


@pytest.mark.parametrize("room", [1 << 17, 4096, 10])
def test_a_command_set_that_is_too_long(room):
    association = established(ac=wire.ac(ACCEPTED, 0))
    assert (
        Playbook(bytewise=False, by_end=True)
        >> association
        >> data(INBOUND, commands_of(ECHO, filled((1 << 16) + 2), room))
        << send(INBOUND, wire.abort(2, 6))
        << StartTimer(INBOUND, Timer.ARTIM)
        << send(ONWARD, wire.abort(2, 0))
        << StartTimer(ONWARD, Timer.ARTIM)
    )


# C-GET: its sub-operations come back on the same association


def test_c_get():
    asked = whole(GET, wire.get_rq(5))
    pending = wire.response(wire.C_GET, 5, wire.STUDY_GET, 0xFF00, more={wire.REMAINING: us(1)})
    final = wire.response(wire.C_GET, 5, wire.STUDY_GET)
    pushed, stored = whole(STORE, wire.store_rq(5, "1.2.3.1")), wire.store_rsp(5, 0, "1.2.3.1")
    assert (
        Playbook()
        >> BOTH_ROLES
        >> data(INBOUND, asked)
        << send(ONWARD, asked)
        >> data(ONWARD, pushed)
        << send(INBOUND, pushed)
        >> data(INBOUND, command(STORE, stored))
        << send(ONWARD, command(STORE, stored))
        >> data(ONWARD, command(GET, pending) + pushed)
        << send(INBOUND, command(GET, pending), pushed)
        >> data(INBOUND, command(STORE, wire.store_rsp(5, 0xA700, "1.2.3.1")))
        << send(ONWARD, command(STORE, wire.store_rsp(5, 0xA700, "1.2.3.1")))
        >> data(ONWARD, command(GET, final))
        << send(INBOUND, command(GET, final))
        >> data(ONWARD, pushed)  # the operation is over, and with it what it allowed
        << logged("message refused")
        << send(ONWARD, command(STORE, wire.store_rsp(5, 0x0124, "1.2.3.1")))
    )


def test_a_sub_operation_that_no_c_get_causes():
    pushed, refused = wire.store_rq(1), wire.store_rsp(1, 0x0124)
    assert (
        Playbook()
        >> BOTH_ROLES
        >> quietly(data(INBOUND, whole(FIND, wire.find_rq(1))))
        >> data(ONWARD, command(STORE, pushed) + fragment(STORE, b"half", last=False))
        << logged("message refused", command="C-STORE-RQ", message_id=1)
        >> data(ONWARD, fragment(STORE, b"rest"))
        << send(ONWARD, command(STORE, refused))
    )
