"""Every other service with pynetdicom on both ends: what each side sees is what the other said.

AE titles inside small data sets become what the receiving side calls that AE.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import build_context, build_role, evt

from tests.end_to_end.peers import Way, ae, border, free_port, relay, rule, wait_until
from tests.end_to_end.pynet import association, entity, scp
from tests.end_to_end.uids import (
    COMMITMENT,
    COMMITMENT_INSTANCE,
    FILM_SESSION,
    GRAYSCALE_PRINT,
    MPPS,
    WORKLIST,
)

Seen = tuple[str, Any]
"""What a handler was called with: the operation and what matters of it."""


def data_set(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


@dataclass
class Hospital:
    """The SCP of all these services, where the modality answers, and the titles on each way."""

    ways: dict[str, Way] = field(default_factory=dict)
    back: dict[str, Way] = field(default_factory=dict)
    modality_as_seen: dict[str, str] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)
    worklist_station: str = ""
    report_over: Way | None = None

    def saw(self, operation: str, what: Any) -> None:
        self.seen.append((operation, what))

    def create(self, event: Any) -> tuple[int, Dataset]:
        request = event.request
        self.saw("N-CREATE", (request.AffectedSOPInstanceUID, event.attribute_list))
        return 0x0000, event.attribute_list

    def set(self, event: Any) -> tuple[int, Dataset]:
        self.saw("N-SET", (event.request.RequestedSOPInstanceUID, event.modification_list))
        return 0x0000, event.modification_list

    def delete(self, event: Any) -> int:
        self.saw("N-DELETE", event.request.RequestedSOPInstanceUID)
        return 0x0000

    def action(self, event: Any) -> tuple[int, None]:
        self.saw("N-ACTION", (event.action_type, event.action_information))
        if event.request.RequestedSOPClassUID == COMMITMENT:
            threading.Thread(
                target=self.report, args=(event.assoc, event.action_information)
            ).start()
        return 0x0000, None

    def report(self, same: Any, asked: Dataset) -> None:
        """Say what was committed: on the association of the request, or on one of our own."""
        result = data_set(TransactionUID=asked.TransactionUID, RetrieveAETitle="PACS")
        result.ReferencedSOPSequence = asked.ReferencedSOPSequence
        if self.report_over is None:
            self._report_on(same, result)
            return
        contexts, roles = [build_context(COMMITMENT)], [build_role(COMMITMENT, scp_role=True)]
        way = self.report_over
        with association(entity("PACS"), way.port, way.called, contexts, ext_neg=roles) as made:
            self._report_on(made, result)

    def _report_on(self, made: Any, result: Dataset) -> None:
        status, _ = made.send_n_event_report(result, 1, COMMITMENT, COMMITMENT_INSTANCE)
        self.reports.append(status.Status)

    def worklist(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        (step,) = event.identifier.ScheduledProcedureStepSequence
        self.saw("C-FIND", step.ScheduledStationAETitle)
        answer = data_set(
            ScheduledStationAETitle=self.worklist_station, ScheduledProcedureStepID="STEP1"
        )
        yield 0xFF00, data_set(PatientName="Doe^Jane", ScheduledProcedureStepSequence=[answer])
        yield 0x0000, None


@pytest.fixture(scope="module")
def modality_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def hospital(modality_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    made = Hospital()
    server = entity("PACS")
    for sop_class in (MPPS, COMMITMENT, WORKLIST, GRAYSCALE_PRINT):
        server.add_supported_context(sop_class)
    handlers = [
        (evt.EVT_N_CREATE, made.create),
        (evt.EVT_N_SET, made.set),
        (evt.EVT_N_DELETE, made.delete),
        (evt.EVT_N_ACTION, made.action),
        (evt.EVT_C_FIND, made.worklist),
    ]
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(scp(server, handlers))
        aes = [
            ae("MOD1", "west", modality_port, alias="FAR_MOD1"),
            ae("PACS", "east", port, alias="FAR_PACS"),
        ]
        config = border(aes, [rule(["MOD1"], ["PACS"])])
        running = stack.enter_context(relay(config, tmp_path_factory.mktemp("services")))
        made.ways = {
            "direct": Way("direct", port, "PACS"),
            "relay": Way("relay", running.ports["west"], "FAR_PACS"),
        }
        made.back = {
            "direct": Way("direct", modality_port, "MOD1"),
            "relay": Way("relay", running.ports["east"], "FAR_MOD1"),
        }
        made.modality_as_seen = {"direct": "MOD1", "relay": "FAR_MOD1"}
        yield made


@pytest.fixture
def called(by: str, hospital: Hospital) -> Way:
    hospital.seen.clear()
    hospital.reports.clear()
    hospital.report_over = None
    hospital.worklist_station = hospital.modality_as_seen[by]
    return hospital.ways[by]


@contextlib.contextmanager
def modality(way: Way, sop_class: UID, handlers: list[Any] | None = None) -> Iterator[Any]:
    """The modality's association with the SCP."""
    contexts = [build_context(sop_class)]
    with association(entity("MOD1"), way.port, way.called, contexts, handlers) as made:
        yield made


