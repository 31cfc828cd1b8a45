"""A border as values: who lives where, what is allowed, and requests that come to it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from ulproxy.dimse.services import Service
from ulproxy.pdu.associate import AAssociateRQ, PresentationContextRQ, titles
from ulproxy.pdu.items import RoleSelection, UserInformation
from ulproxy.policy.decision import Forward, Peer, Reject
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import ApplicationEntity, Config, Group, Limits, Listener, Relay, Rule
from ulproxy.policy.rules import Policy

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG_ENDIAN, DEFLATED, JPEG = (
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.50",
)
VERIFICATION = "1.2.840.10008.1.1"
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
WORKLIST = "1.2.840.10008.5.1.4.31"
MPPS = "1.2.840.10008.3.1.2.3.3"
COMMITMENT = "1.2.840.10008.1.20.1"
PRINT = "1.2.840.10008.5.1.1.9"
UPS = "1.2.840.10008.5.1.4.34.6.1"
AVAILABILITY = "1.2.840.10008.5.1.4.33"
UNHEARD_OF = "1.2.826.0.1.3680043.9.9999.1"
# Each service by an abstract syntax of its own.
SYNTAXES = {
    Service.ECHO: VERIFICATION,
    Service.STORE: CT,
    Service.FIND: FIND,
    Service.MOVE: MOVE,
    Service.GET: GET,
    Service.WORKLIST: WORKLIST,
    Service.MPPS: MPPS,
    Service.COMMITMENT: COMMITMENT,
    Service.PRINT: PRINT,
    Service.UPS: UPS,
    Service.OTHER: AVAILABILITY,
}


def ae(
    title: str,
    network: str = "inside",
    host: str | None = "10.0.0.1",
    *,
    alias: str | None = None,
    name: str | None = None,
    sources: Iterable[str] | None = None,
    certificate: str | None = None,
) -> ApplicationEntity:
    """An AE at port 104 of a host, None = it only calls; it calls from there if not said otherwise."""
    places = sources if sources is not None else [host or "10.0.0.0/8"]
    return ApplicationEntity(
        title=title,
        network=network,
        address=None if host is None else Endpoint(host, 104),
        sources=tuple(ipaddress.ip_network(place) for place in places),
        alias=alias,
        name=name or title,
        omit=frozenset(),
        associations=None,
        certificate=certificate,
    )


def rule(
    from_: str, to: str, services: str = "", destinations: str | None = None, number: int = 0
) -> Rule:
    """Each list as words; no services = all."""
    return Rule(
        number=number,
        line=100 + number,
        from_=tuple(from_.split()),
        to=tuple(to.split()),
        services=frozenset(map(Service, services.split() or Service)),
        destinations=None if destinations is None else tuple(destinations.split()),
    )


def config(
    aes: Iterable[ApplicationEntity],
    rules: Iterable[Rule] = (),
    groups: Iterable[Group] = (),
    *,
    enforce: bool = True,
) -> Config:
    """The rules get their numbers and lines here, as in a file: 1 on line 101 and so on."""
    numbered = [
        Rule(n, 100 + n, one.from_, one.to, one.services, one.destinations)
        for n, one in enumerate(rules, 1)
    ]
    return Config(
        relay=Relay(title="HOSP_A", enforce=enforce),
        limits=Limits(),
        listeners=(
            Listener("inside", Endpoint("127.0.0.1", 11112)),
            Listener("outside", Endpoint("127.0.0.1", 2762)),
        ),
        aes=tuple(aes),
        rules=tuple(numbered),
        notes=(),
        groups=tuple(groups),
    )


def request(
    calling: str,
    called: str,
    *contexts: str | tuple[str, tuple[str, ...]],
    scp: Iterable[str] = (),
) -> AAssociateRQ:
    """An A-ASSOCIATE-RQ for abstract syntaxes, in Implicit VR Little Endian if not said otherwise."""
    proposed = [(one, (IMPLICIT,)) if isinstance(one, str) else one for one in contexts]
    return AAssociateRQ(
        titles(called, calling),
        tuple(
            PresentationContextRQ(2 * n + 1, abstract, transfer)
            for n, (abstract, transfer) in enumerate(proposed or [(VERIFICATION, (IMPLICIT,))])
        ),
        UserInformation(roles=tuple(RoleSelection(uid, scu=True, scp=True) for uid in scp)),
    )


def peer(
    network: str = "inside", address: str = "10.0.0.1", *, presents: Iterable[str] | None = None
) -> Peer:
    """What it presents is None where the listener does not ask for certificates."""
    names = None if presents is None else frozenset(presents)
    return Peer(network, ipaddress.ip_address(address), names)


# Hospital A inside, hospital B outside.
WS1 = ae("WS1", host="10.0.0.1", alias="HA_WS1")
WS2 = ae("WS2", host="10.0.0.2")
CT1 = ae("CT1", host="10.0.0.3", alias="HA_CT1", name="scanner")
SENDER = ae("SENDER", host=None, alias="HA_SENDER")
PACS = ae("PACS", "outside", "192.0.2.1", alias="HB_PACS")
ARCHIVE = ae("ARCHIVE", "outside", "192.0.2.2", alias="HB_ARCHIVE")
AES = (WS1, WS2, CT1, SENDER, PACS, ARCHIVE)
PACS_CALLS = peer("outside", "192.0.2.1")

CALLING_REFUSED, CALLED_REFUSED, NOTHING_ALLOWED = (1, 1, 3), (1, 1, 7), (1, 1, 1)


def policy(*rules, aes=AES, groups=(), enforce=True):
    return Policy(config(aes, rules, groups, enforce=enforce))


def forwarded(decision) -> Forward:
    assert isinstance(decision, Forward), decision
    return decision


def rejected(decision) -> tuple[int, ...]:
    assert isinstance(decision, Reject), decision
    assert decision.text.isprintable()
    return decision.rejection


def offered(decision) -> list[str]:
    return [context.abstract_syntax for context in forwarded(decision).offered]
