"""What the rules make of a call, in words: the text of `ulproxy explain`, from the same `decide`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ulproxy.dimse.services import VERIFICATION, Service
from ulproxy.pdu.associate import AAssociateRQ, PresentationContextRQ, titles
from ulproxy.pdu.items import RoleSelection, UserInformation
from ulproxy.pdu.types import IMPLICIT_VR_LITTLE_ENDIAN
from ulproxy.policy.decision import Answer, Fan, Forward, Peer, Reject, Shared
from ulproxy.policy.hints import (
    Question,
    by,
    caller_hints,
    hints,
    reached,
    rules_between,
    while_moving,
)
from ulproxy.policy.model import ApplicationEntity, Group, Listener
from ulproxy.policy.rules import Policy
from ulproxy.policy.values import MOST_LISTED

__all__ = ["EXAMPLES", "Explanation", "Question", "explain"]

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
_SERVICE_OF: Final = {syntax: service for service, syntax in EXAMPLES.items()}
# PS3.4 C.4.1.1.3.2, J.3.3: what names the AE that instances can be retrieved from.
_RETRIEVABLE: Final = frozenset({Service.FIND, Service.COMMITMENT})


class Explanation(NamedTuple):
    """Whether it is allowed, and the lines that say why and what becomes of each name."""

    allowed: bool
    lines: list[str]


def explain(policy: Policy, question: Question) -> Explanation:
    """The decision on a call, with the rule that decided and every name that is rewritten."""
    listeners = [one for one in policy.config.listeners if one.network == question.peer.network]
    facts = [_listening(one) for one in listeners if one.tls is not None]
    question = question._replace(peer=_presenting(question.peer, listeners))
    if text := _no_handshake(question.peer, listeners):
        return Explanation(False, [f"refused: {text}", *facts])
    decision = policy.decide(_request(question), question.peer)
    if isinstance(decision, Reject):
        answer = ",".join(map(str, decision.rejection))
        refused = f"refused: A-ASSOCIATE-RJ {answer}: {decision.text}"
        return Explanation(False, [refused, *hints(policy, question), *facts])
    if isinstance(decision, Answer):
        explanation = _answered(policy, question, decision)
    elif isinstance(decision, Fan):
        explanation = _fanned(policy, question, decision)
    elif isinstance(decision, Shared):
        explanation = _shared(policy, question, decision)
    else:
        explanation = _forwarded(policy, question, decision)
    unknown = caller_hints(policy, question) if policy.observes else ()
    return Explanation(explanation.allowed, [*explanation.lines, *unknown, *facts])


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


# TLS


def _presenting(peer: Peer, listeners: Iterable[Listener]) -> Peer:
    """The peer as a listener sees it: with its certificate, where there is one that asks for it."""
    asked = any(one.tls is not None and one.tls.asks for one in listeners)
    return peer._replace(certificate=(peer.certificate or frozenset()) if asked else None)


def _no_handshake(peer: Peer, listeners: list[Listener]) -> str:
    """Why TLS would not come about; empty = it would, at one listener at least."""
    required = [
        one.bind for one in listeners if one.tls and one.tls.client_certificate == "required"
    ]
    if peer.certificate or not required or len(required) < len(listeners):
        return ""
    where = " and ".join(map(str, required))
    return f"the TLS handshake: a certificate is required at {where}, and none is presented"


def _listening(listener: Listener) -> str:
    if listener.tls is None:
        raise AssertionError("only TLS has something to say")
    asks = f"certificate of the caller {listener.tls.client_certificate}"
    return f"listener {listener.bind}: TLS, profile {listener.tls.profile}, {asks}"


def _place(ae: ApplicationEntity) -> str:
    """Where it is called, and what it is shown there."""
    if ae.tls is None:
        return f"at {ae.address}"
    shown = f", shown {ae.tls.certificate}" if ae.tls.certificate else ", shown no certificate"
    return f"at {ae.address} over TLS, profile {ae.tls.profile}{shown}"


# Each kind of decision


def _answered(policy: Policy, question: Question, decision: Answer) -> Explanation:
    first = f"allowed: {question.called} is the relay itself, which answers echo"
    behind = reached(policy, question.called, decision.caller.network)
    moving = while_moving(policy, question, decision.caller, behind)
    return Explanation(True, [first, *_observed(decision.observed), *moving])


def _forwarded(policy: Policy, question: Question, decision: Forward) -> Explanation:
    first = _allowed(policy, decision, question.service)
    caller, callee = decision.caller, decision.callee
    lines = [_caller(question, caller), *_names(policy, decision)]
    allowed, moved = _destination(policy, decision, question.destination)
    if not allowed:
        first, *moved = moved
    rules = rules_between(policy, caller, callee)
    return Explanation(allowed, [first, *_observed(decision.observed), *lines, *moved, *rules])


def _fanned(policy: Policy, question: Question, decision: Fan) -> Explanation:
    """A C-MOVE is allowed if one of the members may be asked for it; the others are left out of it."""
    group, any_allowed = decision.group, False
    lines = []
    for member in decision.members:
        allowed, moved = _destination(policy, member, question.destination)
        any_allowed |= allowed
        first = _allowed(policy, member, question.service)
        names = _names(policy, member, group)
        rules = rules_between(policy, decision.caller, member.callee)
        block = [*_observed(member.observed), *names, *moved, *rules]
        lines += [f"member {member.callee.name}: {first}", *(f"  {line}" for line in block)]
    lines += [f"not asked: {text}" for text in decision.left_out]
    count = f"{len(decision.members)} of {len(group.members)} members"
    first = f"allowed: {group.title} is a group, of which {count} are asked"
    if not any_allowed:
        first = f"refused: C-MOVE-RSP A801H: by no member of {group.title}"
    return Explanation(any_allowed, [first, _caller(question, decision.caller), *lines])


def _shared(policy: Policy, question: Question, decision: Shared) -> Explanation:
    """Without an open move it is the reports on storage commitment that an archive has for them."""
    first = (
        f"allowed: {question.called} is whoever asked {decision.caller.name} for what it reports"
    )
    lines = [first, _caller(question, decision.caller)]
    for one in decision.reported[:MOST_LISTED]:
        allowed = _allowed(policy, one, question.service)
        block = [*_observed(one.observed), *_names(policy, one)]
        lines += [f"perhaps {one.callee.name}: {allowed}", *(f"  {line}" for line in block)]
    if (more := len(decision.reported) - MOST_LISTED) > 0:
        lines.append(f"perhaps one of {more} more")
    behind = reached(policy, question.called, decision.caller.network)
    return Explanation(True, [*lines, *while_moving(policy, question, decision.caller, behind)])


# What is said of one association onward


def _allowed(policy: Policy, decision: Forward, service: Service | None) -> str:
    caller, callee, rule = decision.caller, decision.callee, decision.rule
    what = "call" if service is None else f"use {service} of"
    if _reports(policy, decision):  # no rule of its own: it reports on what it was asked for
        rule, what = policy.may(callee, caller, Service.COMMITMENT), "report storage commitment to"
    how = "while rules are only observed" if rule is None else by(rule)
    return f"allowed {how}: {caller.name} may {what} {callee.name}"


def _observed(observed: tuple[str, ...]) -> Iterator[str]:
    return (f"would be refused: {text}" for text in observed)


def _caller(question: Question, caller: ApplicationEntity) -> str:
    line = f"caller: {caller.name}, {caller.title} on network {caller.network}"
    presented = ", ".join(sorted(question.peer.certificate or ()))
    return f"{line}, presenting {presented}" if presented else line


def _names(policy: Policy, decision: Forward, group: Group | None = None) -> Iterator[str]:
    caller, callee = decision.caller, decision.callee
    yield f"callee: {callee.name}, {callee.title} on network {callee.network}, {_place(callee)}"
    yield f"the callee sees: calling {decision.calling_ae_title}, called {decision.called_ae_title}"
    services = [_SERVICE_OF[context.abstract_syntax] for context in decision.offered]
    grounds: dict[str, list[str]] = {}
    for service in services:
        grounds.setdefault(_ground(policy, caller, callee, service), []).append(service)
    for ground, allowed in grounds.items():
        yield f"offered onward {ground}: contexts for {', '.join(allowed)}"
    if caller.network == callee.network:
        return
    if _reports(policy, decision):
        title = decision.calling_ae_title
        yield f"the callee sees: Retrieve AE Title {title} for {caller.title}"
    elif not _RETRIEVABLE.isdisjoint(services):
        title = policy.names.shown(callee, caller.network)
        if group is not None and policy.names.is_hidden(callee, caller.network):
            title = group.title  # by which it can be retrieved from
        yield f"the caller sees: Retrieve AE Title {title} for {callee.title}"


def _reports(policy: Policy, decision: Forward) -> bool:
    """Whether nothing but reports on storage commitment lets it in."""
    caller, callee = decision.caller, decision.callee
    reports = policy.may(callee, caller, Service.COMMITMENT) is not None
    return decision.rule is None and decision.because != "" and reports


def _ground(
    policy: Policy, caller: ApplicationEntity, callee: ApplicationEntity, service: Service
) -> str:
    """By which rule a context for the service is offered onward."""
    if (rule := policy.may(caller, callee, service)) is not None:
        return by(rule)
    if service is Service.STORE and (rule := policy.may(caller, callee, Service.GET)) is not None:
        return f"{by(rule)}, for the C-STOREs of a C-GET"
    if (rule := policy.may(callee, caller, service)) is not None:
        return f"{by(rule)}, for what the callee asks or reports"
    return "although no rule allows it"


def _destination(policy: Policy, decision: Forward, title: str | None) -> tuple[bool, list[str]]:
    """Whether a Move Destination is allowed; what becomes of it and how its C-STOREs arrive, or why not."""
    if title is None:
        return True, []
    caller, archive, names = decision.caller, decision.callee, policy.names
    destination = policy.move_destination(caller, archive, title)
    why = policy.no_destination(caller, archive, title)
    if destination is None:
        return False, [f"refused: C-MOVE-RSP A801H: {why}"]
    found = policy.move_rule(caller, archive, title)
    told = names.shown(destination, archive.network)
    what = f"{title} is {destination.name}; the callee is told {told}"
    if names.is_hidden(destination, archive.network):
        what += ", and Move Originator tells for whom its C-STOREs are"
    how = "while rules are only observed" if found is None else by(found[1])
    lines = [f"move destination {how}: {what}"]
    lines += _observed((why,) if found is None else ())
    if destination.network != archive.network:  # else the archive calls it without us
        calling, originator = (names.shown(ae, destination.network) for ae in (archive, caller))
        seen = f"calling {calling}, called {destination.title}, Move Originator {originator}"
        lines.append(f"the destination sees: {seen}, {_place(destination)}")
    return True, lines
