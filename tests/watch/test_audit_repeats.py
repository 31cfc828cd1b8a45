"""What anybody can cause as often as he likes: said once, counted, and never more than so many at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ulproxy.watch.audit_repeats import MAX_KEYS, PERIOD, Repeats

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def recorder():
    sent: list[tuple[str, int]] = []
    return Repeats(lambda item, again: sent.append((item, again))), sent


def test_the_first_is_said_at_once():
    repeats, sent = recorder()
    repeats.add(("a",), "one", START)
    assert sent == [("one", 0)]


def test_the_rest_of_the_period_is_the_last_and_a_number():
    repeats, sent = recorder()
    for item in ("one", "two", "three", "four"):
        repeats.add(("a",), item, START)
    repeats.sweep(START + PERIOD - SECOND)
    assert sent == [("one", 0)]
    repeats.sweep(START + PERIOD)
    assert sent == [("one", 0), ("four", 3)]


def test_nothing_more_is_said_of_what_came_once():
    repeats, sent = recorder()
    repeats.add(("a",), "one", START)
    repeats.sweep(START + PERIOD)
    repeats.sweep(START + 2 * PERIOD)
    assert sent == [("one", 0)]


def test_a_new_period_begins_with_the_next():
    repeats, sent = recorder()
    repeats.add(("a",), "one", START)
    repeats.sweep(START + PERIOD)
    repeats.add(("a",), "two", START + PERIOD)
    repeats.add(("a",), "three", START + PERIOD)
    repeats.sweep(START + 2 * PERIOD)
    assert sent == [("one", 0), ("two", 0), ("three", 1)]


def test_keys_are_told_apart():
    repeats, sent = recorder()
    repeats.add(("a",), "one", START)
    repeats.add(("b",), "two", START + SECOND)
    repeats.add(("a",), "three", START + SECOND)
    repeats.sweep(START + PERIOD)
    assert sent == [("one", 0), ("two", 0), ("three", 1)]


def test_at_the_end_everything_is_said():
    repeats, sent = recorder()
    repeats.add(("a",), "one", START)
    repeats.add(("a",), "two", START)
    repeats.sweep(START, everything=True)
    assert sent == [("one", 0), ("two", 1)]


def test_past_a_limit_keys_are_one():
    """Its edges: the last key below it has its own item, what comes after shares one."""
    repeats, sent = recorder()
    for number in range(MAX_KEYS + 5):
        repeats.add((str(number),), str(number), START)
    assert len(sent) == MAX_KEYS + 1
    assert sent[-2:] == [(str(MAX_KEYS - 1), 0), (str(MAX_KEYS), 0)]
    repeats.add(("0",), "known", START)
    repeats.sweep(START + PERIOD)
    assert sent[MAX_KEYS + 1 :] == [("known", 1), (str(MAX_KEYS + 4), 4)]
    repeats.add(("new",), "has room again", START + PERIOD)
    assert sent[-1] == ("has room again", 0)
