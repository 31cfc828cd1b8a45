"""What grows with the configuration, and with the number of processes: ulproxy beside itself."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.processes import PeerError
from benchmarks.suite import (
    Case,
    Figures,
    Outcome,
    Setting,
    Skip,
    load,
    load_alone,
    measure,
    metered,
    own_sinks,
)
from benchmarks.variants import Variant, Wiring, start

SINK = "SCALE"
PDU = 131072
SENDERS = 8


def configuration(setting: Setting) -> Iterator[Outcome]:
    """Set-up rate and memory against the number of AEs and rules."""
    counts = (10, 100) if setting.quick else (10, 1000, 100_000)
    cycles = 16 if setting.quick else 256
    label = f"{cycles} associations with a C-ECHO, by the number of AEs and rules"

    def send(way: Variant) -> Figures:
        figures = load("cycles", way, SINK, cycles, 1)
        resident = way.processes[SINK].resident()
        return figures | {"started": way.started, "resident": resident}

    def wired(wiring: Wiring, count: int) -> Wiring:
        return replace(wiring, entries=entries(count))

    yield from _beside_itself(Case("rules", label, send), counts, wired, setting)


def workers(setting: Setting) -> Iterator[Outcome]:
    """Eight senders at once to one process of ulproxy, and to two."""
    slices, senders = (4, 2) if setting.quick else (100, SENDERS)
    label = f"{senders} senders, {slices} CT slices of 512 KiB each, by the number of workers"

    def send(way: Variant) -> Figures:
        with metered(way, SINK) as figures, ThreadPoolExecutor(senders) as pool:
            ended = list(
                pool.map(
                    lambda _: load_alone("store", way, SINK, PDU, slices, 2**19), range(senders)
                )
            )
            figures["bytes"] = sum(one["bytes"] for one in ended)
        return figures

    def wired(wiring: Wiring, count: int) -> Wiring:
        return replace(wiring, workers=count)

    yield from _beside_itself(Case("workers", label, send), (1, 2), wired, setting)


def entries(count: int, to: str = SINK) -> str:
    """So many AEs that only call, and a rule for each."""
    return "\n".join(
        f'[[ae]]\ntitle = "AE{n}"\nnetwork = "inside"\n'
        f'sources = ["10.{n >> 16}.{n >> 8 & 255}.{n & 255}"]\n'
        f'[[rule]]\nfrom = ["AE{n}"]\nto = ["{to}"]\nservices = ["store"]\n'
        for n in range(count)
    )


def _beside_itself(
    case: Case,
    counts: Sequence[int],
    wired: Callable[[Wiring, int], Wiring],
    setting: Setting,
) -> Iterator[Outcome]:
    """One case over several ulproxy, each wired in its own way."""
    if not setting.wants(case.key) or "ulproxy" not in setting.variants:
        return
    work = setting.work / case.key
    work.mkdir()
    with ExitStack() as stack:
        ports = own_sinks({SINK: PDU}, work, stack)
        standing = []
        for count in counts:
            name = f"ulproxy, {count}"
            setting.progress(f"{case.key}: {name} reads its configuration")
            wiring = wired(Wiring(ports, work / str(count), {SINK: PDU}), count)
            try:
                standing.append(replace(start("ulproxy", wiring, stack), name=name))
            except PeerError as error:
                yield Skip(case.key, name, str(error), failed=True)
        yield from measure([case], standing, setting)
