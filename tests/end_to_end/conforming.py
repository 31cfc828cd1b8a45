"""The five acceptors that the conformance suite is run against, and the record of how each of them does.

python -m tests.end_to_end.conforming            runs all cases against all of them, shows what differs
python -m tests.end_to_end.conforming --update   writes the record, and the table in CONFORMANCE.md
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pynetdicom

import ulproxy
from tests.conform.acceptor import acceptor
from tests.end_to_end.peers import (
    ORTHANC,
    ROOT,
    ae,
    border,
    dcmqrscp,
    free_port,
    orthanc,
    program,
    relay,
    rule,
    storescp,
    wait_until,
)
from tests.end_to_end.pynet import NO_DELAY
from tests.end_to_end.wire import EXPLICIT, IMPLICIT, VERIFICATION
from ulproxy.conform.case import Outcome, Verdict
from ulproxy.conform.report import summary
from ulproxy.conform.run import run
from ulproxy.conform.settings import Settings
from ulproxy.conform.suite import CLAUSES, chosen
from ulproxy.policy.endpoints import Endpoint

CALLED, CALLING = "CONFORM", "ULPROXY"
ARTIM = 2
RECORD = Path(__file__).with_suffix(".json")
STATEMENT = ROOT / "CONFORMANCE.md"
BEGIN, END = "<!-- python -m tests.end_to_end.conforming --update -->\n", "<!-- end -->\n"
HOSTS = {CALLING: 1}


@contextlib.contextmanager
def _storescp(directory: Path) -> Iterator[int]:
    port = free_port()
    options = ("+xa", "-ta", str(ARTIM))
    with storescp(port, directory / "received", directory, True, *options):
        yield port


@contextlib.contextmanager
def _dcmqrscp(directory: Path) -> Iterator[int]:
    port = free_port()
    areas = {CALLED: directory / "area"}
    with dcmqrscp(port, areas, HOSTS, directory, "-ta", str(ARTIM)):
        yield port


@contextlib.contextmanager
def _orthanc(directory: Path) -> Iterator[int]:
    port = free_port()
    with orthanc(CALLED, port, free_port(), HOSTS, directory):
        yield port


@contextlib.contextmanager
def _pynetdicom(directory: Path) -> Iterator[int]:
    """In a process of its own, where what its threads raise troubles nobody."""
    port = free_port()
    command = [sys.executable, "-m", "tests.end_to_end.conforming", "--pynetdicom", str(port)]
    with program(command, directory) as running:
        wait_until(lambda: running.listens_on(port), "pynetdicom listens")
        yield port


def serve_pynetdicom(port: int) -> None:
    """Its Verification SCP, for as many associations as cases leave behind."""
    made = pynetdicom.AE(CALLED)
    made.acse_timeout, made.maximum_associations = float(ARTIM), 500
    made.add_supported_context(VERIFICATION, [IMPLICIT, EXPLICIT])
    made.start_server(("127.0.0.1", port), evt_handlers=[NO_DELAY])


@contextlib.contextmanager
def _ulproxy(directory: Path) -> Iterator[int]:
    """The relay before an acceptor without peculiarities, which would be seen through it: the tests' own."""
    with acceptor() as sink:
        aes = [ae(CALLING, "west"), ae(CALLED, "east", sink.port, alias=CALLED)]
        config = border(aes, [rule([CALLING], [CALLED])], limits={"artim": float(ARTIM)})
        with relay(config, directory) as running:
            yield running.ports["west"]


@dataclass(frozen=True)
class Acceptor:
    """How it is run; `artim` as it is set, or cannot be; `jobs` = how many cases it may have at once."""

    start: Callable[[Path], contextlib.AbstractContextManager[int]]
    version: Callable[[], str]
    artim: float = ARTIM
    jobs: int = 1

    @contextlib.contextmanager
    def running(self, directory: Path, timeout: float = 3.0) -> Iterator[Settings]:
        with self.start(directory) as port:
            endpoint = Endpoint("127.0.0.1", port)
            yield Settings(
                endpoint, CALLED, CALLING, timeout=timeout, artim=self.artim, patience=100.0
            )


