"""C-MOVEs that wait, since their archive does not say which of them a C-STORE is of (PS3.7 9.1.4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.relay import hospital, wire
from tests.relay.archives import MOVING
from tests.relay.hospital import MOVE
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Check,
    Playbook,
    counted,
    data,
    established,
    logged,
    lost,
    moves_ended,
    moving,
    quietly,
    receive,
    send,
    sent,
)
from tests.relay.sharing import (
    AC,
    FIRST,
    OBJECT,
    RQ,
    SECOND,
    TO_WS3,
    border,
    done,
    ends,
    stored,
)
from tests.relay.wire import (
    RELEASE_RP,
    RELEASE_RQ,
    Given,
    abort,
    command,
    fragment,
)
from ulproxy.relay.border import Border
from ulproxy.relay.effects import CloseTransport, StartTimer, StopTimer, Timer
from ulproxy.relay.exchange import MAX_PARKED
from ulproxy.relay.join import Join

KEYS = fragment(MOVE, b"keys")


def waiting(made=None, caller: str = "WS4", address: str = "10.1.0.5") -> Playbook:
    """WS4 asks for a move to itself while one to WS3 is open."""
    script = Playbook(made or silent(TO_WS3), peer=hospital.peer(address))
    script >>= established(wire.rq("HB_PACS", caller, MOVING), wire.ac([Given(MOVE)]))
    return script


def silent(*moves: tuple[str, str, int]) -> Callable[[], Border]:
    """ARCHIVE is said to name no originator."""
    named = 'name = "ARCHIVE"\n'
    return border(*moves, old=named, new=f"{named}move_originator = false\n")


def asks(destination: str, message_id: int = 5) -> bytes:
    return command(MOVE, wire.move_rq(message_id, destination)) + KEYS


def told(message_id: int = 5) -> bytes:
    return command(MOVE, wire.move_rq(message_id, "HOSP_A")) + KEYS


def response(status: int = 0, message_id: int = 5) -> bytes:
    return command(MOVE, wire.response(wire.C_MOVE, message_id, wire.STUDY_MOVE, status))


WHY = "ARCHIVE does not say which C-MOVE a C-STORE is of"
WAITS = Check("waits", lambda join, one: (join.waits, one.moves.waiting), (True, 1))
WAITS_NOT = Check("waits", lambda join, one: (join.waits, one.moves.waiting), (False, 0))
STIRRED = Check("stirred", lambda _, one: one.moves.stirred, True)


def test_a_second_move_waits_until_the_first_one_has_ended():
    assert (
        waiting()
        >> data(INBOUND, asks("WS4"))
        << logged("message waits", why=WHY)
        >> WAITS
        >> moving("WS3")
        >> moves_ended()
        >> WAITS
        >> ends("WS3")
        >> STIRRED
        >> moves_ended()
        << send(ONWARD, told())
        >> WAITS_NOT
        >> moving("WS4")
        >> data(ONWARD, response())
        << send(INBOUND, response())
        >> moving()
    )


def test_it_waits_for_the_c_stores_of_one_that_was_cut_short_too():
    """As long as an association of the archive is open that they may come on."""
    attended = Check("an association", lambda _, one: bool(one.moves.attend("ARCHIVE")), True)

    def leave(_, one):
        for attendance in list(one.moves._archives["ARCHIVE"].attendances):
            one.moves.leave(attendance)

    assert (
        waiting()
        >> attended
        >> quietly(data(INBOUND, asks("WS4")))
        >> ends("WS3", cut=True)
        >> moves_ended()
        >> WAITS
        >> Check("it ends", leave, None)
        >> STIRRED
        >> moves_ended()
        << send(ONWARD, told())
    )


@pytest.mark.parametrize(
    ("caller", "destination", "address"),
    [("WS3", "WS3", "10.1.0.3"), ("WS1", "WS1", "10.1.0.1")],
    ids=["the same destination", "a destination with a title of its own"],
)
def test_a_move_that_can_be_told_does_not_wait(caller, destination, address):
    script = waiting(caller=caller, address=address) >> data(INBOUND, asks(destination, 9))
    shown = "HOSP_A" if destination == "WS3" else "HA_WS1"
    assert script << send(ONWARD, command(MOVE, wire.move_rq(9, shown)) + KEYS)


def test_while_it_waits_other_things_are_asked():
    rq = wire.rq("HB_PACS", "WS4", (*MOVING, wire.Asked(1, wire.VERIFICATION)))
    script = Playbook(silent(TO_WS3), peer=hospital.peer("10.1.0.5"))
    script >>= established(rq, wire.ac([Given(MOVE), Given(1)]))
    echo = command(1, wire.echo_rq(1))
    assert (
        script
        >> data(INBOUND, asks("WS4") + echo)
        << logged("message waits")
        << send(ONWARD, echo)
        >> data(ONWARD, command(1, wire.echo_rsp(1)))
        << send(INBOUND, command(1, wire.echo_rsp(1)))
    )


def test_a_move_that_waits_is_cancelled():
    assert (
        waiting()
        >> quietly(data(INBOUND, asks("WS4")))
        >> data(INBOUND, command(MOVE, wire.cancel_rq(6)))
        << logged("message dropped")
        >> WAITS
        >> data(INBOUND, command(MOVE, wire.cancel_rq(5)))
        << send(INBOUND, response(0xFE00))
        >> WAITS_NOT
        >> ends("WS3")
        >> moves_ended()
        >> moving()
    )


@pytest.mark.parametrize("by", [INBOUND, ONWARD])
def test_a_release_while_it_waits(by):
    """Nothing has been done for it; whoever releases with something outstanding gives it up."""
    other = ONWARD if by is INBOUND else INBOUND
    assert (
        waiting()
        >> quietly(data(INBOUND, asks("WS4")))
        >> data(by, RELEASE_RQ)
        << send(other, RELEASE_RQ)
        << StartTimer(other, Timer.RELEASE)
        >> ends("WS3")
        >> quietly(moves_ended())
        >> data(other, RELEASE_RP)
        << StopTimer(other, Timer.RELEASE)
        << send(by, RELEASE_RP)
        << StartTimer(by, Timer.ARTIM)
        << CloseTransport(other)
        >> WAITS_NOT
        >> moving()
        >> counted(0)
    )


@pytest.mark.parametrize(
    "how", [lost(INBOUND), data(INBOUND, abort(0, 0)), lost(ONWARD), data(ONWARD, abort(0, 0))]
)
def test_the_association_ends_while_it_waits(how):
    assert (
        waiting()
        >> quietly(data(INBOUND, asks("WS4")), how)
        >> WAITS_NOT
        >> ends("WS3")
        >> quietly(moves_ended())
        >> moving()
        >> counted(0)
    )


# An archive of which it is learnt


def stores(message: bytes, answer: bytes | None) -> Check:
    """The archive stores on an association of its own; `answer` = what it is told, None = it passes."""

    def store(_: Join, one: Border) -> bytes | None:
        join = Join(one, hospital.OUTSIDE)
        join.accepted()
        receive(join, INBOUND, RQ)
        legs = [FIRST, SECOND][: len(one.moves.destinations("ARCHIVE"))]
        for leg in legs:
            join.connected(leg)
            receive(join, leg, AC)
            if len(legs) > 1:
                receive(join, leg, RELEASE_RP)
        said = sent(receive(join, INBOUND, message + OBJECT), INBOUND)
        join.shutdown("enough")
        return said or None

    return Check("the archive stores", store, answer)


HALF = command(1, {**wire.store_rq(1), wire.ORIGINATOR: wire.text("HOSP_A")})


@pytest.mark.parametrize("message", [stored(None), HALF], ids=["nothing", "no number"])
def test_what_its_first_sub_operation_shows(message):
    """Before it, nothing waits; after it, as after one that could not be told, everything ambiguous does."""
    script = waiting(border(TO_WS3))
    script = script >> stores(message, None) >> data(INBOUND, asks("WS4"))
    assert script << logged("message waits", why=WHY)


@pytest.mark.parametrize("message", [stored(None), HALF], ids=["nothing", "no number"])
def test_what_a_sub_operation_shows_that_could_not_be_told(message):
    script = waiting(border(TO_WS3, ("WS5", "WS5", 6)))
    script = script >> stores(message, done(1, 0x0110)) >> data(INBOUND, asks("WS4"))
    assert script << logged("message waits", why=WHY)


def test_it_is_learnt_anew_with_each_sub_operation():
    assert (
        waiting(border(TO_WS3))
        >> stores(stored(None), None)
        >> stores(stored(("HOSP_A", 5)), None)
        >> data(INBOUND, asks("WS4", 6))
        << send(ONWARD, told(6))
    )


def test_who_names_the_caller_but_not_the_number_is_told_apart_by_the_caller():
    """WS1 has a title of its own; what it moves behind the shared title does not wait for WS3's."""
    script = waiting(border(TO_WS3), "WS1", "10.1.0.1")
    script = script >> stores(HALF, None) >> data(INBOUND, asks("WS4"))
    assert script << send(ONWARD, told())


