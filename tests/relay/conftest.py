"""No script is written in vain."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.relay.playbook import Playbook


@pytest.fixture(autouse=True)
def _every_script_is_played() -> Iterator[None]:
    Playbook.unplayed.clear()
    yield
    assert not Playbook.unplayed
