"""Peers on several legs that say legal things, illegal things and halves of things, in any order.

What must hold after each step is in several.py; hypothesis looks for a conversation after which it does not.
"""

from __future__ import annotations

from collections.abc import Container
from itertools import pairwise
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.relay import groups, wire
from tests.relay.playbook import INBOUND
from tests.relay.several import COMMIT, ECHO, FIND, GET, MOVE, SETTINGS, STORE, Setting, Several
from tests.relay.test_join_machine import ODDITIES, PIECES
from tests.relay.wire import Given, p_data, pdv
from tests.relay.world import RESPONSE, items, number_of
from ulproxy.relay import legs
from ulproxy.relay.effects import End, Timer
from ulproxy.relay.ends import MAX_LEGS

ALL: Final = 1 << 20
QUIET: Final = 20  # steps before anybody who is not hostile does anything but talk
WHICH: Final = st.integers(0, 5)  # of the legs that stand
NUMBERS: Final = st.sampled_from([1, 1, 2, 5])
LENGTHS: Final = st.sampled_from([0, 16384, 64, 24])
ORIGINATORS: Final = st.sampled_from(
    [None, ("HOSP_A", 5), ("HOSP_A", 0xFFFF), ("HA_WS1", 6), ("PACS", 5), ("HOSP_A", 77)]
)
STATUSES: Final = st.sampled_from([0, 0, 0xFF00, 0xA700, 0xB000, 0xFE00])
INSTANCES: Final = st.sampled_from(["1.2.3", "1.2.3", "1.2.3", "../1"])
COMMENT: Final = {wire.ERROR_COMMENT: b"inside"}


@st.composite
def asked(draw, setting: Setting, end: End, accepted: Container[int]) -> tuple[int, wire.Elements]:
    """A request, or a C-CANCEL-RQ, of one of the ends, and its context."""
    number, instance = draw(NUMBERS), draw(INSTANCES)
    store = wire.store_rq(number, instance, originator=draw(ORIGINATORS))
    echo = wire.echo_rq(number)
    if end is not INBOUND:
        choices = [(STORE, store), (STORE, store), (ECHO, echo), (FIND, wire.cancel_rq(number))]
    elif setting.name == "shared":
        report = wire.request(wire.N_EVENT_REPORT, number, wire.COMMITMENT, data=True)
        choices = [(STORE, store)] * 4 + [(COMMIT, report), (ECHO, echo)]
        choices.append((STORE, wire.cancel_rq(number)))
    else:
        target = draw(st.sampled_from([setting.calling, "WS3", "NOBODY"]))
        choices = [
            (FIND, wire.find_rq(number)),
            (FIND, wire.find_rq(number)),
            (MOVE, wire.move_rq(number, target)),
            (GET, wire.get_rq(number)),
            (ECHO, echo),
            (STORE, store),
            (draw(st.sampled_from([FIND, MOVE, GET])), wire.cancel_rq(number)),
        ]
    possible = [choice for choice in choices if choice[0] in accepted] or choices
    chosen: tuple[int, wire.Elements] = draw(st.sampled_from(possible))
    return chosen


@st.composite
def data_sets(draw, context_id: int, pad: int, room: int) -> bytes:
    """(0010,4000), which no relay changes, with a number of its own in it; in fragments that fit."""
    value = f"{pad:08d}".encode() * draw(st.integers(1, 4))
    raw = bytes.fromhex("10000040") + len(value).to_bytes(4, "little") + value
    if context_id == COMMIT:
        uid = draw(st.sampled_from([b"1.2.3\0", b"1.2.5\0", b"1.2.9\0"]))
        raw = bytes.fromhex("0800951106000000") + uid + raw
    cuts = draw(st.lists(st.sampled_from(range(0, len(raw), 2)), max_size=2))
    edges = sorted([*cuts, *range(0, len(raw), room), len(raw)])
    parts = [raw[a:b] for a, b in pairwise(edges)]
    pdvs = [pdv(context_id, 2 * (i == len(parts) - 1), part) for i, part in enumerate(parts)]
    if sum(map(len, pdvs)) <= room and draw(st.booleans()):
        return p_data(*pdvs)
    return b"".join(map(p_data, pdvs))


