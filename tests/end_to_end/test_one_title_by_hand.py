"""Workstations without a title of their own, and an archive of every habit, by hand.

What cannot be told is never guessed: it waits, or it is refused with 0110H and a line in the log.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from tests.end_to_end.files import digest
from tests.end_to_end.moving import (
    HABITS,
    OBJECT,
    Archive,
    cancel_rq,
    finish,
    move_rq,
    move_rsp,
    said,
    store_rq,
)
from tests.end_to_end.peers import ae, border, free_port, relay, rule, wait_until
from tests.end_to_end.pynet import Stored, storage_scp
from tests.end_to_end.wire import (
    ABORT,
    AC,
    CT,
    IMPLICIT,
    RJ,
    Acceptor,
    Message,
    Peer,
    abort,
)

STATIONS = ["WS1", "WS2", "WS3"]
ARCHIVES = [f"PACS{number}" for number in range(40)]
_unknown = iter(ARCHIVES)
TELLING = [habit for habit, (_, number) in HABITS.items() if number]
"""With several callers that the archive knows by one title, it is the Message ID that tells."""
SILENT = [habit for habit in HABITS if habit not in TELLING]
UNDECIDABLE, NOT_AUTHORIZED = 0x0110, 0x0124


@dataclass
class Site(Archive):
    """The archive, and what each workstation has got."""

    stored: dict[str, list[Stored]] = field(default_factory=dict)
    begin: int = 0

    def got(self, station: str) -> list[str]:
        """The Message IDs of the C-STOREs that reached it, as the ends of their SOP Instance UIDs."""
        found = self.stored[station]
        assert all(one.digest == digest(OBJECT) for one in found)
        assert all((one.calling, one.called) == (self.alias, station) for one in found)
        return [one.sop_instance.rpartition(".")[2] for one in found]

    def log(self) -> str:
        """What the relay has said since the test began."""
        return self.through.program.log()[self.begin :]

    def waits_for(self, text: str, times: int = 1) -> None:
        wait_until(lambda: self.log().count(text) >= times, f"the log says {text!r}")

    def origin(
        self, asked: Message, habit: str = "as the standard says"
    ) -> tuple[str | None, int | None]:
        """The Move Originator of a C-STORE of this move."""
        assert asked.text(0x600) == "RELAY", (
            "the archive knows the workstations by this title alone"
        )
        return said(habit, asked, "RELAY", self.title)

    def stores(self, number: int, asked: Message, habit: str = "as the standard says") -> int:
        """One sub-operation on an association of its own; the status that came back."""
        with self.sending() as sender:
            return store(sender, number, self.origin(asked, habit))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """WS1 to WS3 run, DOWN does not, DEAF accepts connections and never answers."""
    with contextlib.ExitStack() as stack:
        archive, deaf = (stack.enter_context(Acceptor()) for _ in range(2))
        stored: dict[str, list[Stored]] = {name: [] for name in STATIONS}
        ports = {
            name: stack.enter_context(storage_scp(name, [(CT, [IMPLICIT])], stored[name]))
            for name in STATIONS
        }
        aes = [
            *(ae(name, "west", port) for name, port in ports.items()),
            ae("DOWN", "west", free_port()),
            ae("DEAF", "west", deaf.port),
            *(ae(name, "east", archive.port, alias=f"FAR_{name}") for name in ARCHIVES),
            ae("QUIET", "east", archive.port, alias="FAR_QUIET", move_originator=False),
        ]
        anybody = ["network:west"]
        rules = [rule(anybody, ["network:east"], ["move"], destinations=anybody)]
        limits = {"associations_per_source": 400, "connect": 3.0}
        directory = tmp_path_factory.mktemp("by_hand")
        through = stack.enter_context(relay(border(aes, rules, limits=limits), directory))
        yield Site(through, archive, stored=stored)


def fresh(running: Site, title: str) -> Site:
    for stored in running.stored.values():
        stored.clear()
    begin = len(running.through.program.log())
    return replace(running, title=title, begin=begin)


@pytest.fixture
def site(running: Site) -> Site:
    """An archive that the relay does not know the habits of: each test has another one."""
    return fresh(running, next(_unknown))


@pytest.fixture
def told(running: Site) -> Site:
    """The file says that this archive leaves out Move Originator."""
    return fresh(running, "QUIET")


def store(sender: Peer, number: int, origin: tuple[str | None, int | None]) -> int:
    """One sub-operation; the status that came back."""
    sender.send(store_rq(number, *origin))
    answer = sender.expect_message()
    assert (answer.number(0x100), answer.number(0x120)) == (0x8001, number)
    return answer.number(0x900)


@pytest.mark.parametrize("habit", HABITS)
def test_one_open_move(site, habit):
    with site.moving("WS1", "WS2", 4711) as (client, archive, asked):
        assert asked.number(0x110) == 4711
        with site.sending() as sender:
            assert store(sender, 1, site.origin(asked, habit)) == 0
            assert store(sender, 2, site.origin(asked, habit)) == 0
        finish(client, archive, 4711, 4711)
    assert site.got("WS2") == ["1", "2"]
    assert site.got("WS1") == site.got("WS3") == []
    for one in site.stored["WS2"]:
        assert one.originator in (None, "WS1")
        assert one.originator_id in (None, 4711)
    if habit == "as the standard says":
        assert site.stored["WS2"][0].originator == "WS1"


@pytest.mark.parametrize("habit", TELLING)
def test_equal_message_ids_on_one_association(site, habit):
    """Two callers, two destinations that are not themselves, C-STOREs in turn."""
    with (
        site.moving("WS1", "WS2", 1) as (first, archive_first, one),
        site.moving("WS2", "WS3", 1) as (second, archive_second, two),
    ):
        assert one.number(0x110) != two.number(0x110), "one of them is renumbered"
        with site.sending() as sender:
            for number, asked in enumerate((one, two, one, two, two), 1):
                assert store(sender, number, site.origin(asked, habit)) == 0
        finish(first, archive_first, one.number(0x110), 1)
        finish(second, archive_second, two.number(0x110), 1)
    assert (site.got("WS1"), site.got("WS2"), site.got("WS3")) == ([], ["1", "3"], ["2", "4", "5"])
    assert {one.originator for one in site.stored["WS3"]} <= {None, "WS2"}
    assert {one.originator_id for one in site.stored["WS2"]} == {1}


@pytest.mark.parametrize("habit", TELLING)
def test_an_association_for_each_object(site, habit):
    with (
        site.moving("WS1", "WS1", 9) as (first, archive_first, one),
        site.moving("WS1", "WS2", 9) as (second, archive_second, two),
    ):
        with contextlib.ExitStack() as stack:
            senders = [stack.enter_context(site.sending()) for _ in range(4)]
            for number, (sender, asked) in enumerate(zip(senders, (one, two) * 2, strict=True), 1):
                assert store(sender, number, site.origin(asked, habit)) == 0
        finish(first, archive_first, one.number(0x110), 9)
        finish(second, archive_second, two.number(0x110), 9)
    assert (site.got("WS1"), site.got("WS2")) == (["1", "3"], ["2", "4"])


@pytest.mark.parametrize("habit", SILENT)
def test_what_cannot_be_told_is_refused(site, habit):
    """Both moves went onward before anybody could know; then each object is refused, until one is left."""
    with (
        site.moving("WS1", "WS1", 1) as (first, archive_first, one),
        site.moving("WS2", "WS2", 2) as (second, archive_second, two),
        site.sending() as sender,
    ):
        assert store(sender, 1, site.origin(one, habit)) == UNDECIDABLE
        assert store(sender, 2, site.origin(two, habit)) == UNDECIDABLE
        site.waits_for("a C-MOVE to any of WS1, WS2 could have caused it", 2)
        assert (site.got("WS1"), site.got("WS2")) == ([], [])
        with site.sending() as later:  # than the end of the first
            finish(first, archive_first, 1, 1)
            assert store(later, 3, site.origin(two, habit)) == 0
        finish(second, archive_second, 2, 2)
    assert (site.got("WS1"), site.got("WS2")) == ([], ["3"])


@pytest.mark.parametrize("habit", SILENT)
def test_a_move_waits_at_an_archive_that_tells_nothing(site, habit):
    """It is known by its first sub-operation; the second move goes onward when the first has ended."""
    with (
        site.moving("WS1", "WS1", 1) as (first, archive_first, one),
        site.asking("WS2") as (second, archive_second),
    ):
        assert site.stores(1, one, habit) == 0
        second.send(move_rq("WS2", 1))
        site.waits_for("message waits")
        assert site.stores(2, one, habit) == 0, "as long as it waits there is no doubt"
        finish(first, archive_first, 1, 1)
        two = archive_second.expect_message()
        assert site.stores(3, two, habit) == 0
        finish(second, archive_second, two.number(0x110), 1)
    assert (site.got("WS1"), site.got("WS2")) == (["1", "2"], ["3"])


def test_move_originator_false(told):
    """Nobody has to find out; and two moves to one destination need not be told apart."""
    with (
        told.moving("WS1", "WS1", 1) as (first, archive_first, one),
        told.moving("WS2", "WS1", 2) as (also, archive_also, same),
        told.asking("WS2") as (second, archive_second),
    ):
        second.send(move_rq("WS2", 3))
        told.waits_for("message waits")
        assert told.stores(1, one, "left out") == told.stores(2, same, "left out") == 0
        finish(first, archive_first, 1, 1)
        assert told.stores(3, same, "left out") == 0
        finish(also, archive_also, 2, 2)
        two = archive_second.expect_message()
        assert told.stores(4, two, "left out") == 0
        finish(second, archive_second, 3, 3)
    assert (told.got("WS1"), told.got("WS2")) == (["1", "2", "3"], ["4"])


def test_a_move_that_waits_is_cancelled(told):
    """The archive never hears of it."""
    with (
        told.moving("WS1", "WS1", 1) as (first, archive_first, one),
        told.asking("WS2") as (second, archive_second),
    ):
        second.send(move_rq("WS2", 7) + cancel_rq(7))
        answer = second.expect_message()
        assert (answer.number(0x120), answer.number(0x900)) == (7, 0xFE00)
        assert told.stores(1, one, "left out") == 0
        finish(first, archive_first, 1, 1)
        second.send(move_rq("WS2", 8))
        assert archive_second.expect_message().number(0x110) == 8
    assert told.got("WS1") == ["1"]


def test_the_caller_of_a_move_that_waits_leaves(told):
    with told.moving("WS1", "WS1", 1) as (first, archive_first, one):
        with told.asking("WS2") as (second, archive_second):
            second.send(move_rq("WS2", 7))
            told.waits_for("message waits")
            second.send(abort(0, 0))
            archive_second.expect(ABORT)
        assert told.stores(1, one, "left out") == 0
        finish(first, archive_first, 1, 1)
    with told.moving("WS3", "WS3", 1) as (third, archive_third, asked):
        assert told.stores(2, asked, "left out") == 0
        finish(third, archive_third, 1, 1)
    assert (told.got("WS1"), told.got("WS2"), told.got("WS3")) == (["1"], [], ["2"])


# The C-MOVE ends before its sub-operations do -------------------------------------------------------


def test_an_early_answer(site):
    """The rest of the objects arrives, also while another move is open that was given the same Message ID."""
    with site.moving("WS1", "WS1", 5) as (first, archive_first, one), site.sending() as sender:
        assert store(sender, 1, site.origin(one)) == 0
        finish(first, archive_first, 5, 5)
        with site.moving("WS2", "WS2", 5) as (second, archive_second, two):
            assert two.number(0x110) != 5
            assert store(sender, 2, site.origin(one)) == 0
            assert store(sender, 3, site.origin(two)) == 0
            finish(second, archive_second, two.number(0x110), 5)
    assert (site.got("WS1"), site.got("WS2")) == (["1", "2"], ["3"])


@pytest.mark.parametrize("how", ["cancelled", "aborted", "cut off"])
def test_a_move_that_is_broken_off(site, how):
    """What is under way arrives, and nothing on an association that begins later."""
    with site.moving("WS1", "WS2", 5) as (first, archive_first, one), site.sending() as sender:
        assert store(sender, 1, site.origin(one)) == 0
        if how == "cancelled":
            first.send(cancel_rq(5))
            assert archive_first.expect_message().number(0x120) == 5
            finish(first, archive_first, 5, 5, status=0xFE00)
        elif how == "aborted":
            first.send(abort(0, 0))
            archive_first.expect(ABORT)
        else:
            first.reset()
            archive_first.expect(ABORT)
        assert store(sender, 2, site.origin(one)) == 0
        with site.calling("RELAY") as late:
            assert late.expect(RJ).body[1] == 1
    assert (site.got("WS1"), site.got("WS2")) == ([], ["1", "2"])


def test_a_move_that_yields_nothing(site):
    """It leaves nothing behind: what comes later is not taken for it."""
    with site.moving("WS1", "WS1", 5) as (first, archive_first, one):
        finish(first, archive_first, 5, 5)
        with site.calling("RELAY") as late:
            assert late.expect(RJ).body[1] == 1
        with site.moving("WS2", "WS2", 6) as (second, archive_second, two):
            with site.sending() as sender:
                assert store(sender, 1, site.origin(one)) == NOT_AUTHORIZED
                assert store(sender, 2, site.origin(two)) == 0
            finish(second, archive_second, 6, 6)
    assert (site.got("WS1"), site.got("WS2")) == ([], ["2"])


def test_the_archive_breaks_off_within_an_object(site):
    """Nobody gets half of it, and the other move goes on."""
    with (
        site.moving("WS1", "WS1", 1) as (first, archive_first, one),
        site.moving("WS2", "WS2", 2) as (second, archive_second, two),
    ):
        with site.calling("RELAY") as sender:
            sender.expect(AC)
            assert store(sender, 1, site.origin(one)) == 0
            title, number = site.origin(one)
            sender.send(store_rq(2, title, number, bytes(100_000))[:-1000])
            sender.reset()
        assert site.stores(3, two) == 0
        assert site.stores(4, one) == 0
        finish(first, archive_first, 1, 1)
        finish(second, archive_second, 2, 2)
    assert (site.got("WS1"), site.got("WS2")) == (["1", "4"], ["3"])


# Destinations --------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["DOWN", "DEAF"])
def test_a_destination_that_does_not_answer(site, failing):
    """Its objects fail, with a status that is the relay's; those of another move arrive."""
    with (
        site.moving("WS1", failing, 1) as (first, archive_first, one),
        site.moving("WS2", "WS2", 1) as (second, archive_second, two),
    ):
        with site.sending() as sender:
            assert store(sender, 1, site.origin(two)) == 0
            assert store(sender, 2, site.origin(one)) == UNDECIDABLE
            assert store(sender, 3, site.origin(two)) == 0
        finish(first, archive_first, one.number(0x110), 1, status=0xB000)
        finish(second, archive_second, two.number(0x110), 1)
    assert site.got("WS2") == ["1", "3"]
    assert f"{failing}: " in site.log()


