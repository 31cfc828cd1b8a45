"""Two hospitals that each show themselves as one title: workstations move from an archive behind both relays.

    WS0..WS4 - A - border - B - PACS

Nobody inside has an alias. A workstation calls HOSP_A, a group of what is behind HOSP_B; A calls HOSP_B, a
group of the archive; the archive knows nobody but HOSP_B.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.end_to_end.images import Study, make_studies
from tests.end_to_end.moving import Archive, finish, move_rq, store_rq
from tests.end_to_end.peers import (
    Table,
    ae,
    border,
    dcmqrscp,
    free_port,
    orthanc,
    relay,
    rule,
    run_tool,
    wait_until,
)
from tests.end_to_end.pynet import Stored, storage_scp
from tests.end_to_end.stations import Move, Moved, Ward, move_all, ward
from tests.end_to_end.wire import CT, IMPLICIT, Acceptor

STATIONS = [f"WS{number}" for number in range(5)]
LIMITS = {"associations_per_source": 400}


@dataclass(frozen=True)
class Site:
    """What is behind HOSP_A."""

    port: int
    ward: Ward
    studies: list[Study]


def hospital_a(ports: dict[str, int], border_of_a: int, border_of_b: int, **more: object) -> Table:
    aes = [
        *(ae(title, "inside", port) for title, port in ports.items()),
        ae("HOSP_B", "border", border_of_b, **more),
    ]
    rules = [rule(["network:inside"], ["HOSP_B"], ["move"], destinations=["network:inside"])]
    made = border(aes, rules, relay={"title": "HOSP_A"}, limits=LIMITS)
    made["listener"] = [
        {"network": "border", "bind": f"127.0.0.1:{border_of_a}"},
        {"network": "inside", "bind": "127.0.0.1:0"},
    ]
    return {**made, "group": [{"title": "HOSP_A", "members": ["HOSP_B"]}]}


def hospital_b(border_of_a: int, pacs: int) -> Table:
    aes = [ae("HOSP_A", "border", border_of_a), ae("PACS", "inside", pacs)]
    made = border(
        aes, [rule(["HOSP_A"], ["PACS"], ["move"])], relay={"title": "HOSP_B"}, limits=LIMITS
    )
    return {**made, "group": [{"title": "HOSP_B", "members": ["PACS"]}]}


@pytest.fixture(scope="module", params=["dcmqrscp", "orthanc"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("two_relays")
    studies = make_studies(directory, 15)
    made = ward(STATIONS, directory)
    pacs, border_of_a = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        stack.enter_context(made.open())
        b = stack.enter_context(relay(hospital_b(border_of_a, pacs), directory))
        config = hospital_a(made.ports, border_of_a, b.ports["border"])
        a = stack.enter_context(relay(config, directory))
        hosts = {"HOSP_B": b.ports["inside"]}
        if request.param == "dcmqrscp":
            stack.enter_context(dcmqrscp(pacs, {"PACS": directory / "pacs"}, hosts, directory))
        else:
            stack.enter_context(orthanc("PACS", pacs, free_port(), hosts, directory))
        files = [file.path for study in studies for file in study.files]
        done = run_tool("storescu", "-aec", "PACS", "127.0.0.1", str(pacs), *files, cwd=directory)
        assert done.returncode == 0, done.stderr
        yield Site(a.ports["inside"], made, studies)


@pytest.mark.parametrize("callers", [1, 15])
def test_moves_through_two_relays_that_hide_everybody(site, callers):
    """One, and many at once with the same Message ID, each to another than its caller."""
    site.ward.empty()
    studies = site.studies[:callers]
    moves = [
        Move(STATIONS[number % 5], STATIONS[(number + 1 + number // 5) % 5], study.uid, 3)
        for number, study in enumerate(studies)
    ]
    ended = move_all(site.port, "HOSP_A", moves)
    assert ended == [Moved(0, completed=len(study.files)) for study in studies]
    expected: dict[str, list[str]] = {}
    for asked, study in zip(moves, studies, strict=True):
        expected.setdefault(asked.destination, []).extend(study.digests)
    assert site.ward.received() == {name: sorted(found) for name, found in expected.items()}


@contextlib.contextmanager
def by_hand(directory: Path, stored: dict[str, list[Stored]]) -> Iterator[Archive]:
    """An archive by hand instead, of which A has been told that it does not say whose a C-STORE is."""
    border_of_a = free_port()
    with contextlib.ExitStack() as stack:
        archive = stack.enter_context(Acceptor())
        ports = {
            name: stack.enter_context(storage_scp(name, [(CT, [IMPLICIT])], stored[name]))
            for name in stored
        }
        b = stack.enter_context(relay(hospital_b(border_of_a, archive.port), directory))
        config = hospital_a(ports, border_of_a, b.ports["border"], move_originator=False)
        a = stack.enter_context(relay(config, directory))
        ends = {"west": a.ports["inside"], "east": b.ports["inside"]}
        yield Archive(replace(a, ports=ends), archive, called="HOSP_A")


def test_an_archive_that_says_nothing_behind_two_relays(tmp_path):
    """The second move waits at A, which cannot tell it from the first; B need not: both go to HOSP_A."""
    stored: dict[str, list[Stored]] = {"WS1": [], "WS2": []}
    with by_hand(tmp_path, stored) as pacs, pacs.asking("WS2") as (second, archive_second):
        with pacs.moving("WS1", "WS1", 3) as (first, archive_first, asked):
            assert asked.text(0x600) == "HOSP_B"
            second.send(move_rq("WS2", 3))
            wait_until(lambda: "does not say which" in pacs.through.program.log(), "it waits")
            sends(pacs, 1)
            sends(pacs, 2)
            finish(first, archive_first, asked.number(0x110), 3)
        asked = archive_second.expect_message()
        sends(pacs, 3)
        finish(second, archive_second, asked.number(0x110), 3)
    got = {name: [one.sop_instance for one in found] for name, found in stored.items()}
    assert got == {"WS1": ["1.2.1", "1.2.2"], "WS2": ["1.2.3"]}


def sends(pacs: Archive, number: int) -> None:
    """A C-STORE without Move Originator, which succeeds."""
    with pacs.sending("HOSP_B") as sender:
        sender.send(store_rq(number, None, None))
        assert sender.expect_message().number(0x900) == 0
