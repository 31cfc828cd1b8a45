"""Verdicts, message by message; what they look like on the wire is in the conversations of test_join_*."""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.hospital import a_move
from tests.relay.judging import (
    CT,
    FIND,
    GET,
    INBOUND,
    MOVE,
    ONWARD,
    decoded,
    gate,
    grounds,
    message,
    passed,
    responded,
)
from tests.relay.wire import us
from ulproxy.errors import RemoteProtocolError
from ulproxy.policy.config import parse
from ulproxy.policy.rules import Policy
from ulproxy.relay.gate import MAX_MOVES, MAX_OUTSTANDING, Gate
from ulproxy.relay.local import judge_own
from ulproxy.relay.moves import Moves
from ulproxy.relay.verdict import Context, Drop, Pass, Respond


def test_the_relay_itself_answers_c_echo():
    verdict = judge_own(message(wire.echo_rq(3)))
    assert verdict == Respond(decoded(wire.echo_rsp(3)), "")
    refused = responded(judge_own(message(wire.find_rq(4))))
    assert refused == decoded(wire.response(wire.C_FIND, 4, wire.STUDY_FIND, 0x0124))
    assert isinstance(judge_own(message(wire.echo_rsp(3))), Drop)
    assert isinstance(judge_own(message(wire.cancel_rq(3))), Drop)


def test_a_request_passes_by_a_rule_and_its_response_once():
    judge = gate().judge
    assert judge(INBOUND, message(wire.echo_rq(3))) == passed(wire.echo_rq(3))
    assert isinstance(judge(INBOUND, message(wire.echo_rsp(3))), Drop)  # from who asked
    assert isinstance(judge(ONWARD, message(wire.echo_rsp(4))), Drop)
    assert isinstance(judge(ONWARD, message(wire.response(wire.C_FIND, 3, None))), Drop)
    assert judge(ONWARD, message(wire.echo_rsp(3))) == passed(wire.echo_rsp(3))
    assert isinstance(judge(ONWARD, message(wire.echo_rsp(3))), Drop)


@pytest.mark.parametrize("status", [0xFF00, 0xFF01])
def test_a_pending_response_is_not_the_last(status):
    judge = gate().judge
    pending = wire.response(wire.C_GET, 3, None, status)
    final = wire.response(wire.C_GET, 3, None, 0xFF02)
    judge(INBOUND, message(wire.get_rq(3), GET))
    for elements in (pending, pending, final):
        assert judge(ONWARD, message(elements, GET)) == passed(elements)
    assert isinstance(judge(ONWARD, message(pending, GET)), Drop)


def test_as_many_responses_pass_as_equal_requests():
    judge = gate().judge
    for _ in range(2):
        judge(INBOUND, message(wire.echo_rq(3)))
    for _ in range(2):
        assert isinstance(judge(ONWARD, message(wire.echo_rsp(3))), Pass)
    assert isinstance(judge(ONWARD, message(wire.echo_rsp(3))), Drop)


def test_a_request_that_no_rule_allows():
    judge = gate("WS2").judge
    text = "no rule lets WS2 ask ARCHIVE for 0001H"
    expected = Respond(decoded(wire.store_rsp(3, 0x0124)), text)
    assert judge(INBOUND, message(wire.store_rq(3), CT)) == expected
    assert isinstance(judge(ONWARD, message(wire.store_rsp(3), CT)), Drop)


def test_an_affected_sop_instance_uid_that_is_none():
    judge = gate().judge
    refused = wire.response(wire.C_STORE, 3, wire.CT, 0x0117)
    asked = message({**wire.store_rq(3), wire.AFFECTED_INSTANCE: b"/tmp"}, CT)
    assert responded(judge(INBOUND, asked)) == decoded(refused)
    assert isinstance(judge(ONWARD, message(wire.store_rsp(3), CT)), Drop)


