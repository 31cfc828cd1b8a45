"""Titles, names, services and lists of them, each limit from both sides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulproxy.dimse.services import Service
from ulproxy.policy import values
from ulproxy.policy.values import Omittable


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("WS1", "WS1"),
        ("  WS1  ", "WS1"),
        ("a", "a"),
        ("A" * 15, "A" * 15),
        ("A" * 16, "A" * 16),
        (" " * 9 + "A" * 16 + " " * 9, "A" * 16),
        ("CT 1_a-b", "CT 1_a-b"),
        ("a.b.c", "a.b.c"),
        ("a. .b", "a. .b"),
    ],
)
def test_titles(text, title):
    assert values.normal_title(text) == title


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (" " * 16, "is empty"),
        ("A" * 17, "has 17 characters"),
        ("KÖLN", 'has "Ö" in it'),
        ("WS\uff11", 'has "\uff11" in it'),
        ("A\\B", 'has "\\\\" in it'),
        ("A\tB", 'has "\\t" in it'),
        ("WS1\n", 'has "\\n" in it'),
        ("A*", 'has "*" in it'),
        ("$(ls)", 'has "$" in it'),
        (".A", "a dot that is first"),
        ("A.", "a dot that is first"),
        ("A..B", "a dot that is first"),
        (".", "a dot that is first"),
    ],
)
def test_no_titles(text, said):
    with pytest.raises(ValueError, match=f"{re.escape(said)}.*; use 1 to 16 of A-Z"):
        values.normal_title(text)


@given(st.text())
def test_a_title_is_its_own_normal_form(text):
    try:
        title = values.normal_title(text)
    except ValueError:
        return
    assert values.normal_title(title) == title
    assert title in text
    assert title.isascii()
    assert 1 <= len(title) <= 16


@pytest.mark.parametrize(
    ("text", "name"),
    [(" WS1 ", "WS1"), ("Röntgen 2 (Keller)", "Röntgen 2 (Keller)"), ("n" * 64, "n" * 64)],
)
def test_names(text, name):
    assert values.normal_name(text) == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (" \t", "is empty"),
        ("n" * 65, "up to 64"),
        ("a\nb", "printable"),
        ("*", "in rules"),
        ("network:a", "in rules"),
        ("unknown:a", "in the log"),
    ],
)
def test_no_names(text, said):
    with pytest.raises(ValueError, match=said):
        values.normal_name(text)


def test_paths():
    assert values.file_path("a b/c.pem") == Path("a b/c.pem")
    assert values.file_path(Path("a")) == Path("a")
    for wrong in ("", "  ", "a\0b"):
        with pytest.raises(ValueError, match="is no file name"):
            values.file_path(wrong)
    with pytest.raises(ValueError, match="is not text in quotes"):
        values.file_path(1)


def test_services():
    assert values.services([" echo", "find", "find"]) == {Service.ECHO, Service.FIND}
    assert values.services([service.value for service in Service]) == set(Service)
    assert values.services(["*"]) == set(Service)
    assert values.services(["echo", "*"]) == set(Service)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "is empty"),
        ("echo", "is not a list of texts"),
        ([1], "is not a list of texts"),
        (["c-store"], 'unknown; did you mean "store"'),
        (["ECHO"], 'did you mean "echo"'),
        (["xyzzy", "fnd"], '"fnd" is unknown; did you mean "find"'),
        (["*", "fnd"], "unknown"),
    ],
)
def test_no_services(value, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        values.services(value)


def test_omittables():
    assert values.omittables([]) == frozenset()
    assert values.omittables([item.value for item in Omittable]) == set(Omittable)
    with pytest.raises(
        ValueError, match='"async-operation" is unknown; did you mean "async-operations"'
    ):
        values.omittables(["async-operation"])


def test_selectors():
    given_ = [" WS1", "network: inside ", "*", "WS1"]
    assert values.selectors(given_) == ("WS1", "network:inside", "*")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "is empty"),
        (None, "is not a list"),
        ([" "], "an empty name"),
        (["A", "network: "], "an empty name"),
    ],
)
def test_no_selectors(value, said):
    with pytest.raises(ValueError, match=said):
        values.selectors(value)


def test_what_is_shown_is_short_and_on_one_line():
    assert values.shown('Ä "1"') == '"Ä \\"1\\""'
    assert values.shown("a\nb\u2028") == '"a\\nb\\u2028"'
    assert values.shown("x" * 64) == f'"{"x" * 64}"'
    assert values.shown("x" * 65) == f'"{"x" * 64}..."'


def test_what_is_nearest():
    assert values.nearest("Insde", ["outside", "inside"]) == "inside"
    assert values.nearest("insde", ["outside", "inside"], 0.95) is None
    assert values.nearest("i" * 64, ["i" * 64]) == "i" * 64
    assert values.nearest("i" * 65, ["i" * 65]) is None


def test_what_is_suggested():
    assert values.suggestion("ws", {"WS1": 1}) == 'did you mean "WS1"?'
    assert values.suggestion("zz", []) == values.suggestion("zz", [""]) == "there is none yet"
    assert values.suggestion("zz", ["B", "A"]) == 'known are "A", "B"'
    names = [f"N{number:02}" for number in range(13)]
    assert values.suggestion("zz", names[:12]).endswith('"N11"')
    assert values.suggestion("zz", names).endswith('"N11", ...')


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, '"N1"'),
        (2, '"N1" and "N2"'),
        (3, '"N1", "N2" and "N3"'),
        (8, '"N1", "N2", "N3", "N4", "N5", "N6", "N7" and "N8"'),
        (9, '"N1", "N2", "N3", "N4", "N5", "N6", "N7", "N8" and 1 more'),
        (99, '"N1", "N2", "N3", "N4", "N5", "N6", "N7", "N8" and 91 more'),
    ],
)
def test_names_in_a_sentence(count, said):
    assert values.listed([f"N{number}" for number in range(1, count + 1)]) == said
