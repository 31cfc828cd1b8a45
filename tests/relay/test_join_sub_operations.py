"""The associations that come back of a C-MOVE (contract "What each side sees", PS3.7 9.1.4)."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.archives import (
    OBJECT,
    REFUSED,
    RENUMBERED,
    STORING,
    Asks,
    stored,
    storing,
    with_moves,
)
from tests.relay.hospital import ECHO
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Check,
    Playbook,
    accepted,
    connected,
    counted,
    data,
    established,
    logged,
    moving,
    quietly,
    send,
)
from tests.relay.wire import (
    ORIGINATOR,
    ORIGINATOR_ID,
    Asked,
    Given,
    abort,
    command,
    rj,
    text,
    us,
)
from ulproxy.relay.border import Border
from ulproxy.relay.effects import CloseTransport, OpenTransport, StartTimer, StopTimer, Timer
from ulproxy.relay.join import Join

ARTIM = Timer.ARTIM


def test_without_an_open_move_the_archive_may_not_call_the_destination():
    assert (
        Playbook(peer=hospital.OUTSIDE)
        >> quietly(accepted())
        >> data(INBOUND, wire.rq("HA_WS1", "PACS", STORING))
        << StopTimer(INBOUND, ARTIM)
        << send(INBOUND, rj(1, 1, 7))
        << StartTimer(INBOUND, ARTIM)
    )


@pytest.mark.parametrize(
    ("caller", "destination", "called"),
    [("WS1", "WS1", "HA_WS1"), ("ASKER", "WS1", "HA_WS1"), ("WS3", "WS3", "HOSP_A")],
)
def test_an_open_move_lets_the_archive_call_its_destination(caller, destination, called):
    """For storage alone; contexts for anything else are refused."""
    asked = (*STORING, Asked(5, wire.VERIFICATION), Asked(7, wire.STUDY_FIND))
    given = (Given(1, 0, wire.JPEG), Given(3), Given(5, 1), Given(7, 1))
    assert (
        Playbook(with_moves(Asks(caller, destination)), peer=hospital.OUTSIDE)
        >> quietly(accepted())
        >> data(INBOUND, wire.rq(called, "PACS", asked))
        << StopTimer(INBOUND, ARTIM)
        << OpenTransport(hospital.endpoint(destination))
        << StartTimer(ONWARD, Timer.CONNECT)
        >> connected()
        << send(ONWARD, hospital.relayed_rq(destination, "HB_PACS", STORING))
        >> data(ONWARD, wire.ac(given[:2]))
        << StopTimer(ONWARD, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, hospital.relayed_ac(called, "PACS", given))
    )


def test_the_archive_may_verify_the_relay_while_it_moves():
    """The relay's own title stands for a destination only where something is to be stored."""
    script = Playbook(with_moves(Asks("WS3", "WS3")), peer=hospital.OUTSIDE)
    script >>= quietly(
        accepted(), data(INBOUND, wire.rq("HOSP_A", "PACS", [Asked(1, wire.VERIFICATION)]))
    )
    echo = command(ECHO, wire.echo_rq(1))
    assert script >> data(INBOUND, echo) << send(INBOUND, command(ECHO, wire.echo_rsp(1)))


@pytest.mark.parametrize(
    ("move", "called", "told", "set_back"),
    [
        (Asks("WS1", "WS1"), "HA_WS1", ("HA_WS1", 5), ("WS1", 5)),
        (Asks("WS1", "WS2"), "HA_WS2", ("HA_WS1", 5), ("WS1", 5)),
        (Asks("ASKER", "WS1"), "HA_WS1", ("HOSP_A", 5), ("ASKER", 5)),
        (Asks("WS3", "WS3"), "HOSP_A", ("HOSP_A", 5), ("WS3", 5)),
        (Asks("WS1", "WS1"), "HA_WS1", None, None),  # some archives leave it out
    ],
)
def test_the_move_originator_is_set_back(move, called, told, set_back):
    answer = command(1, wire.store_rsp(1))
    assert (
        storing(with_moves(move), called)
        >> data(INBOUND, stored(told) + OBJECT)
        << send(ONWARD, stored(set_back) + OBJECT)
        >> data(ONWARD, answer)
        << send(INBOUND, answer)
    )