def test_error_comment_and_message_id_of_a_response():
    moves = Moves()
    moves.open(a_move("ASKER", "ARCHIVE", "WS2", "HA_WS1", 5), ())
    judge = gate(moves=moves).judge
    asked = judge(INBOUND, message(wire.move_rq(5, "WS1"), MOVE))
    assert asked == passed(wire.move_rq(0xFFFF, "HA_WS1"))
    comment = {wire.ERROR_COMMENT: b"10.2.0.1"}
    answer = wire.response(wire.C_MOVE, 0xFFFF, wire.STUDY_MOVE, 0xC000, more=comment)
    told = wire.response(wire.C_MOVE, 5, wire.STUDY_MOVE, 0xC000)
    assert judge(ONWARD, message(answer, MOVE)) == passed(told)


def test_a_cancel_finds_its_operation():
    moves = Moves()
    moves.open(a_move("ASKER", "ARCHIVE", "WS2", "HA_WS1", 5), ())
    judge = gate(moves=moves).judge
    judge(INBOUND, message(wire.move_rq(5, "WS1"), MOVE))
    cancelled = judge(INBOUND, message(wire.cancel_rq(5), MOVE))
    assert cancelled == passed(wire.cancel_rq(0xFFFF))
    assert isinstance(judge(INBOUND, message(wire.cancel_rq(6), MOVE)), Drop)
    assert isinstance(judge(ONWARD, message(wire.cancel_rq(5), MOVE)), Drop)


def test_a_cancel_with_a_data_set_is_no_way_around_the_mapping():
    """PS3.7 9.3.2.3 gives it none; where one comes it is that of a query like any other."""
    judge = gate().judge
    judge(INBOUND, message(wire.find_rq(5), FIND))
    cancel = {**wire.cancel_rq(5), wire.DATA_SET_TYPE: wire.HAS_DATA}
    verdict = judge(INBOUND, message(cancel, FIND))
    assert isinstance(verdict, Pass)
    assert verdict.titles is not None


def test_a_move_is_open_from_its_request_to_its_final_response():
    moves = Moves()
    judge = gate(moves=moves).judge
    asked = judge(INBOUND, message(wire.move_rq(5, "WS2"), MOVE))
    assert asked == passed(wire.move_rq(5, "HA_WS2"))
    judge(ONWARD, message(wire.response(wire.C_MOVE, 5, None, 0xFF00), MOVE))
    (move,) = moves.at("ARCHIVE")
    assert (move.caller, move.destination, move.shown_caller) == ("WS1", "WS2", "HA_WS1")
    judge(ONWARD, message(wire.response(wire.C_MOVE, 5, None), MOVE))
    assert moves.at("ARCHIVE") == ()


def test_a_move_to_nobody():
    moves = Moves()
    refused = responded(gate(moves=moves).judge(INBOUND, message(wire.move_rq(5, "X"), MOVE)))
    assert refused == decoded(wire.response(wire.C_MOVE, 5, wire.STUDY_MOVE, 0xA801))
    assert moves.at("ARCHIVE") == ()


def test_a_long_destination_does_not_fill_the_log():
    asked = wire.move_rq(5, "X" * 60000)
    verdict = gate().judge(INBOUND, message(asked, MOVE))
    assert isinstance(verdict, Respond)
    assert len(verdict.text) < 200


def test_what_was_asked_ends_with_the_association():
    moves = Moves()
    closing = gate(moves=moves)
    for number in (1, 2):
        closing.judge(INBOUND, message(wire.move_rq(number, "WS1"), MOVE))
    closing.judge(INBOUND, message(wire.echo_rq(3)))
    closing.close()
    closing.close()
    assert moves.at("ARCHIVE") == ()
    assert isinstance(closing.judge(ONWARD, message(wire.echo_rsp(3))), Drop)


def test_the_requests_of_either_end_are_counted_by_themselves():
    judge = gate("ARCHIVE", "WS2").judge
    for number in range(MAX_OUTSTANDING):
        judge(INBOUND, message(wire.store_rq(number), CT))
    with pytest.raises(RemoteProtocolError) as raised:
        judge(INBOUND, message(wire.store_rq(1), CT))
    assert raised.value.reason == 0
    assert isinstance(judge(ONWARD, message(wire.echo_rq(1))), Pass)


