"""Open C-MOVEs on a file: what one process opens, all know; whatever happens to the file, moves go on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.relay.hospital import a_move
from ulproxy.errors import RemoteProtocolError
from ulproxy.relay.moves import Moves, Said
from ulproxy.relay.store import UNTOLD, Ended, Named, Opened, OpenMove
from ulproxy.shell import database, moves_file
from ulproxy.shell.moves_file import KEPT, MovesFile

Process = Callable[[], MovesFile]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "moves"


@pytest.fixture
def process(path: Path) -> Iterator[Process]:
    """Makes stores, each as another process would."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(MovesFile(path)))


@pytest.fixture
def time_flies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever failed is tried again at once."""
    monkeypatch.setattr(database, "RETRY", -1.0)


def move(message_id: int = 7, destination: str = "WS1") -> OpenMove:
    return a_move("WS1", "PACS", destination, "HA_WS1", message_id)


def facts(one: OpenMove) -> tuple[object, ...]:
    return tuple(getattr(one, name) for name in OpenMove.__slots__)


def said(changes: Any) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for change in changes:
        if isinstance(change, Opened):
            found.append(("opened", facts(change.move)))
        elif isinstance(change, Ended):
            found.append(("ended", facts(change.move), change.cut))
        else:
            found.append(change)
    return found


def rows(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT state, place FROM moves ORDER BY id").fetchall()


def test_what_one_adds_another_loads(process):
    here, there = process(), process()
    one, two = move(), move(8, "WS2")
    with here.transaction():
        here.add(one)
        assert not there.changed() or there.load() == []
    here.add(two)
    assert there.changed()
    assert said(there.load()) == [("opened", facts(one)), ("opened", facts(two))]
    assert not there.changed()
    assert there.load() == []
    here.remove(one, cut=True)
    here.remove(two, cut=False)
    assert said(there.load()) == [("ended", facts(one), True), ("ended", facts(two), False)]


def test_a_move_ends_as_the_one_that_was_opened(process):
    here, there = process(), process()
    one = move()
    here.add(one)
    ((opened,),) = [there.load()]
    here.remove(one, cut=False)
    (ended,) = there.load()
    assert isinstance(opened, Opened)
    assert isinstance(ended, Ended)
    assert opened.move is ended.move


def test_what_came_and_went_before_anybody_looked_is_told_all_the_same(process):
    here, there = process(), process()
    there.load()
    one = move()
    here.add(one)
    here.remove(one, cut=True)
    assert said(there.load()) == [("opened", facts(one)), ("ended", facts(one), True)]


def test_nobody_is_told_what_he_did(process):
    here, there = process(), process()
    here.add(move())
    here.name(Named("PACS", originator=True, number=False))
    assert here.load() == []
    assert len(list(there.load())) == 2


def test_habits_of_archives(process):
    here, there, third = process(), process(), process()
    here.name(Named("PACS", originator=False, number=True))
    assert there.load() == [Named("PACS", originator=False, number=True)]
    there.name(Named("PACS", originator=True, number=False))
    assert here.load() == [Named("PACS", originator=True, number=False)]
    assert third.load() == [Named("PACS", originator=True, number=False)]
    assert third.load() == []


def test_who_begins_knows_what_lingers_for_others(process):
    here, there = process(), process()
    before, lingers, open_, elsewhere = move(1), move(2), move(3), replace(move(4), archive="MINI")
    for one in (before, lingers, open_, elsewhere):
        here.add(one)
    here.remove(before, cut=True)
    attendance = there.attend("PACS")
    here.remove(lingers, cut=False)
    here.remove(elsewhere, cut=False)
    third = process()
    assert sorted(said(third.load())) == sorted(
        [("opened", facts(open_)), ("opened", facts(lingers)), ("ended", facts(lingers), False)]
    )
    there.leave(attendance)
    assert said(process().load()) == [("opened", facts(open_))]


def test_changes_are_numbered_for_all(process):
    here, there = process(), process()
    one, two = move(), move(8)
    here.add(one)
    there.add(two)
    here.load()
    there.load()
    numbers = [here.remove(one, cut=False), there.remove(two, cut=True)]
    assert numbers[0] < numbers[1] < UNTOLD
    assert here.remove(one, cut=False) == UNTOLD
    assert [change.number for change in here.load() if isinstance(change, Ended)] == numbers[1:]
    assert [change.number for change in there.load() if isinstance(change, Ended)] == numbers[:1]


def test_transactions_in_one_another_are_one(process, path):
    here, there = process(), process()
    with here.transaction():
        with here.transaction():
            here.add(move())
        assert rows(path) == []
    assert len(rows(path)) == 1
    with pytest.raises(RemoteProtocolError), there.transaction():
        raise RemoteProtocolError("no Message ID is left")
    with here.transaction():
        here.add(move())


def test_in_a_transaction_all_is_known_that_is_written(process, monkeypatch):
    """Whoever has written it may not have come to say so."""
    here, there = process(), process()
    first, second = Moves(here), Moves(there)
    second.catch_up()
    monkeypatch.setattr(here, "_tell", lambda: None)
    opened = first.open(a_move("WS1", "PACS", "WS1", "HOSP_A", 7), ())
    assert not there.changed()
    other = second.open(a_move("WS2", "PACS", "WS2", "HOSP_A", 7), ())
    assert opened.onward_message_id == 7 != other.onward_message_id


def test_what_is_read_in_a_transaction_stays_true_until_its_end(process, monkeypatch, path, log):
    monkeypatch.setattr(database, "PATIENCE", 0.05)
    here, there = process(), process()
    with here.transaction():
        assert here.load() == []
        there.add(move())  # waits, in vain
        assert here.load() == []
    assert [line["why"] for line in log.lines("state cannot be shared")] == ["database is locked"]
    assert rows(path) == []


def test_a_move_that_was_not_written_is_not_taken_from_anybody(process, monkeypatch, path):
    """Another one has its number by now."""
    monkeypatch.setattr(database, "RETRY", -1.0)
    here, there = process(), process()
    lost, other = move(), move(8)
    commit = moves_file._commit

    def full(connection: sqlite3.Connection) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(moves_file, "_commit", full)
    with here.transaction():
        here.add(lost)
    monkeypatch.setattr(moves_file, "_commit", commit)
    there.add(other)
    here.remove(lost, cut=False)
    assert rows(path) == [(0, 1)]


@pytest.mark.parametrize("behind", [KEPT // 2 - 1, KEPT // 2, KEPT // 2 + 1])
def test_who_has_not_looked_for_long_knows_what_is_open(process, behind):
    here, there = process(), process()
    gone, stays = move(1), move(2)
    here.add(gone)
    here.add(stays)
    assert len(list(there.load())) == 2
    here.remove(gone, cut=False)
    for n in range(behind):
        one = move(10 + n)
        here.add(one)
        here.remove(one, cut=False)
    last = move(3)
    here.add(last)
    changes = list(there.load())
    assert ("opened", facts(last)) in said(changes)
    ended = [c for c in said(changes) if c[0] == "ended" and c[1] == facts(gone)]
    assert len(ended) == 1
    assert not any(facts(stays) in change for change in said(changes))
    if behind < KEPT // 2 - 1:
        assert len(changes) == 2 * behind + 2
    here.remove(stays, cut=False)
    assert said(there.load()) == [("ended", facts(stays), False)]


def test_what_is_over_does_not_stay_forever(process, path):
    here = process()
    opened = move(1)
    here.add(opened)
    for n in range(KEPT + 1000):
        one = move(2 + n)
        here.add(one)
        here.remove(one, cut=False)
    found = rows(path)
    assert len(found) <= KEPT + 512
    assert found[0] == (0, 0)


def test_a_process_that_lives_keeps_its_moves(process, path):
    here, there = process(), process()
    here.add(move())
    there.add(move())
    there.clear()
    process()
    assert rows(path) == [(0, 0), (0, 1)]


def test_begun_anew_nothing_is_left_but_what_is_known_of_archives(path):
    with closing(MovesFile(path)) as before:
        before.add(move())
        before.name(Named("PACS", originator=False, number=False))
    with closing(MovesFile(path)) as now:
        assert rows(path) == [(2, 0)]
        assert now.load() == []


# Whatever happens to the file


@pytest.mark.usefixtures("time_flies")
def test_one_that_is_lost_meanwhile(process, path, log):
    here, there = process(), process()
    one, two = move(), move(8)
    here.add(one)
    there.load()
    for suffix in ("-wal", "-shm", ""):
        Path(f"{path}{suffix}").unlink()
    for store in (here, there):
        store._database.close()
    here.add(two)
    assert said(there.load()) == [("ended", facts(one), True), ("opened", facts(two))]
    here.remove(one, cut=False)
    here.remove(two, cut=False)
    assert said(there.load()) == [("ended", facts(two), False)]


@pytest.mark.usefixtures("time_flies")
def test_any_call_may_fail(path, monkeypatch):
    """The first, the second, and so on until nothing fails: moves go on, and none is left open for ever."""
    for failing in range(1, 1000):
        here, there = MovesFile(path), MovesFile(path)
        mine, theirs = Moves(here), Moves(there)
        calls, use = [0], database.Database.use

        def flaky(self, work, calls=calls, failing=failing, use=use):
            calls[0] += 1
            if calls[0] == failing:
                self._fail(sqlite3.OperationalError("disk I/O error"))
                return None
            return use(self, work)

        with monkeypatch.context() as patch:
            patch.setattr(database.Database, "use", flaky)
            first = mine.open(move(1), ())
            second = theirs.open(move(2), ())
            attendances = mine.attend("PACS"), theirs.attend("PACS")
            assert first in mine.at("PACS")
            assert second in theirs.at("PACS")
            assert mine.causing("PACS", SAID, None) == [first]
            mine.close(first)
            theirs.close(second)
            mine.leave(attendances[0])
            theirs.leave(attendances[1])
        last = mine.open(move(3), ())
        mine.close(last)
        theirs.close(theirs.open(move(4), ()))
        assert mine.at("PACS") == theirs.at("PACS") == ()
        assert {state for state, _ in rows(path)} <= {1, 2}
        assert here.attended_since("PACS") is there.attended_since("PACS") is None
        here.close()
        there.close()
        if calls[0] < failing:
            break
    assert 5 < failing < 100


SAID = Said("PACS", "HA_WS1", 1, "WS1", None)


def test_where_no_file_can_be(tmp_path):
    (tmp_path / "moves-workers").write_text("")
    with pytest.raises(OSError, match="moves-workers"):
        MovesFile(tmp_path / "moves")
