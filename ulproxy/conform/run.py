"""Runs cases: each on a connection of its own, and behind it a C-ECHO that shows that the acceptor lives."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor

from ulproxy.conform.case import Case, Level, Outcome, Verdict
from ulproxy.conform.conversation import conversation
from ulproxy.conform.fault import UnmetError, ViolationError
from ulproxy.conform.settings import Settings
from ulproxy.conform.steps import works
from ulproxy.errors import RemoteProtocolError


def alive(settings: Settings) -> None:
    """Associates, echoes and releases; raises ViolationError where that fails."""
    with conversation(settings, 3 * settings.timeout) as one:
        for step in works():
            step(one)


def run(cases: Iterable[Case], settings: Settings, jobs: int = 1) -> Generator[Outcome, None, None]:
    """The outcomes in the order of the cases; `jobs` run at once."""
    if jobs == 1:
        yield from (run_case(case, settings) for case in cases)
        return
    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(lambda case: run_case(case, settings), cases)
        finally:
            pool.shutdown(cancel_futures=True)


def run_case(case: Case, settings: Settings) -> Outcome:
    """Runs one case."""
    began = time.monotonic()
    transcript: list[str] = []
    try:
        _wait_no_longer(case, settings)
        _play(case, settings, transcript)
        transcript.append("another connection, afterwards:")
        _live_on(settings)
    except UnmetError as unmet:
        verdict, why = Verdict.SKIPPED, str(unmet)
    except (ViolationError, RemoteProtocolError) as violation:
        verdict = Verdict.FAILED if case.level is Level.MUST else Verdict.NOTED
        why = str(violation)
    else:
        return Outcome(case, Verdict.PASSED, time.monotonic() - began)
    return Outcome(case, verdict, time.monotonic() - began, why, tuple(transcript))


def _wait_no_longer(case: Case, settings: Settings) -> None:
    if not case.artim:
        return
    if settings.artim is None:
        raise UnmetError("waits for ARTIM: say with --artim how long the acceptor's is")
    if case.artim * settings.artim > settings.patience:
        raise UnmetError(
            f"waits {case.artim * settings.artim:g} s for ARTIM,"
            f" longer than --patience {settings.patience:g}"
        )


def _play(case: Case, settings: Settings, transcript: list[str]) -> None:
    with conversation(settings, case.seconds(settings)) as one:
        one.transcript = transcript
        for step in case.steps:
            step(one)


def _live_on(settings: Settings) -> None:
    try:
        alive(settings)
    except ViolationError as violation:
        raise ViolationError(f"and afterwards: {violation}") from None
