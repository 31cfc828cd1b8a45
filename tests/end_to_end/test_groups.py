"""One called title for several archives: dcmqrscp, Orthanc, one that is down, one that never answers.

ARC has an alias of its own, ORTHANC has none: callers know it by the title that they called alone.
"""

from __future__ import annotations

import contextlib
import statistics
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import build_context, build_role, evt

from tests.end_to_end.images import Study, make_studies
from tests.end_to_end.peers import (
    Relay,
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
from tests.end_to_end.pynet import Stored, association, entity, record_into, scp
from tests.end_to_end.stations import Move, Moved, Ward, move, ward
from tests.end_to_end.uids import CT_IMAGE, STUDY_FIND, STUDY_GET, STUDY_MOVE
from tests.end_to_end.wire import (
    AC,
    EXPLICIT,
    RJ,
    VERIFICATION,
    Acceptor,
    Command,
    Context,
    Peer,
    associate_rq,
    message,
)

GROUPS = {
    "GOOD": ["ARC", "ORTHANC"],
    "ALL_PACS": ["DOWN", "ARC", "ORTHANC"],
    "WITH_DEAF": ["DEAF", "ARC", "ORTHANC"],
    "WITH_SLOW": ["SLOW1", "ARC", "SLOW2"],
    "NOBODY": ["DOWN", "DOWN2"],
    "RELAY": ["ARC", "ORTHANC"],
}
SLOW = {"SLOW1": "1.2.3.1", "SLOW2": "1.2.3.2"}
"""The study that each of them has; the first has an alias."""
QUERY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "RetrieveAETitle": ""}
IN_PART = 0xB000
CONNECT = 3.0
"""Seconds that the relay waits for DEAF."""


@dataclass
class Slow:
    """A PACS that answers once, and ends when it is told to go on or is cancelled."""

    title: str
    go_on: threading.Event
    cancelled: list[int] = field(default_factory=list)

    def find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, data_set(StudyInstanceUID=SLOW[self.title], RetrieveAETitle=self.title)
        before = len(self.cancelled)

        def told() -> bool:
            if event.is_cancelled:  # which says so once
                self.cancelled.append(event.request.MessageID)
            return len(self.cancelled) > before or self.go_on.is_set()

        wait_until(told, "told to go on")
        yield (0xFE00 if len(self.cancelled) > before else 0x0000), None


@dataclass(frozen=True)
class Site:
    """ARC has the studies at `arc`, ORTHANC those at `orthanc`; one is in both."""

    through: Relay
    ward: Ward
    arc: list[Study]
    orthanc: list[Study]
    slow: list[Slow]

    @property
    def port(self) -> int:
        return self.through.ports["west"]

    @property
    def both(self) -> Study:
        return self.orthanc[0]

    def log(self) -> str:
        return self.through.program.log()


