"""Small studies made for a test: as many as it wants, each instance with bytes of its own."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.end_to_end.files import Part10, digest, read
from tests.end_to_end.uids import CT_IMAGE

ROOT = "1.2.826.0.1.3680043.9.9999.3"
SIDE = 32
"""Rows and columns of an image."""


@dataclass(frozen=True)
class Study:
    """A study and its files."""

    uid: str
    files: tuple[Part10, ...]

    @property
    def digests(self) -> list[str]:
        """SHA-256 of the data sets as they are in the files, sorted."""
        return sorted(digest(file.data) for file in self.files)

    def implicit(self, directory: Path) -> list[str]:
        """The same data sets in implicit VR little endian, as somebody who knows no other gets them."""
        found = []
        for number, file in enumerate(self.files):
            data_set = pydicom.dcmread(file.path)
            data_set.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            path = directory / f"implicit-{self.uid}-{number}.dcm"
            pydicom.dcmwrite(path, data_set, implicit_vr=True, little_endian=True)
            found.append(digest(_part10(path).data))
        return sorted(found)


def make_studies(
    directory: Path, count: int, images: int = 2, classes: tuple[str, ...] = (CT_IMAGE,)
) -> list[Study]:
    """`count` studies of one patient each, whose images are of these SOP classes in turn."""
    return [_study(directory, number, images, classes) for number in range(1, count + 1)]


def _study(directory: Path, number: int, images: int, classes: tuple[str, ...]) -> Study:
    uid = f"{ROOT}.{random.randrange(1, 10**9)}.{number}"
    files = []
    for image in range(1, images + 1):
        path = directory / f"{uid}.{image}.dcm"
        sop_class = classes[(image - 1) % len(classes)]
        _write(path, uid, number, image, sop_class)
        files.append(_part10(path))
    return Study(uid, tuple(files))


def _write(path: Path, study: str, number: int, image: int, sop_class: str) -> None:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = sop_class, f"{study}.1.{image}"
    made.StudyDate, made.StudyTime, made.AccessionNumber = "20240101", "120000", f"A{number}"
    made.Modality = "CT"
    made.PatientName, made.PatientID = f"Test^{number}", f"P{number}"
    made.StudyInstanceUID, made.SeriesInstanceUID = study, f"{study}.1"
    made.StudyID, made.SeriesNumber, made.InstanceNumber = str(number), 1, image
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows = made.Columns = SIDE
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.PixelData = random.randbytes(SIDE * SIDE)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pydicom.dcmwrite(path, made, enforce_file_format=True)


def _part10(path: Path) -> Part10:
    found = read(path)
    assert found is not None
    return found
