"""`python -m benchmarks`: ulproxy beside what users would pick, on this machine alone.

Direct, HAProxy in TCP mode, nginx stream, Orthanc as a router, a proxy on pynetdicom, ulproxy. README.md
beside this file says how to read the figures. Exit status: 0, 1 where a goal was missed or a case failed.
"""

import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from benchmarks.associations import associations
from benchmarks.goals import verdicts
from benchmarks.latency import latency
from benchmarks.machine import machine
from benchmarks.memory import memory
from benchmarks.micro import micro
from benchmarks.queries import queries
from benchmarks.results import Results, read
from benchmarks.scale import configuration, workers
from benchmarks.secure import tls
from benchmarks.suite import Outcome, Setting
from benchmarks.tables import grids, skipped, terminal
from benchmarks.transfers import nagle, transfers
from benchmarks.variants import VARIANTS

SUITES: tuple[Callable[[Setting], Iterator[Outcome]], ...] = (
    micro,
    latency,
    associations,
    transfers,
    nagle,
    tls,
    queries,
    memory,
    configuration,
    workers,
)


@click.command()
@click.option("--rounds", default=5, show_default=True, help="How often each case is measured.")
@click.option("--cases", default="*", help="Patterns of keys: 'big-*,setup-1'.  [default: all]")
@click.option("--variants", default=",".join(VARIANTS), show_default=True)
@click.option("--quick", is_flag=True, help="A little of everything, once, to see that it runs.")
@click.option("--update", is_flag=True, help="Keep the other cases that the JSON file has.")
@click.option(
    "--json", "output", type=click.Path(path_type=Path), help="Write all figures to this file."
)
def main(
    *, rounds: int, cases: str, variants: str, quick: bool, update: bool, output: Path | None
) -> None:
    """Measure ulproxy beside a direct connection, HAProxy, nginx, Orthanc and pynetdicom."""
    signal.signal(signal.SIGTERM, _terminate)
    names = variants.split(",")
    if unknown := set(names) - VARIANTS.keys():
        raise click.BadParameter(f"no such variant: {', '.join(sorted(unknown))}")
    console = Console(width=None if sys.stdout.isatty() else 160)
    found = Results(machine())
    with (
        tempfile.TemporaryDirectory(prefix="ulproxy-benchmark-run.", dir=_memory()) as work,
        console.status("") as status,
    ):
        setting = Setting(
            Path(work),
            names,
            cases.split(","),
            1 if quick else rounds,
            quick=quick,
            progress=status.update,
        )
        try:
            for suite in SUITES:
                _show(console, suite(setting), found)
        finally:  # what was measured until somebody lost patience is worth keeping
            if output:
                _write(found, output, update=update)
    sys.exit(0 if _conclude(console, found, quick=quick) else 1)


def _show(console: Console, outcomes: Iterator[Outcome], found: Results) -> None:
    """Add them to what was found; the tables of them."""
    measured = Results()
    for outcome in outcomes:
        found.add(outcome)
        measured.add(outcome)
    for grid in grids(measured, spread=False):
        console.print(terminal(grid))


def _write(found: Results, output: Path, *, update: bool) -> None:
    everything = read(output) if update and output.exists() else found
    if everything is not found:
        everything.update(found)
    everything.write(output)


def _conclude(console: Console, found: Results, *, quick: bool) -> bool:
    """Print what did not run and the goals; whether all is well. A quick run judges no goal."""
    for text in skipped(found.skips):
        console.print(text, highlight=False, markup=False)
    failed = any(skip.failed for skip in found.skips)
    if quick:
        return not failed
    judged = verdicts(found)
    for verdict in judged:
        mark = {True: "met   ", False: "MISSED", None: "      "}[verdict.met]
        text = f"{mark} {verdict.text}: {verdict.value}, goal {verdict.bound}"
        console.print(text, highlight=False, markup=False)
    return not failed and all(verdict.met is not False for verdict in judged)


def _memory() -> Path | None:
    """Where files cost no disk, in favour of those that store what they relay."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() else None


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Let the context managers end what was started."""
    sys.exit(143)


if __name__ == "__main__":
    main()
