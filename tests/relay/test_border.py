"""What the associations of one process share, and those of another do not."""

from __future__ import annotations

from tests.relay import hospital
from tests.relay.hospital import a_move
from ulproxy.relay.border import Border


def test_every_border_has_moves_and_associations_of_its_own():
    first, second = hospital.border(), hospital.border()
    first.moves.open(a_move("WS1", "ARCHIVE", "WS1", "HA_WS1", 1), ())
    assert first.moves.destinations("ARCHIVE") == {"WS1"}
    assert second.moves.destinations("ARCHIVE") == frozenset()
    assert first.admission is not second.admission


def test_a_reload_replaces_the_rules_and_keeps_what_is_open():
    border = Border(hospital.policy())
    move = border.moves.open(a_move("WS1", "ARCHIVE", "WS1", "HA_WS1", 1), ())
    new = hospital.policy(rules="")
    border.policy = new
    assert border.policy is new
    assert border.moves.at("ARCHIVE") == (move,)
