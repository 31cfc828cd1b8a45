"""What several answers come to (PS3.7 annex C, PS3.4 C.4): statuses, counts, who is still to answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.relay import wire
from tests.relay.groups import COUNTS, final
from tests.relay.judging import decoded
from ulproxy.dimse.command import CommandSet, Element
from ulproxy.dimse.message import Message
from ulproxy.relay.query import Answered, Query

REQUESTS = {
    wire.C_FIND: wire.find_rq(1),
    wire.C_MOVE: wire.move_rq(1, "WS1"),
    wire.C_GET: wire.get_rq(1),
    wire.C_ECHO: wire.echo_rq(1),
}
SUCCESS, PENDING, WARNING, CANCEL = 0x0000, 0xFF00, 0xB000, 0xFE00


def query(field: int = wire.C_FIND, *due: str) -> Query:
    return Query(Message(1, decoded(REQUESTS[field])), b"keys", [*due])


def answered(field: int, *statuses: int) -> Query:
    """One that members have answered, one for each status."""
    one = query(field)
    for number, status in enumerate(statuses):
        one.answers[f"PACS{number}"] = Answered(decoded(final(field, 1, status)))
    return one


def status(one: Query) -> int:
    return one.final().unsigned(Element.STATUS)


@pytest.mark.parametrize(
    ("field", "retrieves"),
    [(wire.C_FIND, False), (wire.C_ECHO, False), (wire.C_MOVE, True), (wire.C_GET, True)],
)
def test_retrieves_go_to_one_after_the_other(field, retrieves):
    assert query(field).retrieves is retrieves


def test_it_is_over_when_nobody_is_to_be_asked_and_nobody_to_answer():
    one = query(wire.C_FIND, "PACS")
    assert not one.over
    one.asked.add(one.due.pop())
    assert not one.over
    one.asked.clear()
    assert one.over


@pytest.mark.parametrize(
    ("name", "elements", "expected"),
    [
        ("PACS", final(wire.C_FIND, 1), True),
        ("PACS", final(wire.C_FIND, 2), False),
        ("PACS", final(wire.C_MOVE, 1), False),
        ("OLD", final(wire.C_FIND, 1), False),
    ],
)
def test_who_answers_what(name, elements, expected):
    one = query()
    one.asked = {"PACS"}
    assert one.is_answered_by(name, decoded(elements)) is expected


@pytest.mark.parametrize(
    ("field", "completed", "failing", "expected"),
    [
        (wire.C_MOVE, 4, 0xC000, SUCCESS),
        (wire.C_GET, 4, 0xCFFF, SUCCESS),
        (wire.C_GET, 4, 0xA702, WARNING),  # it might have had some
        (wire.C_MOVE, 0, 0xC000, WARNING),
        (wire.C_FIND, 4, 0xC000, WARNING),
    ],
)
def test_an_archive_that_has_none_of_it_may_say_that_it_cannot_process(
    field, completed, failing, expected
):
    """Orthanc does; the retrieve is complete all the same, if another one had it."""
    one = query(field)
    one.answers["PACS"] = Answered(decoded(final(field, 1, SUCCESS, completed=completed)))
    one.answers["OLD"] = Answered(decoded(final(field, 1, failing)))
    assert status(one) == expected


def test_an_archive_that_began_and_could_not_go_on_is_no_such():
    one = query(wire.C_MOVE)
    one.answers["PACS"] = Answered(decoded(final(wire.C_MOVE, 1, SUCCESS, completed=4)))
    one.answers["OLD"] = Answered(decoded(final(wire.C_MOVE, 1, 0xC000, failed=1)))
    assert status(one) == WARNING


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((SUCCESS,), SUCCESS),
        ((SUCCESS, SUCCESS), SUCCESS),
        ((SUCCESS, 0xA700), WARNING),
        ((0xA700, SUCCESS), WARNING),
        ((WARNING, 0xA700), WARNING),
        ((WARNING,), WARNING),
        ((0xA700, 0x0110), 0xA700),
        ((0x0110, 0xA700), 0x0110),
        ((SUCCESS, CANCEL), CANCEL),
        ((CANCEL, 0xA700), CANCEL),
        ((), 0x0110),
    ],
)
@pytest.mark.parametrize("field", [wire.C_FIND, wire.C_MOVE, wire.C_GET])
def test_the_status_of_all(field, statuses, expected):
    """A failure if all failed, a warning if some did, cancelled if one was."""
    assert status(answered(field, *statuses)) == expected


@pytest.mark.parametrize(
    ("statuses", "expected"), [((SUCCESS, 0x0110), SUCCESS), ((0x0122, 0x0110), 0x0122)]
)
def test_a_c_echo_succeeds_if_any_does(statuses, expected):
    assert status(answered(wire.C_ECHO, *statuses)) == expected


def test_what_the_caller_has_cancelled_is_cancelled():
    one = answered(wire.C_FIND, SUCCESS)
    one.cancelled = True
    assert status(one) == CANCEL


def test_the_final_response_is_to_the_request():
    assert answered(wire.C_FIND, SUCCESS).final() == decoded(final(wire.C_FIND, 1))


def counted(field: int, status: int, **counts: int) -> Answered:
    return Answered(decoded(final(field, 1, status, **counts)))


def counts(command: CommandSet) -> dict[str, int]:
    return {name: command.unsigned(number) for name, number in COUNTS.items() if number in command}


FIRST = {"completed": 3, "failed": 1, "warning": 0, "remaining": 0}
SECOND = {"completed": 4, "failed": 0, "warning": 2, "remaining": 5}


@pytest.mark.parametrize("field", [wire.C_MOVE, wire.C_GET])
def test_counts_are_added_up(field):
    """Remaining sub-operations are those of a cancelled one, PS3.4 C.4.2.1.6."""
    one = query(field)
    one.answers = {"A": counted(field, SUCCESS, **FIRST), "B": counted(field, SUCCESS, **SECOND)}
    assert counts(one.final()) == {"completed": 7, "failed": 1, "warning": 2}
    one.cancelled = True
    assert counts(one.final()) == {"completed": 7, "failed": 1, "warning": 2, "remaining": 5}


def test_a_member_that_was_not_asked_has_done_nothing():
    one = query(wire.C_MOVE)
    one.answers = {"A": counted(wire.C_MOVE, SUCCESS, **FIRST), "B": counted(wire.C_MOVE, 0x0110)}
    assert counts(one.final()) == {"completed": 3, "failed": 1, "warning": 0}


def test_a_query_has_no_counts():
    assert counts(answered(wire.C_FIND, SUCCESS).final()) == {}


@pytest.mark.parametrize("field", [wire.C_MOVE, wire.C_GET])
def test_a_pending_response_has_what_the_others_have_done_before(field):
    one = query(field)
    one.answers = {"A": counted(field, SUCCESS, **FIRST)}
    pending = one.pending(decoded(final(field, 1, PENDING, **SECOND)))
    assert counts(pending) == {"completed": 7, "failed": 1, "warning": 2, "remaining": 5}
    assert pending.is_pending


def test_a_pending_response_of_a_query_stays_as_it_is():
    pending = decoded(final(wire.C_FIND, 1, PENDING))
    assert query().pending(pending) is pending


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=4))
def test_counts_have_16_bits(completed):
    one = query(wire.C_MOVE)
    for number, count in enumerate(completed):
        one.answers[str(number)] = counted(wire.C_MOVE, SUCCESS, completed=count)
    assert counts(one.final())["completed"] == min(sum(completed), 0xFFFF)


def test_the_instances_that_failed_are_those_of_all():
    one = query(wire.C_MOVE)
    answer = counted(wire.C_MOVE, WARNING).command
    one.answers = {
        "A": Answered(answer, ("1.2", "1.3")),
        "B": Answered(answer),
        "C": Answered(answer, ("1.4",)),
    }
    assert one.failed == ["1.2", "1.3", "1.4"]