def data_set(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def configuration(ports: dict[str, int], deaf: int) -> dict[str, object]:
    aliased = ("ARC", "SLOW1")
    east = {**ports, "DOWN": free_port(), "DOWN2": free_port(), "DEAF": deaf}
    station = east.pop("WS")
    aes = [
        ae("WS", "west", station),
        *(
            ae(name, "east", port, **({"alias": f"FAR_{name}"} if name in aliased else {}))
            for name, port in east.items()
        ),
    ]
    rules = [rule(["WS"], ["network:east"], ["echo", "find", "move", "get"])]
    made = border(aes, rules, limits={"connect": CONNECT})
    return {**made, "group": [{"title": t, "members": m} for t, m in GROUPS.items()]}


def fill(title: str, port: int, studies: list[Study], site: Ward) -> None:
    files = [file.path for study in studies for file in study.files]
    done = run_tool("storescu", "-aec", title, "127.0.0.1", str(port), *files, cwd=site.directory)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("groups")
    studies = make_studies(directory, 5)
    arc, other = studies[:3], studies[2:]
    made = ward(["WS"], directory)
    go_on = threading.Event()
    slow = [Slow(title, go_on) for title in SLOW]
    ports = {**made.ports, "ARC": free_port(), "ORTHANC": free_port()}
    with contextlib.ExitStack() as stack:
        stack.enter_context(made.open())
        deaf = stack.enter_context(Acceptor())
        for one in slow:
            server = entity(one.title)
            server.add_supported_context(STUDY_FIND)
            ports[one.title] = stack.enter_context(scp(server, [(evt.EVT_C_FIND, one.find)]))
        through = stack.enter_context(relay(configuration(ports, deaf.port), directory))
        hosts = {"RELAY": through.ports["east"]}
        areas = {"ARC": directory / "arc"}
        stack.enter_context(dcmqrscp(ports["ARC"], areas, hosts, directory))
        stack.enter_context(orthanc("ORTHANC", ports["ORTHANC"], free_port(), hosts, directory))
        fill("ARC", ports["ARC"], arc, made)
        fill("ORTHANC", ports["ORTHANC"], other, made)
        yield Site(through, made, arc, other, slow)


@contextlib.contextmanager
def asking(site: Site, called: str, *models: str, **more: Any) -> Iterator[Any]:
    contexts = [build_context(model) for model in models]
    with association(entity("WS"), site.port, called, contexts, **more) as made:
        yield made


def find(site: Site, called: str) -> tuple[list[tuple[str, str]], int]:
    """All studies with the title to fetch each by, sorted; and the final status.

    Orthanc 1.10 leaves Retrieve AE Title empty, as it does without a relay: then it is who was called.
    """
    with asking(site, called, STUDY_FIND) as made:
        answers = list(made.send_c_find(data_set(**QUERY), STUDY_FIND))
    matches = [match for _, match in answers if match is not None]
    found = [(match.StudyInstanceUID, match.RetrieveAETitle or called) for match in matches]
    return sorted(found), answers[-1][0].Status


def union(site: Site, group: str) -> list[tuple[str, str]]:
    """What a query of everybody should find."""
    by_arc = [(study.uid, "FAR_ARC") for study in site.arc]
    return sorted([*by_arc, *((study.uid, group) for study in site.orthanc)])


# Queries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["GOOD", "RELAY"])
def test_union_of_the_answers(site, group):
    """The relay's own title may be a group too."""
    assert find(site, group) == (union(site, group), 0x0000)


@pytest.mark.parametrize(("group", "failing"), [("ALL_PACS", "DOWN"), ("WITH_DEAF", "DEAF")])
def test_a_member_that_fails_spoils_nothing(site, group, failing):
    """The final status says that somebody has not answered, the log says who."""
    before = len(site.log())
    assert find(site, group) == (union(site, group), IN_PART)
    wait_until(lambda: "group answered in part" in site.log()[before:], "the log says it")
    assert f'"failed": "{failing}: ' in site.log()[before:]


def slow_and_fast(site: Site) -> list[tuple[str, str]]:
    """What WITH_SLOW answers before anybody slow has ended; who has no alias is fetched from by the group."""
    found = [(SLOW["SLOW1"], "FAR_SLOW1"), (SLOW["SLOW2"], "WITH_SLOW")]
    return sorted([*found, *((study.uid, "FAR_ARC") for study in site.arc)])


def test_answers_stream_back_as_they_come(site):
    for slow in site.slow:
        slow.go_on.clear()
    with asking(site, "WITH_SLOW", STUDY_FIND) as made:
        answers = made.send_c_find(data_set(**QUERY), STUDY_FIND)
        matches = [next(answers)[1] for _ in slow_and_fast(site)]
        early = sorted((match.StudyInstanceUID, match.RetrieveAETitle) for match in matches)
        assert early == slow_and_fast(site)
        for slow in site.slow:
            slow.go_on.set()
        ((final, nothing),) = list(answers)
    assert (final.Status, nothing) == (0x0000, None)


def test_cancel_reaches_everybody_who_is_at_work(site):
    for slow in site.slow:
        slow.go_on.clear()
    count = len(slow_and_fast(site))
    with asking(site, "WITH_SLOW", STUDY_FIND) as made:
        statuses = []
        for status, _ in made.send_c_find(data_set(**QUERY), STUDY_FIND, msg_id=9):
            statuses.append(status.Status)
            if len(statuses) == count:
                made.send_c_cancel(9, query_model=STUDY_FIND)
    assert statuses == [*[0xFF00] * count, 0xFE00]
    assert [slow.cancelled for slow in site.slow] == [[9], [9]]


def first_response(site: Site, called: str) -> float:
    """Seconds from the connection to the first match, by hand: pynetdicom polls."""
    begin = time.monotonic()
    with Peer.connect(site.port) as client:
        client.send(associate_rq([Context(1, STUDY_FIND)], called=called, calling="WS"))
        client.expect(AC)
        asked: Command = {2: STUDY_FIND, 0x100: 0x20, 0x110: 1, 0x700: 0}
        keys = struct.pack("<HHI", 8, 0x52, 6) + b"STUDY " + struct.pack("<HHI", 0x20, 0xD, 0)
        client.send(message(1, asked, keys))
        assert client.expect_message().number(0x900) in (0xFF00, 0xFF01)
        return time.monotonic() - begin


def test_the_first_answer_is_as_early_as_the_fastest_member(site):
    """Not by how fast the machine is: a relay that waited for DEAF would need `CONNECT` seconds."""
    ways = ("FAR_ARC", "GOOD", "ALL_PACS", "WITH_DEAF")
    took: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(7):
        for way in ways:
            took[way].append(first_response(site, way))
    medians = {way: statistics.median(seconds) for way, seconds in took.items()}
    for way in ways[1:]:
        assert medians[way] < medians["FAR_ARC"] + CONNECT / 6, medians


# Retrieves -----------------------------------------------------------------------------------------


def test_every_answer_can_be_fetched_by_its_retrieve_title(site):
    found, _ = find(site, "GOOD")
    studies = {study.uid: study for study in (*site.arc, *site.orthanc)}
    for uid, title in found:
        site.ward.empty()
        ended = move(site.port, title, Move("WS", "WS", uid))
        assert ended.completed >= len(studies[uid].files)
        assert ended.failed == 0
        assert site.ward.received() == {"WS": studies[uid].digests}


def test_retrieve_title_of_its_own_leads_to_one_member(site):
    """What only the other member has is not found there."""
    site.ward.empty()
    assert move(site.port, "FAR_ARC", Move("WS", "WS", site.orthanc[-1].uid)) == Moved(0)
    assert site.ward.received() == {}


@pytest.mark.parametrize("group", ["GOOD", "ALL_PACS", "RELAY"])
def test_move_of_what_several_have(site, group):
    """The sub-operations of all members are added up."""
    site.ward.empty()
    ended = move(site.port, group, Move("WS", "WS", site.both.uid, 77))
    expected = IN_PART if "DOWN" in GROUPS[group] else 0x0000
    assert ended == Moved(expected, completed=2 * len(site.both.files))
    assert site.ward.received() == {"WS": site.both.digests}


@pytest.mark.parametrize("group", ["GOOD", "ALL_PACS"])
@pytest.mark.parametrize("where", ["arc", "orthanc"])
def test_move_of_what_one_has(site, group, where):
    """Orthanc calls it a failure that it has nothing (C000H), dcmqrscp does not: it is whole all the same."""
    site.ward.empty()
    study = site.arc[0] if where == "arc" else site.orthanc[-1]
    ended = move(site.port, group, Move("WS", "WS", study.uid))
    assert ended == Moved(0x0000 if group == "GOOD" else IN_PART, completed=len(study.files))
    assert site.ward.received() == {"WS": study.digests}


@pytest.mark.parametrize("group", ["GOOD", "ALL_PACS"])
def test_get(site, group):
    """Each instance comes from each member that has it, on the same association."""
    got: list[Stored] = []
    query = data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID=site.both.uid)
    handlers = [(evt.EVT_C_STORE, record_into(got))]
    roles = [build_role(CT_IMAGE, scp_role=True)]
    contexts = [build_context(STUDY_GET), build_context(CT_IMAGE, EXPLICIT)]
    with association(entity("WS"), site.port, group, contexts, handlers, roles) as made:
        answers = [status for status, _ in made.send_c_get(query, STUDY_GET)]
    final, count = answers[-1], len(site.both.files)
    assert final.Status == (0x0000 if group == "GOOD" else IN_PART)
    assert final.NumberOfCompletedSuboperations == 2 * count
    assert final.NumberOfFailedSuboperations == 0
    assert sorted(one.digest for one in got) == sorted(2 * site.both.digests)
    completed = [s.NumberOfCompletedSuboperations for s in answers[:-1]]
    assert completed == sorted(completed), (
        "the count of pending responses goes on from member to member"
    )


