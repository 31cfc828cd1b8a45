"""A mutation driver of the standard library: seeds from `fuzz/corpus/`, damage, one target.

A target is a plain `one_input(data: bytes) -> None` that raises when its invariant does not hold, so it
runs under atheris unchanged. What makes it raise is made small and saved beside the seeds, where
tests/test_fuzz.py replays it from then on.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

Target = Callable[[bytes], None]

CORPUS: Final = Path(__file__).parent / "corpus"
LONGEST: Final = 4096  # bytes: longer inputs are slower and reach no more
# Bounds of 8, 16 and 32 bit fields, and the numbers that DICOM's own headers are made of.
_NUMBERS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 67, 68, 127, 128, 255, 256, 2**15, 2**16 - 1)
_LONG: Final = (*_NUMBERS, 2**16, 2**20, 2**20 + 1, 2**31 - 1, 2**31, 2**32 - 6, 2**32 - 1)


class FindingError(Exception):
    """The invariant does not hold for `data`; the cause is what the target raised."""

    def __init__(self, data: bytes) -> None:
        super().__init__(f"{len(data)} bytes: {data[:64].hex(' ')}")
        self.data = data


def corpus(name: str) -> dict[str, bytes]:
    """The seeds and former findings of a target, by file name."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / name).iterdir())}


def mutate(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """One piece of damage."""
    at = chance.randint(0, len(data))
    end = min(len(data), at + chance.choice((1, 2, 4, 8, 64)))
    match chance.randrange(8):
        case 0:
            return data[:at] + chance.randbytes(end - at) + data[end:]
        case 1:
            width = chance.choice((1, 2, 4))
            number = chance.choice(_LONG if width == 4 else _NUMBERS)
            return data[:at] + (number % (1 << 8 * width)).to_bytes(width) + data[at + width :]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:at] + chance.randbytes(chance.choice((1, 2, 4, 8))) + data[at:]
        case 4:
            return data[:end] + data[at:end] * chance.randint(1, 4) + data[end:]
        case 5:
            other = chance.choice(seeds)
            return data[:at] + other[chance.randint(0, len(other)) :]
        case 6:
            flipped = bytes(byte ^ 1 << chance.randrange(8) for byte in data[at : at + 1])
            return data[:at] + flipped + data[at + 1 :]
        case _:
            step = chance.choice((-2, -1, 1, 2))
            nudged = bytes((byte + step) % 256 for byte in data[at : at + 1])
            return data[:at] + nudged + data[at + 1 :]


def attempt(target: Target, data: bytes) -> None:
    """Raises FindingError if the target raises anything."""
    try:
        target(data)
    except Exception as error:
        raise FindingError(data) from error


def run(target: Target, seeds: Sequence[bytes], seconds: float, seed: int) -> int:
    """Runs the seeds, then damaged ones until the time is up; returns how many inputs there were."""
    for data in seeds:
        attempt(target, data)
    chance, count = random.Random(seed), len(seeds)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = chance.choice(seeds)
        for _ in range(chance.choice((1, 1, 2, 2, 4, 8))):
            data = mutate(chance, data, seeds)
        attempt(target, data[:LONGEST])
        count += 1
    return count


def shrink(target: Target, finding: FindingError) -> FindingError:
    """The same finding with every piece left out that it does not need."""
    wanted = type(finding.__cause__)
    width = len(finding.data) // 2
    while width:
        at = 0
        while at < len(finding.data):
            try:
                attempt(target, finding.data[:at] + finding.data[at + width :])
            except FindingError as smaller:
                if type(smaller.__cause__) is wanted:
                    finding = smaller
                    continue
            at += width
        width //= 2
    return finding


def main(target: Target, name: str, arguments: Sequence[str] | None = None) -> int:
    """`python -m fuzz.NAME`: 0 if nothing was found in the time, else 1."""
    parser = argparse.ArgumentParser(prog=f"python -m fuzz.{name}")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("files", nargs="*", type=Path, help="run these and nothing else")
    options = parser.parse_args(arguments)
    only = [path.read_bytes() for path in options.files]
    try:
        count = run(
            target,
            only or list(corpus(name).values()),
            0 if only else options.seconds,
            options.seed,
        )
    except FindingError as finding:
        small = shrink(target, finding)
        path = CORPUS / name / f"finding-{hashlib.sha256(small.data).hexdigest()[:12]}"
        path.write_bytes(small.data)
        traceback.print_exception(small)
        print(f"saved as {path}; seed {options.seed}", file=sys.stderr)
        return 1
    print(f"{name}: {count} inputs, nothing found; seed {options.seed}")
    return 0
