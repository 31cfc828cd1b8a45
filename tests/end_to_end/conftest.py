"""Two ways to run a test, with the relay and without it; the session of two hospitals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.session import Session
from tests.end_to_end.session import session as run_session


@pytest.fixture(params=["direct", "relay"])
def by(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Run once for all tests of the xdist group `two relays`."""
    with run_session(tmp_path_factory.mktemp("hospitals")) as made:
        yield made
