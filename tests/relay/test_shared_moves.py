"""The title that several share: which C-MOVE a C-STORE is of is never guessed (PS3.7 9.1.4)."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.playbook import (
    INBOUND,
    Playbook,
    counted,
    data,
    logged,
    lost,
    quietly,
    receive,
    send,
    sent,
)
from tests.relay.sharing import (
    FIRST,
    FOURTH,
    MOVE_3,
    MOVE_4,
    OBJECT,
    RQ,
    SECOND,
    THIRD,
    TO_WS3,
    TO_WS4,
    WS4,
    answers,
    begins,
    border,
    calls,
    done,
    ends,
    standing,
    stored,
)
from tests.relay.wire import (
    ORIGINATOR,
    ORIGINATOR_ID,
    RELEASE_RP,
    command,
    text,
    us,
)
from ulproxy.relay.border import Border
from ulproxy.relay.effects import OpenTransport, StartTimer, StopTimer, Timer
from ulproxy.relay.join import Join

BOTH = border(TO_WS3, TO_WS4)
NOBODY = "nothing is moved behind HOSP_A that this could be of"
EITHER = "a C-MOVE to any of WS3, WS4 could have caused it"


def said(**elements: bytes) -> bytes:
    """A C-STORE-RQ that says half of what it should."""
    numbers = {"originator": ORIGINATOR, "number": ORIGINATOR_ID}
    return command(1, {**wire.store_rq(1), **{numbers[k]: v for k, v in elements.items()}})


def serving() -> Playbook:
    """Both have been stored to, so both legs stand: WS4's is the third, WS3's the fourth."""
    return standing(BOTH, FIRST, SECOND) >> quietly(
        data(INBOUND, stored(MOVE_4) + OBJECT),
        *answers(THIRD),
        data(THIRD, done()),
        data(INBOUND, stored(MOVE_3) + OBJECT),
        *answers(FOURTH),
        data(FOURTH, done()),
    )


def refused(script: Playbook, message: bytes, status: int, why: str) -> Playbook:
    return (
        script
        >> data(INBOUND, message + OBJECT)
        << logged("message refused", status=f"{status:04X}H", why=why)
        << send(INBOUND, done(1, status))
    )


# Told


def test_several_moves_on_one_association():
    """Of several callers to several destinations, which all said the same Message ID."""
    assert (
        serving()
        >> data(INBOUND, stored(MOVE_3, 3) + OBJECT + stored(MOVE_4, 4) + OBJECT)
        << send(FOURTH, stored(("WS3", 5), 3) + OBJECT)
        << send(THIRD, stored(("WS4", 5), 4) + OBJECT)
        >> data(THIRD, done(4))
        << send(INBOUND, done(4))
        >> data(FOURTH, done(3))
        << send(INBOUND, done(3))
        >> counted(1)
    )


def test_a_move_to_another_ae_than_the_caller():
    """WS1, which has an alias of its own, moves to WS3."""
    assert (
        standing(border(("WS1", "WS3", 7)), FIRST)
        >> data(INBOUND, stored(("HA_WS1", 7)) + OBJECT)
        << send(FIRST, stored(("WS1", 7)) + OBJECT)
    )


def test_several_moves_to_one_destination_are_one_candidate():
    border_of_two = border(("WS3", "WS3", 5), ("WS1", "WS3", 5))
    assert (
        standing(border_of_two, FIRST)
        >> data(INBOUND, stored(("HA_WS1", 5)) + OBJECT + stored(("HOSP_A", 5), 2) + OBJECT)
        << send(FIRST, stored(("WS1", 5)) + OBJECT + stored(("WS3", 5), 2) + OBJECT)
    )


def test_a_move_that_began_after_the_association():
    assert (
        standing(border(TO_WS3), FIRST)
        >> begins("WS4", "WS4", 5, 0xFFFF)
        >> data(INBOUND, stored(MOVE_4) + OBJECT)
        << OpenTransport(WS4, SECOND)
        << StartTimer(SECOND, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
        >> quietly(*answers(SECOND), data(SECOND, done()))
        >> data(INBOUND, stored(MOVE_3, 2) + OBJECT)
        << send(FIRST, stored(("WS3", 5), 2) + OBJECT)
    )


def test_several_associations_for_one_move():
    """Each has legs of its own."""
    one = BOTH()
    joins = [Join(one, hospital.OUTSIDE) for _ in range(2)]
    written = []
    for join in joins:
        join.accepted()
        receive(join, INBOUND, RQ)
        for leg in (FIRST, SECOND):
            for step in answers(leg):
                assert step.call or receive(join, step.end, step.received)
                if step.call:
                    step.call(join)
            receive(join, leg, RELEASE_RP)
        receive(join, INBOUND, stored(MOVE_3) + OBJECT)
        for step in answers(THIRD):
            effects = step.call(join) if step.call else receive(join, step.end, step.received)
        written.append(sent(effects, THIRD))
    assert written == [stored(("WS3", 5)) + OBJECT] * 2
    assert one.admission.total == 2


@pytest.mark.parametrize(
    "message",
    [
        said(),
        said(originator=text("HOSP_A")),
        said(originator=text("PACS")),
        said(number=us(5)),
        said(originator=b"", number=us(5)),
        said(originator=text("PACS"), number=us(5)),
    ],
    ids=[
        "nothing",
        "the title",
        "its own title",
        "the number",
        "no title",
        "its own and the number",
    ],
)
def test_with_one_open_move_half_of_it_is_enough(message):
    set_back = None if message == said() else ("WS3", 5)
    assert (
        standing(border(TO_WS3), FIRST)
        >> data(INBOUND, message + OBJECT)
        << send(FIRST, stored(set_back) + OBJECT)
    )


@pytest.mark.parametrize("originator", [None, "", "PACS", "HOSP_A"])
def test_with_several_the_number_tells(originator):
    title = {} if originator is None else {"originator": text(originator)}
    assert (
        serving()
        >> data(INBOUND, said(**title, number=us(0xFFFF)) + OBJECT)
        << send(THIRD, stored(("WS4", 5)) + OBJECT)
    )


# Not told


@pytest.mark.parametrize("originator", [None, "", "PACS", "HOSP_A"])
def test_without_the_number_several_moves_cannot_be_told_apart(originator):
    title = {} if originator is None else {"originator": text(originator)}
    assert refused(serving(), said(**title), 0x0110, EITHER) >> counted(1)


@pytest.mark.parametrize(
    "originator", [("HOSP_A", 77), ("NOBODY", 5), ("WS3", 5), ("HA_WS1", 5), ("HA_WS2", 0xFFFF)]
)
def test_a_sub_operation_of_no_move(originator):
    assert refused(serving(), stored(originator), 0x0124, NOBODY)


def test_what_does_not_pass_bothers_nobody():
    """It neither calls anybody nor lets anybody go."""
    script = refused(standing(BOTH, FIRST, SECOND), said(), 0x0110, EITHER)
    assert refused(script, stored(("HOSP_A", 77)), 0x0124, NOBODY)


def test_an_instance_uid_that_is_none():
    bad = command(1, wire.store_rq(1, "../1", originator=MOVE_3))
    answer = command(1, wire.response(wire.C_STORE, 1, wire.CT, 0x0117))
    assert serving() >> data(INBOUND, bad + OBJECT) << send(INBOUND, answer)


def test_a_destination_that_is_no_longer_in_the_file():
    """A reload took it out while its move was open; this association goes by the new file."""

    def reloaded() -> Border:
        one = border(TO_WS3, ("WS5", "WS5", 6))()
        one.policy = border(old='"WS5"', new='"WS6"')().policy
        return one

    script = standing(reloaded, FIRST)
    assert refused(script, stored(("HOSP_A", 6)), 0x0110, "WS5 is not in the file any more")


def test_a_destination_that_takes_nothing_of_what_is_proposed():
    """An unknown SOP class is `store` too, a query is not; it is not called for it."""
    contexts = (wire.Asked(1, wire.STUDY_FIND),)
    script = calls(border(TO_WS3), wire.rq("HOSP_A", "PACS", contexts))
    assert script >> counted(0)


def test_once_one_of_two_has_ended_the_other_one_is_certain():
    assert (
        serving()
        >> ends("WS4")
        >> data(INBOUND, said() + OBJECT)
        << send(FOURTH, stored(None) + OBJECT)
    )


def test_a_c_store_that_waits_for_one_and_turns_out_to_be_for_another():
    """It names nothing; while WS3 is called its move ends, and one to WS4 begins."""
    assert (
        standing(border(TO_WS3), FIRST)
        >> quietly(lost(FIRST))
        >> data(INBOUND, said() + OBJECT)
        << OpenTransport(hospital.endpoint("WS3"), SECOND)
        << StartTimer(SECOND, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
        >> ends("WS3")
        >> begins("WS4", "WS4", 6, 6)
        >> quietly(answers(SECOND)[0])
        >> data(SECOND, answers(SECOND)[1].received)
        << StopTimer(SECOND, Timer.CONNECT)
        << OpenTransport(WS4, THIRD)
        << StartTimer(THIRD, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.PATIENCE)
    )
