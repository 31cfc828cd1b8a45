"""Two processes that share `[relay] state`: a C-MOVE comes to one of them, its C-STOREs to the other.

They are two relays, or two workers of one, which hands each connection to the worker that has fewest.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.moving import finish, move_rq
from tests.end_to_end.peers import ae, border, relay, rule
from tests.end_to_end.pynet import Stored, storage_scp
from tests.end_to_end.test_one_title_by_hand import Site, store
from tests.end_to_end.wire import CT, IMPLICIT, RJ, Acceptor

STATIONS = ["WS1", "WS2", "WS3"]
Sites = tuple[Site, Site]


@pytest.fixture(params=["relays", "workers"])
def sites(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Sites]:
    """The same archive and workstations, by way of each process; nobody has a title of its own."""
    with two_sites(tmp_path, workers=request.param == "workers") as both:
        yield both


@contextlib.contextmanager
def two_sites(directory: Path, *, workers: bool) -> Iterator[Sites]:
    with contextlib.ExitStack() as stack:
        archive = stack.enter_context(Acceptor())
        stored: dict[str, list[Stored]] = {name: [] for name in STATIONS}
        ports = {
            name: stack.enter_context(storage_scp(name, [(CT, [IMPLICIT])], stored[name]))
            for name in STATIONS
        }
        aes = [
            *(ae(name, "west", port) for name, port in ports.items()),
            ae("PACS", "east", archive.port, alias="FAR_PACS"),
            ae("QUIET", "east", archive.port, alias="FAR_QUIET", move_originator=False),
        ]
        anybody = ["network:west"]
        rules = [rule(anybody, ["network:east"], ["move"], destinations=anybody)]
        if workers:
            config = border(aes, rules)
            one = other = stack.enter_context(relay(config, directory, "--workers", "2"))
        else:
            state = {"state": str(directory / "state.sqlite")}
            config = border(aes, rules, relay=state)
            one, other = (stack.enter_context(relay(config, directory)) for _ in range(2))
        yield Site(one, archive, stored=stored), Site(other, archive, stored=stored)


def test_equal_message_ids(sites):
    """Neither process gives the archive a Message ID that the other has given it."""
    here, there = sites
    with (
        here.moving("WS1", "WS2", 1) as (first, archive_first, one),
        there.moving("WS2", "WS3", 1) as (second, archive_second, two),
    ):
        assert one.number(0x110) != two.number(0x110)
        for way in sites:
            with way.sending() as sender:
                for number, asked in enumerate((one, two, two), 1):
                    assert store(sender, number, way.origin(asked)) == 0
        finish(first, archive_first, one.number(0x110), 1)
        finish(second, archive_second, two.number(0x110), 1)
    assert here.got("WS2") == ["1", "1"]
    assert here.got("WS3") == ["2", "3"] * 2
    assert here.got("WS1") == []
    assert {(one.originator, one.originator_id) for one in here.stored["WS3"]} == {("WS2", 1)}


def test_message_ids_stay_when_moves_are_over(sites):
    """Whoever had them, and whichever process is asked next; but for C-STOREs that may still come."""
    here, there = sites
    for site, caller in ((here, "WS1"), (there, "WS2"), (here, "WS3"), (there, "WS1")):
        with site.moving(caller, caller, 1) as (client, archive, asked):
            assert asked.number(0x110) == 1
            finish(client, archive, 1, 1)
    with here.moving("WS1", "WS1", 1) as (client, archive, asked):
        with there.sending() as sender:
            assert store(sender, 1, there.origin(asked)) == 0
            finish(client, archive, 1, 1)
            with here.moving("WS2", "WS2", 1) as (second, archive_second, two):
                assert two.number(0x110) != 1
                finish(second, archive_second, two.number(0x110), 1)
        there.waits_for("association ended", 1)
        with here.moving("WS3", "WS3", 1) as (third, archive_third, three):
            assert three.number(0x110) == 1
            finish(third, archive_third, 1, 1)


def test_a_move_that_ends_before_its_last_c_store(sites):
    """It is found by the association that was open by then, and by no other."""
    here, there = sites
    with here.moving("WS1", "WS2", 7) as (client, archive, asked), there.sending() as sender:
        assert store(sender, 1, there.origin(asked)) == 0
        finish(client, archive, 7, 7)
        assert store(sender, 2, there.origin(asked)) == 0
    assert there.got("WS2") == ["1", "2"]
    with there.calling("RELAY") as late:
        late.expect(RJ)


def test_a_move_waits_for_one_of_the_other_process(sites):
    here, there = (Site(one.through, one.acceptor, "QUIET", one.stored) for one in sites)
    with (
        here.moving("WS1", "WS2", 1) as (first, archive_first, one),
        there.asking("WS2") as (second, archive_second),
    ):
        second.send(move_rq("WS3", 1))
        there.waits_for("message waits")
        with there.sending() as sender:
            assert store(sender, 1, (None, None)) == 0
        finish(first, archive_first, one.number(0x110), 1)
        two = archive_second.expect_message()
        with here.sending() as sender:
            assert store(sender, 2, (None, None)) == 0
        finish(second, archive_second, two.number(0x110), 1)
    assert (here.got("WS1"), here.got("WS2"), here.got("WS3")) == ([], ["1"], ["2"])


def test_a_worker_dies_with_an_open_move(tmp_path):
    """A move that waits for it in another worker waits no longer: its C-STOREs have nobody to go to."""
    with two_sites(tmp_path, workers=True) as (one, _):
        here = Site(one.through, one.acceptor, "QUIET", one.stored)
        with (
            here.moving("WS1", "WS2", 1) as (_client, archive_first, _asked),
            here.asking("WS2") as (second, archive_second),
        ):
            second.send(move_rq("WS3", 1))
            here.waits_for("message waits")
            os.kill(worker_of(here, "WS1"), signal.SIGKILL)
            assert archive_first.rest() == b""
            asked = archive_second.expect_message()
            with here.sending() as sender:
                assert store(sender, 1, (None, None)) == 0
            finish(second, archive_second, asked.number(0x110), 1)
    assert here.got("WS3") == ["1"]


def worker_of(site: Site, caller: str) -> int:
    """The process that has the association of a caller."""
    lines = map(json.loads, site.log().splitlines())
    established = [line for line in lines if line["event"] == "association established"]
    (worker,) = {line["worker"] for line in established if line["calling"] == caller}
    assert worker != {line["worker"] for line in established if line["calling"] != caller}
    return int(worker)
