"""Memory against the size of one object: it must not depend on it."""

from collections.abc import Iterator

from benchmarks.associations import over_own_sink
from benchmarks.suite import Case, Figures, Measure, Outcome, Setting, load
from benchmarks.variants import Variant

SINK = "MEMORY"
PDU = 131072
WITHOUT = {
    "direct": "no relay, no memory of one",
    "orthanc": "stores and forwards: the objects of 500 MiB show its memory",
}
HOLDS = {"pynetdicom": "holds the object: at 100 MB one sees it"}


def memory(setting: Setting) -> Iterator[Outcome]:
    """One C-STORE of 100 MB, 1 GB and 10 GB; the sizes are streamed, nobody keeps them."""
    sizes = (4,) if setting.quick else (100, 1000, 10_000)  # MB
    cases = [
        Case(
            f"memory-{size}MB",
            f"1 object of {size} MB, PDUs of 128 KB",
            _stream(size * 10**6),
            rounds=1,
            without=HOLDS if size > 100 else {},
        )
        for size in sizes
    ]
    yield from over_own_sink(cases, setting, SINK, WITHOUT, length=PDU)


def _stream(size: int) -> Measure:
    def send(way: Variant) -> Figures:
        load("cycles", way, SINK, 1, 1)
        before = way.processes[SINK].resident()
        figures = load("store", way, SINK, PDU, 1, size)
        return figures | {"before": before, "growth": figures["peak"] - before}

    return send
