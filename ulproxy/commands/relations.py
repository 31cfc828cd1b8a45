"""What the configuration means for one AE: `ulproxy ae show`, without any traffic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from ulproxy.commands.table import Listing, cell, services_cell
from ulproxy.dimse.services import Service
from ulproxy.policy.model import ApplicationEntity, Group
from ulproxy.policy.names import RelayItself
from ulproxy.policy.rules import Policy

_CALLS = ("network", "called title", "calling title", "services", "rules", "remark")


def described(policy: Policy, ae: ApplicationEntity) -> Iterator[Listing]:
    """Its values, its names, whom it may call, who may call it, and which moves may send to it."""
    values = [(field.name.replace("_", " "), cell(getattr(ae, field.name))) for field in fields(ae)]
    groups = [group.title for group in policy.config.groups if ae.name in group.members]
    values.append(("groups", cell(tuple(groups))))
    yield Listing(("AE", ae.name), values)
    yield Listing(("known on network", "as", "remark"), list(_names(policy, ae)))
    aes = policy.config.aes
    called = [row for other in aes for row in _call(policy, ae, other, other)]
    yield Listing(("may call", *_CALLS), called)
    calling = [row for other in aes for row in _call(policy, other, ae, other)]
    yield Listing(("may be called by", *_CALLS), calling)
    yield Listing(("moves to it asked by", "of", "rule"), list(_moves(policy, ae)))


def _names(policy: Policy, ae: ApplicationEntity) -> Iterator[tuple[str, ...]]:
    networks = [listener.network for listener in policy.config.listeners]
    networks += [other.network for other in policy.config.aes]
    for network in dict.fromkeys(networks):
        title = policy.names.shown(ae, network)
        yield network, title, cell(_other_meaning(policy, ae, network))


def _call(
    policy: Policy, caller: ApplicationEntity, callee: ApplicationEntity, other: ApplicationEntity
) -> Iterator[tuple[str, ...]]:
    """A row about the other one, if a rule lets the one call the other."""
    rules = list(policy.rules(caller, callee))
    services = services_cell({service for rule in rules for service in rule.services})
    reported = [r for r in policy.rules(callee, caller) if Service.COMMITMENT in r.services]
    if reported:  # the reports come on an association of their own
        services = f"{services}, commitment reports" if rules else "commitment reports"
    numbers = sorted({rule.number for rule in (*rules, *reported)})
    if numbers:
        yield (
            other.name,
            other.network,
            policy.names.shown(callee, caller.network),
            policy.names.shown(caller, callee.network),
            services,
            cell(tuple(numbers)),
            cell(_obstacle(policy, caller, callee, only_reports=not rules)),
        )


def _obstacle(
    policy: Policy, caller: ApplicationEntity, callee: ApplicationEntity, *, only_reports: bool
) -> str | None:
    """Why the call fails although a rule allows it."""
    if callee.address is None:
        return f"{callee.name} has no address"
    if not caller.sources:
        return f"{caller.name} has no sources"
    if caller.network not in {listener.network for listener in policy.config.listeners}:
        return f"no listener is on network {caller.network}"
    if only_reports and policy.names.is_hidden(callee, caller.network):
        return None  # each report names what it reports on, and that was asked for by one AE
    return _other_meaning(policy, callee, caller.network)


def _other_meaning(policy: Policy, ae: ApplicationEntity, network: str) -> str | None:
    """What the title of an AE means on a network, if not this AE."""
    title = policy.names.shown(ae, network)
    called = policy.names.called(title, network)
    if called is ae:
        return None
    if called is None or isinstance(called, RelayItself):
        return f"{title} is the relay; to be called it needs an alias"
    if isinstance(called, Group):
        return f"{title} is a group; to be called by itself it needs an alias"
    return f"{title} is {called.name} there"


def _moves(policy: Policy, ae: ApplicationEntity) -> Iterator[tuple[str, ...]]:
    keys = {*policy.selectors(ae)}
    for rule in policy.config.rules:
        if ae.address is None or Service.MOVE not in rule.services:
            continue
        if rule.destinations is None and not keys.isdisjoint(rule.from_):
            yield ae.name, cell(rule.to), str(rule.number)
        elif rule.destinations is not None and not keys.isdisjoint(rule.destinations):
            yield cell(rule.from_), cell(rule.to), str(rule.number)
