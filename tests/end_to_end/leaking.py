"""A day at one border on which much goes wrong, with every byte recorded that either side receives.

    WSINSIDE, MODINSIDE - west - relay - east - PACSINSIDE, OTHERINSIDE, DOWNINSIDE

MODINSIDE and OTHERINSIDE have no alias. Both sides say in every Error Comment what nobody else should know,
and in their data sets the titles that they know.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pynetdicom import build_context, build_role, evt

from tests.end_to_end.images import Study, make_studies
from tests.end_to_end.peers import ae, border, free_port, relay, rule
from tests.end_to_end.pynet import association, entity, scp
from tests.end_to_end.tap import DOWN, UP, Tap
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
from tests.end_to_end.wire import EXPLICIT, VERIFICATION

STATION, MODALITY, PACS_OF_A = "WSINSIDE", "MODINSIDE", "PACSFORA"
PACS, OTHER, DOWN_AE, STATION_OF_B = "PACSINSIDE", "OTHERINSIDE", "DOWNINSIDE", "WSFORB"
COMMENT_A, COMMENT_B = "no space on ws7.hospital-a.example", "pacs01.hospital-b.example is full"
FAIL = "FAIL"
"""The Patient ID of what the archives fail at."""
CANNOT = 0xC001


def data_set(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def failure(status: int, comment: str) -> Dataset:
    return data_set(Status=status, ErrorComment=comment)


@dataclass
class Legs:
    """The taps, by who listens behind them."""

    west: Tap
    east: Tap
    station: Tap
    modality: Tap
    pacs: Tap
    other: Tap

    def received_in_a(self) -> bytes:
        return self.west.said(DOWN) + self.station.said(UP) + self.modality.said(UP)

    def received_in_b(self) -> bytes:
        return self.east.said(DOWN) + self.pacs.said(UP) + self.other.said(UP)


@dataclass
class Day:
    """What each side did, and what came of it: statuses by what was done."""

    legs: Legs
    study: Study
    statuses: dict[str, list[int]] = field(default_factory=dict)
    matches: list[Dataset] = field(default_factory=list)
    reported: list[tuple[str, str]] = field(default_factory=list)
    ports: dict[str, list[int]] = field(default_factory=dict)
    committing: threading.Thread | None = None

    def saw(self, what: str, *statuses: int) -> None:
        self.statuses.setdefault(what, []).extend(statuses)


@dataclass
class Archive:
    """PACSINSIDE and OTHERINSIDE: what they are asked for they do, unless it is of the patient FAIL."""

    title: str
    day: Day

    def fails(self, identifier: Dataset) -> bool:
        return bool(identifier.get("PatientID") == FAIL)

    def echo(self, event: Any) -> Dataset:
        return failure(0x0110, COMMENT_B)

    def store(self, event: Any) -> Dataset | int:
        """The first one, not the second; at any other it breaks off."""
        if event.request.MessageID > 2:
            event.assoc.abort()
        return 0x0000 if event.request.MessageID == 1 else failure(0xA700, COMMENT_B)

    def find(self, event: Any) -> Iterator[Any]:
        if self.fails(event.identifier):
            yield failure(CANNOT, COMMENT_B), None
            return
        step = data_set(ScheduledStationAETitle=STATION_OF_B, Modality="CT")
        match = data_set(StudyInstanceUID="1.2.3", RetrieveAETitle=[self.title, OTHER, PACS])
        match.ScheduledProcedureStepSequence = [step]
        yield failure(0xFF00, COMMENT_B), match
        yield failure(0x0000, COMMENT_B), None

    def move(self, event: Any) -> Iterator[Any]:
        contexts = [build_context(CT_IMAGE, EXPLICIT)]
        yield "127.0.0.1", self.day.legs.east.port, {"contexts": contexts}
        yield from self.get(event)

    def get(self, event: Any) -> Iterator[Any]:
        files = self.day.study.files
        yield len(files) + 1
        for file in files:
            yield 0xFF00, pydicom.dcmread(file.path)
        failed = data_set(FailedSOPInstanceUIDList=["1.2.3.4"])
        yield failure(CANNOT, COMMENT_B), failed

    def create(self, event: Any) -> tuple[Dataset | int, Dataset | None]:
        if self.fails(event.attribute_list):
            return failure(0x0110, COMMENT_B), None
        return failure(0x0000, COMMENT_B), event.attribute_list

    def set(self, event: Any) -> tuple[Dataset, None]:
        return failure(0x0110, COMMENT_B), None

    def action(self, event: Any) -> tuple[Dataset, None]:
        self.day.committing = threading.Thread(target=self.report, args=(event.action_information,))
        self.day.committing.start()
        return failure(0x0000, COMMENT_B), None

    def report(self, asked: Dataset) -> None:
        """The result, on an association of its own."""
        failed = data_set(ReferencedSOPInstanceUID="1.2.3.1", FailureReason=0x0110)
        result = data_set(TransactionUID=asked.TransactionUID, RetrieveAETitle=self.title)
        result.FailedSOPSequence = [failed]
        roles, port = [build_role(COMMITMENT, scp_role=True)], self.day.legs.east.port
        contexts = [build_context(COMMITMENT)]
        with association(entity(self.title), port, "RELAY", contexts, ext_neg=roles) as made:
            status, _ = made.send_n_event_report(result, 2, COMMITMENT, COMMITMENT_INSTANCE)
            self.day.saw("report", status.Status)

    @contextlib.contextmanager
    def open(self, port: int) -> Iterator[None]:
        server = entity(self.title)
        for sop_class in (VERIFICATION, STUDY_FIND, STUDY_MOVE, STUDY_GET, MPPS, WORKLIST):
            server.add_supported_context(sop_class)
        server.add_supported_context(CT_IMAGE, EXPLICIT, scu_role=True, scp_role=True)
        server.add_supported_context(COMMITMENT)
        handlers = [
            (evt.EVT_C_ECHO, self.echo),
            (evt.EVT_C_STORE, self.store),
            (evt.EVT_C_FIND, self.find),
            (evt.EVT_C_MOVE, self.move),
            (evt.EVT_C_GET, self.get),
            (evt.EVT_N_CREATE, self.create),
            (evt.EVT_N_SET, self.set),
            (evt.EVT_N_ACTION, self.action),
        ]
        with scp(server, handlers, port):
            yield


@contextlib.contextmanager
def station_scp(day: Day, title: str, port: int) -> Iterator[None]:
    """WSINSIDE and MODINSIDE: they refuse what they get, and say more about it than they should."""
    server = entity(title)
    server.add_supported_context(CT_IMAGE, EXPLICIT)
    server.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)

    def report(event: Any) -> tuple[Dataset, None]:
        calling = event.assoc.requestor.ae_title
        day.reported.append((calling, event.event_information.RetrieveAETitle))
        return failure(0x0110, COMMENT_A), None

    handlers = [
        (evt.EVT_C_STORE, lambda _event: failure(0xA700, COMMENT_A)),
        (evt.EVT_N_EVENT_REPORT, report),
    ]
    with scp(server, handlers, port):
        yield


@contextlib.contextmanager
def day(directory: Path) -> Iterator[Day]:
    """Everything runs; nothing has been done yet."""
    (study,) = make_studies(directory, 1)
    data = b"".join(file.data for file in study.files)
    with contextlib.ExitStack() as stack:
        legs = Legs(*(stack.enter_context(Tap(free_port(data))) for _ in range(6)))
        inside = {name: free_port(data) for name in (STATION, MODALITY, PACS, OTHER, DOWN_AE)}
        aes = [
            ae(STATION, "west", legs.station.port, alias=STATION_OF_B),
            ae(MODALITY, "west", legs.modality.port),
            ae(PACS, "east", legs.pacs.port, alias=PACS_OF_A),
            ae(OTHER, "east", legs.other.port),
            ae(DOWN_AE, "east", inside[DOWN_AE], alias="OFFFORA"),
        ]
        anybody = ["network:west"]
        config = border(aes, [rule(anybody, ["network:east"], destinations=anybody)])
        config["group"] = [{"title": "ALLFORA", "members": [PACS, OTHER, DOWN_AE]}]
        through = stack.enter_context(relay(config, directory))
        legs.west.target, legs.east.target = through.ports["west"], through.ports["east"]
        legs.station.target, legs.modality.target = inside[STATION], inside[MODALITY]
        legs.pacs.target, legs.other.target = inside[PACS], inside[OTHER]
        made = Day(legs, study)
        made.ports = {
            "a": [legs.station.port, legs.modality.port, inside[STATION], inside[MODALITY]],
            "b": [legs.pacs.port, legs.other.port, *(inside[n] for n in (PACS, OTHER, DOWN_AE))],
        }
        for title in (PACS, OTHER):
            stack.enter_context(Archive(title, made).open(inside[title]))
        for title in (STATION, MODALITY):
            stack.enter_context(station_scp(made, title, inside[title]))
        yield made
