"""The title that several share: what the archive is accepted, since all of them have to take it."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.playbook import (
    INBOUND,
    Playbook,
    connected,
    data,
    logged,
    quietly,
    send,
)
from tests.relay.sharing import (
    FIRST,
    MOVE_3,
    MOVE_4,
    OBJECT,
    SECOND,
    THIRD,
    TO_WS3,
    TO_WS4,
    answers,
    begins,
    border,
    calls,
    done,
    standing,
    stored,
)
from tests.relay.wire import RELEASE_RP, RELEASE_RQ, Asked, Given, command, fragment
from ulproxy.relay.effects import StartTimer, StopTimer, Timer

BOTH = border(TO_WS3, TO_WS4)
SEVERAL = (
    Asked(1, wire.CT, (wire.JPEG,)),
    Asked(3, wire.CT, (wire.EXPLICIT, wire.IMPLICIT)),
    Asked(5, wire.MR, (wire.EXPLICIT, wire.JPEG)),
)
LENGTH = 16384
JPEG, EXPLICIT = wire.JPEG, wire.EXPLICIT
REFUSED_1, REFUSED_3, REFUSED_5 = Given(1, 1, JPEG), Given(3, 1, EXPLICIT), Given(5, 1, EXPLICIT)


def told(
    first: bytes, second: bytes, given: tuple[Given, ...], length: int = LENGTH, limits: str = ""
) -> Playbook:
    """What the archive is accepted when WS3 answers with one and WS4 with the other."""
    script = calls(border(TO_WS3, TO_WS4, limits=limits), wire.rq("HOSP_A", "PACS", SEVERAL))
    script = script >> quietly(*answers(FIRST, first), connected(SECOND)) >> data(SECOND, second)
    script = script << StopTimer(SECOND, Timer.CONNECT) << send(SECOND, RELEASE_RQ)
    script = script << StartTimer(SECOND, Timer.RELEASE) << StopTimer(INBOUND, Timer.PATIENCE)
    script <<= StartTimer(INBOUND, Timer.IDLE)
    return script << send(INBOUND, hospital.relayed_ac("HOSP_A", "PACS", given, length))


ALL = (Given(1, 0, JPEG), Given(3, 0, EXPLICIT), Given(5, 0, EXPLICIT))


@pytest.mark.parametrize(
    ("first", "given"),
    [(ALL, ALL), (ALL[1:2], (REFUSED_1, *ALL[1:])), (ALL[::2], (ALL[0], REFUSED_3, ALL[2]))],
)
def test_of_each_sop_class_what_all_accept(first, given):
    """A SOP class that one of them accepts in no context is accepted as the other has it."""
    assert told(wire.ac(first), wire.ac(ALL), given)


def test_a_sop_class_that_only_one_accepts_is_accepted_all_the_same():
    """It shows with each C-STORE whether the AE that it is for does."""
    first, second = wire.ac((Given(1, 0, JPEG), Given(5, 3))), wire.ac((ALL[1], ALL[2]))
    assert told(first, second, (ALL[0], ALL[1], ALL[2]))


def test_where_they_choose_different_transfer_syntaxes_it_is_the_default_one():
    """PS3.5 10.1: what every AE takes; the archive may have left it out, then it is the first one's."""
    first = wire.ac((ALL[0], ALL[1], Given(5, 0, JPEG)))
    second = wire.ac((ALL[0], Given(3), ALL[2]))
    assert told(first, second, (ALL[0], Given(3), Given(5, 0, JPEG)))


def test_an_ae_that_accepts_nothing_has_no_say():
    assert told(wire.ac((Given(1, 3, JPEG),)), wire.ac(ALL), ALL)


def test_when_none_accepts_anything_so_it_is_told():
    nothing = wire.ac((Given(1, 4, JPEG),))
    assert told(nothing, nothing, (REFUSED_1, REFUSED_3, REFUSED_5))


