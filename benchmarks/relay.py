"""Side by side with what users would pick: direct, through HAProxy in TCP mode, through ulproxy.

`python -m benchmarks.relay` measures transfers; --memory and --associations measure these in their
place, --all all three. README.md beside this file says how to read the figures. Exit status: 0, or
1 where a goal was missed.
"""

import json
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.table import Table

from benchmarks import associations, memory, report, transfers
from benchmarks.processes import PeerError
from benchmarks.variants import VARIANTS

Verdict = tuple[bool, str]


class Session:
    """One run of the benchmark: what was chosen, what was found."""

    def __init__(self, names: list[str], work: Path, *, quick: bool) -> None:
        self.names, self.work, self.quick = names, work, quick
        self.console = Console(width=None if sys.stdout.isatty() else 160)
        self.figures: dict[str, object] = {"machine": report.machine(), "quick": quick}
        self.verdicts: list[Verdict] = []

    def transfers(self, chosen: list[transfers.Case], rounds: int) -> None:
        """storescu to storescp."""
        table, results = report.transfer_table(self.names), []
        with self.console.status("files") as status:
            for result in transfers.measure(chosen, self.names, rounds, self.work, status.update):
                table.add_row(*report.transfer_row(result))
                results.append(result.figures())
                self._judge(None if self.quick else report.transfer_verdict(result))
        self._show("transfers", table, results)

    def memory(self) -> None:
        """One object of 4 GB."""
        results = []
        with self.console.status("memory"):
            for result in memory.measure(self.names, self.work, quick=self.quick):
                results.append(result)
                self._judge(report.memory_verdict(result))
        figures = [asdict(result) | {"growth": result.growth} for result in results]
        self._show("memory", report.memory_table(results), figures)

    def associations(self, count: int) -> None:
        """So many at once."""
        results = []
        with self.console.status("associations"):
            for result in associations.measure(self.names, count, self.work):
                results.append(result)
                self._judge(report.association_verdict(result))
        figures = [asdict(result) | {"each": result.each} for result in results]
        self._show("associations", report.association_table(results), figures)

    def conclude(self) -> bool:
        """Print the verdicts; whether every goal was met."""
        for met, text in self.verdicts:
            self.console.print(
                "[green]met   [/]" if met else "[red]MISSED[/]", text, highlight=False
            )
        self.figures["verdicts"] = [{"met": met, "text": text} for met, text in self.verdicts]
        return all(met for met, _ in self.verdicts)

    def _judge(self, verdict: Verdict | None) -> None:
        if verdict:
            self.verdicts.append(verdict)

    def _show(self, what: str, table: Table, figures: list[dict[str, object]]) -> None:
        self.figures[what] = figures
        self.console.print(table)


@click.command()
@click.option("--rounds", default=5, show_default=True, help="How often each transfer is measured.")
@click.option(
    "--cases", default="", help="Only cases whose name starts with one of these: big,ct-pdu16,…"
)
@click.option("--variants", default=",".join(VARIANTS), show_default=True)
@click.option(
    "--memory", "with_memory", is_flag=True, help="Memory while 4 GB stream, in place of transfers."
)
@click.option(
    "--associations", "count", type=int, help="So many associations at once, in place of transfers."
)
@click.option("--all", "everything", is_flag=True, help="Transfers, memory and 200 associations.")
@click.option(
    "--quick", is_flag=True, help="Little of everything, to see that it runs; CPU is not judged."
)
@click.option(
    "--json", "output", type=click.Path(path_type=Path), help="Write all figures to this file."
)
def main(
    *,
    rounds: int,
    cases: str,
    variants: str,
    with_memory: bool,
    count: int | None,
    everything: bool,
    quick: bool,
    output: Path | None,
) -> None:
    """Measure ulproxy beside a direct connection and HAProxy, on this machine alone."""
    signal.signal(signal.SIGTERM, _terminate)
    names = variants.split(",")
    if unknown := set(names) - VARIANTS.keys():
        raise click.BadParameter(f"no such variant: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="ulproxy-benchmark-run.") as work:
        session = Session(names, Path(work), quick=quick)
        try:
            if everything or not (with_memory or count):
                session.transfers(_chosen(cases, quick=quick), min(rounds, 2) if quick else rounds)
            if everything or with_memory:
                session.memory()
            if everything or count:
                session.associations(count or 200)
        except PeerError as error:
            raise click.ClickException(str(error)) from error
        met = session.conclude()
    if output:
        output.write_text(json.dumps(session.figures, indent=1) + "\n")
    sys.exit(0 if met else 1)


def _chosen(prefixes: str, *, quick: bool) -> list[transfers.Case]:
    known = transfers.cases(quick=quick)
    chosen = [case for case in known if case.key.startswith(tuple(prefixes.split(",")))]
    if not chosen:
        raise click.BadParameter(f"cases are {', '.join(case.key for case in known)}")
    return chosen


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Let the context managers end what was started."""
    sys.exit(143)


if __name__ == "__main__":
    main()
