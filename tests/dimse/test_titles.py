"""AE titles inside small data sets: what is mapped, what goes on byte for byte, what cannot be read."""

from __future__ import annotations

import io
import struct
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom.dsutils import decode as read_data_set
from pynetdicom.dsutils import encode as written_data_set

from ulproxy.dimse.titles import MAX_DEPTH, RETRIEVE_AE_TITLE, mapped
from ulproxy.errors import RemoteProtocolError

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
SYNTAXES = (IMPLICIT, EXPLICIT)
UNDEFINED = 0xFFFFFFFF
OPEN_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
END_OF_SEQUENCE = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
KNOWN = {"PACS": "HB_PACS", "WS1": "A", "SAME": "SAME"}


def mapping(title: str) -> str:
    return KNOWN.get(title, "OTHER")


# Data sets by hand: a list of (tag, VR, value); the value of a sequence is its items, each a data set.

Elements = list[tuple[int, str, Any]]
STATION, SCHEDULED, PERFORMED = 0x00080055, 0x00400001, 0x00400241
STEPS, REFERENCED, RETRIEVAL = 0x00400100, 0x00081115, 0x0040E021
NAME, CHARSET, PRIVATE = 0x00100010, 0x00080005, 0x00091001


def built(elements: Elements, syntax: str, *, undefined: bool = False) -> bytes:
    return b"".join(one(tag, vr, value, syntax, undefined) for tag, vr, value in elements)


def one(tag: int, vr: str, value: Any, syntax: str, undefined: bool) -> bytes:
    length = None
    if vr == "SQ":
        items = b"".join(item(built(i, syntax, undefined=undefined), undefined) for i in value)
        value = items + (struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) if undefined else b"")
        length = UNDEFINED if undefined else None
    data: bytes = value
    return head(tag, vr, len(data) if length is None else length, syntax) + data


def head(tag: int, vr: str, length: int, syntax: str) -> bytes:
    name = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if syntax == IMPLICIT:
        return name + struct.pack("<I", length)
    if vr in ("SQ", "UN", "OB", "UT"):
        return name + vr.encode() + struct.pack("<HI", 0, length)
    return name + vr.encode() + struct.pack("<H", length)


def item(content: bytes, undefined: bool) -> bytes:
    if undefined:
        end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
        return struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED) + content + end
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


@pytest.fixture(params=SYNTAXES, ids=["implicit", "explicit"])
def syntax(request):
    return request.param


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"PACS", b"HB_PACS "),
        (b"WS1 ", b"A "),
        (b"WS1\0", b"A "),
        (b" WS1", b"A "),
        (b"NOBODY", b"OTHER "),
        (b"PACS\\WS1", b"HB_PACS\\A "),
        (b"PACS \\ WS1\\ ", b"HB_PACS\\A\\"),
        (b"SAME\\WS1", b"SAME\\A"),
        (b"\xff\xfe", b"OTHER "),
        (b"*\\?? \\WS1 ", b"*\\??\\A"),  # these match every title
    ],
)
@pytest.mark.parametrize("tag", [RETRIEVE_AE_TITLE, STATION, SCHEDULED, PERFORMED])
def test_a_title(tag, value, expected, syntax):
    before = [(0x00080020, "DA", b"20240101"), (tag, "AE", value), (0x00400F00, "LO", b"x ")]
    after = [before[0], (tag, "AE", expected), before[2]]
    assert mapped(built(before, syntax), syntax, mapping) == built(after, syntax)


def test_each_value_is_mapped_once(syntax):
    asked = []

    def remember(title):
        asked.append(title)
        return title

    data = built([(RETRIEVE_AE_TITLE, "AE", b"PACS\\\\WS1 "), (STATION, "AE", b"CT")] * 3, syntax)
    assert mapped(data, syntax, remember) == data
    assert asked == ["PACS", "WS1", "CT"]


UNCHANGED: list[Elements] = [
    [],
    [(NAME, "PN", b"DOE^JOHN")],
    [(RETRIEVE_AE_TITLE, "AE", b"")],
    [(RETRIEVE_AE_TITLE, "AE", b"SAME")],
    [(RETRIEVE_AE_TITLE, "AE", b" SAME  "[:6])],  # nothing is tidied up on the way
    [(RETRIEVE_AE_TITLE, "AE", b"SAME\0\0")],
    [(RETRIEVE_AE_TITLE, "AE", b"\\ ")],
    [(RETRIEVE_AE_TITLE, "AE", b"* ")],
    [(0x00080000, "UL", b"\1\0\0\0"), (STATION, "AE", b"SAME")],  # even a wrong group length
    [(STEPS, "SQ", [[(SCHEDULED, "AE", b"SAME")], []])],
    [(STEPS, "SQ", [])],
    [(NAME, "PN", b"\x08\0\x54\0"), (RETRIEVE_AE_TITLE, "AE", b"SAME")],
]


