"""One seed: who is there, what they do, what befalls them; then the network heals and all must end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from simulate import border
from simulate.called import Called
from simulate.caller import BEHIND_ONE_TITLE, CALLS, STORING, Caller
from simulate.ledger import Asked, BrokenError
from simulate.lines import LATENCIES, Line
from simulate.network import Socket
from simulate.relay import House, Watched, simulated
from simulate.scene import Scene, Spoken
from simulate.script import Steps

CHAOS: Final = 60.0  # seconds until the network heals
# Then all that is under way ends: each timer may have to run out for each of a few things in a row.
PEACE: Final = 3000.0


@dataclass
class Outcome:
    """What came of a seed; `error` None = everything held."""

    seed: int
    covered: Counter[str]
    steps: int
    error: BaseException | None = None
    conversation: list[Spoken] = field(default_factory=list)


class World:
    """The scene with everybody on it."""

    def __init__(self, scene: Scene, house: House) -> None:
        chance = scene.chance
        self.scene = scene
        self.house = house
        # Some of them, so that those who are there meet.
        self.calls = chance.choices(CALLS, k=chance.choice((1, 2, 3, 8)))
        if chance.random() < 0.2:
            self.calls = [*BEHIND_ONE_TITLE]
        self.served: list[tuple[Caller, Watched]] = []
        for name, (_, _, _, address) in border.entities().items():
            scene.network.answers[address] = self._answering(name)
        scene.network.answers[border.NOWHERE] = self._nobody
        scene.loop.hosts[border.NAMED] = [border.NOWHERE, border.entities()["OLD"][3]]
        scene.back = self._store_back

    def _answering(self, name: str) -> Callable[[Line], str]:
        scene = self.scene

        def answer(line: Line) -> str:
            roll = 1.0 if scene.kind else scene.chance.random()
            if roll < 0.04:
                return "refused" if roll < 0.02 else "silent"
            scene.befall(line)
            Called(scene, name, line.far)
            return ""

        return answer

    def _nobody(self, _: Line) -> str:
        return "silent" if self.scene.chance.random() < 0.5 else "refused"

    def _caller(self, name: str, title: str) -> tuple[Caller, Socket]:
        """Somebody who has called, and is not accepted yet."""
        line, sock = self.scene.called(name, border.entities()[name][3])
        caller = Caller(self.scene, name, title, line.far)
        if name == "ARCHIVE":
            caller.proposed = STORING
        return caller, sock

    def _store_back(self, archive: str, title: str, number: int, asked: Asked) -> Caller:
        """A C-MOVE has the archive call the destination that it was told."""
        caller, sock = self._caller(archive, title)
        caller.of = asked
        caller.proposed = STORING
        if not self.scene.is_silent(archive):
            who = asked.asking if self.scene.naming[archive] == "names" else archive
            caller.originator = border.title_of(who, caller.network), number
        later = self.scene.chance.choice(LATENCIES)
        self.scene.loop.call_later(later, self._arrive, caller, sock, caller.store_all)
        return caller

    def _call(self) -> None:
        """One more caller."""
        caller, sock = self._caller(*self.scene.chance.choice(self.calls))
        if not self.scene.kind and self.scene.chance.random() < 0.05:
            self._arrive(caller, sock, caller.say_nothing)
        else:
            self._arrive(caller, sock, caller.call)

    def _arrive(self, caller: Caller, sock: Socket, steps: Callable[[], Steps]) -> None:
        if self.house.stops:
            caller.plug.line.reset()
            return
        caller.propose()
        caller.watch(sock)
        session = self.house.knock(sock, caller.network)
        caller.moment.is_over = lambda: session.join.ended
        self.served.append((caller, session))
        caller.start(steps())

    def plan(self) -> None:
        """Draws what happens when."""
        scene, chance = self.scene, self.scene.chance
        at = scene.loop.call_at
        for _ in range(chance.randint(1, 5)):
            at(chance.choice((0.0, 0.5, 1.0, 2.0, 5.0, 10.0)), self._call)
        for number in range(1, 1 + chance.choice((0, 0, 1, 1, 2, 3))):
            at(chance.choice((0.5, 1.0, 2.0, 4.0, 10.0)), self._reload, number)
        for when in range(1, int(CHAOS), 2):
            at(when + 0.1, self.house.look)
        if scene.kind:
            return
        for _ in range(chance.choice((0, 0, 1, 3))):
            at(chance.uniform(0, 12.0), self.house.expire_one)
        if chance.random() < 0.05:
            at(chance.uniform(0, 12.0), self.house.stop, chance.choice((0.5, 2.0, 30.0)))

    def _reload(self, number: int) -> None:
        version = border.version(self.scene.chance, number, kind=self.scene.kind)
        standing = [one for one in self.served if not one[1].join.ended]
        self.house.reload(version)
        if not version.revokes:
            return
        for caller, session in standing:
            revoked = caller.revoked(version)
            if revoked is not None and revoked != session.join.ended:
                self.house.fault(f"{caller.label} is revoked: {revoked}, and not ended so")

    def end(self) -> None:
        """The network heals; the rest follows."""
        loop = self.scene.loop
        loop.run(CHAOS)
        if loop.error is None:
            self.scene.heal()
        loop.run(CHAOS + PEACE)
        if loop.error is None and (left := self.house.left):
            loop.error = BrokenError("not over: " + "; ".join(left))
        if loop.error is None:
            self._check_tasks()

    def _check_tasks(self) -> None:
        for task in self.scene.loop.tasks:
            if not task.done():
                self.scene.loop.error = BrokenError(f"{task} goes on")
            elif task.cancelled() or isinstance(task.exception(), (OSError, type(None))):
                continue  # that of a call is told to who has called
            else:
                self.scene.loop.error = task.exception()


def run(seed: int, *, traced: bool = False) -> Outcome:
    """Plays a seed."""
    chance = random.Random(seed)
    kind = chance.random() < 0.15
    version = border.version(chance, 0, kind=kind)
    scene = Scene(chance, version, kind=kind, traced=traced)
    limits = border.limits(chance, kind=kind)
    with simulated(scene) as made:
        house = made(version, limits)
        world = World(scene, house)
        world.plan()
        world.end()
        loop = scene.loop
        error = loop.error
        if error is not None:
            scene.trace("the watcher", "says", str(error))
        loop.close()
    for line in scene.network.lines:
        scene.covered.update({f"fault: {kind}": count for kind, count in line.struck.items()})
    return Outcome(seed, scene.covered, loop.steps, error, scene.conversation)