def _said(*command: str) -> str:
    """The number of the version that a program says it has."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout)
    assert found, done.stdout
    return found[0]


ACCEPTORS = {
    "ulproxy": Acceptor(_ulproxy, lambda: ulproxy.__version__, jobs=4),
    "storescp": Acceptor(_storescp, lambda: _said("storescp", "--version")),
    "dcmqrscp": Acceptor(_dcmqrscp, lambda: _said("dcmqrscp", "--version")),
    # Orthanc has the ARTIM of DCMTK, and no option for it.
    "Orthanc": Acceptor(_orthanc, lambda: _said(ORTHANC, "--version"), artim=30.0),
    "pynetdicom": Acceptor(_pynetdicom, lambda: str(pynetdicom.__version__)),
}


def outcomes(
    name: str, directory: Path, *patterns: str, artim: bool = True, jobs: int = 0
) -> list[Outcome]:
    """Runs the cases that the patterns name; without those that wait for ARTIM where that is said."""
    acceptor = ACCEPTORS[name]
    cases = [case for one in chosen(patterns) for case in one.cases if artim or not case.artim]
    with acceptor.running(directory) as settings:
        return list(run(cases, settings, jobs or acceptor.jobs))


def verdicts(found: list[Outcome]) -> dict[str, str]:
    """What did not pass, by case."""
    return {one.case.id: str(one.verdict) for one in found if one.verdict is not Verdict.PASSED}


def recorded() -> dict[str, dict[str, str]]:
    """The same as it was at the last update, by acceptor."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    return {name: one["verdicts"] for name, one in record.items()}


def table(record: dict[str, dict[str, object]]) -> str:
    """A row for each clause; passed of how many, then failed, noted and skipped."""
    heads = [f"{name} {one['version']}" for name, one in record.items()]
    lines = [f"| PS3.8 | cases | {' | '.join(heads)} |", "| --- " * (len(heads) + 2) + "|"]
    for clause in CLAUSES:
        ids = [case.id for case in clause.cases]
        lines.append(f"| {clause.number} {clause.title} | {len(ids)} | {_cells(record, ids)} |")
    every = [case.id for clause in CLAUSES for case in clause.cases]
    lines.append(f"| all | {len(every)} | {_cells(record, every)} |")
    return "\n".join(lines) + "\n"


def _cells(record: dict[str, dict[str, object]], ids: list[str]) -> str:
    return " | ".join(_cell(one["verdicts"], ids) for one in record.values())


def _cell(found: object, ids: list[str]) -> str:
    assert isinstance(found, dict)
    counts = Counter(found[one] for one in ids if one in found)
    marks = {Verdict.FAILED: "✘", Verdict.NOTED: "!", Verdict.SKIPPED: "-"}
    said = [str(len(ids) - counts.total())]
    said += [f"{mark}{counts[verdict]}" for verdict, mark in marks.items() if counts[verdict]]
    return " ".join(said)


def main(names: list[str], *, update: bool) -> int:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    for name in names or ACCEPTORS:
        before = record.get(name, {}).get("verdicts", {})
        with tempfile.TemporaryDirectory() as directory:
            found = outcomes(name, Path(directory))
        record[name] = {"version": ACCEPTORS[name].version(), "verdicts": verdicts(found)}
        click.echo(f"{name}: {summary(found)}")
        for one in found:
            was = before.get(one.case.id, Verdict.PASSED)
            if was != one.verdict:
                click.echo(f"  {one.case.id} {was} -> {one.verdict}: {one.case.holds}: {one.why}")
    if update:
        RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
        head, rest = STATEMENT.read_text(encoding="utf-8").split(BEGIN)
        STATEMENT.write_text(head + BEGIN + table(record) + END + rest.split(END)[1], "utf-8")
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--pynetdicom", port]:
            serve_pynetdicom(int(port))
        case arguments:
            wanted = [one for one in arguments if one in ACCEPTORS]
            raise SystemExit(main(wanted, update="--update" in arguments))
