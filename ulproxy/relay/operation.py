"""Operations under way: requests that passed and have not been answered finally (PS3.7 7.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ulproxy.dimse.command import CommandSet, Element
from ulproxy.dimse.services import service_of
from ulproxy.relay.effects import Operation, printable
from ulproxy.relay.store import OpenMove
from ulproxy.relay.tally import Operations

_COUNTS: Final = (
    Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS,
    Element.NUMBER_OF_FAILED_SUB_OPERATIONS,
    Element.NUMBER_OF_WARNING_SUB_OPERATIONS,
)


class OpenOperation:
    """A request that passed. `retrieves` = a C-GET, which causes C-STOREs on the same association."""

    __slots__ = (
        "audited",
        "began",
        "cancelled",
        "counted",
        "matches",
        "message_id",
        "move",
        "octets",
        "onward_message_id",
        "request",
        "retrieves",
    )

    def __init__(
        self,
        message_id: int,
        onward_message_id: int,
        request: int,
        move: OpenMove | None,
        retrieves: bool,
    ) -> None:
        self.message_id = message_id
        self.onward_message_id = onward_message_id
        self.request = request
        self.move = move
        self.retrieves = retrieves
        self.cancelled = False
        self.octets = 0
        self.matches = 0
        self.audited: Operation | None = None  # how it began, where somebody wants to know
        self.counted: Operations | None = None  # likewise, and when by the clock of the tally
        self.began = 0.0

    def answered_by(self, response: CommandSet) -> bool:
        """Whether a response of the AE that was asked is one to this request."""
        return self.onward_message_id == response.message_id and self.request == response.request


def described(
    command: CommandSet,
    abstract_syntax: str,
    transfer_syntax: str,
    asking: str,
    asked: str,
    began: float,
) -> Operation:
    """What the audit trail has of a request from the beginning; AEs by name, `began` in seconds."""
    sop_class, sop_instance = (
        command.text(affected) or command.text(requested)
        for affected, requested in (
            (Element.AFFECTED_SOP_CLASS_UID, Element.REQUESTED_SOP_CLASS_UID),
            (Element.AFFECTED_SOP_INSTANCE_UID, Element.REQUESTED_SOP_INSTANCE_UID),
        )
    )
    return Operation(
        service=service_of(abstract_syntax, command.request),
        request=command.request,
        asking=asking,
        asked=asked,
        message_id=command.message_id,
        sop_class=printable(sop_class),
        sop_instance=printable(sop_instance),
        status=None,
        began=began,
        transfer_syntax=transfer_syntax,
    )


class Auditor:
    """Reports the operations of one association when they are over."""

    def __init__(self, clock: Callable[[], float], report: Callable[[Operation], None]) -> None:
        self.clock = clock
        self._report = report

    def refused(self, operation: Operation) -> None:
        """The relay has answered it."""
        self._report(operation)

    def ended(self, operation: OpenOperation, final: CommandSet | None) -> None:
        """The final response came; None = the association ended before."""
        began = operation.audited
        if began is None:
            return
        status, counts = None, None
        if final is not None:
            status = final.unsigned(Element.STATUS)
            if any(element in final for element in _COUNTS):
                completed, failed, warning = (final.unsigned(element) for element in _COUNTS)
                counts = (completed, failed, warning)
        self._report(
            replace(
                began,
                status=status,
                octets=operation.octets,
                matches=operation.matches,
                sub_operations=counts,
            )
        )
