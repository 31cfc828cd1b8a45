"""The figures as pictures, PNG files beside README.md."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import Results
from benchmarks.tables import FIGURES, known

COLOURS = {
    "direct": "#9aa0a6",
    "haproxy": "#4f81bd",
    "nginx": "#5fa55a",
    "orthanc": "#b07aa1",
    "pynetdicom": "#e0a030",
    "ulproxy": "#c0392b",
}
STREAMING = ("haproxy", "nginx", "ulproxy")
WIDTH = 9.0


def plots(found: Results, folder: Path) -> list[Path]:
    """Those that there are figures for."""
    folder.mkdir(exist_ok=True)
    made = []
    for name, draw in PLOTS.items():
        figure = draw(found)
        if figure is None:
            continue
        figure.set_layout_engine("constrained")
        made.append(folder / f"{name}.png")
        figure.savefig(made[-1], dpi=110, metadata={"Software": None})
    return made


def _cpu(found: Results) -> Figure | None:
    """CPU of the relay by PDU length, for large objects, of both senders."""
    pdus = ("16", "64", "128")
    kinds = {"big": "1 object of 500 MiB", "ct": "400 CT slices of 512 KiB"}
    if not found.cases("big-"):
        return None
    figure = Figure((WIDTH, 6))
    for number, (sender, by) in enumerate((("dcmtk", "storescu"), ("own", "our sender"))):
        for column, (kind, title) in enumerate(kinds.items()):
            axes = figure.add_subplot(2, 2, 2 * number + column + 1)
            cases = {f"{pdu} KB": f"{kind}-pdu{pdu}-{sender}" for pdu in pdus}
            _bars(axes, found, cases, "cpu_per_gb", STREAMING)
            axes.set_title(f"{title}, {by}", fontsize=10)
    return figure


def _wall(found: Results) -> Figure | None:
    """Wall time of everybody, PDUs of 16 KB."""
    cases = {
        "1 object\nof 500 MiB": "big-pdu16-dcmtk",
        "400 CT slices": "ct-pdu16-dcmtk",
        "1000 objects\nof 3 KB": "small-pdu16-dcmtk",
        "100 objects of 3 KB,\nNagle on": "nagle-small",
    }
    return _single(found, cases, "wall", list(COLOURS), "storescu to storescp, PDUs of 16 KB")


def _first_byte(found: Results) -> Figure | None:
    cases = {
        "a fragment of 16 KB": "first-byte-fragment",
        "a C-STORE of 3 KB": "first-byte-store",
        "an object of 512 KiB": "first-byte-object",
    }
    title = "from the sender's first byte to the receiver's"
    return _single(found, cases, "first", list(COLOURS), title)


def _many(found: Results) -> Figure | None:
    numbers = (1, 10, 100, 1000)
    if not found.cases("many-"):
        return None
    figure = Figure((WIDTH, 3.4))
    for place, key in enumerate(("wall", "cpu", "each")):
        axes = figure.add_subplot(1, 3, place + 1)
        names = ("direct", *STREAMING) if key == "wall" else STREAMING
        _lines(axes, found, {number: f"many-{number}" for number in numbers}, key, names)
        axes.set_xlabel("associations at once")
    return figure


def _memory(found: Results) -> Figure | None:
    sizes = (100, 1000, 10_000)
    if not found.cases("memory-"):
        return None
    figure = Figure((WIDTH / 2, 3.4))
    axes = figure.add_subplot()
    names = (*STREAMING, "pynetdicom")
    _lines(axes, found, {size: f"memory-{size}MB" for size in sizes}, "peak", names)
    axes.set_xlabel("MB of one object")
    return figure


PLOTS: dict[str, Callable[[Results], Figure | None]] = {
    "cpu": _cpu,
    "wall": _wall,
    "first-byte": _first_byte,
    "many": _many,
    "memory": _memory,
}


def _single(
    found: Results, cases: dict[str, str], key: str, names: Sequence[str], title: str
) -> Figure | None:
    """One row of groups of bars over decades."""
    there = {label: case for label, case in cases.items() if case in found.cases()}
    if not there:
        return None
    figure = Figure((WIDTH, 3.6))
    axes = figure.add_subplot()
    shown = _bars(axes, found, there, key, names)
    axes.set_ylim(min(shown) / 2, max(shown) * 2)
    axes.set_yscale("log")
    axes.set_title(title, fontsize=10)
    return figure


def _bars(
    axes: Axes, found: Results, cases: dict[str, str], key: str, names: Sequence[str]
) -> list[float]:
    """A group for each case, a bar for each variant, least and most as whiskers; the medians."""
    wide, unit = 0.8 / len(names), FIGURES[key].unit
    shown: list[float] = []
    for place, name in enumerate(names):
        spreads = {
            group: spread
            for group, case in enumerate(cases.values())
            if (spread := found.spread(case, name, key))
        }
        medians = [spread.median / unit for spread in spreads.values()]
        under = [(spread.median - spread.least) / unit for spread in spreads.values()]
        over = [(spread.most - spread.median) / unit for spread in spreads.values()]
        at = [group + (place - (len(names) - 1) / 2) * wide for group in spreads]
        shown += medians
        axes.bar(at, medians, wide, yerr=[under, over], color=COLOURS[name], label=name)
    axes.set_xticks(range(len(cases)), list(cases), fontsize=8)
    axes.set_ylabel(FIGURES[key].label)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    return shown


def _lines(
    axes: Axes, found: Results, cases: dict[int, str], key: str, names: Sequence[str]
) -> None:
    """A line for each variant over what grows tenfold."""
    for name in names:
        points = known({at: found.median(case, name, key) for at, case in cases.items()})
        values = [value / FIGURES[key].unit for value in points.values()]
        axes.plot(list(points), values, "o-", color=COLOURS[name], label=name)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_ylabel(FIGURES[key].label)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
