"""Collects what is wrong with a file, and names the place as its author would: line and key."""

from __future__ import annotations

import re
from typing import Final

from ulproxy.errors import Problem
from ulproxy.policy.toml_lines import KeyPath, Lines
from ulproxy.policy.values import shown

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Report:
    """The problems and notes so far; `names` are what list entries are called instead of by number."""

    def __init__(self, lines: Lines, names: dict[KeyPath, str]) -> None:
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self._lines = lines
        self._names = names

    def problem(self, path: KeyPath, text: str) -> None:
        """Something that the file cannot be used with."""
        self.problems.append(Problem(self.line(path), self.key(path), text))

    def note(self, path: KeyPath, text: str) -> None:
        """Something that works, but perhaps not as meant."""
        self.notes.append(Problem(self.line(path), self.key(path), text))

    def line(self, path: KeyPath) -> int:
        """Where the key stands, or the table that lacks it."""
        return self._lines.at(path)

    def key(self, path: KeyPath) -> str:
        """`ae[WS1].title`, or `ae[3].title` when the third AE has no name that can be used."""
        text = ""
        for position, part in enumerate(path, 1):
            if isinstance(part, int):
                text += f"[{self._names.get(path[:position], part + 1)}]"
            else:
                text += "." if text else ""
                text += part if _BARE_KEY.fullmatch(part) else shown(part)
        return text
