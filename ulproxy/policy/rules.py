"""What the rules say: `decide` for an association, `may_send` for a message.

Pure functions of the configuration: `decide` is what the relay executes, what `ulproxy explain` prints and
what a test can ask without a socket. Whatever no rule allows is refused. A rule speaks of one AE that asks
another one for a service, so the same rules are asked for both directions of an association.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import product
from typing import Final, NamedTuple

from ulproxy.dimse.command import CommandField
from ulproxy.dimse.services import Service, names_aes, possible_services, service_of
from ulproxy.pdu.associate import AAssociateRQ, PresentationContextRQ
from ulproxy.pdu.items import RoleSelection
from ulproxy.pdu.types import (
    APPLICATION_CONTEXT_NAME,
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    NO_REASON,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    Rejection,
    Result,
)
from ulproxy.policy.model import ApplicationEntity, Config, Rule
from ulproxy.policy.names import Names, RelayItself

_LITTLE_ENDIAN: Final = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)


class Peer(NamedTuple):
    """Where an association comes from: the listener's network and the address of the caller."""

    network: str
    address: IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Forward:
    """The association goes to `callee`; what the callee is shown, and what the caller is refused."""

    caller: ApplicationEntity
    callee: ApplicationEntity
    calling_ae_title: str
    called_ae_title: str
    offered: tuple[PresentationContextRQ, ...]
    refused: dict[int, Result]
    rule: Rule | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The relay answers for itself: these contexts are for C-ECHO, the rest is refused."""

    caller: ApplicationEntity
    accepted: dict[int, str]


@dataclass(frozen=True, slots=True)
class Reject:
    """The association is rejected; `text` is for the log, the peer sees the three numbers only."""

    rejection: Rejection
    text: str


Decision = Forward | Answer | Reject


class Policy:
    """A configuration, ready to be asked."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.names = Names(config)
        self._by_name = {ae.name: ae for ae in config.aes}
        self._rules: dict[tuple[str, str], list[Rule]] = {}
        for rule in config.rules:
            for pair in product(rule.from_, rule.to):
                self._rules.setdefault(pair, []).append(rule)

    def ae(self, name: str) -> ApplicationEntity | None:
        """The AE of this name in the file."""
        return self._by_name.get(name)

    def rules(self, asking: ApplicationEntity, asked: ApplicationEntity) -> Iterator[Rule]:
        """The rules from one AE to another, in the order of the file."""
        found = {
            rule.number: rule
            for pair in product(asking.selectors, asked.selectors)
            for rule in self._rules.get(pair, ())
        }
        return (found[number] for number in sorted(found))

    def may(
        self, asking: ApplicationEntity, asked: ApplicationEntity, service: Service
    ) -> Rule | None:
        """The first rule by which `asking` may use `service` of `asked`."""
        return next((r for r in self.rules(asking, asked) if service in r.services), None)

    def may_send(
        self,
        sender: ApplicationEntity,
        receiver: ApplicationEntity,
        abstract_syntax: str,
        request: int,
    ) -> Rule | None:
        """The rule that lets a request pass; an N-EVENT-REPORT goes against the service it reports on."""
        service = service_of(abstract_syntax, request)
        if request == CommandField.N_EVENT_REPORT_RQ:
            reported = self.may(receiver, sender, service)
            return reported or self.may(sender, receiver, service)
        return self.may(sender, receiver, service)

    def move_destination(
        self, caller: ApplicationEntity, callee: ApplicationEntity, title: str
    ) -> ApplicationEntity | None:
        """The AE that `caller` calls `title`, if a rule lets it move there; None = A801H."""
        found = self.move_rule(caller, callee, title)
        return None if found is None else found[0]

    def move_rule(
        self, caller: ApplicationEntity, callee: ApplicationEntity, title: str
    ) -> tuple[ApplicationEntity, Rule] | None:
        """The same with the first rule that lets it."""
        destination = self.names.called(title, caller.network)
        if not isinstance(destination, ApplicationEntity) or destination.address is None:
            return None
        for rule in self.rules(caller, callee):
            if Service.MOVE in rule.services and _is_destination(rule, caller, destination):
                return destination, rule
        return None

    def no_destination(
        self, caller: ApplicationEntity, callee: ApplicationEntity, title: str
    ) -> str:
        """Why `move_rule` found nothing, for the log and for `ulproxy explain`."""
        destination = self.names.called(title, caller.network)
        if not isinstance(destination, ApplicationEntity):
            return f"{caller.name} knows no AE by the title {title}"
        if destination.address is None:
            return f"{destination.name} has no address: it only calls"
        return f"no rule lets {caller.name} move from {callee.name} to {destination.name}"

    def decide(
        self,
        request: AAssociateRQ,
        peer: Peer,
        moving_to: Callable[[str], Collection[str]] = lambda _: (),
    ) -> Decision:
        """What becomes of an association request.

        `moving_to` tells the AEs to which the calling AE, an archive, has been asked to move something.
        """
        if not request.protocol_version & 1:  # PS3.8 9.3.2: only bit 0 is tested
            return Reject(
                PROTOCOL_VERSION_NOT_SUPPORTED, f"version {request.protocol_version:04X}H"
            )
        if request.application_context_name != APPLICATION_CONTEXT_NAME:
            return Reject(APPLICATION_CONTEXT_NOT_SUPPORTED, "another application context")
        caller = self.caller(request.calling_ae_title, peer)
        if isinstance(caller, str):
            return Reject(CALLING_AE_TITLE_NOT_RECOGNIZED, caller)
        open_moves = moving_to(caller.name)
        called = self.names.called(request.called_ae_title, peer.network)
        if isinstance(called, RelayItself) and not _only_echo(request):
            called = self._sole_destination(open_moves, peer.network) or called
        if isinstance(called, RelayItself):
            return _answer(request, caller)
        if called is None:
            return Reject(CALLED_AE_TITLE_NOT_RECOGNIZED, "called title unknown")
        return self._forward(request, caller, called, is_destination=called.name in open_moves)

    def caller(self, title: str, peer: Peer) -> ApplicationEntity | str:
        """The AE that calls from there by this title, or why it is not let in (for the log alone)."""
        caller = self.names.caller(title, peer.network)
        if caller is None:
            return f"calling title unknown on network {peer.network}"
        if not any(peer.address in network for network in caller.sources):
            return f"{caller.name} does not call from {peer.address}"
        return caller

    def _sole_destination(
        self, open_moves: Collection[str], network: str
    ) -> ApplicationEntity | None:
        """The destination that the relay's own title stands for while something is moved to it alone."""
        aes = [ae for name in open_moves if (ae := self._by_name.get(name)) is not None]
        shared = [ae for ae in aes if self.names.shown(ae, network) == self.names.relay_title]
        return shared[0] if len(shared) == 1 else None

    def _forward(
        self,
        request: AAssociateRQ,
        caller: ApplicationEntity,
        callee: ApplicationEntity,
        *,
        is_destination: bool,
    ) -> Forward | Reject:
        services = {s for rule in self.rules(caller, callee) for s in rule.services}
        asked_back = {s for rule in self.rules(callee, caller) for s in rule.services}
        reachable = services or is_destination or Service.COMMITMENT in asked_back
        if callee.address is None or not reachable:
            text = f"no rule lets {caller.name} call {callee.name}"
            if callee.address is None:
                text = f"{callee.name} has no address: it only calls"
            return Reject(CALLED_AE_TITLE_NOT_RECOGNIZED, text)
        rights = _Rights(services, asked_back, is_destination, request.user_information.roles)
        offered, refused = rights.filter(request.presentation_contexts)
        if not offered:
            return Reject(NO_REASON, f"no presentation context allowed to {callee.name}")
        return Forward(
            caller,
            callee,
            calling_ae_title=self.names.shown(caller, callee.network),
            called_ae_title=callee.title,
            offered=tuple(offered),
            refused=refused,
            rule=next(self.rules(caller, callee), None),
        )


