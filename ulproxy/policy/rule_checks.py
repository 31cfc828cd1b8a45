"""References: the AEs, networks and destinations that rules name, and where they lead.

Says nothing about AEs with faults of their own, as an address or a name may only be missing because of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ulproxy.dimse.services import Service
from ulproxy.policy.checks import Draft
from ulproxy.policy.model import ApplicationEntity, Rule
from ulproxy.policy.report import Report
from ulproxy.policy.toml_lines import KeyPath
from ulproxy.policy.values import EVERYTHING, NETWORK_PREFIX, shown, suggestion


class RuleChecks:
    """The checks of all the rules of one file."""

    def __init__(self, draft: Draft, report: Report) -> None:
        self._draft = draft
        self._report = report
        self._by_name = {ae.name: ae for ae in draft.aes.values()}
        self._networks = {ae.network for ae in draft.aes.values()} | draft.vague_networks
        self._networks |= {listener.network for listener in draft.listeners.values()}
        self._networks |= draft.vague_listeners

    def check(self) -> None:
        """Report what is wrong with the rules, one by one and together."""
        for index, rule in self._draft.rules.items():
            path: KeyPath = ("rule", index)
            self._check_references((*path, "from"), rule.from_)
            if self._check_references((*path, "to"), rule.to):
                self._check_callable((*path, "to"), rule.to)
            if rule.destinations is not None:
                self._check_destinations((*path, "destinations"), rule, rule.destinations)
        self._check_hidden_destinations()

    def _check_references(self, path: KeyPath, selectors: tuple[str, ...]) -> bool:
        """Whether all that the selectors name is known well enough to check it further."""
        known = True
        for selector in selectors:
            if (fault := self._fault(selector)) is not None:
                self._report.problem(path, fault)
                known = False
        return known and not self._draft.vague_names

    def _fault(self, selector: str) -> str | None:
        if selector.startswith(NETWORK_PREFIX):
            network = selector.removeprefix(NETWORK_PREFIX)
            if network in self._networks:
                return None
            return f"no network is named {shown(network)}; {suggestion(network, self._networks)}"
        names = self._by_name.keys() | self._draft.vague_names
        if selector == EVERYTHING or selector in names:
            return None
        return self._other_meaning(selector) or (
            f"no AE is named {shown(selector)}; {suggestion(selector, names)}"
        )

    def _other_meaning(self, selector: str) -> str | None:
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

    def _check_callable(self, path: KeyPath, selectors: tuple[str, ...]) -> None:
        if not any(ae.address for ae in self._expand(selectors)):
            self._report.problem(
                path, "cannot be called: none has an address; give the AE an address"
            )

    def _check_destinations(self, path: KeyPath, rule: Rule, selectors: tuple[str, ...]) -> None:
        if not rule.services & {Service.MOVE, Service.GET}:
            self._report.problem(
                path, 'means nothing without "move" in services; add it, or remove destinations'
            )
        if not self._check_references(path, selectors):
            return
        without = [s for s in selectors if s in self._by_name and not self._by_name[s].address]
        for name in without:
            self._report.problem(
                path, f"{shown(name)} has no address to send to; give that AE an address"
            )
        if not without:
            self._check_callable(path, selectors)

    def _check_hidden_destinations(self) -> None:
        """Report destinations that a called AE would all know by the relay's title."""
        told: dict[tuple[int, tuple[str, ...]], list[str]] = {}
        for called in self._draft.aes.values():
            if called.address and (found := self._hidden_from(called)):
                told.setdefault(found, []).append(called.name)
        for (index, names), called_names in told.items():
            self._report.problem(
                ("rule", index, "destinations"),
                "several destinations behind one title are not built yet in this release: "
                f"{_listed(called_names)} would know {_listed(names)} all by the relay's title; "
                "give each of them an alias of its own",
            )

    def _hidden_from(self, called: ApplicationEntity) -> tuple[int, tuple[str, ...]] | None:
        """The rule that brings a second destination under the relay's title, and all of them."""
        hidden: set[str] = set()
        rule_index: int | None = None
        for index, rule in self._draft.rules.items():
            if Service.MOVE in rule.services and called in self._expand(rule.to):
                hidden |= {
                    ae.name for ae in self._destinations(rule) if self._is_hidden(ae, called)
                }
                if rule_index is None and len(hidden) > 1:
                    rule_index = index
        return None if rule_index is None else (rule_index, tuple(sorted(hidden)))

    def _destinations(self, rule: Rule) -> Iterator[ApplicationEntity]:
        """Where a move under the rule may send to: what it says, or else whoever may call."""
        selectors = rule.from_ if rule.destinations is None else rule.destinations
        return (ae for ae in self._expand(selectors) if ae.address)

    def _is_hidden(self, ae: ApplicationEntity, called: ApplicationEntity) -> bool:
        relay = self._draft.relay
        alias = None if relay and ae.alias == relay.title else ae.alias
        return alias is None and ae.network != called.network

    def _expand(self, selectors: Iterable[str]) -> list[ApplicationEntity]:
        chosen = set(selectors)
        return [
            ae
            for ae in self._draft.aes.values()
            if not chosen.isdisjoint((ae.name, NETWORK_PREFIX + ae.network, EVERYTHING))
        ]


def _listed(names: Iterable[str]) -> str:
    *others, last = map(shown, names)
    return f"{', '.join(others)} and {last}" if others else last
