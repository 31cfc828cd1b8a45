"""The contract's table of refusals where an association has several onward ones: groups, the shared title."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.end_to_end.moving import move_rq, store_rq
from tests.end_to_end.peers import Relay, ae, border, relay, rule, wait_until
from tests.end_to_end.uids import STUDY_FIND, STUDY_MOVE
from tests.end_to_end.wire import (
    ABORT,
    AC,
    CT,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    RQ,
    Acceptor,
    Command,
    Context,
    Peer,
    abort,
    associate_ac,
    associate_rq,
    message,
    pdu,
    reject,
    release_rp,
    release_rq,
)

FIND, MOVE = Context(1, STUDY_FIND), Context(3, STUDY_MOVE)
STORE = Context(1, CT)
NAMES = ("ONE", "TWO", "NARROW", "WS1", "WS2")
KEYS = struct.pack("<HHI", 8, 0x52, 6) + b"STUDY "
FAILED, IN_PART, NOT_AUTHORIZED, UNKNOWN_DESTINATION = 0x0110, 0xB000, 0x0124, 0xA801


@dataclass
class Site:
    """WS1 and WS2 behind the relay's title ask PAIR, which is ONE and TWO; NARROW takes one association."""

    through: Relay
    acceptors: dict[str, Acceptor]

    def calling(self, called: str, *contexts: Context, calling: str = "WS1") -> Peer:
        network = "west" if calling.startswith("WS") else "east"
        peer = Peer.connect(self.through.ports[network])
        peer.send(associate_rq(list(contexts), called=called, calling=calling))
        return peer

    @contextlib.contextmanager
    def accepting(self, name: str) -> Iterator[Peer]:
        """It is called, and accepts."""
        with self.acceptors[name].accept() as peer:
            peer.send(associate_ac(peer.expect_associate(RQ)))
            yield peer

    @contextlib.contextmanager
    def pair(self) -> Iterator[tuple[Peer, Peer, Peer]]:
        """An association with the group: the caller and both members."""
        with (
            self.calling("PAIR", FIND, MOVE) as client,
            self.accepting("ONE") as one,
            self.accepting("TWO") as two,
        ):
            client.expect(AC)
            yield client, one, two

    @contextlib.contextmanager
    def moving(self, caller: str, archive: str = "ONE") -> Iterator[tuple[Peer, Peer]]:
        """A C-MOVE of a workstation to itself is open: both ends."""
        with (
            self.calling(f"FAR_{archive}", Context(1, STUDY_MOVE), calling=caller) as client,
            self.accepting(archive) as pacs,
        ):
            client.expect(AC)
            client.send(move_rq(caller, 5))
            assert pacs.expect_message().text(0x600) == "RELAY"
            yield client, pacs


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        acceptors = {name: stack.enter_context(Acceptor()) for name in NAMES}
        ports = {name: acceptor.port for name, acceptor in acceptors.items()}
        aes = [
            ae("WS1", "west", ports["WS1"]),
            ae("WS2", "west", ports["WS2"], associations=1),
            ae("ONE", "east", ports["ONE"], alias="FAR_ONE"),
            ae("TWO", "east", ports["TWO"], alias="FAR_TWO"),
            ae("NARROW", "east", ports["NARROW"], alias="FAR_NARROW", associations=1),
        ]
        config = border(aes, [rule(["network:west"], ["network:east"], ["find", "move"])])
        config["group"] = [
            {"title": "PAIR", "members": ["ONE", "TWO"]},
            {"title": "NARROWS", "members": ["NARROW"]},
            {"title": "MIXED", "members": ["NARROW", "ONE"]},
        ]
        through = stack.enter_context(relay(config, tmp_path_factory.mktemp("several")))
        yield Site(through, acceptors)


def find_rq(number: int = 7) -> bytes:
    command: Command = {2: STUDY_FIND, 0x100: 0x20, 0x110: number, 0x700: 0}
    return message(1, command, KEYS)


def find_rsp(status: int = 0, number: int = 7) -> bytes:
    return message(1, {2: STUDY_FIND, 0x100: 0x8020, 0x120: number, 0x900: status})


def answered(client: Peer, status: int, number: int = 7) -> None:
    got = client.expect_message()
    assert (got.number(0x120), got.number(0x900)) == (number, status)


# Associations --------------------------------------------------------------------------------------


def test_limit_of_a_member(site):
    """RJ 2,3,2 if it is the limit alone that keeps from all members; else the others go on without it."""
    with site.calling("FAR_NARROW", FIND) as first, site.accepting("NARROW") as narrow:
        first.expect(AC)
        with site.calling("NARROWS", FIND) as client:
            assert tuple(client.expect(RJ).body[1:]) == (2, 3, 2)
        with site.calling("MIXED", FIND) as client, site.accepting("ONE") as one:
            client.expect(AC)
            client.send(find_rq())
            one.expect_message()
            one.send(find_rsp())
            answered(client, IN_PART)
        first.send(release_rq())
        narrow.expect(RELEASE_RQ)
        narrow.send(release_rp())
        first.expect(RELEASE_RP)
    with site.calling("NARROWS", FIND) as client, site.accepting("NARROW"):
        client.expect(AC)