@pytest.mark.parametrize("elements", UNCHANGED)
@pytest.mark.parametrize("undefined", [False, True])
def test_where_nothing_changes_every_byte_stays(elements, undefined, syntax):
    data = built(elements, syntax, undefined=undefined)
    assert mapped(data, syntax, mapping) == data


def test_what_has_no_title_is_not_even_read(syntax):
    data = b"anything at all"
    assert mapped(data, syntax, mapping) is data


def nested(title: bytes) -> Elements:
    return [
        (CHARSET, "CS", b"ISO_IR 192"),
        (RETRIEVE_AE_TITLE, "AE", title),
        (NAME, "PN", "Müller^Jörg ".encode()),
        (REFERENCED, "SQ", [[(0x0020000E, "UI", b"1.2\0")], [(RETRIEVE_AE_TITLE, "AE", title)]]),
        (
            STEPS,
            "SQ",
            [[(SCHEDULED, "AE", b"SAME"), (RETRIEVAL, "SQ", [[(STATION, "AE", title)]])]],
        ),
        (0x00404018, "SQ", []),
    ]


@pytest.mark.parametrize("undefined", [False, True])
def test_titles_in_sequence_items(undefined, syntax):
    """Only they and the lengths around them change; a sequence keeps its kind of length."""
    data = built(nested(b"PACS"), syntax, undefined=undefined)
    expected = built(nested(b"HB_PACS "), syntax, undefined=undefined)
    assert mapped(data, syntax, mapping) == expected


def test_group_lengths_are_left_out_where_something_changes(syntax):
    """PS3.5 7.2: retired, and it would be wrong."""
    data = built([(0x00080000, "UL", b"\x0c\0\0\0"), (STATION, "AE", b"PACS")], syntax)
    assert mapped(data, syntax, mapping) == built([(STATION, "AE", b"HB_PACS ")], syntax)


@pytest.mark.parametrize("vr", ["UN", "LO", "SH"])
def test_a_title_of_another_vr_is_one(vr):
    data = built([(STATION, vr, b"PACS")], EXPLICIT)
    assert mapped(data, EXPLICIT, mapping) == built([(STATION, vr, b"HB_PACS ")], EXPLICIT)


def test_a_sequence_of_unknown_vr():
    """PS3.5 6.2.2: what is in it is implicit; the dictionary knows that it is a sequence."""
    inner = item(built([(STATION, "AE", b"PACS")], IMPLICIT), undefined=False)
    data = built([(STEPS, "UN", inner)], EXPLICIT)
    result = mapped(data, EXPLICIT, mapping)
    assert b"PACS" not in result.replace(b"HB_PACS ", b"")
    (step,) = read_data_set(io.BytesIO(result), False, True).ScheduledProcedureStepSequence
    assert step.StationAETitle == "HB_PACS"


def test_private_elements_stay(syntax):
    vr = "UN" if syntax == EXPLICIT else ""
    before = [(STATION, "AE", b"PACS"), (PRIVATE, vr, b"whatever")]
    after = [(STATION, "AE", b"HB_PACS "), (PRIVATE, vr, b"whatever")]
    assert mapped(built(before, syntax), syntax, mapping) == built(after, syntax)


@pytest.mark.parametrize(
    "charset", [b"ISO_IR 100", b"", b"nonsense", b"DOE^JOHN", b"\\ISO 2022 IR 87 "]
)
def test_a_character_set_is_nobodys_business(charset, syntax, recwarn):
    """Values are not decoded; pydicom would warn of them on standard error, patients and all."""
    before = [(CHARSET, "CS", charset), (STATION, "AE", b"PACS"), (NAME, "PN", b"M\xfcller")]
    charset_item = [(CHARSET, "CS", charset), (STATION, "AE", b"PACS")]
    before.append((STEPS, "SQ", [charset_item]))
    after = [before[0], (STATION, "AE", b"HB_PACS "), before[2]]
    after.append((STEPS, "SQ", [[charset_item[0], (STATION, "AE", b"HB_PACS ")]]))
    assert mapped(built(before, syntax), syntax, mapping) == built(after, syntax)
    assert not recwarn.list