@pytest.mark.parametrize(
    ("first", "second", "limits", "length"),
    [
        (16384, 4096, "", 4096),
        (4096, 16384, "", 4096),
        (0, 16384, "", 16384),
        (0, 0, "", 0),
        (0, 0, "max_pdu = 8192", 8192),
        (4096, 16384, "max_pdu = 8192", 4096),
    ],
)
def test_the_maximum_length_is_that_of_who_takes_least(first, second, limits, length):
    """Data fragments are never cut again."""
    assert told(wire.ac(ALL, first), wire.ac(ALL, second), ALL, length, limits)


def test_a_proposal_of_the_archive_is_cut_to_our_own_maximum_length():
    script = calls(border(TO_WS3, limits="max_pdu = 8192"), wire.rq("HOSP_A", "PACS", SEVERAL))
    asked = hospital.relayed_rq("WS3", "HB_PACS", SEVERAL, 8192)
    assert script >> connected(FIRST) << send(FIRST, asked)


# What is found out when something comes


def refused(why: str, status: int, script: Playbook, message: bytes, answer: bytes) -> Playbook:
    return (
        script
        >> data(INBOUND, message)
        << logged("message refused", status=f"{status:04X}H", why=why)
        << send(INBOUND, answer)
    )


def test_a_context_that_the_destination_does_not_accept():
    """WS3 does not take what the archive was accepted for WS4."""
    script = calls(BOTH) >> quietly(
        *answers(FIRST, wire.ac([Given(1)])), *answers(SECOND), data(FIRST, RELEASE_RP)
    )
    script = script >> quietly(
        data(INBOUND, stored(MOVE_3) + OBJECT),
        *answers(THIRD, wire.ac([Given(1), Given(3, 3)])),
        data(THIRD, done()),
    )
    answer = command(3, wire.store_rsp(2, 0x0122, sop_class=wire.PRIVATE))
    message = stored(MOVE_3, 2, 3) + fragment(3, b"pixels")
    assert refused("WS3 does not accept the presentation context", 0x0122, script, message, answer)


@pytest.mark.parametrize("length", [0, 16384, 20000])
def test_a_destination_that_takes_as_much_or_more(length):
    script = standing(border(TO_WS3), FIRST) >> begins("WS4", "WS4", 6, 6)
    message = stored(("HOSP_A", 6)) + OBJECT
    script = script >> quietly(data(INBOUND, message), connected(SECOND))
    assert (
        script
        >> data(SECOND, wire.ac([Given(1)], length))
        << StopTimer(SECOND, Timer.CONNECT)
        << send(SECOND, stored(("WS4", 6)) + OBJECT)
    )


def test_who_is_called_later_is_proposed_what_the_archive_was_accepted():
    """Nothing else, each context in the one transfer syntax that the archive was told."""
    contexts = (Asked(1, wire.CT, (JPEG,)), Asked(3, wire.CT, (EXPLICIT,)))
    script = calls(border(TO_WS3), wire.rq("HOSP_A", "PACS", SEVERAL))
    script = script >> quietly(*answers(FIRST, wire.ac(ALL[:2]))) >> begins("WS4", "WS4", 6, 6)
    script >>= quietly(data(INBOUND, stored(("HOSP_A", 6)) + OBJECT))
    asked = hospital.relayed_rq("WS4", "HB_PACS", contexts)
    assert script >> connected(SECOND) << send(SECOND, asked)


def test_nobody_is_proposed_nothing():
    """What the archive was accepted may not go to MINI: it is not called for it."""
    reports = (Asked(1, wire.COMMITMENT), Asked(3, wire.CT, (EXPLICIT,)))
    scp = wire.role(wire.COMMITMENT, 0, 1)
    script = calls(border(TO_WS3), wire.rq("HOSP_A", "PACS", reports, extras=[scp]))
    script = script >> quietly(*answers(FIRST, wire.ac([Given(1)], extras=[scp])))
    script >>= begins("WS5", "MINI", 6, 6)
    store = {**wire.store_rq(1, originator=("HOSP_A", 6)), wire.AFFECTED_CLASS: wire.uid(wire.CT)}
    answer = command(1, wire.store_rsp(1, 0x0110))
    assert script >> data(INBOUND, command(1, store) + OBJECT) << send(INBOUND, answer)