def test_how_many_moves_may_be_unanswered():
    """All of an archive's are looked at in each of its C-STOREs; the same Message ID makes them alike."""
    judge = gate().judge
    for _ in range(MAX_MOVES):
        assert isinstance(judge(INBOUND, message(wire.move_rq(1, "WS1"), MOVE)), Pass)
    with pytest.raises(RemoteProtocolError) as raised:
        judge(INBOUND, message(wire.move_rq(1, "WS1"), MOVE))
    assert raised.value.reason == 0
    judge(ONWARD, message(wire.response(wire.C_MOVE, 1, None), MOVE))
    assert isinstance(judge(INBOUND, message(wire.move_rq(1, "WS1"), MOVE)), Pass)


def test_a_c_get_allows_c_stores_until_it_is_answered():
    judge = gate().judge
    pushed = message(wire.store_rq(1), CT)
    assert responded(judge(ONWARD, pushed)) == decoded(wire.store_rsp(1, 0x0124))
    judge(INBOUND, message(wire.get_rq(3), GET))
    assert judge(ONWARD, pushed) == Pass(pushed.command)
    judge(ONWARD, message(wire.response(wire.C_GET, 3, None, 0xFF00), GET))
    assert isinstance(judge(ONWARD, pushed), Pass)
    judge(ONWARD, message(wire.response(wire.C_GET, 3, None), GET))
    assert isinstance(judge(ONWARD, pushed), Respond)


def test_a_c_get_of_a_class_that_nobody_knows_allows_no_c_store():
    """It passes as the service `other`; only a `get` allows the C-STOREs that it causes."""
    policy = Policy(
        parse(
            """
            [relay]
            title = "R"
            [[listener]]
            network = "a"
            bind = "127.0.0.1:0"
            [[ae]]
            title = "SCU"
            network = "a"
            sources = ["*"]
            [[ae]]
            title = "SCP"
            network = "a"
            address = "127.0.0.1:104"
            [[rule]]
            from = ["SCU"]
            to = ["SCP"]
            services = ["other"]
            """
        )
    )
    calling, called = policy.ae("SCU"), policy.ae("SCP")
    assert calling is not None
    assert called is not None
    contexts = {GET: Context("1.2.3.4", wire.IMPLICIT), CT: Context(wire.CT, wire.IMPLICIT)}
    judge = Gate(grounds(policy), calling, called, contexts).judge
    assert isinstance(judge(INBOUND, message(wire.get_rq(3, "1.2.3.4"), GET)), Pass)
    assert isinstance(judge(ONWARD, message(wire.store_rq(1), CT)), Respond)


@pytest.mark.parametrize(
    ("told", "mapped"),
    [(("HA_WS1", 3), ("WS1", 3)), (("PACS", 3), ("HB_PACS", 3)), (("X", 3), None)],
)
def test_an_originator_in_a_sub_operation_of_a_c_get_is_mapped_too(told, mapped):
    """It has no business there; the titles of another network have no business anywhere."""
    judge = gate().judge
    judge(INBOUND, message(wire.get_rq(3), GET))
    pushed = message(wire.store_rq(1, originator=told), CT)
    assert judge(ONWARD, pushed) == passed(wire.store_rq(1, originator=mapped))


def open_moves(*moves: tuple[str, str, str, int]) -> Moves:
    """(caller, destination, shown caller, Message ID) at ARCHIVE."""
    opened = Moves()
    for caller, destination, shown, number in moves:
        opened.open(a_move(caller, "ARCHIVE", destination, shown, number), ())
    return opened


