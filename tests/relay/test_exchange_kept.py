"""Messages that are kept, held, or wait: below the joins, verdict by verdict."""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.test_exchange import (
    COMMAND,
    FIND,
    INBOUND,
    NAMED,
    OBJECT,
    ONWARD,
    REFUSED,
    STORE,
    TITLES,
    Standing,
    refusal,
)
from tests.relay.wire import command, fragment
from ulproxy.dimse.command import Element, Status, decode, response
from ulproxy.dimse.message import Message
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.fsm import State
from ulproxy.relay.effects import Effect, Record, SendData
from ulproxy.relay.exchange import MAX_WAITING, Exchange
from ulproxy.relay.operation import OpenOperation
from ulproxy.relay.side import Blamed, Side
from ulproxy.relay.verdict import Collect, Drop, Hold, Pass, Wait

ECHO = command(1, wire.echo_rq(5))
WAIT = Wait("another one is open")


def passes(elements: wire.Elements) -> Pass:
    return Pass(decode(wire.command_set(elements)))


def waits(standing: Standing) -> bool:
    return standing.exchange.waits


def held(standing: Standing) -> list[Side]:
    return [*standing.exchange.held]


def held_of(side: Side) -> Message | None:
    return side.held


def events(effects: list[object]) -> list[str]:
    return [effect.event for effect in effects if isinstance(effect, Record)]


# Collected


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_message_that_is_collected_is_handed_over_whole(size):
    taken: list[bytes] = []
    standing = Standing(Collect(taken.append))
    assert standing.receive(INBOUND, STORE + OBJECT[:-1], size=size) == []
    assert taken == []
    assert standing.receive(INBOUND, OBJECT[-1:]) == []
    assert taken == [b"begin!end."]
    assert standing.written(INBOUND, STORE + OBJECT, ONWARD) == STORE + OBJECT


def test_one_without_a_data_set_at_once():
    taken: list[bytes] = []
    assert Standing(Collect(taken.append)).receive(INBOUND, ECHO) == []
    assert taken == [b""]


def test_what_is_written_for_it_waits_for_the_end_of_a_data_set():
    standing = Standing()
    standing.receive(ONWARD, STORE + OBJECT[:18])

    def answer(_: bytes) -> None:
        standing.exchange.answer(standing.side(INBOUND), 1, decode(wire.command_set(RESPONSE)))

    standing.verdicts.append(Collect(answer))
    assert standing.receive(INBOUND, ECHO) == []
    assert standing.written(ONWARD, OBJECT[18:], INBOUND) == OBJECT[18:] + command(1, RESPONSE)


RESPONSE = wire.echo_rsp(5)


def test_what_waits_for_the_end_of_a_data_set_is_not_written_to_who_is_gone():
    """The data set's own receiver, which has been aborted meanwhile."""
    standing = Standing(passes(wire.store_rq(5)))
    standing.receive(ONWARD, STORE + OBJECT[:18])
    standing.exchange.answer(standing.side(INBOUND), 1, decode(wire.command_set(RESPONSE)))
    assert len(standing.side(INBOUND).waiting) == 1
    standing.side(INBOUND).association.state = State.Sta13
    assert standing.receive(ONWARD, OBJECT[18:]) == []
    assert standing.side(INBOUND).waiting == []


@pytest.mark.parametrize("number", [MAX_WAITING - 1, MAX_WAITING, MAX_WAITING + 1])
def test_who_is_to_blame_for_too_many_answers(number):
    """Who has asked for them, whoever is being read: MAX_WAITING - 1, at, + 1."""
    standing = Standing()
    standing.receive(ONWARD, STORE + OBJECT[:18])
    inbound = standing.side(INBOUND)
    answer = decode(wire.command_set(RESPONSE))
    for _ in range(min(number, MAX_WAITING)):
        standing.exchange.answer(inbound, 1, answer)
    assert len(inbound.waiting) == min(number, MAX_WAITING)
    if number > MAX_WAITING:
        with pytest.raises(Blamed) as raised:
            standing.exchange.answer(inbound, 1, answer)
        assert raised.value.side is inbound
        assert raised.value.reason == 0
        assert str(raised.value) == f"{MAX_WAITING} requests refused during one data set"


# Delivered


def test_a_message_of_ours_is_delivered_like_one_that_passes():
    standing = Standing()
    inbound, onward = standing.side(INBOUND), standing.side(ONWARD)
    standing.exchange.deliver(inbound, onward, 1, passes(wire.store_rq(5)), b"begin!")
    standing.exchange.deliver(inbound, onward, 1, passes(wire.echo_rq(5)), b"")
    expected = [STORE + fragment(1, b"begin!"), ECHO]
    assert standing.take() == [SendData(ONWARD, data) for data in expected]
    assert inbound.messages_passed == 2
    assert inbound.octets_passed == 6


def test_nothing_is_delivered_to_who_is_gone():
    standing = Standing()
    standing.side(ONWARD).association.state = State.Sta13
    standing.exchange.deliver(
        standing.side(INBOUND), standing.side(ONWARD), 1, passes(wire.store_rq(5)), b"begin!"
    )
    standing.exchange.answer(standing.side(ONWARD), 1, decode(wire.command_set(RESPONSE)))
    assert standing.take() == []


def test_who_wants_to_see_a_data_set_sees_it_before_titles_are_mapped():
    seen: list[bytes] = []
    standing = Standing(Pass(COMMAND, TITLES, seen=seen.append))
    standing.receive(ONWARD, FIND + fragment(1, NAMED))
    assert seen == [NAMED]


