"""Tells the service manager how far we are: a datagram to the socket that it names (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def ready() -> None:
    """The listeners stand."""
    _notify("READY=1")


def stopping() -> None:
    """Open associations finish, nobody new is let in."""
    _notify("STOPPING=1")


def _notify(state: str) -> None:
    """Nobody asked for it where there is no NOTIFY_SOCKET, and whoever did may be gone."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(state.encode(), name.replace("@", "\0", 1) if name[0] == "@" else name)
