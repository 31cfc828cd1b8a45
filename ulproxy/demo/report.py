"""What the demonstration prints: a line per step, the table of what each side saw, commands to paste.

On a terminal a bar shows the progress of a step; otherwise there are only plain lines.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from ulproxy.demo.seen import Seen
from ulproxy.demo.steps import Stage, Step


def say(console: Console, text: str, style: str = "") -> None:
    """One line, whole: no markup, no wrapping, so that it can be copied and read by machines."""
    console.print(Text(text, style=style), soft_wrap=True)


@contextmanager
def progress(console: Console, name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for a step, gone when the step ends; nothing at all where there is no terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def step_line(console: Console, step: Step, seconds: float) -> None:
    """The result of a step."""
    line = Text.assemble(
        f"{step.name:<7}",
        ("ok    " if step.ok else "failed", "green" if step.ok else "bold red"),
        f"  {step.detail}",
        (f"  ({seconds:.1f} s)", "dim"),
    )
    console.print(line, soft_wrap=True)


def table(stage: Stage) -> Table:
    """What each side saw of the other, from the two notebooks."""
    pacs, station = stage.pacs, stage.station
    grid = Table(
        title="What each side saw of the other",
        caption=f"The workstation is {station.title} at home, the PACS {pacs.title}.",
    )
    grid.add_column("")
    grid.add_column("the PACS in hospital B saw")
    grid.add_column("the workstation in hospital A saw")
    for name, show in ROWS.items():
        grid.add_row(name, *(Text(show(seen)) for seen in (pacs.seen, station.seen)))
    grid.add_row(
        "Connections came from",
        Text(_origin(pacs.seen, station.seen, "the workstation")),
        Text(_origin(station.seen, pacs.seen, "the PACS")),
    )
    return grid


def _all(values: set[str]) -> str:
    return ", ".join(sorted(values)) or "-"


ROWS: dict[str, Callable[[Seen], str]] = {
    "Calling AE title": lambda seen: _all(seen.calling),
    "Called AE title": lambda seen: _all(seen.called),
    "Implementation version name, calling": lambda seen: _all(seen.versions),
    "Implementation version name, answering": lambda seen: _all(seen.answering_versions),
    "Move Destination": lambda seen: _all(seen.move_destinations),
    "Move Originator": lambda seen: _all(seen.move_originators),
    "Retrieve AE Title in matches, sent and read": lambda seen: _all(seen.retrieve_titles),
    "Associations accepted": lambda seen: str(seen.associations),
    "Objects received": lambda seen: f"{seen.objects} ({seen.octets:,} bytes)",
}


def _origin(seen: Seen, other: Seen, whose: str) -> str:
    """The peer addresses, and whether any port was one that the other device itself had opened."""
    if not seen.ports:
        return "-"
    own = seen.ports & other.own_ports
    return f"{_all(seen.addresses)}, {len(seen.ports)} ports, {len(own)} of them {whose}'s own"


def commands(console: Console, stage: Stage, received: Path) -> None:
    """Command lines for the newcomer's own client, which is the workstation to the relay."""
    target = stage.target
    study = _largest_study(stage)
    peer = f"-aet {stage.station.title} -aec {target.title} {target.host} {target.port}"
    file = next(iter(stage.pacs.archive.objects.values())).path if len(stage.pacs.archive) else ""
    key = f"-S -k QueryRetrieveLevel=STUDY -k StudyInstanceUID={study}"
    say(
        console,
        f"\nTry it with a client of your own (DCMTK's here), as {stage.station.title}:",
        "bold",
    )
    for line in (
        f"echoscu {peer}",
        f"storescu {peer} {file}",
        f"findscu -S -k QueryRetrieveLevel=STUDY -k StudyInstanceUID= -k 'PatientName=*' {peer}",
        f"movescu {key} -aem {stage.station.title} {peer}",
        f"getscu {key} -od {stage.folder / 'got'} {peer}",
    ):
        say(console, f"  {line}")
    say(console, f"What a C-MOVE to {stage.station.title} sends arrives in {received}")


def _largest_study(stage: Stage) -> str:
    """The study with the most objects, for something to look at."""
    studies = [str(o.header.get("StudyInstanceUID")) for o in stage.pacs.archive.objects.values()]
    return max(studies, key=studies.count, default="")
