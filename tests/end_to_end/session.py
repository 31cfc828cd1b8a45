"""A day's work in two hospitals: echo, store, query, move and get by a workstation through two relays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import build_context, build_role, evt

from tests.end_to_end import hospitals as names
from tests.end_to_end.files import Part10, samples
from tests.end_to_end.hospitals import Hospitals, two_hospitals
from tests.end_to_end.pynet import Stored, association, entity, record_into, scp
from tests.end_to_end.uids import CT_IMAGE, MR_IMAGE, STUDY_FIND, STUDY_GET, STUDY_MOVE
from tests.end_to_end.wire import EXPLICIT, VERIFICATION

MOVE_ID = 47_110


@dataclass
class Session:
    """What the workstation did and saw."""

    hospitals: Hospitals
    files: list[Part10]
    study: str = ""
    statuses: dict[str, list[int]] = field(default_factory=dict)
    matches: list[Dataset] = field(default_factory=list)
    moved: list[Stored] = field(default_factory=list)
    got: list[Stored] = field(default_factory=list)
    moved_directly: list[Stored] = field(default_factory=list)


def query(session: Session) -> Dataset:
    made = Dataset()
    made.QueryRetrieveLevel, made.StudyInstanceUID = "STUDY", session.study
    return made


def receiver(title: str) -> Any:
    made = entity(title)
    for sop_class in (CT_IMAGE, MR_IMAGE):
        made.add_supported_context(sop_class, [EXPLICIT])
    return made


def work(session: Session) -> None:
    """Echo, store, query, move and get, all by the workstation through both relays."""
    storage = [build_context(uid, EXPLICIT) for uid in (CT_IMAGE, MR_IMAGE)]
    models = [build_context(uid) for uid in (VERIFICATION, STUDY_FIND, STUDY_MOVE, STUDY_GET)]
    roles = [build_role(uid, scu_role=True, scp_role=True) for uid in (CT_IMAGE, MR_IMAGE)]
    port, called = session.hospitals.legs.to_a.port, names.PACS_INSIDE_A
    own = receiver(names.WORKSTATION)
    storing = [(evt.EVT_C_STORE, record_into(session.got))]
    results = session.statuses
    with (
        scp(
            own, [(evt.EVT_C_STORE, record_into(session.moved))], session.hospitals.workstation_port
        ),
        association(
            entity(names.WORKSTATION), port, called, storage + models, storing, roles
        ) as to,
    ):
        results["echo"] = [to.send_c_echo().Status]
        results["store"] = [to.send_c_store(f.path).Status for f in session.files]
        found = list(to.send_c_find(query(session), STUDY_FIND))
        results["find"] = [status.Status for status, _ in found]
        session.matches = [match for _, match in found if match is not None]
        moves = to.send_c_move(query(session), names.WORKSTATION, STUDY_MOVE, msg_id=MOVE_ID)
        results["move"] = [status.Status for status, _ in moves]
        results["get"] = [s.Status for s, _ in to.send_c_get(query(session), STUDY_GET)]


def move_directly(session: Session) -> None:
    """The same move inside hospital B, to an AE that the PACS knows: the bytes to expect."""
    stored = [(evt.EVT_C_STORE, record_into(session.moved_directly))]
    contexts, port = [build_context(STUDY_MOVE)], session.hospitals.pacs_port
    with (
        scp(receiver(names.PROBE), stored, session.hospitals.probe_port),
        association(entity(names.PROBE), port, names.PACS, contexts) as made,
    ):
        for status, _ in made.send_c_move(query(session), names.PROBE, STUDY_MOVE):
            session.statuses.setdefault("direct", []).append(status.Status)


@contextlib.contextmanager
def session(directory: Path) -> Iterator[Session]:
    """Run it with the study that has the most images; the hospitals run until the block ends."""
    by_study: dict[str, list[Part10]] = {}
    for file in samples():
        if file.sop_class in {CT_IMAGE, MR_IMAGE}:
            at = file.data.index(b"\x20\0\x0d\0UI") + 6
            length = int.from_bytes(file.data[at : at + 2], "little")
            uid = file.data[at + 2 : at + 2 + length].rstrip(b"\0").decode()
            by_study.setdefault(uid, []).append(file)
    study, files = max(by_study.items(), key=lambda found: len(found[1]))
    with two_hospitals(directory) as running:
        made = Session(running, files, study)
        work(made)
        move_directly(made)
        yield made
