"""AE titles inside small data sets: C-FIND, worklist, MPPS, storage commitment, UPS (PS3.4 C, F, J, K, CC).

A data set names AEs by the titles of its sender's network; its receiver must find those of its own there:
Retrieve AE Title, Station AE Title and every other element of VR AE in PS3.6, in sequence items too. Two
rules. Only titles are written anew, and the lengths around them; all else goes on as it came, in its own
order, but for the retired group lengths of what changed. And a data set with titles is read to its end by
the letter of PS3.5 7, or it is refused: whoever reads it otherwise would find the titles missed here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from pydicom._dicom_dict import DicomDictionary

from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import IMPLICIT_VR_LITTLE_ENDIAN

# Data sets in one another: the information models need four, a hostile data set has thousands.
MAX_DEPTH: Final = 16

# What the receiver calls an AE: (tag, title as the sender says it) -> title.
Mapping = Callable[[int, str], str]

RETRIEVE_AE_TITLE: Final = 0x00080054
# Of data sets, so without those of command sets and of file meta information.
_TITLES: Final = frozenset(
    tag for tag, (vr, *_) in DicomDictionary.items() if vr == "AE" and tag > 0x0008_0000
)
_SEQUENCES: Final = frozenset(tag for tag, (vr, *_) in DicomDictionary.items() if vr == "SQ")
_ANY_TITLE: Final = re.compile(
    b"|".join(re.escape(struct.pack("<HH", tag >> 16, tag & 0xFFFF)) for tag in sorted(_TITLES))
)

_ITEM: Final = 0xFFFE_E000
_ITEM_DELIMITATION: Final = 0xFFFE_E00D
_SEQUENCE_DELIMITATION: Final = 0xFFFE_E0DD
_ITEM_TAG: Final = struct.pack("<HH", 0xFFFE, 0xE000)
_UNDEFINED_LENGTH: Final = 0xFFFF_FFFF

# PS3.5 7.1.2: VRs with 16 and with 32 bits of length.
_SHORT: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_IMPLICIT: Final = struct.Struct("<HHL")
_EXPLICIT: Final = struct.Struct("<HH2sH")
_LENGTH: Final = struct.Struct("<L")


def mapped(data: bytes, transfer_syntax: str, mapping: Mapping) -> bytes:
    """The data set with every AE title as its receiver knows it.

    `transfer_syntax` is Implicit or Explicit VR Little Endian. Raises RemoteProtocolError where a data set
    with titles cannot be read to its end: what is not understood might name anything.
    """
    if _ANY_TITLE.search(data) is None:
        return data
    editor = _Editor(data, mapping)
    part = _Part(len(data), transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN, MAX_DEPTH - 1)
    changed, _ = editor.read(0, part, editor.element, None)
    return data if changed is None else changed


class _Part(NamedTuple):
    """How far, how, and how much deeper to read."""

    end: int
    implicit: bool
    depth: int


class _Element(NamedTuple):
    """A header from `at` to `start`, where the value begins; Items and their delimiters too."""

    tag: int
    vr: bytes  # empty where the data set does not say
    length: int
    at: int
    start: int

    @property
    def undefined(self) -> bool:
        return self.length == _UNDEFINED_LENGTH


# What to write instead, None if nothing changed; and where in the data set it ended.
_Result = tuple[bytes | None, int]


class _Editor:
    """Reads a data set once, from front to back, and writes what changes."""

    def __init__(self, data: bytes, mapping: Mapping) -> None:
        self._data = data
        self._mapping = mapping

    def read(
        self,
        position: int,
        part: _Part,
        one: Callable[[_Element, _Part], _Result],
        delimiter: int | None,
    ) -> _Result:
        """One after the other, up to and with the delimiter, or without one to the end of the part."""
        written: list[bytes] = []
        changed, kept = False, position
        while position < part.end:
            element = self._header(position, part)
            if element.tag == delimiter and element.length == 0:
                delimiter, position = None, element.start
                break
            new, end = one(element, part)
            # PS3.5 7.2: a group length would be wrong where something changed, and is retired
            if new is not None or (element.tag & 0xFFFF == 0 and element.length == 4):
                changed |= new is not None
                written += [self._data[kept:position], new or b""]
                kept = end
            position = end
        if delimiter is not None:
            raise RemoteProtocolError("data set ends within a sequence")
        if not changed:
            return None, position
        return b"".join([*written, self._data[kept:position]]), position

    def element(self, element: _Element, part: _Part) -> _Result:
        """An element of a data set or of an item."""
        tag, vr, length, _, start = element
        if tag >> 16 == 0xFFFE:
            raise RemoteProtocolError("delimiter out of place in a data set")
        if tag in _TITLES:
            return self._titles(element), start + length
        if vr == b"SQ" or (not vr and tag in _SEQUENCES):
            return self._sequence(element, part)
        if element.undefined:
            if vr not in (b"", b"UN"):
                raise RemoteProtocolError("undefined length of what is no sequence")
            return self._sequence(element, part._replace(implicit=True))  # PS3.5 6.2.2 note 4
        end = start + length
        if (
            (vr == b"UN" or tag in _SEQUENCES or (not vr and tag not in DicomDictionary))
            and self._data.startswith(_ITEM_TAG, start, end)
            and _ANY_TITLE.search(self._data, start, end)
        ):
            return self._unnamed_sequence(element, part), end
        return None, end

    def _header(self, at: int, part: _Part) -> _Element:
        """PS3.5 7.1."""
        start = at + 8
        if start > part.end:
            raise RemoteProtocolError("data set ends within an element")
        group, number, length = _IMPLICIT.unpack_from(self._data, at)
        vr = b""
        if not part.implicit and group != 0xFFFE:
            _, _, vr, length = _EXPLICIT.unpack_from(self._data, at)
            if vr in _LONG and start + 4 <= part.end:
                (length,) = _LENGTH.unpack_from(self._data, start)
                start += 4
            elif vr not in _SHORT:  # receivers differ in how they go on from here
                raise RemoteProtocolError("element without a VR of PS3.5")
        if length > part.end - start and length != _UNDEFINED_LENGTH:
            raise RemoteProtocolError("element longer than what it is in")
        return _Element(group << 16 | number, vr, length, at, start)

    def _titles(self, element: _Element) -> bytes | None:
        if element.undefined or element.vr == b"SQ":
            raise RemoteProtocolError("AE title that is a sequence")
        value = self._data[element.start : element.start + element.length]
        titles = [title.strip(" \0") for title in value.decode("latin-1").split("\\")]
        # PS3.4 C.2.2.2.4: what matches everything names nobody
        after = [self._mapping(element.tag, t) if t.strip("*?") else t for t in titles]
        if after == titles:
            return None
        value = "\\".join(after).encode("ascii")
        return self._written(element, value + b" " * (len(value) % 2))

    def _written(self, element: _Element, value: bytes) -> bytes:
        """The element with another value."""
        if element.undefined:
            return self._data[element.at : element.start] + value
        size = 2 if element.vr in _SHORT else 4
        if len(value) >> 8 * size:
            raise RemoteProtocolError("AE titles that get too long")
        head = self._data[element.at : element.start - size]
        return head + len(value).to_bytes(size, "little") + value

    def _sequence(self, element: _Element, part: _Part) -> _Result:
        if part.depth == 0:
            raise RemoteProtocolError(f"sequences nested more than {MAX_DEPTH} deep")
        part = part._replace(depth=part.depth - 1)
        return self._nested(element, part, self._item, _SEQUENCE_DELIMITATION)

    def _item(self, item: _Element, part: _Part) -> _Result:
        if item.tag != _ITEM:
            raise RemoteProtocolError("sequence of something else than items")
        return self._nested(item, part, self.element, _ITEM_DELIMITATION)

    def _nested(
        self,
        element: _Element,
        part: _Part,
        one: Callable[[_Element, _Part], _Result],
        delimiter: int,
    ) -> _Result:
        if element.undefined:
            new, end = self.read(element.start, part, one, delimiter)
        else:
            part = part._replace(end=element.start + element.length)
            new, end = self.read(element.start, part, one, None)
        return None if new is None else self._written(element, new), end

    def _unnamed_sequence(self, element: _Element, part: _Part) -> bytes | None:
        """Items in a value that the data set does not call a sequence, as some receiver might read them.

        Written by one that did not know the VR they are implicit (PS3.5 6.2.2), else they are as the rest.
        """
        found = set()
        for implicit in {True, part.implicit}:
            try:
                new, _ = self._sequence(element, part._replace(implicit=implicit))
            except RemoteProtocolError:
                continue
            found.add(new)
        if len(found) != 1:
            raise RemoteProtocolError("items that can be read in more ways than one, or in none")
        return found.pop()
