"""The goals, each with the figure that it is about; a figure that was not measured is said to be so."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.results import Results, best, worst

MIB, KIB = 2**20, 2**10


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure and its bound."""

    text: str
    bound: float
    find: Callable[[Results], float | None]
    at_least: bool = False  # else at most
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a goal; `met` is None where nothing was measured."""

    text: str
    bound: str
    value: str
    met: bool | None


def _cpu(pdu: int) -> Callable[[Results], float | None]:
    """Of the large objects: small ones have a goal of their own."""
    return lambda found: worst(
        [
            found.ratio(case, "cpu", "ulproxy", "haproxy")
            for case in _transfers(found)
            if f"-pdu{pdu}-" in case and not case.startswith("small")
        ]
    )


def _wall(found: Results) -> float | None:
    return worst([found.ratio(case, "wall", "ulproxy", "haproxy") for case in _transfers(found)])


def _faster_than(peer: str) -> Callable[[Results], float | None]:
    return lambda found: best(
        [found.ratio(case, "wall", peer, "ulproxy") for case in _transfers(found)]
    )


def _added(found: Results) -> float | None:
    """Medians, since a round's own difference may be next to nothing."""
    ratios: list[float | None] = []
    for case in found.cases("small-"):
        walls = [found.median(case, name, "wall") for name in ("direct", "haproxy", "ulproxy")]
        direct, haproxy, ours = (wall or 0.0 for wall in walls)
        if None not in walls and haproxy > direct:
            ratios.append((ours - direct) / (haproxy - direct))
    return worst(ratios)


def _setup(found: Results) -> float | None:
    return best([found.ratio(case, "rate", "ulproxy", "haproxy") for case in found.cases("setup-")])


def _first_byte(found: Results) -> float | None:
    return worst(
        [
            found.median(case, "ulproxy", "first")
            for case in ("first-byte-fragment", "first-byte-store")
        ]
    )


def _nagle(found: Results) -> float | None:
    return found.ratio("nagle-small", "wall", "direct", "ulproxy")


def _growth(found: Results) -> float | None:
    return worst([found.median(case, "ulproxy", "growth") for case in found.cases("memory-")])


def _idle(found: Results) -> float | None:
    return found.median("many-1000", "ulproxy", "each")


def _tls(found: Results) -> float | None:
    cases = found.cases("tls-both")
    return worst([found.ratio(case, "cpu", "ulproxy", "haproxy") for case in cases])


def _decide(found: Results) -> float | None:
    many = found.median("micro-decide-100000", "ulproxy", "us")
    few = found.median("micro-decide-10", "ulproxy", "us")
    return many / few if many and few else None


def _workers(found: Results) -> float | None:
    return found.ratio("workers", "wall", "ulproxy, 1", "ulproxy, 2")


def _workers_cpu(found: Results) -> float | None:
    return found.ratio("workers", "cpu", "ulproxy, 2", "ulproxy, 1")


GOALS = (
    Goal("CPU per GB, 128 KB PDUs, against HAProxy TCP", 0.8, _cpu(128)),
    Goal("CPU per GB, 16 KB PDUs, against HAProxy TCP", 1.1, _cpu(16)),
    Goal("wall, any transfer case, against HAProxy TCP", 1.05, _wall),
    Goal("wall, Orthanc as a router against ours", 10, _faster_than("orthanc"), at_least=True),
    Goal("wall, pynetdicom as a proxy against ours", 10, _faster_than("pynetdicom"), at_least=True),
    Goal("added time per C-STORE of a small object, against HAProxy's", 1.5, _added),
    Goal("association set-up rate, against HAProxy's", 0.5, _setup, at_least=True),
    Goal("first byte in to first byte out, inside an association", 200e-6, _first_byte, unit="us"),
    Goal("stock DCMTK, small objects: direct against ours", 50, _nagle, at_least=True),
    Goal("memory growth, one object of 100 MB, 1 GB, 10 GB", 4 * MIB, _growth, unit="MiB"),
    Goal("memory per idle association, at 1000", 64 * KIB, _idle, unit="KiB"),
    Goal("TLS on both sides, CPU per GB against HAProxy", 1.3, _tls),
    Goal("decision time, 100 000 AEs and rules against 10", 1.5, _decide),
    Goal("throughput of two workers against one", 1.7, _workers, at_least=True),
    Goal("CPU per GB of two workers against one", 1.1, _workers_cpu),
)


def verdicts(found: Results) -> list[Verdict]:
    """All of them. A ratio is the worst of the cases that it is about."""
    made = []
    for goal in GOALS:
        value = goal.find(found)
        met = (
            None if value is None else (value >= goal.bound) == goal.at_least or value == goal.bound
        )
        sign = "≥" if goal.at_least else "≤"
        shown = "not measured" if value is None else _shown(value, goal.unit)
        made.append(Verdict(goal.text, f"{sign} {_shown(goal.bound, goal.unit)}", shown, met))
    return made


def _transfers(found: Results) -> list[str]:
    return [case for start in ("big-", "ct-", "small-") for case in found.cases(start)]


def _shown(value: float, unit: str) -> str:
    if unit == "us":
        return f"{value * 1e6:.0f} µs"
    if unit == "MiB":
        return f"{value / MIB:.1f} MiB"
    return f"{value / KIB:.0f} KiB" if unit == "KiB" else f"{value:.3g}"
