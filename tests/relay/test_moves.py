"""Open C-MOVEs: how long they are remembered, and which Message ID the archive is told (PS3.7 9.1.4)."""

from __future__ import annotations

import pytest

from tests.relay.hospital import a_move
from ulproxy.errors import RemoteProtocolError
from ulproxy.relay.moves import Moves


def opened(
    moves: Moves,
    message_id: int = 1,
    *,
    caller: str = "WS1",
    archive: str = "PACS",
    destination: str = "WS1",
    shown: str = "HA_WS1",
    taken=(),
):
    return moves.open(a_move(caller, archive, destination, shown, message_id), taken)


def test_what_is_remembered():
    move = opened(Moves(), 7, destination="WS2")
    assert (move.caller, move.archive, move.destination) == ("WS1", "PACS", "WS2")
    assert (move.shown_caller, move.message_id, move.onward_message_id) == ("HA_WS1", 7, 7)


def test_a_move_is_found_at_its_archive_until_it_is_closed():
    moves = Moves()
    assert moves.at("PACS") == ()
    assert moves.destinations("PACS") == frozenset()
    first, second = opened(moves), opened(moves, 2, destination="WS2")
    elsewhere = opened(moves, 1, archive="MINI")
    assert moves.at("PACS") == (first, second)
    assert moves.destinations("PACS") == {"WS1", "WS2"}
    assert moves.at("MINI") == (elsewhere,)
    moves.close(first)
    assert moves.at("PACS") == (second,)
    assert moves.destinations("PACS") == {"WS2"}
    moves.close(second)
    assert moves.at("PACS") == ()
    assert moves.at("MINI") == (elsewhere,)


def test_closing_twice_closes_no_other():
    moves = Moves()
    first, same = opened(moves), opened(moves)
    moves.close(first)
    moves.close(first)
    assert moves.at("PACS") == (same,)
    moves.close(same)
    moves.close(same)
    assert moves.at("PACS") == ()


def test_the_message_id_is_kept_where_nobody_could_be_confused():
    """The same move again, another Message ID, another archive, another title at the archive."""
    moves = Moves()
    opened(moves, 5)
    for move in (
        opened(moves, 5),
        opened(moves, 6, destination="WS2"),
        opened(moves, 5, archive="MINI", destination="WS2"),
        opened(moves, 5, caller="WS2", destination="WS2", shown="HA_WS2"),
    ):
        assert move.onward_message_id == move.message_id


def test_another_destination_under_the_same_message_id_is_renumbered():
    moves = Moves()
    opened(moves, 5)
    move = opened(moves, 5, destination="WS2")
    assert move.message_id == 5
    assert move.onward_message_id not in (0, 5)


def test_another_caller_behind_the_same_title_is_renumbered():
    moves = Moves()
    opened(moves, 5, shown="HOSP_A")
    same_destination = opened(moves, 5, caller="WS2", shown="HOSP_A")
    other_destination = opened(moves, 5, caller="WS3", destination="WS3", shown="HOSP_A")
    ids = {5, same_destination.onward_message_id, other_destination.onward_message_id}
    assert len(ids) == 3


def test_a_message_id_that_was_given_to_a_renumbered_one_is_not_given_again():
    moves = Moves()
    opened(moves, 5)
    renumbered = opened(moves, 5, destination="WS2").onward_message_id
    assert opened(moves, renumbered, destination="WS2").onward_message_id != renumbered
    assert opened(moves, renumbered).onward_message_id != renumbered


def test_a_message_id_that_the_association_uses_is_not_given():
    moves = Moves()
    opened(moves, 5)
    free = opened(moves, 5, destination="WS2").onward_message_id
    moves = Moves()
    opened(moves, 5)
    assert opened(moves, 5, destination="WS2", taken={free}).onward_message_id not in (free, 5)


def test_a_message_id_is_free_again_when_its_move_is_closed():
    moves = Moves()
    first = opened(moves, 5)
    moves.close(first)
    assert opened(moves, 5, destination="WS2").onward_message_id == 5


def test_no_message_id_is_left():
    """The peer that asks so much is told, and nothing is remembered of it; 0 is never given."""
    moves = Moves()
    first = opened(moves, 5)
    with pytest.raises(RemoteProtocolError) as raised:
        opened(moves, 5, destination="WS2", taken=range(1, 0x10000))
    assert raised.value.reason == 0
    assert moves.at("PACS") == (first,)
    last = opened(moves, 5, destination="WS2", taken=range(2, 0x10000))
    assert last.onward_message_id == 1
