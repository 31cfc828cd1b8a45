"""AE titles inside small data sets: C-FIND, worklist, MPPS, storage commitment, UPS (PS3.4 C, F, J, K, CC).

A data set names AEs by the titles of its sender's network; its receiver must find those of its own there:
Retrieve AE Title, Station AE Title and every other element of VR AE in PS3.6, in sequence items too. Three
rules. Only titles are written anew, and the lengths around them; all else goes on as it came, in its own
order, but for the retired group lengths of what changed. A data set with titles is read to its end by the
letter of PS3.5 7, or it is refused: whoever reads it otherwise would find the titles missed here. And it
is read in a tenth of a second, or refused: nothing else is relayed meanwhile.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from ulproxy.dimse.dictionary import VRS
from ulproxy.dimse.elements import (
    ITEM,
    ITEM_DELIMITATION,
    SEQUENCE_DELIMITATION,
    SHORT,
    Header,
    Work,
    header,
)
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import IMPLICIT_VR_LITTLE_ENDIAN

# Data sets in one another: the information models need four, a hostile data set has thousands.
MAX_DEPTH: Final = 16

# What the receiver calls an AE, by the title that the sender says.
Mapping = Callable[[str], str]

RETRIEVE_AE_TITLE: Final = 0x00080054
# Of data sets, so without those of command sets and of file meta information.
_TITLES: Final = frozenset(tag for tag, vr in VRS.items() if vr == "AE" and tag > 0x0008_0000)
_SEQUENCES: Final = frozenset(tag for tag, vr in VRS.items() if vr == "SQ")
_TITLE_TAGS: Final = tuple(struct.pack("<HH", t >> 16, t & 0xFFFF) for t in sorted(_TITLES))
_ITEM_TAG: Final = struct.pack("<HH", ITEM >> 16, ITEM & 0xFFFF)
# Neither title nor sequence, item or group length; numbers as the four bytes of a tag make in one go.
_PLAIN: Final = frozenset(
    (tag & 0xFFFF) << 16 | tag >> 16
    for tag, vr in VRS.items()
    if vr not in {"AE", "SQ", "NONE"} and tag & 0xFFFF
)
_IMPLICIT: Final = struct.Struct("<L0sL")
_EXPLICIT: Final = struct.Struct("<L2sH")
_BRIEF: Final = SHORT | {b""}

# What is spent (see `Work`), as measured.
_ON_ELEMENT: Final = 6
_ON_SEQUENCE: Final = 4
_ON_ITEM: Final = 8
_ON_CHANGE: Final = 4
_ON_GUESS: Final = 20
_ON_VALUE: Final = 12
_ON_TITLE: Final = 4
_BYTES_SEARCHED_FOR_1: Final = 8
_BYTES_OF_TITLES_FOR_1: Final = 64
# Elements passed over before they are counted.
_RUN: Final = 4096


def mapped(data: bytes, transfer_syntax: str, mapping: Mapping) -> bytes:
    """The data set with every AE title as its receiver knows it.

    `transfer_syntax` is Implicit or Explicit VR Little Endian. Raises RemoteProtocolError where a data set
    with titles cannot be read to its end, as what is not understood might name anything; and where any
    takes more than `MAX_WORK`.
    """
    work = Work()
    editor = _Editor(data, _Values(mapping, work), work)
    part = _Part(len(data), transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN, MAX_DEPTH - 1)
    try:
        editor.data_set(0, part, delimited=False)
    except RemoteProtocolError:
        if work.left < 0 or editor.may_have_titles(0, len(data)):
            raise
        return data
    return editor.written()


class _Values:
    """The values of titles; each is mapped once, as most data sets have few and have them often."""

    def __init__(self, mapping: Mapping, work: Work) -> None:
        self._mapping = mapping
        self._work = work
        self._known: dict[bytes, bytes | None] = {}

    def mapped(self, value: bytes) -> bytes | None:
        """The value with the receiver's titles; None = it stays."""
        if value not in self._known:
            self._known[value] = self._mapped(value)
        return self._known[value]

    def _mapped(self, value: bytes) -> bytes | None:
        self._work.spend(_ON_VALUE + _ON_TITLE * value.count(b"\\"))
        titles = [title.strip(" \0") for title in value.decode("latin-1").split("\\")]
        # PS3.4 C.2.2.2.4: what matches everything names nobody
        after = [self._mapping(t) if t.strip("*?") else t for t in titles]
        if after == titles:
            return None
        new = "\\".join(after).encode("ascii")
        return new + b" " * (len(new) % 2)


class _Part(NamedTuple):
    """How far, how, and how much deeper to read."""

    end: int
    implicit: bool
    depth: int


# What stands from one place to another instead.
_Edit = tuple[int, int, bytes]


