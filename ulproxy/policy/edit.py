"""Edits of the configuration file: TOML text -> the same text with an entry more or less.

Text in, text out: nothing but the lines of an entry changes, and writing them is the command's business.
tomlkit writes the entries; it does not write the file, because it puts tables together that stand apart in
it, so entries are edited one by one as the lines that they are. Three rules:

- A comment belongs to the header below it or the keys above it if it touches them; else it stays.
- What is added brings a blank line, what is removed takes the ones above it along: adding and removing
  cancel out byte for byte.
- The result is read again: it validates, and it says what the same edit of the data says.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, cast

import tomlkit
from tomlkit.items import AoT, Array, InlineTable, Table

from ulproxy.dimse.services import Service
from ulproxy.errors import ConfigError, Problem, UlproxyError
from ulproxy.policy.config import parse
from ulproxy.policy.model import Config, Rule
from ulproxy.policy.toml_lines import KeyPath, read
from ulproxy.policy.values import EVERYTHING, shown, suggestion

Entry = Mapping[str, str | int | list[str] | dict[str, str]]

_NAMING: Final = ("from", "to", "destinations")  # the keys of a rule that name AEs
_DEPTH: Final = 4  # toml_lines knows the lines of keys so deep, and no table of ours is deeper


class EditRefusedError(UlproxyError):
    """There is nothing to edit, or the edit would be more than was asked for; the text says which."""


@dataclass(frozen=True)
class Edited:
    """The text after an edit, what it means, and what was done: a line each."""

    text: str
    config: Config
    changes: tuple[str, ...]


def add_ae(text: str, entry: Entry) -> Edited:
    """Add an `[[ae]]` behind the others."""
    name = str(entry.get("name", entry["title"])).strip()
    for index, ae in enumerate(parse(text).aes):
        if ae.name == name:
            line = _File(text).line(("ae", index))
            raise EditRefusedError(f"an AE has the name {shown(name)} already, line {line}")
    file = _File(text)
    line = file.add("ae", entry)
    return file.edited([f"added AE {shown(name)}, line {line}"])


def remove_ae(text: str, name: str, *, force: bool = False) -> Edited:
    """Remove an `[[ae]]`; with `force` from groups and rules too, and those that say nothing without it."""
    names = [ae.name for ae in parse(text).aes]
    if name not in names:
        raise EditRefusedError(f"no AE has the name {shown(name)}; {suggestion(name, names)}")
    file = _File(text)
    line = file.line(("ae", names.index(name)))
    changes = [f"removed AE {shown(name)}, line {line}"]
    file.remove("ae", names.index(name))
    naming, gone = _remove_from_groups(file, name, changes)
    naming += _remove_from_rules(file, {name, *gone}, changes)
    if naming and not force:
        raise EditRefusedError(
            f"{shown(name)} is named by {', '.join(naming)}; remove it there first, or use --force"
        )
    return file.edited(changes)


def _remove_from_groups(file: _File, name: str, changes: list[str]) -> tuple[list[str], list[str]]:
    """The groups that it was a member of, in words, and the titles of those that have none without it."""
    naming, gone = [], []
    for index, group in enumerate(file.data.get("group", ())):
        rest = [member for member in group["members"] if member.strip() != name]
        if rest == group["members"]:
            continue
        title = group["title"].strip()
        naming.append(f"group {shown(title)} (line {file.line(('group', index))})")
        if rest:
            changes.append(f"removed it from {naming[-1]}")
            file.reduce("group", index, {**group, "members": rest})
        else:
            changes.append(f"removed {naming[-1]}, which has no member without it")
            file.remove("group", index)
            gone.append(title)
    return naming, gone


def _remove_from_rules(file: _File, names: set[str], changes: list[str]) -> list[str]:
    """The rules that named them, in words."""
    naming = []
    for index, rule in enumerate(file.data.get("rule", ())):
        rest = _without(rule, names)
        if rest == rule:
            continue
        naming.append(f"rule {index + 1} (line {file.line(('rule', index))})")
        if rest is None:
            changes.append(f"removed {naming[-1]}, which says nothing without it")
            file.remove("rule", index)
        else:
            changes.append(f"removed it from {naming[-1]}{_no_longer_moves(rule, rest)}")
            file.reduce("rule", index, rest)
    return naming


def add_rule(text: str, entry: Entry) -> Edited:
    """Add a `[[rule]]` behind the others; not one that is there in other words or another order."""
    others = parse(text).rules
    file = _File(text)
    line = file.add("rule", entry)
    edited = file.edited([])
    added = edited.config.rules[-1]
    for other in others:
        if _meaning(other) == _meaning(added):
            raise EditRefusedError(f"rule {other.number} (line {other.line}) says the same already")
    return Edited(edited.text, edited.config, (f"added rule {added.number}, line {line}",))


def remove_rule(text: str, number: int) -> Edited:
    """Remove a `[[rule]]` by its number; those behind it have other numbers then."""
    rules = parse(text).rules
    if not 1 <= number <= len(rules):
        known = f"rules are numbered 1 to {len(rules)}" if rules else "the file has none"
        raise EditRefusedError(f"there is no rule {number}; {known}")
    file = _File(text)
    change = f"removed rule {number}, line {file.line(('rule', number - 1))}"
    if number < len(rules):
        change += "; the rules behind it have moved up by one"
    file.remove("rule", number - 1)
    return file.edited([change])


def _meaning(rule: Rule) -> tuple[frozenset[str] | None, ...]:
    destinations = None if rule.destinations is None else frozenset(rule.destinations)
    return frozenset(rule.from_), frozenset(rule.to), frozenset(rule.services), destinations


def _without(rule: dict[str, Any], names: set[str]) -> dict[str, Any] | None:
    """The rule for all but some; None = for nobody, or to do nothing."""
    rest = dict(rule)
    for key in _NAMING:
        if key in rule:
            rest[key] = [selector for selector in rule[key] if selector.strip() not in names]
    if rest.get("destinations") == []:  # left out they would be the caller, who was not allowed
        del rest["destinations"]
        rest["services"] = _without_move(rule["services"])
    return rest if rest["from"] and rest["to"] and rest["services"] else None


def _without_move(services: list[str]) -> list[str]:
    if EVERYTHING in services:
        services = list(Service)
    return [str(service) for service in services if service.strip() != Service.MOVE]


def _no_longer_moves(rule: dict[str, Any], rest: dict[str, Any]) -> str:
    moved = rule["services"] != rest["services"]
    return ", which has no destination without it and no longer allows move" if moved else ""


@dataclass(frozen=True)
class _Block:
    """A header and what stands below it, up to `end`; `first` is where its comments begin."""

    path: KeyPath
    first: int
    header: int
    end: int


class _File:
    """The lines of a text, the blocks that they make up, and the data; edits change all of them alike.

    Edits do not move lines before `edited()`: an item of `_after` is None where a line was removed, and
    several lines where some were added.
    """

    def __init__(self, text: str) -> None:
        self.data, self._places = read(text)
        self._result = {k: list(v) if isinstance(v, list) else v for k, v in self.data.items()}
        # Line ends that are all alike are put aside; where they are not, each line keeps its own.
        self._newline = "\r\n" if text.count("\r\n") == text.count("\n") else "\n"
        self._lines = text.replace(self._newline, "\n").split("\n")
        self._after: list[str | None] = [*self._lines]
        self._blocks = list(self._find_blocks())

    def line(self, path: KeyPath) -> int:
        """Where it stands, counted from 1."""
        return self._places.at(path)

    def add(self, kind: str, entry: Entry) -> int:
        """Add a table behind the last of its kind, or at the end; its line."""
        own = [block for block in self._blocks if block.path[:1] == (kind,)]
        if own:
            place = own[-1].end  # subtables of the last one may stand behind other tables
        elif kind in self.data:
            raise self._no_header(kind)
        else:
            place = self._above_blank(len(self._lines))
        added = _written(kind, entry)
        if place == len(self._lines) or _is_blank(self._lines[place]):
            added = ["", *added]
        self._after[place - 1] = "\n".join([self._lines[place - 1], *added])
        self._result.setdefault(kind, []).append(dict(entry))
        return place + len(added) - len(entry)

    def remove(self, kind: str, index: int) -> None:
        """Remove a table, its subtables and their comments."""
        for block in self._blocks_of(kind, index):
            first, end = block.first, block.end
            if end == len(self._lines) or _is_blank(self._lines[end]):
                first = self._above_blank(first)
            while first == 0 and end < len(self._lines) and _is_blank(self._lines[end]):
                end += 1
            self._after[first:end] = [None] * (end - first)
        self._result[kind][index] = None

    def reduce(self, kind: str, index: int, rest: dict[str, Any]) -> None:
        """Leave nothing of a table but `rest`, which has no key that was not there."""
        block = self._blocks_of(kind, index)[0]
        piece = tomlkit.parse("\n".join([*self._lines[block.header : block.end], ""]))
        table = cast("AoT", piece[kind])[0]
        for key in list(table):
            if key not in rest:
                del table[key]
            elif table[key] != rest[key]:
                _reduce(table, key, rest[key])
        self._after[block.header : block.end] = [
            piece.as_string().removesuffix("\n"),
            *[None] * (block.end - block.header - 1),
        ]
        self._result[kind][index] = rest

    def edited(self, changes: list[str]) -> Edited:
        """What came out; a ConfigError says why it does not validate."""
        text = "\n".join(line for line in self._after if line is not None).removesuffix("\r")
        text = text.replace("\n", self._newline)
        config = parse(text)
        expected = {
            key: [entry for entry in value if entry is not None]
            if isinstance(value, list)
            else value
            for key, value in self._result.items()
        }
        if read(text)[0] != {key: value for key, value in expected.items() if value != []}:
            text = "is written in a way that this command cannot edit; use a text editor"
            raise ConfigError([Problem(0, "file", text)])
        return Edited(text, config, tuple(changes))

    def _find_blocks(self) -> Iterator[_Block]:
        lines = self._lines
        headers = {
            line: path
            for path in _paths(self.data)
            if (line := self._places.at(path) - 1) >= 0 and lines[line].lstrip().startswith("[")
        }
        starts = [*sorted(headers), len(lines)]
        floor = self._end(0, starts[0])  # keys above all headers
        for header, following in pairwise(starts):
            first = header
            while first > floor and _is_comment(lines[first - 1]):
                first -= 1
            floor = self._end(header, following)
            yield _Block(headers[header], first, header, floor)

    def _end(self, start: int, following: int) -> int:
        """Where a block ends that starts there: behind its last key, and the comments that touch it."""
        lines, end = self._lines, following
        while end > start and (_is_blank(lines[end - 1]) or _is_comment(lines[end - 1])):
            end -= 1
        while not _is_toml(lines[start:end]):  # the end of a text may look like a comment
            end += 1
        behind = end
        while behind < following and _is_comment(lines[behind]):
            behind += 1
        return end if behind == following < len(lines) else behind

    def _blocks_of(self, kind: str, index: int) -> list[_Block]:
        blocks = [block for block in self._blocks if block.path[:2] == (kind, index)]
        if not blocks:
            raise self._no_header(kind)
        return blocks

    def _no_header(self, kind: str) -> ConfigError:
        text = (
            f"is one list in brackets, which this command cannot edit; write [[{kind}]] above each"
        )
        return ConfigError([Problem(self.line((kind,)), kind, text)])

    def _above_blank(self, place: int) -> int:
        """The place, or the one above the blank lines that are above it."""
        while place > 0 and _is_blank(self._lines[place - 1]):
            place -= 1
        return place


def _paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every path of the data, the longer ones later: a header is at the longest path of its line."""
    yield path
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict) and len(path) < _DEPTH:
        for part, inner in value.items():
            yield from _paths(inner, (*path, part))


def _written(kind: str, entry: Entry) -> list[str]:
    """A new table as lines."""
    table = tomlkit.table()
    for key, value in entry.items():
        table[key] = _inline(value) if isinstance(value, dict) else value
    tables = tomlkit.aot()
    tables.append(table)
    return tomlkit.document().add(kind, tables).as_string().removesuffix("\n").split("\n")


def _inline(values: dict[str, str]) -> InlineTable:
    table = tomlkit.inline_table()
    table.update(values)
    return table


def _reduce(table: Table, key: str, rest: list[str]) -> None:
    """Leave nothing of a list but `rest`, with the comments; a list that has other things is replaced."""
    texts = cast("Array", table[key])
    if not set(rest) <= set(texts):
        table[key] = rest
        return
    for index in reversed(range(len(texts))):
        if texts[index] not in rest:
            del texts[index]


def _is_blank(line: str) -> bool:
    return not line.strip()


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _is_toml(lines: list[str]) -> bool:
    try:
        tomllib.loads("\n".join([*lines, ""]))
    except tomllib.TOMLDecodeError:
        return False
    return True
