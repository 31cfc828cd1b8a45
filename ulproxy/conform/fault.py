"""How a script ends before its end."""

from __future__ import annotations

from ulproxy.errors import UlproxyError


class ViolationError(UlproxyError):
    """What must hold does not; the text says what came instead."""


class UnmetError(UlproxyError):
    """The case cannot be tried with this acceptor; the text says why."""
