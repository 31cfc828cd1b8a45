"""Who calls the relay: workstations, modalities, and archives that store what a move has asked for."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final

from simulate.border import GROUPS, OF_CONTEXT, TITLE, Version, called_by, entities, title_of
from simulate.ledger import Asked, remark, require
from simulate.lines import Plug
from simulate.network import Socket
from simulate.peer import RELEASE_RP
from simulate.scene import Scene
from simulate.script import Steps, Wait
from simulate.serving import Serving
from tests.relay import wire
from tests.relay.hospital import CONTEXTS, ECHO, FIND, GET, MOVE, STORE
from tests.relay.wire import Asked as Context
from tests.relay.world import AC, RJ

PATIENCE: Final = 30.0  # seconds that a caller waits for an answer
KIND_PATIENCE: Final = 500.0  # the same where it must come
# By title: whom it calls, and where it may ask an archive to send to.
CALLS: Final = (
    *(("WS1", "HB_PACS"),) * 4,
    ("WS2", "HB_PACS"),
    *(("WS3", "HB_PACS"),) * 2,
    *(("WS4", "HB_PACS"),) * 2,
    *(("WS5", "HB_PACS"),) * 2,
    ("MOD1", "HB_PACS"),
    ("MOD1", "HB_OLD"),
    ("WS1", "HB_OLD"),
    *(("WS1", "ALL"), ("WS1", "EVERY")) * 2,
    ("WS1", TITLE),
    ("WS2", "NOBODY"),
    ("ARCHIVE", "HA_WS2"),
    ("ARCHIVE", "HA_WS1"),
)
BEHIND_ONE_TITLE: Final = (("WS3", "HB_PACS"), ("WS4", "HB_PACS"), ("WS5", "HB_PACS"))
DESTINATIONS: Final = ("WS1", "WS2", "WS3", "WS4", "WS5", "MOD1", "OLD")
STORING: Final = (
    Context(ECHO, wire.VERIFICATION),
    Context(STORE, wire.CT, (wire.IMPLICIT, wire.JPEG)),
)
ROLE: Final = wire.role(wire.CT, 1, 1)
ODDITIES: Final = (
    wire.rj(1, 1, 1),
    wire.pdu(9, b""),
    wire.pdu(7, b"12345"),
    wire.fragment(STORE, b"nobody's"),
    wire.command(ECHO, {}),
    wire.command(99, wire.echo_rq(1)),
    wire.p_data(wire.pdv(ECHO, 1, b"")),
    wire.RELEASE_RP,
    wire.abort(2, 3),
    b"GET / HTTP/1.1\r\n\r\n",
)


class Caller(Serving):
    """An AE that opens an association with a title."""

    def __init__(self, scene: Scene, name: str, title: str, plug: Plug) -> None:
        super().__init__(scene, name, plug)
        self._title = title
        self._request = b""
        self.of: Asked | None = None  # the move that it stores for
        self.originator: tuple[str, int] | None = None
        self.proposed: tuple[Context, ...] = CONTEXTS

    @property
    def called(self) -> str:
        return self._title

    @property
    def callees(self) -> tuple[str, ...]:
        """Whom a message can be for."""
        if self.of is not None:
            return (self.of.destination,)
        if self._title in GROUPS:
            return GROUPS[self._title]
        return () if self._title == TITLE else tuple(called_by(self._title, self.network))

    def watch(self, sock: Socket) -> None:
        """Watches for the moment when the relay has read the request."""
        request = len(self._request)

        def read(taken: int) -> None:
            if taken >= request and self.moment.version is None:
                self.moment.version = self.scene.version
                sock.heard = None

        sock.heard = read

    def propose(self) -> None:
        """Draws what it asks for."""
        chance = self.scene.chance
        contexts = [one for one in self.proposed if chance.random() < 0.9] or [self.proposed[0]]
        self.proposed = tuple(contexts)
        own = title_of(self.name, self.network)
        roles = self.of is None and chance.random() < 0.7
        extras = [ROLE] if roles else []
        self._request = wire.rq(self._title, own, contexts, self.habits.takes, extras)

    def say_nothing(self) -> Steps:
        """Connects, and leaves much later."""
        self.scene.covered["mute"] += 1
        yield Wait(1000.0)
        self.leave()

    def call(self) -> Steps:
        """The whole of it."""
        chance = self.scene.chance
        self.say(self._request, "A-ASSOCIATE-RQ")
        if not (yield from self._until(lambda: bool(self.controls))):
            yield from self._give_up()
            return
        self._check_answer()
        if self.controls[0] != AC:
            return
        self.scene.covered["associations"] += 1
        self.start(self.serve())
        for _ in range(chance.randint(0, 5)):
            yield Wait(self.habits.delay(chance))
            if self.over:
                return
            if chance.random() < self.habits.offends:
                self.scene.covered["offences"] += 1
                self.say(chance.choice(ODDITIES), "something odd")
            elif self.contexts:
                yield from self._operation()
        yield from self._finish()

    def store_all(self) -> Steps:
        """Of an archive: the objects of a move."""
        chance = self.scene.chance
        self.say(self._request, "A-ASSOCIATE-RQ")
        came = yield from self._until(lambda: bool(self.controls))
        if not came or self.controls[0] != AC:
            yield Wait(2.0)
            self.leave()
            return
        self.scene.covered["associations of moves"] += 1
        for _ in range(chance.randint(1, 3)):
            if STORE in self.contexts:
                yield from self._store()
        yield from self._finish()
        self.leave()

    def _until(self, ready: Callable[[], bool]) -> Generator[Wait, bool, bool]:
        """Whether it came in time; where everybody behaves it must."""
        kind = self.scene.kind
        came = yield Wait(KIND_PATIENCE if kind else PATIENCE, lambda: ready() or self.over)
        require(came or not kind, f"{self.label} waits in vain")
        return came and ready()

    def _check_answer(self) -> None:
        """By the rules of that moment, where they say it all."""
        version = self.moment.version
        require(version is not None, f"{self.label} is answered and has not been read")
        assert version is not None
        if self.of is not None or len(self.callees) != 1:
            return
        (callee,) = self.callees
        kind, body = self.heard.controls[0]
        proposed = [one.context_id for one in self.proposed]
        if kind == RJ and self.network == "inside" and body[1:4] in (b"\1\1\7", b"\1\1\1"):
            allowed = [
                one for one in proposed if version.allows(self.name, callee, OF_CONTEXT[one])
            ]
            require(not allowed, f"{self.label} is rejected; {version.number} allows {allowed}")
            self.scene.covered["rejected by rules"] += 1
        elif kind == AC and self.network == "inside":
            may = version.contexts(self.name, callee, proposed)
            passed = self.contexts.keys() <= may
            require(passed, f"{self.label} is accepted {[*self.contexts]}, may {sorted(may)}")

    def _operation(self) -> Steps:
        contexts = [*self.contexts]
        if MOVE in contexts and self.scene.chance.random() < 0.3:
            contexts = [MOVE]
        match self.scene.chance.choice(contexts):
            case context_id if context_id == STORE:
                yield from self._store()
            case context_id if context_id == ECHO:
                asked = self.request(wire.C_ECHO, ECHO, self.callees)
                asked.called = self.callees
                yield from self._await(asked, wire.echo_rq(asked.number))
            case context_id if context_id == FIND:
                yield from self._query(wire.C_FIND, FIND)
            case context_id if context_id == GET:
                yield from self._query(wire.C_GET, GET)
            case _:
                yield from self._query(wire.C_MOVE, MOVE)

    def _query(self, field: int, context_id: int) -> Steps:
        """A C-FIND, C-GET or C-MOVE, which may be cancelled."""
        chance = self.scene.chance
        asked = self.request(field, context_id, self.callees)
        asked.data = remark(asked.tag)
        if field == wire.C_MOVE:
            destination = self.name if chance.random() < 0.6 else chance.choice(DESTINATIONS)
            title = title_of(destination, self.network)
            meant = [one for one in called_by(title, self.network) if entities()[one][3]]
            asked.destination = meant[0] if len(meant) == 1 else ""
            elements = wire.move_rq(asked.number, title)
        elif field == wire.C_GET:
            elements = wire.get_rq(asked.number)
        else:
            elements = wire.find_rq(asked.number)
        yield from self._await(asked, elements)

    def _await(self, asked: Asked, elements: dict[int, bytes]) -> Steps:
        chance = self.scene.chance
        self.ask(asked, elements)
        if asked.field not in (wire.C_ECHO, wire.C_STORE) and chance.random() < 0.2:
            yield Wait(self.habits.delay(chance))
            asked.cancelled = True
            self.say(wire.command(asked.context_id, wire.cancel_rq(asked.number)), "C-CANCEL-RQ")
        if chance.random() < 0.8:
            yield from self._until(lambda: asked.number not in self.outstanding)

    def _store(self) -> Steps:
        chance = self.scene.chance
        asked = self.store(self.callees, self.of)
        instance = f"1.2.{int(asked.tag)}"
        originator = self.originator
        asked.names_move = originator is not None
        elements = wire.store_rq(asked.number, instance, originator=originator)
        if not self.scene.kind and chance.random() < 0.1:
            self.ask(asked, elements, share=chance.random())
            self.scene.covered["objects cut by their sender"] += 1
            yield Wait(self.habits.delay(chance))
            yield from self._give_up()
            return
        yield from self._await(asked, elements)

    def _give_up(self) -> Steps:
        """One way or another."""
        if self.broken_off:
            yield Wait(self.habits.lingers)
        match self.scene.chance.randrange(4):
            case 0:
                self.leave()
            case 1:
                self.plug.line.reset()
            case 2:
                self.say(wire.abort(0, 0), "A-ABORT")
                yield Wait(self.habits.lingers)
                self.leave()
            case _:
                self.scene.covered["silent"] += 1

    def _finish(self) -> Steps:
        if self.over:
            return
        if not self.scene.kind and self.scene.chance.random() < 0.2:
            yield from self._give_up()
            return
        if self.scene.kind:
            yield from self._until(lambda: not (self.busy or self.requests or self.outstanding))
        self.leave_asked()
        self.say(wire.RELEASE_RQ, "A-RELEASE-RQ")
        yield from self._until(lambda: RELEASE_RP in self.controls)

    def revoked(self, now: Version) -> bool | None:
        """Whether new rules take back what it was let through by; None = that is not stated here."""
        before = self.moment.version
        if before is None or self.of is not None or len(self.callees) != 1:
            return None
        (callee,) = self.callees
        proposed = [one.context_id for one in self.proposed]
        had = {one for one in proposed if before.allows(self.name, callee, OF_CONTEXT[one])}
        if not had <= now.contexts(self.name, callee, proposed):
            return True
        has = {one for one in proposed if now.allows(self.name, callee, OF_CONTEXT[one])}
        return False if before.contexts(self.name, callee, proposed) <= has else None
