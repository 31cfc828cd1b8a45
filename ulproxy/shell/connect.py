"""Opening a TCP connection to an AE: every address of its host in turn."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import Any, Final

from ulproxy.policy.endpoints import Endpoint

Address = tuple[Any, ...]
_UNDER_WAY: Final = (errno.EINPROGRESS, errno.EALREADY)


def connect(
    loop: asyncio.AbstractEventLoop, endpoint: Endpoint, seconds: float
) -> asyncio.Future[socket.socket]:
    """A connected non-blocking socket, or OSError of the last address that was tried.

    An address that does not answer has its share of `seconds`, and leaves the next ones theirs. Whoever
    cancels the future has nothing to close; no task and no thread is made for what is an address already.
    """
    family = _family(endpoint.host)
    if family is None:
        return loop.create_task(_by_name(loop, endpoint, seconds))
    return _connected(loop, family, (endpoint.host, endpoint.port))


async def _by_name(
    loop: asyncio.AbstractEventLoop, endpoint: Endpoint, seconds: float
) -> socket.socket:
    failure = OSError(f"no address for {endpoint.host}")
    found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    share = seconds / max(1, len(found))
    for number, (family, _, _, _, address) in enumerate(found, 1):
        try:
            async with asyncio.timeout(share if number < len(found) else None):
                return await _connected(loop, family, address)
        except OSError as error:  # the kernel may not even know the family
            failure = error
    raise failure


def _connected(
    loop: asyncio.AbstractEventLoop, family: int, address: Address
) -> asyncio.Future[socket.socket]:
    future: asyncio.Future[socket.socket] = loop.create_future()
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        future.set_exception(error)
        return future
    sock.setblocking(False)
    number = sock.connect_ex(address)
    if (
        number in _UNDER_WAY
    ):  # on the same machine it is over by now, and there is nothing to wait for
        number = sock.connect_ex(address)
    if number in _UNDER_WAY:
        _wait(loop, sock, future)
    else:
        _tell(future, sock, 0 if number == errno.EISCONN else number)
    return future


def _wait(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, future: asyncio.Future[socket.socket]
) -> None:
    def writable() -> None:
        if not future.done():
            loop.remove_writer(sock)
            _tell(future, sock, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def done(_: asyncio.Future[socket.socket]) -> None:
        if future.cancelled():
            loop.remove_writer(sock)
            sock.close()

    loop.add_writer(sock, writable)
    future.add_done_callback(done)


def _tell(future: asyncio.Future[socket.socket], sock: socket.socket, number: int) -> None:
    if number:
        sock.close()
        future.set_exception(OSError(number, os.strerror(number)))
    else:
        future.set_result(sock)


def reason(error: OSError) -> str:
    """What went wrong, in the system's words; event loops put the address in theirs."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return str(error)
    return os.strerror(error.errno)


@lru_cache(maxsize=1024)
def _family(host: str) -> int | None:
    """The family of an address; None = it is a name, or has a scope, which is one of an interface."""
    try:
        ip = ip_address(host)
    except ValueError:
        return None
    if isinstance(ip, IPv4Address):
        return socket.AF_INET
    return None if ip.scope_id else socket.AF_INET6
