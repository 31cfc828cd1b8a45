"""`ulproxy ae list`, `ae show` and `rule list`: for programs and for people."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from tests.cli_peers import called, config
from ulproxy.commands.table import Listing, cell, print_listings
from ulproxy.policy.model import AeTls

MORE = """
[[ae]]
title = "MWL"
network = "outside"
address = "10.0.0.9:104"
sources = []

[[ae]]
title = "LAB"
network = "lab"
address = "10.0.9.1:104"

[[rule]]
from = ["SENDER", "LAB"]
to = ["pacs_b", "MWL"]
services = ["store", "commitment", "move"]
destinations = ["WS1", "network:lab"]

[[rule]]
from = ["MWL"]
to = ["network:inside"]
services = ["*"]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "relay.toml"
    path.write_text(config())
    return path


def rows(text):
    """The paragraphs of plain output, by the first cell of each."""
    blocks = [[line.split("\t") for line in one.splitlines()] for one in text.split("\n\n")]
    return {block[0][0]: block for block in blocks}


def test_ae_list(file):
    result = called("ae", "list", file)
    assert result.exit_code == 0
    assert result.stdout == (
        "name\ttitle\tnetwork\taddress\tsources\talias\n"
        "WS1\tWS1\tinside\t127.0.0.1:11120\t127.0.0.1/32\tHA_WS1\n"
        "SENDER\tSENDER\tinside\t-\t10.0.0.7/32\t-\n"
        "pacs_b\tPACS\toutside\t127.0.0.1:104\t127.0.0.1/32\tHB_PACS\n"
    )


def test_rule_list(file):
    file.write_text(config(more=MORE))
    lines = [n for n, line in enumerate(file.read_text().splitlines(), 1) if line == "[[rule]]"]
    result = called("rule", "list", file)
    assert result.stdout.splitlines() == [
        "rule\tline\tfrom\tto\tservices\tdestinations",
        f"1\t{lines[0]}\tSENDER, LAB\tpacs_b, MWL\tstore, move, commitment\tWS1, network:lab",
        f"2\t{lines[1]}\tMWL\tnetwork:inside\t*\tthe caller",
        f"3\t{lines[2]}\tWS1\tpacs_b\techo, move\tthe caller",
    ]


def test_ae_show(file):
    file.write_text(config(more=MORE))
    shown = rows(called("ae", "show", file, "pacs_b").stdout)
    assert shown["AE"] == [
        ["AE", "pacs_b"],
        ["title", "PACS"],
        ["network", "outside"],
        ["address", "127.0.0.1:104"],
        ["sources", "127.0.0.1/32"],
        ["alias", "HB_PACS"],
        ["name", "pacs_b"],
        ["omit", "-"],
        ["associations", "-"],
        ["move originator", "yes"],
        ["tls", "-"],
        ["certificate", "-"],
        ["groups", "-"],
    ]
    assert shown["known on network"][1:] == [
        ["inside", "HB_PACS", "-"],
        ["outside", "PACS", "-"],
        ["lab", "HB_PACS", "-"],
    ]


def test_ae_show_who_calls_whom(file):
    file.write_text(config(more=MORE))
    shown = rows(called("ae", "show", file, "pacs_b").stdout)
    assert shown["may call"][1:] == [
        [
            "SENDER",
            "inside",
            "HOSP_A",
            "HB_PACS",
            "commitment reports",
            "1",
            "SENDER has no address",
        ],
        ["LAB", "lab", "HOSP_A", "HB_PACS", "commitment reports", "1", "-"],
    ]
    assert shown["may be called by"][1:] == [
        ["WS1", "inside", "HB_PACS", "HA_WS1", "echo, move", "3", "-"],
        ["SENDER", "inside", "HB_PACS", "HOSP_A", "store, move, commitment", "1", "-"],
        ["LAB", "lab", "HB_PACS", "HOSP_A", "store, move, commitment", "1",
         "no listener is on network lab"],
    ]  # fmt: skip
    assert shown["moves to it asked by"][1:] == []


