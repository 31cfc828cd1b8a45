"""The figures as tables: on a terminal, and in Markdown for README.md.

One row for a case and a figure, one column for a variant: the median, in Markdown with least and most of
the rounds in brackets; then ulproxy's ratios.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table

from benchmarks.results import Results, Spread
from benchmarks.suite import Skip
from benchmarks.variants import VARIANTS

MIB, KIB = 2**20, 2**10
RATIOS = ("direct", "haproxy")


@dataclass(frozen=True, slots=True)
class Figure:
    """How a figure is shown."""

    label: str
    unit: float = 1.0
    compared: bool = True  # whether a ratio of it says something


FIGURES = {
    "first": Figure("first byte, µs", 1e-6),
    "answered": Figure("response back, µs", 1e-6),
    "opened": Figure("all open, s"),
    "wall": Figure("wall, s"),
    "rate": Figure("per second"),
    "cpu": Figure("CPU, s"),
    "cpu_per_gb": Figure("CPU, s/GB"),
    "peak": Figure("most memory, MiB", MIB),
    "growth": Figure("memory grew, MiB", MIB, compared=False),
    "each": Figure("memory each, KiB", KIB),
    "started": Figure("start, s"),
    "resident": Figure("memory, MiB", MIB),
    "us": Figure("µs"),
}


@dataclass(frozen=True, slots=True)
class Section:
    """Cases that are shown together, by the beginnings of their keys."""

    title: str
    starts: tuple[str, ...]
    figures: tuple[str, ...]


SECTIONS = (
    Section("Large objects, TCP_NODELAY=1", ("big-", "ct-"), ("wall", "cpu_per_gb", "peak")),
    Section("Small objects, TCP_NODELAY=1", ("small-",), ("wall", "cpu", "peak")),
    Section("Stock DCMTK, Nagle's algorithm on", ("nagle-",), ("wall", "cpu")),
    Section("Associations at once", ("many-",), ("opened", "wall", "cpu", "each", "peak")),
    Section("Associations one after the other", ("setup-",), ("rate", "cpu")),
    Section(
        "From the sender's first byte to the receiver's", ("first-byte-",), ("first", "answered")
    ),
    Section("TLS", ("tls-",), ("wall", "cpu_per_gb", "peak")),
    Section("TLS, associations one after the other", ("secured-",), ("rate", "cpu")),
    Section("C-FIND", ("find-",), ("wall", "cpu", "peak")),
    Section(
        "Memory by the size of one object", ("memory-",), ("growth", "peak", "wall", "cpu_per_gb")
    ),
    Section("By the number of AEs and rules", ("rules",), ("started", "rate", "cpu", "resident")),
    Section("By the number of workers", ("workers",), ("wall", "cpu_per_gb", "peak")),
    Section("The core without sockets", ("micro-",), ("us",)),
)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of text."""

    title: str
    headings: list[str]
    rows: list[list[str]]


def grids(found: Results, *, spread: bool) -> list[Grid]:
    """A table for each section that has figures."""
    made = [_grid(section, found, spread=spread) for section in SECTIONS]
    return [grid for grid in made if grid.rows]


def terminal(grid: Grid) -> Table:
    """For rich."""
    table = Table(title=grid.title)
    for number, heading in enumerate(grid.headings):
        table.add_column(heading, justify="left" if number < 2 else "right")
    for row in grid.rows:
        table.add_row(*row)
    return table


def markdown(grid: Grid) -> str:
    """For README.md."""
    rule = ["---"] * 2 + ["---:"] * (len(grid.headings) - 2)
    lines = [grid.headings, rule, *grid.rows]
    return f"**{grid.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def skipped(skips: Iterable[Skip]) -> list[str]:
    """What did not run and why, a line for each reason."""
    cases: dict[tuple[bool, str, str], list[str]] = {}
    for skip in skips:
        cases.setdefault((skip.failed, skip.variant, skip.why.strip()), []).append(skip.case)
    return [
        f"{'FAILED' if failed else 'not run'}: {variant}, {', '.join(keys)}: {why}"
        for (failed, variant, why), keys in cases.items()
    ]


def known(values: dict[int, float | None]) -> dict[int, float]:
    """Those that there are."""
    return {key: value for key, value in values.items() if value is not None}


def number(value: float) -> str:
    """Three digits, no exponent."""
    if value == 0:
        return "0"
    for bound, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= bound:
            return f"{value:.{digits}f}"
    return f"{value:.3f}"


def _grid(section: Section, found: Results, *, spread: bool) -> Grid:
    cases = [case for start in section.starts for case in found.cases(start)]
    names = _ordered({name for case in cases for name in found.variants(case)})
    ratios = [f"÷ {to}" for to in RATIOS if {to, "ulproxy"} <= set(names)]
    rows = []
    for case in cases:
        label = found.label(case)
        for key in section.figures:
            spreads = [found.spread(case, name, key) for name in names]
            if not any(spreads):
                continue
            figure = FIGURES[key]
            cells = [_cell(one, figure.unit, whole=spread) for one in spreads]
            cells += [_ratio(found, case, key, to) for to in RATIOS if f"÷ {to}" in ratios]
            rows.append([label, figure.label, *cells])
            label = ""
    return Grid(section.title, ["", "", *names, *ratios], rows)


def _ordered(names: set[str]) -> list[str]:
    known = list(VARIANTS)
    return sorted(
        names, key=lambda name: (known.index(name) if name in known else 0, len(name), name)
    )


def _cell(spread: Spread | None, unit: float, *, whole: bool) -> str:
    if spread is None:
        return "-"
    median = number(spread.median / unit)
    if spread.rounds == 1 or not whole:
        return median
    return f"{median} ({number(spread.least / unit)} to {number(spread.most / unit)})"


def _ratio(found: Results, case: str, key: str, to: str) -> str:
    value = found.ratio(case, key, "ulproxy", to) if FIGURES[key].compared else None
    return "" if value is None else f"{value:.2f}"
