"""A short run of `python -m tests.end_to_end.reloading`: nobody dropped, rules hold at once, flat memory."""

from __future__ import annotations

import pytest

from tests.end_to_end.reloading import run

REVOKES = ["finish", "abort"]


@pytest.mark.parametrize("on_revoke", REVOKES)
def test_reloads_under_load(on_revoke, tmp_path):
    made = run(30, on_revoke, tmp_path)
    assert (made.reloads, made.refused) == (30, 3)
    assert made.stored > made.reloads, "there was a load"
    assert made.growth < 4 * 2**20, made
