"""storescu to storescp: every case over every variant, the variants taking turns within a round.

The machine's mood changes from minute to minute and touches all variants alike, so what is compared
is always from the same round: a ratio is the median of the rounds' ratios, not the ratio of two
medians.
"""

import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path

from benchmarks import corpus
from benchmarks.processes import PeerError
from benchmarks.variants import CALLING, HOST, Variant, environment, start, storescp

SEND_SECONDS = 180.0
SETTLE_SECONDS = 0.05  # the relay closes its sockets after storescu has ended


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent in one association."""

    key: str
    label: str
    folder: Callable[[], Path]
    most_rounds: int = 1000


@dataclass(frozen=True, slots=True)
class Case:
    """One load over one kind of sink."""

    load: Load
    sink: str

    @property
    def key(self) -> str:
        """What --cases selects by and the JSON names."""
        return f"{self.load.key}-{self.sink}".lower()


@dataclass(frozen=True, slots=True)
class Run:
    """One association measured."""

    wall: float
    cpu: float  # of the relaying process; 0 without one


WALL: Callable[[Run], float] = attrgetter("wall")
CPU: Callable[[Run], float] = attrgetter("cpu")


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of a case: a list for each variant, index = round."""

    case: Case
    runs: dict[str, list[Run]]

    def wall(self, variant: str) -> float:
        """Median wall seconds."""
        return statistics.median(run.wall for run in self.runs[variant])

    def cpu(self, variant: str) -> float:
        """Median CPU seconds of the relaying process."""
        return statistics.median(run.cpu for run in self.runs[variant])

    def ratio(self, field: Callable[[Run], float], variant: str, to: str) -> float | None:
        """Median over the rounds of one variant's figure over another's; None if one did not run."""
        if not {variant, to} <= self.runs.keys():
            return None
        pairs = zip(self.runs[variant], self.runs[to], strict=True)
        return statistics.median(field(a) / field(b) for a, b in pairs)

    def figures(self) -> dict[str, object]:
        """For the JSON file."""
        return {
            "case": self.case.key,
            "load": self.case.load.label,
            "sink": self.case.sink,
            "runs": {name: [asdict(run) for run in runs] for name, runs in self.runs.items()},
            "wall_ratio_to_direct": self.ratio(WALL, "ulproxy", "direct"),
            "wall_ratio_to_haproxy": self.ratio(WALL, "ulproxy", "haproxy"),
            "cpu_ratio_to_haproxy": self.ratio(CPU, "ulproxy", "haproxy"),
        }


SINKS = {"PDU16": (16384, True), "PDU128": (131072, True), "STOCK": (16384, False)}  # pdu, nodelay


def cases(*, quick: bool) -> list[Case]:
    """All of them, in the order of the table."""
    frames, cts, smalls, stock = (100, 40, 200, 10) if quick else (1000, 400, 1000, 100)
    loads = [
        Load("big", f"1 object of {frames / 2:.0f} MiB", lambda: corpus.multi_frame(frames)),
        Load("ct", f"{cts} CT slices of 512 KiB", lambda: corpus.slices(cts, 512)),
        Load("small", f"{smalls} objects of 3 KB", lambda: corpus.slices(smalls, 32)),
    ]
    nagle = Load(
        "nagle", f"{stock} objects of 3 KB", lambda: corpus.slices(stock, 32), most_rounds=3
    )
    return [Case(load, sink) for load in loads for sink in ("PDU16", "PDU128")] + [
        Case(nagle, "STOCK")
    ]


def measure(
    chosen: list[Case], names: list[str], rounds: int, work: Path, progress: Callable[[str], None]
) -> Iterator[Result]:
    """Run the cases; each result comes when its case is done."""
    with ExitStack() as stack:
        sinks = {}
        for sink in sorted({case.sink for case in chosen}):
            pdu, nodelay = SINKS[sink]
            process, sinks[sink] = storescp(sink, pdu, work, nodelay=nodelay)
            stack.enter_context(process).listening(sinks[sink])
        variants = start(names, sinks, work, stack)
        warm = Case(Load("warm", "", lambda: corpus.slices(10, 32)), chosen[0].sink)
        for variant in variants:
            _send(warm, variant)
        for case in chosen:
            runs: dict[str, list[Run]] = {variant.name: [] for variant in variants}
            for number in range(min(rounds, case.load.most_rounds)):
                turn = number % len(variants)
                for variant in variants[turn:] + variants[:turn]:
                    progress(f"{case.key}: round {number + 1}, {variant.name}")
                    runs[variant.name].append(_send(case, variant))
            yield Result(case, runs)


def _send(case: Case, variant: Variant) -> Run:
    pdu, nodelay = SINKS[case.sink]
    options = ["--required", "--max-pdu", str(pdu), "-aet", CALLING, "-aec", case.sink, "+sd"]
    target = [HOST, str(variant.ports[case.sink]), str(case.load.folder())]
    before = variant.process.cpu() if variant.process else 0.0
    began = time.perf_counter()
    try:
        subprocess.run(
            ["storescu", *options, *target],
            env=environment(nodelay=nodelay),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=SEND_SECONDS,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or b"").decode(errors="replace")[-1000:]
        logged = variant.process.explain() if variant.process else ""
        raise PeerError(f"{case.key} over {variant.name}: {error}\n{said}\n{logged}") from error
    wall = time.perf_counter() - began
    time.sleep(SETTLE_SECONDS)
    return Run(wall, variant.process.cpu() - before if variant.process else 0.0)
