"""Nothing inside one network reaches the other: no title, address, host name, error text, no implementation.

A day of every service, with refusals and failures of both sides, is done once and all bytes are recorded
(leaking.py); what either side has received is searched for what only the other side knows.
"""

from __future__ import annotations

from collections.abc import Iterator

import pydicom
import pytest
from pynetdicom import build_context, build_role, evt

from tests.end_to_end import leaking as names
from tests.end_to_end.leaking import Day, data_set
from tests.end_to_end.peers import wait_until
from tests.end_to_end.pynet import association, entity
from tests.end_to_end.stations import Move, move
from tests.end_to_end.tap import Tap, leaks
from tests.end_to_end.uids import (
    COMMITMENT,
    COMMITMENT_INSTANCE,
    CT_IMAGE,
    MPPS,
    STUDY_FIND,
    STUDY_GET,
    STUDY_MOVE,
    WORKLIST,
)
from tests.end_to_end.wire import (
    AC,
    CT,
    EXPLICIT,
    RJ,
    VERIFICATION,
    Command,
    Context,
    Peer,
    associate_rq,
    message,
)

OF_EVERYBODY = [b"PYNETDICOM", b"DISK", b"hospital"]
"""What each side says of itself: the version name of its implementation, and the comments."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    with names.day(tmp_path_factory.mktemp("leaks")) as made:
        station_at_work(made, names.PACS_OF_A)
        station_at_work(made, "ALLFORA")
        storing(made)
        modality_at_work(made)
        refused(made)
        yield made


def station_at_work(day: Day, called: str) -> None:
    """Queries and retrieves, each once as it should be and once in vain."""
    models = [VERIFICATION, STUDY_FIND, STUDY_MOVE, STUDY_GET, WORKLIST]
    contexts = [*map(build_context, models), build_context(CT_IMAGE, EXPLICIT)]
    roles = [build_role(CT_IMAGE, scu_role=True, scp_role=True)]
    storing = [(evt.EVT_C_STORE, lambda _event: names.failure(0xA700, names.COMMENT_A))]
    port = day.legs.west.port
    step = data_set(ScheduledStationAETitle=names.STATION)
    query = data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID=day.study.uid)
    with association(entity(names.STATION), port, called, contexts, storing, roles) as to:
        day.saw("echo", to.send_c_echo().Status)
        for patient in ("", names.FAIL):
            asked = data_set(PatientID=patient, RetrieveAETitle=called)
            asked.ScheduledProcedureStepSequence = [step]
            for model in (STUDY_FIND, WORKLIST):
                for status, match in to.send_c_find(asked, model):
                    day.saw(f"find {patient}".strip(), status.Status)
                    day.matches += [] if match is None else [match]
        for destination in (names.STATION, names.MODALITY, "NOBODY"):
            answers = [s.Status for s, _ in to.send_c_move(query, destination, STUDY_MOVE)]
            day.saw(f"move to {destination}", answers[-1])
        day.saw("get", [s.Status for s, _ in to.send_c_get(query, STUDY_GET)][-1])


def storing(day: Day) -> None:
    """An object that is taken, one that is not, one at which the archive breaks off."""
    contexts = [build_context(CT_IMAGE, EXPLICIT)]
    image = pydicom.dcmread(day.study.files[0].path)
    with association(entity(names.STATION), day.legs.west.port, names.PACS_OF_A, contexts) as to:
        for number in (1, 2, 3):
            status = to.send_c_store(image, msg_id=number)
            day.saw("store", status.get("Status", -1))


def modality_at_work(day: Day) -> None:
    contexts = [build_context(MPPS), build_context(COMMITMENT)]
    asked = data_set(TransactionUID="1.2.3.99")
    asked.ReferencedSOPSequence = [
        data_set(ReferencedSOPClassUID=CT_IMAGE, ReferencedSOPInstanceUID="1.2.3.1")
    ]
    with association(entity(names.MODALITY), day.legs.west.port, names.PACS_OF_A, contexts) as to:
        for patient in ("", names.FAIL):
            begun = data_set(PerformedStationAETitle=names.MODALITY, PatientID=patient)
            day.saw("mpps", to.send_n_create(begun, MPPS, "1.2.3.4")[0].Status)
        series = [data_set(RetrieveAETitle=names.PACS_OF_A)]
        ended = data_set(PerformedSeriesSequence=series)
        day.saw("mpps", to.send_n_set(ended, MPPS, "1.2.3.4")[0].Status)
        action = to.send_n_action(asked, 1, COMMITMENT, COMMITMENT_INSTANCE)
        day.saw("commitment", action[0].Status)
    wait_until(lambda: "report" in day.statuses, "the commitment is answered")


def refused(day: Day) -> None:
    """Who may not, who is not there, who is unknown, from both sides."""
    west, east = day.legs.west, day.legs.east
    for tap, calling, called in (
        (west, names.STATION, "OFFFORA"),
        (west, names.STATION, "NOWHERE"),
        (west, "STRANGER", names.PACS_OF_A),
        (east, names.PACS, names.STATION_OF_B),
        (east, names.PACS, "RELAY"),
        (east, names.OTHER, "NOWHERE"),
        (east, "STRANGER", "RELAY"),
    ):
        day.saw("rejected", rejected(tap, calling, called))
    with Peer.connect(west.port) as client:
        client.send(
            associate_rq([Context(1, STUDY_FIND)], calling=names.STATION, called=names.PACS_OF_A)
        )
        client.expect(AC)
        store: Command = {2: CT, 0x100: 1, 0x110: 7, 0x700: 0, 0x1000: "no uid"}
        client.send(message(1, store, b"ab"))
        day.saw("refused", client.expect_message().number(0x900))
    ended = move(west.port, names.PACS_OF_A, Move(names.STATION, names.STATION, "1.2.3"))
    day.saw("move by hand", ended.status)


def rejected(tap: Tap, calling: str, called: str) -> int:
    with Peer.connect(tap.port) as client:
        client.send(associate_rq([Context(1, CT)], calling=calling, called=called))
        return client.expect(RJ).body[3]


def secrets(day: Day, side: str) -> list[bytes]:
    """What only this side knows: titles, ports, comments, the aliases that it calls the others by."""
    titles = {
        "a": [names.STATION, names.MODALITY, names.PACS_OF_A, "OFFFORA", "ALLFORA"],
        "b": [names.PACS, names.OTHER, names.DOWN_AE, names.STATION_OF_B],
    }[side]
    comment = {"a": names.COMMENT_A, "b": names.COMMENT_B}[side]
    ports = [str(port) for port in day.ports[side]]
    return [text.encode() for text in (*titles, comment, *ports)]


def test_the_day_went_as_it_should(day):
    """Statuses are kept where comments are not."""
    assert day.statuses["echo"] == [0x0110, 0x0110]
    assert set(day.statuses["find"]) == {0xFF00, 0x0000, 0xB000}
    assert set(day.statuses["find FAIL"]) <= {names.CANNOT, 0x0110}, "of a group it is any member's"
    assert day.statuses["store"] == [0x0000, 0xA700, -1]
    for destination, expected in (
        (names.STATION, names.CANNOT),
        (names.MODALITY, names.CANNOT),
        ("NOBODY", 0xA801),
    ):
        assert day.statuses[f"move to {destination}"] == [expected] * 2
    assert day.statuses["get"] == [names.CANNOT] * 2
    assert day.statuses["mpps"] == [0x0000, 0x0110, 0x0110]
    assert (day.statuses["commitment"], day.statuses["report"]) == ([0x0000], [0x0110])
    assert day.statuses["rejected"] == [1, 7, 3, 1, 1, 7, 3]
    assert day.statuses["refused"] == [0x0117]


def test_each_side_is_told_names_of_its_own(day):
    titles = {title for match in day.matches for title in match.RetrieveAETitle}
    assert titles == {names.PACS_OF_A, "RELAY", "ALLFORA"}
    stations = {
        match.ScheduledProcedureStepSequence[0].ScheduledStationAETitle for match in day.matches
    }
    assert stations == {names.STATION}
    reported = [(names.PACS_OF_A, names.PACS_OF_A)]
    assert day.reported == reported, "the result comes from whom the modality had asked"


def test_nothing_of_a_reaches_b(day):
    received = day.legs.received_in_b()
    assert len(received) > 10_000
    assert leaks([*secrets(day, "a"), *OF_EVERYBODY], received) == []


def test_nothing_of_b_reaches_a(day):
    received = day.legs.received_in_a()
    assert len(received) > 10_000
    assert leaks([*secrets(day, "b"), *OF_EVERYBODY], received) == []


def test_the_recording_would_show_a_leak(day):
    """The same search finds each side's titles and comments in what it has said and been told itself."""
    of_a, of_b = ([s for s in secrets(day, side) if not s.isdigit()] for side in ("a", "b"))
    legs = day.legs
    said = {tap.port: tap.said("up") + tap.said("down") for tap in vars(legs).values()}
    in_a = b"".join(said[tap.port] for tap in (legs.west, legs.station, legs.modality))
    in_b = b"".join(said[tap.port] for tap in (legs.east, legs.pacs, legs.other))
    assert set(leaks(of_a, in_a)) == set(of_a)
    assert set(leaks(of_b, in_b)) == set(of_b) - {names.DOWN_AE.encode()}, "nobody spoke to it"
    assert all(tap.connections for tap in vars(legs).values())
