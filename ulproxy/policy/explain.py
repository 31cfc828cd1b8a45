"""What the rules make of a call, in words: the text of `ulproxy explain`, from the same `decide`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final, NamedTuple

from ulproxy.dimse.services import VERIFICATION, Service
from ulproxy.pdu.associate import AAssociateRQ, PresentationContextRQ, titles
from ulproxy.pdu.items import RoleSelection, UserInformation
from ulproxy.pdu.types import IMPLICIT_VR_LITTLE_ENDIAN
from ulproxy.policy.decision import Answer, Fan, Forward, Peer, Reject, Shared, named_services
from ulproxy.policy.model import ApplicationEntity, Rule
from ulproxy.policy.rules import Policy
from ulproxy.policy.values import suggestion

_CT_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
# An abstract syntax that stands for each service.
EXAMPLES: Final = {
    Service.ECHO: VERIFICATION,
    Service.STORE: _CT_IMAGE_STORAGE,
    Service.FIND: "1.2.840.10008.5.1.4.1.2.2.1",
    Service.MOVE: "1.2.840.10008.5.1.4.1.2.2.2",
    Service.GET: "1.2.840.10008.5.1.4.1.2.2.3",
    Service.WORKLIST: "1.2.840.10008.5.1.4.31",
    Service.MPPS: "1.2.840.10008.3.1.2.3.3",
    Service.COMMITMENT: "1.2.840.10008.1.20.1",
    Service.PRINT: "1.2.840.10008.5.1.1.9",
    Service.UPS: "1.2.840.10008.5.1.4.34.6.1",
    Service.OTHER: "1.2.840.10008.5.1.4.33",
}


class Question(NamedTuple):
    """A call that somebody might make; titles are as the caller says them.

    `service` None = all of them; a destination is asked of service move, or of all.
    """

    peer: Peer
    calling: str
    called: str
    service: Service | None = None
    destination: str | None = None


class Explanation(NamedTuple):
    """Whether it is allowed, and the lines that say why and what becomes of each name."""

    allowed: bool
    lines: list[str]


def explain(policy: Policy, question: Question) -> Explanation:
    """The decision on a call, with the rule that decided and every name that is rewritten."""
    decision = policy.decide(_request(question), question.peer)
    if isinstance(decision, Reject):
        answer = ",".join(map(str, decision.rejection))
        refused = f"refused: A-ASSOCIATE-RJ {answer}: {decision.text}"
        return Explanation(False, [refused, *_hints(policy, question)])
    if isinstance(decision, Answer):
        text = f"allowed: {question.called} is the relay itself, which answers echo"
        return Explanation(True, [text])
    if isinstance(decision, Fan | Shared):
        raise NotImplementedError
    refusal, moved = None, []
    if question.destination is not None:
        moved = _destination(policy, decision, question.destination)
        if not moved:
            why = policy.no_destination(decision.caller, decision.callee, question.destination)
            refusal = f"refused: C-MOVE-RSP A801H: {why}"
    lines = [refusal or _allowed(policy, decision, question.service), *_names(decision), *moved]
    lines += _rules(policy, decision.caller, decision.callee)
    return Explanation(refusal is None, lines)


def _request(question: Question) -> AAssociateRQ:
    """An A-ASSOCIATE-RQ for the service, or for all of them and as Storage SCP, as for C-GET."""
    roles: tuple[RoleSelection, ...] = ()
    wanted = [question.service] if question.service is not None else list(Service)
    if question.service is None:
        roles = (RoleSelection(_CT_IMAGE_STORAGE, scu=True, scp=True),)
    contexts = tuple(
        PresentationContextRQ(2 * n + 1, EXAMPLES[service], (IMPLICIT_VR_LITTLE_ENDIAN,))
        for n, service in enumerate(wanted)
    )
    return AAssociateRQ(
        titles(question.called, question.calling), contexts, UserInformation(roles=roles)
    )


def _by(rule: Rule) -> str:
    return f"by rule {rule.number} (line {rule.line})"


def _allowed(policy: Policy, decision: Forward, service: Service | None) -> str:
    caller, callee = decision.caller, decision.callee
    rule = decision.rule if service is None else policy.may(caller, callee, service)
    what = "call" if service is None else f"use {service} of"
    if rule is None:  # no rule of its own: it reports on what it was asked for
        rule, what = policy.may(callee, caller, Service.COMMITMENT), "report storage commitment to"
    if rule is None:
        raise AssertionError("let through by no rule")
    return f"allowed {_by(rule)}: {caller.name} may {what} {callee.name}"


def _names(decision: Forward) -> Iterator[str]:
    caller, callee = decision.caller, decision.callee
    yield f"caller: {caller.name}, {caller.title} on network {caller.network}"
    yield f"callee: {callee.name}, {callee.title} on network {callee.network}, at {callee.address}"
    yield f"the callee sees: calling {decision.calling_ae_title}, called {decision.called_ae_title}"
    yield f"offered onward: contexts for {named_services(decision.offered)}"


def _rules(policy: Policy, caller: ApplicationEntity, callee: ApplicationEntity) -> Iterator[str]:
    """Everything that the rules say of the two, in both directions."""
    for asking, asked in dict.fromkeys(((caller, callee), (callee, caller))):
        for rule in policy.rules(asking, asked):
            services = ", ".join(service for service in Service if service in rule.services)
            yield f"rule {rule.number} (line {rule.line}): {asking.name} to {asked.name}: {services}"


def _destination(policy: Policy, decision: Forward, title: str) -> list[str]:
    """What becomes of a Move Destination that is allowed, and how its C-STOREs arrive."""
    caller, archive, names = decision.caller, decision.callee, policy.names
    found = policy.move_rule(caller, archive, title)
    if found is None:
        return []
    destination, rule = found
    told = names.shown(destination, archive.network)
    what = f"{title} is {destination.name}; the callee is told {told}"
    lines = [f"move destination {_by(rule)}: {what}"]
    if destination.network != archive.network:  # else the archive calls it without us
        calling, originator = (names.shown(ae, destination.network) for ae in (archive, caller))
        seen = f"calling {calling}, called {destination.title}, Move Originator {originator}"
        lines.append(f"the destination sees: {seen}, at {destination.address}")
    return lines


def _hints(policy: Policy, question: Question) -> Iterator[str]:
    """What would be right, for whoever has the file before them."""
    network = question.peer.network
    caller = policy.names.caller(question.calling, network)
    called = policy.names.called(question.called, network)
    if caller is None:
        yield from _who(policy, question.calling)
        known = [ae.title for ae in policy.config.aes if ae.network == network]
        yield f"calling titles on network {network}: {suggestion(question.calling, known)}"
    elif isinstance(policy.caller(question.calling, question.peer), str):
        sources = ", ".join(map(str, caller.sources)) or "nowhere"
        yield f"{caller.name} calls from {sources}"
    elif isinstance(called, ApplicationEntity):
        yield from _rules(policy, caller, called)
        yield from _while_moving(policy, question, caller, [called])
    elif called is not None:
        alike = [
            ae for ae in policy.config.aes if policy.names.shown(ae, network) == question.called
        ]
        yield from _while_moving(policy, question, caller, alike)
    else:
        yield from _who(policy, question.called, network)
        titles_there = [
            policy.names.shown(ae, network)
            for ae in policy.config.aes
            if ae.network == network or ae.alias is not None
        ]
        right = suggestion(question.called, [*titles_there, policy.names.relay_title])
        yield f"called titles on network {network}: {right}"


def _while_moving(
    policy: Policy, question: Question, archive: ApplicationEntity, called: list[ApplicationEntity]
) -> Iterator[str]:
    """That the C-STOREs of a C-MOVE would pass all the same."""
    if question.service not in (None, Service.STORE):
        return
    for ae, caller in product(called, policy.config.aes):
        found = policy.move_rule(caller, archive, policy.names.shown(ae, caller.network))
        if found is not None and found[0] is ae:
            moving = f"a C-MOVE of {caller.name} to {ae.name}"
            yield f"while {moving} is under way, its C-STOREs pass {_by(found[1])}"


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
