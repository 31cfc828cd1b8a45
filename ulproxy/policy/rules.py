"""What the rules say: `decide` for an association, `may_send` for a message.

Pure functions of the configuration: `decide` is what the relay executes, what `ulproxy explain` prints and
what a test can ask without a socket. Whatever no rule allows is refused; where rules are only observed it
passes, and is told, if it is known where to. A rule speaks of one AE that asks another one for a service,
so the same rules are asked for both directions of an association.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from itertools import product
from typing import Final

from ulproxy.dimse.command import CommandField
from ulproxy.dimse.services import Service, possible_services, service_of
from ulproxy.pdu.associate import AAssociateRQ
from ulproxy.pdu.memo import Memo
from ulproxy.pdu.types import (
    APPLICATION_CONTEXT_NAME,
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    NO_REASON,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    Result,
)
from ulproxy.policy.decision import (
    Answer,
    Decision,
    Fan,
    Forward,
    Peer,
    Reject,
    Shared,
    named_services,
    with_observed,
)
from ulproxy.policy.model import ApplicationEntity, Config, Group, Rule
from ulproxy.policy.names import Names
from ulproxy.policy.rights import LITTLE_ENDIAN, Rights, fanned, scp_of
from ulproxy.policy.values import UNKNOWN_PREFIX, normal_title

NO_MOVES: Final = frozenset[str]()
# A rule that names more on both sides is not found by pairs of them: of a thousand each they took 200 MB.
MOST_PAIRED: Final = 16
_OF_MANY: Final = (Fan, Shared)


class Policy:
    """A configuration, ready to be asked."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.names = Names(config)
        self.observes = not config.relay.enforce
        self._by_name = {ae.name: ae for ae in config.aes}
        self._places = {ae.name: place for place, ae in enumerate(config.aes)}
        self._groups: dict[str, list[str]] = {}
        for group in config.groups:
            for member in group.members:
                self._groups.setdefault(member, []).append(group.title)
        self._allowed = Memo[tuple[str, str, str, str, Service], Rule]()
        self._decisions = Memo[tuple[AAssociateRQ, str], Decision]()
        self._rules: dict[tuple[str, str], list[Rule]] = {}
        # By who asks, with those who are asked.
        self._broad: dict[str, list[tuple[Rule, frozenset[str]]]] = {}
        for rule in config.rules:
            if min(len(rule.from_), len(rule.to)) > MOST_PAIRED:
                asked = frozenset(rule.to)
                for selector in rule.from_:
                    self._broad.setdefault(selector, []).append((rule, asked))
                continue
            for pair in product(rule.from_, rule.to):
                self._rules.setdefault(pair, []).append(rule)

    def ae(self, name: str) -> ApplicationEntity | None:
        """The AE of this name in the file."""
        return self._by_name.get(name)

    def selectors(self, ae: ApplicationEntity) -> list[str]:
        """What rules may mean it by: its name, network, the groups that it is a member of, "*"."""
        return [*ae.selectors, *self._groups.get(ae.name, ())]

    def rules(self, asking: ApplicationEntity, asked: ApplicationEntity) -> Iterator[Rule]:
        """The rules from one AE to another, in the order of the file."""
        callers, callees = self.selectors(asking), self.selectors(asked)
        found = {
            rule.number: rule
            for pair in product(callers, callees)
            for rule in self._rules.get(pair, ())
        }
        if self._broad:
            found |= {
                rule.number: rule
                for selector in callers
                for rule, those in self._broad.get(selector, ())
                if not those.isdisjoint(callees)
            }
        return (found[number] for number in sorted(found))

    def may(
        self, asking: ApplicationEntity, asked: ApplicationEntity, service: Service
    ) -> Rule | None:
        """The first rule by which `asking` may use `service` of `asked`."""
        key = asking.name, asking.network, asked.name, asked.network, service
        rule = self._allowed.get(key)
        if rule is None:
            rule = next((r for r in self.rules(asking, asked) if service in r.services), None)
            if rule is not None:
                self._allowed.put(key, rule)
        return rule

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
        """The AE that `caller` calls `title`, if a rule lets it move there; None = A801H.

        Where rules are only observed: any that can be called. `move_rule` tells whether a rule lets it.
        """
        if self.observes:
            return self._callable(caller, title)
        found = self.move_rule(caller, callee, title)
        return None if found is None else found[0]

    def move_rule(
        self, caller: ApplicationEntity, callee: ApplicationEntity, title: str
    ) -> tuple[ApplicationEntity, Rule] | None:
        """The same with the first rule that lets it."""
        destination = self._callable(caller, title)
        if destination is None:
            return None
        for rule in self.rules(caller, callee):
            if Service.MOVE in rule.services and self._is_destination(rule, caller, destination):
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
        if isinstance(caller, ApplicationEntity):
            return self._remembered(request, caller, moving_to(caller.name))
        rejection = Reject(CALLING_AE_TITLE_NOT_RECOGNIZED, caller)
        stranger = self._stranger(request.calling_ae_title, peer) if self.observes else None
        if stranger is None:
            return rejection
        decision = self._decide(request, stranger, moving_to(stranger.name))
        if isinstance(decision, Reject):  # for another reason, of which a stranger learns nothing
            return rejection
        return with_observed(decision, caller)

    def _remembered(
        self, request: AAssociateRQ, caller: ApplicationEntity, open_moves: Collection[str]
    ) -> Decision:
        """The same device asks for the same again and again; what an archive is let do depends on moves.

        What names many AEs is not kept: a hundred thousand may stand behind the relay's own title.
        """
        if open_moves or not request.is_memorable:
            return self._decide(request, caller, open_moves)
        decision = self._decisions.get((request, caller.name))
        if decision is None:
            decision = self._decide(request, caller, open_moves)
            if not isinstance(decision, _OF_MANY):
                self._decisions.put((request, caller.name), decision)
        return decision

    def _decide(
        self, request: AAssociateRQ, caller: ApplicationEntity, open_moves: Collection[str]
    ) -> Decision:
        """Whom the called title means, and what of the request may go there."""
        called = self.names.called(request.called_ae_title, caller.network)
        if isinstance(called, ApplicationEntity):
            return self._forward(request, caller, called, is_destination=called.name in open_moves)
        if request.called_ae_title != self.names.relay_title:
            if isinstance(called, Group):
                return self._fan(request, caller, called)
            return Reject(CALLED_AE_TITLE_NOT_RECOGNIZED, "called title unknown")
        if not _only_echo(request):
            if (shared := self._shared(request, caller, open_moves)) is not None:
                return shared
            if isinstance(called, Group):
                return self._fan(request, caller, called)
        return _answer(request, caller)

    def destination(
        self, request: AAssociateRQ, archive: ApplicationEntity, ae: ApplicationEntity
    ) -> Forward | Reject:
        """How an association of an archive goes on to an AE that something is moved to."""
        return self._forward(request, archive, ae, is_destination=True)

    def caller(self, title: str, peer: Peer) -> ApplicationEntity | str:
        """The AE that calls from there by this title, or why it is not let in (for the log alone)."""
        caller = self.names.caller(title, peer.network)
        if caller is None:
            return f"calling title unknown on network {peer.network}"
        if not any(peer.address in network for network in caller.sources):
            return f"{caller.name} does not call from {peer.address}"
        presented = peer.certificate
        if presented is None or caller.certificate in (None, *presented):
            return caller
        return f"{caller.name} presents {'another' if presented else 'no'} certificate"

    def _stranger(self, title: str, peer: Peer) -> ApplicationEntity | None:
        """The AE that is not let in: from elsewhere than the file says, or one that is not in the file."""
        if (known := self.names.caller(title, peer.network)) is not None:
            return known
        try:
            title = normal_title(title)
        except ValueError:
            return None
        return ApplicationEntity(
            title=title,
            network=peer.network,
            address=None,
            sources=(),
            alias=None,
            name=UNKNOWN_PREFIX + title,
            omit=frozenset(),
            associations=None,
        )

    def _callable(self, caller: ApplicationEntity, title: str) -> ApplicationEntity | None:
        """The AE that `caller` calls `title`, if it has an address."""
        ae = self.names.called(title, caller.network)
        return ae if isinstance(ae, ApplicationEntity) and ae.address is not None else None

    def _shared(
        self, request: AAssociateRQ, archive: ApplicationEntity, open_moves: Collection[str]
    ) -> Shared | None:
        """Whom the relay's own title stands for while something is moved behind it; None = nobody."""
        reports = any(_is_commitment(c.abstract_syntax) for c in request.presentation_contexts)
        aes = self.config.aes
        if not reports:  # as for nearly all of them: there may be a hundred thousand
            moving = self._places.keys() & open_moves
            aes = tuple(aes[place] for place in sorted(map(self._places.__getitem__, moving)))
        hidden = [ae for ae in aes if self.names.is_hidden(ae, archive.network)]
        candidates, reported = [], []
        for ae in hidden:
            moved = ae.name in open_moves
            asks = reports and (
                self.observes or self.may(ae, archive, Service.COMMITMENT) is not None
            )
            if not moved and not asks:
                continue
            decision = self._forward(request, archive, ae, is_destination=moved)
            if isinstance(decision, Forward):
                candidates += [decision] * moved
                reported += [decision] * asks
        if not candidates and not reported:
            return None
        return Shared(archive, tuple(candidates), tuple(reported))

    def _fan(self, request: AAssociateRQ, caller: ApplicationEntity, group: Group) -> Fan | Reject:
        """A query to all members that the caller may query."""
        asked = fanned(request.presentation_contexts, scp_of(request.user_information.roles))
        narrowed = replace(request, presentation_contexts=asked)
        members: list[Forward] = []
        left_out: list[str] = []
        rejection = Reject(
            CALLED_AE_TITLE_NOT_RECOGNIZED,
            f"no rule lets {caller.name} call a member of {group.title} that has an address",
        )
        for member in (self._by_name[name] for name in group.members):
            if member is caller:
                left_out.append(f"{caller.name} is the caller itself")
                continue
            decision = self._forward(narrowed, caller, member, is_destination=False)
            if isinstance(decision, Forward):
                members.append(decision)
                continue
            left_out.append(decision.text)
            if decision.rejection == NO_REASON:
                rejection = decision
        if not members:
            if not asked and rejection.rejection == NO_REASON:
                return Reject(NO_REASON, "a group is queried and retrieved from, no more")
            return rejection
        offered = {c.context_id for member in members for c in member.offered}
        refused = {
            c.context_id: max(m.refused.get(c.context_id, Result.USER_REJECTION) for m in members)
            for c in request.presentation_contexts
            if c.context_id not in offered
        }
        return Fan(caller, group, tuple(members), refused, tuple(left_out))

    def _is_destination(
        self, rule: Rule, caller: ApplicationEntity, destination: ApplicationEntity
    ) -> bool:
        if rule.destinations is None:  # the caller itself, nobody else
            return destination is caller
        return not set(self.selectors(destination)).isdisjoint(rule.destinations)

    def _forward(
        self,
        request: AAssociateRQ,
        caller: ApplicationEntity,
        callee: ApplicationEntity,
        *,
        is_destination: bool,
    ) -> Forward | Reject:
        roles = request.user_information.roles
        rules, back = self.rules(caller, callee), self.rules(callee, caller)
        rights = Rights(rules, back, is_destination, roles)
        if callee.address is None:
            text = f"{callee.name} has no address: it only calls"
            return Reject(CALLED_AE_TITLE_NOT_RECOGNIZED, text)
        no_rule = f"no rule lets {caller.name} call {callee.name}"
        if not rights.is_any and not self.observes:
            return Reject(CALLED_AE_TITLE_NOT_RECOGNIZED, no_rule)
        offered, refused, unruled = rights.filter(
            request.presentation_contexts, enforce=not self.observes
        )
        observed: tuple[str, ...] = ()
        if unruled:
            services = f"no rule lets {caller.name} use {named_services(unruled)} of {callee.name}"
            observed = (services if rights.is_any else no_rule,)
        if not offered:
            return Reject(NO_REASON, f"no presentation context allowed to {callee.name}")
        rule, because = rights.grounds(offered)
        return Forward(
            caller,
            callee,
            calling_ae_title=self.names.shown(caller, callee.network),
            called_ae_title=callee.title,
            offered=offered,
            refused=refused,
            rule=rule,
            observed=observed,
            because=because,
        )


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
        known = [name for name in transfer_syntaxes if name in LITTLE_ENDIAN]
        if possible_services(abstract_syntax) == {Service.ECHO} and known:
            accepted[context_id] = known[0]
    if not accepted:
        return Reject(NO_REASON, "the relay itself answers C-ECHO only")
    return Answer(caller, accepted)


def _is_commitment(abstract_syntax: str) -> bool:
    return Service.COMMITMENT in possible_services(abstract_syntax)
