"""Who pays for too many connections without an association."""

from __future__ import annotations

import random
from typing import cast

from ulproxy.shell.pending import Pending
from ulproxy.shell.session import Session


class Connection:
    """As much of a session as counts here."""

    def __init__(self, source: str) -> None:
        self.source = source


def connection(source: str) -> Session:
    return cast("Session", Connection(source))


def test_the_oldest_of_the_address_that_has_most():
    pending = Pending()
    lone = connection("10.0.0.1")
    many = [connection("10.0.0.2") for _ in range(3)]
    for session in [lone, *many]:
        pending.add(session)
    assert pending.total == 4
    assert pending.victim() is many[0]
    pending.remove(many[0])
    assert many[0] not in pending
    assert pending.victim() is many[1]
    pending.remove(many[1])
    assert pending.victim() is lone, "of two that have as many, the one that was there first"


def test_back_again_is_the_newest():
    """An association came between."""
    pending = Pending()
    first, second = connection("10.0.0.1"), connection("10.0.0.1")
    pending.add(first)
    pending.add(second)
    pending.remove(first)
    pending.add(first)
    assert pending.victim() is second


def test_nothing_is_remembered_of_who_is_gone():
    pending = Pending()
    sessions = [connection(f"10.0.0.{number % 7}") for number in range(100)]
    for session in sessions:
        assert session not in pending
        pending.add(session)
        assert session in pending
    random.Random(7).shuffle(sessions)
    for left, session in zip(range(99, -1, -1), sessions, strict=True):
        pending.remove(session)
        assert pending.total == left
    assert pending._by_source == {}
