"""Connections without an association: bounded, and paid for by the address that has most of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ulproxy.shell.session import Session


class Pending:
    """The connections that have not asked for an association yet, or have had its end, oldest first."""

    def __init__(self) -> None:
        self._by_source: dict[str, dict[Session, None]] = {}
        self.total = 0

    def __contains__(self, session: Session) -> bool:
        return session in self._by_source.get(session.source, ())

    def add(self, session: Session) -> None:
        """Counts one more."""
        self._by_source.setdefault(session.source, {})[session] = None
        self.total += 1

    def remove(self, session: Session) -> None:
        """Counts one less."""
        sessions = self._by_source[session.source]
        del sessions[session]
        self.total -= 1
        if not sessions:
            del self._by_source[session.source]

    def victim(self) -> Session:
        """The oldest connection of the address that has most of them."""
        most = max(self._by_source.values(), key=len)
        return next(iter(most))
