"""C-MOVE with archives of every habit: whose sub-operation a C-STORE is, and what its receiver sees of it.

Archive, callers and destinations are hand-written, so that each says exactly what the case asks for.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.end_to_end.peers import Relay, ae, border, relay, rule
from tests.end_to_end.uids import STUDY_MOVE
from tests.end_to_end.wire import (
    AC,
    CT,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    RQ,
    Acceptor,
    Command,
    Context,
    Message,
    Peer,
    associate_ac,
    associate_rq,
    message,
    release_rp,
    release_rq,
)

IDENTIFIER = struct.pack("<HHI", 8, 0x52, 6) + b"STUDY "
OBJECT = bytes(range(256)) * 40


@dataclass
class Site:
    """Workstations WS1 and WS2, and the archive that knows them as FAR_WS1 and FAR_WS2."""

    through: Relay
    archive: Acceptor
    stations: dict[str, Acceptor]

    @contextlib.contextmanager
    def moving(self, caller: str, to: str, number: int) -> Iterator[tuple[Peer, Peer, Message]]:
        """A C-MOVE under way: the caller, the archive, and the request as the archive got it."""
        with Peer.connect(self.through.ports["west"]) as client:
            client.send(associate_rq([Context(1, STUDY_MOVE)], called="FAR_PACS", calling=caller))
            with self.archive.accept() as archive:
                archive.send(associate_ac(archive.expect_associate(RQ)))
                client.expect(AC)
                move: Command = {2: STUDY_MOVE, 0x100: 0x21, 0x110: number, 0x700: 0}
                client.send(message(1, {**move, 0x600: to.encode()}, IDENTIFIER))
                yield client, archive, archive.expect_message()

    @contextlib.contextmanager
    def sending(self, to: str) -> Iterator[tuple[Peer, Peer]]:
        """The archive's association for sub-operations, and the destination's end of it."""
        with Peer.connect(self.through.ports["east"]) as archive:
            archive.send(associate_rq([Context(1, CT)], called=f"FAR_{to}", calling="PACS"))
            with self.stations[to].accept() as station:
                asked = station.expect_associate(RQ)
                assert (asked.calling, asked.called) == ("FAR_PACS", to)
                station.send(associate_ac(asked))
                archive.expect(AC)
                yield archive, station
                archive.send(release_rq())
                station.expect(RELEASE_RQ)
                station.send(release_rp())
                archive.expect(RELEASE_RP)


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    with Acceptor() as archive, Acceptor() as first, Acceptor() as second:
        aes = [
            ae("WS1", "west", first.port, alias="FAR_WS1"),
            ae("WS2", "west", second.port, alias="FAR_WS2"),
            ae("PACS", "east", archive.port, alias="FAR_PACS"),
        ]
        rules = [rule(["WS1", "WS2"], ["PACS"], ["move"], destinations=["WS1", "WS2"])]
        with relay(border(aes, rules), tmp_path) as running:
            yield Site(running, archive, {"WS1": first, "WS2": second})


def store(archive: Peer, number: int, originator: str | None, move: int | None) -> None:
    command: Command = {2: CT, 0x100: 1, 0x110: number, 0x700: 0, 0x1000: f"1.2.{number}"}
    if originator is not None:
        command[0x1030] = originator.encode()
    if move is not None:
        command[0x1031] = move
    archive.send(message(1, command, OBJECT))


def passes(archive: Peer, station: Peer, number: int) -> Message:
    """The C-STORE reaches the station, whose answer comes back; as it was received."""
    got = station.expect_message()
    assert got.data == OBJECT
    station.send(message(1, {0x100: 0x8001, 0x120: number, 0x900: 0}))
    answer = archive.expect_message()
    assert (answer.number(0x120), answer.number(0x900)) == (number, 0)
    return got


def finish(client: Peer, archive: Peer, shown: int, number: int) -> None:
    """The final C-MOVE-RSP, with the Message ID that each side knows."""
    final: Command = {2: STUDY_MOVE, 0x100: 0x8021, 0x120: shown, 0x900: 0, 0x1021: 1}
    archive.send(message(1, final))
    answer = client.expect_message()
    assert (answer.number(0x120), answer.number(0x900)) == (number, 0)


HABITS: dict[str, tuple[str | None, int | None]] = {
    "as the standard says": ("FAR_WS1", 4711),
    "left out": (None, None),
    "title left out": (None, 4711),
    "id left out": ("FAR_WS1", None),
    "its own title, as pynetdicom": ("PACS", 4711),
}


@pytest.mark.parametrize("habit", HABITS)
def test_move_originator(site, habit):
    """With one open move there is no doubt; the station never sees a name of the other side."""
    originator, number = HABITS[habit]
    with site.moving("WS1", "WS1", 4711) as (client, archive, asked):
        assert (asked.text(0x600), asked.number(0x110)) == ("FAR_WS1", 4711)
        with site.sending("WS1") as (sender, station):
            store(sender, 1, originator, number)
            got = passes(sender, station, 1)
        if 0x1030 in got.command:
            assert got.text(0x1030) == "WS1"
        if 0x1031 in got.command:
            assert got.number(0x1031) == 4711
        if originator == "FAR_WS1":
            assert 0x1030 in got.command
        finish(client, archive, 4711, 4711)


def test_destination_that_is_not_the_caller(site):
    with site.moving("WS1", "WS2", 5) as (client, archive, asked):
        assert asked.text(0x600) == "FAR_WS2"
        with site.sending("WS2") as (sender, station):
            store(sender, 1, "FAR_WS1", 5)
            got = passes(sender, station, 1)
        assert (got.text(0x1030), got.number(0x1031)) == ("WS1", 5)
        finish(client, archive, 5, 5)


def test_two_callers_with_the_same_message_id(site):
    with (
        site.moving("WS1", "WS1", 1) as (first, archive_first, asked_first),
        site.moving("WS2", "WS2", 1) as (second, archive_second, asked_second),
        site.sending("WS2") as (to_second, station_second),
        site.sending("WS1") as (to_first, station_first),
    ):
        assert (asked_first.number(0x110), asked_second.number(0x110)) == (1, 1)
        for name, sender, station in (
            ("WS1", to_first, station_first),
            ("WS2", to_second, station_second),
        ):
            store(sender, 1, f"FAR_{name}", 1)
            got = passes(sender, station, 1)
            assert (got.text(0x1030), got.number(0x1031)) == (name, 1)
        finish(first, archive_first, 1, 1)
        finish(second, archive_second, 1, 1)


def test_one_caller_twice_with_the_same_message_id(site):
    """To different destinations: the later move is renumbered onward and set back."""
    with (
        site.moving("WS1", "WS1", 1) as (first, archive_first, _),
        site.moving("WS1", "WS2", 1) as (second, archive_second, asked),
    ):
        shown = asked.number(0x110)
        assert shown != 1
        with site.sending("WS2") as (sender, station):
            store(sender, 1, "FAR_WS1", shown)
            got = passes(sender, station, 1)
            assert (got.text(0x1030), got.number(0x1031)) == ("WS1", 1)
        finish(second, archive_second, shown, 1)
        finish(first, archive_first, 1, 1)


@pytest.mark.parametrize("when", ["never asked", "already answered"])
def test_store_without_an_open_move(site, when):
    """A move allows the sub-operations it causes, and nothing more."""
    with site.moving("WS1", "WS1", 3) as (client, archive, _):
        finish(client, archive, 3, 3)
        to = "WS2" if when == "never asked" else "WS1"
        with Peer.connect(site.through.ports["east"]) as sender:
            sender.send(associate_rq([Context(1, CT)], called=f"FAR_{to}", calling="PACS"))
            assert sender.expect(RJ).body[1] == 1
