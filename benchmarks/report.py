"""The figures as tables on a terminal, as verdicts on the goals, and as JSON."""

import datetime
import os
import platform
import subprocess
from pathlib import Path

from rich.table import Table

from benchmarks import associations, memory, transfers

ROOT = Path(__file__).parents[1]
CPU_GOAL = 1.5  # times HAProxy's CPU at 128 KiB PDUs
MIB = 2**20


def transfer_table(names: list[str]) -> Table:
    """An empty table of transfers; a row for each result."""
    table = Table(
        title="storescu to storescp, medians; ratios are ulproxy's; CPU is the relaying process's"
    )
    table.add_column("Case")
    table.add_column("Sink")
    for name in names:
        table.add_column(f"{name} s", justify="right")
    table.add_column("wall / direct", justify="right")
    table.add_column("wall / haproxy", justify="right")
    for name in names:
        if name != "direct":
            table.add_column(f"{name} CPU s", justify="right")
    table.add_column("CPU / haproxy", justify="right")
    return table


def transfer_row(result: transfers.Result) -> list[str]:
    """The cells of one result."""
    names = list(result.runs)
    return [
        result.case.load.label,
        result.case.sink,
        *(f"{result.wall(name):.2f}" for name in names),
        _times(result.ratio(transfers.WALL, "ulproxy", "direct")),
        _times(result.ratio(transfers.WALL, "ulproxy", "haproxy")),
        *(f"{result.cpu(name):.3f}" for name in names if name != "direct"),
        _times(result.ratio(transfers.CPU, "ulproxy", "haproxy")),
    ]


def memory_table(results: list[memory.Result]) -> Table:
    """All objects that were streamed."""
    table = Table(title="Memory while one object streams to a sink that stops now and then")
    for heading in (
        "",
        "Object",
        "PDUs",
        "RSS before",
        "Peak",
        "Growth",
        "s",
        "CPU s",
        "CPU s / GiB",
    ):
        table.add_column(heading, justify="right" if heading else "left")
    for result in results:
        gib = result.object_bytes / 2**30
        table.add_row(
            result.variant,
            f"{gib:.2f} GiB",
            result.pdu,
            *(f"{size / MIB:.1f} MiB" for size in (result.before, result.peak, result.growth)),
            f"{result.seconds:.1f}",
            f"{result.cpu:.2f}",
            f"{result.cpu / gib:.2f}",
        )
    return table


def association_table(results: list[associations.Result]) -> Table:
    """All variants."""
    table = Table(title="Associations at once, a C-ECHO on each while all are open")
    for heading in (
        "",
        "Asked",
        "At once",
        "Echoed",
        "s",
        "CPU s",
        "RSS before",
        "RSS open",
        "Each",
    ):
        table.add_column(heading, justify="right" if heading else "left")
    for result in results:
        table.add_row(
            result.variant,
            *map(str, (result.asked, result.at_once, result.echoed)),
            f"{result.seconds:.2f}",
            f"{result.cpu:.3f}",
            *(f"{size / MIB:.1f} MiB" for size in (result.before, result.open)),
            f"{result.each / 1024:.1f} KiB",
        )
    return table


def transfer_verdict(result: transfers.Result) -> tuple[bool, str] | None:
    """Whether a case keeps the goal for CPU; None where there is none."""
    ratio = result.ratio(transfers.CPU, "ulproxy", "haproxy")
    if ratio is None or result.case.sink != "PDU128":
        return None
    return ratio <= CPU_GOAL, f"{result.case.key}: {ratio:.2f} times HAProxy's CPU, goal {CPU_GOAL}"


def memory_verdict(result: memory.Result) -> tuple[bool, str] | None:
    """Whether the relay's memory stayed where it was."""
    if result.variant != "ulproxy":
        return None
    grew = f"grew by {result.growth / MIB:.1f} MiB, goal under {memory.GOAL // MIB}"
    text = f"memory, PDUs {result.pdu}: {grew}"
    return result.growth < memory.GOAL, text


def association_verdict(result: associations.Result) -> tuple[bool, str] | None:
    """Whether all were open at the same moment and worked."""
    if result.variant != "ulproxy":
        return None
    text = f"associations: {result.at_once} of {result.asked} at once, {result.echoed} echoed"
    return result.asked == result.at_once == result.echoed, text


def machine() -> dict[str, object]:
    """Where and of what the figures were taken."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _says("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "uncommitted": _says("git", "-C", str(ROOT), "status", "--short", "--", "ulproxy").split(
            "\n"
        ),
        "cpu": next(
            (line.partition(": ")[2] for line in cpus if line.startswith("model name")), ""
        ),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],  # of the minute before: others at work spoil wall times
        "kernel": platform.release(),
        "python": platform.python_version(),
        "dcmtk": _says("storescu", "--version").partition("\n")[0],
        "haproxy": _says("/usr/sbin/haproxy", "-v").partition("\n")[0],
    }


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _says(*command: str) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=10
        ).stdout.strip()
    except FileNotFoundError:
        return ""
