"""`decide` once more, by brute force: every question is asked of every rule and every AE.

No table is built and nothing is shared with ulproxy.policy but the values; services come from the test's own
table of abstract syntaxes.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from tests.policy.border import EXPLICIT, IMPLICIT, SYNTAXES, UNHEARD_OF, ae
from ulproxy.dimse.services import Service
from ulproxy.pdu.associate import AAssociateRQ
from ulproxy.policy.decision import Answer, Decision, Fan, Peer, Reject, Shared
from ulproxy.policy.model import ApplicationEntity, Config, Group

SERVICE_OF = {syntax: {service} for service, syntax in SYNTAXES.items()}
SERVICE_OF[UNHEARD_OF] = {Service.STORE, Service.OTHER}
MAPPED = {Service.FIND, Service.WORKLIST, Service.MPPS, Service.COMMITMENT, Service.UPS}
OF_GROUPS = {Service.ECHO, Service.FIND, Service.WORKLIST, Service.MOVE, Service.GET}
Plain = tuple[object, ...]


def plain(decision: Decision) -> Plain:
    """A decision without the texts for the log, but for what was observed of the rules."""
    if isinstance(decision, Reject):
        return ("reject", tuple(decision.rejection))
    if isinstance(decision, Answer):
        told = _told(decision.observed)
        return ("answer", decision.caller.name, sorted(decision.accepted.items()), told)
    if isinstance(decision, Shared):
        parts = ([plain(one) for one in part] for part in (decision.candidates, decision.reported))
        return ("shared", decision.caller.name, *parts)
    if isinstance(decision, Fan):
        members = [plain(one) for one in decision.members]
        refused = sorted((number, int(result)) for number, result in decision.refused.items())
        return ("fan", decision.caller.name, decision.group.title, members, refused)
    return (
        "forward",
        (decision.caller.name, decision.callee.name),
        (decision.calling_ae_title, decision.called_ae_title),
        [(c.context_id, c.abstract_syntax, c.transfer_syntaxes) for c in decision.offered],
        sorted((context_id, int(result)) for context_id, result in decision.refused.items()),
        _told(decision.observed),
        decision.rule and decision.rule.line,
    )


def _told(observed: tuple[str, ...]) -> list[str]:
    return [text if text.startswith("no rule lets") else "the caller" for text in observed]


def judged(
    config: Config, request: AAssociateRQ, peer: Peer, moving_to: Collection[str] = ()
) -> Plain:
    """What `plain` should say."""
    caller, let_in = calling(config, request.calling_ae_title, peer)
    if caller is None or (config.relay.enforce and not let_in):
        return ("reject", (1, 1, 3))
    said = routed(config, request, caller, moving_to)
    if let_in:
        return said
    return ("reject", (1, 1, 3)) if said[0] == "reject" else told_of_the_caller(said)


def calling(config: Config, title: str, peer: Peer) -> tuple[ApplicationEntity | None, bool]:
    """Who calls, and whether it is let in; somebody where the title is one that an AE could have."""
    for one in config.aes:
        if (one.title, one.network) == (title, peer.network):
            here = any(peer.address in source for source in one.sources)
            presents = peer.certificate is None or one.certificate in {None, *peer.certificate}
            return one, here and presents
    if not re.fullmatch(r"[A-Z0-9_]{1,16}", title):
        return None, False
    return ae(title, peer.network, None, sources=[], name=f"unknown:{title}"), False


def told_of_the_caller(said: Plain) -> Plain:
    def more(one: object) -> object:
        if isinstance(one, tuple) and one[:1] == ("forward",):
            return (*one[:5], ["the caller", *one[5]], one[6])
        return [more(each) for each in one] if isinstance(one, list) else one

    if said[0] == "answer":
        return (*said[:3], ["the caller"])
    if said[0] == "forward":
        return more(said)  # type: ignore[return-value]
    return tuple(map(more, said))


def routed(
    config: Config, request: AAssociateRQ, caller: ApplicationEntity, moving_to: Collection[str]
) -> Plain:
    callee = meant(config, request.called_ae_title, caller.network)
    if isinstance(callee, ApplicationEntity):
        return forwarded(config, request, caller, callee, moved=callee.name in moving_to)
    if callee == "nobody":
        return ("reject", (1, 1, 7))
    if request.called_ae_title == config.relay.title:
        if {c.abstract_syntax for c in request.presentation_contexts} == {SYNTAXES[Service.ECHO]}:
            return answered(request, caller)
        if (said := shared(config, request, caller, moving_to)) is not None:
            return said
    if isinstance(callee, Group):
        return fanned(config, request, caller, callee)
    return answered(request, caller)


def meant(config: Config, title: str, network: str) -> ApplicationEntity | Group | str:
    own = [one for one in config.aes if one.title == title and one.network == network]
    others = [one for one in config.aes if one.alias == title and one.network != network]
    groups = [group for group in config.groups if group.title == title]
    relay = ["relay"] if title == config.relay.title else []
    found: list[ApplicationEntity | Group | str] = [*own, *others, *groups, *relay, "nobody"]
    return found[0]


def title_on(config: Config, one: ApplicationEntity, network: str) -> str:
    if one.network == network:
        return one.title
    return config.relay.title if one.alias is None else one.alias


def answered(request: AAssociateRQ, caller: ApplicationEntity) -> Plain:
    accepted = []
    for context_id, abstract_syntax, transfer_syntaxes in request.presentation_contexts:
        for syntax in transfer_syntaxes:
            if abstract_syntax == SYNTAXES[Service.ECHO] and syntax in (IMPLICIT, EXPLICIT):
                accepted.append((context_id, syntax))
                break
    return ("answer", caller.name, accepted, []) if accepted else ("reject", (1, 1, 1))


def shared(
    config: Config, request: AAssociateRQ, archive: ApplicationEntity, moving_to: Collection[str]
) -> Plain | None:
    """Those that the archive knows by the relay's title: moved to, or waiting for a report."""
    reports = any(
        c.abstract_syntax == SYNTAXES[Service.COMMITMENT] for c in request.presentation_contexts
    )
    candidates, reported = [], []
    for one in config.aes:
        known_as = title_on(config, one, archive.network)
        if one.network == archive.network or known_as != config.relay.title:
            continue
        moved = one.name in moving_to
        said = forwarded(config, request, archive, one, moved=moved)
        if said[0] == "forward" and moved:
            candidates.append(said)
        asks = lines_allowing(config, one, archive, Service.COMMITMENT) or not config.relay.enforce
        if said[0] == "forward" and reports and asks:
            reported.append(said)
    return ("shared", archive.name, candidates, reported) if candidates or reported else None