def test_ae_show_of_a_destination(file):
    file.write_text(config(more=MORE))
    shown = rows(called("ae", "show", file, "WS1").stdout)
    assert shown["moves to it asked by"][1:] == [
        ["SENDER, LAB", "pacs_b, MWL", "1"],
        ["WS1", "pacs_b", "3"],
    ]
    [row] = [row for row in shown["may be called by"] if row[0] == "MWL"]
    assert row[2:] == ["HA_WS1", "HOSP_A", "*", "2", "MWL has no sources"]


def test_ae_show_of_both_directions(file):
    """A rule to it and reports to it; a title that is another AE's there."""
    more = MORE.replace('["*"]', '["commitment"]').replace('"MWL"\nnetwork', '"WS1"\nnetwork')
    more = more.replace("sources = []", 'name = "MWL"\nalias = "SENDER"')
    more += '\n[[rule]]\nfrom = ["WS1"]\nto = ["MWL"]\nservices = ["commitment"]\n'
    file.write_text(config(more=more))
    shown = rows(called("ae", "show", file, "MWL").stdout)
    assert shown["known on network"][1] == ["inside", "SENDER", "SENDER is SENDER there"]
    [row] = [row for row in shown["may call"] if row[0] == "WS1"]
    assert row[2:] == ["HA_WS1", "SENDER", "commitment, commitment reports", "2, 3", "-"]


def test_ae_show_of_one_without_an_alias(file):
    """By the relay's title it is not called, but gets the reports that it has asked for."""
    more = '\n[[ae]]\ntitle = "WS2"\nnetwork = "inside"\naddress = "10.0.0.2:104"\n'
    more += '\n[[group]]\ntitle = "G"\nmembers = ["WS2", "WS1"]\n'
    more += '\n[[rule]]\nfrom = ["pacs_b"]\nto = ["WS2"]\nservices = ["store"]\n'
    more += '\n[[rule]]\nfrom = ["G"]\nto = ["pacs_b"]\nservices = ["move"]\n'
    file.write_text(config(more=more))
    shown = rows(called("ae", "show", file, "WS2").stdout)
    [row] = [row for row in shown["may be called by"] if row[0] == "pacs_b"]
    assert row[-1] == "HOSP_A is the relay; to be called it needs an alias"
    assert shown["moves to it asked by"][1:] == [["WS2", "pacs_b", "2"]]


def test_ae_show_behind_a_group_of_the_relays_title(file):
    more = '\n[[ae]]\ntitle = "WS2"\nnetwork = "inside"\naddress = "10.0.0.2:104"\n'
    more += '\n[[group]]\ntitle = "HOSP_A"\nmembers = ["WS2"]\n'
    file.write_text(config(more=more))
    shown = rows(called("ae", "show", file, "WS2").stdout)
    remark = "HOSP_A is a group; to be called by itself it needs an alias"
    assert shown["known on network"][2] == ["outside", "HOSP_A", remark]


def test_ae_show_of_none(file):
    result = called("ae", "show", file, "PACS")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f'{file}: no AE has the name "PACS"; ')


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", "-"),
        ((), "-"),
        (frozenset(), "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        ((1, 2), "1, 2"),
        (frozenset("ba"), "a, b"),
        (AeTls(ca=Path("a b.pem")), "ca a b.pem, profile bcp195"),
    ],
)
def test_cells(value, text):
    assert cell(value) == text


def test_tables_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    print_listings(
        Listing(("name", "[b]column"), [("[red]x", "z" * 60)]), Listing(("empty", "none"), [])
    )
    text = re.sub("\x1b[^m]*m", "", terminal.getvalue())
    assert "[b]column" in text
    assert "[red]x" in text
    assert text.count("z") == 60
    assert "\t" not in text
    assert max(map(len, text.splitlines())) <= 40
    assert text.splitlines()[-2].split() == ["-"]
