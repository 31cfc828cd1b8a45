"""Connections without an association: bounded, and paid for by the address that has most of them."""

from __future__ import annotations

from typing import Protocol


class Connection(Protocol):
    """A session, or the TLS handshake before it."""

    source: str

    def shutdown(self, text: str) -> None:
        """Ends it, saying why in the log."""


class Pending:
    """The connections that have not asked for an association yet, or have had its end, oldest first."""

    def __init__(self) -> None:
        self._by_source: dict[str, dict[Connection, None]] = {}
        self.total = 0

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._by_source.get(connection.source, ())

    def add(self, connection: Connection) -> None:
        """Counts one more."""
        self._by_source.setdefault(connection.source, {})[connection] = None
        self.total += 1

    def remove(self, connection: Connection) -> None:
        """Counts one less."""
        connections = self._by_source[connection.source]
        del connections[connection]
        self.total -= 1
        if not connections:
            del self._by_source[connection.source]

    def victim(self) -> Connection:
        """The oldest connection of the address that has most of them."""
        most = max(self._by_source.values(), key=len)
        return next(iter(most))