class _Rights:
    """What the rules allow on an association, in both directions."""

    def __init__(
        self,
        services: set[Service],
        asked_back: set[Service],
        is_destination: bool,
        roles: tuple[RoleSelection, ...],
    ) -> None:
        self._services = services
        if is_destination:  # a move also allows the C-STOREs it causes
            self._services = services | {Service.STORE}
        # An N-EVENT-REPORT comes the other way, on an association of its own if need be.
        self._reported = asked_back & {Service.COMMITMENT}
        self._served = asked_back | ({Service.STORE} if Service.GET in services else set())
        self._scp = {role.sop_class_uid for role in roles if role.scp}

    def filter(
        self, contexts: tuple[PresentationContextRQ, ...]
    ) -> tuple[list[PresentationContextRQ], dict[int, Result]]:
        """What is offered onward, and the result of the contexts that are not."""
        offered: list[PresentationContextRQ] = []
        refused: dict[int, Result] = {}
        for context in contexts:
            services = possible_services(context.abstract_syntax)
            if not self._allows(context.abstract_syntax, services):
                refused[context.context_id] = Result.USER_REJECTION
                continue
            syntaxes = context.transfer_syntaxes
            if names_aes(context.abstract_syntax):
                syntaxes = tuple(name for name in syntaxes if name in _LITTLE_ENDIAN)
            if syntaxes:
                offered.append(context._replace(transfer_syntaxes=syntaxes))
            else:
                refused[context.context_id] = Result.TRANSFER_SYNTAXES_NOT_SUPPORTED
        return offered, refused

    def _allows(self, abstract_syntax: str, services: frozenset[Service]) -> bool:
        if services & (self._services | self._reported):
            return True
        # PS3.7 D.3.3.4: the caller is SCP, as in C-GET, so it is the callee that asks
        return abstract_syntax in self._scp and bool(services & self._served)


def named_services(contexts: Iterable[PresentationContextRQ]) -> str:
    """What presentation contexts can be used for, in the words of the rules."""
    services = {s.value for c in contexts for s in possible_services(c.abstract_syntax)}
    return ", ".join(sorted(services))


def _is_destination(rule: Rule, caller: ApplicationEntity, destination: ApplicationEntity) -> bool:
    if rule.destinations is None:  # the caller itself, nobody else
        return destination is caller
    return not set(destination.selectors).isdisjoint(rule.destinations)


def _only_echo(request: AAssociateRQ) -> bool:
    """Archives may verify a destination before they send to it."""
    return all(
        possible_services(context.abstract_syntax) == {Service.ECHO}
        for context in request.presentation_contexts
    )


def _answer(request: AAssociateRQ, caller: ApplicationEntity) -> Answer | Reject:
    """PS3.4 annex A: the relay is a Verification SCP, in the first uncompressed syntax proposed."""
    accepted = {}
    for context_id, abstract_syntax, transfer_syntaxes in request.presentation_contexts:
        known = [name for name in transfer_syntaxes if name in _LITTLE_ENDIAN]
        if possible_services(abstract_syntax) == {Service.ECHO} and known:
            accepted[context_id] = known[0]
    if not accepted:
        return Reject(NO_REASON, "the relay itself answers C-ECHO only")
    return Answer(caller, accepted)
