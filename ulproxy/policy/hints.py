"""What `ulproxy explain` adds to a decision: what would be right, what else the rules say of the two."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from ulproxy.dimse.services import Service
from ulproxy.policy.decision import Peer
from ulproxy.policy.model import ApplicationEntity, Group, Rule
from ulproxy.policy.rules import Policy
from ulproxy.policy.values import MOST_LISTED, suggestion


class Question(NamedTuple):
    """A call that somebody might make; titles are as the caller says them.

    `service` None = all of them; a destination is asked of service move, or of all. What the peer presents
    as its certificate counts where a listener of its network asks for one.
    """

    peer: Peer
    calling: str
    called: str
    service: Service | None = None
    destination: str | None = None


def by(rule: Rule) -> str:
    """Which rule."""
    return f"by rule {rule.number} (line {rule.line})"


def rules_between(
    policy: Policy, caller: ApplicationEntity, callee: ApplicationEntity
) -> Iterator[str]:
    """Everything that the rules say of the two, in both directions."""
    for asking, asked in dict.fromkeys(((caller, callee), (callee, caller))):
        for rule in policy.rules(asking, asked):
            services = ", ".join(service for service in Service if service in rule.services)
            yield f"rule {rule.number} (line {rule.line}): {asking.name} to {asked.name}: {services}"


def reached(policy: Policy, title: str, network: str) -> list[ApplicationEntity]:
    """The AEs that a network knows by the relay's title, if that is the title."""
    if title != policy.names.relay_title:
        return []
    return [ae for ae in policy.config.aes if policy.names.is_hidden(ae, network)]


def while_moving(
    policy: Policy, question: Question, archive: ApplicationEntity, called: list[ApplicationEntity]
) -> Iterator[str]:
    """That the C-STOREs of a C-MOVE would pass all the same."""
    if question.service not in (None, Service.STORE):
        return
    aes = policy.config.aes if called else ()
    callers = [caller for caller in aes if policy.may(caller, archive, Service.MOVE) is not None]
    listed = 0
    for ae, caller in product(called, callers):
        found = policy.move_rule(caller, archive, policy.names.shown(ae, caller.network))
        if found is None or found[0] is not ae:
            continue
        if listed == MOST_LISTED:
            yield "and so do those of other C-MOVEs"
            return
        listed += 1
        moving = f"a C-MOVE of {caller.name} to {ae.name}"
        yield f"while {moving} is under way, its C-STOREs pass {by(found[1])}"


def hints(policy: Policy, question: Question) -> Iterator[str]:
    """What would be right, of a call that is refused."""
    network = question.peer.network
    caller = policy.caller(question.calling, question.peer)
    called = policy.names.called(question.called, network)
    if isinstance(caller, str):
        yield from caller_hints(policy, question)
    elif isinstance(called, ApplicationEntity):
        yield from rules_between(policy, caller, called)
        yield from while_moving(policy, question, caller, [called])
    elif called is not None:
        if isinstance(called, Group):
            for member in filter(None, map(policy.ae, called.members)):
                yield from rules_between(policy, caller, member)
        yield from while_moving(policy, question, caller, reached(policy, question.called, network))
    else:
        yield from _who(policy, question.called, network)
        titles_there = [
            policy.names.shown(ae, network)
            for ae in policy.config.aes
            if ae.network == network or ae.alias is not None
        ]
        titles_there += [group.title for group in policy.config.groups]
        right = suggestion(question.called, [*titles_there, policy.names.relay_title])
        yield f"called titles on network {network}: {right}"


def caller_hints(policy: Policy, question: Question) -> Iterator[str]:
    """Who calls by this title, from where and with which certificate, if it is not as it should be."""
    network = question.peer.network
    if not isinstance(policy.caller(question.calling, question.peer), str):
        return
    caller = policy.names.caller(question.calling, network)
    if caller is None:
        yield from _who(policy, question.calling)
        known = [ae.title for ae in policy.config.aes if ae.network == network]
        yield f"calling titles on network {network}: {suggestion(question.calling, known)}"
        return
    sources = ", ".join(map(str, caller.sources)) or "nowhere"
    yield f"{caller.name} calls from {sources}"
    if caller.certificate is not None and question.peer.certificate is not None:
        yield f"{caller.name} presents the certificate {caller.certificate}"


def _who(policy: Policy, text: str, network: str | None = None) -> Iterator[str]:
    """The AEs that a title, alias or name stands for elsewhere, and what to call them on a network."""
    for ae in policy.config.aes:
        if text in (ae.title, ae.alias, ae.name):
            line = f"{ae.name} is {ae.title} on network {ae.network}"
            if network in (None, ae.network):
                yield line
            elif ae.alias is None:
                yield f"{line}, and has no alias that network {network} could call it by"
            else:
                yield f"{line}, and called {ae.alias} on network {network}"