@pytest.mark.parametrize(
    "told",
    [
        {ORIGINATOR: text("PACS"), ORIGINATOR_ID: us(5)},
        {ORIGINATOR: text("HA_WS1")},
        {ORIGINATOR_ID: us(5)},
        {ORIGINATOR: b"", ORIGINATOR_ID: us(5)},
    ],
    ids=["the archive's own title", "no Message ID", "no title", "an empty title"],
)
def test_an_originator_that_says_half_of_it(told):
    asked = command(1, {**wire.store_rq(1), **told})
    assert (
        storing(with_moves(Asks("WS1", "WS1")), "HA_WS1")
        >> data(INBOUND, asked + OBJECT)
        << send(ONWARD, stored(("WS1", 5)) + OBJECT)
    )


def test_an_originator_that_could_be_either_is_not_guessed():
    """The destination is certain, who asked for the move is not: the receiver is told nobody."""
    asked = command(1, {**wire.store_rq(1), ORIGINATOR: text("PACS")})
    assert (
        storing(with_moves(Asks("WS1", "WS1", 5), Asks("ASKER", "WS1", 6)), "HA_WS1")
        >> data(INBOUND, asked + OBJECT)
        << send(ONWARD, stored(None) + OBJECT)
    )


def test_several_moves_on_one_association_of_the_archive():
    border = with_moves(Asks("WS1", "WS1", 5), Asks("ASKER", "WS1", 6))
    assert (
        storing(border, "HA_WS1")
        >> data(INBOUND, stored(("HOSP_A", 6)) + OBJECT + stored(("HA_WS1", 5)) + OBJECT)
        << send(ONWARD, stored(("ASKER", 6)) + OBJECT + stored(("WS1", 5)) + OBJECT)
    )


@pytest.mark.parametrize(
    "told",
    [("HA_WS1", 6), ("HA_WS2", 5), ("WS1", 5), ("NOBODY", 5)],
    ids=["another Message ID", "another caller", "its inside title", "unknown"],
)
def test_a_sub_operation_of_no_open_move_is_refused(told):
    """`destinations` of a rule would be worth nothing if any C-STORE could pass for one."""
    assert (
        storing(with_moves(Asks("WS1", "WS1")), "HA_WS1")
        >> data(INBOUND, stored(told) + OBJECT)
        << logged("message refused")
        << send(INBOUND, REFUSED)
    )


def test_a_sub_operation_goes_to_the_destination_of_its_own_move_alone():
    """Both moves are open; what belongs to WS2 does not pass on the association to WS1."""
    border = with_moves(Asks("WS1", "WS1", 5), Asks("WS1", "WS2", 6))
    assert (
        storing(border, "HA_WS1")
        >> data(INBOUND, stored(("HA_WS1", 6)) + OBJECT)
        << send(INBOUND, REFUSED)
        >> data(INBOUND, stored(("HA_WS1", 5)) + OBJECT)
        << send(ONWARD, stored(("WS1", 5)) + OBJECT)
    )


def _close(join: Join, border: Border) -> None:
    for move in border.moves.at("ARCHIVE"):
        border.moves.close(move)


@pytest.mark.parametrize("title", ["HA_WS1", "HOSP_A"])
def test_when_the_move_has_ended_what_is_still_due_of_it_passes_on_associations_of_its_time(title):
    """It was cancelled, its association broke off, or the archive answers early."""
    asks = Asks("WS1", "WS1") if title == "HA_WS1" else Asks("WS3", "WS3")
    told = ("HA_WS1", 5) if title == "HA_WS1" else ("HOSP_A", 5)
    set_back = ("WS1", 5) if title == "HA_WS1" else ("WS3", 5)
    assert (
        storing(with_moves(asks), title)
        >> data(INBOUND, stored(told) + OBJECT)
        << send(ONWARD, stored(set_back) + OBJECT)
        >> Check("the move ends", _close, None)
        >> data(INBOUND, stored(told) + OBJECT)
        << send(ONWARD, stored(set_back) + OBJECT)
        >> data(INBOUND, stored(("HA_WS2", 5)) + OBJECT)
        << send(INBOUND, REFUSED)
    )


