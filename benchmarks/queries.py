"""C-FIND with ten thousand responses, by findscu and by a requestor of our own."""

from collections.abc import Iterator

from benchmarks.associations import over_own_sink
from benchmarks.dcmtk import findscu
from benchmarks.suite import Case, Outcome, Setting, load

SINK = "FIND"
ROUNDS = 3
WITHOUT = {"orthanc": "answers a C-FIND from its own index: nothing is relayed"}


def queries(setting: Setting) -> Iterator[Outcome]:
    """One query each."""
    responses = 200 if setting.quick else 10_000
    label, slow = f"C-FIND with {responses} responses", {"pynetdicom": 1}
    cases = [
        Case(f"find-{key}", f"{label}, {sender}", send, rounds=ROUNDS, slow=slow)
        for key, sender, send in (
            ("dcmtk", "findscu", lambda way: findscu(way, SINK)),
            ("own", "our sender", lambda way: load("find", way, SINK)),
        )
    ]
    yield from over_own_sink(cases, setting, SINK, WITHOUT, responses=responses)
