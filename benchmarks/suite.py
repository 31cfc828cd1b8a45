"""How a case is measured: over every variant, the variants taking turns within a round.

The machine's mood changes from minute to minute and touches all variants alike, so what is compared
is always from the same round. What cannot run is kept, with the reason, and never left out in silence.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.processes import PeerError, Process
from benchmarks.variants import UnavailableError, Variant, Wiring, start

ROOT = Path(__file__).parents[1]
LOAD_SECONDS = 180.0
SETTLE_SECONDS = 0.05  # a relay closes its sockets after the sender has ended
STREAMING = ("direct", "haproxy", "nginx", "ulproxy")
NOT_STREAMING = {
    "orthanc": "stores and forwards",
    "pynetdicom": "stores and forwards",
}

Figures = dict[str, float]
Measure = Callable[[Variant], Figures]


@dataclass(frozen=True, slots=True)
class Setting:
    """What was asked for."""

    work: Path
    variants: Sequence[str]
    patterns: Sequence[str] = ("*",)  # of the keys of cases
    rounds: int = 5
    quick: bool = False
    progress: Callable[[str], None] = print

    def wants(self, key: str) -> bool:
        """Whether the case was asked for."""
        return any(fnmatchcase(key, pattern) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Sample:
    """What one variant did in one round of one case."""

    case: str
    label: str
    variant: str
    round: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class Skip:
    """A variant that did not do a case, and why; `failed` if it should have."""

    case: str
    variant: str
    why: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure."""

    key: str
    label: str
    measure: Measure
    rounds: int = 1000  # at most
    slow: Mapping[str, int] = field(default_factory=dict)  # at most, for variants that take long
    without: Mapping[str, str] = field(default_factory=dict)  # variants that cannot, and why


Outcome = Sample | Skip


def measure(
    cases: Sequence[Case], standing: Sequence[Variant], setting: Setting
) -> Iterator[Outcome]:
    """All rounds of all cases over the variants that stand."""
    for case in cases:
        left = [way for way in standing if way.name not in case.without]
        yield from (
            Skip(case.key, way.name, case.without[way.name])
            for way in standing
            if way.name in case.without
        )
        for number in range(min(setting.rounds, case.rounds)):
            turn = number % max(1, len(left))
            for way in left[turn:] + left[:turn]:
                if number >= case.slow.get(way.name, case.rounds):
                    continue
                setting.progress(f"{case.key}: round {number + 1}, {way.name}")
                try:
                    yield Sample(case.key, case.label, way.name, number, case.measure(way))
                except (PeerError, OSError) as error:
                    yield Skip(case.key, way.name, f"{error}\n{way.explain()}", failed=True)
                    left.remove(way)


def ways(
    names: Sequence[str],
    wiring: Wiring,
    stack: ExitStack,
    keys: Sequence[str],
    without: Mapping[str, str],
) -> tuple[list[Variant], list[Skip]]:
    """The variants, started, and those that are not to be had for these cases."""
    started, skipped = [], []
    for name in names:
        why, failed = without.get(name), False
        if why is None:
            try:
                started.append(start(name, wiring, stack))
                continue
            except UnavailableError as error:
                why = str(error)
            except PeerError as error:
                why, failed = str(error), True
        skipped += [Skip(key, name, why, failed) for key in keys]
    return started, skipped


@contextmanager
def metered(way: Variant, sink: str) -> Iterator[Figures]:
    """CPU seconds and the most resident bytes of the relay, and the wall time where none is put there."""
    figures: Figures = {}
    process = way.processes.get(sink)
    before = 0.0
    if process:
        process.forget_peak()
        before = process.cpu()
    began = time.perf_counter()
    yield figures
    sent = time.perf_counter()
    way.settle(sink)
    figures["wall"] = figures.get("wall", sent - began) + time.perf_counter() - sent
    time.sleep(SETTLE_SECONDS)
    if process:
        figures["cpu"] = process.cpu() - before
        figures["peak"] = process.peak()


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """A sender, to its end; what it printed. Raises PeerError with what it said otherwise."""
    try:
        ended = subprocess.run(
            command,
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=LOAD_SECONDS,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise PeerError(f"{error}\n{str(error.stderr or '')[-1000:]}") from error
    return ended.stdout


def load(what: str, way: Variant, sink: str, *numbers: int, module: str = "load") -> Figures:
    """A sender of our own (load.py, both_ends.py), and the relay's figures."""
    with metered(way, sink) as figures:
        figures.update(load_alone(what, way, sink, *numbers, module=module))
    return figures


def load_alone(what: str, way: Variant, sink: str, *numbers: int, module: str = "load") -> Figures:
    """One of several senders at once: its own figures."""
    arguments = [what, str(way.ports[sink]), sink, *map(str, numbers)]
    figures: Figures = json.loads(run([sys.executable, "-m", f"benchmarks.{module}", *arguments]))
    return figures


def own_sinks(
    lengths: Mapping[str, int], work: Path, stack: ExitStack, responses: int = 0
) -> dict[str, int]:
    """Sinks of our own with these maximum lengths: their ports."""
    command = [sys.executable, "-m", "benchmarks.sink", "--responses", str(responses)]
    command += map(str, lengths.values())
    process = stack.enter_context(Process(command, work / "sink.log"))
    return dict(zip(lengths, map(int, process.line("ready ").split()[1:]), strict=True))
