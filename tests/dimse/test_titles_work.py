"""How much is done for AE titles in one data set, while all other associations wait."""

from __future__ import annotations

import struct
import time
from typing import Final

import pytest

from fuzz.titles import EXPLICIT, IMPLICIT, Element, Item, after, encode, renamed
from ulproxy.dimse import titles
from ulproxy.dimse.elements import MAX_WORK, Work
from ulproxy.dimse.titles import MAX_DEPTH, RETRIEVE_AE_TITLE, mapped
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.collector import MAX_DATA_SET
from ulproxy.pdu.types import AbortReason

SYNTAXES = pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
STEPS: Final = 0x00400100
RETRIEVE = Element(RETRIEVE_AE_TITLE, "AE", b"WS1 ")
RIGHT = Element(RETRIEVE_AE_TITLE, "AE", b"PACS")  # stays
ID = Element(0x00100020, "LO", b"4711")
NOTHING = Element(0x00100020, "LO", b"")
PRIVATE = Element(0x00091001, "LO", b"")


def instances(number: int, *, undefined: bool) -> Element:
    """Referenced SOP Sequence of a storage commitment report (PS3.4 Table J.3-2)."""
    return Element(
        0x00081199,
        "SQ",
        tuple(
            Item(
                (
                    Element(0x00080054, "AE", b"WS1 "),
                    Element(0x00081150, "UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
                    Element(0x00081155, "UI", b"1.2.826.0.1.3680043.8.498.%032d" % n),
                ),
                undefined,
            )
            for n in range(number)
        ),
        undefined,
    )


@SYNTAXES
@pytest.mark.parametrize("undefined", [False, True])
def test_a_storage_commitment_of_17000_instances_passes(undefined, syntax):
    report = (Element(0x00081195, "UI", b"1.2.3\0"), instances(17_000, undefined=undefined))
    data = encode(report, syntax)
    assert len(data) < MAX_DATA_SET
    assert mapped(data, syntax, renamed) == encode(after(report), syntax)


def spent(monkeypatch: pytest.MonkeyPatch, data: bytes, syntax: str) -> int:
    """What it takes to map the titles in a data set."""
    works: list[Work] = []

    class Counted(Work):
        def __init__(self) -> None:
            super().__init__(1 << 30)
            works.append(self)

    with monkeypatch.context() as patch:
        patch.setattr(titles, "Work", Counted)
        mapped(data, syntax, renamed)
    return (1 << 30) - works[0].left


GUESSED = Element(0x00091001, "UN", (Item((RETRIEVE,)),))
COSTLY = {
    "titles": (RETRIEVE,) * 50,
    "right titles": (RIGHT,) * 50,
    "different titles": tuple(RETRIEVE._replace(value=b"%04d" % n) for n in range(50)),
    "many in one": (RETRIEVE._replace(value=b"A\\" * 500),),
    "a long one": (RETRIEVE._replace(value=b"*" * 5000),),
    "plain elements": (NOTHING,) * 500,
    "private elements": (PRIVATE,) * 50,
    "sequences": (Element(STEPS, "SQ", (), True),) * 50,
    "items": (Element(STEPS, "SQ", (Item(()),) * 50),),
    "items that change": (Element(STEPS, "SQ", (Item((RETRIEVE,)),) * 50),),
    "perhaps items": (GUESSED,) * 5,
    "perhaps items, or none": (RETRIEVE, Element(0x00091001, "UN", b"\xfe\xff\0\xe0" * 100)),
}


@SYNTAXES
@pytest.mark.parametrize("name", COSTLY)
def test_as_much_as_there_is_and_no_more(name, syntax, monkeypatch):
    data = encode(COSTLY[name], syntax)
    need = spent(monkeypatch, data, syntax)
    assert need > 60
    for limit, enough in ((need - 1, False), (need, True), (need + 1, True)):
        monkeypatch.setattr(titles, "Work", lambda limit=limit: Work(limit))
        if enough:
            assert mapped(data, syntax, renamed) == encode(after(COSTLY[name]), syntax)
            continue
        with pytest.raises(RemoteProtocolError) as caught:
            mapped(data, syntax, renamed)
        assert caught.value.reason == AbortReason.NOT_SPECIFIED


@SYNTAXES
def test_a_guess_that_takes_too_much_is_no_answer(syntax, monkeypatch):
    """At whatever place it ends: one reading alone must not pass for the only one."""
    data = encode((GUESSED,), syntax)
    need = spent(monkeypatch, data, syntax)
    for limit in range(need):
        monkeypatch.setattr(titles, "Work", lambda limit=limit: Work(limit))
        with pytest.raises(RemoteProtocolError) as caught:
            mapped(data, syntax, renamed)
        assert caught.value.reason == AbortReason.NOT_SPECIFIED


def test_what_cannot_be_read_is_searched_for_titles(monkeypatch):
    """That too takes its time."""
    data = bytes(8000) + b"?"
    need = spent(monkeypatch, data, IMPLICIT)
    assert need > 1000
    monkeypatch.setattr(titles, "Work", lambda: Work(need))
    assert mapped(data, IMPLICIT, renamed) is data
    monkeypatch.setattr(titles, "Work", lambda: Work(need - 1))
    with pytest.raises(RemoteProtocolError) as caught:
        mapped(data, IMPLICIT, renamed)
    assert caught.value.reason == AbortReason.NOT_SPECIFIED


def filled(one: tuple[Element, ...], syntax: str) -> bytes:
    start, more = encode((RETRIEVE,), syntax), encode(one, syntax)
    return start + more * ((MAX_DATA_SET - len(start)) // len(more))


def nested(vr: str, inner: bytes, syntax: str) -> bytes:
    for _ in range(MAX_DEPTH - 1):
        item = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner
        inner = encode((Element(STEPS, vr, item),), syntax)
    return inner


MUCH = {
    "titles": (RETRIEVE,),
    "right titles": (RIGHT,),
    "plain elements": (NOTHING,),
    "private elements": (PRIVATE,),
    "group lengths": (Element(0x00100000, "UL", bytes(4)),),
    "sequences": (Element(STEPS, "SQ", ()),),
    "items": (Element(STEPS, "SQ", (Item(()),)),),
    "items that change": (Element(STEPS, "SQ", (Item((RETRIEVE,)),)),),
    "perhaps items": (GUESSED,),
    "perhaps items that are none": (Element(0x00091001, "UN", b"\xfe\xff\0\xe0"),),
}


@SYNTAXES
@pytest.mark.parametrize("name", MUCH)
def test_four_mebibytes_of_it(name, syntax):
    """A tenth of a second on a machine of 2022; there is room for slower ones, and for coverage."""
    refused_in_time(filled(MUCH[name], syntax), syntax)


@SYNTAXES
@pytest.mark.parametrize("vr", ["UN", "OB"])
def test_four_mebibytes_in_items_in_items(vr, syntax):
    """Read in two ways at each depth; 16 times as often would be two seconds."""
    refused_in_time(nested(vr, filled((PRIVATE,), syntax)[:-2000], syntax), syntax)


def refused_in_time(data: bytes, syntax: str) -> None:
    assert MAX_DATA_SET - 4000 < len(data) <= MAX_DATA_SET
    started = time.process_time()
    with pytest.raises(RemoteProtocolError) as caught:
        mapped(data, syntax, renamed)
    assert time.process_time() - started < 3
    assert caught.value.reason == AbortReason.NOT_SPECIFIED


@SYNTAXES
@pytest.mark.parametrize("content", [b"\0", b"\x08\0", b"\x08\0\x55\1", b"A\\"])
def test_one_long_value_is_passed_over(content, syntax, monkeypatch):
    value = content * (1_000_000 // len(content))
    elements = (RETRIEVE, Element(0x00091001, "OB", value))
    data = encode(elements, syntax)
    assert spent(monkeypatch, data, syntax) < 100
    assert mapped(data, syntax, renamed) == encode(after(elements), syntax)


def test_a_query_takes_a_thousandth_of_it(monkeypatch):
    data = encode((ID, RETRIEVE, *(ID,) * 30, Element(STEPS, "SQ", (Item((RETRIEVE,)),))), IMPLICIT)
    assert spent(monkeypatch, data, IMPLICIT) < MAX_WORK // 1000
