"""Many associations: at the same moment, and one after the other."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from benchmarks.processes import PeerError
from benchmarks.suite import (
    LOAD_SECONDS,
    ROOT,
    Case,
    Figures,
    Measure,
    Outcome,
    Setting,
    load,
    measure,
    metered,
    own_sinks,
    ways,
)
from benchmarks.variants import Variant, Wiring

SINK = "MANY"
WITHOUT = {"orthanc": "answers by itself: nothing is relayed while an association is open"}
NO_CROWDS = {"pynetdicom": "45 ms a C-STORE, and four threads that poll for each association"}
ROUNDS = 3
OBJECTS = 2000


def associations(setting: Setting) -> Iterator[Outcome]:
    """All open at once, with 2000 small objects over them; then set-up rates."""
    at_once = (10,) if setting.quick else (1, 10, 100, 1000)
    objects, count = (10, 8) if setting.quick else (OBJECTS, 512)
    resident: dict[
        str, int
    ] = {}  # by variant, after its first association: what a round frees is kept
    cases = [
        Case(
            f"many-{number}",
            f"{objects} objects of 3 KB over {number} associations at once",
            _many(number, objects, resident),
            rounds=ROUNDS,
            without=NO_CROWDS,
        )
        for number in at_once
    ]
    cases += [
        Case(
            f"setup-{number}",
            f"{count} associations with a C-ECHO, {number} at a time",
            _cycles(count, number),
            slow={"pynetdicom": 1},
        )
        for number in ((8,) if setting.quick else (1, 8))
    ]
    yield from over_own_sink(cases, setting, SINK, WITHOUT)


def over_own_sink(
    cases: list[Case],
    setting: Setting,
    sink: str,
    without: Mapping[str, str],
    *,
    length: int = 16384,
    responses: int = 0,
) -> Iterator[Outcome]:
    """Cases that need one sink of our own."""
    chosen = [case for case in cases if setting.wants(case.key)]
    if not chosen:
        return
    work = setting.work / sink
    work.mkdir()
    with ExitStack() as stack:
        sinks = own_sinks({sink: length}, work, stack, responses)
        wiring = Wiring(sinks, work, {sink: length})
        keys = [case.key for case in chosen]
        standing, skipped = ways(setting.variants, wiring, stack, keys, without)
        yield from skipped
        yield from measure(chosen, standing, setting)


def _cycles(count: int, at_once: int) -> Measure:
    return lambda way: load("cycles", way, SINK, count, at_once)


def _many(number: int, objects: int, resident: dict[str, int]) -> Measure:
    def send(way: Variant) -> Figures:
        load("cycles", way, SINK, 1, 1)  # what the first association costs is not of each
        process = way.processes.get(SINK)
        before = resident.setdefault(way.name, process.resident() if process else 0)
        arguments = [str(way.ports[SINK]), SINK, str(number), str(objects)]
        with metered(way, SINK) as figures, _sender(arguments) as sender:
            _line(sender)
            opened = process.resident() if process else 0
            answer, said = sender.communicate("go\n", timeout=LOAD_SECONDS)
            if sender.returncode:
                raise PeerError(said[-1000:])
            figures.update(json.loads(answer))
        if process:
            figures |= {"before": before, "open": opened, "each": (opened - before) / number}
        return figures

    return send


def _sender(arguments: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.crowd", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _line(sender: "subprocess.Popen[str]") -> None:
    """Wait until all associations are open; the sender bounds the time itself."""
    assert sender.stdout is not None
    if sender.stdout.readline() != "open\n":
        _, said = sender.communicate(timeout=LOAD_SECONDS)
        raise PeerError(said[-1000:])
