"""Every case can fail: acceptors with one thing wrong fail the cases that are about it, and no others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conform.acceptor import NONE, TITLE, Flaw, acceptor
from tests.conform.flaws import Wrong, ids
from tests.conform.wrong_fields import DEAF, HEARD, MESSAGES, SAID
from tests.conform.wrong_states import FOUR_BYTES, MODEL, STATES, TRANSPORT
from ulproxy.conform.case import Case, Outcome, Verdict
from ulproxy.conform.run import run
from ulproxy.conform.settings import Settings
from ulproxy.conform.suite import CLAUSES, chosen
from ulproxy.policy.endpoints import Endpoint

WRONG = TRANSPORT | STATES | FOUR_BYTES | HEARD | DEAF | SAID | MESSAGES
CASES = {case.id: case for clause in CLAUSES for case in clause.cases}
# Where the script itself expects nothing: what fails is that the acceptor does not live on.
LIVES_ON = ids("9.1.2/4-5 9.1.4/2-6 9.2.Sta13/9 16 23 9.3.5/4")


def cases(text: str) -> list[Case]:
    return [case for clause in chosen(text.split()) for case in clause.cases]


def tried(flaw: Flaw, tested: list[Case], timeout: float = 0.3) -> list[Outcome]:
    """ARTIM is longer than an answer is waited for, so that the one is not taken for the other."""
    artim = 2 * timeout
    with acceptor(flaw if flaw.artim is None else replace(flaw, artim=artim)) as one:
        endpoint = Endpoint("127.0.0.1", one.port)
        settings = Settings(endpoint, TITLE, timeout=timeout, artim=artim)
        return list(run(tested, settings, 1 if flaw.connections else 12))


def of(verdicts: set[Verdict], found: list[Outcome]) -> set[str]:
    return {one.case.id for one in found if one.verdict in verdicts}


BAD = {Verdict.FAILED, Verdict.NOTED}


def test_an_acceptor_without_a_flaw():
    found = tried(NONE, cases(""), 1.0)
    assert of({Verdict.FAILED, Verdict.SKIPPED}, found) == set()
    assert of({Verdict.NOTED}, found) <= ids(MODEL)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_fails_its_cases_and_no_others(name):
    wrong: Wrong = WRONG[name]
    expected = (ids(wrong.fails), ids(wrong.skips))
    for timeout in (wrong.timeout, 2.0):  # the longer one only on a machine that is busy
        found = tried(wrong.flaw, cases(wrong.of), timeout)
        if (of(BAD, found), of({Verdict.SKIPPED}, found)) == expected:
            break
    assert (of(BAD, found), of({Verdict.SKIPPED}, found)) == expected


def test_an_acceptor_that_says_nothing():
    """All but those that cannot be tried, or expect nothing either."""
    found = tried(Flaw(hears=lambda _: b"", artim=None), cases(""), 0.1)
    assert of({Verdict.PASSED}, found) == set()
    silent = {one.case.id for one in found if one.why.startswith("and afterwards")}
    assert silent <= LIVES_ON | ids("9.2.Sta2/11-12 9.3.2/25")
    assert of({Verdict.SKIPPED}, found) == ids("9.1.4/9 9.1.5/3-4 9.2.Sta13/17-23 9.3.4/1-6")


@pytest.mark.parametrize("case_id", sorted(LIVES_ON))
def test_an_acceptor_that_does_not_live_on(case_id):
    for timeout in (0.3, 2.0):  # the longer one only on a machine that is busy
        (one,) = tried(Flaw(mortal=True), [CASES[case_id]], timeout)
        if one.why.startswith("and afterwards: "):
            break
    assert one.why.startswith("and afterwards: ")
    assert one.verdict is Verdict.FAILED


def test_every_case_fails_of_something_else_than_silence():
    everything = {one for wrong in WRONG.values() for one in ids(wrong.fails)}
    assert set(CASES) - everything - LIVES_ON == set()