def test_octets_are_counted_for_the_operation_that_they_belong_to():
    """With their headers where they pass as they come."""
    streamed, mapped = (OpenOperation(5, 5, wire.C_STORE, None, False) for _ in range(2))
    standing = Standing(Pass(decode(wire.command_set(wire.store_rq(5))), operation=streamed))
    standing.receive(INBOUND, STORE + OBJECT)
    standing.verdicts.append(Pass(COMMAND, TITLES, operation=mapped))
    standing.receive(ONWARD, FIND + fragment(1, NAMED))
    assert streamed.octets == len(OBJECT)
    assert mapped.octets == 16
    assert standing.side(INBOUND).operation is None


@pytest.mark.parametrize("titles", [None, TITLES])
def test_what_would_be_refused_if_rules_were_enforced(titles):
    verdict = Pass(COMMAND, titles, observed="no rule")
    (record, *rest) = Standing(verdict).receive(ONWARD, FIND + fragment(1, NAMED))
    assert isinstance(record, Record)
    assert (record.event, record.facts["why"]) == ("message would be refused", "no rule")
    assert rest


# Held


@pytest.mark.parametrize("drop", [False, True])
def test_a_held_message_is_judged_again_or_dropped(drop):
    standing = Standing(Hold())
    assert standing.receive(INBOUND, STORE) == []
    side = standing.side(INBOUND)
    assert held(standing) == [side]
    assert side.association.on_hold
    assert held_of(side) == Message(1, decode(wire.command_set(wire.store_rq(5))))
    standing.exchange.go_on(side, drop=drop)
    assert held(standing) == []
    assert held_of(side) is None
    assert standing.take() == ([] if drop else [SendData(ONWARD, STORE)])


def test_a_message_may_be_held_again():
    standing = Standing(Hold(), Hold(), Drop("too late"))
    standing.receive(INBOUND, ECHO)
    for _ in range(2):
        assert held(standing) == [standing.side(INBOUND)]
        standing.exchange.go_on(standing.side(INBOUND), drop=False)
    assert held(standing) == []
    assert events([*standing.take()]) == ["message dropped"]


# Waiting


def parked(standing: Standing, data: bytes = STORE + OBJECT) -> None:
    standing.verdicts.append(WAIT)
    assert events(standing.receive(INBOUND, data)) == ["message waits"]


def again(standing: Standing) -> list[Effect]:
    for one in standing.exchange.parked():
        standing.exchange.judge_again(one)
    return standing.take()


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_message_that_waits_is_kept_whole(size):
    standing = Standing(WAIT)
    assert not waits(standing)
    effects = standing.receive(INBOUND, STORE + OBJECT[:-1], size=size)
    assert events(effects) == ["message waits"]
    assert not waits(standing)
    assert standing.receive(INBOUND, OBJECT[-1:]) == []
    assert waits(standing)
    whole = STORE + fragment(1, b"begin!end.")
    assert again(standing) == [SendData(ONWARD, whole)]
    assert not waits(standing)


def test_what_becomes_of_it_when_it_is_judged_again():
    standing = Standing()
    for verdict, told in ((WAIT, []), (refusal(5), [REFUSED])):
        parked(standing)
        standing.verdicts.append(verdict)
        effects = again(standing)
        assert [effect.data for effect in effects if isinstance(effect, SendData)] == told
        assert waits(standing) == (verdict is WAIT)
        standing.exchange.parked()
    parked(standing, STORE + fragment(1, NAMED[:-2]))
    standing.verdicts.append(Pass(COMMAND, TITLES))
    with pytest.raises(RemoteProtocolError):
        again(standing)


def test_those_that_wait_go_on_in_their_order():
    standing = Standing()
    parked(standing, ECHO)
    parked(standing, STORE + OBJECT)
    assert again(standing) == [
        SendData(ONWARD, ECHO),
        SendData(ONWARD, STORE + fragment(1, b"begin!end.")),
    ]


def cancel(message_id: int) -> bytes:
    return command(1, wire.cancel_rq(message_id))


def test_one_that_waits_is_cancelled():
    """Of two that have one Message ID the first; that of another side is not meant."""
    standing = Standing()
    parked(standing)
    parked(standing)
    standing.verdicts += [Drop("nothing"), Drop("nothing")]
    assert events(standing.receive(INBOUND, cancel(6))) == ["message dropped"]
    assert events(standing.receive(ONWARD, cancel(5))) == ["message dropped"]
    answer = response(decode(wire.command_set(wire.store_rq(5))), Status.CANCEL)
    assert answer.unsigned(Element.STATUS) == 0xFE00
    for left in (True, False):
        standing.verdicts.append(Drop("nothing"))
        first, *_ = standing.receive(INBOUND, cancel(5))
        assert first == SendData(INBOUND, command(1, wire.store_rsp(5, 0xFE00)))
        assert waits(standing) is left


def test_nobody_judges_before_it_is_said_who():
    exchange, judge = Exchange([]), Exchange.judge
    message = Message(1, decode(wire.command_set(wire.echo_rq(1))))
    with pytest.raises(AssertionError):
        judge(exchange, Side(INBOUND), message)


def test_what_passes_goes_to_somebody():
    standing = Standing()
    standing.side(INBOUND).target = None
    with pytest.raises(AssertionError):
        standing.receive(INBOUND, ECHO)
