"""Instances stored on one association, together: a study of a thousand images is not a thousand messages.

A batch is of one SOP class, one direction and one outcome (PS3.15 A.5.2: one message never has both what
succeeded and what failed). It is over when it is full, after `MAX_AGE`, or with its association.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ulproxy.watch.audit_events import Transfer
from ulproxy.watch.audit_message import Outcome, SopClass

# UIDs of 64 characters make 9 KiB of it; a repository has to take 32 KiB (PS3.15 A.6).
MAX_INSTANCES: Final = 100
MAX_AGE: Final = timedelta(minutes=5)
# Of one association: SOP classes are the peer's to choose, one for each instance if it likes.
MAX_BATCHES: Final = 32


class Kind(NamedTuple):
    """What instances of a batch have in common."""

    transfer: Transfer
    sop_class: str
    outcome: Outcome
    rule: int | None


@dataclass(slots=True)
class Batch:
    """Instances so far; `moment` is when the last one was over, `octets` those of their data sets."""

    began: datetime
    moment: datetime
    number: int = 0
    octets: int = 0
    instances: list[str] = field(default_factory=list)

    def sop_class(self, uid: str) -> SopClass:
        """As the message has it."""
        return SopClass(uid, self.number, tuple(self.instances))


class Batches:
    """The batches of all associations; `send` gets the association's id with each that is over."""

    def __init__(self, send: Callable[[str, Kind, Batch], None]) -> None:
        self._send = send
        self._open: dict[str, dict[Kind, Batch]] = {}

    def add(self, association: str, kind: Kind, instance: str, octets: int, now: datetime) -> None:
        """One more instance; its UID may be empty."""
        batches = self._open.setdefault(association, {})
        if kind not in batches and len(batches) >= MAX_BATCHES:
            self._over(association, next(iter(batches)))
        batch = batches.setdefault(kind, Batch(now, now))
        batch.moment = now
        batch.number += 1
        batch.octets += octets
        if instance:
            batch.instances.append(instance)
        if batch.number >= MAX_INSTANCES:
            self._over(association, kind)

    def ended(self, association: str) -> None:
        """The association is over."""
        for kind in list(self._open.get(association, ())):
            self._over(association, kind)
        self._open.pop(association, None)

    def sweep(self, now: datetime, *, everything: bool = False) -> None:
        """Sends what has waited long enough."""
        over = [
            (association, kind)
            for association, batches in self._open.items()
            for kind, batch in batches.items()
            if everything or now - batch.began >= MAX_AGE
        ]
        for association, kind in over:
            self._over(association, kind)

    def _over(self, association: str, kind: Kind) -> None:
        self._send(association, kind, self._open[association].pop(kind))
