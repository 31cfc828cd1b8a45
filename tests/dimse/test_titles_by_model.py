"""AE titles inside data sets, against the model of fuzz/titles.py: all the rest survives byte for byte."""

from __future__ import annotations

import struct
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom._dicom_dict import DicomDictionary
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from fuzz.titles import EXPLICIT as EX
from fuzz.titles import IMPLICIT as IM
from fuzz.titles import TITLES, Element, Item, after, encode, one_input, parse, renamed
from ulproxy.dimse.titles import MAX_DEPTH, RETRIEVE_AE_TITLE, mapped
from ulproxy.errors import RemoteProtocolError

STEPS, STATION, REFERENCED, PRIVATE = 0x00400100, 0x00400001, 0x00081199, 0x00091001
SYNTAXES = pytest.mark.parametrize("syntax", [IM, EX])


def sequence(tag: int, *elements: Element, vr: str = "SQ") -> Element:
    return Element(tag, vr, (Item(elements),))


RETRIEVE = Element(RETRIEVE_AE_TITLE, "AE", b"WS1 ")
RENAMED = Element(RETRIEVE_AE_TITLE, "AE", b"HA_WS1")
RIGHT = Element(RETRIEVE_AE_TITLE, "AE", b"PACS")  # stays
ID = Element(0x00100020, "LO", b"4711")


def check(*elements: Element, syntax: str) -> None:
    data, expected = encode(elements, syntax), encode(after(elements), syntax)
    new = mapped(data, syntax, renamed)
    assert new == expected
    assert new is data or new != data


def test_the_titles_are_those_of_ps3_6():
    of_ps3_6 = {tag for tag, (vr, *_) in DicomDictionary.items() if vr == "AE"}
    assert {tag for tag in of_ps3_6 if tag >> 16 > 4} == TITLES


@SYNTAXES
@pytest.mark.parametrize("tag", sorted(TITLES))
def test_every_title_is_mapped_at_the_top_and_in_items(tag, syntax):
    title = Element(tag, "AE", b"WS1 ")
    elements = (title, sequence(STEPS, title, ID, sequence(0x0040A730, title)))
    new = mapped(encode(elements, syntax), syntax, renamed)
    assert new == encode(after(elements), syntax)
    assert new.count(b"HA_WS1") == 3


@SYNTAXES
@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (b"WS1 ", b"HA_WS1"),  # grows
        (b"HA_WS1", b"W "),  # shrinks
        (b"A ", b"HA_LONGER_THAN_A"),
        (b"\0WS1\0 \0", b"HA_WS1"),
        (b"WS1", b"HA_WS1"),  # odd, as PS3.5 7.1.1 forbids
        (b" PACS  ", b" PACS  "),  # as it came, padding and all
        (b"", b""),
        (b"    ", b"    "),
        (b"\\\\", b"\\\\"),
        (b"WS1\\A", b"HA_WS1\\HA_LONGER_THAN_A "),
        (b"PACS\\ WS1 \\\\A", b"PACS\\HA_WS1\\\\HA_LONGER_THAN_A "),
        (b"NOT IN THE FILE\xff\x80", b"PACS"),
        (b"WS1\0WS1 ", b"PACS"),
        # PS3.4 C.2.2.2.4: what matches every title is none, and must not become the asker's own
        (b"*", b"*"),
        (b"* \\?*", b"* \\?*"),
        (b"*\\WS1 ", b"*\\HA_WS1"),
    ],
)
def test_values(before, expected, syntax):
    old, new = Element(STATION, "AE", before), Element(STATION, "AE", expected)
    assert mapped(encode((ID, old), syntax), syntax, renamed) == encode((ID, new), syntax)
    check(sequence(STEPS, old, ID), syntax=syntax)


@pytest.mark.parametrize("vr", ["LO", "UN", "OB", "UT", "CS"])
def test_a_title_is_one_whatever_its_vr(vr):
    title = RETRIEVE._replace(vr=vr)
    check(title, sequence(STEPS, title), ID, syntax=EX)


