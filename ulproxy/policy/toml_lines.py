"""TOML text -> data, and the line on which each key stands, which tomllib does not tell.

`read` lets tomllib judge the text first, so `Lines` need only find its way in valid TOML: it looks at the
start of each statement (a header or a key) and skips the value, whatever strings and brackets it has.
A path is what leads to a value in the data, such as `("ae", 2, "title")`, list positions from 0.
"""

from __future__ import annotations

import re
import tomllib
from array import array
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from ulproxy.errors import ConfigError, Problem

KeyPath = tuple[str | int, ...]
_DEPTH: Final = 4  # ("ae", 0, "tls", "ca"); nothing that goes deeper is asked for

_STRING: Final = r""" "(?:[^"\\\n]|\\.)*" | '[^'\n]*' """
_MULTI_LINE: Final = r""" \"{3}(?:[^\\]|\\.)*?\"{3,5} | '{3}.*?'{3,5} """
_KEY_TEXT: Final = rf""" ((?: {_STRING} | [^\]="'\#\n] )++) """
_HEADER: Final = re.compile(rf"[ \t]*+(\[\[?){_KEY_TEXT}\]", re.VERBOSE)
_KEY: Final = re.compile(rf"[ \t]*+{_KEY_TEXT}=", re.VERBOSE)
_TOKEN: Final = re.compile(
    rf"{_MULTI_LINE} | {_STRING} | \#[^\n]* | [\[\]{{}}\n]", re.VERBOSE | re.DOTALL
)

_POSITION: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
# What a person would do about what tomllib says; its own words serve for the rest.
_HINTS: Final = {
    "Invalid value": 'is no value of TOML; text stands in double quotes, title = "HOSP_A"',
    "Invalid statement": 'is neither a table nor a key; write [relay] or title = "HOSP_A"',
    "Invalid initial character": "a name is missing or not closed; quote what is not A-Z a-z 0-9 _ -",
    "Expected '=' after a key": 'a key has no value; write title = "HOSP_A"',
    "Expected newline": "this cannot follow what stands before it; write one key = value a line",
    "Unterminated string": "a text is not closed; close it with the quotes that it begins with",
    'Expected "\'"': "a text is not closed; close it with '",
    "Illegal character '\\n'": 'a text is not closed on its line; close it with "',
    "Unescaped '\\'": r"a backslash has a meaning in double quotes; write \\ or use single quotes, 'a\b'",
    "Unclosed array": "a list is not closed or lacks a comma between its entries; close it with ]",
    "Unclosed inline table": "a { is not closed on its line; close it with }",
    "Duplicate inline table key": "this key stands here already; keep one of the two",
    "Cannot overwrite": "this key or table stands in the file already; keep one of the two",
    "Cannot declare": "this table stands in the file already; make one of the two, or write "
    "[[listener]], [[ae]] and [[rule]] with double brackets",
    "Cannot mutate": "this table is complete where it was first written; write the key there",
}


class _Entries:
    """The lines of the entries of one list, entry by entry; small, as a file may have a million of them."""

    def __init__(self) -> None:
        self._begins = array("L")  # where each entry does, in these two
        self._lines = array("L")
        self._keys: list[KeyPath] = []

    def add(self, position: int, key: KeyPath, line: int) -> None:
        """A key of the last entry or of the next; the header of an entry is no key of it."""
        if position == len(self._begins):
            self._begins.append(len(self._lines))
        self._keys.append(key)
        self._lines.append(line)

    def at(self, position: int, key: KeyPath) -> int | None:
        """The first line of the key in an entry."""
        if position >= len(self._begins):
            return None
        begin, *ends = self._begins[position : position + 2]
        within = range(begin, ends[0] if ends else len(self._lines))
        return next((self._lines[n] for n in within if self._keys[n][: len(key)] == key), None)


class Lines:
    """The line of every header and key of a valid TOML text."""

    def __init__(self, text: str) -> None:
        self._lists: dict[str | int, _Entries] = {}  # those at the top
        self._lines: dict[KeyPath, int] = {}  # what is in none of them
        self._counts: dict[KeyPath, int] = {}  # how many [[headers]] each list has had so far
        table: KeyPath = ()
        shared: dict[KeyPath, KeyPath] = {}  # all entries have the same keys
        for line, brackets, key in _statements(text):
            if brackets:
                table = self._table(_parts(key), is_list=brackets == "[[")
            path = table if brackets else table + _parts(key)
            position = path[1] if len(path) > 1 else None
            if isinstance(position, int):
                within = path[2:_DEPTH]
                entries = self._lists.setdefault(path[0], _Entries())
                entries.add(position, shared.setdefault(within, within), line)
                path = path[:1]
            for length in range(1, min(len(path), _DEPTH) + 1):
                self._lines.setdefault(path[:length], line)

    def at(self, path: KeyPath) -> int:
        """The line of the path, or of the nearest table around it; 0 when the file has neither."""
        while path:
            if (line := self._at(path)) is not None:
                return line
            path = path[:-1]
        return 0

    def _at(self, path: KeyPath) -> int | None:
        match path:
            case (name, int(position), *rest) if name in self._lists:
                return self._lists[name].at(position, tuple(rest))
            case _:
                return self._lines.get(path)

    def _table(self, parts: tuple[str, ...], *, is_list: bool) -> KeyPath:
        path: KeyPath = ()
        for position, part in enumerate(parts, 1):
            path += (part,)
            if is_list and position == len(parts):
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:
                path += (self._counts[path] - 1,)
        return path


def read(text: str) -> tuple[dict[str, Any], Lines]:
    """The data of a TOML text and where it stands; a ConfigError says where the text is no TOML."""
    text = text.replace("\r\n", "\n")
    try:
        return tomllib.loads(text), Lines(text)
    except RecursionError:
        problem = Problem(0, "syntax", "brackets are nested too deep; this file needs two levels")
    except ValueError as error:
        problem = _syntax_problem(str(error), last_line=text.rstrip("\n").count("\n") + 1)
    raise ConfigError([problem])


def _syntax_problem(message: str, last_line: int) -> Problem:
    position = _POSITION.search(message)
    if position is None:  # int() has a limit of its own and does not know where in the file it is
        return Problem(0, "syntax", "a number is too long; no key needs more than ten digits")
    wrong = message[: position.start()]
    hint = next((hint for start, hint in _HINTS.items() if wrong.startswith(start)), wrong)
    return Problem(int(position[1] or last_line), "syntax", hint)


def _statements(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, brackets ("" for a key) and key of every header and every `key =` of a valid text."""
    line, start = 1, 0
    while start < len(text):
        end = start
        if header := _HEADER.match(text, start):
            end = header.end()
            yield line, header[1], header[2]
        elif key := _KEY.match(text, start):
            end = key.end()
            yield line, "", key[1]
        end = _end_of_line(text, end)
        line += text.count("\n", start, end)
        start = end


def _end_of_line(text: str, start: int) -> int:
    """Where the line ends that `start` is on, strings and brackets over several lines included."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif token[0] == "\n" and depth <= 0:  # below 0 after the second bracket of [[header]]
            return token.end()
    return len(text)


@lru_cache(maxsize=256)  # the same few keys again and again
def _parts(key: str) -> tuple[str, ...]:
    """The parts of a key, dotted and quoted ones included: tomllib reads it once more."""
    parts, node = [], tomllib.loads(f"{key}=0")
    while node:
        [(part, node)] = node.items()
        parts.append(part)
    return tuple(parts)
