"""Operations for the audit trail: reported when they are over, whatever the way (contract, PS3.15 A.5)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.relay import groups, hospital, sharing, wire
from tests.relay.conversations import BOTH_ROLES
from tests.relay.groups import FIRST, SECOND
from tests.relay.hospital import ECHO, FIND, GET, MOVE, STORE
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Check,
    Playbook,
    accepted,
    data,
    lost,
    quietly,
    send,
)
from tests.relay.wire import abort, command, fragment, us
from ulproxy.dimse.command import decode
from ulproxy.dimse.services import Service
from ulproxy.relay.border import Border
from ulproxy.relay.effects import CloseTransport, Operation, StartTimer, Timer
from ulproxy.relay.operation import Auditor, OpenOperation

KEYS = fragment(FIND, groups.RETRIEVE + bytes(4))
OBJECT = fragment(STORE, b"pixels")


def audited(made: Callable[[], Border] = hospital.border) -> Callable[[], Border]:
    """A border that reports operations; its clock ticks when it is looked at."""

    def border() -> Border:
        one = made()
        one.audited, ticks = True, iter(range(100, 200))
        one.clock = lambda: float(next(ticks))
        return one

    return border


def standing() -> Playbook:
    return Playbook(audited()) >> BOTH_ROLES


def operation(service: Service, request: int, sop_class: str, **more: object) -> Operation:
    """WS1 asks ARCHIVE by the first rule, as message 1."""
    facts = {
        "asking": "WS1",
        "asked": "ARCHIVE",
        "message_id": 1,
        "sop_instance": "",
        "status": 0,
        "began": 100.0,
        "rule": 1,
        "transfer_syntax": wire.IMPLICIT,
        **more,
    }
    return Operation(service=service, request=request, sop_class=sop_class, **facts)  # type: ignore[arg-type]


def test_a_c_store_with_its_octets():
    asked, answer = command(STORE, wire.store_rq(1)), command(STORE, wire.store_rsp(1, 0xB000))
    stored = operation(
        Service.STORE,
        wire.C_STORE,
        wire.CT,
        sop_instance="1.2.3.4",
        status=0xB000,
        octets=len(OBJECT),
    )
    assert (
        standing()
        >> data(INBOUND, asked + OBJECT)
        << send(ONWARD, asked + OBJECT)
        >> data(ONWARD, answer)
        << stored
        << send(INBOUND, answer)
    )


def test_a_c_find_with_its_matches():
    """The octets are those of the query, as its receiver gets it."""
    pending = command(FIND, wire.response(wire.C_FIND, 1, wire.STUDY_FIND, 0xFF00))
    final = command(FIND, wire.response(wire.C_FIND, 1, wire.STUDY_FIND))
    found = operation(Service.FIND, wire.C_FIND, wire.STUDY_FIND, octets=8, matches=2)
    assert (
        standing()
        >> data(INBOUND, command(FIND, wire.find_rq(1)) + KEYS)
        << send(ONWARD, command(FIND, wire.find_rq(1)) + KEYS)
        >> data(ONWARD, pending * 2)
        << send(INBOUND, pending * 2)
        >> data(ONWARD, final)
        << found
        << send(INBOUND, final)
    )


COUNTS = {"completed": 7, "failed": 1, "warning": 2}


@pytest.mark.parametrize(
    ("counts", "sub_operations"),
    [({}, None), ({"completed": 7}, (7, 0, 0)), (COUNTS, (7, 1, 2)), ({"warning": 2}, (0, 0, 2))],
)
def test_a_c_move_with_its_destination_and_counts(counts, sub_operations):
    final = command(MOVE, groups.final(wire.C_MOVE, 1, **counts))
    moved = operation(
        Service.MOVE,
        wire.C_MOVE,
        wire.STUDY_MOVE,
        octets=len(fragment(MOVE, b"keys")),
        destination="WS2",
        sub_operations=sub_operations,
    )
    asked = command(MOVE, wire.move_rq(1, "WS2")) + fragment(MOVE, b"keys")
    assert (
        standing()
        >> quietly(data(INBOUND, asked))
        >> data(ONWARD, final)
        << moved
        << send(INBOUND, final)
    )


def test_an_operation_ends_with_its_association():
    """Without a status: nobody knows what came of it."""
    echoed = operation(Service.ECHO, wire.C_ECHO, wire.VERIFICATION, status=None)
    script = standing() >> quietly(data(INBOUND, command(ECHO, wire.echo_rq(1))))
    assert (
        script
        >> data(INBOUND, abort(0, 0))
        << echoed
        << send(ONWARD, abort(0, 0))
        << StartTimer(ONWARD, Timer.ARTIM)
        << CloseTransport(INBOUND)
    )


def test_what_is_refused_says_why():
    """No rule, no octets: nothing has been passed on. The service is that of the presentation context."""
    refused = operation(
        Service.OTHER,
        wire.N_GET,
        wire.PRINTER,
        status=0x0124,
        rule=None,
        refused="no rule lets ARCHIVE ask WS1 for 0110H",
        asking="ARCHIVE",
        asked="WS1",
    )
    asked = wire.request(wire.N_GET, 1, wire.PRINTER)
    answer = wire.response(wire.N_GET, 1, wire.PRINTER, 0x0124)
    script = standing() >> data(ONWARD, command(ECHO, asked))
    assert script << refused << send(ONWARD, command(ECHO, answer))


def test_the_sub_operations_of_a_c_get_are_the_archives():
    asked = command(GET, wire.get_rq(1)) + fragment(GET, b"keys")
    stored = operation(
        Service.STORE,
        wire.C_STORE,
        wire.CT,
        asking="ARCHIVE",
        asked="WS1",
        message_id=9,
        sop_instance="1.2.3.4",
        began=101.0,
        rule=None,
        octets=len(OBJECT),
    )
    assert (
        standing()
        >> quietly(data(INBOUND, asked))
        >> quietly(data(ONWARD, command(STORE, wire.store_rq(9)) + OBJECT))
        >> data(INBOUND, command(STORE, wire.store_rsp(9)))
        << stored
        << send(ONWARD, command(STORE, wire.store_rsp(9)))
    )


# Groups, and the shared title: what the relay says by itself


def group() -> Playbook:
    return groups.joined(FIRST, SECOND, made=audited(groups.border()))


def test_a_query_to_a_group_is_one_for_each_member():
    final = command(FIND, groups.final(wire.C_FIND))
    found = operation(Service.FIND, wire.C_FIND, wire.STUDY_FIND, octets=8)
    other = operation(
        Service.FIND, wire.C_FIND, wire.STUDY_FIND, octets=8, asked="PACS2", began=101.0, rule=8
    )
    script = group() >> quietly(data(INBOUND, groups.find()))
    assert (
        script
        >> data(FIRST, final)
        << found
        >> data(SECOND, final)
        << other
        << send(INBOUND, final)
    )


def test_what_a_group_is_asked_in_vain():
    """The title that was called is asked."""
    asked = command(STORE, wire.store_rq(1)) + OBJECT
    refused = operation(
        Service.STORE,
        wire.C_STORE,
        wire.CT,
        asked="ALL",
        sop_instance="1.2.3.4",
        status=0x0124,
        rule=None,
        refused="ALL is a group: it is queried and retrieved from, no more",
    )
    answer = command(STORE, wire.store_rsp(1, 0x0124))
    assert group() >> data(INBOUND, asked) << refused << send(INBOUND, answer)


def test_a_c_store_that_cannot_be_told():
    made = audited(sharing.border(sharing.TO_WS3))
    refused = operation(
        Service.STORE,
        wire.C_STORE,
        wire.CT,
        asking="ARCHIVE",
        asked="HOSP_A",
        sop_instance="1.2.3.4",
        status=0x0124,
        rule=None,
        refused="nothing is moved behind HOSP_A that this could be of",
    )
    script = sharing.standing(made, FIRST)
    script >>= data(INBOUND, sharing.stored(("HOSP_A", 77)) + sharing.OBJECT)
    assert script << refused << send(INBOUND, sharing.done(1, 0x0124))


def test_what_the_relay_itself_is_asked_in_vain():
    asked = wire.rq("HOSP_A", "WS1", [wire.Asked(1, wire.VERIFICATION)])
    refused = operation(
        Service.OTHER,
        wire.N_GET,
        wire.PRINTER,
        asked="HOSP_A",
        status=0x0124,
        rule=None,
        refused="the relay itself answers C-ECHO only",
    )
    script = Playbook(audited()) >> quietly(accepted(), data(INBOUND, asked))
    message = command(1, wire.request(wire.N_GET, 1, wire.PRINTER))
    answer = command(1, wire.response(wire.N_GET, 1, wire.PRINTER, 0x0124))
    assert script >> data(INBOUND, message) << refused << send(INBOUND, answer)
    echo, echoed = command(1, wire.echo_rq(1)), command(1, wire.echo_rsp(1))
    script = Playbook(audited()) >> quietly(accepted(), data(INBOUND, asked))
    assert script >> data(INBOUND, echo) << send(INBOUND, echoed)


def test_a_member_that_is_lost_has_no_status():
    found = operation(
        Service.FIND,
        wire.C_FIND,
        wire.STUDY_FIND,
        octets=8,
        asked="PACS2",
        began=101.0,
        rule=8,
        status=None,
    )
    assert group() >> quietly(data(INBOUND, groups.find())) >> lost(SECOND) << found


def test_an_operation_that_nobody_wanted_to_know_of_is_not_reported():
    reports: list[Operation] = []
    auditor = Auditor(lambda: 1.0, reports.append)
    auditor.ended(OpenOperation(1, 1, wire.C_ECHO, None, False), None)
    assert reports == []


def test_counts_are_of_the_final_response():
    reports: list[Operation] = []
    auditor = Auditor(lambda: 1.0, reports.append)
    one = OpenOperation(1, 1, wire.C_MOVE, None, False)
    one.audited = operation(Service.MOVE, wire.C_MOVE, wire.STUDY_MOVE)
    final = {**groups.final(wire.C_MOVE, 1, 0xB000), 0x1022: us(3)}
    auditor.ended(one, decode(wire.command_set(final)))
    assert [(report.status, report.sub_operations) for report in reports] == [(0xB000, (0, 3, 0))]


def test_without_an_audit_nothing_is_reported():
    found = Check("audited", lambda _, border: border.audited, False)
    assert (
        Playbook()
        >> BOTH_ROLES
        >> found
        >> data(INBOUND, command(ECHO, wire.echo_rq(1)))
        << send(ONWARD, command(ECHO, wire.echo_rq(1)))
    )