def test_mpps(by, called, hospital):
    begun = data_set(
        PerformedStationAETitle="MOD1",
        PerformedProcedureStepStatus="IN PROGRESS",
        Modality="CT",
        PerformedProcedureStepID="PPS1",
    )
    ended = data_set(
        PerformedProcedureStepStatus="COMPLETED",
        PerformedSeriesSequence=[
            data_set(SeriesInstanceUID="1.2.3", RetrieveAETitle=called.called)
        ],
    )
    with modality(called, MPPS) as made:
        created = made.send_n_create(begun, MPPS, "1.2.3.4")
        updated = made.send_n_set(ended, MPPS, "1.2.3.4")
    (operation, (instance, attributes)), (second, (same, changes)) = hospital.seen
    assert (operation, second) == ("N-CREATE", "N-SET")
    assert instance == same == "1.2.3.4"
    assert attributes.PerformedStationAETitle == hospital.modality_as_seen[by]
    assert changes.PerformedSeriesSequence[0].RetrieveAETitle == "PACS"
    attributes.PerformedStationAETitle = "MOD1"
    changes.PerformedSeriesSequence[0].RetrieveAETitle = called.called
    assert (attributes, changes) == (begun, ended)
    for (status, answer), sent in ((created, begun), (updated, ended)):
        assert status.Status == 0x0000
        assert answer == sent


def test_worklist(by, called, hospital):
    step = data_set(ScheduledStationAETitle="MOD1", Modality="", ScheduledProcedureStepID="")
    query = data_set(PatientName="", ScheduledProcedureStepSequence=[step])
    with modality(called, WORKLIST) as made:
        (pending, match), (final, _) = list(made.send_c_find(query, WORKLIST))
    assert (pending.Status, final.Status) == (0xFF00, 0x0000)
    assert match.PatientName == "Doe^Jane"
    (scheduled,) = match.ScheduledProcedureStepSequence
    assert scheduled.ScheduledStationAETitle == "MOD1"
    assert scheduled.ScheduledProcedureStepID == "STEP1"
    assert hospital.seen == [("C-FIND", hospital.modality_as_seen[by])]


def test_print(called, hospital):
    session = data_set(NumberOfCopies="1", PrintPriority="LOW", MediumType="BLUE FILM")
    uid, meta = "1.2.3.5", GRAYSCALE_PRINT
    with modality(called, GRAYSCALE_PRINT) as made:
        created, answer = made.send_n_create(session, FILM_SESSION, uid, meta_uid=meta)
        printed, _ = made.send_n_action(None, 1, FILM_SESSION, uid, meta_uid=meta)
        deleted = made.send_n_delete(FILM_SESSION, uid, meta_uid=meta)
    assert [s.Status for s in (created, printed, deleted)] == [0, 0, 0]
    assert answer == session
    assert [operation for operation, _ in hospital.seen] == ["N-CREATE", "N-ACTION", "N-DELETE"]
    assert hospital.seen[0][1] == (uid, session)
    assert hospital.seen[2][1] == uid


def commitment_request() -> Dataset:
    items = [
        data_set(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=uid)
        for uid in ("1.2.3.1", "1.2.3.2")
    ]
    return data_set(TransactionUID="1.2.3.99", ReferencedSOPSequence=items)


Reported = tuple[str, str, int, Dataset]


def reporting_to(seen: list[Reported]) -> list[Any]:
    """The modality's handler of N-EVENT-REPORT: who reported, to whom, and what."""

    def handle(event: Any) -> tuple[int, None]:
        requestor = event.assoc.requestor
        titles = (requestor.ae_title, requestor.primitive.called_ae_title)
        seen.append((*titles, event.event_type, event.event_information))
        return 0x0000, None

    return [(evt.EVT_N_EVENT_REPORT, handle)]


def check_report(report: Dataset, way: Way) -> None:
    assert report.TransactionUID == "1.2.3.99"
    assert report.ReferencedSOPSequence == commitment_request().ReferencedSOPSequence
    assert report.RetrieveAETitle == way.called


def test_commitment_on_the_same_association(called, hospital):
    seen: list[Reported] = []
    with modality(called, COMMITMENT, reporting_to(seen)) as made:
        status, _ = made.send_n_action(commitment_request(), 1, COMMITMENT, COMMITMENT_INSTANCE)
        assert status.Status == 0x0000
        wait_until(lambda: hospital.reports, "the N-EVENT-REPORT is answered")
    assert hospital.reports == [0x0000]
    assert hospital.seen[0][1] == (1, commitment_request())
    ((_, _, event_type, report),) = seen
    assert event_type == 1
    check_report(report, called)


def test_commitment_on_a_reverse_association(by, called, hospital, modality_port):
    seen: list[Reported] = []
    hospital.report_over = hospital.back[by]
    server = entity("MOD1")
    server.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
    with scp(server, reporting_to(seen), modality_port):
        with modality(called, COMMITMENT) as made:
            status, _ = made.send_n_action(commitment_request(), 1, COMMITMENT, COMMITMENT_INSTANCE)
        assert status.Status == 0x0000
        wait_until(lambda: hospital.reports, "the N-EVENT-REPORT is answered")
    assert hospital.reports == [0x0000]
    ((calling, own, event_type, report),) = seen
    assert calling == called.called, "the modality knows the PACS by this title"
    assert own == "MOD1"
    assert event_type == 1
    check_report(report, called)
