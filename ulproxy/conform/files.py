"""Outcomes as files for programs: JSON with everything, JUnit for what shows test results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

from ulproxy.conform.case import Clause, Outcome, Verdict
from ulproxy.conform.settings import Settings


def write_json(file: Path, outcomes: Iterable[Outcome], settings: Settings) -> None:
    """One object: whom it was, and a list of cases in their order. Raises OSError."""
    made = {
        "acceptor": str(settings.endpoint),
        "called": settings.called,
        "calling": settings.calling,
        "cases": [
            {
                "id": one.case.id,
                "level": one.case.level,
                "holds": one.case.holds,
                "verdict": one.verdict,
                "seconds": round(one.seconds, 3),
                **({"why": one.why, "transcript": list(one.transcript)} if one.why else {}),
            }
            for one in outcomes
        ],
    }
    file.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_junit(
    file: Path, clauses: Iterable[Clause], outcomes: Sequence[Outcome], *, strict: bool
) -> None:
    """A test suite for each clause; what is noted fails with `strict` alone. Raises OSError."""
    titles = {case.id: f"{one.number} {one.title}" for one in clauses for case in one.cases}
    root = ET.Element("testsuites", name="ulproxy conform")
    for title, group in groupby(outcomes, lambda one: titles[one.case.id]):
        members = list(group)
        failures = [one for one in members if is_failure(one, strict=strict)]
        skipped = [one for one in members if one.verdict is Verdict.SKIPPED]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=title,
            tests=str(len(members)),
            failures=str(len(failures)),
            skipped=str(len(skipped)),
            time=f"{sum(one.seconds for one in members):.3f}",
        )
        for one in members:
            _test_case(suite, one, failed=one in failures)
    ET.indent(root)
    ET.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)


def _test_case(suite: ET.Element, one: Outcome, *, failed: bool) -> None:
    name = f"{one.case.id} {one.case.holds}"
    element = ET.SubElement(
        suite, "testcase", classname=one.case.level, name=name, time=f"{one.seconds:.3f}"
    )
    if one.verdict is Verdict.SKIPPED:
        ET.SubElement(element, "skipped", message=one.why)
    elif failed:
        failure = ET.SubElement(element, "failure", message=one.why, type=one.case.level)
        failure.text = "\n".join(one.transcript)
    elif one.why:
        ET.SubElement(element, "system-out").text = "\n".join((one.why, *one.transcript))


def is_failure(outcome: Outcome, *, strict: bool) -> bool:
    """Whether the command fails for it."""
    return outcome.verdict is Verdict.FAILED or (strict and outcome.verdict is Verdict.NOTED)
