"""AE titles inside small data sets: C-FIND, worklist, MPPS, storage commitment, UPS (PS3.4 C, F, J, K, CC).

A data set names AEs by the titles of its sender's network; its receiver must find those of its own there:
Retrieve AE Title, Station AE Title and every other element of VR AE in PS3.6, in sequence items too. A data
set in which nothing changes goes on byte for byte; in one that does only the changed elements, and the
lengths around them, are written anew. pydicom reads and writes; what is not looked at stays raw.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from io import BytesIO
from typing import Final

from pydicom._dicom_dict import DicomDictionary
from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset, read_sequence
from pydicom.filewriter import write_data_element
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import IMPLICIT_VR_LITTLE_ENDIAN

# Sequences in sequences: the information models need three, a hostile data set has thousands.
MAX_DEPTH: Final = 16

_UNDEFINED_LENGTH: Final = 0xFFFF_FFFF
_ITEM: Final = b"\xfe\xff\x00\xe0"

# What the receiver calls an AE: (tag, title as the sender says it) -> title.
Mapping = Callable[[int, str], str]

RETRIEVE_AE_TITLE: Final = 0x00080054
# Of data sets, so without those of command sets and of file meta information.
_TITLES: Final = frozenset(
    tag for tag, (vr, *_) in DicomDictionary.items() if vr == "AE" and tag > 0x0008_0000
)
_ANY_TITLE: Final = re.compile(
    b"|".join(
        re.escape((tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little"))
        for tag in sorted(_TITLES)
    )
)


def mapped(data: bytes, transfer_syntax: str, mapping: Mapping) -> bytes:
    """The data set with every AE title as its receiver knows it.

    `transfer_syntax` is Implicit or Explicit VR Little Endian. Raises RemoteProtocolError where a data set
    with titles cannot be read to its end: what is not understood might name anything.
    """
    if _ANY_TITLE.search(data) is None:
        return data
    implicit = transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN
    try:
        with warnings.catch_warnings(action="ignore"):  # they quote the data set
            return _mapped(data, mapping, implicit=implicit)
    except RemoteProtocolError:
        raise
    except Exception as error:  # pydicom raises whatever its own innards do
        raise RemoteProtocolError(f"data set cannot be read: {type(error).__name__}") from None


class _Source(BytesIO):
    """Ends only between two elements; pydicom takes half a header for the end."""

    def read(self, size: int | None = -1) -> bytes:
        """All of the bytes or none."""
        data = super().read(size)
        if data and size is not None and len(data) < size:
            raise RemoteProtocolError("data set ends within an element")
        return data


def _mapped(data: bytes, mapping: Mapping, *, implicit: bool) -> bytes:
    source = _Source(data)
    # At the top level pydicom guesses: a length of 4142H is `BA` where a VR would be.
    dataset = read_dataset(source, implicit, True, bytelength=len(data), at_top_level=False)
    if source.tell() != len(data):
        raise RemoteProtocolError(f"data set breaks off {len(data) - source.tell()} bytes early")
    if dataset.original_encoding[0] != implicit:
        raise RemoteProtocolError("data set in another transfer syntax")
    if not _map(dataset, mapping, MAX_DEPTH):
        return data
    target = DicomBytesIO()
    target.is_implicit_VR, target.is_little_endian = implicit, True
    charset = dataset.get("SpecificCharacterSet")
    for tag in list(dataset.keys()):  # in the order that they came, not in that of the tags
        if tag.element != 0:  # PS3.5 7.2: a group length would be wrong now, and is retired
            write_data_element(target, _element(dataset, tag), charset)
    return bytes(target.getvalue())


def _map(dataset: Dataset, mapping: Mapping, depth: int) -> bool:
    """Replaces titles in place; returns whether anything changed."""
    if depth == 0:
        raise RemoteProtocolError(f"sequences nested more than {MAX_DEPTH} deep")
    changed = False
    for tag in list(dataset.keys()):
        element = _element(dataset, tag)
        if _ends_early(element):
            raise RemoteProtocolError("data set ends within an element")
        if tag in _TITLES:
            changed |= _map_titles(dataset, tag, element, mapping)
        elif _is_sequence(tag, element):
            changed |= _map_sequence(dataset, tag, element, mapping, depth)
        elif _might_be_sequence(element):  # whose items may be in either syntax
            raise RemoteProtocolError("AE titles in a value that is not called a sequence")
    return changed


def _element(dataset: Dataset, tag: BaseTag) -> DataElement | RawDataElement:
    """As it was read; pydicom takes an empty value for one that it has not read yet."""
    element: DataElement | RawDataElement = dataset.get_item(tag, keep_deferred=True)
    if isinstance(element, RawDataElement) and element.value is None:
        return element._replace(value=b"")
    return element


def _ends_early(element: DataElement | RawDataElement) -> bool:
    """Whether the last value is shorter than announced; pydicom takes what there is."""
    if not isinstance(element, RawDataElement):
        return False
    return element.length not in {len(element.value or b""), _UNDEFINED_LENGTH}


def _is_sequence(tag: BaseTag, element: DataElement | RawDataElement) -> bool:
    """By the VR that the data set says, or the dictionary's where it says none."""
    if element.VR not in {None, "UN"}:
        return bool(element.VR == "SQ")
    try:
        return bool(dictionary_VR(tag) == "SQ")
    except KeyError:
        return element.VR is None and _might_be_sequence(element)


def _might_be_sequence(element: DataElement | RawDataElement) -> bool:
    """Items with titles in a value of another VR: some receiver looks, or knows a private sequence."""
    value = element.value if isinstance(element, RawDataElement) else None
    return value is not None and value.startswith(_ITEM) and bool(_ANY_TITLE.search(value))


def _map_titles(
    dataset: Dataset, tag: BaseTag, element: DataElement | RawDataElement, mapping: Mapping
) -> bool:
    if not isinstance(element, RawDataElement) or element.VR == "SQ":
        raise RemoteProtocolError(f"{tag} is no AE title")
    titles = [title.strip(" \0") for title in (element.value or b"").decode("latin-1").split("\\")]
    # PS3.4 C.2.2.2.4: what matches every title is none
    after = [mapping(int(tag), title) if title.strip("*?") else title for title in titles]
    if after == titles:
        return False
    value = "\\".join(after).encode("ascii")
    value += b" " * (len(value) % 2)
    dataset[tag] = element._replace(value=value, length=len(value))
    return True


def _map_sequence(
    dataset: Dataset,
    tag: BaseTag,
    element: DataElement | RawDataElement,
    mapping: Mapping,
    depth: int,
) -> bool:
    sequence = _items(element) if isinstance(element, RawDataElement) else element.value
    changed = False
    for item in sequence:
        changed |= _map(item, mapping, depth - 1)
    if changed and isinstance(element, RawDataElement):
        dataset[tag] = DataElement(tag, "SQ", sequence)
    return changed


def _items(element: RawDataElement) -> Sequence:
    """Read to their end too: pydicom takes what there is, over and over if items lie in one another."""
    value = element.value or b""
    source, implicit = _Source(value), element.is_implicit_VR
    sequence = read_sequence(source, implicit, True, len(value), default_encoding)
    if source.tell() != len(value):
        raise RemoteProtocolError("sequence that ends before its end")
    return sequence
