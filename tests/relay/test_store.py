"""The memory of a process that is alone."""

from __future__ import annotations

import pytest

from tests.relay.hospital import a_move
from ulproxy.relay.store import MAX_COMMITMENTS, MemoryCommitments, MemoryStore, Named


def test_nobody_else_is_told_or_tells():
    store, move = MemoryStore(), a_move("WS1", "PACS", "WS1", "HA_WS1", 1)
    with store.transaction(), store.transaction():
        store.add(move)
        store.name(Named("PACS", originator=True, number=False))
        store.leave(store.attend("PACS"))
    store.remove(move, cut=True)
    assert store.attended_since("PACS") is None
    assert not store.changed()
    assert list(store.load()) == []


def test_who_asked_for_storage_commitment():
    commitments = MemoryCommitments()
    commitments.remember("PACS", "1.2", "CT")
    commitments.remember("MINI", "1.2", "MR")
    assert commitments.asked_by("PACS", "1.2") == commitments.asked_by("PACS", "1.2") == "CT"
    assert commitments.asked_by("MINI", "1.2") == "MR"
    assert commitments.asked_by("PACS", "1.3") == commitments.asked_by("OTHER", "1.2") == ""
    commitments.remember("PACS", "1.2", "MR")
    assert commitments.asked_by("PACS", "1.2") == "CT", "who says the UID of another gets nothing"


@pytest.mark.parametrize("number", [4, 5, 6])
def test_how_many_requests_are_remembered(number):
    commitments = MemoryCommitments(5)
    for n in range(number):
        commitments.remember("PACS", str(n), "CT")
        commitments.remember("PACS", "0", "CT")  # one that is asked again is young again
    found = [n for n in range(number) if commitments.asked_by("PACS", str(n))]
    assert found == ([0, 1, 2, 3, 4][:number] if number < 6 else [0, 2, 3, 4, 5])
    assert MAX_COMMITMENTS > 1000
