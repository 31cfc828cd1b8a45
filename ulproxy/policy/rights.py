"""Which presentation contexts of an association the rules allow, in both directions."""

from __future__ import annotations

from typing import Final

from ulproxy.dimse.services import Service, names_aes, possible_services
from ulproxy.pdu.associate import PresentationContextRQ
from ulproxy.pdu.items import RoleSelection
from ulproxy.pdu.types import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Result,
)

LITTLE_ENDIAN: Final = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)
_FANNED: Final = frozenset(
    {Service.ECHO, Service.FIND, Service.WORKLIST, Service.MOVE, Service.GET}
)


class Rights:
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
                syntaxes = tuple(name for name in syntaxes if name in LITTLE_ENDIAN)
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


def fanned(
    offered: tuple[PresentationContextRQ, ...], scp: set[str]
) -> tuple[PresentationContextRQ, ...]:
    """What of it a group is offered: queries and retrieves, and storage where the caller is SCP (C-GET).

    Queries in one transfer syntax, implicit VR little endian if it is proposed, so that members agree.
    """
    kept = []
    for context in offered:
        services = possible_services(context.abstract_syntax)
        if services & _FANNED:
            syntaxes = context.transfer_syntaxes
            syntax = next((t for t in LITTLE_ENDIAN if t in syntaxes), syntaxes[0])
            kept.append(context._replace(transfer_syntaxes=(syntax,)))
        elif Service.STORE in services and context.abstract_syntax in scp:
            kept.append(context)
    return tuple(kept)