def fanned(config: Config, request: AAssociateRQ, caller: ApplicationEntity, group: Group) -> Plain:
    """To every member but the caller; why nobody is reached, if it is a matter of contexts."""
    said = [
        forwarded(config, request, caller, one, moved=False, of_group=True)
        for name in group.members
        for one in config.aes
        if one.name == name != caller.name
    ]
    members = [one for one in said if one[0] == "forward"]
    if not members:
        return ("reject", (1, 1, 1) if ("reject", (1, 1, 1)) in said else (1, 1, 7))
    offered = {context[0] for one in members for context in one[3]}  # type: ignore[attr-defined]
    syntax = {number for one in members for number, why in one[4] if why == 4}  # type: ignore[attr-defined]
    refused = [
        (c.context_id, 4 if c.context_id in syntax else 1)
        for c in request.presentation_contexts
        if c.context_id not in offered
    ]
    return ("fan", caller.name, group.title, members, refused)


def lines_allowing(
    config: Config, asking: ApplicationEntity, asked: ApplicationEntity, service: Service | None
) -> list[int]:
    """The lines of the rules that let one ask the other for the service; None = for anything."""
    return [
        rule.line
        for rule in config.rules
        if names_of(config, asking) & set(rule.from_) and names_of(config, asked) & set(rule.to)
        if service is None or service in rule.services
    ]


