"""Fuzzes the mapping of AE titles in data sets: `python -m fuzz.titles --seconds 60`.

The first byte of an input chooses the transfer syntax, the rest is the data set. It is read into a model,
titles are changed there, and that is written out: slowly, and with nothing shared with the module.
"""

from __future__ import annotations

import struct
import sys
from typing import Final, NamedTuple

from pydicom.datadict import dictionary_VR

from fuzz import driver
from ulproxy.dimse.titles import MAX_DEPTH, mapped
from ulproxy.errors import RemoteProtocolError

IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
# Written down once more, so that none can be lost from the module.
TITLES: Final = frozenset(
    {0x00080054, 0x00080055, 0x00081000, 0x00321021, 0x00400001, 0x00400241}
    | {0x0072005E, 0x00741234, 0x00741236, 0x21000070, 0x21000140}
)
_SHORT: Final = b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
_LONG: Final = b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = struct.pack("<HH", 0xFFFE, 0xE000)


class Element(NamedTuple):
    """`value`: bytes, or the items of a sequence; an `undefined` length has a delimiter at its end."""

    tag: int
    vr: str  # not written in implicit
    value: bytes | tuple[Item, ...]
    undefined: bool = False


class Item(NamedTuple):
    elements: tuple[Element, ...]
    undefined: bool = False


def encode(elements: tuple[Element, ...], syntax: str) -> bytes:
    """PS3.5 7."""
    return b"".join(_encoded(element, syntax) for element in elements)


def _encoded(element: Element, syntax: str) -> bytes:
    tag, vr, value, undefined = element
    if isinstance(value, tuple):
        inner = IMPLICIT if vr == "UN" else syntax  # PS3.5 6.2.2
        items = [(encode(item.elements, inner), item.undefined) for item in value]
        value = b"".join(_delimited(0xFFFEE000, data, 0xE00D * end) for data, end in items)
    out = _delimited(tag, value, 0xE0DD * undefined)
    if syntax == IMPLICIT:
        return out
    if vr.encode() in _LONG:
        return out[:4] + vr.encode() + b"\0\0" + out[4:]
    return out[:4] + vr.encode() + out[4:6] + out[8:]


def _delimited(tag: int, value: bytes, delimiter: int) -> bytes:
    length = _UNDEFINED if delimiter else len(value)
    end = struct.pack("<HHL", 0xFFFE, delimiter, 0) if delimiter else b""
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length) + value + end


class UnclearError(Exception):
    """Not read here: items in a value that nothing calls a sequence, reserved bytes that are not 0."""


def parse(data: bytes, syntax: str) -> tuple[Element, ...]:
    """The model of a data set; ValueError or struct.error if it is none."""
    elements, rest = _elements(data, syntax, MAX_DEPTH - 1, ended=False)
    if rest:
        raise ValueError("delimiter at the top")
    return elements


def _elements(
    data: bytes, syntax: str, depth: int, *, ended: bool
) -> tuple[tuple[Element, ...], bytes]:
    """The elements, and what follows their delimiter if that is how they are `ended`."""
    found: list[Element] = []
    while data or ended:
        tag, vr, length, rest = _header(data, syntax)
        if tag == 0xFFFEE00D and ended and not length:
            return tuple(found), rest
        undefined = length == _UNDEFINED
        known = _known(tag)
        value, data = (b"", rest) if undefined else _split(rest, length)
        if tag >> 16 == 0xFFFE or (tag in TITLES and (undefined or vr == "SQ")):
            raise ValueError("out of place")
        if undefined and not vr and known not in ("", "SQ"):
            raise UnclearError
        if (vr or known) == "SQ" or (undefined and vr in ("", "UN")):
            if not depth:
                raise ValueError("deep")
            inner = IMPLICIT if vr == "UN" else syntax
            items, rest = _items(data if undefined else value, inner, depth - 1, ended=undefined)
            data = rest if undefined else data
            found.append(Element(tag, vr, items, undefined))
        elif undefined:
            raise ValueError("no sequence")
        elif value.startswith(_ITEM):
            raise UnclearError
        else:
            found.append(Element(tag, vr, value))
    return tuple(found), b""


