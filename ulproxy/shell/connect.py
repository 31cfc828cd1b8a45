"""Opening a TCP connection to an AE: every address of its host in turn."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from typing import Any

from ulproxy.policy.endpoints import Endpoint


async def connect(loop: asyncio.AbstractEventLoop, endpoint: Endpoint) -> socket.socket:
    """A connected non-blocking socket; raises OSError of the last address that was tried."""
    failure = OSError(f"no address for {endpoint.host}")
    for family, address in await _addresses(loop, endpoint):
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except asyncio.CancelledError:
            sock.close()
            raise
        else:
            return sock
    raise failure


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
