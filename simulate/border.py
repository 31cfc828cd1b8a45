"""Who lives on either side, and what the rules of a moment let them do, stated without the code that decides.

The AEs are those of tests/relay. A version is a set of grants; a reload replaces it. Each grant becomes one
`Rule` for the relay, and one row that the watcher looks up.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, NamedTuple

from tests.relay import groups, hospital, sharing, wire
from ulproxy.dimse.services import Service
from ulproxy.policy.config import parse
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import Config, Limits, Relay, Rule

TITLE: Final = "HOSP_A"
NAMED: Final = "old.example"  # the host of an AE that has two addresses, and is at the second
NOWHERE: Final = "10.9.9.9"


class Grant(NamedTuple):
    """One AE may ask another for a service; a move may lead to the destinations, none = the caller."""

    asking: str
    asked: str
    service: Service
    destinations: tuple[str, ...] = ()


def _grants(asking: str, asked: str, services: str, *destinations: str) -> list[Grant]:
    return [
        Grant(asking, asked, Service(name), destinations if name == "move" else ())
        for name in services.split()
    ]


GRANTS: Final = (
    *_grants("WS1", "ARCHIVE", "echo find move get store", "WS1", "WS2"),
    *_grants("WS2", "ARCHIVE", "echo find move"),
    *_grants("WS3", "ARCHIVE", "echo move", "WS3", "WS4"),
    *_grants("WS4", "ARCHIVE", "find move"),
    *_grants("WS5", "ARCHIVE", "move", "WS3", "WS5"),
    *_grants("MOD1", "ARCHIVE", "echo store"),
    *_grants("MOD1", "OLD", "store"),
    *_grants("WS1", "OLD", "store get"),
    *_grants("WS1", "PACS2", "echo find move get", "WS1"),
    *_grants("WS1", "MINI", "echo find move get", "WS1", "WS2"),
    *_grants("ARCHIVE", "WS2", "echo store"),
    *_grants("ARCHIVE", "MINI", "store"),
)
GROUPS: Final = {"ALL": ("ARCHIVE", "PACS2"), "EVERY": ("ARCHIVE", "PACS2", "MINI")}
SERVICES: Final = {
    wire.C_ECHO: Service.ECHO,
    wire.C_STORE: Service.STORE,
    wire.C_FIND: Service.FIND,
    wire.C_MOVE: Service.MOVE,
    wire.C_GET: Service.GET,
}
# What a presentation context can be used for.
OF_CONTEXT: Final = {
    hospital.ECHO: Service.ECHO,
    hospital.STORE: Service.STORE,
    hospital.FIND: Service.FIND,
    hospital.MOVE: Service.MOVE,
    hospital.GET: Service.GET,
}


@cache
def file() -> Config:
    """The configuration, whose rules and limits are replaced."""
    head = f'[relay]\ntitle = "{TITLE}"\n'
    aes = hospital.AES + sharing.AES + groups.AES
    return parse(head + hospital.LISTENERS + aes + hospital.RULES)


@cache
def entities() -> dict[str, tuple[str, str, str | None, str]]:
    """Title, network, alias and address by name."""
    return {
        ae.name: (ae.title, ae.network, ae.alias, "" if ae.address is None else ae.address.host)
        for ae in file().aes
    }


def title_of(name: str, network: str) -> str:
    """What AEs of a network call this one."""
    title, home, alias, _ = entities()[name]
    return title if home == network else alias or TITLE


def called_by(title: str, network: str) -> list[str]:
    """Whom AEs of this network can mean by a title; several share the relay's."""
    return [name for name in entities() if title_of(name, network) == title]


def network_of(name: str) -> str:
    return entities()[name][1]


@dataclass(frozen=True)
class Version:
    """The rules from one reload to the next."""

    number: int
    grants: tuple[Grant, ...]
    revokes: bool  # on_revoke = "abort"

    def allows(self, asking: str, asked: str, service: Service) -> bool:
        return any(grant[:3] == (asking, asked, service) for grant in self.grants)

    def leads(self, asking: str, asked: str, destination: str) -> bool:
        """Whether a move may lead there."""
        return any(
            grant[:3] == (asking, asked, Service.MOVE)
            and destination in (grant.destinations or (asking,))
            for grant in self.grants
        )

    def contexts(self, asking: str, asked: str, proposed: Iterable[int]) -> set[int]:
        """Which of the contexts are good for anything that a rule allows."""
        return {
            one
            for one in proposed
            if self.allows(asking, asked, OF_CONTEXT[one])
            or (one == hospital.STORE and self.allows(asking, asked, Service.GET))
            or (one == hospital.STORE and self.allows(asked, asking, Service.STORE))
        }

    def configuration(self, limits: Limits, silent: Collection[str] = ()) -> Config:
        """The same for the relay, with those AEs `silent` that say so in the file (`move_originator`)."""
        rules = tuple(
            Rule(
                number,
                number,
                (grant.asking,),
                (grant.asked,),
                frozenset({grant.service}),
                grant.destinations or None,
            )
            for number, grant in enumerate(self.grants, 1)
        )
        relay = Relay(title=TITLE, on_revoke="abort" if self.revokes else "finish")
        aes = tuple(
            replace(
                ae,
                move_originator=ae.name not in silent,
                address=Endpoint(NAMED, 104) if ae.name == "OLD" else ae.address,
            )
            for ae in file().aes
        )
        return replace(file(), aes=aes, rules=rules, limits=limits, relay=relay)


def version(chance: random.Random, number: int, *, kind: bool) -> Version:
    """Most of the grants; `kind` = nothing is revoked."""
    missing = chance.choice((0.0, 0.1, 0.1, 0.3))
    grants = tuple(grant for grant in GRANTS if chance.random() >= missing)
    return Version(number, grants, chance.random() < 0.5 and not kind)


def limits(chance: random.Random, *, kind: bool) -> Limits:
    """Times that meet those of network.py; `kind` = nobody is hurried."""
    max_pdu = chance.choice((0, 0, 0, 128))
    if kind:
        return Limits(max_pdu=max_pdu, connect=100.0)
    return Limits(
        associations=chance.choice((1000, 1000, 1000, 3)),
        associations_per_source=chance.choice((100, 100, 2)),
        pending=chance.choice((200, 200, 2)),
        artim=chance.choice((1.0, 4.0, 30.0)),
        connect=chance.choice((0.5, 4.0, 20.0, 20.0, 60.0, 60.0)),
        idle=chance.choice((4.0, 20.0, 60.0)),
        write=chance.choice((1.0, 4.0, 30.0)),
        max_pdu=max_pdu,
    )
