"""Several legs whose peers say anything at any time: seeds that can be played again.

Whatever happens, what each end hears is whole messages one after the other, no object is completed but by
its sender, and when all timers have run out nothing is left of the association.
"""

from __future__ import annotations

import random

import pytest

from tests.relay import groups, hospital, sharing, wire
from tests.relay.hospital import CONTEXTS, ECHO, FIND, GET, MOVE, STORE
from tests.relay.listener import Listener
from tests.relay.playbook import INBOUND, receive, settled
from tests.relay.wire import Asked, Given, command, fragment
from ulproxy.pdu.fsm import State
from ulproxy.relay.effects import (
    CloseTransport,
    Effect,
    End,
    OpenTransport,
    SendData,
    StartTimer,
    StopTimer,
    Timer,
)
from ulproxy.relay.join import Join

STORING = (Asked(1, wire.VERIFICATION), Asked(3, wire.CT, (wire.JPEG, wire.IMPLICIT)))
MOVES = (sharing.TO_WS3, sharing.TO_WS4, ("WS5", "WS5", 7))
TOLD = (sharing.MOVE_3, sharing.MOVE_4, ("HOSP_A", 7))
LAST = (Timer.PATIENCE, Timer.IDLE)  # started again and again; the shell's clock sees to the order
SPOKEN = (State.Sta6, State.Sta7)