def test_nobody_but_a_destination_that_is_down(site):
    with site.moving("WS1", "DOWN", 1), site.calling("RELAY") as sender:
        assert tuple(sender.expect(RJ).body[1:]) == (2, 3, 1)


def test_hundreds_of_open_moves(site):
    """Three callers, a hundred moves each on one association; the archive answers them all on one."""
    callers = dict(zip(STATIONS, ["WS2", "WS3", "WS1"], strict=True))
    count = 100
    asked: list[tuple[str, Message]] = []
    with contextlib.ExitStack() as stack:
        ends = {caller: stack.enter_context(site.asking(caller)) for caller in callers}
        for caller, to in callers.items():
            client, archive = ends[caller]
            client.send(b"".join(move_rq(to, number) for number in range(1, count + 1)))
            asked += [(caller, archive.expect_message()) for _ in range(count)]
        assert len({got.number(0x110) for _, got in asked}) == len(asked), "each can be told"
        with site.sending() as sender:
            for number, (_, got) in enumerate(asked, 1):
                assert store(sender, number, site.origin(got)) == 0
        for caller, (client, archive) in ends.items():
            archive.send(b"".join(move_rsp(got.number(0x110)) for by, got in asked if by == caller))
            answered = [client.expect_message().number(0x120) for _ in range(count)]
            assert answered == list(range(1, count + 1))
    for place, (caller, to) in enumerate(callers.items()):
        assert site.got(to) == [str(place * count + number) for number in range(1, count + 1)]
        assert {one.originator for one in site.stored[to]} == {caller}
        assert [one.originator_id for one in site.stored[to]] == list(range(1, count + 1))
