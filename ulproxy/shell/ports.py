"""The listeners of the configuration in force, all of them or none; a reload moves them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Final

from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import Listener
from ulproxy.shell.listen import Port, open_socket
from ulproxy.watch.log import logger, say

_EVERYWHERE: Final = {"0.0.0.0", "::"}  # noqa: S104 (compared, not bound)


class Ports:
    """`open` are those that there are; `accepted` and `exhausted` are told what `Port` has to tell.

    `announce` gets a line for each one that begins to accept.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        accepted: Callable[[socket.socket, Listener], None],
        exhausted: Callable[[OSError], None],
        announce: Callable[[str], None],
    ) -> None:
        self.open: list[Port] = []
        self._loop = loop
        self._accepted = accepted
        self._exhausted = exhausted
        self._announce = announce
        self._log = logger()

    def listen(self, listeners: Iterable[Listener]) -> None:
        """Opens them; raises OSError, which names the address that cannot be had, with none of them open."""
        self.open = self._opened(listeners)

    def start(self) -> None:
        """Accepts from now on."""
        self._start(self.open)

    def pause(self) -> None:
        """Accepts nobody until `resume`; the kernel keeps those who come."""
        for port in self.open:
            port.pause()

    def resume(self) -> None:
        """Accepts again."""
        for port in self.open:
            port.start()

    def close(self) -> None:
        """Listens no more."""
        for port in self.open:
            port.close()

    def move(self, wanted: Iterable[Listener]) -> None:
        """Goes on listening where these are too; raises OSError, as `listen` does, with nothing changed."""
        gone = list(self.open)
        kept: list[tuple[Port, Listener]] = []
        new: list[Listener] = []
        for listener in wanted:
            port = next((port for port in gone if port.listener.bind == listener.bind), None)
            if port is None:
                new.append(listener)
            else:
                gone.remove(port)
                kept.append((port, listener))
        fresh = self._opened(new, instead=gone)
        for port, listener in kept:
            port.listener = listener
        for port in gone:
            port.close()
        self.open = [port for port, _ in kept] + fresh
        self._start(fresh)

    def _opened(self, listeners: Iterable[Listener], instead: Iterable[Port] = ()) -> list[Port]:
        """All of them; of `instead` those are closed by then whose addresses would not let them be."""
        opened: list[Port] = []
        closed: list[Port] = []
        for listener in listeners:
            for port in instead:
                if port not in closed and _overlap(port.listener.bind, listener.bind):
                    port.accept_waiting()
                    port.close()
                    closed.append(port)
            try:
                opened.append(self._port(listener))
            except OSError as error:
                for port in opened:
                    port.close()
                self._reopen(closed)
                raise OSError(error.errno, f"{listener.bind}: {error.strerror}") from error
        return opened

    def _reopen(self, closed: list[Port]) -> None:
        for port in closed:
            try:
                again = self._port(port.listener)
            except OSError as error:  # somebody else was quicker
                self.open.remove(port)
                bind = str(port.listener.bind)
                say(self._log.error, "listens no more", bind=bind, why=error.strerror)
                continue
            self.open[self.open.index(port)] = again
            again.start()

    def _port(self, listener: Listener) -> Port:
        sock = open_socket(listener.bind)
        return Port(self._loop, listener, sock, self._accepted, self._exhausted)

    def _start(self, ports: list[Port]) -> None:
        for port in ports:
            port.start()
            # Whoever started us may have closed the pipe by now.
            say(self._announce, f"ready {port.listener.network} {port.address}")


def _overlap(one: Endpoint, other: Endpoint) -> bool:
    """Whether a machine does not let both be listened on."""
    hosts = {"127.0.0.1" if host == "localhost" else host for host in (one.host, other.host)}
    families = {":" in host for host in hosts}
    same_port = one.port == other.port != 0
    return same_port and len(families) == 1 and (len(hosts) == 1 or bool(hosts & _EVERYWHERE))
