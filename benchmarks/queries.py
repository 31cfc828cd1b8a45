"""C-FIND with ten thousand responses, by findscu and by a requestor of our own."""

from collections.abc import Iterator

from benchmarks.associations import over_own_sink
from benchmarks.dcmtk import findscu
from benchmarks.suite import Case, Outcome, Setting, load

SINK = "FIND"
WITHOUT = {"orthanc": "answers a C-FIND from its own index: nothing is relayed"}


def queries(setting: Setting) -> Iterator[Outcome]:
    """One query each."""
    responses = 200 if setting.quick else 10_000
    label, slow = f"C-FIND with {responses} responses", {"pynetdicom": 1}
    cases = [
        Case("find-dcmtk", f"{label}, findscu", lambda way: findscu(way, SINK), slow=slow),
        Case("find-own", f"{label}, our sender", lambda way: load("find", way, SINK), slow=slow),
    ]
    yield from over_own_sink(cases, setting, SINK, WITHOUT, responses=responses)
