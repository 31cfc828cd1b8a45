"""Operations under way: requests that passed and have not been answered finally (PS3.7 7.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ulproxy.dimse.command import CommandSet, Element
from ulproxy.relay.effects import Operation
from ulproxy.relay.store import OpenMove

_COUNTS: Final = (
    Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS,
    Element.NUMBER_OF_FAILED_SUB_OPERATIONS,
    Element.NUMBER_OF_WARNING_SUB_OPERATIONS,
)


class OpenOperation:
    """A request that passed. `retrieves` = a C-GET, which causes C-STOREs on the same association."""

    __slots__ = (
        "audited",
        "cancelled",
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
