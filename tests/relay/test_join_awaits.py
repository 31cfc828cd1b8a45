"""Who may say more before it is answered: with Nagle on, it waits for an acknowledgement meanwhile."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.hospital import FIND, STORE
from tests.relay.playbook import INBOUND, ONWARD, receive
from tests.relay.wire import Asked, Given, command, fragment
from ulproxy.relay.effects import End
from ulproxy.relay.join import Join

PRINT = 9
ASKED = (Asked(STORE, wire.CT), Asked(FIND, wire.STUDY_FIND), Asked(PRINT, wire.PRINTER))
GIVEN = (Given(STORE), Given(FIND), Given(PRINT))
REQUEST = command(STORE, wire.store_rq(1))
OBJECT = fragment(STORE, b"data set")
ANSWER = command(STORE, wire.store_rsp(1))
QUERY = command(FIND, wire.find_rq(1)) + fragment(FIND, b"keys")

ACTION = command(PRINT, wire.request(wire.N_ACTION, 1, wire.PRINTER))
TAKEN = command(PRINT, wire.response(wire.N_ACTION, 1, wire.PRINTER))
EVENT = command(PRINT, wire.request(wire.N_EVENT_REPORT, 1, wire.PRINTER))
HEARD = command(PRINT, wire.response(wire.N_EVENT_REPORT, 1, wire.PRINTER))

WINDOW = wire.item(0x53, bytes([0, 2, 0, 2]))  # PS3.7 D.3.3.3


def found(status: int) -> bytes:
    return command(FIND, wire.response(wire.C_FIND, 1, wire.STUDY_FIND, status))


def established(*extras: bytes) -> Join:
    join = Join(hospital.border(), hospital.peer())
    join.accepted()
    receive(join, INBOUND, wire.rq("HB_PACS", "WS1", ASKED, extras=extras))
    join.connected()
    receive(join, ONWARD, wire.ac(GIVEN, extras=extras))
    return join


CASES = {
    "a request with its data set": ([(INBOUND, REQUEST + OBJECT)], INBOUND, False),
    "its command set": ([(INBOUND, REQUEST)], INBOUND, True),
    "all but its last byte": ([(INBOUND, REQUEST + OBJECT[:-1])], INBOUND, True),
    "a fragment that is not the last": (
        [(INBOUND, REQUEST + fragment(STORE, b"data", last=False))],
        INBOUND,
        True,
    ),
    "the beginning of a command": ([(INBOUND, REQUEST[:20])], INBOUND, True),
    "the beginning of a header": ([(INBOUND, REQUEST[:3])], INBOUND, True),
    "the beginning of a release": ([(INBOUND, wire.RELEASE_RQ[:8])], INBOUND, True),
    "a release": ([(INBOUND, wire.RELEASE_RQ)], INBOUND, False),
    "who is asked": ([(INBOUND, REQUEST + OBJECT)], ONWARD, False),
    "a response": ([(INBOUND, REQUEST + OBJECT), (ONWARD, ANSWER)], ONWARD, False),
    "a pending one": ([(INBOUND, QUERY), (ONWARD, found(0xFF00))], ONWARD, True),
    "a pending one with a warning": ([(INBOUND, QUERY), (ONWARD, found(0xFF01))], ONWARD, True),
    "the final one": ([(INBOUND, QUERY), (ONWARD, found(0xFF00) + found(0))], ONWARD, False),
    "behind which an event is reported": (
        [(INBOUND, ACTION), (ONWARD, TAKEN)],
        ONWARD,
        True,
    ),
    "the event": ([(INBOUND, ACTION), (ONWARD, TAKEN + EVENT)], ONWARD, False),
    "its response": ([(INBOUND, ACTION), (ONWARD, TAKEN + EVENT), (INBOUND, HEARD)], INBOUND, True),
}


@pytest.mark.parametrize(("said", "who", "more"), CASES.values(), ids=CASES)
def test_who_may_say_more_before_it_is_answered(said: list[tuple[End, bytes]], who, more):
    join = established()
    for end, data in said:
        receive(join, end, data)
    assert join.awaits_more(who) is more


@pytest.mark.parametrize("who", [INBOUND, ONWARD])
def test_with_an_asynchronous_window_nobody_waits_for_an_answer(who):
    join = established(WINDOW)
    receive(join, INBOUND, REQUEST + OBJECT)
    assert join.awaits_more(who)


@pytest.mark.parametrize("size", [1, 70, 0])
def test_while_an_association_is_asked_for(size):
    join = Join(hospital.border(), hospital.peer())
    join.accepted()
    request = wire.rq("HB_PACS", "WS1", ASKED)
    receive(join, INBOUND, request[: size or len(request)])
    assert join.awaits_more(INBOUND) is (size > 0)
