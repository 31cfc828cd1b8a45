"""References: the AEs, groups, networks and destinations that rules name, and the members of groups.

While an AE has faults of its own, only names are checked: an address may only be missing because of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from functools import cached_property
from typing import Final

from ulproxy.dimse.services import Service
from ulproxy.policy.checks import Draft
from ulproxy.policy.model import Group, Rule
from ulproxy.policy.report import Report
from ulproxy.policy.toml_lines import KeyPath
from ulproxy.policy.values import EVERYTHING, NETWORK_PREFIX, shown, suggestion

# Names compared with those that are unknown, to guess what was meant: some seconds. Past it none is guessed.
MOST_COMPARED: Final = 1_000_000


class RuleChecks:
    """The checks of all the rules and groups of one file.

    What a selector stands for is gathered once, so that many rules about many AEs take no long time.
    """

    def __init__(self, draft: Draft, report: Report) -> None:
        self._draft = draft
        self._report = report
        self._by_name = {ae.name: ae for ae in draft.aes.values()}
        self._groups = {group.title: group for group in draft.groups.values()}
        self._names = self._by_name.keys() | draft.vague_names
        self._known = self._names | self._groups.keys()
        self._networks = {ae.network for ae in draft.aes.values()} | draft.vague_networks
        self._networks |= {listener.network for listener in draft.listeners.values()}
        self._networks |= draft.vague_listeners
        self._members = {name for group in self._groups.values() for name in group.members}
        self._compared = 0  # names, to find what was meant by those that are unknown
        self._said: dict[tuple[str, str], str] = {}
        self._gather()

    def _gather(self) -> None:
        """The networks of the AEs that each selector means, and whether one of them calls or is called."""
        self._networks_of: defaultdict[str, set[str]] = defaultdict(set)
        self._calling: set[str] = set()
        self._called: set[str] = set()
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for group in self._groups.values():
            for member in group.members:
                groups[member].append(group.title)
        for ae in self._draft.aes.values():
            titles = (title for selector in ae.selectors for title in groups.get(selector, ()))
            selectors = (*ae.selectors, *titles)
            for selector in selectors:
                self._networks_of[selector].add(ae.network)
            if ae.sources:
                self._calling.update(selectors)
            if ae.address:
                self._called.update(selectors)

    def check(self) -> None:
        """Report what is wrong with the groups and the rules, one by one."""
        for index, group in self._draft.groups.items():
            self._check_members(("group", index, "members"), group)
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

    def _check_members(self, path: KeyPath, group: Group) -> None:
        for member in group.members:
            ae = self._by_name.get(member)
            if member == EVERYTHING or member.startswith(NETWORK_PREFIX):
                text = f"{shown(member)} is no AE; write the names of AEs one by one"
            elif member in self._groups and ae is None:
                text = f"{shown(member)} is a group; write the names of its members"
            elif member not in self._names:
                text = self._other_meaning(member) or self._unknown(
                    "no AE is named", member, self._names
                )
            elif ae and ae.address is None and member not in self._draft.vague_names:
                text = f'{shown(member)} has no address; give it an address = "10.0.0.5:104"'
            else:
                continue
            self._report.problem(path, text)

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
            return self._unknown("no network is named", network, self._networks)
        if selector == EVERYTHING or selector in self._known:
            return None
        text = "no AE or group is named" if self._groups else "no AE is named"
        return self._other_meaning(selector) or self._unknown(text, selector, self._known)

    def _unknown(self, text: str, name: str, known: Set[str]) -> str:
        """The text with the name, and what to write instead."""
        if (text, name) not in self._said:
            self._compared += len(known)
            right = suggestion(name, known, near=self._compared <= MOST_COMPARED)
            self._said[text, name] = f"{text} {shown(name)}; {right}"
        return self._said[text, name]

    def _other_meaning(self, selector: str) -> str | None:
        """What a text is that would be right elsewhere, and what to write here."""
        for what, names in self._other_names.items():
            if meant := names.get(selector):
                right = " or ".join(map(shown, meant))
                return f"{shown(selector)} is the {what} of an AE; write its name, {right}"
        if self._draft.relay and selector == self._draft.relay.title:
            return f"{shown(selector)} is the relay itself; write the names of AEs"
        if selector in self._networks:
            right = shown(NETWORK_PREFIX + selector)
            return f"{shown(selector)} is a network; write {right} for all AEs on it"
        return None

    @cached_property
    def _other_names(self) -> dict[str, dict[str, list[str]]]:
        """The names of the AEs, by their titles and by their aliases."""
        names: dict[str, dict[str, list[str]]] = {"title": {}, "alias": {}}
        for name, ae in self._by_name.items():
            names["title"].setdefault(ae.title, []).append(name)
            if ae.alias is not None:
                names["alias"].setdefault(ae.alias, []).append(name)
        return names

    def _check_callers(self, path: KeyPath, rule: Rule) -> None:
        if self._calling.isdisjoint(rule.from_):
            self._report.note(
                path, "names no AE that may call; sources say where one may call from"
            )

    def _check_addresses(self, path: KeyPath, selectors: tuple[str, ...]) -> None:
        if self._called.isdisjoint(selectors):
            self._report.problem(
                path, 'names no AE that can be called; give it an address = "10.0.0.5:104"'
            )

    def _check_titles(self, path: KeyPath, rule: Rule) -> None:
        if EVERYTHING in rule.from_:
            return  # those of its own network are among the callers
        callers = {name for one in rule.from_ for name in self._networks_of.get(one, ())}
        for name in rule.to:
            ae = self._by_name.get(name)
            if ae is None or ae.alias is not None or name in self._members:
                continue
            if callers and ae.network not in callers:
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
