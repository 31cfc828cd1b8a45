"""The same five clients against Orthanc: through the relay the same results as directly."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.dcmtk import Client, Outcome
from tests.end_to_end.files import digests, samples
from tests.end_to_end.peers import Way, ae, border, free_port, orthanc, relay, rule

pytestmark = pytest.mark.xdist_group("orthanc")

FILES = [f.path for f in samples()]
STUDIES = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientName", "StudyDate")
QUERIES = {
    "every study": STUDIES,
    "wildcard": ("QueryRetrieveLevel=STUDY", "PatientName=Doe*", "StudyInstanceUID", "StudyTime"),
    "modality": ("QueryRetrieveLevel=SERIES", "Modality=MR", "SeriesInstanceUID"),
    "retrieve title": ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "RetrieveAETitle"),
    "nothing": ("QueryRetrieveLevel=STUDY", "PatientName=Nobody", "StudyInstanceUID"),
}


@dataclass(frozen=True)
class Archive:
    """A filled Orthanc, the ways to it, and the data sets it got when filled directly."""

    ways: dict[str, Way]
    http: int
    storage: Path
    client: Client

    def rest(self, method: str, path: str) -> bytes:
        url = f"http://127.0.0.1:{self.http}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
            body: bytes = answer.read()
            return body

    def wipe(self) -> None:
        for patient in json.loads(self.rest("GET", "/patients")):
            self.rest("DELETE", f"/patients/{patient}")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    directory = tmp_path_factory.mktemp("orthanc")
    pacs, http, scu = free_port(), free_port(), free_port()
    aes = [ae("SCU", "west", scu, alias="FAR_SCU"), ae("ORTHANC", "east", pacs, alias="FAR_PACS")]
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(relay(border(aes, [rule(["SCU"], ["ORTHANC"])]), directory))
        hosts = {"SCU": scu, "FAR_SCU": running.ports["east"]}
        storage = directory / "storage"
        stack.enter_context(orthanc("ORTHANC", pacs, http, hosts, directory))
        ways = {
            "direct": Way("direct", pacs, "ORTHANC"),
            "relay": Way("relay", running.ports["west"], "FAR_PACS"),
        }
        yield Archive(ways, http, storage, Client(scu, directory))


@pytest.fixture(scope="module")
def filled(archive: Archive) -> list[str]:
    """The digests of what Orthanc keeps when it is filled directly."""
    assert archive.client.store(archive.ways["direct"], FILES) == 0
    return digests(archive.storage)


def studies(archive: Archive) -> list[str]:
    matches = archive.client.find(archive.ways["direct"], *STUDIES)
    return sorted(str(m["0020000D"]["Value"][0]) for m in matches)  # type: ignore[index]


def test_echo(by, archive):
    assert archive.client.echo(archive.ways[by]) == 0


def test_store(by, archive, filled):
    assert len(filled) == len(FILES)
    archive.wipe()
    assert digests(archive.storage) == []
    assert archive.client.store(archive.ways[by], FILES) == 0
    assert digests(archive.storage) == filled


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("query", QUERIES)
def test_find(by, query, archive):
    expected = archive.client.find(archive.ways["direct"], *QUERIES[query])
    assert (expected == []) == (query == "nothing")
    assert archive.client.find(archive.ways[by], *QUERIES[query]) == expected


def test_move_every_study(by, archive, filled):
    keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID=" + "\\".join(studies(archive)))
    assert archive.client.move(archive.ways[by], *keys) == Outcome(0, filled)


@pytest.mark.usefixtures("filled")
def test_move_of_nothing(by, archive):
    keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID=1.2.3.4.5")
    expected = archive.client.move(archive.ways["direct"], *keys)
    assert expected.received == []
    assert archive.client.move(archive.ways[by], *keys) == expected


def test_get_every_study(by, archive, filled):
    keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID=" + "\\".join(studies(archive)))
    assert archive.client.get(archive.ways[by], *keys) == Outcome(0, filled)
