"""How many associations at once: each limit at one less, at and beyond, each counted by itself."""

from __future__ import annotations

import pytest

from tests.relay import hospital
from ulproxy.policy.model import ApplicationEntity, Limits
from ulproxy.relay.admission import Admission, Admitted, MemoryCounts

LIMITS = Limits(associations=5, associations_per_source=3)
POLICY = hospital.policy()


def ae(name: str) -> ApplicationEntity:
    found = POLICY.ae(name)
    assert found is not None
    return found


def enter(
    admission: Admission,
    source: str = "10.1.0.1",
    caller: str = "WS1",
    callee: str | None = "MINI",
    limits: Limits = LIMITS,
) -> Admitted | str:
    return admission.enter(limits, source, ae(caller), None if callee is None else ae(callee))


def entered(
    admission: Admission, source: str = "10.1.0.1", caller: str = "WS1", callee: str = "MINI"
) -> Admitted:
    admitted = enter(admission, source, caller, callee)
    assert isinstance(admitted, Admitted)
    return admitted


def test_the_limit_on_all():
    admission = Admission()
    for number in range(5):
        entered(admission, f"10.1.0.{number}")
    assert admission.total == 5
    assert enter(admission, "10.1.0.99") == "limit of 5 associations reached (all)"
    assert admission.total == 5


def test_the_limit_of_one_source():
    admission = Admission()
    first = [entered(admission) for _ in range(3)]
    assert enter(admission) == "limit of 3 associations reached (source 10.1.0.1)"
    entered(admission, "10.1.0.2")
    admission.leave(first[0])
    entered(admission)


@pytest.mark.parametrize("direction", ["from", "to"])
def test_the_limit_of_an_ae_counts_in_each_direction(direction):
    """WS2 has `associations = 2`: two that it calls and two that it is called by."""
    admission = Admission()
    ways = {"from": ("WS2", "MINI"), "to": ("MINI", "WS2")}
    caller, callee = ways.pop(direction)
    for number in range(2):
        entered(admission, f"10.1.0.{number}", caller, callee)
    refused = f"limit of 2 associations reached ({direction} WS2)"
    assert enter(admission, "10.1.0.9", caller, callee) == refused
    ((caller, callee),) = ways.values()
    entered(admission, "10.1.0.9", caller, callee)


def test_an_ae_without_a_limit_has_none():
    limits = Limits(associations=1000, associations_per_source=1000)
    admission = Admission()
    for _ in range(200):
        assert isinstance(enter(admission, limits=limits), Admitted)


def test_the_relay_itself_is_no_ae():
    admission = Admission()
    admitted = [enter(admission, callee=None) for _ in range(3)]
    assert enter(admission, callee=None) == "limit of 3 associations reached (source 10.1.0.1)"
    for one in admitted:
        assert isinstance(one, Admitted)
        admission.leave(one)
    assert admission.total == 0


def test_one_that_is_refused_counts_for_nothing():
    admission = Admission()
    for _ in range(2):
        entered(admission, "10.1.0.2", "WS2")
    for _ in range(9):
        assert isinstance(enter(admission, "10.1.0.2", "WS2"), str)
    entered(admission, "10.1.0.2", "WS3")
    assert admission.total == 3


def test_nothing_is_kept_of_those_that_left():
    """A peer with many addresses must not leave one behind for each."""
    admission = Admission(counts := MemoryCounts())
    for number in range(100):
        admission.leave(entered(admission, f"10.1.{number}.1"))
    assert admission.total == 0
    assert not counts._count


def test_total_is_of_this_process_and_of_associations():
    """Whatever else is counted in the same table, and legs."""
    counts = MemoryCounts()
    here, there = Admission(counts), Admission(counts)
    one = entered(here)
    entered(there)
    leg = here.enter_leg(ae("WS3"))
    assert isinstance(leg, Admitted)
    assert (here.total, there.total) == (1, 1)
    entered(here)
    assert enter(there) == "limit of 3 associations reached (source 10.1.0.1)"
    here.leave(leg)
    here.leave(one)
    assert (here.total, there.total) == (1, 1)
    entered(there)


def test_a_table_without_room():
    """It may say of something without a limit that there is no more of it."""

    class Full(MemoryCounts):
        def enter(self, bounds):
            return next(key for key, bound in bounds.items() if bound is None)

    refused = enter(Admission(Full()))
    assert refused == "there are too many associations to count (from WS1)"