def names_of(config: Config, one: ApplicationEntity) -> set[str]:
    groups = {group.title for group in config.groups if one.name in group.members}
    return {"*", f"network:{one.network}", one.name} | groups


def forwarded(
    config: Config,
    request: AAssociateRQ,
    caller: ApplicationEntity,
    callee: ApplicationEntity,
    *,
    moved: bool,
    of_group: bool = False,
) -> Plain:
    reason = moved or lines_allowing(config, caller, callee, None)
    reason = reason or lines_allowing(config, callee, caller, Service.COMMITMENT)
    if callee.address is None or (config.relay.enforce and not reason):
        return ("reject", (1, 1, 7))
    offered, refused = [], []
    unruled: set[Service] = set()
    scp = {role.sop_class_uid for role in request.user_information.roles if role.scp}
    for context_id, syntax, proposed in request.presentation_contexts:
        transfer = in_a_group(syntax, proposed, scp) if of_group else proposed
        if transfer is None:
            continue
        allowed = is_allowed(config, caller, callee, syntax, syntax in scp, moved)
        if SERVICE_OF[syntax] & MAPPED:
            transfer = tuple(name for name in transfer if name in (IMPLICIT, EXPLICIT))
        if config.relay.enforce and not allowed:
            refused.append((context_id, 1))
        elif not transfer:
            refused.append((context_id, 4))
        else:
            offered.append((context_id, syntax, transfer))
            unruled |= set() if allowed else SERVICE_OF[syntax]
    if not offered:
        return ("reject", (1, 1, 1))
    what = f"use {', '.join(sorted(unruled))} of" if reason else "call"
    told = [f"no rule lets {caller.name} {what} {callee.name}"] if unruled else []
    titles = (title_on(config, caller, callee.network), callee.title)
    line = first_line(config, caller, callee, [syntax for _, syntax, _ in offered], scp)
    return ("forward", (caller.name, callee.name), titles, offered, refused, told, line)


def in_a_group(syntax: str, proposed: tuple[str, ...], scp: set[str]) -> tuple[str, ...] | None:
    """The transfer syntaxes that members are offered; None = this context is not for groups."""
    if SERVICE_OF[syntax] & OF_GROUPS:
        return tuple(sorted(proposed, key=[IMPLICIT, EXPLICIT, *proposed].index)[:1])
    return proposed if Service.STORE in SERVICE_OF[syntax] and syntax in scp else None


def is_allowed(
    config: Config,
    caller: ApplicationEntity,
    callee: ApplicationEntity,
    syntax: str,
    is_scp: bool,
    moved: bool,
) -> bool:
    def there(service: Service) -> bool:
        return bool(lines_allowing(config, caller, callee, service))

    def back(service: Service) -> bool:
        return bool(lines_allowing(config, callee, caller, service))

    return any(
        there(service)
        or (service is Service.COMMITMENT and back(service))
        or (is_scp and back(service))
        or (service is Service.STORE and (moved or (is_scp and there(Service.GET))))
        for service in SERVICE_OF[syntax]
    )


def first_line(
    config: Config,
    caller: ApplicationEntity,
    callee: ApplicationEntity,
    syntaxes: list[str],
    scp: set[str],
) -> int | None:
    """Of the rules by which one of these may pass."""
    services = {service for syntax in syntaxes for service in SERVICE_OF[syntax]}
    if any(syntax in scp and Service.STORE in SERVICE_OF[syntax] for syntax in syntaxes):
        services.add(Service.GET)
    lines = [
        line for service in services for line in lines_allowing(config, caller, callee, service)
    ]
    return min(lines, default=None)