@pytest.mark.parametrize("choice", [Given(1, 0, JPEG), Given(9)])
def test_an_answer_to_the_second_call_that_is_none(choice):
    script = standing(BOTH, FIRST, SECOND) >> quietly(
        data(INBOUND, stored(MOVE_4) + OBJECT), connected(THIRD)
    )
    assert (
        script
        >> data(THIRD, wire.ac([choice]))
        << StopTimer(THIRD, Timer.CONNECT)
        << send(THIRD, wire.abort(2, 6))
        << StartTimer(THIRD, Timer.ARTIM)
        << logged("message refused", status="0110H")
        << send(INBOUND, done(1, 0x0110))
    )


# A destination that takes less than the archive was told: it was not asked before, since its move began later

TO_WS4_LATER = ("HOSP_A", 6)


def later(length: int, first: int = 16384) -> Playbook:
    """WS3 had said how much it takes; WS4 says it when it is called for the object that waits."""
    rq = wire.rq(
        "HOSP_A", "PACS", (Asked(1, wire.CT), Asked(5, wire.VERIFICATION)), extras=[VERIFY]
    )
    script = calls(border(TO_WS3), rq, bytewise=False)  # each read would be a fragment of its own
    script >>= quietly(*answers(FIRST, wire.ac([Given(1), Given(5)], first, [VERIFY])))
    script >>= begins("WS4", "WS4", 6, 6)
    script = script >> quietly(data(INBOUND, stored(TO_WS4_LATER) + PIXELS), connected(SECOND))
    answer = wire.ac([Given(1), Given(5)], length, [VERIFY])
    return script >> data(SECOND, answer) << StopTimer(SECOND, Timer.CONNECT)


VERIFY = wire.role(wire.VERIFICATION, 1, 1)
PIXELS = fragment(1, bytes(range(100)), last=False) + fragment(1, bytes(range(31)) + b"-")
STORED = stored(("WS4", 6))


@pytest.mark.parametrize("length", [0, 16384, 20000])
def test_one_that_takes_as_much_gets_the_fragments_as_they_came(length):
    assert later(length) << send(SECOND, STORED + PIXELS)


def cut_anew(room: int) -> bytes:
    """The message in fragments of so many bytes at most."""
    parts = [bytes(range(100)), bytes(range(31)) + b"-"]
    pieces = [part[at : at + room] for part in parts for at in range(0, len(part), room)]
    commands = wire.command_set(wire.store_rq(1, originator=("WS4", 6)))
    return wire.commands_of(1, commands, room) + b"".join(
        fragment(1, piece, last=number == len(pieces)) for number, piece in enumerate(pieces, 1)
    )


@pytest.mark.parametrize("first", [0, 16384])
def test_for_one_that_takes_less_they_are_cut_anew(first):
    """0 of the first one is no limit."""
    assert later(50, first) << send(SECOND, cut_anew(44))


def test_also_where_the_archive_answers():
    """And what goes to one that takes more is not."""
    with_data = command(5, {**wire.echo_rsp(7), wire.DATA_SET_TYPE: wire.HAS_DATA})
    answer = with_data + fragment(5, bytes(100))
    cut = fragment(5, bytes(94), last=False) + fragment(5, bytes(6))
    script = later(100) << send(SECOND, cut_anew(94)) >> quietly(data(SECOND, done()))
    for leg, told in ((FIRST, answer), (SECOND, with_data + cut), (FIRST, answer)):
        script >>= quietly(data(leg, command(5, wire.echo_rq(7))))
        script = script >> data(INBOUND, answer) << send(leg, told)
    assert script


def test_a_read_may_end_anywhere():
    """A header alone is nothing to write yet, and what is written is even."""
    script = later(50) << send(SECOND, cut_anew(44)) >> quietly(data(SECOND, done()))
    commands = wire.command_set(wire.store_rq(2, originator=("WS4", 6)))
    assert (
        script
        >> data(INBOUND, stored(TO_WS4_LATER, 2) + PIXELS[:12])
        << send(SECOND, wire.commands_of(1, commands, 44))
        >> data(INBOUND, PIXELS[12:13])
        >> data(INBOUND, PIXELS[13:16])
        << send(SECOND, fragment(1, bytes(range(4)), last=False))
    )
