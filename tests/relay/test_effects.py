"""Effects are values: the shell compares, keeps and prints them, and nothing else."""

from __future__ import annotations

import dataclasses
import inspect
from typing import get_args

import pytest

from ulproxy.policy.endpoints import Endpoint
from ulproxy.relay.effects import (
    CloseTransport,
    Effect,
    End,
    OpenTransport,
    Operation,
    Record,
    SendData,
    StartTimer,
    StopTimer,
    Timer,
    printable,
)

SOME = [
    SendData(End.INBOUND, b"pdu"),
    OpenTransport(Endpoint("10.2.0.1", 104)),
    CloseTransport(End.ONWARD),
    StartTimer(End.INBOUND, Timer.ARTIM),
    StopTimer(End.INBOUND, Timer.ARTIM),
    Record("association ended", {"outcome": "released"}, warning=True),
    Operation("store", 1, "WS1", "ARCHIVE", 7, "1.2", "1.2.3", 0, 0.5),
]


def test_these_are_all_there_are():
    assert {type(effect) for effect in SOME} == set(get_args(Effect))
    assert [end.name for end in (End.INBOUND, End.ONWARD)] == ["INBOUND", "ONWARD"]
    assert {timer.name for timer in Timer} == {
        "ARTIM",
        "CONNECT",
        "RELEASE",
        "PATIENCE",
        "IDLE",
        "WRITE",
    }


@pytest.mark.parametrize(
    "effect",
    [effect for effect in SOME if not isinstance(effect, SendData)],  # of which there are many
    ids=lambda effect: type(effect).__name__,
)
def test_they_cannot_be_changed(effect):
    field = next(iter(inspect.signature(type(effect)).parameters))
    with pytest.raises((AttributeError, dataclasses.FrozenInstanceError)):
        setattr(effect, field, None)


def test_a_record_is_no_warning_and_has_no_facts_unless_it_says_so():
    assert Record("ready") == Record("ready", {}, warning=False)
    assert Record("ready").facts is not Record("ready").facts


def test_a_title_of_a_peer_in_the_log():
    """AE titles have 16 characters, but nobody has to keep to that."""
    assert printable("WS 1") == "WS 1"
    assert printable("a\n\x1b[2J\x7f\xe9") == "a??[2J??"
    assert printable("x" * 64) == "x" * 64
    assert printable("x" * 65) == "x" * 64 + "..."
    assert len(printable("\0" * (1 << 16))) == 67
