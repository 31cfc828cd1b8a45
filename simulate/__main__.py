"""`python -m simulate --seeds 1000 [--from N] [--jobs N]`, `python -m simulate --seed N [--verbose]`."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from simulate.border import file
from simulate.scene import Spoken
from simulate.world import Outcome, run


def told(conversation: Iterable[Spoken]) -> Iterator[str]:
    """The conversation, a line for each thing that was done."""
    for now, who, does, what, octets in conversation:
        size = f" ({octets} bytes)" if octets else ""
        yield f"{now:10.3f}  {who:<12} {does} {what}{size}"


def replay(seed: int, *, verbose: bool) -> bool:
    """Plays one seed and prints what was said, if it fails or is wanted; whether it is clean."""
    outcome = run(seed, traced=True)
    if verbose or outcome.error is not None:
        print("\n".join(told(outcome.conversation)))
    if outcome.error is not None:
        traceback.print_exception(outcome.error)
        print(f"seed {seed}: {outcome.error}\nagain: python -m simulate --seed {seed}")
        return False
    print(f"seed {seed}: clean, {outcome.steps} steps")
    return True


def play(seeds: Sequence[int], jobs: int) -> Iterator[Outcome]:
    """Plays seeds in their order until one fails."""
    file()  # read once, before there are several processes
    if jobs == 1:
        outcomes = map(_plain, seeds)
        yield from _until_failed(outcomes)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from _until_failed(pool.imap(_plain, seeds, chunksize=20))


def _plain(seed: int) -> Outcome:
    """What can be sent from one process to another."""
    outcome = run(seed)
    if outcome.error is not None:
        outcome.error = AssertionError(str(outcome.error))
    return outcome


def _until_failed(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    for outcome in outcomes:
        yield outcome
        if outcome.error is not None:
            return


def report(covered: Counter[str], seeds: int, steps: int, seconds: float) -> str:
    """What a run has reached."""
    lines = [f"{seeds} seeds, {seeds / seconds:.0f} a second, {steps} steps"]
    lines += [f"{count:10}  {what}" for what, count in sorted(covered.items())]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if all seeds are clean, else 1."""
    parser = argparse.ArgumentParser(prog="python -m simulate")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument(
        "--verbose", action="store_true", help="its conversation even if it is clean"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return 0 if replay(options.seed, verbose=options.verbose) else 1
    covered: Counter[str] = Counter()
    count = steps = 0
    began = time.monotonic()
    failed: int | None = None
    for outcome in play(range(options.first, options.first + options.seeds), options.jobs):
        covered += outcome.covered
        count, steps = count + 1, steps + outcome.steps
        if outcome.error is not None:
            failed = outcome.seed
    print(report(covered, count, steps, time.monotonic() - began))
    if failed is not None:
        replay(failed, verbose=True)
        return 1
    print("all clean")
    return 0


if __name__ == "__main__":
    sys.exit(main())
