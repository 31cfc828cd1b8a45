"""DCMTK's five clients against dcmqrscp: through the relay the same results as directly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.dcmtk import Client, Outcome
from tests.end_to_end.files import digests, samples
from tests.end_to_end.peers import Way, ae, border, dcmqrscp, free_port, relay, rule

pytestmark = pytest.mark.xdist_group("dcmqrscp")

FILES = [f.path for f in samples()]
QUERIES = {
    "every study": ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientName", "StudyDate"),
    "wildcard": ("QueryRetrieveLevel=STUDY", "PatientName=Doe*", "StudyInstanceUID", "StudyTime"),
    "nothing": ("QueryRetrieveLevel=STUDY", "PatientName=Nobody", "StudyInstanceUID"),
}


@dataclass(frozen=True)
class Archive:
    """A filled dcmqrscp and the ways to it."""

    ways: dict[str, Way]
    areas: dict[str, Path]
    client: Client


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    directory = tmp_path_factory.mktemp("dcmqrscp")
    areas = {title: directory / title for title in ("PACS", "STORE_DIRECT", "STORE_RELAY")}
    pacs, scu = free_port(), free_port()
    aes = [
        ae("SCU", "west", scu, alias="FAR_SCU"),
        ae("PACS", "east", pacs, alias="FAR_PACS"),
        ae("STORE_RELAY", "east", pacs, alias="FAR_STORE"),
    ]
    rules = [rule(["SCU"], ["PACS"]), rule(["SCU"], ["STORE_RELAY"], ["store"])]
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(relay(border(aes, rules), directory))
        hosts = {"SCU": scu, "FAR_SCU": running.ports["east"]}
        stack.enter_context(dcmqrscp(pacs, areas, hosts, directory))
        direct = Way("direct", pacs, "PACS")
        client = Client(scu, directory)
        assert client.store(direct, FILES) == 0
        yield Archive(
            {"direct": direct, "relay": Way("relay", running.ports["west"], "FAR_PACS")},
            areas,
            client,
        )


def uids(archive: Archive, keyword: str, tag: str, *keys: str) -> list[str]:
    matches = archive.client.find(archive.ways["direct"], *keys, keyword)
    return sorted(str(m[tag]["Value"][0]) for m in matches)  # type: ignore[index]


def studies(archive: Archive) -> list[str]:
    return uids(archive, "StudyInstanceUID", "0020000D", "QueryRetrieveLevel=STUDY")


def test_echo(by, archive):
    assert archive.client.echo(archive.ways[by]) == 0


def test_store(by, archive):
    title, called = {
        "direct": ("STORE_DIRECT", "STORE_DIRECT"),
        "relay": ("STORE_RELAY", "FAR_STORE"),
    }[by]
    assert archive.client.store(archive.ways[by], FILES, called=called) == 0
    assert digests(archive.areas[title]) == digests(archive.areas["PACS"])
    assert len(digests(archive.areas[title])) == len(FILES)


@pytest.mark.parametrize("query", QUERIES)
def test_find(by, query, archive):
    expected = archive.client.find(archive.ways["direct"], *QUERIES[query])
    assert (expected == []) == (query == "nothing")
    assert archive.client.find(archive.ways[by], *QUERIES[query]) == expected


def test_find_series_of_a_study(by, archive):
    study = studies(archive)[0]
    keys = (
        "QueryRetrieveLevel=SERIES",
        f"StudyInstanceUID={study}",
        "SeriesInstanceUID",
        "Modality",
    )
    expected = archive.client.find(archive.ways["direct"], *keys)
    assert expected
    assert archive.client.find(archive.ways[by], *keys) == expected


def test_find_in_the_patient_root(by, archive):
    keys = ("QueryRetrieveLevel=PATIENT", "PatientID", "PatientName")
    expected = archive.client.find(archive.ways["direct"], *keys, model="-P")
    assert len(expected) == 3
    assert archive.client.find(archive.ways[by], *keys, model="-P") == expected


def test_move_every_study(by, archive):
    keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID=" + "\\".join(studies(archive)))
    outcome = archive.client.move(archive.ways[by], *keys)
    assert outcome == Outcome(0, digests(archive.areas["PACS"]))


def test_move_of_nothing(by, archive):
    keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID=1.2.3.4.5")
    expected = archive.client.move(archive.ways["direct"], *keys)
    assert expected.received == []
    assert archive.client.move(archive.ways[by], *keys) == expected


def test_move_to_an_unknown_destination(by, archive):
    keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={studies(archive)[0]}")
    expected = archive.client.move(archive.ways["direct"], *keys, to="NOBODY")
    assert expected.received == []
    assert archive.client.move(archive.ways[by], *keys, to="NOBODY") == expected


def test_get_every_study(by, archive):
    keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID=" + "\\".join(studies(archive)))
    outcome = archive.client.get(archive.ways[by], *keys)
    assert outcome == Outcome(0, digests(archive.areas["PACS"]))
