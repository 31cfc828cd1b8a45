"""How much one association may have the relay keep: messages that wait, whole, for something else.

Each may be of 4 MiB (collector.py); sixteen of them from a hundred associations would be 6 GiB.
"""

from __future__ import annotations

import pytest

from tests.relay import groups, hospital, sharing, wire
from tests.relay.archives import MOVING
from tests.relay.hospital import FIND, MOVE
from tests.relay.listener import Heard, heard
from tests.relay.playbook import INBOUND, receive, sent
from tests.relay.sharing import FIRST, TO_WS3
from tests.relay.wire import Asked, Given, command, fragment
from ulproxy.policy.decision import Peer
from ulproxy.relay.border import Border
from ulproxy.relay.effects import End
from ulproxy.relay.exchange import MAX_KEPT
from ulproxy.relay.join import Join

HEADER = 8
COMMITTING = (Asked(1, wire.COMMITMENT),)
TRANSACTION = bytes.fromhex("08009511")  # (0008,1195) Transaction UID
SOME_TEXT = bytes.fromhex("10000040")  # (0010,4000)
PIECE = 16_000


def element(tag: bytes, value: bytes) -> bytes:
    return tag + len(value).to_bytes(4, "little") + value


def fragments(context_id: int, data: bytes) -> bytes:
    parts = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
    return b"".join(
        fragment(context_id, part, last=number == len(parts))
        for number, part in enumerate(parts, 1)
    )


def established(border: Border, peer: Peer, rq: bytes, *acs: bytes) -> Join:
    join = Join(border, peer)
    join.accepted()
    receive(join, INBOUND, rq)
    for number, ac in enumerate(acs, 1):
        join.connected(End.leg(number))
        receive(join, End.leg(number), ac)
    return join


def answers(join: Join, *messages: bytes) -> list[Heard]:
    """What the caller is answered at once."""
    return heard(b"".join(sent(receive(join, INBOUND, one), INBOUND) for one in messages)).messages


def statuses(found: list[Heard]) -> list[int]:
    assert all(one.command is not None for one in found)
    return [int.from_bytes((one.command or {})[wire.STATUS], "little") for one in found]


@pytest.mark.parametrize(("over", "refused"), [(0, []), (2, [0x0110])])
def test_a_query_to_a_group_counts_once_for_each_member(over, refused):
    join = established(groups.border()(), hospital.peer(), groups.RQ, groups.AC, groups.AC)
    keys = element(SOME_TEXT, bytes(MAX_KEPT // 2 - HEADER + over))
    first = command(FIND, wire.find_rq(1)) + fragments(FIND, keys)
    assert statuses(answers(join, first)) == refused
    if refused:
        onward = receive(join, INBOUND, groups.find(2))
        assert sent(onward, FIRST) == groups.find(2), "the association goes on"
    else:
        assert statuses(answers(join, groups.find(2))) == [0x0110]


@pytest.mark.parametrize(("over", "refused"), [(0, []), (2, [0x0110])])
def test_storage_commitment_results_for_an_ae_that_is_being_called(over, refused):
    border = sharing.border()()
    border.commitments.remember("ARCHIVE", "1.2.3", "WS3")
    scp = wire.role(wire.COMMITMENT, 1, 1)
    rq = wire.rq("HOSP_A", "PACS", COMMITTING, extras=[scp])
    join = established(border, hospital.OUTSIDE, rq)
    transaction = element(TRANSACTION, wire.uid("1.2.3"))
    room = MAX_KEPT // 2 - len(transaction) - HEADER

    def report(number: int, more: int = 0) -> bytes:
        asked = wire.request(wire.N_EVENT_REPORT, number, wire.COMMITMENT, data=True)
        return command(1, asked) + fragments(
            1, transaction + element(SOME_TEXT, bytes(room + more))
        )

    assert statuses(answers(join, report(1), report(2, over))) == refused
    assert len(join._ends.legs) == 1


@pytest.mark.parametrize(("over", "refused"), [(0, []), (2, [0x0110])])
def test_moves_that_wait_for_another_one(over, refused):
    border = sharing.border(TO_WS3)()
    border.moves.named("ARCHIVE", originator=False, number=False)
    rq = wire.rq("HB_PACS", "WS4", MOVING)
    join = established(border, hospital.peer("10.1.0.5"), rq, wire.ac([Given(MOVE)]))

    def move(number: int, more: int = 0) -> bytes:
        keys = element(SOME_TEXT, bytes(MAX_KEPT // 2 - HEADER + more))
        return command(MOVE, wire.move_rq(number, "WS4")) + fragments(MOVE, keys)

    assert statuses(answers(join, move(1), move(2, over))) == refused
    assert join.waits
