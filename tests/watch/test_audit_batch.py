"""Instances together: what belongs in one message, and when it is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ulproxy.watch.audit_batch import MAX_AGE, MAX_BATCHES, MAX_INSTANCES, Batch, Batches, Kind
from ulproxy.watch.audit_events import Party, Transfer
from ulproxy.watch.audit_message import Outcome, SopClass

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CT = Kind(Transfer(Party("WS1"), Party("PACS")), "1.2", Outcome.SUCCESS, 1)
Sent = list[tuple[str, Kind, Batch]]


def recorder() -> tuple[Batches, Sent]:
    sent: Sent = []
    return Batches(lambda *batch: sent.append(batch)), sent


def test_a_thousand_images_are_a_few_messages():
    batches, sent = recorder()
    for number in range(1000):
        batches.add("1f", CT, f"1.2.{number}", 512, START)
    batches.ended("1f")
    assert len(sent) == 1000 / MAX_INSTANCES
    assert [uid for _, _, batch in sent for uid in batch.instances] == [
        f"1.2.{number}" for number in range(1000)
    ]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (MAX_INSTANCES - 1, [MAX_INSTANCES - 1]),
        (MAX_INSTANCES, [MAX_INSTANCES]),
        (MAX_INSTANCES + 1, [MAX_INSTANCES, 1]),
    ],
)
def test_a_batch_is_sent_when_it_is_full(number, expected):
    batches, sent = recorder()
    for _ in range(number):
        batches.add("1f", CT, "1.2.3", 0, START)
    assert len(sent) == number // MAX_INSTANCES
    batches.ended("1f")
    assert [batch.number for _, _, batch in sent] == expected


def test_what_a_batch_says():
    batches, sent = recorder()
    batches.add("1f", CT, "1.2.3", 512, START)
    batches.add("1f", CT, "", 100, START + SECOND)
    batches.ended("1f")
    ((association, kind, batch),) = sent
    assert (association, kind) == ("1f", CT)
    assert (batch.began, batch.moment, batch.octets) == (START, START + SECOND, 612)
    assert batch.sop_class("1.2") == SopClass("1.2", 2, ("1.2.3",))


@pytest.mark.parametrize(
    "other",
    [
        CT._replace(sop_class="1.3"),
        CT._replace(outcome=Outcome.MINOR_FAILURE),
        CT._replace(transfer=Transfer(Party("PACS"), Party("WS1"))),
        CT._replace(rule=2),
    ],
)
def test_what_is_of_another_kind_is_another_batch(other):
    batches, sent = recorder()
    for kind in (CT, other, CT):
        batches.add("1f", kind, "1.2.3", 0, START)
    batches.ended("1f")
    assert [(kind, batch.number) for _, kind, batch in sent] == [(CT, 2), (other, 1)]


def test_associations_have_batches_of_their_own():
    batches, sent = recorder()
    batches.add("1f", CT, "1.2.3", 0, START)
    batches.add("2e", CT, "1.2.4", 0, START)
    batches.ended("2e")
    assert [association for association, _, _ in sent] == ["2e"]
    batches.ended("2e")
    batches.ended("1f")
    assert [association for association, _, _ in sent] == ["2e", "1f"]


def test_an_association_that_stored_nothing_sends_nothing():
    batches, sent = recorder()
    batches.ended("1f")
    assert sent == []


def test_no_batch_waits_for_the_end_of_a_long_association():
    batches, sent = recorder()
    batches.add("1f", CT, "1.2.3", 0, START)
    batches.add("1f", CT, "1.2.4", 0, START + MAX_AGE)
    batches.sweep(START + MAX_AGE - SECOND)
    assert sent == []
    batches.sweep(START + MAX_AGE)
    assert [batch.number for _, _, batch in sent] == [2]
    batches.sweep(START + 3 * MAX_AGE)
    batches.ended("1f")
    assert len(sent) == 1


def test_at_the_end_of_the_relay_everything_is_sent():
    batches, sent = recorder()
    batches.add("1f", CT, "1.2.3", 0, START)
    batches.add("2e", CT, "1.2.4", 0, START)
    batches.sweep(START, everything=True)
    assert len(sent) == 2


def test_a_peer_that_changes_sop_classes_fills_no_memory():
    batches, sent = recorder()
    kinds = [CT._replace(sop_class=f"1.{number}") for number in range(MAX_BATCHES + 1)]
    for kind in kinds[:-1]:
        batches.add("1f", kind, "1.2.3", 0, START)
    assert sent == []
    batches.add("1f", kinds[-1], "1.2.3", 0, START)
    assert [kind for _, kind, _ in sent] == kinds[:1]
    batches.ended("1f")
    assert [kind for _, kind, _ in sent] == kinds
