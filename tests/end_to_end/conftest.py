"""What every end-to-end test can be run through: nothing at all, or the relay."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Way:
    """How a client reaches its peer: straight, or through the relay that gives it another title."""

    name: str
    port: int
    called: str


@pytest.fixture(params=["direct", "relay"])
def by(request: pytest.FixtureRequest) -> str:
    return str(request.param)
