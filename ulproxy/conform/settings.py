"""Whom the cases are run against, and how long they wait."""

from __future__ import annotations

from dataclasses import dataclass

from ulproxy.dimse.services import VERIFICATION
from ulproxy.policy.endpoints import Endpoint


@dataclass(frozen=True, slots=True)
class Settings:
    """`timeout` bounds each wait for an answer, in seconds; `artim` is the acceptor's, None = not known.

    A case that would wait for ARTIM longer than `patience` is skipped.
    """

    endpoint: Endpoint
    called: str
    calling: str = "ULPROXY"
    abstract_syntax: str = VERIFICATION
    timeout: float = 5.0
    artim: float | None = None
    patience: float = 60.0

    @property
    def quiet(self) -> float:
        """How long nothing has to come for it to be nothing."""
        return min(0.5, max(0.1, self.timeout / 10))

    @property
    def at_once(self) -> float:
        """How long an end is waited for that is not ARTIM's."""
        return self.timeout if self.artim is None else min(self.timeout, 0.75 * self.artim)
