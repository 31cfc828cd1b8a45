"""What is printed, on a terminal and elsewhere; the files."""

from __future__ import annotations

import io
import json
import re
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from ulproxy.conform.case import Outcome, Verdict
from ulproxy.conform.files import is_failure, write_json, write_junit
from ulproxy.conform.report import Report, summary
from ulproxy.conform.settings import Settings
from ulproxy.conform.suite import chosen
from ulproxy.policy.endpoints import Endpoint

CLAUSES = chosen(["9.3.4/8", "9.3.6", "E.1/9"])
A, B, C, D, E, F = (case for clause in CLAUSES for case in clause.cases)
SAID = ("> what was sent [1]", "< what came")
OUTCOMES = [
    Outcome(A, Verdict.NOTED, 0.1, "it came otherwise", SAID),
    Outcome(B, Verdict.PASSED, 0.25),
    Outcome(C, Verdict.FAILED, 1.5, "something [red]else[/red]", SAID),
    Outcome(D, Verdict.PASSED, 0.1),
    Outcome(E, Verdict.PASSED, 0.1),
    Outcome(F, Verdict.SKIPPED, 0.0, "it cannot be tried"),
]
TO = Settings(Endpoint("127.0.0.1", 104), "PACS", "WS1")


def test_on_a_terminal():
    """Below the title of its clause each case; what came and the conversation where it does not hold."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=200, highlight=False)
    report = Report(console, CLAUSES)
    for one in OUTCOMES:
        report.outcome(one)
    report.summary(OUTCOMES, 61.2)
    lines = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue()).splitlines()
    assert lines == [
        "9.3.4 A-ASSOCIATE-RJ PDU structure",
        f"  ! 9.3.4/8      {A.holds}",
        "      it came otherwise",
        "        > what was sent [1]",
        "        < what came",
        "",
        "9.3.6 A-RELEASE-RQ PDU structure",
        f"  ✔ 9.3.6/1      {B.holds}",
        f"  ✘ 9.3.6/2      {C.holds}",
        "      something [red]else[/red]",
        "        > what was sent [1]",
        "        < what came",
        f"  ✔ 9.3.6/3      {D.holds}",
        f"  ✔ 9.3.6/4      {E.holds}",
        "",
        "E.1 Encapsulation rules",
        f"  - E.1/9        {F.holds}",
        "      it cannot be tried",
        "",
        "6 cases: 3 passed, 1 failed, 1 noted, 1 skipped in 61 s",
    ]
    assert "\x1b[" in out.getvalue()


def test_elsewhere(capsys):
    """Lines with tabs."""
    report = Report(Console(), CLAUSES)
    for one in OUTCOMES:
        report.outcome(one)
    report.summary(OUTCOMES, 0.4)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t") for line in lines] == [
        ["noted", "9.3.4/8", "SHOULD", A.holds, "it came otherwise"],
        ["passed", "9.3.6/1", "MUST", B.holds, "-"],
        ["failed", "9.3.6/2", "MUST", C.holds, "something [red]else[/red]"],
        ["passed", "9.3.6/3", "MUST", D.holds, "-"],
        ["passed", "9.3.6/4", "MUST", E.holds, "-"],
        ["skipped", "E.1/9", "SHOULD", F.holds, "it cannot be tried"],
        ["6 cases: 3 passed, 1 failed, 1 noted, 1 skipped in 0 s"],
    ]


def test_a_list_on_a_terminal():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=200, highlight=False)
    Report(console, CLAUSES).listed(CLAUSES)
    lines = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue()).splitlines()
    assert lines[:4] == [
        "9.3.4 A-ASSOCIATE-RJ PDU structure",
        f"  9.3.4/8       SHOULD  {A.holds}",
        "",
        "9.3.6 A-RELEASE-RQ PDU structure",
    ]


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (OUTCOMES[:1], "1 case: 1 noted"),
        (OUTCOMES[1:3], "2 cases: 1 passed, 1 failed"),
    ],
)
def test_summary(outcomes, said):
    assert summary(outcomes) == said


@pytest.mark.parametrize(("strict", "failing"), [(False, [C]), (True, [A, C])])
def test_what_the_command_fails_for(strict, failing):
    assert [one.case for one in OUTCOMES if is_failure(one, strict=strict)] == failing


def test_json(tmp_path):
    file = tmp_path / "out.json"
    write_json(file, OUTCOMES, TO)
    made = json.loads(file.read_text())
    assert {name: made[name] for name in made if name != "cases"} == {
        "acceptor": "127.0.0.1:104",
        "called": "PACS",
        "calling": "WS1",
    }
    assert len(made["cases"]) == 6
    assert made["cases"][1] == {
        "id": "9.3.6/1",
        "level": "MUST",
        "holds": B.holds,
        "verdict": "passed",
        "seconds": 0.25,
    }
    assert made["cases"][2]["why"] == "something [red]else[/red]"
    assert made["cases"][2]["transcript"] == list(SAID)


@pytest.mark.parametrize(("strict", "failures"), [(False, 1), (True, 2)])
def test_junit(tmp_path, strict, failures):
    file = tmp_path / "out.xml"
    write_junit(file, CLAUSES, OUTCOMES, strict=strict)
    suites = ET.parse(file).getroot()
    counts = [
        tuple(int(one.attrib[name]) for name in ("tests", "failures", "skipped")) for one in suites
    ]
    assert counts == [(1, failures - 1, 0), (4, 1, 0), (1, 0, 1)]
    assert [one.attrib["name"] for one in suites][1] == "9.3.6 A-RELEASE-RQ PDU structure"
    (failure,) = suites[1].iter("failure")
    assert failure.attrib == {"message": "something [red]else[/red]", "type": "MUST"}
    assert failure.text == "\n".join(SAID)
    if not strict:
        (noted,) = suites[0].iter("system-out")
        assert noted.text == "\n".join(("it came otherwise", *SAID))
    (skipped,) = suites[2].iter("skipped")
    assert skipped.attrib == {"message": "it cannot be tried"}
