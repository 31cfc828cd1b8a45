"""What `ulproxy conform` does: runs the cases, prints and writes what came of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ulproxy.conform.case import Outcome
from ulproxy.conform.fault import ViolationError
from ulproxy.conform.files import is_failure, write_json, write_junit
from ulproxy.conform.report import Report
from ulproxy.conform.run import alive, run
from ulproxy.conform.settings import Settings
from ulproxy.conform.suite import chosen
from ulproxy.policy.values import shown


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cases, how many at once, and what becomes of the outcomes."""

    patterns: Sequence[str] = ()
    jobs: int = 1
    strict: bool = False
    json_file: Path | None = None
    junit_file: Path | None = None


def list_cases(patterns: Sequence[str]) -> int:
    """Prints the cases; returns the exit code."""
    clauses = chosen(patterns)
    if not clauses:
        return _none(patterns)
    Report(_console(), clauses).listed(clauses)
    return 0


def check(settings: Settings, wanted: Wanted) -> int:
    """Runs the cases and prints how each ended; returns the exit code."""
    clauses = chosen(wanted.patterns)
    if not clauses:
        return _none(wanted.patterns)
    began = time.monotonic()
    try:
        alive(settings)
    except ViolationError as violation:
        where = f"{settings.called} at {settings.endpoint}, called by {settings.calling}"
        return _failed(f"{where}: no case can be tried: {violation}", 1)
    report = Report(_console(), clauses)
    outcomes: list[Outcome] = []
    cases = [case for one in clauses for case in one.cases]
    for outcome in run(cases, settings, wanted.jobs):
        report.outcome(outcome)
        outcomes.append(outcome)
    report.summary(outcomes, time.monotonic() - began)
    try:
        if wanted.json_file:
            write_json(wanted.json_file, outcomes, settings)
        if wanted.junit_file:
            write_junit(wanted.junit_file, clauses, outcomes, strict=wanted.strict)
    except OSError as error:
        return _failed(f"{error.filename}: {error.strerror}", 1)
    return 1 if any(is_failure(one, strict=wanted.strict) for one in outcomes) else 0


def _console() -> Console:
    return Console(highlight=False)


def _none(patterns: Sequence[str]) -> int:
    return _failed(f"no case has the name {', '.join(map(shown, patterns))}; --list shows them", 2)


def _failed(text: str, code: int) -> int:
    Console(stderr=True, highlight=False).print(text, markup=False, soft_wrap=True)
    return code
