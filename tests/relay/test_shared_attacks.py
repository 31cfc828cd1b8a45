"""The title that several share: what a hostile AE behind it does while the archive waits for another."""

from __future__ import annotations

from tests.relay.playbook import INBOUND, counted, data, expired, quietly
from tests.relay.sharing import (
    LEGS,
    MOVE_3,
    MOVE_4,
    OBJECT,
    TO_WS3,
    TO_WS4,
    answers,
    border,
    done,
    standing,
    stored,
)
from tests.relay.wire import abort
from ulproxy.relay.effects import Timer

TO_WS5 = ("WS5", "WS5", 7)
MOVE_5 = ("HOSP_A", 7)
TO_3, TO_4 = LEGS[3:5]


def test_patience_ends_when_all_is_over():
    """WS4 has an object that it has not answered, and aborts while WS5 is being called; WS3 is idle."""
    script = standing(border(TO_WS3, TO_WS4, TO_WS5), *LEGS[:3])
    script >>= quietly(data(INBOUND, stored(MOVE_3)), *answers(TO_3), data(INBOUND, OBJECT))
    script >>= quietly(data(TO_3, done()), data(INBOUND, stored(MOVE_4, 2)), *answers(TO_4))
    script >>= quietly(data(INBOUND, OBJECT), data(INBOUND, stored(MOVE_5, 3)))
    script >>= quietly(data(TO_4, abort(0, 0)))
    assert script >> expired(INBOUND, Timer.PATIENCE) >> counted(0)
