"""What a configuration is made of: defaults, and the limits of the limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ulproxy.policy.model import Limits, Relay

COUNTS = ["associations", "associations_per_source", "pending"]
SECONDS = ["artim", "connect", "idle", "write"]


def test_defaults_are_those_of_the_contract():
    assert Limits().model_dump() == {
        "associations": 1000,
        "associations_per_source": 100,
        "pending": 200,
        "artim": 30.0,
        "connect": 10.0,
        "idle": 600.0,
        "write": 60.0,
        "max_pdu": 0,
    }
    assert Relay(title=" A ").model_dump() == {
        "title": "A",
        "enforce": True,
        "on_revoke": "finish",
        "state": None,
    }


def accepts(**values: object) -> bool:
    try:
        limits = Limits.model_validate(values)
    except ValidationError:
        return False
    assert {name: getattr(limits, name) for name in values} == values
    assert hash(limits) == hash(Limits.model_validate(values))
    return True


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(
    ("value", "good"),
    [(-1, False), (0, False), (1, True), (2, True), (1.0, False), (True, False), ("5", False)],
)
def test_counts(name, value, good):
    assert accepts(**{name: value}) is good


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize(
    ("value", "good"),
    [
        (-1, False),
        (0, False),
        (0.0, False),
        (5e-324, True),
        (1, True),
        (1e308, True),
        (float("inf"), False),
        (float("nan"), False),
        (True, False),
        ("5", False),
    ],
)
def test_seconds(name, value, good):
    assert accepts(**{name: value}) is good


@pytest.mark.parametrize(
    ("value", "good"),
    [
        (-1, False),
        (0, True),
        (1, False),
        (7, False),
        (8, True),
        (9, True),
        (2**32 - 2, True),
        (2**32 - 1, True),
        (2**32, False),
        (16384.0, False),
        (False, False),
    ],
)
def test_max_pdu(value, good):
    assert accepts(max_pdu=value) is good


def test_nothing_changes():
    relay = Relay(title="A", state=Path("x"))
    assert hash(relay) == hash(Relay(title="A", state=Path("x")))
    with pytest.raises(ValidationError, match="frozen"):
        relay.title = "B"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="extra"):
        Relay.model_validate({"title": "A", "titel": "B"})
