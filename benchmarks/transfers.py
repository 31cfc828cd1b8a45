"""Objects from a sender to a sink: one large, many slices, a thousand small ones, by PDU length.

storescu and storescp, and then a sender and a sink of our own, which show what DCMTK hides.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import corpus
from benchmarks.dcmtk import storescp, storescu
from benchmarks.suite import (
    NOT_STREAMING,
    Case,
    Figures,
    Measure,
    Outcome,
    Setting,
    load,
    measure,
    own_sinks,
    ways,
)
from benchmarks.variants import Variant, Wiring

PDUS = (16, 64, 128)  # KB
SLOW = {"orthanc": 1, "pynetdicom": 1}  # rounds: they take ten times as long, and more
SAME = dict.fromkeys(SLOW, "as with PDUs of 16 KB: an object is in one PDU")
NAGLE_ROUNDS = 2  # directly it takes 9 s


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent in one association."""

    key: str
    label: str
    folder: Callable[[], Path]  # for storescu
    count: int  # and the same for our own sender
    size: int


def loads(*, quick: bool) -> list[Load]:
    """The three kinds."""
    frames, cts, smalls = (8, 4, 10) if quick else (1000, 400, 1000)
    return [
        Load(
            "big",
            f"1 object of {frames / 2:.0f} MiB",
            lambda: corpus.multi_frame(frames),
            1,
            frames * 2**19,
        ),
        Load("ct", f"{cts} CT slices of 512 KiB", lambda: corpus.slices(cts, 512), cts, 2**19),
        Load("small", f"{smalls} objects of 3 KB", lambda: corpus.slices(smalls, 32), smalls, 2048),
    ]


def transfers(setting: Setting) -> Iterator[Outcome]:
    """storescu to storescp with TCP_NODELAY=1, and our own sender to our own sink."""
    pdus = PDUS[:1] if setting.quick else PDUS
    for sender, without in (("dcmtk", {}), ("own", NOT_STREAMING)):
        cases = [
            Case(
                f"{kind.key}-pdu{pdu}-{sender}",
                f"{kind.label}, PDUs of {pdu} KB, {'storescu' if sender == 'dcmtk' else 'our sender'}",
                _by_dcmtk(kind, pdu) if sender == "dcmtk" else _by_own(kind, pdu),
                slow=SLOW,
                without=SAME if kind.key == "small" and pdu > PDUS[0] else {},
            )
            for kind in loads(quick=setting.quick)
            for pdu in pdus
        ]
        yield from _over(cases, setting, {f"PDU{pdu}": pdu * 1024 for pdu in pdus}, sender, without)


def nagle(setting: Setting) -> Iterator[Outcome]:
    """Stock DCMTK on both ends: every C-STORE stalls for a delayed acknowledgement."""
    count = 1 if setting.quick else 100
    case = Case(
        "nagle-small",
        f"{count} objects of 3 KB, stock DCMTK",
        lambda way: storescu(way, "STOCK", 16384, corpus.slices(count, 32), nodelay=False),
        rounds=NAGLE_ROUNDS,
        slow=SLOW,
    )
    yield from _over([case], setting, {"STOCK": 16384}, "stock", {})


def _over(
    cases: list[Case],
    setting: Setting,
    lengths: dict[str, int],
    sender: str,
    without: dict[str, str],
) -> Iterator[Outcome]:
    chosen = [case for case in cases if setting.wants(case.key)]
    if not chosen:
        return
    work = setting.work / sender
    work.mkdir()
    with ExitStack() as stack:
        sinks = {}
        if sender == "own":
            sinks = own_sinks(lengths, work, stack)
        else:
            for title, length in lengths.items():
                process, sinks[title] = storescp(title, length, work, nodelay=sender == "dcmtk")
                stack.enter_context(process).listening(sinks[title])
        wiring = Wiring(sinks, work, lengths)
        keys = [case.key for case in chosen]
        standing, skipped = ways(setting.variants, wiring, stack, keys, without)
        yield from skipped
        yield from measure(chosen, standing, setting)


def _by_dcmtk(kind: Load, pdu: int) -> Measure:
    def send(way: Variant) -> Figures:
        return storescu(way, f"PDU{pdu}", pdu * 1024, kind.folder()) | {"objects": kind.count}

    return send


def _by_own(kind: Load, pdu: int) -> Measure:
    def send(way: Variant) -> Figures:
        figures = load("store", way, f"PDU{pdu}", pdu * 1024, kind.count, kind.size)
        return figures | {"objects": kind.count}

    return send
