"""`decide` once more, by brute force: every question is asked of every rule and every AE.

No table is built and nothing is shared with ulproxy.policy but the values; services come from the test's own
table of abstract syntaxes.
"""

from __future__ import annotations

from collections.abc import Collection

from tests.policy.border import EXPLICIT, IMPLICIT, SYNTAXES, UNHEARD_OF
from ulproxy.dimse.services import Service
from ulproxy.pdu.associate import AAssociateRQ
from ulproxy.policy.decision import Answer, Decision, Forward, Peer, Reject, Shared
from ulproxy.policy.model import ApplicationEntity, Config

SERVICE_OF = {syntax: {service} for service, syntax in SYNTAXES.items()}
SERVICE_OF[UNHEARD_OF] = {Service.STORE, Service.OTHER}
MAPPED = {Service.FIND, Service.WORKLIST, Service.MPPS, Service.COMMITMENT, Service.UPS}
Plain = tuple[object, ...]


def plain(decision: Decision) -> Plain:
    """A decision without its texts and without the number of its rule."""
    if isinstance(decision, Reject):
        return ("reject", tuple(decision.rejection))
    if isinstance(decision, Answer):
        return ("answer", decision.caller.name, sorted(decision.accepted.items()))
    if isinstance(decision, Shared):
        parts = ([plain(one) for one in part] for part in (decision.candidates, decision.reported))
        return ("shared", decision.caller.name, *parts)
    assert isinstance(decision, Forward)
    return (
        "forward",
        (decision.caller.name, decision.callee.name),
        (decision.calling_ae_title, decision.called_ae_title),
        [(c.context_id, c.abstract_syntax, c.transfer_syntaxes) for c in decision.offered],
        sorted((context_id, int(result)) for context_id, result in decision.refused.items()),
        decision.rule and decision.rule.line,
    )


def judged(
    config: Config, request: AAssociateRQ, peer: Peer, moving_to: Collection[str] = ()
) -> Plain:
    """What `plain` should say."""
    for caller in config.aes:
        known = (caller.title, caller.network) == (request.calling_ae_title, peer.network)
        if known and any(peer.address in source for source in caller.sources):
            break
    else:
        return ("reject", (1, 1, 3))
    callee = meant(config, request.called_ae_title, peer.network)
    only_echo = all(
        c.abstract_syntax == SYNTAXES[Service.ECHO] for c in request.presentation_contexts
    )
    if callee == "relay" and not only_echo and (said := shared(config, request, caller, moving_to)):
        return said
    if callee == "relay":
        return answered(request, caller)
    if not isinstance(callee, ApplicationEntity) or callee.address is None:
        return ("reject", (1, 1, 7))
    return forwarded(config, request, caller, callee, moved=callee.name in moving_to)


def meant(config: Config, title: str, network: str) -> ApplicationEntity | str:
    own = [ae for ae in config.aes if ae.title == title and ae.network == network]
    others = [ae for ae in config.aes if ae.alias == title and ae.network != network]
    relay = ["relay"] if title == config.relay.title else []
    found: list[ApplicationEntity | str] = [*own, *others, *relay, "nobody"]
    return found[0]


def title_on(config: Config, ae: ApplicationEntity, network: str) -> str:
    if ae.network == network:
        return ae.title
    return config.relay.title if ae.alias is None else ae.alias


def answered(request: AAssociateRQ, caller: ApplicationEntity) -> Plain:
    accepted = []
    for context_id, abstract_syntax, transfer_syntaxes in request.presentation_contexts:
        for syntax in transfer_syntaxes:
            if abstract_syntax == SYNTAXES[Service.ECHO] and syntax in (IMPLICIT, EXPLICIT):
                accepted.append((context_id, syntax))
                break
    return ("answer", caller.name, accepted) if accepted else ("reject", (1, 1, 1))


def shared(
    config: Config, request: AAssociateRQ, archive: ApplicationEntity, moving_to: Collection[str]
) -> Plain | None:
    """Those that the archive knows by the relay's title: moved to, or waiting for a report."""
    reports = any(
        c.abstract_syntax == SYNTAXES[Service.COMMITMENT] for c in request.presentation_contexts
    )
    candidates, reported = [], []
    for ae in config.aes:
        known_as = title_on(config, ae, archive.network)
        if ae.network == archive.network or known_as != config.relay.title:
            continue
        moved = ae.name in moving_to
        said = forwarded(config, request, archive, ae, moved=moved)
        if said[0] == "forward" and moved:
            candidates.append(said)
        asks = reports and lines_allowing(config, ae, archive, Service.COMMITMENT)
        if said[0] == "forward" and asks:
            reported.append(said)
    return ("shared", archive.name, candidates, reported) if candidates or reported else None


def lines_allowing(
    config: Config, asking: ApplicationEntity, asked: ApplicationEntity, service: Service | None
) -> list[int]:
    """The lines of the rules that let one ask the other for the service; None = for anything."""
    found = []
    for rule in config.rules:
        from_ = {"*", f"network:{asking.network}", asking.name} & set(rule.from_)
        to = {"*", f"network:{asked.network}", asked.name} & set(rule.to)
        if from_ and to and (service is None or service in rule.services):
            found.append(rule.line)
    return found


def forwarded(
    config: Config,
    request: AAssociateRQ,
    caller: ApplicationEntity,
    callee: ApplicationEntity,
    *,
    moved: bool,
) -> Plain:
    def there(service: Service | None) -> bool:
        return bool(lines_allowing(config, caller, callee, service))

    def back(service: Service) -> bool:
        return bool(lines_allowing(config, callee, caller, service))

    if not (there(None) or moved or back(Service.COMMITMENT)):
        return ("reject", (1, 1, 7))
    offered, refused = [], []
    scp = [role.sop_class_uid for role in request.user_information.roles if role.scp]
    for context_id, syntax, proposed in request.presentation_contexts:
        services, transfer = SERVICE_OF[syntax], proposed
        allowed = any(
            there(service)
            or (service is Service.COMMITMENT and back(service))
            or (syntax in scp and back(service))
            or (service is Service.STORE and (moved or (syntax in scp and there(Service.GET))))
            for service in services
        )
        if services & MAPPED:
            transfer = tuple(name for name in transfer if name in (IMPLICIT, EXPLICIT))
        if not allowed:
            refused.append((context_id, 1))
        elif not transfer:
            refused.append((context_id, 4))
        else:
            offered.append((context_id, syntax, transfer))
    if not offered:
        return ("reject", (1, 1, 1))
    titles = (title_on(config, caller, callee.network), callee.title)
    lines = [
        line
        for _, syntax, _ in offered
        for service in SERVICE_OF[syntax]
        for line in lines_allowing(config, caller, callee, service)
    ]
    if any(syntax in scp and Service.STORE in SERVICE_OF[syntax] for _, syntax, _ in offered):
        lines += lines_allowing(config, caller, callee, Service.GET)
    line = min(lines, default=None)
    return ("forward", (caller.name, callee.name), titles, offered, refused, line)
