"""The configuration file: TOML text -> a frozen `Config`, or every mistake with its line and key.

    toml_lines.py    text -> data, and the line of each key
    schema.py        one table at a time: values.py, endpoints.py, certificates.py -> typed values
    checks.py        what must be distinct or served; rule_checks.py: what rules and groups refer to;
                     tls_checks.py: what belongs together; files.py: whether the files are there
    model.py         what comes out

A file that does not validate yields nothing. What this release does not do yet is refused, never ignored.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, TypeVar

from ulproxy.errors import ConfigError, Problem
from ulproxy.policy import schema
from ulproxy.policy.checks import Draft, check
from ulproxy.policy.endpoints import Endpoint, IpNetwork, own_sources
from ulproxy.policy.files import FileChecks
from ulproxy.policy.model import (
    ApplicationEntity,
    Audit,
    Config,
    Group,
    Limits,
    Listener,
    Relay,
    Rule,
    Table,
)
from ulproxy.policy.report import Report
from ulproxy.policy.rule_checks import RuleChecks
from ulproxy.policy.tls_checks import check_tls
from ulproxy.policy.toml_lines import KeyPath, read
from ulproxy.policy.values import (
    Omittable,
    normal_name,
    normal_title,
    selectors,
    suggestion,
    text_of,
)

__all__ = [
    "ApplicationEntity",
    "Config",
    "Endpoint",
    "Limits",
    "Listener",
    "Omittable",
    "Relay",
    "Rule",
    "load",
    "normal_title",
    "parse",
]


T = TypeVar("T", bound=Table)


def load(path: Path, *, files: bool = True) -> Config:
    """The configuration in a file; a ConfigError has all its problems.

    The files that it names are relative to its directory, and looked into unless `files` is false.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # Windows editors write a byte order mark
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = Problem(line, "encoding", "is not UTF-8; save the file as UTF-8")
        raise ConfigError([problem]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        problem = Problem(0, "file", f"cannot be read: {reason}; name a file that can be")
        raise ConfigError([problem]) from None
    return _config(text, path.parent, files=files)


def parse(text: str, base: Path = Path()) -> Config:
    """The configuration that a text describes; a ConfigError has all its problems.

    The files that it names are relative to `base`, and need not be there.
    """
    return _config(text, base, files=False)


def _config(text: str, base: Path, *, files: bool) -> Config:
    data, lines = read(text)
    report = Report(lines, _names(data))
    draft = _Reader(report, base).read(data)
    del data  # of many AEs it takes as much as all that comes of it
    check(draft, report)
    check_tls(draft, report)
    RuleChecks(draft, report).check()
    if files:
        FileChecks(report).check(draft)
    if report.problems or draft.relay is None:
        raise ConfigError(report.problems)
    return Config(
        draft.relay,
        draft.limits,
        tuple(draft.listeners.values()),
        tuple(draft.aes.values()),
        tuple(draft.rules.values()),
        tuple(sorted(report.notes)),
        tuple(draft.groups.values()),
        draft.audit,
        draft.metrics,
    )


def _names(data: dict[str, Any]) -> dict[KeyPath, str]:
    """What AEs and groups are called in messages, for those whose name can be told."""
    names: dict[KeyPath, str] = {}
    for kind in ("ae", "group"):
        for index, entry in _entries(data.get(kind)):
            with contextlib.suppress(ValueError):
                names[kind, index] = normal_name(text_of(entry.get("name", entry.get("title"))))
    return names


def _entries(value: object) -> list[tuple[int, dict[str, Any]]]:
    """The tables of a list and their positions; a single table where a list belongs is read too."""
    entries = value if isinstance(value, list) else [value]
    return [(index, entry) for index, entry in enumerate(entries) if isinstance(entry, dict)]


class _Reader:
    """Reads the tables one by one; what cannot be read is reported and left out of the draft."""

    def __init__(self, report: Report, base: Path) -> None:
        self._report = report
        self._base = base
        self._draft = Draft()

    def read(self, data: dict[str, Any]) -> Draft:
        if "relay" not in data:
            self._report.problem(
                ("relay", "title"), 'is missing; write [relay] and title = "HOSP_A"'
            )
        for key, value in data.items():
            if key in schema.LISTS:
                self._read_list(key, value)
            elif key in schema.TABLES:
                self._read_table(key, value)
            else:
                known = (*schema.TABLES, *schema.LISTS)
                self._report.problem((key,), f"is unknown; {suggestion(key, known)}")
        return self._draft

    def _read_table(self, key: str, value: object) -> None:
        if not isinstance(value, dict):
            self._report.problem((key,), f"is not one table; write [{key}] once")
            return
        self._refuse_unbuilt((key,), value)
        table, _ = schema.read_table(schema.TABLES[key], value, (key,), self._report)
        match table:
            case Relay():
                self._draft.relay = self._resolved(table)
            case Limits():
                self._draft.limits = table
            case schema.AuditTable():
                tls = self._resolved(table.tls)
                file = None if table.file is None else self._base / table.file
                self._draft.audit = Audit(file, table.syslog, table.on_full, tls)
            case schema.MetricsTable():
                self._draft.metrics = table.bind
            case _:  # has faults
                pass

    def _read_list(self, key: str, value: object) -> None:
        entries = _entries(value)
        if not isinstance(value, list) or len(entries) < len(value):
            self._report.problem((key,), f"is not a list of tables; write [[{key}]] above each")
        for index, entry in entries:
            path = (key, index)
            self._refuse_unbuilt(path, entry)
            table, whole = schema.read_table(schema.LISTS[key], entry, path, self._report)
            if not whole:
                self._add_vague(path, entry)
            match table:
                case schema.ListenerTable():
                    tls = self._resolved(table.tls)
                    self._draft.listeners[index] = Listener(table.network, table.bind, tls)
                case schema.AeTable():
                    sources = self._sources(table, path) if whole else ()
                    self._draft.aes[index] = self._application_entity(table, sources)
                case schema.GroupTable() if whole:
                    self._draft.groups[index] = Group(table.title, table.members)
                case schema.RuleTable() if whole:
                    self._draft.rules[index] = _rule(table, index, self._report.line(path))
                case _:
                    pass

    def _refuse_unbuilt(self, path: KeyPath, entry: dict[str, Any]) -> None:
        for (table, key), text in schema.NOT_BUILT.items():
            if table == path[0] and key in entry:
                self._report.problem((*path, key), text)

    def _resolved(self, table: T | None) -> T | None:
        """The table with its file names relative to where this process runs."""
        if table is None:
            return None
        paths = {key: self._base / value for key, value in table if isinstance(value, Path)}
        return table.model_copy(update=paths)

    def _sources(self, table: schema.AeTable, path: KeyPath) -> tuple[IpNetwork, ...]:
        if table.address is None and not table.sources:
            self._report.problem(
                (*path, "address"),
                "is missing, and sources too: this AE could neither be called nor call; "
                'write address = "10.0.0.5:104" or sources = ["10.0.0.5"] or both',
            )
            self._draft.vague_names.add(table.name or table.title)
        if table.sources is not None or table.address is None:
            return table.sources or ()
        sources = own_sources(table.address)
        if sources is None:
            self._report.problem(
                (*path, "address"),
                "is a host name, which does not tell where this AE calls from; write "
                'sources = ["10.0.0.5"] as well, or sources = [] if it never calls',
            )
        return sources or ()

    def _application_entity(
        self, table: schema.AeTable, sources: tuple[IpNetwork, ...]
    ) -> ApplicationEntity:
        return ApplicationEntity(
            title=table.title,
            network=table.network,
            address=table.address,
            sources=sources,
            alias=table.alias,
            name=table.name or table.title,
            omit=table.omit,
            associations=table.associations,
            move_originator=table.move_originator,
            tls=self._resolved(table.tls),
            certificate=table.certificate,
        )

    def _add_vague(self, path: KeyPath, entry: dict[str, Any]) -> None:
        """Keep what an entry with faults refers to, and what others may refer to."""
        name, title, network = (
            text.strip() if isinstance(text := entry.get(key), str) else ""
            for key in ("name", "title", "network")
        )
        match path[0]:
            case "listener":
                self._draft.vague_listeners.add(network)
            case "ae" | "group":
                self._draft.vague_names |= {name, title}
                self._draft.vague_networks.add(network)
            case _:
                for key in ("from", "to", "destinations"):
                    with contextlib.suppress(ValueError):
                        self._draft.vague_references[*path, key] = selectors(entry.get(key))


def _rule(table: schema.RuleTable, index: int, line: int) -> Rule:
    return Rule(
        number=index + 1,
        line=line,
        from_=table.from_,
        to=table.to,
        services=table.services,
        destinations=table.destinations,
    )