@pytest.mark.parametrize(
    ("told", "set_back"),
    [
        (("HA_WS2", 5), ("WS2", 5)),
        (("HOSP_A", 6), ("ASKER", 6)),
        (("PACS", 6), ("ASKER", 6)),
        (None, None),
        (("HOSP_A", 5), None),
        (("WS2", 5), None),
    ],
)
def test_the_sub_operations_of_open_moves(told, set_back):
    """Move Originator names the move; if it names none there is nothing that causes the C-STORE."""
    moves = open_moves(("WS2", "WS1", "HA_WS2", 5), ("ASKER", "WS1", "HOSP_A", 6))
    moves.open(a_move("WS1", "MINI", "WS1", "WS1", 7), ())
    verdict = gate("ARCHIVE", "WS1", moves).judge(
        INBOUND, message(wire.store_rq(1, originator=told), CT)
    )
    if told is not None and set_back is None:
        assert responded(verdict) == decoded(wire.store_rsp(1, 0x0124))
    else:
        assert verdict == passed(wire.store_rq(1, originator=set_back))


def test_an_originator_that_left_the_file_is_not_named():
    moves = open_moves(("GONE", "WS1", "HOSP_A", 6))
    asked = message(wire.store_rq(1, originator=("HOSP_A", 6)), CT)
    assert gate("ARCHIVE", "WS1", moves).judge(INBOUND, asked) == passed(wire.store_rq(1))


@pytest.mark.parametrize(
    ("told", "mapped"), [(("HA_WS1", 9), ("WS1", 9)), (("HOSP_A", 9), None), (("X", 9), None)]
)
def test_the_originator_of_a_move_that_did_not_pass_here(told, mapped):
    asked = message(wire.store_rq(1, originator=told), CT)
    expected = passed(wire.store_rq(1, originator=mapped))
    assert gate("ARCHIVE", "WS2").judge(INBOUND, asked) == expected


def test_within_a_network_nothing_is_mapped():
    judge = gate("WS1", "MINI").judge
    asked = wire.store_rq(1, originator=("X", 9))
    assert judge(INBOUND, message(asked, CT)) == passed(asked)
    answer = {**wire.store_rsp(1), wire.ERROR_COMMENT: b"as it is"}
    assert judge(ONWARD, message(answer, CT)) == passed(answer)


def test_data_sets_that_name_aes_are_mapped_from_network_to_network():
    judge = gate().judge
    verdict = judge(INBOUND, message(wire.find_rq(1), FIND))
    assert isinstance(verdict, Pass)
    assert verdict.titles is not None
    assert verdict.titles.transfer_syntax == wire.IMPLICIT
    assert verdict.titles.mapping("HB_PACS") == "PACS"
    assert verdict.titles.mapping("HOSP_A") == "HOSP_A"
    pending = wire.response(wire.C_FIND, 1, None, 0xFF00, data=True)
    answer = judge(ONWARD, message(pending, FIND))
    assert isinstance(answer, Pass)
    assert answer.titles is not None
    assert answer.titles.mapping("PACS") == "HB_PACS"
    assert answer.titles.mapping("HA_WS2") == "WS2"
    final = judge(ONWARD, message(wire.response(wire.C_FIND, 1, None), FIND))
    assert isinstance(final, Pass)
    assert final.titles is None  # there is no data set
    pixels = judge(INBOUND, message(wire.store_rq(1), CT))
    assert pixels == passed(wire.store_rq(1))
    within = gate("WS1", "MINI").judge(INBOUND, message(wire.find_rq(1), FIND))
    assert isinstance(within, Respond | Pass)
    assert not isinstance(within, Pass) or within.titles is None


def test_message_ids_are_compared_as_they_stand():
    judge = gate().judge
    for number in (0, 0xFFFF):
        judge(INBOUND, message(wire.echo_rq(number)))
    assert isinstance(judge(ONWARD, message(wire.echo_rsp(0))), Pass)
    assert isinstance(
        judge(ONWARD, message({**wire.echo_rsp(0), wire.RESPONDED_TO: us(0xFFFF)})), Pass
    )


def test_commands_that_nobody_knows_are_judged_and_not_remembered():
    """There are 32000 of them, and a peer could have the relay keep an answer to each."""
    judging = gate()
    for field in range(0x2000, 0x2200):
        verdict = judging.judge(INBOUND, message(wire.request(field, 1, wire.CT), CT))
        assert responded(verdict) == decoded(wire.response(field, 1, wire.CT, 0x0124))
    assert len(judging._allowed) == 0
