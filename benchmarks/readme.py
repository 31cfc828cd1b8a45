"""`python -m benchmarks.readme [FILE]`: README.md's tables and plots from a JSON file of figures.

What stands between the two marks in README.md is replaced; the rest is written by hand.
"""

from pathlib import Path

import click

from benchmarks.goals import Verdict, verdicts
from benchmarks.plots import plots
from benchmarks.results import Results, read
from benchmarks.tables import grids, markdown, skipped

HERE = Path(__file__).parent
BEGIN, END = "<!-- figures: made by python -m benchmarks.readme -->\n", "<!-- end of figures -->\n"


@click.command()
@click.argument(
    "file", type=click.Path(path_type=Path, exists=True), default=HERE / "measured.json"
)
def main(file: Path) -> None:
    """Write the figures of FILE into README.md, and the plots beside it."""
    found, readme = read(file), HERE / "README.md"
    pictures = [f"plots/{path.name}" for path in plots(found, HERE / "plots")]
    readme.write_text(replaced(readme.read_text(), section(found, pictures)))


def replaced(text: str, figures: str) -> str:
    """README.md with other figures in it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + figures + END + after


def section(found: Results, pictures: list[str]) -> str:
    """All that is made of the figures."""
    parts = [
        _machine(found),
        _goals(verdicts(found)),
        *(f"![{Path(picture).stem}]({picture})\n" for picture in pictures),
        *map(markdown, grids(found, spread=True)),
        "**What did not run**\n\n" + "".join(f"- {text}\n" for text in _reasons(found)),
    ]
    return "\n" + "\n".join(parts) + "\n"


def _machine(found: Results) -> str:
    machine = found.machine
    programs = [str(machine[name]) for name in ("dcmtk", "haproxy", "nginx", "orthanc")]
    return (
        f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, Python"
        f" {machine['python']}; {'; '.join(filter(None, programs))}. {machine['date']}, commit"
        f" {str(machine['commit'])[:7]}, load before {machine['load']:.1f}.{_anew(found)}\n"
    )


def _anew(found: Results) -> str:
    later = [f"{case} ({date[11:16]})" for case, date in found.anew.items()]
    return f" In a later run: {', '.join(later)}." if later else ""


def _goals(judged: list[Verdict]) -> str:
    names = {True: "met", False: "**MISSED**", None: ""}
    rows = [f"| {one.text} | {one.bound} | {one.value} | {names[one.met]} |" for one in judged]
    return "\n".join(["| figure | goal | measured | |", "| --- | --- | --- | --- |", *rows, ""])


def _reasons(found: Results) -> list[str]:
    """One line each: a log that a failure ends with is in the JSON file."""
    return [text.partition("\n")[0] for text in skipped(found.skips)]


if __name__ == "__main__":
    main()
