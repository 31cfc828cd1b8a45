"""Open C-MOVEs of several processes: each knows those of all, through a store that here is a list."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.relay.hospital import a_move
from ulproxy.errors import RemoteProtocolError
from ulproxy.relay.moves import MAX_LINGERING, Attendance, Moves, Said
from ulproxy.relay.store import Change, Ended, Named, Opened, OpenMove


class Board:
    """What all processes have told, and who is in a transaction."""

    def __init__(self) -> None:
        self.told: list[tuple[object, Change]] = []
        self.alone: list[object] = []
        self.attended: dict[int, tuple[object, str, int]] = {}
        self.called = 0
        self.loads = 0

    def process(self) -> Moves:
        return Moves(Notes(self))


class Notes:
    """The store of one process."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._read = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        assert all(one is self for one in self._board.alone)
        self._board.alone.append(self)
        try:
            yield
        finally:
            self._board.alone.pop()

    def add(self, move: OpenMove) -> None:
        assert self._board.alone
        self._board.told.append((self, Opened(move)))

    def remove(self, move: OpenMove, *, cut: bool) -> int:
        number = len(self._board.told) + 1
        self._board.told.append((self, Ended(move, cut, number)))
        return number

    def attend(self, archive: str) -> int:
        assert self._board.alone
        self._board.called += 1
        self._board.attended[self._board.called] = self, archive, len(self._board.told)
        return self._board.called

    def leave(self, attendance: int) -> None:
        del self._board.attended[attendance]

    def attended_since(self, archive: str) -> int | None:
        attended = self._board.attended.values()
        begun = [since for who, at, since in attended if who is not self and at == archive]
        return min(begun, default=None)

    def name(self, habit: Named) -> None:
        self._board.told.append((self, habit))

    def changed(self) -> bool:
        return self._read < len(self._board.told)

    def load(self) -> list[Change]:
        self._board.loads += 1
        news = self._board.told[self._read :]
        self._read = len(self._board.told)
        return [change for teller, change in news if teller is not self]


@pytest.fixture
def board() -> Board:
    return Board()


def said(number: int | None = 7, destination: str | None = "WS1") -> Said:
    return Said("PACS", "HA_WS1", number, destination, None)


def move_of(caller: str = "WS1", destination: str = "WS1", message_id: int = 7) -> OpenMove:
    return a_move(caller, "PACS", destination, "HA_WS1", message_id)


def numbers(moves: Moves) -> list[int]:
    return [move.onward_message_id for move in moves.at("PACS")]


def test_a_move_of_one_process_is_known_to_all(board):
    here, there = board.process(), board.process()
    move = here.open(move_of(), ())
    assert here.at("PACS") == there.at("PACS") == (move,)
    assert there.destinations("PACS") == {"WS1"}
    assert there.causing("PACS", said(), None) == [move]
    here.close(move)
    assert there.at("PACS") == here.at("PACS") == ()
    assert there.causing("PACS", said(), None) == []
    here.close(move)
    assert len(board.told) == 2


def test_nothing_is_read_when_nothing_is_told(board):
    here, there = board.process(), board.process()
    here.open(move_of(), ())
    for _ in range(3):
        there.at("PACS")
        there.causing("PACS", said(), None)
    assert board.loads == 1


def test_message_ids_are_told_apart_over_all_processes(board):
    processes = [board.process() for _ in range(4)]
    opened = [
        moves.open(move_of(f"WS{n}", f"WS{n}"), taken=()) for n, moves in enumerate(processes)
    ]
    assert len({move.onward_message_id for move in opened}) == 4
    for moves in processes:
        assert sorted(numbers(moves)) == sorted(move.onward_message_id for move in opened)


def test_no_other_process_opens_one_between_a_look_and_an_opening(board):
    here, there = board.process(), board.process()
    with here.alone():
        assert not here.must_wait(move_of(), silent=True)
        with pytest.raises(AssertionError):
            there.open(move_of("WS2", "WS2"), ())
        here.open(move_of(), ())
    assert there.open(move_of("WS2", "WS2"), ()).onward_message_id != 7


