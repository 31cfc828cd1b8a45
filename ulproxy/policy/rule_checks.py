"""References: the AEs, networks and destinations that rules name, and where they lead.

While an AE has faults of its own, only names are checked: an address may only be missing because of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from ulproxy.dimse.services import Service
from ulproxy.policy.checks import Draft
from ulproxy.policy.model import ApplicationEntity, Rule
from ulproxy.policy.report import Report
from ulproxy.policy.toml_lines import KeyPath
from ulproxy.policy.values import EVERYTHING, NETWORK_PREFIX, shown, suggestion

_MOST_LISTED: Final = 8


class RuleChecks:
    """The checks of all the rules of one file."""

    def __init__(self, draft: Draft, report: Report) -> None:
        self._draft = draft
        self._report = report
        self._by_name = {ae.name: ae for ae in draft.aes.values()}
        self._names = self._by_name.keys() | draft.vague_names
        self._networks = {ae.network for ae in draft.aes.values()} | draft.vague_networks
        self._networks |= {listener.network for listener in draft.listeners.values()}
        self._networks |= draft.vague_listeners

    def check(self) -> None:
        """Report what is wrong with the rules, one by one and together."""
        for index, rule in self._draft.rules.items():
            path: KeyPath = ("rule", index)
            if self._check_references((*path, "from"), rule.from_):
                self._check_callers((*path, "from"), rule)
            if self._check_references((*path, "to"), rule.to):
                self._check_addresses((*path, "to"), rule.to)
                self._check_titles((*path, "to"), rule)
            if rule.destinations is not None:
                self._check_destinations((*path, "destinations"), rule, rule.destinations)
        for path, selectors in self._draft.vague_references.items():
            self._check_references(path, selectors)
        self._check_hidden_destinations()

    def _check_references(self, path: KeyPath, selectors: tuple[str, ...]) -> bool:
        """Whether all that the selectors name is known well enough to check it further."""
        faults = [fault for selector in selectors if (fault := self._fault(selector))]
        for fault in faults:
            self._report.problem(path, fault)
        return not faults and not self._draft.vague_names

    def _fault(self, selector: str) -> str | None:
        if selector.startswith(NETWORK_PREFIX):
            network = selector.removeprefix(NETWORK_PREFIX)
            if network in self._networks:
                return None
            return f"no network is named {shown(network)}; {suggestion(network, self._networks)}"
        if selector == EVERYTHING or selector in self._names:
            return None
        return self._other_meaning(selector) or (
            f"no AE is named {shown(selector)}; {suggestion(selector, self._names)}"
        )

    def _other_meaning(self, selector: str) -> str | None:
        """What a text is that would be right elsewhere, and what to write here."""
        for what in ("title", "alias"):
            meant = [n for n, ae in self._by_name.items() if getattr(ae, what) == selector]
            if meant:
                right = " or ".join(map(shown, meant))
                return f"{shown(selector)} is the {what} of an AE; write its name, {right}"
        if self._draft.relay and selector == self._draft.relay.title:
            return f"{shown(selector)} is the relay itself; write the names of AEs"
        if selector in self._networks:
            right = shown(NETWORK_PREFIX + selector)
            return f"{shown(selector)} is a network; write {right} for all AEs on it"
        return None

    def _check_callers(self, path: KeyPath, rule: Rule) -> None:
        if not any(ae.sources for ae in self._expand(rule.from_)):
            self._report.note(
                path, "names no AE that may call; sources say where one may call from"
            )

    def _check_addresses(self, path: KeyPath, selectors: tuple[str, ...]) -> None:
        if not any(ae.address for ae in self._expand(selectors)):
            self._report.problem(
                path, 'names no AE that can be called; give it an address = "10.0.0.5:104"'
            )

    def _check_titles(self, path: KeyPath, rule: Rule) -> None:
        callers = {ae.network for ae in self._expand(rule.from_)}
        for name in rule.to:
            ae = self._by_name.get(name)
            if ae and ae.alias is None and callers and ae.network not in callers:
                self._report.note(
                    path, f"{shown(name)} has no alias that other networks could call it by"
                )

    def _check_destinations(self, path: KeyPath, rule: Rule, selectors: tuple[str, ...]) -> None:
        if not rule.services & {Service.MOVE, Service.GET}:
            self._report.problem(
                path, 'is for "move" and "get" only; add one to services or remove destinations'
            )
        if not self._check_references(path, selectors):
            return
        named = [self._by_name[selector] for selector in selectors if selector in self._by_name]
        without = [ae for ae in named if ae.address is None]
        for ae in without:
            self._report.problem(
                path, f'{shown(ae.name)} has no address; give it an address = "10.0.0.5:104"'
            )
        if not without:
            self._check_addresses(path, selectors)

    def _check_hidden_destinations(self) -> None:
        """Report destinations that a called AE would all know by the relay's title."""
        callable_by: defaultdict[tuple[str, tuple[int, ...]], list[str]] = defaultdict(list)
        moves = {i: rule for i, rule in self._draft.rules.items() if Service.MOVE in rule.services}
        reach = {i: {ae.name for ae in self._expand(rule.to)} for i, rule in moves.items()}
        for ae in self._draft.aes.values():
            if ae.address:
                rules = tuple(index for index in moves if ae.name in reach[index])
                callable_by[ae.network, rules].append(ae.name)
        for (network, rules), called in callable_by.items():
            hidden: set[str] = set()
            for index in rules:
                hidden |= self._hidden_destinations(moves[index], network)
                if len(hidden) > 1:
                    self._refuse_hidden(("rule", index, "destinations"), called, sorted(hidden))
                    break

    def _hidden_destinations(self, rule: Rule, network: str) -> set[str]:
        """The destinations of moves under the rule that a network knows by the relay's title."""
        title = self._draft.relay.title if self._draft.relay else None
        selectors = rule.from_ if rule.destinations is None else rule.destinations
        return {
            ae.name
            for ae in self._expand(selectors)
            if ae.address and ae.network != network and ae.alias in (None, title)
            if ae.name not in self._draft.vague_names
        }

    def _refuse_hidden(self, path: KeyPath, called: list[str], hidden: list[str]) -> None:
        self._report.problem(
            path,
            "several destinations behind one title are not built yet in this release: "
            f"{_listed(called)} would know {_listed(hidden)} by the relay's title alone; "
            "give each of these destinations an alias",
        )

    def _expand(self, selectors: Iterable[str]) -> list[ApplicationEntity]:
        chosen = set(selectors)
        return [ae for ae in self._draft.aes.values() if not chosen.isdisjoint(ae.selectors)]


def _listed(names: list[str]) -> str:
    parts = [*map(shown, names[:_MOST_LISTED])]
    if len(names) > _MOST_LISTED:
        parts.append(f"{len(names) - _MOST_LISTED} more")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
