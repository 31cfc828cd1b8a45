"""Listening sockets that the service manager has opened for us: socket activation (sd_listen_fds(3)).

It may listen where we may not, on port 104 say, and keeps callers waiting while we are restarted. Which
listener a socket is for its address says; `FileDescriptorName=` is how the log calls it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, MutableMapping
from typing import Final

from ulproxy.policy.endpoints import Endpoint
from ulproxy.watch.log import logger, say

FIRST: Final = 3  # SD_LISTEN_FDS_START
_STREAMS: Final = (socket.AF_INET, socket.AF_INET6)
# This process's; a listener gets a copy, so that one that a reload closes can be opened again.
_handed: dict[Endpoint, socket.socket] = {}


def take_over(environ: MutableMapping[str, str], wanted: Iterable[Endpoint]) -> None:
    """Takes what is meant for this process; what is not `wanted` is left alone, and the log says so."""
    process, number = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if process != str(os.getpid()) or not number.isdecimal():
        return
    places = {plain(bind) for bind in wanted}
    for index in range(int(number)):
        name = names[index] if index < len(names) else ""
        _take(FIRST + index, name, places)


def _take(descriptor: int, name: str, places: set[Endpoint]) -> None:
    log = logger(name=name)
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        say(log.warning, "no socket was handed over", why=error.strerror)
        return
    listening = sock.type == socket.SOCK_STREAM and sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    )
    if sock.family not in _STREAMS or not listening:
        say(log.warning, "socket handed over is of no use", why="it does not listen for TCP")
        sock.close()
        return
    address = Endpoint(*sock.getsockname()[:2])
    _handed[address] = sock
    if address in places:
        say(log.info, "socket was handed over", address=str(address))
    else:
        why = "the configuration has no listener there"
        say(log.warning, "socket handed over is of no use", address=str(address), why=why)


def handed(bind: Endpoint) -> socket.socket | None:
    """A copy of the socket that was handed over for this address, if one was; raises OSError."""
    sock = _handed.get(plain(bind))
    return None if sock is None else sock.dup()


def forget() -> None:
    """This process listens on none of them, whoever else does."""
    while _handed:
        _handed.popitem()[1].close()


def plain(bind: Endpoint) -> Endpoint:
    """The address that the kernel is told."""
    return Endpoint("127.0.0.1", bind.port) if bind.host == "localhost" else bind
