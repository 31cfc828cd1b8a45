"""Workstations without a title of their own on the other side, and real archives: dcmqrscp, Orthanc.

The archive knows the relay's title alone. Whatever it sends there must reach the workstation that the C-MOVE
named, and no other. The workstations' storescp serve one association at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.images import Study, make_studies
from tests.end_to_end.peers import (
    ae,
    border,
    dcmqrscp,
    free_port,
    orthanc,
    relay,
    rule,
    run_tool,
)
from tests.end_to_end.stations import Move, Moved, Ward, move_all, ward
from tests.end_to_end.uids import CT_IMAGE, MR_IMAGE

pytestmark = pytest.mark.xdist_group("one title")

STATIONS = [f"WS{number}" for number in range(10)]
IMPLICIT_ONLY, CT_ONLY = "IMPLICIT", "CTONLY"
CT_PROFILE = """[[TransferSyntaxes]]
[Uncompressed]
TransferSyntax1 = LocalEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Only]
PresentationContext1 = VerificationSOPClass\\Uncompressed
PresentationContext2 = CTImageStorage\\Uncompressed
[[Profiles]]
[CT]
PresentationContexts = Only
"""
MOVES = 50
# What each archive answers without a relay too: Orthanc gives up a move that yields nothing, or fails once.
NOTHING = {"dcmqrscp": Moved(0), "orthanc": Moved(0xC000)}
IN_PART = {"dcmqrscp": Moved(0xB000, completed=2, failed=2), "orthanc": Moved(0xC000)}


@dataclass(frozen=True)
class Site:
    """An archive full of studies, reached through the relay as FAR_PACS."""

    kind: str
    port: int
    ward: Ward
    studies: list[Study]
    mixed: Study

    def moves(self, *moves: Move) -> list[Moved]:
        """All at once, on an association each."""
        return move_all(self.port, "FAR_PACS", moves)


def configuration(ports: dict[str, int], pacs: int) -> dict[str, object]:
    """Everybody may move to everybody, and nobody but the archive has an alias."""
    aes = [
        *(ae(title, "west", port) for title, port in ports.items()),
        ae("PACS", "east", pacs, alias="FAR_PACS"),
    ]
    rules = [rule(["network:west"], ["PACS"], ["move"], destinations=["network:west"])]
    return border(aes, rules, limits={"associations_per_source": 400})


@contextlib.contextmanager
def archive(kind: str, port: int, relay_port: int, directory: Path) -> Iterator[None]:
    hosts = {"RELAY": relay_port}
    if kind == "dcmqrscp":
        with dcmqrscp(port, {"PACS": directory / "pacs"}, hosts, directory):
            yield
    else:
        with orthanc("PACS", port, free_port(), hosts, directory):
            yield


def fill(port: int, studies: list[Study], directory: Path) -> None:
    files = [file.path for study in studies for file in study.files]
    done = run_tool("storescu", "-aec", "PACS", "127.0.0.1", str(port), *files, cwd=directory)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module", params=["dcmqrscp", "orthanc"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp(request.param)
    studies = make_studies(directory, MOVES)
    (mixed,) = make_studies(directory, 1, images=4, classes=(CT_IMAGE, MR_IMAGE))
    pacs = free_port()
    made = ward([*STATIONS, IMPLICIT_ONLY, CT_ONLY], directory)
    profile = directory / "ct.cfg"
    profile.write_text(CT_PROFILE)
    options = {IMPLICIT_ONLY: ("+xi",), CT_ONLY: ("-xf", str(profile), "CT")}
    with contextlib.ExitStack() as stack:
        stack.enter_context(made.open(options))
        through = stack.enter_context(relay(configuration(made.ports, pacs), directory))
        stack.enter_context(archive(request.param, pacs, through.ports["east"], directory))
        fill(pacs, [*studies, mixed], directory)
        yield Site(request.param, through.ports["west"], made, studies, mixed)


@pytest.fixture
def site(running: Site) -> Site:
    running.ward.empty()
    return running


def whole(study: Study) -> Moved:
    """Every image of it has arrived."""
    return Moved(0, completed=len(study.files))


@pytest.mark.parametrize("destination", ["WS3", "WS7"])
def test_one_move(site, destination):
    study = site.studies[0]
    assert site.moves(Move("WS3", destination, study.uid, 4711)) == [whole(study)]
    assert site.ward.received() == {destination: study.digests}


def test_several_callers_with_the_same_message_id(site):
    """Each to somebody else, and two to the same one."""
    to = {"WS0": "WS1", "WS1": "WS0", "WS2": "WS2", "WS3": "WS2"}
    moves = [
        Move(caller, destination, study.uid, 7)
        for (caller, destination), study in zip(to.items(), site.studies, strict=False)
    ]
    assert site.moves(*moves) == [whole(study) for study in site.studies[:4]]
    assert site.ward.received() == expected(moves, site.studies)


def expected(moves: list[Move], studies: list[Study]) -> dict[str, list[str]]:
    """Who should have got what."""
    by_uid = {study.uid: study.digests for study in studies}
    found: dict[str, list[str]] = {}
    for asked in moves:
        found.setdefault(asked.destination, []).extend(by_uid[asked.study])
    return {name: sorted(digests) for name, digests in found.items()}


def test_a_move_of_nothing_among_others(site):
    nothing, one, two = (
        Move("WS0", "WS1", "1.2.3.4"),
        *(Move(f"WS{number}", f"WS{number}", site.studies[number].uid) for number in (1, 2)),
    )
    ended = site.moves(nothing, one, two)
    assert ended == [NOTHING[site.kind], whole(site.studies[1]), whole(site.studies[2])]
    assert site.ward.received() == expected([one, two], site.studies)


def test_fifty_at_once_to_ten_destinations(site):
    """Of ten callers, all with Message ID 1: more moves than the relay asks destinations at once."""
    moves = [
        Move(STATIONS[number % 10], STATIONS[(number + 3 * (number // 10)) % 10], study.uid)
        for number, study in enumerate(site.studies)
    ]
    assert site.moves(*moves) == [whole(study) for study in site.studies]
    received = site.ward.received()
    assert list(received) == STATIONS
    assert received == expected(moves, site.studies)


def test_destination_that_knows_implicit_vr_alone(site, tmp_path):
    study = site.studies[0]
    assert site.moves(Move("WS0", IMPLICIT_ONLY, study.uid)) == [whole(study)]
    assert site.ward.received() == {IMPLICIT_ONLY: study.implicit(tmp_path)}


def test_destination_that_refuses_some_contexts(site):
    """The MR images of the study fail and are counted as that; the CT images arrive."""
    (ended,) = site.moves(Move("WS0", CT_ONLY, site.mixed.uid))
    assert ended == IN_PART[site.kind]
    received = site.ward.received()
    assert set(received) <= {CT_ONLY}
    assert len(received.get(CT_ONLY, [])) >= ended.completed
    assert set(received.get(CT_ONLY, [])) <= set(of_class(site.mixed, CT_IMAGE).digests)


def of_class(study: Study, sop_class: str) -> Study:
    return Study(study.uid, tuple(f for f in study.files if f.sop_class == sop_class))


def test_destinations_that_accept_different_things_at_once(site, tmp_path):
    """One accepts everything, one implicit VR alone, one CT alone: none gets less than by itself."""
    one, two = site.studies[:2]
    moves = [
        Move("WS0", "WS0", one.uid),
        Move("WS1", IMPLICIT_ONLY, two.uid),
        Move("WS2", CT_ONLY, site.mixed.uid),
    ]
    assert site.moves(*moves) == [whole(one), whole(two), IN_PART[site.kind]]
    received = site.ward.received()
    assert set(received) <= {"WS0", IMPLICIT_ONLY, CT_ONLY}
    for study, name in ((one, "WS0"), (two, IMPLICIT_ONLY)):
        assert received[name] in (study.digests, study.implicit(tmp_path))
    images = of_class(site.mixed, CT_IMAGE)
    allowed = {*images.digests, *images.implicit(tmp_path)}
    assert set(received.get(CT_ONLY, [])) <= allowed
