"""Requests of another SOP class than the one that their presentation context was accepted for."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.judging import (
    CT,
    FIND,
    GET,
    INBOUND,
    NAMES,
    ONWARD,
    PRINT,
    VERIFICATION,
    WORKLIST_FIND,
    decoded,
    gate,
    message,
    passed,
)
from ulproxy.dimse.command import Element
from ulproxy.dimse.services import possible_services
from ulproxy.relay.verdict import Context, Pass, Respond

WS1_MAY_NOT = "no rule lets WS1 ask ARCHIVE for the service"


@pytest.mark.parametrize("element", [wire.AFFECTED_CLASS, wire.REQUESTED_CLASS])
@pytest.mark.parametrize(
    ("context_id", "asked", "sop_class", "text"),
    [
        (FIND, wire.find_rq(1), WORKLIST_FIND, f"{WS1_MAY_NOT} worklist"),
        (FIND, wire.find_rq(1), b"1.2.3.4", f"{WS1_MAY_NOT} other"),
        (FIND, wire.find_rq(1), WORKLIST_FIND + b"\0.1", f"{WS1_MAY_NOT} worklist"),
        (FIND, wire.find_rq(1), b"1." * 32 + b"1", f"{WS1_MAY_NOT} other"),
        (PRINT, wire.request(wire.N_SET, 1, wire.PRINTER), wire.uid(wire.MPPS), NAMES),
        (GET, wire.find_rq(1), wire.uid(wire.STUDY_FIND), NAMES),
    ],
)
def test_a_request_of_another_sop_class_is_another_service(
    element, context_id, asked, sop_class, text
):
    """Archives answer by the SOP class of the command set, on whatever context it comes."""
    asked = {**asked, element: sop_class + b"\0" * (len(sop_class) % 2)}
    verdict = gate().judge(INBOUND, message(asked, context_id))
    assert isinstance(verdict, Respond)
    assert verdict.text == text
    assert verdict.command.unsigned(Element.STATUS) == 0x0124


@pytest.mark.parametrize(
    ("context_id", "asked", "sop_class"),
    [
        (FIND, wire.find_rq(1), "1.2.840.10008.5.1.4.1.2.1.1"),  # Patient Root
        (PRINT, wire.request(wire.N_SET, 1, wire.PRINTER), "1.2.840.10008.5.1.1.2"),  # Film Box
        (CT, wire.store_rq(1), wire.MR),
        (CT, wire.store_rq(1), "1.2.3.4"),
        (VERIFICATION, wire.echo_rq(1), wire.CT),
    ],
)
def test_a_request_of_another_sop_class_of_the_same_service(context_id, asked, sop_class):
    """So it is with meta SOP classes, and with devices that are merely sloppy."""
    asked = {**asked, wire.AFFECTED_CLASS: wire.uid(sop_class)}
    verdict = gate().judge(INBOUND, message(asked, context_id))
    assert isinstance(verdict, Pass)
    assert verdict.command == decoded(asked)


@pytest.mark.parametrize("padding", [b"", b"\0", b" ", b"\0\0", b"  "])
def test_the_same_sop_class_however_it_is_padded(padding):
    asked = {**wire.find_rq(1), wire.AFFECTED_CLASS: wire.STUDY_FIND.encode() + padding}
    asked[wire.AFFECTED_CLASS] += b"\0" * (len(asked[wire.AFFECTED_CLASS]) % 2)
    assert isinstance(gate().judge(INBOUND, message(asked, FIND)), Pass)


def test_another_service_may_be_one_that_a_rule_allows_too():
    """MOD1 may ask for `worklist` and for `other`."""
    asked = wire.find_rq(1, "1.2.3.4")
    contexts = {FIND: Context(WORKLIST_FIND.decode(), wire.IMPLICIT)}
    verdict = gate("MOD1", contexts=contexts).judge(INBOUND, message(asked, FIND))
    assert isinstance(verdict, Pass)


def test_within_a_network_a_query_may_come_on_the_context_of_a_retrieve():
    """No titles are mapped there, so none can be forgotten."""
    judge = gate(
        "WS1", "MINI", rules=hospital.RULES.replace('"echo", "store", "move"', '"find", "get"')
    ).judge
    asked = wire.find_rq(1)
    assert judge(INBOUND, message(asked, GET)) == passed(asked)


def test_a_sub_operation_may_be_of_another_storage_class():
    judge = gate().judge
    judge(INBOUND, message(wire.get_rq(3), GET))
    pushed = message(wire.store_rq(1, sop_class="1.2.3.4"), CT)
    assert judge(ONWARD, pushed) == Pass(pushed.command)


def test_long_sop_classes_are_not_remembered():
    """What is looked up is: 4096 of them with 64 KB each would be 256 MB."""
    judge = gate().judge
    before = possible_services.cache_info().currsize
    for number in range(20):
        asked = {**wire.echo_rq(1), wire.AFFECTED_CLASS: f"1.2.{number:04d}.".encode() * 1000}
        assert isinstance(judge(INBOUND, message(asked)), Pass)
    assert possible_services.cache_info().currsize <= before + 1


def test_a_sop_class_may_be_padded_as_old_devices_do():
    """It is compared as it stands on the wire first, and then by what it says."""
    asked = {**wire.echo_rq(1), wire.AFFECTED_CLASS: wire.VERIFICATION.encode() + b"  \0"}
    assert gate().judge(INBOUND, message(asked)) == passed(asked)
