"""Open C-MOVEs: to which destination the C-STORE association that comes back belongs (PS3.7 9.1.4).

The archive calls back on an association of its own. Its called title names the destination, unless several
share the relay's; Move Originator AE Title and Message ID name the C-MOVE, unless the archive leaves them
out. Both are what the archive was told, and are set back here.

A C-MOVE can end before its C-STOREs do: it is cancelled, its association breaks off, or the archive answers
early. Then it lingers for the associations of the archive that were open at that time, and for no other.

Other processes of the relay open moves too (store.py). They are caught up with before anything is looked up.
They have associations of the archive too, so a move that is over here may linger there: then its Message ID
is not free here either.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final, NamedTuple, Self

from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import AbortReason
from ulproxy.relay.store import Ended, MemoryStore, Named, Opened, OpenMove, Store

# Moves that linger for one association; an archive that keeps one open for days ends thousands meanwhile.
MAX_LINGERING: Final = 1000
_ALONE: Final = MemoryStore()


class Said(NamedTuple):
    """What a C-STORE says of the move that it is of; `own` is the title of the archive that sends it.

    Archives have left out one or both (`originator` empty, `number` None), or said their own title there.
    `destination` is the name of the AE that was called, `shown` the title, where several have it.
    """

    own: str
    originator: str
    number: int | None
    destination: str | None
    shown: str | None

    def fits(self, move: OpenMove) -> bool:
        """Whether it may be of this one."""
        return (
            self.originator in ("", self.own, move.shown_caller)
            and self.number in (None, move.onward_message_id)
            and self.destination in (None, move.destination)
            and self.shown in (None, move.shown_destination)
        )


class Noted:
    """Moves in their order, and by the Message ID that the archive was told: C-STOREs come in thousands."""

    def __init__(self) -> None:
        self._cut: dict[OpenMove, bool] = {}
        self._told: dict[int, dict[OpenMove, bool]] = {}

    def __len__(self) -> int:
        return len(self._cut)

    def __iter__(self) -> Iterator[OpenMove]:
        return iter(self._cut)

    def __contains__(self, move: object) -> bool:
        return move in self._cut

    def add(self, move: OpenMove, *, cut: bool = False) -> None:
        """One more; `cut` = it was cut short: cancelled, or its association ended before it."""
        self._cut[move] = self._told.setdefault(move.onward_message_id, {})[move] = cut

    def remove(self, move: OpenMove) -> None:
        """One less."""
        del self._cut[move]
        told = self._told[move.onward_message_id]
        del told[move]
        if not told:
            del self._told[move.onward_message_id]

    @property
    def cut_short(self) -> Iterator[OpenMove]:
        """Those that were."""
        return (move for move, cut in self._cut.items() if cut)

    def fitting(self, said: Said, *, cut: bool = False) -> list[OpenMove]:
        """Those that a C-STORE may be of; `cut` = of those that were cut short."""
        moves = self._cut if said.number is None else self._told.get(said.number, {})
        return [move for move, short in moves.items() if (short or not cut) and said.fits(move)]


@dataclass(eq=False)
class Attendance:
    """An association of an archive that may bring C-STOREs, and the moves that ended while it is open.

    `told` is what the store calls it.
    """

    archive: str
    told: int
    ended: Noted = field(default_factory=Noted)


class _Alike(NamedTuple):
    """What moves have in common of which it does not matter which one a C-STORE is of."""

    caller: str
    destination: str
    message_id: int
    shown_caller: str

    @classmethod
    def of(cls, move: OpenMove) -> Self:
        return cls(move.caller, move.destination, move.message_id, move.shown_caller)


class _Archive:
    """The moves at one archive, by the Message ID it was told; and how it names them in its C-STOREs."""

    def __init__(self) -> None:
        self.open = Noted()
        # Whose a C-STORE with this Message ID can be, and how many moves it could be of then.
        self.numbered: dict[int, dict[_Alike, int]] = {}
        self.attendances: dict[Attendance, None] = {}
        self.elsewhere: dict[OpenMove, Ended] = {}
        self.names_originator = True
        self.numbers_moves = True
        self._last = 0x10000

    def remember(self, move: OpenMove) -> None:
        told = self.numbered.setdefault(move.onward_message_id, {})
        alike = _Alike.of(move)
        told[alike] = told.get(alike, 0) + 1

    def forget(self, move: OpenMove) -> None:
        told = self.numbered[move.onward_message_id]
        alike = _Alike.of(move)
        told[alike] -= 1
        if not told[alike]:
            del told[alike]
        if not told:
            del self.numbered[move.onward_message_id]

    def linger_elsewhere(self, ended: Ended) -> None:
        """C-STOREs of a move that is over may still come to another process, until it is known better."""
        self.elsewhere[ended.move] = ended
        self.remember(ended.move)
        if len(self.elsewhere) > MAX_LINGERING:
            self._vanish(next(iter(self.elsewhere)))

    def linger_no_more(self, since: int | None) -> bool:
        """What other processes still wait for ended after this change; whether less was cut short now."""
        over = [one for one in self.elsewhere.values() if since is None or one.number <= since]
        for ended in over:
            self._vanish(ended.move)
        return any(ended.cut for ended in over)

    def _vanish(self, move: OpenMove) -> None:
        del self.elsewhere[move]
        self.forget(move)

    def named(self, habit: Named) -> bool:
        """Takes in how it names moves; whether that is news."""
        before = self.names_originator, self.numbers_moves
        self.names_originator, self.numbers_moves = habit.originator, habit.number
        return before != (habit.originator, habit.number)

    def takes_for_another(self, move: OpenMove) -> bool:
        """Whether a C-STORE of this move could be of one that is not the same."""
        alike = _Alike.of(move)
        return any(
            other != alike
            and (other.shown_caller == move.shown_caller or not self.names_originator)
            for other in self.numbered.get(move.onward_message_id, ())
        )

    def free(self, taken: Container[int]) -> int:
        """A Message ID that is told nobody; looked for where the last one was found. 0 = there is none."""
        order = chain(range(self._last - 1, 0, -1), range(0xFFFF, self._last - 1, -1))
        found = next((n for n in order if n not in self.numbered and n not in taken), 0)
        self._last = found or self._last
        return found


class Moves:
    """The open C-MOVEs of a relay. A peer can open thousands, so none is looked for among all.

    `waiting` counts the C-MOVEs that wait for another one to end; `stirred` = one has ended since; `own`
    those that this process has opened and not closed.
    """

    def __init__(self, store: Store = _ALONE) -> None:
        self._store = store
        self._archives: dict[str, _Archive] = {}
        self.waiting = 0
        self.stirred = False
        self.own = 0

    def catch_up(self) -> None:
        """Takes in what other processes have done."""
        if not self._store.changed():
            return
        for change in self._store.load():
            if isinstance(change, Opened):
                self._remember(change.move)
            elif isinstance(change, Ended):
                self._end(change)
            else:
                self._archive(change.archive).named(change)

    def look(self) -> None:
        """Takes in what C-MOVEs may have waited for: what ended in other processes, and lingers no more."""
        self.catch_up()
        for name, known in self._archives.items():
            if self._look_elsewhere(name, known):
                self.stirred = self.waiting > 0

    def _look_elsewhere(self, name: str, known: _Archive) -> bool:
        return bool(known.elsewhere) and known.linger_no_more(self._store.attended_since(name))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process opens a move meanwhile: what is looked up still holds when one is opened."""
        with self._store.transaction():
            self.catch_up()
            yield

    def open(self, wanted: OpenMove, taken: Container[int]) -> OpenMove:
        """Remembers a C-MOVE, as it is or with another `onward_message_id`.

        The Message ID goes on unchanged, unless the archive has a move that would look the same and is not:
        then another one is told to it, which is not in `taken` either. Raises RemoteProtocolError where none
        is left.
        """
        with self.alone():
            known = self._archive(wanted.archive)
            self._look_elsewhere(wanted.archive, known)
            move = replace(wanted)  # an identity of its own
            if known.takes_for_another(move):
                onward = known.free(taken)
                if not onward:
                    text = f"no Message ID is left for {wanted.caller} to {wanted.archive}"
                    raise RemoteProtocolError(text, AbortReason.NOT_SPECIFIED)
                move = replace(wanted, onward_message_id=onward)
            self._remember(move)
            self._store.add(move)
        self.own += 1
        return move

    def close(self, move: OpenMove, *, cut: bool = False) -> None:
        """Forgets a C-MOVE that was answered; `cut` = it was cancelled, or its association ended."""
        known = self._archives.get(move.archive)
        if known is not None and move in known.open:
            self._end(Ended(move, cut, self._store.remove(move, cut=cut)))
            self._look_elsewhere(move.archive, known)
            self.own -= 1

    def _archive(self, name: str) -> _Archive:
        known = self._archives.get(name)
        if known is None:
            known = self._archives[name] = _Archive()
        return known

    def _remember(self, move: OpenMove) -> None:
        known = self._archive(move.archive)
        known.open.add(move)
        known.remember(move)

    def _end(self, ended: Ended) -> None:
        """A move that is open is so no more."""
        move, known = ended.move, self._archive(ended.move.archive)
        known.open.remove(move)
        for attendance in known.attendances:
            self._linger(known, attendance, move, cut=ended.cut)
        known.linger_elsewhere(ended)
        known.forget(move)
        self.stirred = self.waiting > 0

    def _linger(
        self, known: _Archive, attendance: Attendance, move: OpenMove, *, cut: bool
    ) -> None:
        attendance.ended.add(move, cut=cut)
        known.remember(move)
        if len(attendance.ended) > MAX_LINGERING:
            oldest = next(iter(attendance.ended))
            attendance.ended.remove(oldest)
            known.forget(oldest)

    def attend(self, archive: str) -> Attendance:
        """The archive has an association that C-STOREs may come on; to be given back with `leave`."""
        with self.alone():  # what has ended by now is not of this association
            attendance = Attendance(archive, self._store.attend(archive))
        self._archive(archive).attendances[attendance] = None
        return attendance

    def leave(self, attendance: Attendance) -> None:
        """The association ended."""
        known = self._archives[attendance.archive]
        del known.attendances[attendance]
        self._store.leave(attendance.told)
        for move in attendance.ended:
            known.forget(move)
        self.stirred = self.waiting > 0

    def destinations(self, archive: str) -> frozenset[str]:
        """Where this archive may have to send to: names of AEs."""
        return frozenset(move.destination for move in self.at(archive))

    def at(self, archive: str) -> tuple[OpenMove, ...]:
        """What this archive has been asked to move and has not finished."""
        self.catch_up()
        known = self._archives.get(archive)
        return () if known is None else tuple(known.open)

    def knows(self, archive: str) -> bool:
        """Whether this archive has been asked to move anything, or has had an association for it."""
        self.catch_up()
        return archive in self._archives

    def causing(self, archive: str, said: Said, attendance: Attendance | None) -> list[OpenMove]:
        """The moves that a C-STORE may be of; what ended by itself is asked last: nothing is due of it."""
        self.catch_up()
        known = self._archives.get(archive)
        if known is None:
            return []
        found = known.open.fitting(said)
        if attendance is None:
            return found
        found += attendance.ended.fitting(said, cut=True)
        return found or attendance.ended.fitting(said)

    def named(self, archive: str, *, originator: bool, number: bool) -> None:
        """What an archive said in the C-STORE of a move: the caller's title, its Message ID."""
        habit = Named(archive, originator, number)
        if self._archive(archive).named(habit):
            self._store.name(habit)

    def must_wait(self, wanted: OpenMove, *, silent: bool) -> bool:
        """Whether a move could not be told from one that is open, at an archive that does not number them.

        `silent` = the configuration says that it names no originator; else its last C-STORE tells.
        """
        self.catch_up()
        known = self._archives.get(wanted.archive)
        if known is None or (known.numbers_moves and not silent):
            return False
        self._look_elsewhere(wanted.archive, known)
        named = known.names_originator and not silent
        return any(
            move.shown_destination == wanted.shown_destination
            and move.destination != wanted.destination
            and not (named and move.shown_caller != wanted.shown_caller)
            for move in self._unfinished(known)
        )

    def _unfinished(self, known: _Archive) -> Iterator[OpenMove]:
        yield from known.open
        for attendance in known.attendances:
            yield from attendance.ended.cut_short
        yield from (ended.move for ended in known.elsewhere.values() if ended.cut)
