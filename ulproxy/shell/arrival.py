"""Who has connected: the facts of a connection before a word has been said on it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from structlog.typing import FilteringBoundLogger

from ulproxy.policy.endpoints import IpAddress
from ulproxy.watch.audit_entry import Source
from ulproxy.watch.log import logger


@dataclass(frozen=True, slots=True)
class Arrival:
    """A connection of a listener's network; `began` is the loop's time, `log` names it on every line.

    `origin` is what the audit trail calls it.
    """

    network: str
    address: IpAddress
    began: float
    log: FilteringBoundLogger
    origin: Source

    @property
    def source(self) -> str:
        """The address, as it is counted by."""
        return str(self.address)


def arrived(sock: socket.socket, network: str, now: float) -> Arrival:
    """The facts of a connection that has been accepted; raises OSError if it is gone already."""
    host, port = sock.getpeername()[:2]
    origin = Source(os.urandom(4).hex(), network, f"{host}:{port}")
    return Arrival(network, _address(host), now, logger(**origin._asdict()).bind(), origin)


@lru_cache(maxsize=1024)
def _address(host: str) -> IpAddress:
    """An IPv4 peer of an IPv6 socket counts as what it is."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
