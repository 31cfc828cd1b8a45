"""The goals, each with the figure that it is about; a figure that was not measured is said to be so."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.results import Results

MIB, KIB = 2**20, 2**10
LARGE = ("big-", "ct-")
TRANSFERS = (*LARGE, "small-")
Measured = tuple[float, str]  # a value, and the case that it is of


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure and its bound."""

    text: str
    bound: float
    find: Callable[[Results], Iterable[Measured]]  # all that it is about: the worst is judged
    at_least: bool = False  # else at most
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a goal; `met` is None where nothing was measured."""

    text: str
    bound: str
    value: str
    met: bool | None


def _ratios(
    starts: Iterable[str],
    figure: str,
    variant: str = "ulproxy",
    to: str = "haproxy",
    part: str = "",
) -> Callable[[Results], list[Measured]]:
    """One variant's figure over another's, of all cases whose keys begin so."""

    def find(found: Results) -> list[Measured]:
        cases = [case for start in starts for case in found.cases(start) if part in case]
        ratios = {case: found.ratio(case, figure, variant, to) for case in cases}
        return [(ratio, case) for case, ratio in ratios.items() if ratio is not None]

    return find


def _medians(starts: Iterable[str], figure: str) -> Callable[[Results], list[Measured]]:
    """ulproxy's own figure."""

    def find(found: Results) -> list[Measured]:
        cases = [case for start in starts for case in found.cases(start)]
        medians = {case: found.median(case, "ulproxy", figure) for case in cases}
        return [(median, case) for case, median in medians.items() if median is not None]

    return find


def _added(found: Results) -> Iterable[Measured]:
    """Of medians, since a round's own difference may be next to nothing."""
    for case in found.cases("small-"):
        walls = [found.median(case, name, "wall") for name in ("direct", "haproxy", "ulproxy")]
        direct, haproxy, ours = (wall or 0.0 for wall in walls)
        if None not in walls and haproxy > direct:
            yield (ours - direct) / (haproxy - direct), case


def _decide(found: Results) -> Iterable[Measured]:
    many = found.median("micro-decide-100000", "ulproxy", "us")
    few = found.median("micro-decide-10", "ulproxy", "us")
    if many and few:
        yield many / few, "micro-decide-100000"


GOALS = (
    Goal(
        "CPU per GB, 128 KB PDUs, against HAProxy TCP", 0.8, _ratios(LARGE, "cpu", part="-pdu128-")
    ),
    Goal("CPU per GB, 16 KB PDUs, against HAProxy TCP", 1.1, _ratios(LARGE, "cpu", part="-pdu16-")),
    Goal("wall, any transfer case, against HAProxy TCP", 1.05, _ratios(TRANSFERS, "wall")),
    Goal(
        "wall, Orthanc as a router against ours",
        10,
        _ratios(TRANSFERS, "wall", "orthanc", "ulproxy"),
        at_least=True,
    ),
    Goal(
        "wall, pynetdicom as a proxy against ours",
        10,
        _ratios(TRANSFERS, "wall", "pynetdicom", "ulproxy"),
        at_least=True,
    ),
    Goal("added time per C-STORE of a small object, against HAProxy's", 1.5, _added),
    Goal(
        "association set-up rate, against HAProxy's",
        0.5,
        _ratios(("setup-",), "rate"),
        at_least=True,
    ),
    Goal(
        "first byte in to first byte out, inside an association",
        200e-6,
        _medians(("first-byte-fragment", "first-byte-store"), "first"),
        unit="us",
    ),
    Goal(
        "stock DCMTK, small objects: direct against ours",
        50,
        _ratios(("nagle-",), "wall", "direct", "ulproxy"),
        at_least=True,
    ),
    Goal(
        "memory growth, one object of 100 MB, 1 GB, 10 GB",
        4 * MIB,
        _medians(("memory-",), "growth"),
        unit="MiB",
    ),
    Goal(
        "memory per idle association, at 1000",
        64 * KIB,
        _medians(("many-1000",), "each"),
        unit="KiB",
    ),
    Goal("TLS on both sides, CPU per GB against HAProxy", 1.3, _ratios(("tls-both-",), "cpu")),
    Goal("decision time, 100 000 AEs and rules against 10", 1.5, _decide),
    Goal(
        "throughput of two workers against one",
        1.7,
        _ratios(("workers",), "wall", "ulproxy, 1", "ulproxy, 2"),
        at_least=True,
    ),
    Goal(
        "CPU per GB of two workers against one",
        1.1,
        _ratios(("workers",), "cpu", "ulproxy, 2", "ulproxy, 1"),
    ),
)


def verdicts(found: Results) -> list[Verdict]:
    """All of them."""
    return [_verdict(goal, list(goal.find(found))) for goal in GOALS]


def _verdict(goal: Goal, measured: list[Measured]) -> Verdict:
    bound = f"{'≥' if goal.at_least else '≤'} {_shown(goal.bound, goal.unit)}"
    if not measured:
        return Verdict(goal.text, bound, "not measured", None)
    value, case = (min if goal.at_least else max)(measured)
    shown = _shown(value, goal.unit) + (f" ({case})" if len(measured) > 1 else "")
    met = value >= goal.bound if goal.at_least else value <= goal.bound
    return Verdict(goal.text, bound, shown, met)


def _shown(value: float, unit: str) -> str:
    if unit == "us":
        return f"{value * 1e6:.0f} µs"
    if unit == "MiB":
        return f"{value / MIB:.1f} MiB"
    return f"{value / KIB:.0f} KiB" if unit == "KiB" else f"{value:.3g}"
