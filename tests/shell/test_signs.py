"""Signs of life: one process shows them, another one sees them."""

from __future__ import annotations

import os

import pytest

from ulproxy.shell.signs import Signs


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_another_process_sees_them():
    signs, others = Signs(), Signs()
    process = os.fork()
    if not process:
        signs.turn()
        signs.turn()
        signs.ended = 1 << 40
        os._exit(0)
    os.waitpid(process, 0)
    assert (signs.turns, signs.ended) == (2, 1 << 40)
    assert (others.turns, others.ended) == (0, 0)
    signs.clear()
    assert (signs.turns, signs.ended) == (0, 0)