def test_a_move_that_cannot_be_opened_is_told_nobody(board):
    here, there = board.process(), board.process()
    here.open(move_of("WS2", "WS2"), ())
    with pytest.raises(RemoteProtocolError):
        there.open(move_of(), range(0x10000))
    assert len(board.told) == 1
    assert not board.alone


def test_a_move_waits_for_one_of_another_process(board):
    here, there = board.process(), board.process()
    first = here.open(a_move("WS1", "PACS", "WS1", "HA_WS1", 7, "HOSP_A"), ())
    second = a_move("WS2", "PACS", "WS2", "HA_WS2", 8, "HOSP_A")
    assert there.must_wait(second, silent=True)
    there.waiting = 1
    there.catch_up()
    assert not there.stirred
    here.close(first)
    there.catch_up()
    assert there.stirred
    assert not there.must_wait(second, silent=True)


@pytest.mark.parametrize("cut", [True, False])
def test_a_move_that_ended_elsewhere_lingers_where_the_archive_is(board, cut):
    here, there = board.process(), board.process()
    move = here.open(move_of(), ())
    attendance = there.attend("PACS")
    here.close(move, cut=cut)
    assert there.causing("PACS", said(), attendance) == [move]
    other = here.open(move_of(destination="WS2", message_id=8), ())
    assert there.causing("PACS", said(None, None), attendance) == (
        [other, move] if cut else [other]
    )
    there.leave(attendance)
    assert there.causing("PACS", said(), None) == []


def test_a_move_that_came_and_went_meanwhile_lingers_too(board):
    here, there = board.process(), board.process()
    attendance = there.attend("PACS")
    move = here.open(move_of(), ())
    here.close(move)
    assert there.causing("PACS", said(), attendance) == [move]


def test_an_association_that_came_later_has_nothing_of_it(board):
    here, there = board.process(), board.process()
    here.close(here.open(move_of(), ()))
    attendance = there.attend("PACS")
    assert there.causing("PACS", said(), attendance) == []


@pytest.mark.parametrize("cut", [True, False])
def test_the_message_id_of_a_move_that_is_over_is_free_at_once(board, cut):
    here, there = board.process(), board.process()
    here.close(here.open(move_of(), ()), cut=cut)
    for moves in (there, here):
        again = moves.open(move_of("WS2", "WS2"), ())
        assert again.onward_message_id == 7
        moves.close(again)


@pytest.mark.parametrize("cut", [True, False])
def test_the_message_id_is_not_free_while_the_move_lingers_in_another_process(board, cut):
    """Whoever had it, and whoever asks; an association that came later keeps nothing."""
    here, there, third = board.process(), board.process(), board.process()
    move = here.open(move_of(), ())
    attendance = there.attend("PACS")
    here.close(move, cut=cut)
    late, of_another = third.attend("PACS"), there.attend("MINI")
    for moves in (here, there, third):
        again = moves.open(move_of("WS2", "WS2"), ())
        assert again.onward_message_id != 7
        moves.close(again)
    there.leave(attendance)
    for moves in (here, there, third):
        again = moves.open(move_of("WS2", "WS2"), ())
        assert again.onward_message_id == 7
        moves.close(again)
        if moves is here:  # which lingers for this one
            third.leave(late)
    there.leave(of_another)


@pytest.mark.parametrize("others", [MAX_LINGERING - 1, MAX_LINGERING])
def test_how_many_linger_for_those_of_other_processes(board, others):
    here, there = board.process(), board.process()
    first = here.open(move_of(), ())
    there.attend("PACS")
    here.close(first)
    for n in range(others):
        here.close(here.open(move_of(message_id=100 + n), ()))
    again = here.open(move_of("WS2", "WS2"), ())
    assert (again.onward_message_id == 7) == (others == MAX_LINGERING)


def test_nothing_is_left_of_what_lingered(board):
    here, there = board.process(), board.process()
    attendance = there.attend("PACS")
    here.close(here.open(move_of(), ()))
    there.leave(attendance)
    here.close(here.open(move_of(), ()))
    there.look()
    for moves in (here, there):
        known = moves._archive("PACS")
        assert (known.numbered, known.elsewhere) == ({}, {})


