"""Open C-MOVEs on a file that all processes of a relay share: a store for `Moves`.

Every change has a number, so a process reads what has come since the last one it knows. That there is
something to read it sees in memory (presence.py), since each C-STORE asks. A move that is over stays a while,
for those who have not looked yet. What a process that died had open was cut short.

Associations that C-STOREs may come on are here too, with the number of the last change before each: to a move
that ended by then they bring nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from ulproxy.relay.store import UNTOLD, Change, Ended, Named, Opened, OpenMove
from ulproxy.shell.database import Database
from ulproxy.shell.presence import Presence

T = TypeVar("T")

# Changes that moves which are over stay for; who has not looked for longer knows only that they are over.
KEPT: Final = 4096
_PRUNE_EVERY: Final = 256

_OPEN, _ENDED, _CUT = 0, 1, 2
_SCRIPT: Final = """
CREATE TABLE IF NOT EXISTS moves (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    change INTEGER NOT NULL,
    place INTEGER NOT NULL,
    state INTEGER NOT NULL,
    caller TEXT NOT NULL,
    archive TEXT NOT NULL,
    destination TEXT NOT NULL,
    shown_caller TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    onward_message_id INTEGER NOT NULL,
    shown_destination TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS moves_by_change ON moves (change);
CREATE TABLE IF NOT EXISTS habits (
    archive TEXT PRIMARY KEY,
    change INTEGER NOT NULL,
    place INTEGER NOT NULL,
    originator INTEGER NOT NULL,
    number INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS attendances (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    place INTEGER NOT NULL,
    archive TEXT NOT NULL,
    since INTEGER NOT NULL
);
"""
_ADD: Final = """
INSERT INTO moves (change, place, state, caller, archive, destination, shown_caller, message_id,
    onward_message_id, shown_destination)
VALUES ((SELECT coalesce(max(change), 0) + 1 FROM moves), ?, 0, ?, ?, ?, ?, ?, ?, ?)
"""
_END: Final = """
UPDATE moves SET change = (SELECT max(change) + 1 FROM moves), state = ? WHERE id = ? AND place = ?
"""
_PRUNE: Final = """
DELETE FROM moves WHERE state > 0 AND change <= (SELECT max(change) FROM moves) - ?
"""
_CHANGED: Final = """
SELECT id, state, change, caller, archive, destination, shown_caller, message_id, onward_message_id,
    shown_destination
FROM moves WHERE change > ? AND place <> ? ORDER BY change
"""
# And those that are over and linger for somebody.
_ALL_OPEN: Final = """
SELECT id, state, change, caller, archive, destination, shown_caller, message_id, onward_message_id,
    shown_destination
FROM moves WHERE place <> ? AND (state = 0 OR change > (
    SELECT min(since) FROM attendances WHERE attendances.archive = moves.archive)) ORDER BY change
"""
_NAME: Final = """
INSERT OR REPLACE INTO habits (archive, change, place, originator, number)
VALUES (?, (SELECT coalesce(max(change), 0) + 1 FROM habits), ?, ?, ?)
"""
_HABITS: Final = "SELECT archive, originator, number FROM habits WHERE change > ? AND place <> ?"
_NEWEST: Final = """
SELECT coalesce((SELECT max(change) FROM moves), 0), coalesce((SELECT max(change) FROM habits), 0)
"""
_WHO_HAS_OPEN: Final = """
SELECT DISTINCT place FROM moves WHERE state = 0 UNION SELECT DISTINCT place FROM attendances
"""
_OPEN_OF: Final = "SELECT id FROM moves WHERE state = 0 AND place = ?"
_ENDED_AT: Final = "SELECT change FROM moves WHERE id = ? AND state > 0"
_ATTEND: Final = """
INSERT INTO attendances (place, archive, since)
VALUES (?, ?, (SELECT coalesce(max(change), 0) FROM moves))
"""
_LEAVE: Final = "DELETE FROM attendances WHERE id = ? AND place = ?"
_LEAVE_ALL: Final = "DELETE FROM attendances WHERE place = ?"
_ATTENDED: Final = "SELECT min(since) FROM attendances WHERE archive = ? AND place <> ?"

_Row = tuple[int, int, int, str, str, str, str, int, int, str]


class _News(NamedTuple):
    """What is read in one go: all of one moment."""

    newest: tuple[int, int]
    complete: bool  # whether the rows are all that count, not those that changed
    rows: list[_Row]
    habits: list[tuple[str, int, int]]


class MovesFile:
    """See `Store`. Raises OSError where this process cannot be counted among those of the relay."""

    def __init__(self, path: Path) -> None:
        self._presence = Presence(Path(f"{path}-workers"))
        self._database = Database("open moves", path, _SCRIPT, "OFF")
        self._own: dict[OpenMove, int] = {}
        self._foreign: dict[int, OpenMove] = {}
        self._strayed: list[OpenMove] = []
        self._over: list[tuple[int, int, int]] = []  # state, id, place
        self._attended: dict[int, int] = {}  # what they are called here, and in the file
        self._left: list[tuple[int, int]] = []  # id, place
        self._called = 0
        self._added: list[OpenMove] = []
        self._came: list[int] = []
        self._inside = False
        self._untold = False
        self._ended = 0
        self._last = -1, 0  # changes that are known, of moves and of habits
        self._opened = 0
        self._cut({self._presence.place})
        self.clear()

    def clear(self) -> None:
        """Forgets the moves of processes that are no more."""
        found = self._use(lambda c: c.execute(_WHO_HAS_OPEN).fetchall())
        self._cut({place for (place,) in found or () if self._presence.is_gone(place)})
        self._presence.sweep()
        self._presence.unsee()

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        def checked(connection: sqlite3.Connection) -> T:
            if self._database.opened != self._opened:
                self._begin_anew()
            return work(connection)

        return self._database.use(checked)

    def _begin_anew(self) -> None:
        """It is another file, where the old numbers mean nothing, or the moves of others."""
        self._opened = self._database.opened
        self._own.clear()
        self._over.clear()
        self._attended.clear()
        self._left.clear()
        self._strayed += self._foreign.values()
        self._foreign.clear()
        self._last = -1, 0
        self._presence.unsee()

    def _cut(self, places: set[int]) -> None:
        """Whoever had these places has died."""
        for place in places:
            found = self._use(partial(_open_of, place))
            self._over += [(_CUT, number, place) for number in found or ()]
            self._use(partial(_left_by, place))
        self._settle()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Store`."""
        if self._inside:
            yield
            return
        self._inside = True
        self._use(lambda c: c.execute("BEGIN IMMEDIATE"))
        try:
            yield
        finally:  # what was added is open, whatever happened then
            self._inside = False
            if self._use(_commit) is None:
                self._lose()
            self._added.clear()
            self._came.clear()
            if self._untold:
                self._tell()

    def add(self, move: OpenMove) -> None:
        """See `Store`."""
        values = self._presence.place, *_values(move)
        number = self._use(lambda c: c.execute(_ADD, values).lastrowid)
        if number is None:
            self._lose()
            return
        self._own[move] = number
        self._added.append(move)
        self._tell()

    def remove(self, move: OpenMove, *, cut: bool) -> int:
        """See `Store`."""
        number = self._own.pop(move, None)
        if number is None:
            return UNTOLD
        self._over.append((_CUT if cut else _ENDED, number, self._presence.place))
        self._settle()
        return self._use(partial(_ended_at, number)) or UNTOLD

    def attend(self, archive: str) -> int:
        """See `Store`."""
        self._called += 1
        number = self._use(lambda c: c.execute(_ATTEND, (self._presence.place, archive)).lastrowid)
        if number is not None:
            self._attended[self._called] = number
            self._came.append(self._called)
        return self._called

    def leave(self, attendance: int) -> None:
        """See `Store`."""
        number = self._attended.pop(attendance, None)
        if number is not None:
            self._left.append((number, self._presence.place))
            self._settle()

    def attended_since(self, archive: str) -> int | None:
        """See `Store`."""
        values = archive, self._presence.place
        found = self._use(lambda c: c.execute(_ATTENDED, values).fetchone())
        since: int | None = 0 if found is None else found[0]  # not known: all may be waited for
        return since

    def name(self, habit: Named) -> None:
        """See `Store`."""
        values = habit.archive, self._presence.place, habit.originator, habit.number
        if self._use(lambda c: c.execute(_NAME, values)) is not None:
            self._tell()

    def changed(self) -> bool:
        """See `Store`."""
        # Who has written something says so a moment later: in a transaction that would be too late.
        return self._inside or self._presence.has_news()

    def load(self) -> Iterable[Change]:
        """See `Store`."""
        now = self._presence.now()
        news = self._use(self._read)
        if news is None:
            return ()
        self._presence.seen(now)
        self._last = news.newest
        changes: list[Change] = [Ended(move, True, UNTOLD) for move in self._strayed]
        self._strayed.clear()
        changes += self._replaced(news) if news.complete else self._followed(news.rows)
        changes += [Named(name, bool(title), bool(number)) for name, title, number in news.habits]
        return changes

    def close(self) -> None:
        """The process ends."""
        self._database.close()
        self._presence.close()

    def _tell(self) -> None:
        """Others are told once they can read it."""
        self._untold = self._inside
        if not self._inside:
            self._presence.tell()

    def _lose(self) -> None:
        """What was added in this transaction is not there; its numbers may become those of others."""
        for move in self._added:
            self._own.pop(move, None)
        for attendance in self._came:
            self._attended.pop(attendance, None)
        self._added.clear()
        self._came.clear()

    def _settle(self) -> None:
        """Writes down what is over, and what could not be written down before."""
        if self._left and self._use(lambda c: c.executemany(_LEAVE, self._left)) is not None:
            self._left.clear()
        if not self._over:
            return
        if self._use(lambda c: c.executemany(_END, self._over)) is None:
            return
        self._ended += len(self._over)
        self._over.clear()
        if self._ended >= _PRUNE_EVERY:
            self._ended = 0
            self._use(lambda c: c.execute(_PRUNE, (KEPT,)))
        self._tell()

    def _read(self, connection: sqlite3.Connection) -> _News:
        alone = connection.in_transaction
        if not alone:
            connection.execute("BEGIN")
        place, (last, last_habit) = self._presence.place, self._last
        newest: tuple[int, int] = connection.execute(_NEWEST).fetchone()
        complete = last < max(0, newest[0] - KEPT)
        if complete:
            rows = connection.execute(_ALL_OPEN, (place,)).fetchall()
        else:
            rows = connection.execute(_CHANGED, (last, place)).fetchall()
        habits = connection.execute(_HABITS, (last_habit, place)).fetchall()
        if not alone:
            connection.execute("COMMIT")
        return _News(newest, complete, rows, habits)

    def _followed(self, rows: list[_Row]) -> Iterator[Change]:
        """Moves that changed, in their order; one can be over before it was seen open."""
        for row in rows:
            number, state, change = row[:3]
            move = self._foreign.pop(number, None)
            if move is None:
                move = OpenMove(*row[3:])
                yield Opened(move)
            if state == _OPEN:
                self._foreign[number] = move
            else:
                yield Ended(move, state == _CUT, change)

    def _replaced(self, news: _News) -> Iterator[Change]:
        """All moves that count; those that are not among them are over, nobody knows how."""
        stays = {row[0] for row in news.rows}
        for number in [number for number in self._foreign if number not in stays]:
            yield Ended(self._foreign.pop(number), True, news.newest[0])
        yield from self._followed(news.rows)


def _open_of(place: int, connection: sqlite3.Connection) -> list[int]:
    return [number for (number,) in connection.execute(_OPEN_OF, (place,))]


def _left_by(place: int, connection: sqlite3.Connection) -> bool:
    return connection.execute(_LEAVE_ALL, (place,)).rowcount > 0


def _ended_at(number: int, connection: sqlite3.Connection) -> int:
    found = connection.execute(_ENDED_AT, (number,)).fetchone()
    return 0 if found is None else int(found[0])


def _values(move: OpenMove) -> tuple[str | int, ...]:
    """In the order of `_MOVE`."""
    return (
        move.caller,
        move.archive,
        move.destination,
        move.shown_caller,
        move.message_id,
        move.onward_message_id,
        move.shown_destination,
    )


def _commit(connection: sqlite3.Connection) -> bool:
    if connection.in_transaction:
        connection.execute("COMMIT")
    return True