def test_limit_of_a_destination(site):
    """The only workstation that something is moved to has its one association: RJ 2,3,2 for the archive."""
    with (
        site.moving("WS2"),
        site.calling("RELAY", STORE, calling="ONE") as first,
        site.accepting("WS2"),
    ):
        first.expect(AC)
        with site.calling("RELAY", STORE, calling="ONE") as second:
            assert tuple(second.expect(RJ).body[1:]) == (2, 3, 2)


SAID = {
    "its own triple": (reject(1, 1, 7), (1, 1, 7)),
    "an illegal triple": (reject(1, 3, 7), (2, 2, 1)),
    "an abort": (abort(0, 0), (2, 3, 1)),
    "something illegal": (pdu(4, bytes(6)), (2, 2, 1)),
}


@pytest.mark.parametrize("what", SAID)
def test_all_members_refuse(site, what):
    said, answer = SAID[what]
    with site.calling("PAIR", FIND) as client:
        for name in ("ONE", "TWO"):
            with site.acceptors[name].accept() as member:
                member.expect(RQ)
                member.send(said)
                assert member.receive() is None or what == "something illegal"
        assert tuple(client.expect(RJ).body[1:]) == answer


def test_one_member_refuses(site):
    """It spoils nothing: the caller is accepted, and told at the end."""
    with site.calling("PAIR", FIND) as client:
        with site.acceptors["ONE"].accept() as one:
            one.expect(RQ)
            one.send(reject(1, 1, 3))
            one.receive()
        with site.accepting("TWO") as two:
            client.expect(AC)
            client.send(find_rq())
            two.expect_message()
            two.send(find_rsp())
            answered(client, IN_PART)


def test_nothing_that_a_group_is_for(site):
    with site.calling("PAIR", STORE) as client:
        assert tuple(client.expect(RJ).body[1:]) == (1, 1, 1)


# Messages ------------------------------------------------------------------------------------------


def test_move_destination_unknown_to_a_group(site):
    """A801H of the relay's own; neither member hears of it, and the association goes on."""
    with site.pair() as (client, one, two):
        command: Command = {2: STUDY_MOVE, 0x100: 0x21, 0x110: 7, 0x700: 0, 0x600: b"NOBODY"}
        client.send(message(3, command, KEYS))
        answered(client, UNKNOWN_DESTINATION)
        client.send(find_rq(8))
        for member in (one, two):
            assert member.expect_message().number(0x110) == 8
            member.send(find_rsp(number=8))
        answered(client, 0, 8)


def test_service_not_allowed_at_a_group(site):
    with site.pair() as (client, one, two):
        client.send(store_rq(7, None, None))
        answered(client, NOT_AUTHORIZED)
        client.send(find_rq(8))
        assert one.expect_message().number(0x110) == two.expect_message().number(0x110) == 8


def test_sub_operation_that_cannot_be_told(site):
    """0110H, and neither workstation gets it."""
    with (
        site.moving("WS1", "TWO"),
        site.moving("WS2", "TWO"),
        site.calling("RELAY", STORE, calling="TWO") as archive,
    ):
        for name in ("WS1", "WS2"):
            with site.accepting(name) as probed:
                probed.expect(RELEASE_RQ)
                probed.send(release_rp())
        archive.expect(AC)
        archive.send(store_rq(7, None, None))
        answered(archive, FAILED)
        archive.send(store_rq(8, None, 4711))
        answered(archive, NOT_AUTHORIZED, 8)
        for name in ("WS1", "WS2"):
            site.acceptors[name].socket.settimeout(0)
            with pytest.raises(BlockingIOError):
                site.acceptors[name].socket.accept()
            site.acceptors[name].socket.settimeout(40)


# Ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["abort", "lost"])
def test_the_caller_of_a_group_breaks_off(site, how):
    with site.pair() as (client, one, two):
        client.send(find_rq())
        one.expect_message()
        two.expect_message()
        if how == "abort":
            client.send(abort(0, 0))
        else:
            client.reset()
        expected = [0, 0] if how == "abort" else [2, 0]
        for member in (one, two):
            assert list(member.expect(ABORT).body[2:]) == expected


OFFENCES = {
    "abort": (abort(0, 0), None),
    "a second request": (associate_rq([FIND]), 2),
    "an unknown type": (pdu(9, b"abcd"), 1),
    "no PDV": (pdu(4, b""), 6),
}


@pytest.mark.parametrize("what", OFFENCES)
def test_a_member_breaks_the_protocol(site, what):
    """It gets its A-ABORT; the caller what the other one answers, and is told at the end."""
    said, reason = OFFENCES[what]
    with site.pair() as (client, one, two):
        client.send(find_rq())
        one.expect_message()
        two.expect_message()
        one.send(said)
        if reason is None:
            assert one.receive() is None
        else:
            assert list(one.expect(ABORT).body[2:]) == [2, reason]
        two.send(find_rsp())
        answered(client, IN_PART)
        client.send(find_rq(8))
        assert two.expect_message().number(0x110) == 8


def test_the_caller_of_a_group_breaks_the_protocol(site):
    with site.pair() as (client, one, two):
        client.send(pdu(9, b"abcd"))
        assert list(client.expect(ABORT).body[2:]) == [2, 1]
        for member in (one, two):
            assert list(member.expect(ABORT).body[2:]) == [2, 0]
    wait_until(lambda: "protocol error" in site.through.program.log(), "the log has it")
