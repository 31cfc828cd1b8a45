"""What `ulproxy conform` prints: groups by clause for people, lines with tabs for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import click
from rich.console import Console
from rich.text import Text

from ulproxy.conform.case import MARKS, Case, Clause, Outcome, Verdict

_STYLES: Final = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "bold red",
    Verdict.NOTED: "yellow",
    Verdict.SKIPPED: "dim",
}


class Report:
    """Prints each outcome as it comes; on a terminal below the title of its clause."""

    def __init__(self, console: Console, clauses: Iterable[Clause]) -> None:
        self._console = console
        self._titles = {case.id: clause for clause in clauses for case in clause.cases}
        self._clause: Clause | None = None

    def outcome(self, outcome: Outcome) -> None:
        """One case: what had to hold; where it does not, what came and the conversation."""
        if not self._console.is_terminal:
            self._say("\t".join(_cells(outcome)))
            return
        self._title(outcome.case)
        verdict, style = outcome.verdict, _STYLES[outcome.verdict]
        self._console.print(
            Text.assemble(
                (f"  {MARKS[verdict]} ", style),
                (f"{outcome.case.id:<13}", "dim"),
                (outcome.case.holds, "" if verdict is Verdict.PASSED else style),
            )
        )
        if outcome.why:
            self._say(f"      {outcome.why}", style)
        if verdict in {Verdict.FAILED, Verdict.NOTED}:
            for line in outcome.transcript:
                self._say(f"        {line}", "dim")

    def _title(self, case: Case) -> None:
        clause = self._titles[case.id]
        if clause is not self._clause:
            self._say(
                f"{'' if self._clause is None else chr(10)}{clause.number} {clause.title}", "bold"
            )
            self._clause = clause

    def listed(self, clauses: Iterable[Clause]) -> None:
        """The cases without running them."""
        for clause in clauses:
            for case in clause.cases:
                if self._console.is_terminal:
                    self._title(case)
                    self._say(f"  {case.id:<13} {case.level:<7} {case.holds}")
                else:
                    self._say("\t".join((case.id, case.level, case.holds)))

    def summary(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        """The last line: how many of what."""
        said = f"{summary(outcomes)} in {seconds:.0f} s"
        failed = any(one.verdict is Verdict.FAILED for one in outcomes)
        if self._console.is_terminal:
            self._say("")
        self._say(said, "bold red" if failed else "bold green")

    def _say(self, text: str, style: str = "") -> None:
        if not self._console.is_terminal:
            click.echo(text)  # rich would make spaces of tabs
            return
        self._console.print(Text(text, style=style), soft_wrap=True)


def _cells(outcome: Outcome) -> tuple[str, ...]:
    case = outcome.case
    return (outcome.verdict, case.id, case.level, case.holds, outcome.why or "-")


def summary(outcomes: Sequence[Outcome]) -> str:
    """`287 cases: 280 passed, 2 failed, 1 noted, 4 skipped`; nothing is said of what there is none of."""
    counts = Counter(one.verdict for one in outcomes)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    return f"{len(outcomes)} case{'' if len(outcomes) == 1 else 's'}: {said}"