@pytest.mark.parametrize("seed", range(20))
def test_several_processes_give_message_ids_as_one_does(board, seed):
    """Whatever is done, and by whichever of them; likewise for whether a move has to wait."""
    chance = random.Random(seed)
    one, several = Moves(), [board.process() for _ in range(3)]
    opened: list[tuple[OpenMove, OpenMove, Moves]] = []
    attended: list[tuple[Attendance, Attendance, Moves]] = []
    seen = Counter[tuple[bool, bool]]()
    for _ in range(400):
        moves = chance.choice(several)
        match chance.choice(["open", "close", "attend", "leave"]):
            case "open":
                name = chance.choice(["WS1", "WS2", "WS3"])
                wanted = replace(move_of(name, name, chance.randint(1, 5)), shown_destination="X")
                waits = one.must_wait(wanted, silent=True)
                assert moves.must_wait(wanted, silent=True) == waits
                pair = one.open(wanted, ()), moves.open(wanted, ())
                kept = [made.onward_message_id == wanted.message_id for made in pair]
                assert kept[0] == kept[1]
                opened.append((*pair, moves))
                seen[waits, kept[0]] += 1
            case "close" if opened:
                alone, shared, moves = opened.pop(chance.randrange(len(opened)))
                cut = chance.random() < 0.3
                one.close(alone, cut=cut)
                moves.close(shared, cut=cut)
            case "attend":
                attended.append((one.attend("PACS"), moves.attend("PACS"), moves))
            case "leave" if attended:
                here, there, moves = attended.pop(chance.randrange(len(attended)))
                one.leave(here)
                moves.leave(there)
    assert len(seen) >= 3


def test_how_an_archive_names_moves_is_learnt_once_for_all(board):
    here, there = board.process(), board.process()
    first = a_move("WS1", "PACS", "WS1", "HA_WS1", 7, "HOSP_A")
    second = a_move("WS2", "PACS", "WS2", "HA_WS2", 8, "HOSP_A")
    here.open(first, ())
    assert not there.must_wait(second, silent=False)
    for _ in range(3):
        here.named("PACS", originator=False, number=False)
    assert len(board.told) == 2
    assert there.must_wait(second, silent=False)
    there.named("PACS", originator=False, number=False)
    assert len(board.told) == 2
    there.named("PACS", originator=False, number=True)
    assert not here.must_wait(second, silent=False)


def test_a_move_waits_while_one_that_was_cut_short_elsewhere_lingers_here(board):
    here, there = board.process(), board.process()
    wanted = a_move("WS2", "PACS", "WS2", "HA_WS2", 8, "HOSP_A")
    for cut in (False, True):
        move = here.open(a_move("WS1", "PACS", "WS1", "HA_WS1", 7, "HOSP_A"), ())
        attendance = there.attend("PACS")
        here.close(move, cut=cut)
        assert there.must_wait(wanted, silent=True) == cut
        there.leave(attendance)
        assert not there.must_wait(wanted, silent=True)


def test_a_move_waits_while_one_that_was_cut_short_here_lingers_elsewhere(board):
    """And is told when it does no more: nobody ends a move then."""
    here, there = board.process(), board.process()
    wanted = a_move("WS2", "PACS", "WS2", "HA_WS2", 8, "HOSP_A")
    for cut in (False, True):
        move = here.open(a_move("WS1", "PACS", "WS1", "HA_WS1", 7, "HOSP_A"), ())
        attendance = there.attend("PACS")
        here.close(move, cut=cut)
        assert here.must_wait(wanted, silent=True) == cut
        here.waiting = 1
        here.look()
        assert not here.stirred
        there.leave(attendance)
        here.look()
        assert here.stirred == cut
        here.waiting, here.stirred = 0, False
        assert not here.must_wait(wanted, silent=True)


def test_an_archive_of_which_nothing_is_known(board):
    assert board.process().causing("PACS", said(), None) == []


@pytest.mark.parametrize("others", [MAX_LINGERING - 1, MAX_LINGERING])
def test_how_many_linger_for_one_association(board, others):
    here, there = board.process(), board.process()
    attendance = there.attend("PACS")
    first = here.open(move_of(), ())
    here.close(first)
    for n in range(others):
        here.close(here.open(move_of(message_id=100 + n), ()))
    found = there.causing("PACS", said(), attendance)
    assert found == ([first] if others < MAX_LINGERING else [])
