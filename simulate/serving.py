"""What an AE does when it is asked: it answers, late, twice or never; an archive calls back for a move."""

from __future__ import annotations

from functools import partial

from simulate.border import called_by, title_of
from simulate.ledger import CANCELLED, Asked, Match, found, require
from simulate.peer import Peer
from simulate.scene import Speaker
from simulate.script import Steps, Wait
from tests.relay import wire
from tests.relay.hospital import STORE
from tests.relay.listener import Heard
from tests.relay.world import number_of

LONG = 1e6  # seconds
PENDING, FAILED = 0xFF00, 0xA700


class Serving(Peer):
    """An AE that is asked; `busy` = it has not done what it was asked first."""

    busy = False

    def serve(self) -> Steps:
        """Answers one request after the other."""
        while True:
            yield Wait(LONG, lambda: bool(self.requests))
            if not self.requests:
                continue
            asked, message = self.requests.popleft()
            self.busy = True
            yield Wait(self.habits.delay(self.scene.chance))
            if self.scene.chance.random() < self.habits.forgets:
                self.scene.covered["answers never"] += 1
            elif self.scene.chance.random() < self.habits.fails:
                self.respond(asked, message, FAILED)
            elif message.field == wire.C_FIND:
                yield from self._find(asked, message)
            elif message.field == wire.C_GET:
                yield from self._get(asked, message)
            elif message.field == wire.C_MOVE:
                yield from self._move(asked, message)
            else:
                self.respond(asked, message, 0)
            self.busy = False

    def _is_cancelled(self, asked: Asked, message: Heard) -> bool:
        if number_of(message) not in self.cancelled:
            return False
        self.scene.covered["cancelled"] += 1
        self.respond(asked, message, CANCELLED)
        return True

    def _find(self, asked: Asked, message: Heard) -> Steps:
        chance, ledger = self.scene.chance, self.scene.ledger
        for _ in range(chance.randint(0, 4)):
            tag = ledger.tag()
            ledger.matches[tag] = Match(asked, self.name)
            own = title_of(self.name, self.network)
            self.respond(asked, message, PENDING, found(own, tag))
            if chance.random() < 0.3:
                yield Wait(self.habits.delay(chance))
            if self._is_cancelled(asked, message):
                return
        self.respond(asked, message, 0)

    def _get(self, asked: Asked, message: Heard) -> Steps:
        """Sub-operations come on the same association (PS3.4 C.4.3.2)."""
        for _ in range(self.scene.chance.randint(0, 3)):
            if STORE not in self.contexts:
                break
            stored = self.store((asked.asking,), asked)
            self.ask(stored, wire.store_rq(stored.number, f"1.2.{int(stored.tag)}"))
            yield Wait(10.0, partial(self._is_answered, stored.number))
            if self._is_cancelled(asked, message):
                return
        self.respond(asked, message, 0)

    def _is_answered(self, number: int) -> bool:
        return number not in self.outstanding

    def _move(self, asked: Asked, message: Heard) -> Steps:
        assert message.command is not None
        title = message.command[wire.DESTINATION].decode().strip()
        meant = asked.destination in called_by(title, self.network)
        require(meant, f"a move to {asked.destination} goes to {title}")
        asked.told[self.name] = number_of(message)
        self.scene.covered["moves"] += 1
        chance = self.scene.chance
        storing: Speaker | None = None
        if chance.random() < 0.9:
            storing = self.scene.back(self.name, title, number_of(message), asked)
        if chance.random() < 0.5:
            self.respond(asked, message, PENDING)
        if storing is not None:
            yield from self._wait_for(storing, message)
        if not self._is_cancelled(asked, message):
            self.respond(asked, message, 0)

    def _wait_for(self, storing: Speaker, message: Heard) -> Steps:
        """Some answer before all is stored, but not before they could begin to.

        Who does not say which move an object is of may not: nobody could know (PS3.4 C.4.2.3).
        """
        early = self.scene.chance.random() < 0.1 and not self.scene.is_silent(self.name)
        if not early:
            yield Wait(LONG, lambda: storing.gone or number_of(message) in self.cancelled)
        yield Wait(LONG, lambda: storing.gone or storing.answered)