@st.composite
def answers(draw, proposed: list[tuple[int, list[str]]]) -> bytes:
    """An A-ASSOCIATE-AC, or what an AE says instead."""
    if draw(st.integers(0, 9)) == 0:
        instead: bytes = draw(
            st.sampled_from([wire.rj(1, 1, 7), wire.abort(0, 0), wire.ac([Given(99)])])
        )
        return instead
    given = []
    for context_id, syntaxes in proposed:
        if draw(st.integers(0, 7)):
            given.append(Given(context_id, 0, draw(st.sampled_from(syntaxes))))
        else:
            given.append(Given(context_id, 3))
    return wire.ac(given, draw(LENGTHS), [groups.ROLE])


class Machine(RuleBasedStateMachine):
    """Each end has an outbox of what it has begun to say; the network delivers pieces of it."""

    world: Several
    setting: Setting
    hostile = False

    def __init__(self) -> None:
        super().__init__()
        self.outbox: dict[End, bytearray] = {}
        self.pads = 0
        self.steps = 0
        self.answered: set[int] = set()

    @initialize(
        setting=st.sampled_from(SETTINGS),
        how_far=st.sampled_from([3, 3, 3, 3, 1, 2]),
        hostile=st.sampled_from([False, False, True]),
        length=LENGTHS,
        most=st.sampled_from([4, 256]),
        data=st.data(),
    )
    def begin(self, setting, how_far, hostile, length, most, data):
        vars(legs)["MAX_LEGS"] = most
        self.setting, self.hostile = setting, hostile
        self.world = Several(setting)
        titles = setting.called, setting.calling
        self.put(INBOUND, wire.rq(*titles, setting.contexts, length, setting.roles))
        self.deliver(INBOUND, ALL)
        for end in [*self.world.ends][1:how_far]:
            self.serve(end, data)

    def put(self, end: End, said: bytes) -> None:
        self.outbox.setdefault(end, bytearray()).extend(said)

    def deliver(self, end: End, size: int) -> None:
        box = self.outbox.setdefault(end, bytearray())
        piece = bytes(box[:size])
        del box[:size]
        self.steps += bool(piece)
        self.world.say(end, piece)

    def room(self, sender: End) -> int:
        """How much of a message fits into one PDU of this end, as the relay has told it."""
        for _, body in self.world.ends[sender].to.controls[:1]:
            for kind, content in items(body[68:]):
                if kind == 0x50:
                    for number, value in items(content):
                        if number == 0x51:
                            return (int.from_bytes(value, "big") or 1 << 16) - 6
        return 16378

    def message(self, end: End, context_id: int, said: wire.Elements, data) -> None:
        self.pads += 1
        room = self.room(end)
        self.put(end, wire.commands_of(context_id, wire.command_set(said), room))
        if said[wire.DATA_SET_TYPE] != wire.NO_DATA:
            self.put(end, data.draw(data_sets(context_id, self.pads, room)))

    def serve(self, end: End, data) -> None:
        """An AE is connected to and answers."""
        self.world.connect(end)
        if proposed := self.world.proposed(end):
            self.put(end, data.draw(answers(proposed)))
            self.deliver(end, ALL)

    def leg(self, which: int) -> End:
        """One of those that stand and are not being released, or the first."""
        standing = [
            end
            for end, one in self.world.ends.items()
            if end is not INBOUND and one.open and one.contexts and not one.to.controls[1:]
        ]
        return standing[which % len(standing)] if standing else End.leg(1)

    def end(self, which: int) -> End:
        """The caller as often as all of them."""
        return INBOUND if which % 2 else self.leg(which // 2)

    def connecting(self) -> list[End]:
        return [end for end, one in self.world.ends.items() if one.connecting]

    @precondition(lambda self: self.connecting())
    @rule(data=st.data(), whole=st.sampled_from([True, True, True, False]))
    def open(self, data, whole):
        for end in self.connecting():
            if whole:
                self.serve(end, data)
            else:
                self.world.connect(end)

    @rule(which=WHICH, data=st.data(), size=PIECES)
    def talk(self, which, data, size):
        for connecting in self.connecting() if size == ALL else ():
            self.serve(connecting, data)
        end = self.end(which)
        one = self.world.ends.get(end)
        if one is None or not one.open or (not one.contexts and not self.hostile):
            return
        context_id, said = data.draw(asked(self.setting, end, one.contexts))
        self.message(end, context_id, said, data)
        self.deliver(end, size)

    @rule(which=WHICH, status=STATUSES, size=PIECES, data=st.data(), more=st.booleans())
    def respond(self, which, status, size, data, more):
        """To the oldest request that it has heard whole and not answered finally."""
        end = self.end(which)
        one = self.world.ends.get(end)
        if one is None or not one.open:
            return
        for message in one.to.messages:
            if not message.complete or id(message) in self.answered or message.field & RESPONSE:
                continue
            if status != 0xFF00:
                self.answered.add(id(message))
            if message.field == wire.C_CANCEL:
                return
            number, found = number_of(message), status == 0xFF00 and message.field == wire.C_FIND
            answer = wire.response(message.field, number, None, status, data=found)
            self.message(end, message.context_id, answer | (COMMENT if more else {}), data)
            self.deliver(end, size)
            return

    @rule()
    def everybody_answers(self):
        """Whatever has been asked of anybody succeeds."""
        for end, one in [*self.world.ends.items()]:
            for message in [*one.to.messages]:
                if message.field & RESPONSE or id(message) in self.answered or not message.complete:
                    continue
                self.answered.add(id(message))
                if message.field != wire.C_CANCEL and one.open:
                    answer = wire.response(message.field, number_of(message), None)
                    raw = wire.command_set(answer)
                    self.put(end, wire.commands_of(message.context_id, raw, self.room(end)))
                    self.deliver(end, ALL)

    @rule(which=WHICH, size=PIECES)
    def network(self, which, size):
        end = self.end(which)
        steps = self.steps
        for _ in range(100 if size < 10 else 1):
            self.deliver(end, size)
        self.steps = steps + 1

    @rule(which=WHICH, data=st.data(), left=st.sampled_from([1, 2, 7, 15, 28]))
    def break_off(self, which, data, left):
        """A C-STORE of which the last bytes are still to come."""
        self.begin_object(self.end(which), data, left)

    def begin_object(self, end: End, data, left: int, number: int = 1) -> None:
        one = self.world.ends.get(end)
        if one is None or STORE not in one.contexts:
            return
        self.deliver(end, ALL)
        self.message(end, STORE, wire.store_rq(number, originator=("HOSP_A", 5)), data)
        self.deliver(end, len(self.outbox[end]) - left)

    @rule(which=WHICH, number=NUMBERS)
    def ask_in_vain(self, which, number):
        """Something that the relay answers itself."""
        end = self.end(which)
        one = self.world.ends.get(end)
        if one is not None and STORE in one.contexts:
            asked = wire.command_set(wire.request(wire.N_GET, number, wire.PRINTER))
            self.put(end, wire.commands_of(STORE, asked, self.room(end)))
            self.deliver(end, ALL)

    @precondition(lambda self: self.setting.name == "shared")
    @rule(data=st.data(), size=PIECES)
    def store_to_a_later_one(self, data, size):
        """Its move has just begun, so nobody has asked it what it accepts."""
        if STORE in self.world.ends[INBOUND].contexts:
            told = self.world.begin_move()
            self.message(INBOUND, STORE, wire.store_rq(1, originator=("HOSP_A", told)), data)
            self.deliver(INBOUND, size)
            for end in self.connecting():
                self.serve(end, data)
            self.deliver(INBOUND, ALL)

    @rule(what=st.sampled_from(["ends", "cut", "told", "told", "patience"]))
    def elsewhere(self, what):
        match what:
            case "told":
                self.world.moves_ended()
            case "patience":
                self.world.expire(INBOUND, Timer.PATIENCE)
            case _ if self.steps > QUIET:
                self.world.end_move(cut=what == "cut")

    @precondition(lambda self: self.hostile or self.steps > QUIET)
    @rule(which=WHICH, data=st.data(), timer=st.sampled_from(Timer))
    def trouble(self, which, data, timer):
        end = self.end(which)
        one = self.world.ends.get(end)
        if one is None:
            return
        kinds = ["release", "release", "odd", "lose", "expire", "stop"]
        match data.draw(
            st.sampled_from(kinds if end is not INBOUND or self.hostile else kinds[:1])
        ):
            case "release":
                asked = [kind for kind, _ in one.to.controls][-1:] == [5]
                choices = [wire.RELEASE_RQ, *[wire.RELEASE_RP] * (1 + 3 * asked)]
                self.put(end, data.draw(st.sampled_from(choices)))
                self.deliver(end, ALL)
            case "odd":
                self.put(end, data.draw(st.sampled_from(ODDITIES)))
                self.deliver(end, data.draw(PIECES))
            case "lose":
                self.world.lose(end)
            case "expire":
                self.world.expire(end, timer)
            case "stop" if self.hostile:
                self.world.shut_down()

    @precondition(lambda self: self.steps > QUIET)
    @rule(which=WHICH, data=st.data(), how=st.sampled_from(["lose", "expire", "odd"]))
    def trouble_for_who_is_held(self, which, data, how):
        """Its message is not begun any more when the object of the first one has ended."""
        for connecting in self.connecting():
            self.serve(connecting, data)
        first, end = self.leg(which), self.leg(which + 1)
        self.begin_object(first, data, 7)
        self.begin_object(end, data, 0, 2)
        if how == "lose":
            self.world.lose(end)
        elif how == "expire":
            self.world.expire(end, Timer.WRITE)
        else:
            self.put(end, data.draw(st.sampled_from(ODDITIES)))
        self.deliver(first, ALL)

    @precondition(lambda self: self.steps > QUIET)
    @rule(which=WHICH, data=st.data(), how=st.sampled_from(["lose", "expire", "RP", "abort"]))
    def release_within_an_object(self, which, data, how):
        """The caller has enough, and a leg that is still sending fails, or ends in the middle of it."""
        end = self.leg(which)
        self.begin_object(end, data, 7)
        self.deliver(INBOUND, ALL)
        self.put(INBOUND, wire.RELEASE_RQ)
        self.deliver(INBOUND, ALL)
        match how:
            case "lose":
                self.world.lose(end)
            case "expire":
                self.world.expire(end, Timer.RELEASE)
            case _:
                self.put(end, wire.RELEASE_RP if how == "RP" else wire.abort(0, 0))
                self.deliver(end, ALL)

    @rule()
    def release_answered(self):
        """Most peers answer an A-RELEASE-RQ at once."""
        for end, one in [*self.world.ends.items()]:
            if one.open and [kind for kind, _ in one.to.controls][-1:] == [5]:
                self.deliver(end, ALL)
                self.put(end, wire.RELEASE_RP)
                self.deliver(end, ALL)

    def teardown(self):
        vars(legs)["MAX_LEGS"] = MAX_LEGS
        if hasattr(self, "world"):
            self.world.finish()


TestMachine = Machine.TestCase
TestMachine.settings = settings(stateful_step_count=60)