@SYNTAXES
@pytest.mark.parametrize("titles", [(RIGHT,), ()])
def test_what_names_nobody_or_names_right_is_the_same_object(titles, syntax):
    data = encode((*titles, ID, sequence(STEPS, ID, *titles)), syntax)
    assert mapped(data, syntax, renamed) is data


@SYNTAXES
@pytest.mark.parametrize("depth", [1, 2, MAX_DEPTH - 1])
@pytest.mark.parametrize("lengths", [(False, False), (False, True), (True, False), (True, True)])
def test_sequences_in_sequences(depth, lengths, syntax):
    element = RETRIEVE
    for _ in range(depth):
        items = Item((element, ID), lengths[1]), Item((), lengths[1]), Item((ID,))
        element = Element(REFERENCED, "SQ", items, lengths[0])
    check(element, sequence(STEPS, ID), syntax=syntax)


@SYNTAXES
@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, 5000])
def test_how_deep(depth, syntax):
    """Deeper than Python's own stack, too."""
    empty = encode((Element(STEPS, "SQ", (Item((), True),), True),), syntax)
    data = empty[:-16] * depth + encode((RETRIEVE,), syntax) + empty[-16:] * depth
    if depth < MAX_DEPTH:
        assert b"HA_WS1" in mapped(data, syntax, renamed)
        return
    with pytest.raises(RemoteProtocolError):
        mapped(data, syntax, renamed)


NESTED = (
    Element(STEPS, "SQ", ()),
    Element(STEPS, "SQ", (), True),
    Element(STEPS, "SQ", (Item(()), Item((), True), Item((ID,)))),
    Element(0x00400260, "SQ", (Item((Element(0x00080100, "SH", b"4711"),)),), True),
)
ODD = (
    Element(0x00080016, "UI", b"1.2.3.\xff"),  # no UID, and odd
    Element(0x00100010, "PN", b""),
    Element(0x00200013, "IS", b"a number"),
    Element(0x00280010, "US", b"\1\2\3"),
    Element(0x00280106, "US", b"\1\0"),  # US or SS
    Element(0x00281101, "US", b""),
    Element(0x00400999, "UN", b""),  # unknown
    Element(0x00090010, "LO", b"SOMEBODY"),
    Element(PRIVATE, "LO", b"WS1 "),
    Element(0x00091002, "UN", b"WS1 "),
    Element(0x00091003, "OB", bytes(range(256)) * 300),  # 75 KiB
    Element(0x00091004, "OB", b"\xfe\xff\0\xe0"),  # starts like an item
    Element(0x7FE00010, "OW", bytes(70_000)),
    Element(0x00400310, "ST", b"line\r\n \x0c\ttab "),
)


@SYNTAXES
@pytest.mark.parametrize("element", [*NESTED, *ODD])
def test_the_rest_survives(element, syntax):
    check(RIGHT, element, syntax=syntax)
    check(RETRIEVE, element, syntax=syntax)
    check(sequence(REFERENCED, RETRIEVE, element), element, syntax=syntax)


CHARACTER_SETS = {
    b"": b"M\xfcller",
    b"ISO_IR 100": "Müller^Jörg".encode("latin-1"),
    b"ISO_IR 192": "山田^太郎=やまだ^たろう".encode(),
    b"ISO_IR 192  ": b"padded",
    b"GB18030 ": "王^小东".encode("gb18030"),
    b"\\ISO 2022 IR 87": b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
    b"ISO 2022 IR 13\\ISO 2022 IR 87": b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J",
    b"\\ISO 2022 IR 149": b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
    b"ISO 2022 IR 87": b"\x1b$B\\\\\x1b(B",  # backslashes within two byte characters
    b"DOE^JANE ": b"\xc3\x28",  # no character set at all
    b"ISO_IR 192\\GB18030 ": b"\xe5\xb1",
    b"\x1b\\\xff\\": b"\\\\",
}


