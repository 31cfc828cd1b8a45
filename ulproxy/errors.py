"""Errors by blame: ours, the peer's (with the A-ABORT reason), the configuration's."""

from __future__ import annotations

from dataclasses import dataclass


class UlproxyError(Exception):
    """Everything that this package raises on purpose."""


class LocalProtocolError(UlproxyError):
    """We asked for something that the state machine forbids: a bug of ours, never the peer's."""


class RemoteProtocolError(UlproxyError):
    """The peer sent something invalid; `reason` is what our A-ABORT says (PS3.8 Table 9-26)."""

    def __init__(self, text: str, reason: int = 6) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in the configuration file; `line` counts from 1, 0 when none can be named."""

    line: int
    key: str
    text: str


class ConfigError(UlproxyError):
    """The configuration does not validate; `problems` has every mistake that was found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.line}: {p.key}: {p.text}" for p in problems))
        self.problems = sorted(problems)