# The rest ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["GOOD", "ALL_PACS", "RELAY"])
def test_echo(site, group):
    """It succeeds if any member's does; the relay's own title answers itself."""
    with asking(site, group, VERIFICATION) as made:
        assert made.send_c_echo().Status == 0x0000


def test_a_group_of_which_nobody_answers(site):
    with Peer.connect(site.port) as client:
        client.send(associate_rq([Context(1, VERIFICATION)], called="NOBODY", calling="WS"))
        assert tuple(client.expect(RJ).body[1:]) == (2, 3, 1)


def test_a_group_is_not_stored_to(site):
    with Peer.connect(site.port) as client:
        client.send(associate_rq([Context(1, CT_IMAGE)], called="GOOD", calling="WS"))
        assert tuple(client.expect(RJ).body[1:]) == (1, 1, 1)


def test_query_move_and_echo_on_one_association(site):
    site.ward.empty()
    query = data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID=site.both.uid)
    with asking(site, "GOOD", STUDY_FIND, STUDY_MOVE, VERIFICATION) as made:
        assert len(list(made.send_c_find(query, STUDY_FIND))) == 3
        statuses = [status for status, _ in made.send_c_move(query, "WS", STUDY_MOVE)]
        assert statuses[-1].Status == 0x0000
        assert statuses[-1].NumberOfCompletedSuboperations == 2 * len(site.both.files)
        assert made.send_c_echo().Status == 0x0000
    assert site.ward.received() == {"WS": site.both.digests}
