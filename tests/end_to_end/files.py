"""Real DICOM files, those in pydicom's wheel, and the bytes of their data sets as they would be transferred.

A data set's bytes are those behind the file meta information (PS3.10 7.1), never decoded and encoded again.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

import pydicom

DATA = Path(pydicom.__file__).parent / "data"
SAMPLES = DATA / "test_files" / "dicomdirtests"
"""Three patients with CR, CT and MR images."""
_LONG_LENGTH = {b"OB", b"OW", b"UN", b"SQ", b"UT"}


@dataclass(frozen=True)
class Part10:
    """A DICOM file: what its meta information says, and its data set's bytes."""

    path: Path
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data: bytes


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel_files() -> list[Path]:
    """Every file that the wheel brings, DICOM or not."""
    return sorted(p for p in DATA.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def read(path: Path) -> Part10 | None:
    """Split a file; None if it has no file meta information or no transfer syntax in it."""
    raw = path.read_bytes()
    if raw[128:132] != b"DICM":
        return None
    meta: dict[int, str] = {}
    offset = 132
    while raw[offset : offset + 2] == b"\2\0":
        element, vr = struct.unpack_from("<H2s", raw, offset + 2)
        if vr in _LONG_LENGTH:
            start, length = offset + 12, struct.unpack_from("<I", raw, offset + 8)[0]
        else:
            start, length = offset + 8, struct.unpack_from("<H", raw, offset + 6)[0]
        meta[element] = raw[start : start + length].rstrip(b"\0 ").decode("ascii", "replace")
        offset = start + length
    if not all(meta.get(element) for element in (0x0002, 0x0003, 0x0010)):
        return None
    return Part10(path, meta[0x0002], meta[0x0003], meta[0x0010], raw[offset:])


def samples() -> list[Part10]:
    """The images of the small media example, in a stable order."""
    found = [read(p) for p in sorted(SAMPLES.rglob("*")) if p.is_file() and "DIR" not in p.name]
    return [f for f in found if f is not None]


def digests(directory: Path) -> list[str]:
    """SHA-256 of the data sets of all DICOM files below a directory, sorted."""
    found = [read(p) for p in directory.rglob("*") if p.is_file()]
    return sorted(digest(f.data) for f in found if f is not None)
