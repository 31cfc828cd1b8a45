"""The title that several share, while hundreds of moves are open: each instance where it belongs."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tests.relay import hospital, wire
from tests.relay.playbook import INBOUND, receive, sent, settled
from tests.relay.sharing import OBJECT, RQ, border, done, opened, stored
from tests.relay.wire import Given
from ulproxy.relay import retrieval
from ulproxy.relay.border import Border
from ulproxy.relay.effects import End, OpenTransport, SendData
from ulproxy.relay.join import Join
from ulproxy.relay.moves import MAX_LINGERING, Moves, Said
from ulproxy.relay.store import OpenMove

CALLERS = ("WS1", "WS3", "WS4", "WS5")
DESTINATIONS = ("WS3", "WS4", "WS5")
AC = wire.ac([Given(1), Given(3)])


class Looked(Said):
    """Counts the moves that are looked at for C-STOREs."""

    moves: ClassVar[int] = 0

    def fits(self, move: OpenMove) -> bool:
        Looked.moves += 1
        return super().fits(move)


@pytest.fixture(autouse=True)
def _counts(monkeypatch) -> None:
    monkeypatch.setattr(retrieval, "Said", Looked)
    Looked.moves = 0


def crowd(number: int) -> tuple[Border, list[tuple[str, str, int, int]]]:
    """So many open moves, 12 with each Message ID: caller, destination, Message ID, what it is told."""
    one = border()()
    moves = []
    for n in range(number):
        caller = CALLERS[n % len(CALLERS)]
        destination = DESTINATIONS[n // len(CALLERS) % len(DESTINATIONS)]
        message_id = 1 + n // 12
        moves.append(
            (caller, destination, message_id, opened(one, caller, destination, message_id))
        )
    return one, moves


class Archive:
    """One association of the archive, and the legs that are opened for it."""

    def __init__(self, one: Border) -> None:
        self.names = {str(ae.address): ae.name for ae in one.policy.config.aes}
        self.join = Join(one, hospital.OUTSIDE)
        self.legs: dict[End, str] = {}
        self.take(self.join.accepted())
        self.take(receive(self.join, INBOUND, RQ))

    def take(self, effects) -> dict[str, bytes]:
        """Everybody answers at once; returns what each AE gets."""
        written: dict[str, bytes] = {}
        left = settled(effects)
        while left:
            match left.pop(0):
                case OpenTransport(endpoint, end):
                    self.legs[end] = self.names[str(endpoint)]
                    self.join.connected(end)
                    left += receive(self.join, end, AC)
                case SendData(end, wire.RELEASE_RQ):
                    left += receive(self.join, end, wire.RELEASE_RP)
                case SendData(end, said) if end in self.legs:
                    name = self.legs[end]
                    written[name] = written.get(name, b"") + bytes(said)
        return written

    def store(self, told: int, caller: str, message_id: int) -> dict[str, bytes]:
        title = "HA_WS1" if caller == "WS1" else "HOSP_A"
        received = receive(self.join, INBOUND, stored((title, told), message_id) + OBJECT)
        return self.take(received)


@pytest.mark.parametrize("number", [12, 300])
def test_each_instance_is_where_its_caller_said(number):
    """Of callers behind one title, to destinations behind one title, with equal Message IDs."""
    one, moves = crowd(number)
    archive = Archive(one)
    for sequence, (caller, destination, message_id, told) in enumerate(moves, 1):
        written = archive.store(told, caller, sequence)
        assert written == {destination: stored((caller, message_id), sequence) + OBJECT}
        leg = next(end for end in reversed(archive.legs) if archive.legs[end] == destination)
        assert sent(receive(archive.join, leg, done(sequence)), INBOUND) == done(sequence)
    assert len(archive.legs) == 6  # one to ask what it accepts, one to store to


@pytest.mark.parametrize("number", [12, 120, 1200])
def test_the_cost_of_a_c_store_is_flat(number):
    """Looked at are those with the number that it says: callers of different titles may share one."""
    one, moves = crowd(number)
    archive = Archive(one)
    Looked.moves = 0
    for sequence, (caller, _, _, told) in enumerate(moves[-12:], 1):
        archive.store(told, caller, sequence)
    assert Looked.moves <= 12 * 6


@pytest.mark.parametrize("ended", [10, MAX_LINGERING])
def test_also_when_many_have_ended_while_it_was_open(ended):
    one, _ = crowd(12)
    archive = Archive(one)
    for n in range(ended):
        opened(one, "WS3", "WS3", 2000 + n)
    for move in one.moves.at("ARCHIVE"):
        if move.message_id >= 2000:
            one.moves.close(move, cut=True)
    Looked.moves = 0
    assert set(archive.store(2000, "WS3", 1)) == {"WS3"}
    assert Looked.moves <= 6


def test_nothing_is_left_of_them():
    one, _ = crowd(300)
    archive = Archive(one)
    for move in one.moves.at("ARCHIVE"):
        one.moves.close(move)
    archive.join.shutdown("enough")
    known = one.moves._archives["ARCHIVE"]
    assert (len(known.open), known.numbered, known.attendances) == (0, {}, {})


def test_hundreds_of_message_ids_are_given():
    """12 to a number: 2 of WS1 are told apart from the others by its title, each destination by a number."""
    _, moves = crowd(300)
    hidden = [told for caller, _, _, told in moves if caller != "WS1"]
    assert len(set(hidden)) == len(hidden)
    own = [told for caller, _, _, told in moves if caller == "WS1"]
    assert len(set(own)) == len(own)


def test_a_caller_of_many_is_told_apart_by_nothing_else():
    moves = Moves()
    for n in range(256):
        move = hospital.a_move(f"WS{n}", "ARCHIVE", f"WS{n}", "HOSP_A", 5, "HOSP_A")
        moves.open(move, ())
    said = Looked("PACS", "HOSP_A", 5, None, "HOSP_A")
    assert [move.caller for move in moves.causing("ARCHIVE", said, None)] == ["WS0"]
    assert Looked.moves == 1