class _Editor:
    """Reads a data set once, from front to back, and notes what changes and how much it grows by that."""

    def __init__(self, data: bytes, values: _Values, work: Work) -> None:
        self._data = data
        self._values = values
        self._work = work
        self._edits: list[_Edit] = []
        self._grown = 0

    def written(self) -> bytes:
        """The data set with the changes; the same object where there are none."""
        if not self._edits:
            return self._data
        pieces: list[bytes] = []
        kept = 0
        for start, end, value in sorted(self._edits):
            pieces += self._data[kept:start], value
            kept = end
        return b"".join([*pieces, self._data[kept:]])

    def may_have_titles(self, start: int, end: int) -> bool:
        """Whether somebody could find a title there, however it is read."""
        self._work.spend((end - start) // _BYTES_SEARCHED_FOR_1)
        return any(self._data.find(tag, start, end) >= 0 for tag in _TITLE_TAGS)

    def data_set(self, at: int, part: _Part, *, delimited: bool) -> int:
        """One element after the other, up to and with the delimiter, or to the end of the part."""
        data, (upto, implicit, _) = self._data, part
        unpack = (_IMPLICIT if implicit else _EXPLICIT).unpack_from
        edits = len(self._edits)
        group_lengths: list[_Edit] = []
        run = 0
        while at < upto:
            if at + 8 <= upto:  # most elements are passed over here
                tag, vr, length = unpack(data, at)
                end = at + 8 + length
                if tag in _PLAIN and vr in _BRIEF and end <= upto and run < _RUN:
                    at = end
                    run += 1
                    continue
            self._work.spend(run + _ON_ELEMENT)
            run = 0
            element = header(data, at, upto, implicit=implicit)
            if delimited and element.tag == ITEM_DELIMITATION and element.length == 0:
                delimited, at = False, element.start
                break
            at = self._element(element, part)
            if element.tag & 0xFFFF == 0 and element.length == 4:
                group_lengths.append((element.at, at, b""))
        self._work.spend(run)
        if delimited:
            raise RemoteProtocolError("data set ends within an item")
        if len(self._edits) > edits:  # PS3.5 7.2: they would be wrong now, and are retired
            self._edits += group_lengths
            self._grown -= sum(end - start for start, end, _ in group_lengths)
        return at

    def _element(self, element: Header, part: _Part) -> int:
        """An element of a data set or of an item."""
        tag, vr, length, _, start = element
        if tag in _TITLES:
            return self._titles(element)
        if vr == b"SQ" or (not vr and tag in _SEQUENCES):
            return self._sequence(element, part)
        if tag >> 16 == 0xFFFE:
            raise RemoteProtocolError("delimiter out of place in a data set")
        if element.undefined:
            if vr not in {b"", b"UN"}:
                raise RemoteProtocolError("undefined length of what is no sequence")
            return self._sequence(element, part._replace(implicit=True))  # PS3.5 6.2.2 note 4
        end = start + length
        unnamed = vr == b"UN" or tag in _SEQUENCES or (not vr and tag not in VRS)
        if unnamed and self._data.startswith(_ITEM_TAG, start, end):
            self._unnamed_sequence(element, part)
        return end

    def _titles(self, element: Header) -> int:
        if element.undefined or element.vr == b"SQ":
            raise RemoteProtocolError("AE title that is a sequence")
        self._work.spend(element.length // _BYTES_OF_TITLES_FOR_1)
        end = element.start + element.length
        new = self._values.mapped(self._data[element.start : end])
        if new is not None:
            self._work.spend(_ON_CHANGE)
            size, length = _length(element, len(new))
            self._edits.append((element.start - size, end, length + new))
            self._grown += len(new) - element.length
        return end

    def _sequence(self, element: Header, part: _Part) -> int:
        if part.depth == 0:
            raise RemoteProtocolError(f"sequences nested more than {MAX_DEPTH} deep")
        self._work.spend(_ON_SEQUENCE)
        depth = part.depth - 1
        if element.undefined:
            return self._items(element.start, part._replace(depth=depth), delimited=True)
        before = self._grown, len(self._edits)
        end = element.start + element.length
        self._items(element.start, _Part(end, part.implicit, depth), delimited=False)
        self._lengthened(element, *before)
        return end

    def _items(self, at: int, part: _Part, *, delimited: bool) -> int:
        """One item after the other, up to and with the delimiter, or to the end of the part."""
        while at < part.end:
            item = header(self._data, at, part.end, implicit=part.implicit)
            self._work.spend(_ON_ITEM)
            if item.tag == ITEM:
                at = self._item(item, part)
            elif delimited and item.tag == SEQUENCE_DELIMITATION and item.length == 0:
                return item.start
            else:
                raise RemoteProtocolError("sequence of something else than items")
        if delimited:
            raise RemoteProtocolError("data set ends within a sequence")
        return at

    def _item(self, item: Header, part: _Part) -> int:
        if item.undefined:
            return self.data_set(item.start, part, delimited=True)
        before = self._grown, len(self._edits)
        end = item.start + item.length
        self.data_set(item.start, _Part(end, part.implicit, part.depth), delimited=False)
        self._lengthened(item, *before)
        return end

    def _lengthened(self, element: Header, grown: int, edits: int) -> None:
        """Notes the length that a sequence or an item has, if anything has changed since then."""
        if len(self._edits) > edits:
            self._work.spend(_ON_CHANGE)
            size, length = _length(element, element.length + self._grown - grown)
            self._edits.append((element.start - size, element.start, length))

    def _unnamed_sequence(self, element: Header, part: _Part) -> None:
        """Items in a value that the data set does not call a sequence, as some receiver might read them.

        Written by one that did not know the VR they are implicit (PS3.5 6.2.2), else they are as the rest.
        """
        outer = self._edits, self._grown
        found: list[tuple[list[_Edit], int]] = []
        for implicit in {True, part.implicit}:
            self._work.spend(_ON_GUESS)
            self._edits, self._grown = [], 0
            try:
                self._sequence(element, part._replace(implicit=implicit))
                found.append((self._edits, self._grown))
            except RemoteProtocolError:
                if self._work.left < 0:
                    raise
        self._edits, self._grown = outer
        if found and found[0] == found[-1]:
            self._edits += found[0][0]
            self._grown += found[0][1]
        elif self.may_have_titles(element.start, element.start + element.length):
            raise RemoteProtocolError("items that can be read in more ways than one, or in none")


def _length(element: Header, length: int) -> tuple[int, bytes]:
    """How many bytes its length has, and another one in them."""
    size = 2 if element.vr in SHORT else 4
    if length >> 8 * size:
        raise RemoteProtocolError("AE titles that get too long")
    return size, length.to_bytes(size, "little")
