"""What can become of an association request: the values that `Policy.decide` returns.

Ours are two more than one would expect: a group's title stands for several AEs at once (`Fan`), and the
relay's own title, called by an archive, for whichever AE a C-MOVE or a commitment request names (`Shared`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from ulproxy.dimse.services import possible_services
from ulproxy.pdu.associate import PresentationContextRQ
from ulproxy.pdu.types import Rejection, Result
from ulproxy.policy.model import ApplicationEntity, Group, Rule


class Peer(NamedTuple):
    """Where an association comes from: the listener's network and the address of the caller.

    `certificate` is what the caller's certificate goes by: "sha256:..." of itself and of its public key, and
    its subject alternative names. Empty = it presented none, None = the listener asks for none.
    """

    network: str
    address: IPv4Address | IPv6Address
    certificate: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """The association goes to `callee`; what the callee is shown, and what the caller is refused.

    `rule` is the first one that lets one of the offered contexts through; where there is none, `because`
    says in words what else does. `observed` is what the rules would have refused if they were enforced, in
    words for the log.
    """

    caller: ApplicationEntity = field(hash=False)  # what follows tells most of them apart
    callee: ApplicationEntity = field(hash=False)
    calling_ae_title: str
    called_ae_title: str
    offered: tuple[PresentationContextRQ, ...]
    refused: dict[int, Result] = field(hash=False)
    rule: Rule | None = field(hash=False)
    observed: tuple[str, ...] = ()
    because: str = ""


@dataclass(frozen=True, slots=True)
class Fan:
    """The association goes to all of these members of a group; query contexts in one transfer syntax.

    `left_out` says of the other members why they are not asked, in words for the log.
    """

    caller: ApplicationEntity
    group: Group
    members: tuple[Forward, ...]
    refused: dict[int, Result]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shared:
    """An archive calls the relay's own title, which several AEs share: each message tells for whom it is.

    `candidates` are the destinations of its open moves behind that title, `reported` the AEs whose storage
    commitment requests it may report on.
    """

    caller: ApplicationEntity
    candidates: tuple[Forward, ...]
    reported: tuple[Forward, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The relay answers for itself: these contexts are for C-ECHO, the rest is refused."""

    caller: ApplicationEntity
    accepted: dict[int, str]
    observed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """The association is rejected; `text` is for the log, the peer sees the three numbers only."""

    rejection: Rejection
    text: str


Decision = Forward | Fan | Shared | Answer | Reject


def with_observed(decision: Forward | Fan | Shared | Answer, text: str) -> Decision:
    """The same decision, with one more thing that the rules would have refused if they were enforced."""
    if isinstance(decision, Forward | Answer):
        return replace(decision, observed=(text, *decision.observed))
    if isinstance(decision, Fan):
        return replace(decision, members=_all_observed(decision.members, text))
    return replace(
        decision,
        candidates=_all_observed(decision.candidates, text),
        reported=_all_observed(decision.reported, text),
    )


def _all_observed(forwards: tuple[Forward, ...], text: str) -> tuple[Forward, ...]:
    return tuple(replace(one, observed=(text, *one.observed)) for one in forwards)


def named_services(contexts: Iterable[PresentationContextRQ]) -> str:
    """What presentation contexts can be used for, in the words of the rules."""
    services = {s.value for c in contexts for s in possible_services(c.abstract_syntax)}
    return ", ".join(sorted(services))


def covers(now: Decision, before: Decision) -> bool:
    """Whether a decision lets through all that an earlier one did."""
    match before, now:
        case Answer(), Answer():
            return True
        case Forward(), Forward():
            offered = {context.context_id for context in now.offered}
            same = before.callee.name == now.callee.name
            return same and offered >= {context.context_id for context in before.offered}
        case Fan(), Fan():
            return _all_covered(now.members, before.members)
        case Shared(), Shared():
            return _all_covered(now.candidates + now.reported, before.candidates + before.reported)
        case _:
            return False


def _all_covered(now: tuple[Forward, ...], before: tuple[Forward, ...]) -> bool:
    callees = {forward.callee.name: forward for forward in now}
    return all(
        forward.callee.name in callees and covers(callees[forward.callee.name], forward)
        for forward in before
    )
