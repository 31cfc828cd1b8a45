"""What was found, and how it is summed up: medians, spread, ratios of the same round.

The JSON file holds every single figure. A ratio is the median of the rounds' ratios, not the ratio of two
medians: what is compared is always from the same minute.
"""

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.suite import Outcome, Sample, Skip

GB = 1e9


@dataclass(frozen=True, slots=True)
class Spread:
    """Some rounds' values of one figure."""

    median: float
    least: float
    most: float
    rounds: int


@dataclass(slots=True)
class Results:
    """One run of the benchmark."""

    machine: dict[str, object] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    anew: dict[str, str] = field(default_factory=dict)  # cases of a later run, and its date

    def add(self, outcome: Outcome) -> None:
        """One more."""
        if isinstance(outcome, Sample):
            self.samples.append(outcome)
        else:
            self.skips.append(outcome)

    def update(self, newer: "Results") -> None:
        """What was measured anew in place of what there was; which cases that are is told."""
        cases = {*newer.cases(), *(skip.case for skip in newer.skips)}
        self.anew |= {case: str(newer.machine.get("date", "")) for case in sorted(cases)}
        self.samples = [one for one in self.samples if one.case not in cases] + newer.samples
        self.skips = [one for one in self.skips if one.case not in cases] + newer.skips

    def cases(self, start: str = "") -> list[str]:
        """Those that were measured, in order, whose key begins so."""
        keys = dict.fromkeys(sample.case for sample in self.samples)
        return [key for key in keys if key.startswith(start)]

    def label(self, case: str) -> str:
        """What was measured, in words."""
        return next(sample.label for sample in self.samples if sample.case == case)

    def variants(self, case: str) -> list[str]:
        """Those that did it."""
        return list(dict.fromkeys(one.variant for one in self.samples if one.case == case))

    def values(self, case: str, variant: str, figure: str) -> dict[int, float]:
        """A figure by round; empty where it was not measured."""
        return {
            one.round: value
            for one in self.samples
            if (one.case, one.variant) == (case, variant)
            if (value := _figure(one, figure)) is not None
        }

    def spread(self, case: str, variant: str, figure: str) -> Spread | None:
        """The same summed up."""
        values = self.values(case, variant, figure).values()
        if not values:
            return None
        return Spread(statistics.median(values), min(values), max(values), len(values))

    def median(self, case: str, variant: str, figure: str) -> float | None:
        """The same as one number."""
        spread = self.spread(case, variant, figure)
        return None if spread is None else spread.median

    def ratio(self, case: str, figure: str, variant: str, to: str) -> float | None:
        """Median over the rounds that both did, of one's figure over the other's."""
        ours, theirs = self.values(case, variant, figure), self.values(case, to, figure)
        ratios = [ours[n] / theirs[n] for n in ours.keys() & theirs.keys() if theirs[n]]
        return statistics.median(ratios) if ratios else None

    def write(self, file: Path) -> None:
        """As JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read(file: Path) -> Results:
    """What `write` wrote."""
    data = json.loads(file.read_text())
    return Results(
        data["machine"],
        [Sample(**sample) for sample in data["samples"]],
        [Skip(**skip) for skip in data["skips"]],
        data["anew"],
    )


def _figure(sample: Sample, name: str) -> float | None:
    """As measured, or made of what was measured."""
    figures = sample.figures
    if name == "cpu_per_gb":
        return (
            figures["cpu"] / figures["bytes"] * GB if {"cpu", "bytes"} <= figures.keys() else None
        )
    return figures.get(name)