@SYNTAXES
@pytest.mark.parametrize("character_set", CHARACTER_SETS)
def test_text_is_never_decoded(character_set, syntax):
    text, name = CHARACTER_SETS[character_set], Element(0x00080005, "CS", character_set)
    texts = [Element(0x00100010, "PN", text), Element(0x00104000, "LT", text)]
    texts.append(Element(0x0040A160, "UT", text))
    check(name, RETRIEVE, *texts, sequence(0x00400275, *texts), syntax=syntax)
    check(name, sequence(0x00400275, RETRIEVE, *texts), syntax=syntax)
    check(RETRIEVE, sequence(0x00400275, name, *texts), syntax=syntax)
    check(sequence(0x00400275, name, RETRIEVE, *texts), syntax=syntax)


def test_group_lengths_go_where_something_changes():
    """PS3.5 7.2: they are retired, and would be wrong."""
    one, other = (Element(tag, "UL", bytes(4)) for tag in (0x00080000, 0x00400000))
    check(one, RIGHT, sequence(STEPS, other, ID), syntax=IM)
    for before, expected in [
        ((one, RETRIEVE, sequence(STEPS, other, ID)), (RENAMED, sequence(STEPS, other, ID))),
        ((one, sequence(STEPS, other, RETRIEVE)), (sequence(STEPS, RENAMED),)),
    ]:
        assert mapped(encode(before, IM), IM, renamed) == encode(expected, IM)


@SYNTAXES
@pytest.mark.parametrize(
    "elements", [(RETRIEVE, RIGHT), (RIGHT, RETRIEVE), (ID, RETRIEVE, ID), (RETRIEVE, *NESTED)]
)
def test_twice_and_out_of_order(elements, syntax):
    """Whichever of two a receiver takes, it finds no title that it should not know."""
    check(*elements, syntax=syntax)
    check(sequence(STEPS, *elements), RIGHT, syntax=syntax)
    check(sequence(STEPS, *elements), sequence(STEPS, RIGHT), syntax=syntax)


UNNAMED = [
    (IM, sequence(PRIVATE, ID, RETRIEVE)),
    (IM, sequence(0x00081999, ID, RETRIEVE)),  # of a later PS3.6
    (IM, Element(PRIVATE, "", (Item((RETRIEVE,), True), Item((ID,))), True)),
    (IM, sequence(PRIVATE, sequence(PRIVATE, RETRIEVE), ID)),
    (EX, sequence(PRIVATE, ID, RETRIEVE)),
    (EX, sequence(PRIVATE, ID, RETRIEVE, vr="UN")),
    (EX, sequence(STEPS, ID, RETRIEVE, vr="UN")),
    (EX, Element(PRIVATE, "UN", (Item((RETRIEVE,), True), Item((ID,))), True)),
    (EX, Element(STEPS, "UN", (Item((RETRIEVE,)), Item((ID,))), True)),
    (EX, sequence(STEPS, sequence(PRIVATE, RETRIEVE, vr="UN"), vr="UN")),
    (EX, sequence(STEPS, ID, RETRIEVE, vr="OB")),
]


@pytest.mark.parametrize(("syntax", "element"), UNNAMED)
def test_items_in_what_is_not_called_a_sequence(syntax, element):
    """Some receiver knows better, by its own dictionary or because it looks."""
    check(element, ID, syntax=syntax)
    check(sequence(REFERENCED, element), RETRIEVE, syntax=syntax)


def test_explicit_items_in_an_unknown_value():
    """PS3.5 6.2.2 has them implicit; not everybody who copies a private sequence knows."""
    before, expected = (encode((sequence(STEPS, ID, t),), EX) for t in (RETRIEVE, RENAMED))
    assert mapped(before.replace(b"SQ", b"UN"), EX, renamed) == expected.replace(b"SQ", b"UN")


@pytest.mark.parametrize("more", [(RETRIEVE,), (sequence(STEPS, RETRIEVE), ID)])
def test_a_first_value_that_makes_implicit_look_explicit(more):
    """A length of 4142H is `BA` where the VR would be, and pydicom guesses by that."""
    check(Element(0x00080016, "UI", bytes(0x4142)), *more, syntax=IM)


def im(*elements: Element) -> bytes:
    return encode(elements, IM)


def ex(*elements: Element) -> bytes:
    return encode(elements, EX)


