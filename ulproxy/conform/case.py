"""What a case is, how it may end, and for whom it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ulproxy.conform.conversation import Conversation
from ulproxy.conform.settings import Settings

Step = Callable[[Conversation], None]
"""A part of a case's script: says or expects something, raises ViolationError or UnmetError."""


class Level(StrEnum):
    """How much the standard asks: MUST as it states it, SHOULD where it leaves room."""

    MUST = "MUST"
    SHOULD = "SHOULD"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that holds of a conforming acceptor; `artim` = how often its script waits for ARTIM."""

    id: str
    level: Level
    holds: str
    steps: tuple[Step, ...]
    artim: int = 0

    def seconds(self, settings: Settings) -> float:
        """What the script may take: three answers that come at the last moment, and the ARTIMs."""
        return 3 * settings.timeout + self.artim * ((settings.artim or 0) + settings.timeout)


@dataclass(frozen=True, slots=True)
class Draft:
    """A case without its number."""

    level: Level
    holds: str
    steps: tuple[Step, ...]
    artim: int


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause of PS3.8 and its cases."""

    number: str
    title: str
    cases: tuple[Case, ...]


def must(holds: str, *steps: Step, artim: int = 0) -> Draft:
    """A case that PS3.8 states."""
    return Draft(Level.MUST, holds, steps, artim)


def should(holds: str, *steps: Step, artim: int = 0) -> Draft:
    """A case where PS3.8 leaves room, or says what the peer must not do but not what becomes of it."""
    return Draft(Level.SHOULD, holds, steps, artim)


def clause(number: str, title: str, *drafts: Draft) -> Clause:
    """Numbers the cases: 9.3.4/1, 9.3.4/2, ..."""
    cases = tuple(
        Case(f"{number}/{place}", draft.level, draft.holds, draft.steps, draft.artim)
        for place, draft in enumerate(drafts, 1)
    )
    return Clause(number, title, cases)


class Verdict(StrEnum):
    """How a case ended; NOTED = a SHOULD that does not hold, a failure with --strict alone."""

    PASSED = "passed"
    FAILED = "failed"
    NOTED = "noted"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`why` and `transcript` are empty where the case passed."""

    case: Case
    verdict: Verdict
    seconds: float
    why: str = ""
    transcript: tuple[str, ...] = ()


MARKS: Final = {
    Verdict.PASSED: "✔",
    Verdict.FAILED: "✘",
    Verdict.NOTED: "!",
    Verdict.SKIPPED: "-",
}
