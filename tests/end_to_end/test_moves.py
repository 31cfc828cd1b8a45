"""C-MOVE with archives of every habit: whose sub-operation a C-STORE is, and what its receiver sees of it.

Archive, callers and destinations are hand-written, so that each says exactly what the case asks for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.end_to_end.moving import HABITS, OBJECT, Archive, finish, said, store_rq
from tests.end_to_end.peers import ae, border, relay, rule
from tests.end_to_end.wire import (
    AC,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    RQ,
    Acceptor,
    Message,
    Peer,
    associate_ac,
    message,
    release_rp,
    release_rq,
)


@dataclass
class Site(Archive):
    """Workstations WS1 and WS2, and the archive that knows them as FAR_WS1 and FAR_WS2."""

    stations: dict[str, Acceptor] = field(default_factory=dict)

    @contextlib.contextmanager
    def storing(self, to: str) -> Iterator[tuple[Peer, Peer]]:
        """The archive's association for sub-operations, and the destination's end of it."""
        with self.calling(f"FAR_{to}") as archive, self.stations[to].accept() as station:
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
            yield Site(running, archive, stations={"WS1": first, "WS2": second})


def store(archive: Peer, number: int, originator: str | None, move: int | None) -> None:
    archive.send(store_rq(number, originator, move))


def passes(archive: Peer, station: Peer, number: int) -> Message:
    """The C-STORE reaches the station, whose answer comes back; as it was received."""
    got = station.expect_message()
    assert got.data == OBJECT
    station.send(message(1, {0x100: 0x8001, 0x120: number, 0x900: 0}))
    answer = archive.expect_message()
    assert (answer.number(0x120), answer.number(0x900)) == (number, 0)
    return got


@pytest.mark.parametrize("habit", HABITS)
def test_move_originator(site, habit):
    """With one open move there is no doubt; the station never sees a name of the other side."""
    with site.moving("WS1", "WS1", 4711) as (client, archive, asked):
        assert (asked.text(0x600), asked.number(0x110)) == ("FAR_WS1", 4711)
        with site.storing("WS1") as (sender, station):
            store(sender, 1, *said(habit, asked, "FAR_WS1"))
            got = passes(sender, station, 1)
        if 0x1030 in got.command:
            assert got.text(0x1030) == "WS1"
        if 0x1031 in got.command:
            assert got.number(0x1031) == 4711
        if habit == "as the standard says":
            assert 0x1030 in got.command
        finish(client, archive, 4711, 4711)


def test_destination_that_is_not_the_caller(site):
    with site.moving("WS1", "WS2", 5) as (client, archive, asked):
        assert asked.text(0x600) == "FAR_WS2"
        with site.storing("WS2") as (sender, station):
            store(sender, 1, "FAR_WS1", 5)
            got = passes(sender, station, 1)
        assert (got.text(0x1030), got.number(0x1031)) == ("WS1", 5)
        finish(client, archive, 5, 5)


def test_two_callers_with_the_same_message_id(site):
    with (
        site.moving("WS1", "WS1", 1) as (first, archive_first, asked_first),
        site.moving("WS2", "WS2", 1) as (second, archive_second, asked_second),
        site.storing("WS2") as (to_second, station_second),
        site.storing("WS1") as (to_first, station_first),
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
        with site.storing("WS2") as (sender, station):
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
        with site.calling(f"FAR_{to}") as sender:
            assert sender.expect(RJ).body[1] == 1
