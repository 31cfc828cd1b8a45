"""Counts that processes share: each limit is one of all of them, and nothing is left of one that dies."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter

import pytest

from ulproxy.relay.admission import MemoryCounts
from ulproxy.shell.counts import GROUP, SharedCounts

# Nothing else runs in a process that tests have forked.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

ALL, SOURCE, AE = ("all", ""), ("source", "10.0.0.1"), ("to", "PACS")


def child(counts: SharedCounts, place: int, work) -> int:
    """What `work` does in a process with this place; its wait status."""
    process = os.fork()
    if not process:
        try:
            counts.place = place
            work()
        finally:
            os._exit(0)
    return os.waitpid(process, 0)[1]


def used(counts: SharedCounts) -> int:
    return sum(map(bool, counts._hashes))


def test_a_limit_is_one_of_all_processes():
    counts = SharedCounts(3)
    for place in range(2):
        assert child(counts, place, lambda: counts.enter({ALL: 3})) == 0
    counts.place = 2
    assert counts.enter({ALL: 3}) is None
    assert counts.enter({ALL: 3}) == ALL
    counts.leave([ALL])
    assert counts.enter({ALL: 3}) is None


def test_one_that_is_refused_counts_for_nothing():
    counts = SharedCounts(2)
    assert counts.enter({AE: 1}) is None
    for _ in range(3):
        assert counts.enter({ALL: 2, SOURCE: None, AE: 1}) == AE
    assert used(counts) == 1
    assert counts.enter({ALL: 1}) is None
    assert counts.enter({SOURCE: 0}) == SOURCE
    assert used(counts) == 2


def test_as_in_one_process():
    """Whatever comes and goes."""
    chance = random.Random(7)
    shared, alone = SharedCounts(2, 4 * GROUP), MemoryCounts()
    keys = [("source", f"10.0.0.{n}") for n in range(12)]
    inside: list[list[tuple[str, str]]] = []
    for _ in range(2000):
        if inside and chance.random() < 0.5:
            some = inside.pop(chance.randrange(len(inside)))
            shared.leave(some)
            alone.leave(some)
        else:
            bounds = {key: chance.choice([None, 1, 5]) for key in chance.sample(keys, 3)}
            shared.place = chance.randrange(1)
            reached = shared.enter(bounds)
            assert reached == alone.enter(bounds)
            if reached is None:
                inside.append(list(bounds))
    assert used(shared) == len(Counter(key for some in inside for key in some))
    for some in inside:
        shared.leave(some)
    assert used(shared) == 0


def test_what_one_had_that_died_is_taken_off():
    counts = SharedCounts(2)

    def enter_and_die():
        counts.enter({ALL: None, AE: None})
        counts.enter({ALL: None})
        os.kill(os.getpid(), signal.SIGKILL)

    assert counts.enter({ALL: None}) is None
    assert child(counts, 1, enter_and_die) == signal.SIGKILL
    assert counts.enter({ALL: 3}) == ALL
    counts.forget(1)
    assert used(counts) == 1
    assert counts.enter({ALL: 2}) is None
    assert counts.enter({ALL: 2}) == ALL


def test_one_that_dies_while_it_counts_stops_nobody():
    counts = SharedCounts(2)

    def die_within():
        with counts._others_wait():
            counts._row(AE)
            os.kill(os.getpid(), signal.SIGKILL)

    assert child(counts, 1, die_within) == signal.SIGKILL
    counts.forget(1)
    assert used(counts) == 0
    assert counts.enter({AE: 1}) is None


def test_many_at_once():
    """Processes that come and go leave nothing, and never are more than the limit."""
    counts = SharedCounts(4)
    seen = SharedCounts(4)

    def come_and_go():
        for _ in range(300):
            if counts.enter({ALL: 2, SOURCE: None}) is None:
                assert seen.enter({ALL: 2}) is None
                seen.leave([ALL])
                counts.leave([ALL, SOURCE])

    processes = []
    for place in range(4):
        process = os.fork()
        if not process:
            code = 1
            try:
                counts.place = seen.place = place
                come_and_go()
                code = 0
            finally:
                os._exit(code)
        processes.append(process)
    assert [os.waitpid(process, 0)[1] for process in processes] == [0] * 4
    assert used(counts) == used(seen) == 0


@pytest.mark.parametrize("more", [0, 1])
def test_a_table_without_room_says_so(more):
    """Another key than those that have a row is refused, whether it has a limit or not; nothing is lost."""
    counts = SharedCounts(1, GROUP)
    keys = [("source", str(number)) for number in range(GROUP + more)]
    reached = [counts.enter({key: None}) for key in keys]
    assert reached == [None] * GROUP + keys[GROUP:]
    assert counts.enter({keys[0]: 2, ("source", "new"): None}) == ("source", "new")
    assert counts.enter({keys[0]: 2}) is None
    counts.leave([keys[1]])
    assert counts.enter({("source", "new"): None}) is None


def test_the_number_of_all():
    counts = SharedCounts(2, GROUP)
    assert counts.number(ALL) == 0
    assert used(counts) == 0
    for counts.place in range(2):
        counts.enter({ALL: None})
    assert counts.number(ALL) == 2
    for number in range(GROUP):
        counts.enter({("source", str(number)): None})
    assert counts.number(AE) == 0