class Walk:
    """One association, the peers at its ends, and what they have completed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.group = self.random.random() < 0.4
        made = groups.border() if self.group else sharing.border(*MOVES)
        self.border = made()
        self.join = Join(self.border, hospital.peer() if self.group else hospital.OUTSIDE)
        self.open = {INBOUND}
        self.connecting: set[End] = set()
        self.timers: set[tuple[End, Timer]] = set()
        self.hears = {INBOUND: Listener()}
        self.completed: set[bytes] = set()
        self.objects = 0
        self.did(self.join.accepted())
        asked, titles = (CONTEXTS, ("ALL", "WS1")) if self.group else (STORING, ("HOSP_A", "PACS"))
        roles = [wire.role(wire.CT, 1, 1)]
        self.did(receive(self.join, INBOUND, wire.rq(*titles, asked, extras=roles)))

    def did(self, effects: list[Effect]) -> None:
        for effect in settled(effects):
            match effect:
                case SendData(end, data):
                    assert end in self.open
                    self.hears[end].feed(bytes(data))
                case OpenTransport(_, end):
                    self.connecting.add(end)
                    self.hears[end] = Listener()
                case CloseTransport(end):
                    self.gone(end)
                case StartTimer(end, timer):
                    self.timers.add((end, timer))
                case StopTimer(end, timer):
                    self.timers.discard((end, timer))
                case _:
                    pass
        heard = (one for listener in self.hears.values() for one in listener.messages)
        whole = {
            bytes(one.data) for one in heard if one.complete and one.data.startswith(b"object")
        }
        assert whole <= self.completed
        assert not self.join.ended or self.border.admission.total == 0

    def gone(self, end: End) -> None:
        self.open.discard(end)
        self.connecting.discard(end)
        self.timers = {one for one in self.timers if one[0] is not end}

    def lose(self, end: End) -> None:
        self.gone(end)
        self.did(self.join.lost(end, "reset"))

    def message(self) -> tuple[bytes, bytes]:
        """Something that one of the peers might say, and the object in it."""
        number = self.random.choice([1, 1, 2, 5])
        if self.random.random() < 0.4:
            self.objects += 1
            data = b"object%04d" % self.objects
            originator = self.random.choice([None, *TOLD])
            stored = command(STORE, wire.store_rq(number, originator=originator))
            return stored + fragment(STORE, data[:4], last=False) + fragment(STORE, data[4:]), data
        said = [
            command(STORE, wire.store_rsp(number, self.random.choice([0, 0xA700]))),
            command(ECHO, wire.echo_rq(number)),
            command(ECHO, wire.echo_rsp(number)),
        ]
        if self.group:
            said += [
                groups.find(number),
                groups.found("PACS", number),
                command(FIND, groups.final(wire.C_FIND, number)),
                command(FIND, wire.cancel_rq(number)),
                command(MOVE, wire.move_rq(number, "WS2")) + fragment(MOVE, b"keys"),
                command(MOVE, groups.final(wire.C_MOVE, number, completed=3)),
                command(GET, wire.get_rq(number)) + fragment(GET, b"keys"),
                command(GET, groups.final(wire.C_GET, number, 0xB000, failed=0xFFFF)),
            ]
        return self.random.choice(said), b""

    def answer(self, end: End) -> bytes:
        """To the last request that it has heard."""
        for one in reversed(self.hears[end].messages):
            if one.command is not None and one.complete and wire.MESSAGE_ID in one.command:
                number = int.from_bytes(one.command[wire.MESSAGE_ID], "little")
                return command(one.context_id, wire.response(one.field, number, None))
        return b""

    def step(self) -> None:
        if self.connecting and self.random.random() < 0.5:
            end = min(self.connecting, key=lambda one: one.number)
            if self.random.random() < 0.1:
                self.lose(end)
            else:
                self.connecting.discard(end)
                self.open.add(end)
                self.did(self.join.connected(end))
            return
        ends = [end for end in self.open if not self.join.on_hold(end)]
        if ends:
            self.speak(self.random.choice(sorted(ends, key=lambda one: one.number)))

    def speak(self, end: End) -> None:
        side, chance = self.join._ends.side(end), self.random.random()
        state = side.association.state
        if state is State.Sta5:
            proposed = self.join._ends.legs[end.number - 1].proposed.presentation_contexts
            given = [Given(c.context_id, 0, c.transfer_syntaxes[-1]) for c in proposed]
            self.did(receive(self.join, end, wire.ac(given) if chance < 0.9 else wire.rj(1, 1, 7)))
        elif chance < 0.85 and state in SPOKEN:
            said, data = (self.answer(end), b"") if chance < 0.3 else self.message()
            if not said:
                return
            cut = self.random.randrange(len(said)) if chance < 0.02 else len(said)
            self.completed |= {data} if cut == len(said) else set()
            self.did(receive(self.join, end, said[:cut]))
            if cut < len(said):
                self.lose(end)
        elif chance < 0.88 and state is State.Sta6:
            self.did(receive(self.join, end, wire.RELEASE_RQ))
        elif chance < 0.95 and state is State.Sta7:
            self.did(receive(self.join, end, wire.RELEASE_RP))
        elif chance < 0.96 and state in SPOKEN:
            self.did(receive(self.join, end, wire.abort(0, 0)))
        elif chance > 0.97 and self.timers:
            self.expire(self.random.choice(self.due()))

    def due(self) -> list[tuple[End, Timer]]:
        """Those that run, in the order that they run out in at the end."""
        return sorted(self.timers, key=lambda one: (one[1] in LAST, one[1].value, one[0].number))

    def expire(self, one: tuple[End, Timer]) -> None:
        self.timers.discard(one)
        self.did(self.join.expired(*one))

    def finish(self) -> None:
        if (INBOUND, Timer.PATIENCE) in self.timers:
            self.expire((INBOUND, Timer.PATIENCE))
        for _ in range(1000):
            while self.connecting:
                self.lose(min(self.connecting, key=lambda one: one.number))
            if not self.timers:
                break
            self.expire(self.due()[0])
        assert self.join.finished
        assert not self.open
        assert self.border.admission.total == 0
        assert self.border.moves.waiting == 0


@pytest.mark.parametrize("seed", range(0, 500, 100))
def test_nothing_is_left_and_nothing_is_mixed_up(seed):
    for number in range(seed, seed + 100):
        walk = Walk(number)
        for _ in range(walk.random.choice([20, 60, 150])):
            walk.step()
        walk.finish()
