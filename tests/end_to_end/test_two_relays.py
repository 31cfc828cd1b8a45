"""Two relays in a row: a workstation works with a PACS that has never heard of it, and nothing inside shows.

One session is run and recorded on all six legs (fixture `session`); the tests look at what came of it.
"""

from __future__ import annotations

import pytest

from tests.end_to_end import hospitals as names
from tests.end_to_end.files import digest
from tests.end_to_end.session import MOVE_ID
from tests.end_to_end.tap import leaks

pytestmark = pytest.mark.xdist_group("two relays")


def test_every_operation_succeeds(session):
    final = {name: statuses[-1] for name, statuses in session.statuses.items()}
    assert final == dict.fromkeys(("echo", "store", "find", "move", "get", "direct"), 0x0000)
    assert set(session.statuses["store"]) == {0x0000}
    assert len(session.files) > 20


def test_files_arrive_as_they_are_without_relays(session):
    expected = sorted((s.sop_instance, s.digest) for s in session.moved_directly)
    assert len(expected) == len(session.files)
    assert sorted((s.sop_instance, s.digest) for s in session.moved) == expected
    assert sorted((s.sop_instance, s.digest) for s in session.got) == expected
    assert sorted(d for _, d in expected) == sorted(digest(f.data) for f in session.files)


def test_move_originator_is_what_the_workstation_knows(session):
    seen = {(s.calling, s.called, s.originator, s.originator_id) for s in session.moved}
    assert seen == {(names.PACS_INSIDE_A, names.WORKSTATION, names.WORKSTATION, MOVE_ID)}


def test_retrieve_title_is_what_the_workstation_calls(session):
    assert [m.RetrieveAETitle for m in session.matches] == [names.PACS_INSIDE_A]
    assert [m.StudyInstanceUID for m in session.matches] == [session.study]


def test_nothing_inside_hospital_a_reaches_b(session):
    received = session.hospitals.legs.received_in_b()
    assert names.WORKSTATION_ON_BORDER.encode() in received
    assert leaks(session.hospitals.secrets_of_a, received) == []


def test_nothing_inside_hospital_b_reaches_a(session):
    received = session.hospitals.legs.received_in_a()
    assert names.PACS_INSIDE_A.encode() in received
    assert leaks(session.hospitals.secrets_of_b, received) == []


def test_the_recording_would_show_a_leak(session):
    """The same search finds each side's titles where they belong."""
    legs = session.hospitals.legs
    assert names.WORKSTATION.encode() in legs.received_in_a()
    assert names.PACS.encode() in legs.received_in_b()
    assert names.WORKSTATION_INSIDE_B.encode() in legs.received_in_b()
    assert all(tap.connections for tap in legs.all())
