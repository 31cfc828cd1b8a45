"""What a demo device keeps: objects as files, byte for byte as they came, and an index to query.

1. The data set is never decoded and encoded again: what was received is what is kept and later sent.
2. The index holds each object's header (everything before the pixel data) in memory.
3. Queries follow PS3.4 C.6: Patient Root and Study Root, one level at a time.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dsutils import create_file_meta, encode_file_meta, split_dataset

from ulproxy.demo.matching import NOT_KEYS, matches, values

# PS3.4 C.6.1.1, C.6.2.1: the levels of each root, and the unique key of each level.
PATIENT_ROOT: Final = ("PATIENT", "STUDY", "SERIES", "IMAGE")
STUDY_ROOT: Final = ("STUDY", "SERIES", "IMAGE")
UNIQUE_KEY: Final = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
# PS3.4 C.3.4: counts and lists that no single object has: keyword -> (group, what is counted or listed).
COUNTS: Final = {
    "NumberOfPatientRelatedStudies": ("PatientID", "StudyInstanceUID"),
    "NumberOfPatientRelatedSeries": ("PatientID", "SeriesInstanceUID"),
    "NumberOfPatientRelatedInstances": ("PatientID", "SOPInstanceUID"),
    "NumberOfStudyRelatedSeries": ("StudyInstanceUID", "SeriesInstanceUID"),
    "NumberOfStudyRelatedInstances": ("StudyInstanceUID", "SOPInstanceUID"),
    "NumberOfSeriesRelatedInstances": ("SeriesInstanceUID", "SOPInstanceUID"),
}
LISTS: Final = {"ModalitiesInStudy": "Modality", "SOPClassesInStudy": "SOPClassUID"}


class IdentifierError(ValueError):
    """The identifier does not match the SOP class: status A900H (PS3.4 C.4.1.1.4, C.4.2.1.5)."""


@dataclass(frozen=True)
class StoredObject:
    """One SOP instance: its file, its header, and the SHA-256 of its data set as it came."""

    sop_class: UID
    sop_instance: UID
    transfer_syntax: UID
    sha256: str
    size: int
    path: Path
    header: Dataset = field(repr=False, compare=False)


def data_set(path: Path) -> bytes:
    """The data set of a DICOM file as it stands there: what follows the file meta information."""
    _, offset = split_dataset(path)
    return path.read_bytes()[offset:]


def digest(encoded: bytes) -> str:
    """SHA-256 of an encoded data set."""
    return hashlib.sha256(encoded).hexdigest()


class Archive:
    """Objects by SOP Instance UID, in a folder of their own; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._objects: dict[str, StoredObject] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._objects)

    @property
    def objects(self) -> dict[str, StoredObject]:
        """All objects now, by SOP Instance UID, in the order they first came."""
        with self._lock:
            return dict(self._objects)

    @property
    def digests(self) -> dict[str, str]:
        """SOP Instance UID -> SHA-256 of the data set."""
        return {uid: stored.sha256 for uid, stored in self.objects.items()}

    def add(
        self, sop_class: UID, sop_instance: UID, transfer_syntax: UID, encoded: bytes
    ) -> StoredObject:
        """Keep one object under its UIDs; the same SOP instance again replaces it."""
        if not re.fullmatch(r"[0-9.]{1,64}", sop_instance):  # it names a file
            raise ValueError(f"not a UID: {sop_instance!r}")
        meta = create_file_meta(
            sop_class_uid=sop_class,
            sop_instance_uid=sop_instance,
            transfer_syntax=transfer_syntax,
        )
        content = b"\0" * 128 + b"DICM" + encode_file_meta(meta) + encoded
        header = dcmread(BytesIO(content), stop_before_pixels=True)
        path = self.folder / f"{sop_instance}.dcm"
        path.write_bytes(content)
        stored = StoredObject(
            sop_class, sop_instance, transfer_syntax, digest(encoded), len(encoded), path, header
        )
        with self._lock:
            self._objects[sop_instance] = stored
        return stored

    def find(self, identifier: Dataset, levels: tuple[str, ...]) -> Iterator[Dataset]:
        """The C-FIND matches of an identifier, without Retrieve AE Title."""
        level = level_of(identifier, levels)
        headers = [stored.header for stored in self.objects.values()]
        for header in _one_per(UNIQUE_KEY[level], headers):
            candidate = _with_computed(header, identifier, headers)
            if matches(identifier, candidate):
                yield _response(identifier, candidate, level)

    def select(self, identifier: Dataset, levels: tuple[str, ...]) -> list[StoredObject]:
        """The objects that a C-MOVE or C-GET identifier asks for: by unique keys alone (C.4.2.2.1)."""
        level = level_of(identifier, levels)
        if not _unique_values(identifier, level):
            raise IdentifierError(f"{UNIQUE_KEY[level]} is missing")
        asked = {UNIQUE_KEY[name]: _unique_values(identifier, name) for name in levels}
        return [
            stored
            for stored in self.objects.values()
            if all(
                not wanted or str(stored.header.get(key, "")) in wanted
                for key, wanted in asked.items()
            )
        ]


def level_of(identifier: Dataset, levels: tuple[str, ...]) -> str:
    """The Query/Retrieve Level, which must be one of the information model's."""
    level = str(identifier.get("QueryRetrieveLevel", "")).strip()
    if level not in levels:
        raise IdentifierError(f"Query/Retrieve Level {level!r} is none of {', '.join(levels)}")
    return level


def _unique_values(identifier: Dataset, level: str) -> list[str]:
    key = UNIQUE_KEY[level]
    return values(identifier[key]) if key in identifier else []


def _one_per(key: str, headers: list[Dataset]) -> list[Dataset]:
    """The first header of each distinct value of a key."""
    first: dict[str, Dataset] = {}
    for header in headers:
        first.setdefault(str(header.get(key, "")), header)
    return list(first.values())


def _with_computed(header: Dataset, identifier: Dataset, headers: list[Dataset]) -> Dataset:
    """The header, and the counts and lists over its study or series that the query asks for."""
    candidate = Dataset()
    candidate.update(header)
    for keyword, (group, counted) in COUNTS.items():
        if keyword in identifier:
            members = [other for other in headers if other.get(group) == header.get(group)]
            setattr(candidate, keyword, len({str(member.get(counted, "")) for member in members}))
    for keyword, listed in LISTS.items():
        if keyword in identifier:
            study = header.get("StudyInstanceUID")
            members = [other for other in headers if other.get("StudyInstanceUID") == study]
            found = {str(member[listed].value) for member in members if listed in member}
            setattr(candidate, keyword, sorted(found))
    return candidate


def _response(identifier: Dataset, candidate: Dataset, level: str) -> Dataset:
    """PS3.4 C.4.1.1.3.2: every requested key with the candidate's value, or empty."""
    response = Dataset()
    if "SpecificCharacterSet" in candidate:
        response.SpecificCharacterSet = candidate.SpecificCharacterSet
    for key in identifier:
        if key.tag in NOT_KEYS:
            continue
        if key.tag in candidate:
            response[key.tag] = candidate[key.tag]
        else:
            response.add_new(key.tag, key.VR, [] if key.VR == "SQ" else None)
    response.QueryRetrieveLevel = level
    return response
