"""A configuration that validates, edits of it, and what parse() finds in them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ulproxy.errors import ConfigError, Problem
from ulproxy.policy.config import parse

BASE = """\
[relay]
title = "HOSP_A"

[limits]
pending = 100

[[listener]]
network = "inside"
bind = "127.0.0.1:11112"

[[listener]]
network = "outside"
bind = "127.0.0.1:2762"

[[ae]]
title = "WS1"
network = "inside"
address = "127.0.0.1:11120"
alias = "HA_WS1"

[[ae]]
title = "PACS"
network = "outside"
address = "10.0.0.9:104"
alias = "HB_PACS"

[[rule]]
from = ["WS1"]
to = ["PACS"]
services = ["echo", "move"]
"""
# Where the tables begin, and the lines that the tests change.
RELAY, LIMITS, LISTENER_1, LISTENER_2, AE_1, AE_2, RULE = 1, 4, 7, 11, 15, 21, 27
END = BASE.count("\n")

Fault = tuple[int, str, str]  # line, key, a part of the text
_JARGON = re.compile(r"[Ii]nput should|[Vv]alid|pydantic|type=|_type|\bNone\b")


def edited(edits: dict[int, str] | None = None, more: str = "") -> str:
    """BASE with some lines replaced ("" blanks one out) and more behind its end."""
    lines = BASE.splitlines()
    for number, line in (edits or {}).items():
        lines[number - 1] = line
    return "\n".join(lines) + "\n" + more


def problems(text: str) -> list[Problem]:
    """The problems of a text; each must say, on one line and in plain words, what would be right."""
    try:
        parse(text)
    except ConfigError as error:
        for problem in error.problems:
            assert f"{problem.key}{problem.text}".isprintable(), problem
            assert problem.key == "syntax" or "; " in problem.text, problem
            assert problem.key == "syntax" or not _JARGON.search(problem.text), problem
        return error.problems
    return []


def assert_found(found: Iterable[Problem], expected: Iterable[Fault]) -> None:
    """Exactly the expected problems, in the order of their lines."""
    found, expected = list(found), list(expected)
    assert [(p.line, p.key) for p in found] == [fault[:2] for fault in expected], found
    for problem, (_, _, text) in zip(found, expected, strict=True):
        assert text in problem.text
