"""Which presentation contexts of an association the rules allow, in both directions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from ulproxy.dimse.services import Service, names_aes, possible_services
from ulproxy.pdu.associate import PresentationContextRQ
from ulproxy.pdu.items import RoleSelection
from ulproxy.pdu.types import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Result,
)
from ulproxy.policy.model import Rule

LITTLE_ENDIAN: Final = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)
_FANNED: Final = frozenset(
    {Service.ECHO, Service.FIND, Service.WORKLIST, Service.MOVE, Service.GET}
)


class Filtered(NamedTuple):
    """What is offered onward, the result of the contexts that are not, and what no rule allows of it."""

    offered: tuple[PresentationContextRQ, ...]
    refused: dict[int, Result]
    observed: tuple[PresentationContextRQ, ...]


class Rights:
    """What the rules allow on an association: those from the caller to the callee, and those back."""

    def __init__(
        self,
        rules: Iterable[Rule],
        back: Iterable[Rule],
        is_destination: bool,
        roles: tuple[RoleSelection, ...],
    ) -> None:
        self._rules, self._back = tuple(rules), tuple(back)
        self._is_destination = is_destination
        services = {service for rule in self._rules for service in rule.services}
        asked_back = {service for rule in self._back for service in rule.services}
        self._services = services
        if is_destination:  # a move also allows the C-STOREs it causes
            self._services = services | {Service.STORE}
        # An N-EVENT-REPORT comes the other way, on an association of its own if need be.
        self._reported = asked_back & {Service.COMMITMENT}
        self._served = asked_back | ({Service.STORE} if Service.GET in services else set())
        self._scp = scp_of(roles)

    @property
    def is_any(self) -> bool:
        """Whether there is a reason to call at all; what the callee may ask for is none, a report is."""
        return bool(self._services or self._reported)

    def filter(
        self, contexts: Iterable[PresentationContextRQ], *, enforce: bool = True
    ) -> Filtered:
        """What becomes of the contexts; without `enforce` what no rule allows is offered all the same."""
        offered: list[PresentationContextRQ] = []
        refused: dict[int, Result] = {}
        observed: list[PresentationContextRQ] = []
        for context in contexts:
            allowed = self._allows(context.abstract_syntax)
            if enforce and not allowed:
                refused[context.context_id] = Result.USER_REJECTION
                continue
            syntaxes = context.transfer_syntaxes
            if names_aes(context.abstract_syntax):
                syntaxes = tuple(name for name in syntaxes if name in LITTLE_ENDIAN)
            if not syntaxes:
                refused[context.context_id] = Result.TRANSFER_SYNTAXES_NOT_SUPPORTED
                continue
            offered.append(context._replace(transfer_syntaxes=syntaxes))
            if not allowed:
                observed.append(context)
        return Filtered(tuple(offered), refused, tuple(observed))

    def grounds(self, offered: Iterable[PresentationContextRQ]) -> tuple[Rule | None, str]:
        """The first rule that lets one of these contexts through, or in words what else does.

        Neither for contexts that are offered because the rules are not enforced.
        """
        syntaxes = [context.abstract_syntax for context in offered]
        for rule in self._rules:
            if any(self._is_let_by(rule, syntax) for syntax in syntaxes):
                return rule, ""
        if self._is_destination and any(Service.STORE in possible_services(s) for s in syntaxes):
            return None, "an open C-MOVE"
        for rule in self._back:
            if any(self._is_let_back_by(rule, syntax) for syntax in syntaxes):
                return None, f"rule {rule.number} the other way"
        return None, ""

    def _allows(self, abstract_syntax: str) -> bool:
        services = possible_services(abstract_syntax)
        if services & (self._services | self._reported):
            return True
        # PS3.7 D.3.3.4: the caller is SCP, as in C-GET, so it is the callee that asks
        return abstract_syntax in self._scp and bool(services & self._served)

    def _is_let_by(self, rule: Rule, abstract_syntax: str) -> bool:
        services = possible_services(abstract_syntax)
        got = Service.GET in rule.services and abstract_syntax in self._scp
        return bool(services & rule.services) or (got and Service.STORE in services)

    def _is_let_back_by(self, rule: Rule, abstract_syntax: str) -> bool:
        services = possible_services(abstract_syntax) & rule.services
        return Service.COMMITMENT in services or (abstract_syntax in self._scp and bool(services))


def scp_of(roles: Iterable[RoleSelection]) -> frozenset[str]:
    """The SOP classes that the caller would be SCP of (PS3.7 D.3.3.4)."""
    return frozenset(role.sop_class_uid for role in roles if role.scp)


def fanned(
    contexts: Iterable[PresentationContextRQ], scp: frozenset[str]
) -> tuple[PresentationContextRQ, ...]:
    """What of it a group is offered: queries and retrieves, and storage where the caller is SCP (C-GET).

    Queries in one transfer syntax, implicit VR little endian if it is proposed, so that members agree.
    """
    kept = []
    for context in contexts:
        services = possible_services(context.abstract_syntax)
        if services & _FANNED:
            syntaxes = context.transfer_syntaxes
            syntax = next((t for t in LITTLE_ENDIAN if t in syntaxes), syntaxes[0])
            kept.append(context._replace(transfer_syntaxes=(syntax,)))
        elif Service.STORE in services and context.abstract_syntax in scp:
            kept.append(context)
    return tuple(kept)
