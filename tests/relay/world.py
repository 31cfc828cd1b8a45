"""A join between two peers that may do anything, watched: what must hold after whatever happens.

The watcher reads what either end says and hears for itself, knows by heart what the rules of hospital.py
allow, and asserts after each step: `World.check`, `World._origin`, `World._check_allowed`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from tests.relay import hospital, wire
from tests.relay.hospital import a_move
from tests.relay.listener import Heard, Listener
from tests.relay.playbook import INBOUND, ONWARD, receive, settled
from ulproxy.pdu.fsm import State
from ulproxy.relay.effects import (
    CloseTransport,
    Effect,
    End,
    OpenTransport,
    Operation,
    Record,
    SendData,
    StartTimer,
    StopTimer,
    Timer,
)
from ulproxy.relay.join import Join

ENDS: Final = (INBOUND, ONWARD)
RJ, AC, RQ, ABORT = 3, 2, 1, 7
RESPONSE: Final = 0x8000
QUERY_RETRIEVE: Final = {wire.STUDY_FIND, wire.STUDY_MOVE, wire.STUDY_GET}
KNOWN: Final = QUERY_RETRIEVE | {wire.VERIFICATION, wire.CT}
# Nothing passes any more; of these only a release collision is still to be answered.
OVER: Final = {State.Sta1, State.Sta13, State.Sta9, State.Sta10, State.Sta11, State.Sta12}
# What the archive calls a destination that a rule allows -> what WS1 calls it.
TITLES: Final = {b"HA_WS1": b"WS1 ", b"HA_WS2": b"WS2 "}
# As WS1 knows them, but for the archive itself.
ORIGINATORS: Final = (None, b"WS1 ", b"WS2 ", b"HB_PACS ", b"HB_OLD")
UID: Final = re.compile(rb"[0-9]+(\.[0-9]+)*[\0 ]?")


class Setting(NamedTuple):
    """Who calls whom; `to_archive` = the end from which requests go to the archive."""

    calling: str
    called: str
    address: str
    network: str
    to_archive: End | None
    moving: bool = False


SETTINGS: Final = (
    Setting("WS1", "HB_PACS", "10.1.0.1", "inside", INBOUND),
    Setting("PACS", "HA_WS1", "10.2.0.1", "outside", ONWARD, moving=True),
    Setting("WS1", "HOSP_A", "10.1.0.1", "inside", None),
)


def other(end: End) -> End:
    return ONWARD if end is INBOUND else INBOUND


class World:
    """The join, its transports and timers as the shell would have them, and the watcher."""

    def __init__(self, setting: Setting, limits: str = "") -> None:
        self.setting = setting
        self.border = hospital.border(limits)
        self.move = None
        if setting.moving:
            self.move = self.border.moves.open(a_move("WS1", "ARCHIVE", "WS1", "HA_WS1", 5), ())
        self.join = Join(self.border, hospital.peer(setting.address, setting.network))
        self.open = {INBOUND: True, ONWARD: False}
        self.connecting = False
        self.timers: set[tuple[End, Timer]] = set()
        self.to = {end: Listener() for end in ENDS}  # what the relay says to each end
        self.by = {end: Listener(strict=False) for end in ENDS}  # what each end says
        self.contexts: dict[int, str] = {}
        self.as_set = True  # the A-ASSOCIATE-RQ was of those that SETTINGS say
        self._answers: Counter[tuple[End, int, int, int]] = Counter()
        self.renumbered: dict[int, int] = {}
        self.written: set[End] = set()
        self.deaf: set[End] = set()  # ends that have said something that cannot be read
        self._known: dict[End, int] = dict.fromkeys(ENDS, 0)  # messages to it that were judged
        self._matched: dict[End, int] = dict.fromkeys(ENDS, -1)
        self._source: dict[End, Heard | None] = dict.fromkeys(ENDS)
        self._operations: dict[End, list[tuple[int, int]]] = {end: [] for end in ENDS}
        self.did(self.join.accepted())

    # What may happen

    def say(self, end: End, data: bytes) -> None:
        """Bytes of a peer arrive."""
        if not self.open[end] or not data:
            return
        if end not in self.deaf:
            try:
                self.by[end].feed(data)
            except (AssertionError, KeyError):
                self.deaf.add(end)
            self._negotiated(end)
        self.did(receive(self.join, end, data))

    def connect(self) -> None:
        if self.connecting:
            self.connecting, self.open[ONWARD] = False, True
            self.did(self.join.connected())

    def lose(self, end: End) -> None:
        """A connection is reset, or cannot be opened."""
        if self.open[end] or (end is ONWARD and self.connecting):
            self.open[end] = False
            if end is ONWARD:
                self.connecting = False
            self.timers = {(e, timer) for e, timer in self.timers if e is not end}
            self.did(self.join.lost(end, "reset"))

    def expire(self, end: End, timer: Timer) -> None:
        """A timer that runs runs out; an end that is written to may stop reading at any time."""
        written = self.open[end] and end in self.written
        if (end, timer) in self.timers or (timer is Timer.WRITE and written):
            self.timers.discard((end, timer))
            self.did(self.join.expired(end, timer))

    def shut_down(self) -> None:
        self.did(self.join.shutdown("the relay stops"))

    def end_move(self) -> None:
        if self.move is not None:
            self.border.moves.close(self.move)
            self.move = None

    def finish(self) -> None:
        """Everybody gives up: timers fire, and who is still connected leaves."""
        for end in (INBOUND, ONWARD):
            for timer in Timer:
                self.expire(end, timer)
        self.lose(INBOUND)
        self.lose(ONWARD)
        assert self.join.finished

    def _negotiated(self, end: End) -> None:
        """What the peer says of itself in its A-ASSOCIATE-RQ or -AC."""
        said = self.by[end].controls
        if not said or said[0][0] != (RQ if end is INBOUND else AC):
            return
        body = said[0][1]
        for kind, content in items(body[68:]):
            if kind == 0x20 and end is INBOUND:
                for number, name in items(content[4:]):
                    if number == 0x30:
                        self.contexts[content[0]] = name.decode("latin-1")
            if kind == 0x50:
                for number, value in items(content):
                    if number == 0x51:
                        self.to[end].maximum_length = int.from_bytes(value, "big")
        if end is INBOUND:
            asked = wire.titles(self.setting.called, self.setting.calling)
            self.as_set = body[4:36] == asked[:32]

    # What must hold

    def did(self, effects: Iterable[Effect]) -> None:
        """Executes effects as the shell would."""
        for effect in settled(effects):
            match effect:
                case SendData(end, data):
                    assert self.open[end], f"written to a closed end: {bytes(data)!r}"
                    self.written.add(end)
                    self.to[end].feed(bytes(data))
                    self._judge(end)
                case OpenTransport(endpoint):
                    assert not self.connecting
                    assert not self.open[ONWARD]
                    self.connecting = True
                    if self.as_set:
                        callee = "ARCHIVE" if self.setting.to_archive is INBOUND else "WS1"
                        assert self.setting.to_archive is not None
                        assert endpoint == hospital.endpoint(callee)
                case CloseTransport(end):
                    assert self.open[end] or (end is ONWARD and self.connecting), "closed twice"
                    self.open[end] = False
                    if end is ONWARD:
                        self.connecting = False
                    self.timers = {(e, timer) for e, timer in self.timers if e is not end}
                case StartTimer(end, timer):
                    assert self.open[end] or (end is ONWARD and self.connecting)
                    self.timers.add((end, timer))
                case StopTimer(end, timer):
                    self.timers.discard((end, timer))
                case Record() | Operation():
                    pass
        self.check()

    def check(self) -> None:
        for end in ENDS:
            if end is ONWARD and not self.join._ends.legs:
                continue
            side = self.join._ends.side(end)
            artim = (end, Timer.ARTIM) in self.timers
            assert artim == (side.association.state in (State.Sta2, State.Sta13)), end
            self._check_controls(end)
            assert len(side.waiting) <= 256
            assert len(side.messages._command) <= 1 << 16
            assert not side.waiting or side.message_open
            if self.join.ended:
                assert not self.open[end] or self.to[end].between_pdus, "left open within a PDU"
                assert side.association.state in OVER, "one end goes on alone"
        if not any(self.open.values()) and not self.connecting:
            assert self.join.finished
            assert self.join.ended
        assert self.join.finished == (not any(self.open.values()) and not self.connecting)
        assert self.border.admission.total <= 1
        if self.join.ended:
            assert self.border.admission.total == 0
            left = [move for move in self.border.moves.at("ARCHIVE") if move is not self.move]
            assert left == []

    def _check_controls(self, end: End) -> None:
        kinds = [kind for kind, _ in self.to[end].controls]
        if end is INBOUND:
            assert kinds.count(AC) + kinds.count(RJ) <= 1
            assert RQ not in kinds
            assert AC not in kinds[1:], "accepted after something else"
        else:
            assert kinds.count(RQ) == min(1, len(kinds)), (
                "more than one A-ASSOCIATE-RQ, or not first"
            )
            assert AC not in kinds
            assert RJ not in kinds
        if ABORT in kinds:
            assert set(kinds[kinds.index(ABORT) :]) == {ABORT}
        assert kinds.count(5) <= 1
        assert kinds.count(6) <= 1

    def _judge(self, end: End) -> None:
        """Looks at each message to this end as soon as its command set is whole, then at its data set."""
        messages = self.to[end].messages
        if self._known[end] < len(messages):
            message = messages[self._known[end]]
            if message.command is None:
                return
            self._known[end] += 1
            assert self._known[end] == len(messages), "two messages written at once"
            self._source[end] = self._origin(end, message)
        if messages:
            self._check_object(end, messages[-1])

    def _check_object(self, end: End, message: Heard) -> None:
        """Its data set is the beginning of what the other end sent, complete only if that completed it."""
        while (source := self._source[end]) is not None:
            if message.complete and source.complete and message.data == source.data:
                return
            if not message.complete and source.data[: len(message.data)] == message.data:
                return
            self._source[end] = self._next_source(end, message)  # one like it was refused before
        assert not message.data, "data of nobody"

    def _origin(self, end: End, message: Heard) -> Heard | None:
        """Where a message to this end comes from, None = the relay; asserts that it may be there."""
        assert message.command is not None
        if message.field & RESPONSE:
            asked = (number_of(message), message.field & ~RESPONSE)
            answers = asked in self._operations[end]
            if self._is_own_answer(end, message):
                return None  # perhaps: an end that refuses just so is let off
            assert answers or self._is_asking(end, message), "a response to nothing that passed"
            assert wire.ERROR_COMMENT not in message.command
            if answers and is_final(message):
                self._operations[end].remove(asked)
        source = self._next_source(end, message)
        assert source is not None, f"nobody said {message}"
        if not message.field & RESPONSE and message.field != wire.C_CANCEL:
            self._check_allowed(end, message)
            if number_of(source) != number_of(message):
                self.renumbered[number_of(message)] = number_of(source)
            self._operations[other(end)].append((number_of(source), message.field))
        return source

    def _next_source(self, end: End, message: Heard) -> Heard | None:
        """The next message of the other end that it can be; those before it did not pass."""
        said = self.by[other(end)].messages
        for index in range(self._matched[end] + 1, len(said)):
            source = said[index]
            if source.command is None or source.context_id != message.context_id:
                continue
            if unmapped(source) == unmapped(message) and self._may_be(end, source, message):
                self._matched[end] = index
                return source
        return None

    def _may_be(self, end: End, source: Heard, message: Heard) -> bool:
        """Where Message IDs and destinations are mapped: whether these are the same."""
        assert source.command is not None
        assert message.command is not None
        said, told = number_of(source), number_of(message)
        if message.field == wire.C_CANCEL:
            return said in (told, self.renumbered.get(told)) and said in {
                one for one, _ in self._operations[other(end)]
            }
        if message.field == wire.C_MOVE:
            title = TITLES.get(message.command[wire.DESTINATION])
            return source.command[wire.DESTINATION] == title and (said == told or told > 0xFF00)
        return True

    def _is_asking(self, end: End, message: Heard) -> bool:
        """Its request is held until its data set is whole, and was answered before that."""
        return self.contexts.get(message.context_id) == wire.STUDY_FIND and any(
            one.command is not None and number_of(one) == number_of(message)
            for one in self.by[end].messages[-1:]
        )

    def _is_own_answer(self, end: End, message: Heard) -> bool:
        """A refusal, or the relay's own C-ECHO: a response to a request that has been sent to its end."""
        assert message.command is not None
        status = int.from_bytes(message.command[wire.STATUS], "little")
        if message.command[wire.DATA_SET_TYPE] != wire.NO_DATA:
            return False
        if self.setting.to_archive is None and self.as_set:
            assert status == (0 if message.field == wire.C_ECHO | RESPONSE else 0x0124)
        elif status not in (0x0124, 0x0117, 0xA801) and (self.as_set or status):
            return False
        asked = [
            request
            for request in self.by[end].messages
            if request.command is not None
            and request.complete
            and request.context_id == message.context_id
            and request.field == message.field & ~RESPONSE
            and number_of(request) == number_of(message)
        ]
        key = (end, message.context_id, message.field, number_of(message))
        if self._answers[key] >= len(asked):
            return False
        self._answers[key] += 1
        return True

    def _check_allowed(self, end: End, message: Heard) -> None:
        """What hospital.py lets pass between WS1 and ARCHIVE, of the abstract syntaxes that it uses."""
        assert message.command is not None
        field, sender = message.field, other(end)
        abstract = self.contexts.get(message.context_id)
        if field == wire.C_STORE:
            assert UID.fullmatch(message.command[wire.AFFECTED_INSTANCE])
        if not self.as_set or abstract not in KNOWN:
            return
        assert self.setting.to_archive is not None, "the relay itself passes nothing on"
        if sender is self.setting.to_archive:
            queries = (
                {wire.C_FIND, wire.C_MOVE, wire.C_GET} if abstract in QUERY_RETRIEVE else set()
            )
            assert field in {wire.C_ECHO, wire.C_STORE} | queries
            if field == wire.C_MOVE:
                assert message.command[wire.DESTINATION] in TITLES
            return
        assert field == wire.C_STORE
        asked = {request for _, request in self._operations[end]}
        moves = [move for move in self.border.moves.at("ARCHIVE") if move.destination == "WS1"]
        attended = self.join._ends._attendance  # what ended meanwhile may still be due
        assert moves or asked & {wire.C_GET, wire.C_MOVE} or (attended and attended.ended)
        assert message.command.get(wire.ORIGINATOR) in ORIGINATORS


def number_of(message: Heard) -> int:
    """The Message ID that it has, or answers, or cancels."""
    assert message.command is not None
    answers = message.field & RESPONSE or message.field == wire.C_CANCEL
    number = wire.RESPONDED_TO if answers else wire.MESSAGE_ID
    return int.from_bytes(message.command.get(number, b""), "little")


def is_final(message: Heard) -> bool:
    assert message.command is not None
    return message.command.get(wire.STATUS) not in (wire.us(0xFF00), wire.us(0xFF01))


def unmapped(message: Heard) -> dict[int, bytes]:
    """The elements that no relay changes."""
    assert message.command is not None
    changed = {wire.ERROR_COMMENT, wire.DESTINATION, wire.ORIGINATOR, wire.ORIGINATOR_ID}
    if message.field & ~RESPONSE in (wire.C_MOVE, wire.C_CANCEL):
        changed |= {wire.MESSAGE_ID, wire.RESPONDED_TO}
    return {number: value for number, value in message.command.items() if number not in changed}


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Items or sub-items, as far as they can be read."""
    while len(data) >= 4:
        length = int.from_bytes(data[2:4], "big")
        yield data[0], data[4 : 4 + length]
        data = data[4 + length :]
