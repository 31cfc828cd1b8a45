"""A join of several legs between peers that may do anything, watched: what must hold after whatever happens.

As world.py, for an archive that calls a title which several AEs share and for a caller of a group. What a
message may be is known from what all ends have said; whom it may be for, from the moves and the group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from tests.relay import groups, hospital, sharing, wire
from tests.relay.playbook import INBOUND, receive, settled
from tests.relay.wire import Asked
from tests.relay.witness import Connection, Witness
from tests.relay.world import ABORT, AC, OVER, RJ, RQ, items
from ulproxy.pdu.fsm import State
from ulproxy.policy.decision import Peer
from ulproxy.relay.border import Border
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
from ulproxy.relay.legs import SeveralLegs

ECHO, STORE, FIND, MOVE, GET, COMMIT = 1, 3, 5, 7, 9, 11
DATA_MAY_COME: Final = (State.Sta6, State.Sta7)


class Setting(NamedTuple):
    """Who calls whom: how the border is made, what is proposed."""

    name: str
    made: Callable[[], Border]
    peer: Peer
    called: str
    calling: str
    contexts: tuple[Asked, ...]
    roles: tuple[bytes, ...]


def _shared() -> Border:
    one = sharing.border(sharing.TO_WS3, sharing.TO_WS4, ("WS1", "WS3", 6))()
    one.commitments.remember("ARCHIVE", "1.2.3", "WS3")
    one.commitments.remember("ARCHIVE", "1.2.5", "WS5")
    return one


def _silent() -> Border:
    """PACS2 names no originator; WS1 may move to WS3, while another one is moving behind that title."""
    aes = groups.AES.replace("associations = 2", "move_originator = false")
    rules = groups.RULES.replace('destinations = ["WS1", "WS2"]', 'destinations = ["WS1", "WS3"]')
    one = groups.border(aes=aes, rules=rules)()
    one.moves.open(hospital.a_move("ASKER", "PACS2", "MOD1", "HOSP_A", 9, "HOSP_A"), ())
    return one


def _waiting() -> Border:
    """ARCHIVE names no originator, and something is moved to WS3 already."""
    named = 'name = "ARCHIVE"\n'
    return sharing.border(sharing.TO_WS3, old=named, new=f"{named}move_originator = false\n")()


STORING: Final = (
    Asked(ECHO, wire.VERIFICATION),
    Asked(STORE, wire.CT, (wire.JPEG, wire.IMPLICIT)),
    Asked(FIND, wire.PRIVATE, (wire.EXPLICIT, wire.IMPLICIT)),
    Asked(COMMIT, wire.COMMITMENT),
)
ASKING: Final = tuple(
    Asked(context.context_id, context.abstract, context.transfer) for context in hospital.CONTEXTS
)
SETTINGS: Final = (
    Setting(
        "shared",
        _shared,
        hospital.OUTSIDE,
        "HOSP_A",
        "PACS",
        STORING,
        (wire.role(wire.VERIFICATION, 1, 1), wire.role(wire.COMMITMENT, 0, 1)),
    ),
    Setting("group", groups.border(), hospital.peer(), "EVERY", "WS1", ASKING, (groups.ROLE,)),
    Setting("silent", _silent, hospital.peer(), "ALL", "WS1", ASKING, (groups.ROLE,)),
    Setting("waiting", _waiting, hospital.peer("10.1.0.5"), "HB_PACS", "WS4", ASKING, ()),
)


class Several:
    """The join, its transports and timers as the shell would have them, and the watcher."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.border = setting.made()
        self.preset = {name: set(self.border.moves.at(name)) for name in ("ARCHIVE", "PACS2")}
        self.names = {str(ae.address): ae.name for ae in self.border.policy.config.aes}
        self.told = {m.onward_message_id: m.destination for m in self.preset["ARCHIVE"]}
        self.witness = Witness(self.told, self._possible, by_message=setting.name == "shared")
        self.join = Join(self.border, setting.peer)
        self.ends = self.witness.ends
        self.ends[INBOUND] = Connection(INBOUND, open=True, name="the caller")
        self.timers: set[tuple[End, Timer]] = set()
        self.written: set[End] = set()
        self.did(self.join.accepted())

    def _possible(self) -> set[str]:
        """Where something may be due: of open moves, and of those that were cut short."""
        attended = self.join._ends._attendance
        cut = () if attended is None else attended.ended.cut_short
        return {move.destination for move in (*self.border.moves.at("ARCHIVE"), *cut)}

    # What may happen

    def say(self, end: End, data: bytes) -> None:
        """Bytes of a peer arrive; they wait while it is not read, but one read may have been under way."""
        one = self.ends.get(end)
        if one is None or not one.open or not data:
            return
        if one.unread or (self.join.on_hold(end) and len(data) % 2):
            one.unread += data
        else:
            self._read(one, data)
        self._read_on()

    def _read(self, one: Connection, data: bytes) -> None:
        if not one.deaf:
            try:
                one.by.feed(data)
            except (AssertionError, KeyError):
                one.deaf = True
            self._negotiated(one)
        self.did(receive(self.join, one.end, data))

    def _read_on(self) -> None:
        for one in [*self.ends.values()]:
            if one.open and one.unread and not self.join.on_hold(one.end):
                data, one.unread = one.unread, b""
                self._read(one, data)
                self._read_on()
                return

    def connect(self, end: End) -> None:
        one = self.ends.get(end)
        if one is not None and one.connecting:
            one.connecting, one.open = False, True
            self.did(self.join.connected(end))

    def lose(self, end: End) -> None:
        """A connection is reset, or cannot be opened."""
        one = self.ends.get(end)
        if one is not None and (one.open or one.connecting):
            self._closed(one)
            self.did(self.join.lost(end, "reset"))

    def expire(self, end: End, timer: Timer) -> None:
        """A timer that runs runs out; an end that is written to may stop reading at any time."""
        one = self.ends.get(end)
        if one is None:
            return
        written = one.open and end in self.written
        if (end, timer) in self.timers or (timer is Timer.WRITE and written):
            self.timers.discard((end, timer))
            self.did(self.join.expired(end, timer))

    def shut_down(self) -> None:
        self.did(self.join.shutdown("the relay stops"))

    def end_move(self, *, cut: bool = False) -> None:
        """The oldest of the moves that others have asked for."""
        for moves in self.preset.values():
            for move in sorted(moves, key=lambda one: one.onward_message_id):
                self.border.moves.close(move, cut=cut)
                moves.remove(move)
                return

    def begin_move(self) -> int:
        """One more, to an AE that was not asked before; returns the Message ID that the archive is told."""
        if self.setting.name != "shared":
            return 0
        told = sharing.opened(self.border, "WS5", "WS5", 5)
        self.told[told] = "WS5"
        self.preset["ARCHIVE"] = set(self.border.moves.at("ARCHIVE"))
        return told

    def moves_ended(self) -> None:
        """As the server calls it."""
        if self.join.waits:
            self.did(self.join.moves_ended())

    def proposed(self, end: End) -> list[tuple[int, list[str]]]:
        """The presentation contexts that the relay asks an AE for, with their transfer syntaxes."""
        contexts = []
        for _, body in self.ends[end].to.controls[:1]:
            for kind, content in items(body[68:]):
                if kind == 0x20:
                    names = [v.decode() for number, v in items(content[4:]) if number == 0x40]
                    contexts.append((content[0], names))
        return contexts

    def finish(self) -> None:
        """Everybody gives up: timers fire, and who is still connected leaves."""
        for _ in range(3):  # legs may be opened meanwhile
            for end in [*self.ends]:
                for timer in Timer:
                    self.expire(end, timer)
        for end in [*self.ends]:
            self.lose(end)
        for end in [*self.ends]:
            self.lose(end)
        assert self.join.finished
        assert self.join.ended

    def _negotiated(self, one: Connection) -> None:
        """What the peer says of itself in its A-ASSOCIATE-RQ or -AC."""
        said = one.by.controls
        if not said or said[0][0] != (RQ if one.end is INBOUND else AC):
            return
        for kind, content in items(said[0][1][68:]):
            if kind == 0x21 and content[2] == 0 and one.end is not INBOUND:
                names = [value for number, value in items(content[4:]) if number == 0x40]
                one.contexts[content[0]] = names[0].decode("latin-1") if names else ""
            if kind == 0x50:
                for number, value in items(content):
                    if number == 0x51:
                        one.to.maximum_length = int.from_bytes(value, "big")

    # What must hold

    def did(self, effects: Iterable[Effect]) -> None:
        """Executes effects as the shell would."""
        for effect in settled(effects):
            match effect:
                case SendData(end, data):
                    one = self.ends[end]
                    assert one.open, f"written to a closed end: {bytes(data)!r}"
                    self.written.add(end)
                    one.to.feed(bytes(data))
                    self._told(one)
                    self.witness.judge(one)
                case OpenTransport(endpoint, end):
                    assert end not in self.ends
                    name = self.names[str(endpoint)]
                    self.ends[end] = Connection(end, connecting=True, name=name)
                    self._check_call(self.ends[end])
                case CloseTransport(end):
                    one = self.ends[end]
                    assert one.open or one.connecting, "closed twice"
                    self._closed(one)
                case StartTimer(end, timer):
                    one = self.ends[end]
                    assert one.open or one.connecting
                    self.timers.add((end, timer))
                case StopTimer(end, timer):
                    self.timers.discard((end, timer))
                case Record() | Operation():
                    pass
        self.check()

    def _closed(self, one: Connection) -> None:
        one.open = one.connecting = False
        self.timers = {(end, timer) for end, timer in self.timers if end is not one.end}

    def _check_call(self, one: Connection) -> None:
        """Only whom it may be for is called, and each AE by one association at a time."""
        if self.setting.name == "shared":
            assert one.name in {*self.told.values(), "WS3", "WS5"}
        else:
            assert one.name in {"ARCHIVE", "PACS2", "MINI"}
        for other in self.ends.values():
            if other is not one and other.name == one.name and (other.open or other.connecting):
                side = self.join._ends.side(other.end)
                assert side.association.state in OVER, f"two associations with {one.name}"

    def _told(self, one: Connection) -> None:
        """What the caller was accepted; that is what it and the AEs may speak on."""
        said = one.to.controls
        if one.end is INBOUND and said and said[0][0] == AC and not one.contexts:
            for kind, content in items(said[0][1][68:]):
                if kind == 0x21 and content[2] == 0:
                    (name,) = [value for number, value in items(content[4:]) if number == 0x40]
                    one.contexts[content[0]] = name.decode("latin-1")

    def check(self) -> None:
        sides = {end: self.join._ends.side(end) for end in self.ends}
        for end, side in sides.items():
            one, state = self.ends[end], side.association.state
            artim = (end, Timer.ARTIM) in self.timers
            assert artim == (state in (State.Sta2, State.Sta13)), end
            self._check_controls(one)
            assert len(side.waiting) <= 256
            assert not side.waiting or side.message_open
            if self.join.ended:
                assert not one.open or one.to.between_pdus, "left open within a PDU"
                assert state in OVER, f"{end} goes on alone"
        standing = any(one.open or one.connecting for one in self.ends.values())
        assert self.join.finished == (not standing)
        if not standing:
            assert self.join.ended
        assert self.border.moves.waiting == self.join.waits
        if self.join.ended:
            self._check_end()
        else:
            self._check_going_on()

    def _check_end(self) -> None:
        assert self.border.admission._counts._count == {}  # type: ignore[attr-defined]
        assert not self.join.waits
        assert not self.join.holds
        for name, moves in self.preset.items():
            assert set(self.border.moves.at(name)) == moves

    def _check_going_on(self) -> None:
        """Whatever waits waits for something that can still come."""
        ends, conduct = self.join._ends, self.join._conduct
        if not isinstance(conduct, SeveralLegs):
            return
        for side in self.join._exchange.held:
            assert not conduct.may_go_on(side), "held for nothing"
        sending = [leg for leg in ends.legs if leg.passing]
        assert ends.inbound.message_open == bool(sending)
        assert len(sending) <= 1
        for leg in sending:
            assert leg.association.state in DATA_MAY_COME, "an object that nobody ends"
        for leg in ends.legs:
            if leg.message_open:
                assert ends.inbound.passing
                assert ends.inbound.target is leg
        for member in conduct._members.values():
            if member.leg is None and ends.inbound.association.state is not State.Sta8:
                assert member.gate.idle, "something was asked of who is gone"
        for query in getattr(conduct, "_queries", []):
            members = conduct._members
            assert (
                query.waits
                or any(members[name].connecting for name in query.due)
                or any(members[name].leg for name in query.asked)
                or ends.inbound.association.state is State.Sta8
            ), "a query that nobody answers"

    def _check_controls(self, one: Connection) -> None:
        kinds = [kind for kind, _ in one.to.controls]
        if one.end is INBOUND:
            assert kinds.count(AC) + kinds.count(RJ) <= 1
            assert RQ not in kinds
            assert AC not in kinds[1:], "accepted after something else"
        else:
            assert kinds[:1] in ([], [RQ])
            assert not {AC, RJ, RQ} & {*kinds[1:]}
        if ABORT in kinds:
            assert set(kinds[kinds.index(ABORT) :]) == {ABORT}
        assert kinds.count(5) <= 1
        assert kinds.count(6) <= 1