def lying(data: bytes, *more: int) -> bytes:
    """`STEP` and alike with other lengths of the sequence, of its item, and of the element in it."""
    for at, by in zip((4, 12, 20), more, strict=False):
        (length,) = struct.unpack_from("<L", data, at)
        data = data[:at] + struct.pack("<L", length + by) + data[at + 4 :]
    return data


STEP = im(sequence(STEPS, RETRIEVE))
OPEN = im(Element(STEPS, "SQ", (Item((RETRIEVE,), True),), True))
END_OF_ITEM, END_OF_SEQUENCE = OPEN[-16:-8], OPEN[-8:]
BROKEN = {
    "cut in a title": (IM, im(ID, RETRIEVE)[:-1]),
    "cut in a header": (IM, im(RETRIEVE, ID)[:-5]),
    "cut in a long header": (EX, ex(RETRIEVE, NESTED[0])[:-1]),
    "stray bytes": (IM, im(RETRIEVE) + b"\0\0\0"),
    "stray bytes, nothing to change": (EX, ex(RIGHT) + bytes(4)),
    "element longer than its item": (IM, lying(STEP, 0, 0, 12) + im(RIGHT)),
    "item longer than its sequence": (IM, lying(STEP, 0, 12, 0) + im(RIGHT)),
    "sequence that ends within an item": (IM, lying(STEP, -2)),
    "item that ends within an element": (IM, lying(STEP, 0, -2)),
    "item with stray bytes": (IM, lying(STEP, 6, 6) + bytes(6)),
    "item without its end": (IM, OPEN[:-16]),
    "sequence without its end": (IM, OPEN[:-8]),
    "end of an item that has a length": (IM, OPEN[:-12] + b"\4" + bytes(7) + OPEN[-8:]),
    "end of an item at the top": (IM, im(ID) + END_OF_ITEM + im(RETRIEVE)),
    "end of an item at the end": (IM, im(RETRIEVE) + END_OF_ITEM),
    "end of a sequence at the end": (EX, ex(RETRIEVE) + END_OF_SEQUENCE),
    "end of a sequence before an item": (IM, im(Element(STEPS, "SQ", END_OF_SEQUENCE + STEP[8:]))),
    "end of an item before an element": (IM, lying(STEP[:16], 8, 8) + END_OF_ITEM + STEP[16:]),
    "item at the top": (IM, STEP[8:]),
    "sequence of elements": (IM, im(Element(STEPS, "SQ", im(RETRIEVE)))),
    "title that is a sequence": (EX, ex(sequence(RETRIEVE_AE_TITLE, RIGHT))),
    "title without a length": (IM, im(RETRIEVE._replace(undefined=True))),
    "text without a length": (EX, ex(RETRIEVE, ID._replace(vr="UT", undefined=True))),
    "fragments": (EX, ex(RETRIEVE, Element(0x7FE00010, "OB", (Item(()), Item(())), True))),
    "explicit in implicit": (IM, ex(RETRIEVE)),
    "implicit in explicit": (EX, im(RETRIEVE)),
    "implicit items in explicit": (EX, ex(Element(STEPS, "SQ", STEP[8:]))),
    "no VR of PS3.5": (EX, ex(RETRIEVE, ID._replace(vr="ZZ"))),
    "broken items in an unknown value": (EX, ex(Element(PRIVATE, "UN", STEP[8:-2]))),
    "broken items in a private value": (IM, im(Element(PRIVATE, "", STEP[8:-2]))),
    "titles that get longer than 64 KiB": (EX, ex(RETRIEVE._replace(value=b"A\\" * 20_000))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_refused(name):
    syntax, data = BROKEN[name]
    with pytest.raises(RemoteProtocolError) as caught:
        mapped(data, syntax, renamed)
    assert caught.value.reason == 6
    assert not {"WS1", "4711"} & set(str(caught.value).split())


@pytest.mark.parametrize("data", [b"", b"garbage", im(ID)[:-1], OPEN[8:18]])
def test_without_titles_nothing_is_read(data):
    assert mapped(data, IM, renamed) is data


tags = st.sampled_from([ID.tag, STATION, RETRIEVE.tag, PRIVATE, 0x00400999, 0x00080000, 0x7FE00010])
values = st.sampled_from([b"", b"WS1 ", b"A\\WS1 ", b"PACS"]) | st.binary(max_size=9)
elements = st.builds(
    Element, tags, st.sampled_from(["LO", "AE", "UN", "OB", "US"]), values, st.just(False)
)


def nested(inner):
    items = st.lists(st.builds(Item, inner, st.booleans()), max_size=3).map(tuple)
    tags = st.sampled_from([STEPS, REFERENCED])
    sequences = st.builds(Element, tags, st.just("SQ"), items, st.booleans())
    return st.lists(elements | sequences, max_size=4).map(tuple)


data_sets = st.recursive(st.lists(elements, max_size=4).map(tuple), nested, max_leaves=12)


@given(data_sets, st.sampled_from([IM, EX]))
def test_any_data_set(elements, syntax):
    check(*elements, syntax=syntax)


@given(data_sets, st.booleans(), st.tuples(*[st.integers(0, 200)] * 2), st.binary(max_size=9))
def test_any_damage(elements, implicit, cut, data):
    whole = encode(elements, IM if implicit else EX)
    one_input(bytes([255 * (not implicit)]) + whole[: min(cut)] + data + whole[max(cut) :])


MUCH = [
    (IM, im(RETRIEVE)),
    (IM, im(ID._replace(value=b""))),
    (IM, im(sequence(PRIVATE, RETRIEVE))),
    (EX, ex(sequence(PRIVATE, RETRIEVE, vr="UN"))),
    (EX, ex(Element(STEPS, "UN", (Item((), True),), True))[:-16]),
    (IM, im(Element(PRIVATE, "", (Item((), True),), True))[:-16]),
    (IM, b"\xfe\xff\0\xe0\xff\xff\xff\xff"),
    (IM, bytes(range(256))),
]


@pytest.mark.parametrize(("syntax", "one"), MUCH)
def test_a_mebibyte_of_it(syntax, one):
    """Less than a second in linear time; an hour in quadratic."""
    much = one * (2**20 // len(one))
    started = time.process_time()
    for tag in (RETRIEVE.tag, REFERENCED, PRIVATE, STEPS):
        one_of = encode((RETRIEVE, Element(tag, "OB" if tag == STEPS else "UN", much)), syntax)
        try:
            mapped(one_of, syntax, renamed)
        except RemoteProtocolError:
            continue
    assert time.process_time() - started < 20


def test_nothing_of_a_data_set_is_printed():
    """pydicom warns of values and of unknown tags, on standard error where nobody else listens."""
    program = (
        "from tests.dimse.test_titles_by_model import *\n"
        "for name in CHARACTER_SETS:\n"
        "  for syntax, more in [(syntax, more) for syntax in (IM, EX) for more in ODD]:\n"
        "    named = Element(0x00080005, 'CS', name), RETRIEVE, more\n"
        "    mapped(encode(named, syntax), syntax, renamed)\n"
        "    mapped(encode((sequence(STEPS, *named),), syntax), syntax, renamed)\n"
    )
    command = [sys.executable, "-W", "always", "-c", program]
    ran = subprocess.run(command, capture_output=True, check=True)
    assert ran.stdout + ran.stderr == b""


@SYNTAXES
def test_what_pydicom_writes(syntax):
    step, item = Dataset(), Dataset()
    step.ScheduledStationAETitle = ["WS1", "A"]
    step.ScheduledPerformingPhysicianName = "Müller^Jörg"
    item.SpecificCharacterSet, item.PatientName = "ISO_IR 192", "山田^太郎"
    item.RetrieveAETitle = "WS1"
    item.ScheduledProcedureStepSequence = [step, Dataset()]
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = syntax == IM, True
    write_dataset(file, item)
    model = parse(file.getvalue(), syntax)
    assert encode(model, syntax) == file.getvalue()
    assert after(model) != model
    check(*model, syntax=syntax)
