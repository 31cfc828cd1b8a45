"""How long a relay holds a byte: from the sender's first to the receiver's first."""

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.suite import (
    NOT_STREAMING,
    Case,
    Measure,
    Outcome,
    Setting,
    load,
    measure,
    ways,
)
from benchmarks.variants import Wiring, free_port

SINK = "BOTHENDS"


def latency(setting: Setting) -> Iterator[Outcome]:
    """Within an association, in a C-STORE of a small object, and for a large one."""
    many, few = (20, 3) if setting.quick else (2000, 20)
    listen = free_port()  # both_ends.py listens there, one after the other
    cases = [
        Case("first-byte-fragment", "a fragment of 16 KB", _measure("fragment", many, listen)),
        Case("first-byte-store", "a C-STORE of 3 KB", _measure("small", many, listen)),
    ]
    whole = Case("first-byte-object", "an object of 512 KiB", _measure("whole", few, listen))
    cases = [Case(case.key, case.label, case.measure, without=NOT_STREAMING) for case in cases] + [
        whole
    ]
    chosen = [case for case in cases if setting.wants(case.key)]
    if not chosen:
        return
    work = setting.work / SINK
    work.mkdir()
    with ExitStack() as stack:
        keys = [case.key for case in chosen]
        wiring = Wiring({SINK: listen}, work)
        standing, skipped = ways(setting.variants, wiring, stack, keys, {})
        yield from skipped
        yield from measure(chosen, standing, setting)


def _measure(what: str, count: int, listen: int) -> Measure:
    return lambda way: load(what, way, SINK, count, listen, module="both_ends")
