"""The DICOM files that are sent: made once with pydicom, kept in the temporary folder."""

import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    generate_uid,
)

CACHE = Path(tempfile.gettempdir()) / "ulproxy-benchmark"
FRAME = 512  # pixels a side, two bytes each: half a MiB


def multi_frame(frames: int) -> Path:
    """A folder with one Multi-frame Grayscale Word Secondary Capture of half a MiB a frame."""

    def write(folder: Path) -> None:
        image = _image(MultiFrameGrayscaleWordSecondaryCaptureImageStorage, 1, FRAME)
        image.NumberOfFrames = frames
        image.FrameIncrementPointer = 0x00181063
        image.FrameTime = "40"
        image.BurnedInAnnotation = "NO"
        image.ConversionType = "WSD"
        image.PresentationLUTShape = "IDENTITY"
        image.RescaleIntercept, image.RescaleSlope, image.RescaleType = 0, 1, "US"
        noise = random.Random(0)
        image.PixelData = b"".join(noise.randbytes(FRAME * FRAME * 2) for _ in range(frames))
        image.save_as(folder / "0001.dcm", enforce_file_format=True)

    return _cached(f"multi-frame-{frames}", write)


def slices(count: int, side: int) -> Path:
    """A folder with a CT series of `count` slices, `side` by `side` pixels of two bytes."""

    def write(folder: Path) -> None:
        noise = random.Random(0)
        for number in range(1, count + 1):
            image = _image(CTImageStorage, number, side)
            image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
            image.ImagePositionPatient = [0, 0, number]
            image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            image.PixelSpacing = [0.5, 0.5]
            image.SliceThickness = 1
            image.FrameOfReferenceUID = _uid("frame of reference")
            image.RescaleIntercept, image.RescaleSlope = -1024, 1
            image.KVP = 120
            image.PixelData = noise.randbytes(side * side * 2)
            image.save_as(folder / f"{number:04}.dcm", enforce_file_format=True)

    return _cached(f"ct-{count}-{side}", write)


def _image(sop_class: str, number: int, side: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = _uid(f"{sop_class} {side} {number}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", Dataset(), file_meta=meta, preamble=bytes(128))
    image.SOPClassUID = sop_class
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    image.PatientName, image.PatientID = "Benchmark^Relay", "BENCH"
    image.PatientBirthDate, image.PatientSex = "19700101", "O"
    image.StudyInstanceUID, image.SeriesInstanceUID = _uid("study"), _uid(f"series {sop_class}")
    image.StudyDate, image.StudyTime, image.StudyID = "20260101", "120000", "1"
    image.AccessionNumber, image.ReferringPhysicianName = "1", ""
    image.Modality = "CT" if sop_class == CTImageStorage else "OT"
    image.Manufacturer = "ulproxy benchmarks"
    image.SeriesNumber, image.InstanceNumber = 1, number
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows = image.Columns = side
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.PixelRepresentation = 0
    return image


def _uid(what: str) -> UID:
    return generate_uid(entropy_srcs=["ulproxy benchmarks", what])  # the same every time


def _cached(name: str, write: Callable[[Path], None]) -> Path:
    """A folder of the cache, whole or not there: it is written beside its place and then moved."""
    folder = CACHE / name
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=CACHE))
    try:
        write(making)
        making.rename(folder)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return folder