def _items(data: bytes, syntax: str, depth: int, *, ended: bool) -> tuple[tuple[Item, ...], bytes]:
    found: list[Item] = []
    while data or ended:
        tag, _, length, rest = _header(data, syntax)
        if tag == 0xFFFEE0DD and ended and not length:
            return tuple(found), rest
        if tag != 0xFFFEE000:
            raise ValueError("no item")
        undefined = length == _UNDEFINED
        value, data = (rest, b"") if undefined else _split(rest, length)
        elements, rest = _elements(value, syntax, depth, ended=undefined)
        data = rest if undefined else data
        found.append(Item(elements, undefined))
    return tuple(found), b""


def _known(tag: int) -> str:
    """The VR in PS3.6, those of groups like 60xx too."""
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return ""


def _header(data: bytes, syntax: str) -> tuple[int, str, int, bytes]:
    group, number, vr, length = struct.unpack_from("<HH2sH", data)
    tag = group << 16 | number
    if syntax == IMPLICIT or group == 0xFFFE:
        return tag, "", *struct.unpack_from("<L", data, 4), data[8:]
    if vr in _LONG:
        if length:
            raise UnclearError
        return tag, vr.decode(), *struct.unpack_from("<L", data, 8), data[12:]
    if vr not in _SHORT:
        raise ValueError("no VR")
    return tag, vr.decode(), length, data[8:]


def _split(data: bytes, length: int) -> tuple[bytes, bytes]:
    if length > len(data):
        raise ValueError("too long")
    return data[:length], data[length:]


def renamed(title: str) -> str:
    """Inside AEs have an alias; whoever is not known is called as the one that speaks."""
    return {"WS1": "HA_WS1", "A": "HA_LONGER_THAN_A", "HA_WS1": "W"}.get(title, "PACS")


def after(elements: tuple[Element, ...]) -> tuple[Element, ...]:
    """With titles renamed, and without group lengths where anything changed (PS3.5 7.2)."""
    new = tuple(_after(element) for element in elements)
    return elements if new == elements else tuple(e for e in new if not _is_group_length(e))


def _is_group_length(element: Element) -> bool:
    return not element.tag & 0xFFFF and isinstance(element.value, bytes) and len(element.value) == 4


def _after(element: Element) -> Element:
    if isinstance(element.value, tuple):
        items = tuple(item._replace(elements=after(item.elements)) for item in element.value)
        return element._replace(value=items)
    if element.tag not in TITLES:
        return element
    before = [title.strip(b" \0").decode("latin-1") for title in element.value.split(b"\\")]
    new = [renamed(title) if title.strip("*?") else title for title in before]
    if new == before:
        return element
    value = "\\".join(new).encode()
    return element._replace(value=value + b" " * (len(value) % 2))


def one_input(data: bytes) -> None:
    """Titles are mapped and nothing else is touched, or RemoteProtocolError says 6: as the model has it."""
    syntax = IMPLICIT if data[:1] < b"\x80" else EXPLICIT
    data = data[1:]
    named = any(struct.pack("<HH", tag >> 16, tag & 0xFFFF) in data for tag in TITLES)
    expected: bytes | None = None
    clear = True
    try:
        model = parse(data, syntax)
        assert encode(model, syntax) == data
        expected = encode(after(model), syntax)
    except UnclearError:
        clear = False
    except (ValueError, struct.error):
        pass
    try:
        same = mapped(data, syntax, lambda title: title)
        new = mapped(data, syntax, renamed)
    except RemoteProtocolError as error:
        if error.reason != 6 or expected is not None:
            raise
        return
    assert same is data
    assert new == expected or not clear or (new is data and not named)


if __name__ == "__main__":
    sys.exit(driver.main(one_input, "titles"))
