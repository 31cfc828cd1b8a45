"""What is counted for whoever watches the relay: plain numbers, added up where the facts are known.

A key begins with the family that it counts for; what a family is, watch/metrics.py says. No label is a
peer's text: AEs are those of the configuration, everything else is of a closed set.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

from ulproxy.dimse.services import Service, service_of
from ulproxy.pdu.types import (
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    NO_REASON,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    Rejection,
)

Key = tuple[str, ...]
Sample = dict[Key, float]

# AEs that have series of their own: those that come first. A file may have 100 000.
MAX_AES: Final = 200
OTHER: Final = "other"
SUM: Final = "sum"
# Seconds. From an echo on the same machine to the `connect` of most configurations.
SETUP_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# From a small object on the same machine to a C-MOVE of a long study.
OPERATION_BOUNDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class Outcome(StrEnum):
    """How an association, or a connection that never became one, came to its end."""

    RELEASED = "released"
    REJECTED = "rejected"
    ABORTED = "aborted"  # by the peer
    LOST = "lost"  # its connection
    UNREACHABLE = "unreachable"  # there never was a connection
    PROTOCOL = "protocol_error"
    TIMEOUT = "timeout"
    LIMIT = "limit"
    STOPPED = "stopped"  # by the operator: the relay stops, or new rules
    INTERNAL = "internal_error"


class Refusal(StrEnum):
    """Why an association or a message was refused."""

    CALLER = "caller"
    CALLED = "called"
    RULES = "rules"
    APPLICATION_CONTEXT = "application_context"
    PROTOCOL_VERSION = "protocol_version"
    LIMIT = "limit"
    AUDIT = "audit"  # the audit trail takes no more
    AE_REJECTED = "ae_rejected"
    AE_UNREACHABLE = "ae_unreachable"
    AE_ILLEGAL = "ae_illegal"  # its answer
    SERVICE = "service"  # 0124H
    MOVE_DESTINATION = "move_destination"  # A801H
    INSTANCE_UID = "instance_uid"  # 0117H
    FAILURE = "failure"  # 0110H, and whatever else the relay answers for itself


_BY_REJECTION: Final = {
    CALLING_AE_TITLE_NOT_RECOGNIZED: Refusal.CALLER,
    CALLED_AE_TITLE_NOT_RECOGNIZED: Refusal.CALLED,
    NO_REASON: Refusal.RULES,
    APPLICATION_CONTEXT_NOT_SUPPORTED: Refusal.APPLICATION_CONTEXT,
    PROTOCOL_VERSION_NOT_SUPPORTED: Refusal.PROTOCOL_VERSION,
}
_BY_OUTCOME: Final = {
    Outcome.REJECTED: Refusal.AE_REJECTED,
    Outcome.PROTOCOL: Refusal.AE_ILLEGAL,
    Outcome.LIMIT: Refusal.LIMIT,
}
_BY_STATUS: Final = {
    0x0124: Refusal.SERVICE,
    0xA801: Refusal.MOVE_DESTINATION,
    0x0117: Refusal.INSTANCE_UID,
}


def decided(rejection: Rejection) -> Refusal:
    """Why the policy rejects."""
    return _BY_REJECTION[rejection]


def failed(outcome: Outcome) -> Refusal:
    """Why a caller is rejected whose AE failed so."""
    return _BY_OUTCOME.get(outcome, Refusal.AE_UNREACHABLE)


def status_class(status: int) -> str:
    """What a final status means (PS3.7 annex C.1 to C.5)."""
    if status == 0:
        return "success"
    if status == 0xFE00:
        return "cancel"
    warning = status in (0x0001, 0x0107, 0x0116) or status >> 12 == 0xB
    return "warning" if warning else "failure"


class Durations:
    """How often something took how long."""

    __slots__ = ("_bounds", "_buckets", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._buckets = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Once more."""
        self._buckets[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def sample(self, *key: str) -> Sample:
        """Each bucket's own number under its upper bound, and the seconds in all."""
        labels = (*map(str, self._bounds), "+Inf")
        buckets = zip(labels, self._buckets, strict=True)
        return {**{(*key, label): count for label, count in buckets}, (*key, SUM): self._sum}


class Operations:
    """The DIMSE operations of one service."""

    __slots__ = ("answers", "durations", "requests", "succeeded")

    def __init__(self) -> None:
        self.requests = 0
        self.succeeded = 0
        self.answers: dict[str, int] = {}
        self.durations = Durations(OPERATION_BOUNDS)

    def answered(self, status: str, number: int = 1) -> None:
        """Responses of this class but success, which is counted in `succeeded`."""
        self.answers[status] = self.answers.get(status, 0) + number


class Tally:
    """The numbers of one process; `clock` tells seconds, finely."""

    def __init__(self, clock: Callable[[], float], aes: Iterable[str]) -> None:
        """`aes` as in `know`."""
        self.clock = clock
        self.setup = Durations(SETUP_BOUNDS)
        self._counts: Sample = {("refusals", reason.value): 0 for reason in Refusal}
        self._services: dict[Service, Operations] = {}
        self._shown: set[str] = set()
        self.know(aes)

    def know(self, aes: Iterable[str]) -> None:
        """The names of the AEs in the configuration; what else calls itself something is `OTHER`."""
        self._aes = frozenset(aes)

    def add(self, *key: str, number: int = 1) -> None:
        """So many more."""
        self._counts[key] = self._counts.get(key, 0) + number

    def refused(self, reason: Refusal) -> None:
        """An association or a message was."""
        self.add("refusals", reason.value)

    def refused_with(self, status: int) -> None:
        """A message was refused with this status."""
        self.refused(_BY_STATUS.get(status, Refusal.FAILURE))

    def of(self, abstract_syntax: str, request: int) -> Operations:
        """Where operations of this kind are counted."""
        service = service_of(abstract_syntax, request)
        operations = self._services.get(service)
        if operations is None:
            operations = self._services[service] = Operations()
        return operations

    def ae(self, name: str) -> str:
        """What an AE's series are labelled with."""
        if name not in self._shown:
            if name not in self._aes or len(self._shown) >= MAX_AES:
                return OTHER
            self._shown.add(name)
        return name

    def sample(self) -> Sample:
        """All numbers so far; a copy."""
        sample = {**self._counts, **self.setup.sample("association_setup_seconds")}
        for service, operations in self._services.items():
            name = service.value
            sample["requests", name] = operations.requests
            sample["responses", name, "success"] = operations.succeeded
            for status, number in operations.answers.items():
                sample["responses", name, status] = number
            sample |= operations.durations.sample("operation_seconds", name)
        return sample
