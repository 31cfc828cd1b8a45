"""An AE that the relay calls: it accepts, refuses, says nothing, and answers what it is asked."""

from __future__ import annotations

from simulate.border import called_by
from simulate.ledger import require
from simulate.lines import Plug
from simulate.scene import Scene
from simulate.script import Steps, Wait
from simulate.serving import LONG, Serving
from tests.relay import wire
from tests.relay.wire import Given
from tests.relay.world import RQ, items


class Called(Serving):
    """The other end of an onward association."""

    def __init__(self, scene: Scene, name: str, plug: Plug) -> None:
        super().__init__(scene, name, plug)
        self.start(self._answer())

    def _answer(self) -> Steps:
        chance = self.scene.chance
        yield Wait(LONG, lambda: bool(self.controls))
        kind, body = self.heard.controls[0]
        require(kind == RQ, f"{self.label} hears PDU {kind} first")
        calling = body[20:36].decode().strip()
        require(called_by(calling, self.network), f"{self.label} is called by {calling}")
        yield Wait(self.habits.delay(chance))
        outcome = 1.0 if self.scene.kind else chance.random()
        if outcome < 0.03:
            self.say(chance.choice((wire.rj(1, 1, 3), wire.rj(2, 3, 1), wire.abort(0, 0))), "no")
            self.scene.covered["refused by the AE"] += 1
            return
        if outcome < 0.05:
            self.scene.covered["answers never"] += 1
            return
        if outcome < 0.06:
            self.say(b"HTTP/1.1 400 Bad Request\r\n\r\n", "something odd")
            return
        self._accept(body)
        yield from self.serve()

    def _accept(self, body: bytes) -> None:
        chance = self.scene.chance
        proposed = _proposed(body)
        refused = chance.choice((*proposed,)) if chance.random() < 0.1 else 0
        given = [
            Given(one, 3 if one == refused else 0, chance.choice(syntaxes))
            for one, syntaxes in proposed.items()
        ]
        self.agree(body)
        self.contexts = {one.context_id: one.transfer for one in given if not one.result}
        roles = [wire.role(wire.CT, 1, 1)] if wire.role(wire.CT, 1, 1) in body else []
        self.say(wire.ac(given, self.habits.takes, roles), "A-ASSOCIATE-AC")
        if not self.scene.kind and chance.random() < 0.05:
            self.scene.loop.call_later(self.habits.delay(chance), self._break_off)

    def _break_off(self) -> None:
        """A PACS that restarts, or asks to release."""
        match self.scene.chance.randrange(4):
            case 0:
                self.leave()
            case 1:
                self.say(wire.RELEASE_RQ, "A-RELEASE-RQ")
            case 2:
                self.plug.line.reset()
            case _:
                self.say(wire.abort(2, 0), "A-ABORT")


def _proposed(body: bytes) -> dict[int, list[str]]:
    """Transfer syntaxes by context id."""
    found = {}
    for kind, content in items(body[68:]):
        if kind == 0x20:
            found[content[0]] = [v.decode() for number, v in items(content[4:]) if number == 0x40]
    return found
