"""Retrieves from a group: member by member, counts added up (contract, PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.groups import (
    AC,
    AES,
    FIRST,
    SECOND,
    answers,
    border,
    both,
    failed_list,
    final,
    find,
    joined,
)
from tests.relay.hospital import FIND, MOVE, a_move
from tests.relay.playbook import (
    INBOUND,
    Check,
    Playbook,
    counted,
    data,
    logged,
    lost,
    moves_ended,
    moving,
    quietly,
    send,
)
from tests.relay.wire import abort, command, fragment, us
from ulproxy.relay.border import Border
from ulproxy.relay.effects import StartTimer, StopTimer, Timer
from ulproxy.relay.join import Join

KEYS = fragment(MOVE, b"keys")


def move(destination: str, message_id: int = 1) -> bytes:
    return command(MOVE, wire.move_rq(message_id, destination)) + KEYS


def moved(status: int = 0, message_id: int = 1, **counts: int) -> bytes:
    return command(MOVE, final(wire.C_MOVE, message_id, status, **counts))


def pending(remaining: int, completed: int, failed: int = 0, warning: int = 0) -> bytes:
    counts = {"completed": completed, "failed": failed, "warning": warning}
    return moved(0xFF00, remaining=remaining, **counts)


def test_a_c_move_goes_to_one_member_after_the_other():
    """The destination is what each calls it; the counts are those of all."""
    assert (
        both()
        >> data(INBOUND, move("WS1"))
        << send(FIRST, move("HA_WS1"))
        >> moving("WS1")
        >> moving(archive="PACS2")
        >> data(FIRST, pending(1, 2))
        << send(INBOUND, pending(1, 2))
        >> data(FIRST, moved(completed=3, failed=0, warning=0))
        << send(SECOND, move("HA_WS1"))
        >> moving()
        >> moving("WS1", archive="PACS2")
        >> data(SECOND, pending(4, 0, 0, 1))
        << send(INBOUND, pending(4, 3, 0, 1))
        >> data(SECOND, moved(completed=4, failed=0, warning=1))
        << send(INBOUND, moved(completed=7, failed=0, warning=1))
        >> moving(archive="PACS2")
    )


def test_without_counts_there_is_nothing_to_add_up():
    assert (
        both()
        >> quietly(data(INBOUND, move("WS1")), data(FIRST, moved()))
        >> data(SECOND, moved())
        << send(INBOUND, moved())
    )


def test_counts_have_16_bits():
    most = 0xFFFF
    assert (
        both()
        >> quietly(data(INBOUND, move("WS1")))
        >> quietly(data(FIRST, moved(completed=most, failed=1, warning=0)))
        >> data(SECOND, moved(completed=1, failed=0, warning=0))
        << send(INBOUND, moved(completed=most, failed=1, warning=0))
    )


def with_list(response: wire.Elements, context_id: int, *uids: str) -> bytes:
    has_data = {**response, wire.DATA_SET_TYPE: us(1)}
    return command(context_id, has_data) + fragment(context_id, failed_list(*uids))


def test_the_lists_of_failed_instances_are_one():
    counts = {"completed": 0, "failed": 2, "warning": 0}
    first = final(wire.C_MOVE, 1, 0xB000, **counts)
    second = final(wire.C_MOVE, 1, 0xB000, **{**counts, "failed": 1})
    both_of_them = final(wire.C_MOVE, 1, 0xB000, **{**counts, "failed": 3})
    assert (
        both()
        >> data(INBOUND, move("WS1"))
        << send(FIRST, move("HA_WS1"))
        >> data(FIRST, with_list(first, MOVE, "1.2.3", "1.2.4"))
        << send(SECOND, move("HA_WS1"))
        >> data(SECOND, with_list(second, MOVE, "1.2.5"))
        << logged("group answered in part", failed="ARCHIVE: status B000H; PACS2: status B000H")
        << send(INBOUND, with_list(both_of_them, MOVE, "1.2.3", "1.2.4", "1.2.5"))
    )


def test_a_list_of_failed_instances_that_cannot_be_read_is_its_members_fault():
    broken = command(MOVE, {**final(wire.C_MOVE, 1, 0xB000), wire.DATA_SET_TYPE: us(1)})
    broken += fragment(MOVE, failed_list("1.2")[:-2])
    assert (
        both()
        >> quietly(data(INBOUND, move("WS1")))
        >> data(FIRST, broken)
        << send(FIRST, abort(2, 6))
        << StartTimer(FIRST, Timer.ARTIM)
        << logged("AE failed", callee="ARCHIVE")
        << send(SECOND, move("HA_WS1"))
        >> data(SECOND, moved(completed=1, failed=0, warning=0))
        << send(INBOUND, moved(0xB000, completed=1, failed=0, warning=0))
    )


def test_a_destination_that_no_rule_allows_is_nobodys():
    refused = moved(0xA801)
    assert (
        both()
        >> data(INBOUND, move("WS3"))
        << logged("group answered in part")
        << send(INBOUND, refused)
        >> moving()
    )


def test_a_member_that_fails_is_followed_by_the_next_one():
    assert (
        both()
        >> quietly(data(INBOUND, move("WS1")))
        >> lost(FIRST, "reset")
        << logged("AE failed", callee="ARCHIVE")
        << send(SECOND, move("HA_WS1"))
        >> moving()
        >> data(SECOND, moved())
        << logged("group answered in part", failed="ARCHIVE: reset")
        << send(INBOUND, moved(0xB000))
    )


def test_the_next_one_that_is_not_there_yet_is_waited_for():
    assert (
        joined(FIRST)
        >> quietly(data(INBOUND, move("WS1")))
        >> data(FIRST, moved())
        >> quietly(answers(SECOND)[0])
        >> data(SECOND, AC)
        << StopTimer(SECOND, Timer.CONNECT)
        << send(SECOND, move("HA_WS1"))
        >> data(SECOND, moved())
        << send(INBOUND, moved())
    )


# C-CANCEL


def test_a_c_cancel_goes_to_all_that_were_asked():
    cancel = command(FIND, wire.cancel_rq(1))
    cancelled = command(FIND, final(wire.C_FIND, 1, 0xFE00))
    assert (
        both()
        >> quietly(data(INBOUND, find()))
        >> data(INBOUND, cancel)
        << send(FIRST, cancel)
        << send(SECOND, cancel)
        >> data(SECOND, cancelled)
        >> data(FIRST, command(FIND, final(wire.C_FIND)))  # it was through
        << send(INBOUND, cancelled)
    )


def test_a_c_cancel_on_another_context_goes_on_that_of_its_request():
    """A member may not have accepted the other one."""
    cancel = command(FIND, wire.cancel_rq(1))
    assert (
        both()
        >> quietly(data(INBOUND, find()))
        >> data(INBOUND, command(MOVE, wire.cancel_rq(1)))
        << send(FIRST, cancel)
        << send(SECOND, cancel)
    )


def test_after_a_c_cancel_nobody_else_is_asked():
    cancel = command(MOVE, wire.cancel_rq(1))
    counts = {"remaining": 2, "completed": 1, "failed": 0, "warning": 0}
    assert (
        both()
        >> quietly(data(INBOUND, move("WS1")))
        >> data(INBOUND, cancel)
        << send(FIRST, cancel)
        >> data(FIRST, moved(0xFE00, **counts))
        << send(INBOUND, moved(0xFE00, **counts))
        >> moving(archive="PACS2")
    )


def test_a_cancelled_query_does_not_wait_for_a_member_that_has_not_answered():
    cancel = command(FIND, wire.cancel_rq(1))
    assert (
        joined(FIRST)
        >> quietly(data(INBOUND, find()), data(FIRST, command(FIND, final(wire.C_FIND))))
        >> data(INBOUND, cancel)
        << logged("group answered in part", failed="PACS2: cancelled before it was asked")
        << send(INBOUND, command(FIND, final(wire.C_FIND, 1, 0xFE00)))
    )


def test_a_c_cancel_of_a_retrieve_for_which_nobody_has_answered_yet():
    cancel = command(MOVE, wire.cancel_rq(1))
    assert (
        joined(SECOND)
        >> data(INBOUND, move("WS1"))
        >> data(INBOUND, cancel)
        << send(INBOUND, moved(0xFE00))
    )


def test_a_member_that_is_cancelled_and_gone():
    """It is not told, and not waited for."""
    cancel = command(FIND, wire.cancel_rq(1))
    assert (
        both()
        >> quietly(data(INBOUND, find()), lost(SECOND))
        >> data(INBOUND, cancel)
        << send(FIRST, cancel)
        >> data(FIRST, command(FIND, final(wire.C_FIND, 1, 0xFE00)))
        << send(INBOUND, command(FIND, final(wire.C_FIND, 1, 0xFE00)))
    )


def test_a_c_cancel_that_crosses_the_final_response():
    """A member that has begun to answer finally is not told; its list is waited for."""
    counts = {"completed": 0, "failed": 1, "warning": 0}
    whole = with_list(final(wire.C_MOVE, 1, 0xB000, **counts), MOVE, "1.2.3")
    cancel = command(MOVE, wire.cancel_rq(1))
    assert (
        both()
        >> quietly(data(INBOUND, move("WS1")), data(FIRST, whole[:-2]))
        >> data(INBOUND, cancel)
        >> data(FIRST, whole[-2:])
        << logged("group answered in part")
        << send(
            INBOUND, with_list(final(wire.C_MOVE, 1, 0xFE00, remaining=0, **counts), MOVE, "1.2.3")
        )
    )


# An archive that does not say which C-MOVE a C-STORE is of

SILENT = AES.replace("associations = 2", "move_originator = false")


def silent(*others: tuple[str, str]) -> Border:
    """PACS2 names no originator; what these callers move to these destinations is open there."""
    made = border(aes=SILENT, rules=MOVING_BEHIND_ONE_TITLE)()
    for caller, destination in others:
        wanted = a_move(caller, "PACS2", destination, "HOSP_A", 9, "HOSP_A")
        made.moves.open(wanted, ())
    return made


MOVING_BEHIND_ONE_TITLE = """
[[rule]]
from = ["WS1", "WS3"]
to = ["ALL"]
services = ["find", "move", "get", "echo"]
destinations = ["WS3"]
"""


def _end(join: Join, border: Border) -> None:
    for one in border.moves.at("PACS2"):
        if one.caller == "ASKER":
            border.moves.close(one)


ENDS = Check("the other move ends", _end, None)
WAITS = Check("waits", lambda join, border: (join.waits, border.moves.waiting), (True, 1))
WAITS_NOT = Check("waits", lambda join, border: (join.waits, border.moves.waiting), (False, 0))


def waiting() -> Playbook:
    """The first member has answered; the second one cannot be asked while another move is open there."""
    script = joined(FIRST, SECOND, made=lambda: silent(("ASKER", "WS2")))
    script = script >> data(INBOUND, move("WS3")) << send(FIRST, move("HOSP_A"))
    why = "PACS2 does not say which C-MOVE a C-STORE is of"
    script = script >> WAITS_NOT >> data(FIRST, moved()) << logged("message waits", why=why)
    return script >> WAITS


def test_a_retrieve_that_could_not_be_told_from_another_one_waits_for_its_end():
    assert (
        waiting()
        >> moves_ended()
        >> WAITS
        >> ENDS
        >> Check("stirred", lambda _, border: border.moves.stirred, True)
        >> moves_ended()
        << send(SECOND, move("HOSP_A"))
        >> WAITS_NOT
        >> data(SECOND, moved())
        << send(INBOUND, moved())
    )


def test_a_retrieve_that_waits_can_be_cancelled():
    assert (
        waiting()
        >> data(INBOUND, command(MOVE, wire.cancel_rq(1)))
        << logged("group answered in part", failed="PACS2: cancelled before it was asked")
        << send(INBOUND, moved(0xFE00))
        >> WAITS_NOT
    )


def test_a_member_is_lost_for_which_a_retrieve_waits():
    assert (
        waiting()
        >> lost(SECOND, "reset")
        << logged("group answered in part", failed="PACS2: reset")
        << send(INBOUND, moved(0xB000))
        >> WAITS_NOT
    )


@pytest.mark.parametrize("how", [lost(INBOUND), data(INBOUND, abort(0, 0)), lost(FIRST)])
def test_the_association_ends_while_a_retrieve_waits(how):
    script = waiting() >> quietly(lost(SECOND)) if how.end is FIRST else waiting()
    assert script >> quietly(how) >> WAITS_NOT >> counted(0)