@pytest.mark.parametrize(("said", "spoken"), [SYNTAXES, SYNTAXES[::-1]])
def test_the_other_syntax_than_was_agreed(said, spoken, recwarn):
    """Some devices do; either it is understood and goes on in the right one, or it is refused."""
    elements = [(RETRIEVE_AE_TITLE, "AE", b"PACS"), (0x0020000D, "UI", b"1.2.3\0")]
    with suppress(RemoteProtocolError):
        result = mapped(built(elements, spoken), said, mapping)
        assert result == built([(RETRIEVE_AE_TITLE, "AE", b"HB_PACS "), elements[1]], said)
    assert not recwarn.list


# What cannot be read


def refused(data: bytes, syntax: str) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        mapped(data, syntax, mapping)
    text = str(caught.value)
    assert "PACS" not in text
    return text


def in_items(depth: int) -> Elements:
    elements: Elements = [(STATION, "AE", b"PACS")]
    for _ in range(depth):
        elements = [(STEPS, "SQ", [elements])]
    return elements


@pytest.mark.parametrize("undefined", [False, True])
def test_how_deep_sequences_may_be(undefined, syntax):
    """MAX_DEPTH data sets in one another: the outermost and the items."""
    for depth in (MAX_DEPTH - 2, MAX_DEPTH - 1):
        result = mapped(built(in_items(depth), syntax, undefined=undefined), syntax, mapping)
        assert b"HB_PACS " in result
    text = refused(built(in_items(MAX_DEPTH), syntax, undefined=undefined), syntax)
    assert text == f"sequences nested more than {MAX_DEPTH} deep"


def test_thousands_of_sequences_in_one_another(syntax):
    start = head(STEPS, "SQ", UNDEFINED, syntax) + struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
    refused(start * 3000 + built([(STATION, "AE", b"PACS")], syntax), syntax)


@pytest.mark.parametrize("undefined", [False, True])
def test_truncated_at_every_byte(undefined, syntax):
    """Within an element it is refused; in between, it is another data set, whose titles are mapped too."""
    data = built(nested(b"PACS"), syntax, undefined=undefined)
    whole = {
        len(built(nested(b"PACS")[:n], syntax, undefined=undefined))
        for n in range(len(nested(b"PACS")))
    }
    for end in range(len(data)):
        if end in whole:
            cut = mapped(data[:end], syntax, mapping)
            assert b"PACS" not in cut.replace(b"HB_PACS ", b"")
        elif head(RETRIEVE_AE_TITLE, "AE", 4, syntax)[:4] in data[:end]:
            refused(data[:end], syntax)


def test_longer_than_what_follows(syntax):
    data = built([(STATION, "AE", b"PACS")], syntax)
    refused(data.replace(b"\4\0", b"\6\0"), syntax)


def test_an_end_before_the_end(syntax):
    """What stands behind an item's end that belongs to no item would not be looked at."""
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    title = built([(STATION, "AE", b"PACS")], syntax)
    refused(end + title, syntax)


def test_a_title_that_is_a_sequence():
    item_of_it = item(built([(STATION, "AE", b"PACS")], IMPLICIT), undefined=False)
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    refused(head(STATION, "SQ", UNDEFINED, EXPLICIT) + item_of_it + end, EXPLICIT)
    refused(built([(STATION, "SQ", [[(STATION, "AE", b"PACS")]])], EXPLICIT), EXPLICIT)
    refused(head(STATION, "", UNDEFINED, IMPLICIT) + item_of_it + end, IMPLICIT)


def test_what_stands_behind_the_end_of_a_sequence_within_it(syntax):
    inner = END_OF_SEQUENCE + item(built([(STATION, "AE", b"PACS")], syntax), undefined=False)
    refused(head(STEPS, "SQ", len(inner), syntax) + inner, syntax)


