"""What the rules make of a call, in words: the text of `ulproxy explain`, from the same `decide`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ulproxy.dimse.services import Service, possible_services
from ulproxy.pdu.associate import AAssociateRQ, PresentationContextRQ, titles
from ulproxy.pdu.items import RoleSelection, UserInformation
from ulproxy.policy.model import ApplicationEntity
from ulproxy.policy.rules import Answer, Forward, Peer, Policy, Reject

_CT_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
# An abstract syntax that stands for each service.
EXAMPLES: Final = {
    Service.ECHO: "1.2.840.10008.1.1",
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
_IMPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"


class Question(NamedTuple):
    """A call that somebody might make; titles are as the caller says them."""

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
        return Explanation(False, [f"refused: A-ASSOCIATE-RJ {answer}: {decision.text}"])
    if isinstance(decision, Answer):
        return _own(question)
    refusal = _refusal(policy, question, decision)
    lines = [refusal or _allowed(policy, question, decision), *_names(decision)]
    lines += _services(policy, decision.caller, decision.callee)
    if question.destination is not None and refusal is None:
        lines.append(_destination(policy, decision, question.destination))
    return Explanation(refusal is None, lines)


def _request(question: Question) -> AAssociateRQ:
    """An A-ASSOCIATE-RQ for the service, or for all of them."""
    wanted = list(Service) if question.service is None else [question.service]
    contexts = tuple(
        PresentationContextRQ(2 * n + 1, EXAMPLES[service], (_IMPLICIT_LITTLE_ENDIAN,))
        for n, service in enumerate(wanted)
    )
    roles = (RoleSelection(_CT_IMAGE_STORAGE, scu=True, scp=True),)
    information = UserInformation(roles=roles)
    return AAssociateRQ(titles(question.called, question.calling), contexts, information)


def _own(question: Question) -> Explanation:
    if question.service not in (None, Service.ECHO):
        text = f"refused: {question.called} is the relay itself, which answers echo only"
        return Explanation(False, [text])
    return Explanation(
        True, [f"allowed: {question.called} is the relay itself, which answers echo"]
    )


def _refusal(policy: Policy, question: Question, decision: Forward) -> str | None:
    """Why the service or the destination is refused on an association that is let through."""
    caller, callee = decision.caller, decision.callee
    service = question.service
    if service is not None and policy.may(caller, callee, service) is None:
        return f"refused: no rule lets {caller.name} use {service} of {callee.name}"
    if question.destination is None:
        return None
    if service not in (None, Service.MOVE):
        return f"refused: {service} has no destination; ask for --service move"
    if policy.move_destination(caller, callee, question.destination) is None:
        return (
            f"refused: C-MOVE-RSP A801H: no rule lets {caller.name} move from {callee.name}"
            f" to {question.destination}"
        )
    return None


def _allowed(policy: Policy, question: Question, decision: Forward) -> str:
    caller, callee = decision.caller, decision.callee
    if question.service is None:
        what = f"{caller.name} may call {callee.name}"
        rule = decision.rule
    else:
        what = f"{caller.name} may use {question.service} of {callee.name}"
        rule = policy.may(caller, callee, question.service)
    by = f" by rule {rule.number} (line {rule.line})" if rule is not None else ""
    return f"allowed{by}: {what}"


def _names(decision: Forward) -> Iterator[str]:
    caller, callee = decision.caller, decision.callee
    yield f"caller: {caller.name}, {caller.title} on network {caller.network}"
    yield f"callee: {callee.name}, {callee.title} on network {callee.network}, at {callee.address}"
    yield f"the callee sees: calling {decision.calling_ae_title}, called {decision.called_ae_title}"
    offered = ", ".join(
        sorted({s.value for c in decision.offered for s in possible_services(c.abstract_syntax)})
    )
    yield f"offered onward: contexts for {offered}"


def _services(
    policy: Policy, caller: ApplicationEntity, callee: ApplicationEntity
) -> Iterator[str]:
    for rule in policy.rules(caller, callee):
        names = ", ".join(service.value for service in Service if service in rule.services)
        yield f"rule {rule.number} (line {rule.line}): {names}"


def _destination(policy: Policy, decision: Forward, title: str) -> str:
    destination = policy.move_destination(decision.caller, decision.callee, title)
    if destination is None:
        raise AssertionError("refused before")
    shown = policy.names.shown(destination, decision.callee.network)
    return f"move destination: {title} is {destination.name}; the callee is told {shown}"
