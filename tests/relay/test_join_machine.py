"""Two peers that say legal things, illegal things and halves of things, in any order, cut anywhere.

What must hold after each step is in world.py; hypothesis looks for a conversation after which it does not.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.relay import wire
from tests.relay.hospital import CONTEXTS, ECHO, FIND, GET, MOVE, STORE
from tests.relay.playbook import INBOUND, ONWARD
from tests.relay.wire import Given, command, fragment, p_data, pdv
from tests.relay.world import SETTINGS, Setting, World, number_of, other
from ulproxy.relay.effects import End, Timer

ALL: Final = 1 << 20
QUIET: Final = 25  # steps before anybody who is not hostile does anything but talk
ENDS: Final = st.sampled_from([INBOUND, ONWARD])
NUMBERS: Final = st.sampled_from([1, 1, 2, 5, 0xFFFF])
LENGTHS: Final = st.sampled_from([0, 8, 64, 512])
PIECES: Final = st.sampled_from([ALL, ALL, ALL, 1, 2, 5, 6, 11, 12, 13, 40])
LEFT: Final = st.sampled_from([0, 0, 0, 1, 2, 7, 15, 28])  # bytes of an object still to come
ROLE: Final = wire.role(wire.CT, 1, 1)
TARGETS: Final = st.sampled_from(["WS1", "WS2", "WS3", "NOBODY"])
INSTANCES: Final = st.sampled_from(["1.2.3", "1.2.3", "../1"])
ORIGINATORS: Final = st.sampled_from([None, ("HA_WS1", 5), ("HA_WS1", 1), ("PACS", 5), ("WS1", 5)])
STATUSES: Final = st.sampled_from([0, 0xFF00, 0xA700, 0x0124])
COMMENT: Final = {wire.ERROR_COMMENT: b"inside"}
ODDITIES: Final = (
    wire.abort(0, 0),
    wire.abort(2, 3),
    wire.rj(1, 1, 1),
    wire.rq("HB_PACS", "WS1", CONTEXTS),
    wire.ac([Given(1)]),
    wire.pdu(9, b""),
    wire.pdu(7, b"12345"),
    fragment(STORE, b"nobody's"),
    fragment(STORE, b"odd"),
    command(ECHO, {}),
    command(99, wire.echo_rq(1)),
    p_data(pdv(ECHO, 1, b"")),
    wire.RELEASE_RQ,
    wire.RELEASE_RP,
    b"GET / HTTP/1.1\r\n",
)


@st.composite
def elements(draw, accepted: tuple[int, ...]) -> tuple[int, wire.Elements]:
    """A command set of one of the services, and its context."""
    number, status = draw(NUMBERS), draw(STATUSES)
    commands = {
        ECHO: [
            wire.echo_rq(number),
            {**wire.echo_rsp(number), **COMMENT},
            wire.request(wire.N_GET, number, wire.PRINTER),
        ],
        STORE: [
            wire.store_rq(number, draw(INSTANCES), originator=draw(ORIGINATORS)),
            wire.store_rq(number),
            wire.store_rsp(number, status),
        ],
        FIND: [
            wire.find_rq(number),
            wire.response(wire.C_FIND, number, None, status, data=status == 0xFF00),
            wire.cancel_rq(number),
        ],
        MOVE: [
            wire.move_rq(draw(st.sampled_from([5, 5, 6])), draw(TARGETS)),
            wire.response(wire.C_MOVE, number, None, status, more=COMMENT),
            wire.cancel_rq(number),
        ],
        GET: [wire.get_rq(number), wire.response(wire.C_GET, number, None, status)],
    }
    context_id = draw(st.sampled_from(accepted))
    return context_id, draw(st.sampled_from(commands[context_id]))


@st.composite
def data_sets(draw, context_id: int, pad: int, room: int) -> bytes:
    """(0010,4000), which no relay changes, with a number of its own in it; in fragments that fit."""
    value = f"{pad:08d}".encode() * draw(st.integers(1, 4))
    raw = bytes.fromhex("10000040") + len(value).to_bytes(4, "little") + value
    cuts = draw(st.lists(st.sampled_from(range(0, len(raw), 2)), max_size=2))
    edges = sorted([*cuts, *range(0, len(raw), room), len(raw)])
    parts = [raw[a:b] for a, b in pairwise(edges)]
    pdvs = [pdv(context_id, 2 * (i == len(parts) - 1), part) for i, part in enumerate(parts)]
    if sum(map(len, pdvs)) <= room and draw(st.booleans()):
        return p_data(*pdvs)
    return b"".join(map(p_data, pdvs))


class Machine(RuleBasedStateMachine):
    """Each end has an outbox of what it has begun to say; the network delivers pieces of it."""

    world: World
    setting: Setting
    hostile = False

    def __init__(self) -> None:
        super().__init__()
        self.outbox = {INBOUND: bytearray(), ONWARD: bytearray()}
        self.longest = {INBOUND: 0, ONWARD: 0}
        self.pads = 0
        self.steps = 0
        self.answered: set[int] = set()

    @initialize(
        setting=st.sampled_from([SETTINGS[0], *SETTINGS]),
        how_far=st.sampled_from([3, 3, 3, 3, 3, 3, 3, 0, 1, 2]),
        hostile=st.sampled_from([False, False, True]),
        inbound=LENGTHS,
        onward=LENGTHS,
    )
    def begin(self, setting, how_far, hostile, inbound, onward):
        self.setting, self.hostile = setting, hostile
        self.longest = {INBOUND: inbound, ONWARD: onward}
        self.world = World(setting)
        if how_far > 0:
            self.ask()
        if how_far > 1:
            self.world.connect()
        if how_far > 2:
            self.answer()

    def ask(self) -> None:
        titles = self.setting.called, self.setting.calling
        self.outbox[INBOUND] += wire.rq(*titles, CONTEXTS, self.longest[INBOUND], [ROLE])
        self.deliver(INBOUND, ALL)

    def answer(self) -> None:
        given = [Given(context_id) for context_id in sorted({*self.accepted})]
        self.outbox[ONWARD] += wire.ac(given, self.longest[ONWARD], [ROLE])
        self.deliver(ONWARD, ALL)

    @property
    def accepted(self) -> tuple[int, ...]:
        """The contexts that messages are sent in; most of what matters is stored."""
        if self.setting.to_archive is None:
            return (ECHO,)
        return (STORE,) if self.setting.moving else (STORE, ECHO, STORE, FIND, MOVE, GET)

    def deliver(self, end: End, size: int) -> None:
        self.steps += 1
        piece = bytes(self.outbox[end][:size])
        del self.outbox[end][:size]
        self.world.say(end, piece)

    def room(self, sender: End) -> int:
        """How much of a message fits into one PDU to the other end."""
        longest = self.longest[other(sender)]
        if self.setting.to_archive is None:
            longest = 16384
        return (longest or 1 << 16) - 6

    @rule(end=ENDS, data=st.data(), size=PIECES)
    def talk(self, end, data, size):
        self.pads += 1
        context_id, said = data.draw(elements(self.accepted))
        room = self.room(end)
        message = wire.commands_of(context_id, wire.command_set(said), room)
        if said[wire.DATA_SET_TYPE] != wire.NO_DATA:
            message += data.draw(data_sets(context_id, self.pads, room))
        self.outbox[end] += message
        self.deliver(end, size)

    @rule(end=ENDS, status=STATUSES, size=PIECES, more=st.sampled_from([{}, COMMENT]))
    def respond(self, end, status, size, more):
        """To the oldest request that it has heard whole and not answered finally."""
        for message in self.world.to[end].messages:
            if not message.complete or id(message) in self.answered or message.field & 0x8000:
                continue
            if message.field != wire.C_CANCEL:
                number = number_of(message)
                answer = wire.response(message.field, number, None, status, more=more)
                raw = wire.command_set(answer)
                self.outbox[end] += wire.commands_of(message.context_id, raw, self.room(end))
                self.deliver(end, size)
            if status != 0xFF00:
                self.answered.add(id(message))
            return

    @precondition(lambda self: any(self.outbox.values()) or self.world.connecting)
    @rule(end=ENDS, size=PIECES, connect=st.booleans())
    def network(self, end, size, connect):
        if connect and self.world.connecting:
            self.world.connect()
            return
        for _ in range(100 if size < 10 else 1):
            self.deliver(end, size)

    def begin_object(self, end: End, data, left: int) -> None:
        """A C-STORE of which the last bytes are still to come."""
        self.deliver(end, ALL)
        self.pads += 1
        room, context_id = self.room(end), self.accepted[0]
        raw = wire.command_set(wire.store_rq(1))
        self.outbox[end] += wire.commands_of(context_id, raw, room)
        if left == 0:  # between two fragments
            self.outbox[end] += fragment(context_id, bytes.fromhex("1000"), last=False)
        else:
            self.outbox[end] += data.draw(data_sets(context_id, self.pads, room))
        self.deliver(end, len(self.outbox[end]) - left)

    @rule(end=ENDS, data=st.data(), left=st.integers(1, 30), number=NUMBERS)
    def ask_in_vain_within_an_object(self, end, data, left, number):
        """The receiver of an object is owed an answer of the relay's own."""
        self.begin_object(other(end), data, left)
        self.deliver(end, ALL)
        asked = wire.command_set(wire.request(wire.N_GET, number, wire.PRINTER))
        self.outbox[end] += wire.commands_of(self.accepted[0], asked, self.room(end))
        self.deliver(end, ALL)

    @precondition(lambda self: self.steps > QUIET)
    @rule(end=ENDS, data=st.data(), timer=st.sampled_from(Timer), left=LEFT)
    def trouble_within_an_object(self, end, data, timer, left):
        self.begin_object(end, data, left)
        self.trouble(data.draw(ENDS), data, timer)

    @precondition(lambda self: self.hostile or self.steps > QUIET)
    @rule(end=ENDS, data=st.data(), timer=st.sampled_from(Timer))
    def trouble(self, end, data, timer):
        kind = data.draw(st.sampled_from(["release", "release", "odd", "lose", "expire", "stop"]))
        match kind:
            case "release":
                asked = [kind for kind, _ in self.world.to[end].controls][-1:] == [5]
                answers = [wire.RELEASE_RQ, *[wire.RELEASE_RP] * (1 + 3 * asked)]
                self.outbox[end] += data.draw(st.sampled_from(answers))
                self.deliver(end, ALL)
            case "odd":
                self.outbox[end] += data.draw(st.sampled_from(ODDITIES))
                self.deliver(end, data.draw(PIECES))
            case "lose":
                self.world.lose(end)
            case "expire":
                self.world.expire(end, timer)
            case "stop" if self.hostile:
                self.world.shut_down()
            case _:
                self.world.end_move()

    def teardown(self):
        if hasattr(self, "world"):
            self.world.finish()


TestMachine = Machine.TestCase
TestMachine.settings = settings(stateful_step_count=50)