@pytest.mark.parametrize("start", [b"\x09\0\1\x10\xff\xff\xff\xff" + OPEN_ITEM, OPEN_ITEM])
def test_items_that_never_end(start):
    """pydicom looks for each end anew: a minute for a mebibyte, sixteen for the longest data set."""
    title, much = built([(STATION, "AE", b"PACS")], IMPLICIT), start * (2**20 // len(start))
    started = time.process_time()
    refused(title + head(STEPS, "SQ", len(much), IMPLICIT) + much, IMPLICIT)
    assert time.process_time() - started < 10


@pytest.mark.parametrize("tag", [PRIVATE, 0x00081999])
def test_items_of_an_unknown_sequence(tag):
    """A receiver may know it, or look: without a VR they can only be what they look like."""
    before, after = ([(tag, "SQ", [[(STATION, "AE", title)]])] for title in (b"PACS", b"HB_PACS "))
    assert mapped(built(before, IMPLICIT), IMPLICIT, mapping) == built(after, IMPLICIT)


def test_a_length_that_looks_like_a_vr():
    """pydicom guessed an OB that had the title in it, as no receiver would have."""
    value = struct.pack("<I", 0x424F + 8) + bytes(0x424F - 4)
    before, after = ([(0x00080001, "", value), (STATION, "AE", t)] for t in (b"PACS", b"HB_PACS "))
    assert mapped(built(before, IMPLICIT), IMPLICIT, mapping) == built(after, IMPLICIT)


def test_titles_without_an_end_or_with_too_long_a_one():
    title, items = built([(STATION, "AE", b"PACS")], EXPLICIT), item(b"PACS", undefined=False)
    refused(title + head(STEPS, "UT", UNDEFINED, EXPLICIT), EXPLICIT)
    refused(title + head(STEPS, "UN", UNDEFINED, EXPLICIT), EXPLICIT)
    refused(built([(STATION, "AE", b"PACS\\" * 9000)], EXPLICIT), EXPLICIT)
    refused(built([(PRIVATE, "UN", items + title[:4])], EXPLICIT), EXPLICIT)


# At large

titles = st.sampled_from([b"PACS", b"WS1 ", b"SAME", b"PACS\\WS1", b"ELSEWHERE ", b""])


def elements_of(children: st.SearchStrategy[Elements]) -> st.SearchStrategy[Elements]:
    title = st.tuples(
        st.sampled_from([RETRIEVE_AE_TITLE, STATION, SCHEDULED]), st.just("AE"), titles
    )
    text = st.tuples(st.sampled_from([NAME, 0x00100020]), st.just("LO"), st.just(b"A^B "))
    sequence = st.tuples(
        st.sampled_from([STEPS, REFERENCED]), st.just("SQ"), st.lists(children, max_size=2)
    )
    elements = st.lists(title | text | sequence, max_size=4, unique_by=lambda one: one[0])
    return elements.map(lambda found: sorted(found, key=lambda one: one[0]))


trees = st.recursive(st.just([]), elements_of, max_leaves=6).flatmap(
    lambda _: elements_of(st.recursive(st.just([]), elements_of, max_leaves=6))
)


def translated(elements: Elements) -> Elements:
    after: Elements = []
    for tag, vr, value in elements:
        if vr == "SQ":
            after.append((tag, vr, [translated(one) for one in value]))
        elif vr == "AE" and value:
            old = [part.strip().decode() for part in value.split(b"\\")]
            new = "\\".join(mapping(part) for part in old).encode()
            after.append(
                (tag, vr, value if old == new.decode().split("\\") else new + b" " * (len(new) % 2))
            )
        else:
            after.append((tag, vr, value))
    return after


@given(trees, st.sampled_from(SYNTAXES), st.booleans())
def test_any_data_set(elements, syntax, undefined):
    data = built(elements, syntax, undefined=undefined)
    expected = built(translated(elements), syntax, undefined=undefined)
    assert mapped(data, syntax, mapping) == expected


@given(trees, st.sampled_from(SYNTAXES), st.booleans(), st.data())
def test_damaged(elements, syntax, undefined, draw):
    """Whatever comes: a data set, or RemoteProtocolError."""
    data = bytearray(built([(STATION, "AE", b"PACS"), *elements], syntax, undefined=undefined))
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(data)))
        data[at : at + draw.draw(st.integers(0, 4))] = draw.draw(st.binary(max_size=4))
    with suppress(RemoteProtocolError):
        assert isinstance(mapped(bytes(data), syntax, mapping), bytes)


def test_pydicom_reads_what_was_mapped(syntax):
    """A storage commitment report and a worklist item as they are in practice."""
    step = Dataset()
    step.ScheduledStationAETitle = ["PACS", "WS1"]
    step.ScheduledProcedureStepDescription = "Schädel"
    whole = Dataset()
    whole.SpecificCharacterSet = "ISO_IR 100"
    whole.RetrieveAETitle = "PACS"
    whole.PatientName = "Müller^Jörg"
    whole.ScheduledProcedureStepSequence = Sequence([step])
    implicit = syntax == IMPLICIT
    data = written_data_set(whole, implicit, True)
    assert data is not None
    again = read_data_set(io.BytesIO(mapped(data, syntax, mapping)), implicit, True)
    assert again.RetrieveAETitle == "HB_PACS"
    assert str(again.PatientName) == "Müller^Jörg"
    (step,) = again.ScheduledProcedureStepSequence
    assert list(step.ScheduledStationAETitle) == ["HB_PACS", "A"]
    assert step.ScheduledProcedureStepDescription == "Schädel"