def test_a_move_allows_its_c_stores_and_nothing_else():
    asked = {**wire.echo_rq(1), wire.AFFECTED_CLASS: wire.uid(wire.CT)}
    refused = {**wire.echo_rsp(1, 0x0124), wire.AFFECTED_CLASS: wire.uid(wire.CT)}
    assert (
        storing(with_moves(Asks("WS3", "WS3")), "HOSP_A")
        >> data(INBOUND, command(1, asked))
        << send(INBOUND, command(1, refused))
        >> data(ONWARD, stored(None) + OBJECT)  # nor the other way
        << send(ONWARD, REFUSED)
    )


@pytest.mark.parametrize(
    ("told", "set_back"),
    [
        (("HA_WS1", 9), ("WS1", 9)),
        (("PACS", 9), ("HB_PACS", 9)),
        (("HOSP_A", 9), None),
        (("NOBODY", 9), None),
        (None, None),
    ],
)
def test_a_move_that_did_not_pass_here(told, set_back):
    """A rule lets the archive store to WS2: an originator that the receiver would not know is left out."""
    assert (
        storing(hospital.border, "HA_WS2")
        >> data(INBOUND, stored(told) + OBJECT)
        << send(ONWARD, stored(set_back) + OBJECT)
    )


def test_a_move_that_did_not_pass_here_within_a_network():
    script = Playbook() >> established(wire.rq("MINI", "WS1", STORING), wire.ac([Given(1)]))
    asked = stored(("WHOEVER", 9)) + OBJECT
    assert script >> data(INBOUND, asked) << send(ONWARD, asked)


def test_who_asked_for_the_move_is_no_longer_in_the_file():
    """A reload took ASKER out while its move was open."""
    border = with_moves(Asks("ASKER", "WS1"))()
    rules, aes = hospital.RULES, hospital.AES.replace('"ASKER"', '"GONE"')
    border.policy = hospital.policy(rules=rules.replace('"ASKER"', '"GONE"'), aes=aes)
    assert (
        Playbook(lambda: border, peer=hospital.OUTSIDE, bytewise=False)
        >> established(wire.rq("HA_WS1", "PACS", STORING), wire.ac([Given(1)]))
        >> data(INBOUND, stored(("HOSP_A", 5)) + OBJECT)
        << send(ONWARD, stored(None) + OBJECT)
    )


def test_the_originators_message_id_is_set_back():
    assert (
        storing(with_moves(*RENUMBERED), "HA_WS1")
        >> data(INBOUND, stored(("HOSP_A", 0xFFFF)) + OBJECT)
        << send(ONWARD, stored(("ASKER", 5)) + OBJECT)
        >> data(INBOUND, stored(("HOSP_A", 5)) + OBJECT)
        << send(INBOUND, REFUSED)
    )
    assert (
        storing(with_moves(*RENUMBERED), "HOSP_A")
        >> data(INBOUND, stored(("HOSP_A", 5)) + OBJECT)
        << send(ONWARD, stored(("WS3", 5)) + OBJECT)
        >> data(INBOUND, stored(("HOSP_A", 0xFFFF)) + OBJECT)
        << send(INBOUND, REFUSED)
    )


def test_the_end_of_the_association_that_came_back_does_not_end_the_move():
    assert (
        storing(with_moves(Asks("WS1", "WS1")), "HA_WS1")
        >> counted(2)
        >> data(INBOUND, abort(0, 0))
        << send(ONWARD, abort(0, 0))
        << StartTimer(ONWARD, ARTIM)
        << CloseTransport(INBOUND)
        >> counted(1)
        >> moving("WS1")
    )
