"""Opening a TCP connection to an AE: every address of its host in turn."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from typing import Any

from ulproxy.policy.endpoints import Endpoint


async def connect(
    loop: asyncio.AbstractEventLoop, endpoint: Endpoint, seconds: float
) -> socket.socket:
    """A connected non-blocking socket; raises OSError of the last address that was tried.

    An address that does not answer has its share of `seconds`, and leaves the next ones theirs.
    """
    failure = OSError(f"no address for {endpoint.host}")
    addresses = await _addresses(loop, endpoint)
    share = seconds / max(1, len(addresses))
    for number, (family, address) in enumerate(addresses, 1):
        try:
            async with asyncio.timeout(share if number < len(addresses) else None):
                return await _connected(loop, family, address)
        except OSError as error:  # the kernel may not even know the family
            failure = error
    raise failure


async def _connected(
    loop: asyncio.AbstractEventLoop, family: int, address: tuple[Any, ...]
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def reason(error: OSError) -> str:
    """What went wrong, in the system's words; event loops put the address in theirs."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return str(error)
    return os.strerror(error.errno)


async def _addresses(
    loop: asyncio.AbstractEventLoop, endpoint: Endpoint
) -> list[tuple[int, tuple[Any, ...]]]:
    """No thread is asked for what is an address already."""
    try:
        ip = ipaddress.ip_address(endpoint.host)
    except ValueError:
        found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    return [(family, (endpoint.host, endpoint.port))]
