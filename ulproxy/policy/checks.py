"""What no single key shows: what must be distinct, and which networks are served.

Every check goes on as far as it can with a file that has faults already, and says nothing that might only
follow from one of them. References are in rule_checks.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ulproxy.policy.endpoints import Endpoint, own_sources
from ulproxy.policy.model import ApplicationEntity, Audit, Group, Limits, Listener, Relay, Rule
from ulproxy.policy.report import Report
from ulproxy.policy.toml_lines import KeyPath
from ulproxy.policy.values import listed, nearest, shown

_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 (compared, not bound)
_MISSPELT: Final = 0.82  # difflib's ratio: "insde" and "inside" have 0.91, "inside" and "side" 0.8


@dataclass
class Draft:
    """What could be read of a file; lists by position, without what has faults."""

    relay: Relay | None = None
    limits: Limits = field(default_factory=Limits)
    listeners: dict[int, Listener] = field(default_factory=dict)
    aes: dict[int, ApplicationEntity] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    rules: dict[int, Rule] = field(default_factory=dict)
    audit: Audit | None = None
    metrics: Endpoint | None = None
    # What stands in entries with faults: it exists, and little else is known of it.
    vague_names: set[str] = field(default_factory=set)
    vague_networks: set[str] = field(default_factory=set)
    vague_listeners: set[str] = field(default_factory=set)
    vague_references: dict[KeyPath, tuple[str, ...]] = field(default_factory=dict)


def check(draft: Draft, report: Report) -> None:
    """Report what is wrong between the entries, rules apart."""
    _check_binds(draft, report)
    _check_names(draft, report)
    _check_groups(draft, report)
    _check_networks(draft, report)
    _check_relay_alias(draft, report)
    _note_shadowing(draft, report)
    if draft.metrics is not None and draft.metrics.host in _EVERYWHERE:
        text = "is every address of this machine; write the one that the monitoring system calls"
        report.note(("metrics", "bind"), text)
    if draft.relay is not None and not draft.relay.enforce:
        text = "rules are only observed: what they would refuse passes, and is logged"
        report.note(("relay", "enforce"), text)


def _check_binds(draft: Draft, report: Report) -> None:
    if not draft.listeners and not draft.vague_listeners:
        report.problem(
            ("listener",), "is missing; nobody can call without at least one [[listener]]"
        )
    places: list[tuple[KeyPath, Endpoint]] = [
        (("listener", index, "bind"), listener.bind) for index, listener in draft.listeners.items()
    ]
    if draft.metrics is not None:
        places.append((("metrics", "bind"), draft.metrics))
    binds: list[tuple[KeyPath, object]] = []
    for path, bind in places:
        hosts = own_sources(bind) if bind.port else None  # any free port is never the same
        binds += [(path, (host, bind.port)) for host in hosts or ()]
    _distinct(binds, "is where {} listens already; write another address or port", report)


def _check_names(draft: Draft, report: Report) -> None:
    titles: list[tuple[KeyPath, object]] = []
    names: list[tuple[KeyPath, object]] = []
    aliases: list[tuple[KeyPath, object]] = []
    for index, ae in draft.aes.items():
        titles.append((("ae", index, "title"), (ae.network, ae.title)))
        if ae.name not in draft.vague_names:
            names.append((("ae", index, "title" if ae.name == ae.title else "name"), ae.name))
        if ae.alias is not None:
            aliases.append((("ae", index, "alias"), ae.alias))
    same = _distinct(titles, "is that of {} too; titles are unique within a network", report)
    names = [(path, name) for path, name in names if path not in same]  # one fault, one problem
    _distinct(names, "makes the same name as {}; give each AE a name = of its own", report)
    _distinct(aliases, "is that of {} too; give each AE an alias of its own", report)


def _check_groups(draft: Draft, report: Report) -> None:
    titles: list[tuple[KeyPath, object]] = [
        (("group", index, "title"), group.title) for index, group in draft.groups.items()
    ]
    same = _distinct(titles, "is that of {} too; give each group a title of its own", report)
    places = {title: path for path, title in titles if path not in same}
    for index, ae in draft.aes.items():
        for title in {ae.name, ae.alias, ae.title} & places.keys():
            _check_group_title(places[title], title, index, ae, report)


def _check_group_title(
    path: KeyPath, title: object, index: int, ae: ApplicationEntity, report: Report
) -> None:
    """Rules mean an AE by its name, other networks by its alias; by its title only its own does."""
    own = "; give the group a title of its own"
    entry: KeyPath = ("ae", index)
    where = f"{report.key(entry)} (line {report.line(entry)})"
    if title == ae.name:
        report.problem(path, f"is the name of {where}, which rules mean by it{own}")
    elif title == ae.alias:
        report.problem(path, f"is the alias of {where}, which is called by it{own}")
    else:
        on = f"means that one on network {shown(ae.network)}"
        report.note(path, f"is the title of {where} too, and {on}")


def _distinct(entries: Iterable[tuple[KeyPath, object]], text: str, report: Report) -> set[KeyPath]:
    """Report each entry that another one before it equals; the text has a place for that one."""
    first: dict[object, KeyPath] = {}
    repeated: dict[KeyPath, KeyPath] = {}
    for path, value in entries:
        if first.setdefault(value, path) != path:
            repeated.setdefault(path, first[value])
    for path, other in repeated.items():
        report.problem(path, text.format(f"{report.key(other)} (line {report.line(other)})"))
    return set(repeated)


def _check_networks(draft: Draft, report: Report) -> None:
    served = {listener.network for listener in draft.listeners.values()} | draft.vague_listeners
    noted = set()
    meant_by: dict[str, str | None] = {}  # many AEs are on one network
    for index, ae in draft.aes.items():
        if ae.network in served:
            continue
        if ae.network not in meant_by:
            meant_by[ae.network] = nearest(ae.network, served, _MISSPELT)
        near = meant_by[ae.network]
        text = f"no listener is on network {shown(ae.network)}"
        meant = f"; did you mean {shown(near)}?" if near else ""
        if near and not _siblings(ae.network, near):
            report.problem(("ae", index, "network"), text + meant)
        elif ae.network not in noted:
            noted.add(ae.network)
            text += ": its AEs can be called but cannot call"
            report.note(("ae", index, "network"), text + meant)


def _siblings(one: str, other: str) -> bool:
    """Whether names are alike on purpose: "site_a" and "site_b", "vlan10" and "vlan20"."""
    if len(one) == len(other) and one[:-1] == other[:-1]:
        return True
    return re.sub(r"\d", "", one) == re.sub(r"\d", "", other)


def _check_relay_alias(draft: Draft, report: Report) -> None:
    """An alias that is the relay's title, beside AEs that are known by the relay's title alone."""
    relay = draft.relay.title if draft.relay else None
    networks = {ae.network for ae in draft.aes.values()}
    networks |= {listener.network for listener in draft.listeners.values()}
    known = [(n, ae) for n, ae in draft.aes.items() if ae.name not in draft.vague_names]
    without = [ae for _, ae in known if ae.alias is None]
    for index, ae in known:
        if ae.alias is None or ae.alias != relay:
            continue
        alike = [o.name for o in without if networks - {ae.network, o.network}]
        if alike:
            report.problem(
                ("ae", index, "alias"),
                f"is the relay's title too, and {listed(alike)} without an alias would not be told "
                "from this AE; write another alias, or give those an alias of their own",
            )


def _note_shadowing(draft: Draft, report: Report) -> None:
    titles: dict[str, list[tuple[int, ApplicationEntity]]] = {}
    for index, ae in draft.aes.items():
        titles.setdefault(ae.title, []).append((index, ae))
    relay = draft.relay.title if draft.relay else None
    for index, ae in draft.aes.items():
        if ae.title == relay:
            report.note(
                ("ae", index, "title"),
                f"is the relay's title too: who calls it on network {shown(ae.network)} "
                "gets this AE, not the relay",
            )
        if ae.alias is None:
            continue
        if ae.alias == relay:
            report.note(
                ("ae", index, "alias"),
                "is the relay's title too: who calls it gets this AE, not the relay",
            )
        for other_index, other in titles.get(ae.alias, ()):
            if other.network != ae.network:
                report.note(
                    ("ae", index, "alias"),
                    f"is the title of {report.key(('ae', other_index))} too, and means that one "
                    f"on network {shown(other.network)}",
                )
