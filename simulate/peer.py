"""One connection of an AE: what it says and hears, and that it hears nothing that may not be."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Final

from simulate.border import network_of
from simulate.habits import Habits
from simulate.ledger import ECHOES, Asked, BrokenError, Moment, require
from simulate.lines import Plug
from simulate.scene import Scene
from simulate.script import Script, Steps
from tests.relay import wire
from tests.relay.hospital import STORE
from tests.relay.listener import Heard, Listener
from tests.relay.wire import p_data, pdv
from tests.relay.world import ABORT, AC, RESPONSE, RJ, items, number_of

RELEASE_RQ, RELEASE_RP = 5, 6
ENDED: Final = (RJ, ABORT)


class Peer:
    """`takes` = the longest P-DATA-TF that it takes, in bytes; 0 = any."""

    def __init__(self, scene: Scene, name: str, plug: Plug) -> None:
        self.scene = scene
        self.name = name
        self.network = network_of(name)
        self.moment = Moment()
        self.habits = Habits.drawn(scene.chance, kind=scene.kind)
        self.plug = plug
        self.label = f"{name}#{scene.number()}"
        self.heard = Listener(self.habits.takes)
        self.room = 0  # what the other end takes
        self.contexts: dict[int, str] = {}  # accepted
        self.outstanding: dict[int, Asked] = {}
        self.requests: deque[tuple[Asked, Heard]] = deque()
        self.cancelled: set[int] = set()
        self.gone = False
        self.broken_off = (
            False  # within a message, of which whatever it said now would be taken for the rest
        )
        self.scripts: list[Script] = []
        self._outbox = bytearray()
        self._number = 4
        self._controls = 0
        self._begun = 0
        self._ended = 0
        plug.hearer = self
        scene.peers.append(self)

    # What it says

    def start(self, steps: Steps) -> None:
        """Does this, besides what it does already."""
        if not self.gone:
            self.scripts.append(Script(self.scene.loop, steps))

    def say(self, data: bytes, what: str = "") -> None:
        if self.gone or self.broken_off:
            return
        self.scene.trace(self.label, "says", what or data[:12].hex(" "), len(data))
        self._outbox += data
        self.writable()

    def writable(self) -> None:
        while self._outbox and (taken := self.plug.write(bytes(self._outbox))):
            del self._outbox[:taken]

    def leave(self) -> None:
        """Closes its connection."""
        if not self.gone:
            self.scene.trace(self.label, "closes")
            self.plug.close()
            self.closed("by itself")

    def ask(self, asked: Asked, elements: wire.Elements, *, share: float = 1.0) -> Asked:
        """Says a request with its data set; only this share of the bytes, if it is to be cut off."""
        self.outstanding[asked.number] = asked
        self.scene.ledger.add(asked)
        raw = self.message(asked.context_id, elements, asked.data)
        asked.whole = share == 1.0 and not self.broken_off
        self.say(raw[: int(len(raw) * share)], f"{asked.field:04X}H {asked.number} {asked.tag}")
        self.broken_off = self.broken_off or share < 1.0
        return asked

    def request(self, field: int, context_id: int, called: tuple[str, ...]) -> Asked:
        """One more, of these AEs."""
        tag = self.scene.ledger.tag()
        self._number += 1
        number = ECHOES + int(tag) if field == wire.C_ECHO else self._number
        return Asked(tag, self.name, self.moment, field, context_id, number, called=called)

    def store(self, called: tuple[str, ...], cause: Asked | None = None) -> Asked:
        """A C-STORE of an object that nobody has seen."""
        asked = self.request(wire.C_STORE, STORE, called)
        asked.receiver = called[0] if len(called) == 1 else ""
        if cause is not None:
            asked.cause, asked.moment = cause, cause.moment if self.called == "" else self.moment
        asked.data = self.scene.chance.randbytes(2 * self.habits.drawn_size(self.scene.chance))
        return asked

    def respond(self, asked: Asked, message: Heard, status: int, data: bytes = b"") -> None:
        """Says a response to what it was asked."""
        asked.statuses.add(status)
        comment = {wire.ERROR_COMMENT: b"inside"} if self.habits.comments else {}
        number = number_of(message)
        elements = wire.response(message.field, number, None, status, data=bool(data), more=comment)
        raw = self.message(message.context_id, elements, data)
        times = 2 if status != 0xFF00 and self.scene.chance.random() < self.habits.repeats else 1
        if times > 1:
            self.scene.covered["answers twice"] += 1
        for _ in range(times):
            self.say(raw, f"{message.field | RESPONSE:04X}H {number} {status:04X}H {asked.tag}")

    def message(self, context_id: int, elements: wire.Elements, data: bytes) -> bytes:
        """In fragments that the other end takes."""
        most = (self.room or 1 << 16) - 6
        raw = wire.commands_of(context_id, wire.command_set(elements), most - most % 2)
        if elements[wire.DATA_SET_TYPE] == wire.NO_DATA:
            return raw
        chance = self.scene.chance
        size = min(most - most % 2, chance.choice((64, 200, 1000, 1 << 16)))
        edges = [*range(0, len(data), size), len(data)]
        parts = [data[a:b] for a, b in pairwise(edges)]
        pdvs = [pdv(context_id, 2 * (i == len(parts) - 1), part) for i, part in enumerate(parts)]
        if sum(map(len, pdvs)) <= most and chance.random() < 0.5:
            return raw + p_data(*pdvs)
        return raw + b"".join(map(p_data, pdvs))

    # What it hears

    def received(self, data: bytes) -> None:
        try:
            self.heard.feed(data)
            self._look()
        except BrokenError:
            raise
        except (AssertionError, KeyError, ValueError, IndexError) as error:
            raise BrokenError(f"{self.label} cannot read what it hears: {error!r}") from error
        self.scene.poke()

    def closed(self, why: str) -> None:
        """Nothing is heard any more."""
        if self.gone:
            return
        self.gone = True
        self.leave_asked()
        self.scene.trace(self.label, "is closed", why)
        self._check_half()
        for script in self.scripts:
            script.stop()
        self.scripts.clear()
        self.plug.close()
        self.scene.poke()

    def leave_asked(self) -> None:
        """Waits no more for what it has asked."""
        for asked in self.outstanding.values():
            asked.left = True

    def poke(self) -> None:
        for script in [*self.scripts]:
            script.poke()

    @property
    def controls(self) -> list[int]:
        return [kind for kind, _ in self.heard.controls]

    @property
    def answered(self) -> bool:
        """Whether anything but messages has been heard."""
        return bool(self.controls)

    @property
    def over(self) -> bool:
        """Whether there is no association any more, or none came to be."""
        return self.gone or any(kind in ENDED for kind in self.controls)

    def _look(self) -> None:
        while self._controls < len(self.heard.controls):
            kind, body = self.heard.controls[self._controls]
            self._controls += 1
            self.scene.trace(self.label, "hears", f"PDU {kind}", len(body))
            self._control(kind, body)
        messages = self.heard.messages
        while self._begun < len(messages) and messages[self._begun].command is not None:
            message = messages[self._begun]
            self._begun += 1
            require(message.context_id in self.contexts, f"{self.label}: not accepted")
            if message.field == wire.C_STORE:
                self._asked(message)
        while self._ended < self._begun and messages[self._ended].complete:
            self._ended += 1
            self._whole(messages[self._ended - 1])

    def _control(self, kind: int, body: bytes) -> None:
        if kind == ABORT and self.scene.kind and self.called:
            raise BrokenError(f"{self.label} is aborted without a reason")
        if kind == RELEASE_RQ and self.habits.releases:
            self.say(wire.RELEASE_RP, "A-RELEASE-RP")
        elif kind in (*ENDED, RELEASE_RP):
            self.scene.loop.call_later(self.habits.lingers, self.leave)
        elif kind == AC:
            self.agree(body)

    def agree(self, body: bytes) -> None:
        """What the other end accepts, or asks for: its longest P-DATA-TF."""
        for kind, content in items(body[68:]):
            if kind == 0x21 and content[2] == 0:
                self.contexts[content[0]] = ""
            if kind == 0x50:
                for number, value in items(content):
                    if number == 0x51:
                        self.room = int.from_bytes(value, "big")

    def _asked(self, message: Heard) -> None:
        asked = self.scene.ledger.request(message)
        if asked is not None:
            self.scene.ledger.heard_request(self.name, asked)

    def _whole(self, message: Heard) -> None:
        assert message.command is not None
        self.scene.trace(
            self.label, "hears", f"{message.field:04X}H {number_of(message)}", len(message.data)
        )
        if message.field & RESPONSE:
            self._answered(message)
        elif message.field == wire.C_CANCEL:
            self.cancelled.add(number_of(message))
        else:
            asked = self.scene.ledger.request(message)
            require(asked is not None, f"nobody asks {self.label} for {message.field:04X}H")
            assert asked is not None
            if message.field == wire.C_STORE:
                self.scene.ledger.heard_object(self.name, asked, message)
            else:
                self.scene.ledger.heard_request(self.name, asked)
            self.requests.append((asked, message))

    def _answered(self, message: Heard) -> None:
        assert message.command is not None
        number, ledger = number_of(message), self.scene.ledger
        asked = self.outstanding.get(number)
        require(asked is not None, f"{self.label} has not asked for {number}")
        assert asked is not None
        same = (asked.field, asked.context_id) == (message.field & ~RESPONSE, message.context_id)
        require(same, f"{self.label}: {number} is answered by something else")
        status = int.from_bytes(message.command[wire.STATUS], "little")
        crosses = all(network_of(one) != self.network for one in asked.called)
        require(not crosses or wire.ERROR_COMMENT not in message.command, "an error comment passed")
        if status == 0xFF00:
            if asked.field == wire.C_FIND:
                ledger.heard_match(self.name, asked, bytes(message.data), self.called)
            return
        del self.outstanding[number]
        self.scene.covered["answers"] += 1
        if len(asked.called) == 1:
            ledger.check_status(asked, status)

    @property
    def called(self) -> str:
        """The title that it has called; "" = it was called itself."""
        return ""

    def _check_half(self) -> None:
        """What came of an object is the beginning of it."""
        if not self.heard.messages or (message := self.heard.messages[-1]).complete:
            return
        if message.command is not None and message.field == wire.C_STORE:
            asked = self.scene.ledger.request(message)
            assert asked is not None
            require(asked.data.startswith(bytes(message.data)), f"half of another: {asked.tag}")
            self.scene.covered["objects cut"] += 1