def test_who_names_no_caller_is_told_another_message_id():
    """The callers' titles differ, but the archive says its own: the number alone tells."""
    own = command(1, {**wire.store_rq(1, originator=("PACS", 5))})
    script = waiting(border(TO_WS3), "WS1", "10.1.0.1")
    script = script >> stores(own, None) >> data(INBOUND, asks("WS4"))
    assert script << send(ONWARD, told(0xFFFF))


# How many wait


@pytest.mark.parametrize("number", [MAX_PARKED - 1, MAX_PARKED, MAX_PARKED + 1])
def test_how_many_wait_on_one_association(number):
    """MAX_PARKED - 1, at, + 1: one more is refused; all go on in their order."""
    script = waiting() >> quietly(*(data(INBOUND, asks("WS4", n)) for n in range(1, number)))
    script >>= data(INBOUND, asks("WS4", number))
    if number > MAX_PARKED:
        script <<= logged("message waits")
        script <<= logged(
            "message refused", status="0110H", why=f"{MAX_PARKED} messages wait already"
        )
        script <<= send(INBOUND, response(0x0110, number))
    else:
        script <<= logged("message waits")
    script = script >> ends("WS3") >> moves_ended()
    passed = range(1, min(number, MAX_PARKED) + 1)
    assert script << send(ONWARD, b"".join(told(n) for n in passed)) >> WAITS_NOT
