"""Where keys stand, whatever TOML lies around them; what is said of a text that is no TOML."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulproxy.errors import ConfigError
from ulproxy.policy.toml_lines import KeyPath, read

DOCUMENT = '''\
# comment = 1
top = 1
[relay] # [not.this]
title = "a # no comment = 1"

  state  =  'x'
[ "li mits" ]
'quoted.key' = """
pending = 1
[[ae]]
\\""" still "" inside"""""
dotted . "a.b" = { c = "}", d = [1, 2] }
[[ae]]
sources = [  # ]
  "a]",
  """
]""",
  [\'\'\'[\'\'\'],
]
title = "one"
[ae.tls]
ca = "x"
[[ae.x]]
y = \'\'\'
y = 2\'\'\'\'\'
[[ae.x]]
y = ""
[[ "ae" ]]
title = "two"
"=]" = """"""
[[ae.x]]
y = 3
[a.b."c\\u0064"]
last = 1'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("relay",), 3),
        (("relay", "title"), 4),
        (("relay", "state"), 6),
        (("relay", "missing"), 3),
        (("li mits",), 7),
        (("li mits", "quoted.key"), 8),
        (("li mits", "pending"), 7),
        (("li mits", "dotted"), 12),
        (("li mits", "dotted", "a.b"), 12),
        (("li mits", "dotted", "a.b", "c"), 12),
        (("ae",), 13),
        (("ae", 0), 13),
        (("ae", 0, "sources"), 14),
        (("ae", 0, "sources", 2), 14),
        (("ae", 0, "title"), 20),
        (("ae", 0, "tls"), 21),
        (("ae", 0, "tls", "ca"), 22),
        (("ae", 0, "x", 0), 23),
        (("ae", 0, "x", 1), 26),
        (("ae", 1), 28),
        (("ae", 1, "title"), 29),
        (("ae", 1, "=]"), 30),
        (("ae", 1, "x", 0), 31),
        (("ae", 1, "alias"), 28),
        (("ae", 2, "title"), 13),
        (("a",), 33),
        (("a", "b", "cd"), 33),
        (("a", "b", "cd", "last"), 34),
        (("nothing", "here"), 0),
        ((), 0),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_key_has_its_line(path, line, end):
    data, lines = read(DOCUMENT.replace("\n", end))
    assert lines.at(path) == line
    assert data == tomllib.loads(DOCUMENT)


def test_depth_costs_nothing():
    data, lines = read(f"[{'.'.join('a' * 2000)}]\n" + " " * 100_000 + "\n# " + "=" * 100_000)
    assert data
    assert lines.at(("a", "a", "a", "a", "a")) == 1


VALUES = st.sampled_from(
    [
        "1",
        '"x = 1"',
        "'[[x]]'",
        '"""\nk0 = 1\n[x]\n"""',
        "'''\n# '''",
        '""""\n"""""',
        '"\\""',
        "[\n1, # ]\n2,\n]",
        '[["]"],\n[{a = "{"}]]',
        '{ a = "}", b = [1,\n2] }',
        "1979-05-27T07:32:00Z # [x",
    ]
)
GAPS = st.sampled_from(["", "\n", "# k = 1\n", "  \n\t# [[x]]\n"])


@given(st.lists(st.tuples(GAPS, st.sampled_from(["table", "list", "key"]), VALUES), max_size=12))
def test_any_document(statements):
    text, entries = "", 0
    table: KeyPath = ()
    expected: dict[KeyPath, int] = {}
    for number, (gap, kind, value) in enumerate(statements):
        text += gap
        line = text.count("\n") + 1
        if kind == "table":
            text += f"[t{number}]\n"
            table = (f"t{number}",)
            expected[table] = line
        elif kind == "list":
            text += " [[ 'l' ]] # x = [\n"
            table = ("l", entries)
            entries += 1
            expected[table] = line
        else:
            text += f'"k{number}"= {value}\n'
            expected[*table, f"k{number}"] = line
    data, lines = read(text)
    assert data == tomllib.loads(text)
    assert {path: lines.at(path) for path in expected} == expected


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[relay]\ntitle = HOSP_A", 2, "text stands in double quotes"),
        ("\n\n= 3", 3, "neither a table nor a key"),
        ("a\nb = 1", 1, "a key has no value"),
        ('a = "x" b = 2', 1, "one key = value a line"),
        ("a = 1\n[ ]", 2, "a name is missing"),
        ('a = """\n\n', 1, "with the quotes that it begins with"),
        ("a = '", 1, "close it with '"),
        ('a = "x\nb = 1\n', 1, "not closed on its line"),
        (r'a = "c:\x"', 1, r"write \\ or"),
        ("a = [1\nb = 2", 2, "close it with ]"),
        ("a = { b = 1\n}", 1, "close it with }"),
        ("a = { b = 1, b = 2 }", 1, "keep one of the two"),
        ("a = 1\r\na = 2\r\n", 2, "keep one of the two"),
        ("[ae]\n[[ae]]\n", 2, "keep one of the two"),
        ("[ae]\n[ae]\n", 2, "[[ae]]"),
        ("a = [1]\n[[a]]\n", 2, "where it was first written"),
        ("a = 1\n\n[b\n\n\n", 3, "']'"),
        ("a = 1\n# \x01", 2, "invalid character '\\x01'"),
        ("a = " + "[" * 5000, 0, "nested too deep"),
        ("a = " + "1" * 5000, 0, "a number is too long"),
    ],
)
def test_what_is_no_toml(text, line, said):
    with pytest.raises(ConfigError) as caught:
        read(text)
    [problem] = caught.value.problems
    assert (problem.line, problem.key) == (line, "syntax")
    assert said in problem.text
    assert problem.text.isprintable()
