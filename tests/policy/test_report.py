"""How places in the file are named."""

from __future__ import annotations

import pytest

from ulproxy.errors import Problem
from ulproxy.policy.report import Report
from ulproxy.policy.toml_lines import read


@pytest.fixture
def report():
    _, lines = read('[relay]\ntitle = "A"\n[[ae]]\n[[ae]]\ntitle = "B"\n')
    return Report(lines, {("ae", 1): "B"})


@pytest.mark.parametrize(
    ("path", "line", "key"),
    [
        (("relay",), 1, "relay"),
        (("relay", "title"), 2, "relay.title"),
        (("ae", 0), 3, "ae[1]"),
        (("ae", 0, "title"), 3, "ae[1].title"),
        (("ae", 1, "title"), 5, "ae[B].title"),
        (("ae", 1, "tls", "ca"), 4, "ae[B].tls.ca"),
        (("relay", "x y.z\n"), 1, 'relay."x y.z\\n"'),
        (("k" * 65,), 0, f'"{"k" * 64}..."'),
        (("",), 0, '""'),
    ],
)
def test_places(report, path, line, key):
    assert (report.line(path), report.key(path)) == (line, key)
    report.problem(path, "wrong")
    report.note(path, "odd")
    assert report.problems == [Problem(line, key, "wrong")]
    assert report.notes == [Problem(line, key, "odd")]
