"""What is written when, below the joins: runs, answers of the relay's own, data sets that are held."""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.listener import heard
from tests.relay.wire import command, fragment
from ulproxy.dimse.command import decode
from ulproxy.dimse.message import Message, MessageReader
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.fsm import State
from ulproxy.pdu.reader import CommandFragment, PDataRun, PduReader
from ulproxy.relay.effects import Effect, End, Record, SendData
from ulproxy.relay.exchange import MAX_RECORDS, MAX_WAITING, Exchange
from ulproxy.relay.side import Side
from ulproxy.relay.verdict import Drop, Pass, Respond, Titles, Verdict

INBOUND, ONWARD = End.INBOUND, End.ONWARD
RETRIEVE_AE_TITLE = bytes.fromhex("0800540004000000")
TITLES = Titles(wire.IMPLICIT, lambda title: {"PACS": "HB_PACS"}.get(title, title))


class Standing:
    """Two associations that stand, with nothing below but readers; what no verdict is for passes."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.effects: list[Effect] = []
        self.verdicts = [*verdicts]
        self.exchange = Exchange(self.effects)
        self.exchange.by(self.judge)
        self.readers = {INBOUND: PduReader(), ONWARD: PduReader()}
        self.sides = {INBOUND: Side(INBOUND), ONWARD: Side(ONWARD)}
        self.sides[INBOUND].target, self.sides[ONWARD].target = (
            self.sides[ONWARD],
            self.sides[INBOUND],
        )
        for side in self.sides.values():
            side.association.state = State.Sta6
            side.messages = MessageReader({1, 3})

    def judge(self, side: Side, message: Message) -> Verdict:
        return self.verdicts.pop(0) if self.verdicts else Pass(message.command)

    def side(self, end: End) -> Side:
        return self.sides[end]

    def take(self) -> list[Effect]:
        taken = self.effects[:]
        self.effects.clear()
        return taken

    def receive(self, end: End, data: bytes, *, size: int = 1 << 20) -> list[object]:
        for start in range(0, len(data), size):
            piece = memoryview(data[start : start + size])
            consumed, events = self.readers[end].receive_data(piece)
            assert consumed == len(piece)
            for event in events:
                if isinstance(event, PDataRun):
                    self.exchange.data_run(self.side(end), event)
                else:
                    assert isinstance(event, CommandFragment)
                    self.exchange.command_fragment(self.side(end), event)
        return [*self.take()]

    def written(self, end: End, data: bytes, to: End, *, size: int = 1 << 20) -> bytes:
        effects = self.receive(end, data, size=size)
        assert all(isinstance(e, SendData) and e.end is to for e in effects), effects
        return b"".join(e.data for e in effects if isinstance(e, SendData))


def refusal(message_id: int, text: str = "because") -> Respond:
    return Respond(decode(wire.command_set(wire.store_rsp(message_id, 0x0124))), text)


STORE = command(1, wire.store_rq(5))
OBJECT = fragment(1, b"begin!", last=False) + fragment(1, b"end.")
REFUSED = command(1, wire.store_rsp(5, 0x0124))


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(("end", "to"), [(INBOUND, ONWARD), (ONWARD, INBOUND)])
def test_a_message_passes(end, to, size):
    standing = Standing()
    assert standing.written(end, STORE + OBJECT, to, size=size) == STORE + OBJECT
    assert not standing.side(to).message_open
    assert standing.side(end).messages_passed == 1
    assert standing.side(end).octets_passed == len(OBJECT)


def test_what_is_left_of_a_fragment_is_known():
    standing = Standing()
    standing.receive(INBOUND, STORE + OBJECT[:13])
    assert standing.side(ONWARD).message_open
    assert standing.side(ONWARD).fragment_left == 5
    standing.receive(INBOUND, OBJECT[13:18])
    assert standing.side(ONWARD).fragment_left == 0
    assert standing.side(ONWARD).message_open
    standing.receive(INBOUND, OBJECT[18:])
    assert not standing.side(ONWARD).message_open
    assert standing.side(INBOUND).fragment_left == 0


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_refused_message_is_swallowed_and_answered_at_its_end(size):
    standing = Standing(refusal(5))
    effects = standing.receive(INBOUND, STORE + OBJECT[:-1], size=size)
    (record,) = effects
    assert isinstance(record, Record)
    assert record.warning
    assert record.event == "message refused"
    assert record.facts == {
        "from": "inbound",
        "command": "C-STORE-RQ",
        "message_id": 5,
        "status": "0124H",
        "why": "because",
    }
    assert standing.written(INBOUND, OBJECT[-1:], INBOUND) == REFUSED
    assert standing.side(INBOUND).messages_passed == 0
    assert standing.side(INBOUND).octets_passed == 0


def test_an_answer_without_a_text_is_none_for_the_log():
    echo = command(1, wire.echo_rq(5))
    answer = Respond(decode(wire.command_set(wire.echo_rsp(5))), "")
    assert Standing(answer).written(INBOUND, echo, INBOUND) == command(1, wire.echo_rsp(5))


def test_a_dropped_message_is_swallowed():
    standing = Standing(Drop("nobody asked"))
    (record,) = standing.receive(ONWARD, STORE + OBJECT)
    assert isinstance(record, Record)
    assert (record.event, record.facts["why"]) == ("message dropped", "nobody asked")
    assert standing.written(ONWARD, STORE + OBJECT, INBOUND) == STORE + OBJECT


def test_answers_wait_for_the_end_of_the_data_set():
    standing = Standing()
    assert standing.written(ONWARD, STORE + OBJECT[:-1], INBOUND) == STORE + OBJECT[:-1]
    standing.verdicts += [refusal(5, ""), refusal(6, "")]
    assert standing.receive(INBOUND, STORE + OBJECT + STORE + OBJECT) == []
    later = OBJECT[-1:] + REFUSED + command(1, wire.store_rsp(6, 0x0124))
    assert standing.written(ONWARD, OBJECT[-1:], INBOUND) == later
    assert standing.side(INBOUND).waiting == []


@pytest.mark.parametrize("refused", [MAX_WAITING - 1, MAX_WAITING, MAX_WAITING + 1])
def test_max_waiting(refused):
    standing = Standing()
    standing.receive(ONWARD, STORE)
    standing.verdicts += [refusal(5, "")] * refused
    asked = command(1, wire.echo_rq(5)) * refused
    if refused <= MAX_WAITING:
        assert standing.receive(INBOUND, asked) == []
        assert standing.written(ONWARD, OBJECT, INBOUND) == OBJECT + REFUSED * refused
    else:
        with pytest.raises(RemoteProtocolError) as raised:
            standing.receive(INBOUND, asked)
        assert raised.value.reason == 0


@pytest.mark.parametrize("state", [State.Sta1, State.Sta7, State.Sta9, State.Sta11, State.Sta13])
def test_nothing_is_written_where_table_9_10_has_no_p_data_request(state):
    """Evt9 has an action in Sta6 and Sta8 alone."""
    standing = Standing(Pass(decode(wire.command_set(wire.store_rq(5)))))
    standing.side(ONWARD).association.state = state
    assert standing.receive(INBOUND, STORE + OBJECT) == []
    assert standing.side(ONWARD).fragment_left == 0
    standing.verdicts.append(refusal(5, ""))
    assert standing.receive(ONWARD, STORE + OBJECT) == []
    standing.verdicts.append(Pass(decode(wire.command_set(wire.find_rq(5))), TITLES))
    assert standing.receive(INBOUND, STORE + OBJECT) == []


def test_a_peer_that_waits_for_its_release_still_takes_data():
    standing = Standing()
    standing.side(ONWARD).association.state = State.Sta8
    assert standing.written(INBOUND, STORE + OBJECT, ONWARD) == STORE + OBJECT


def test_the_sender_is_blamed_for_what_is_no_message():
    for fault in (OBJECT, command(5, wire.echo_rq(1)), command(1, {wire.FIELD: b"\1\0"})):
        standing = Standing()
        with pytest.raises(RemoteProtocolError):
            standing.receive(INBOUND, fault)
        assert standing.take() == []


@pytest.mark.parametrize("longest", [0, 8, 100, 16384])
def test_commands_are_cut_to_what_the_receiver_takes(longest):
    standing = Standing(refusal(5, ""))
    for side in standing.sides.values():
        side.maximum_length = longest
    back = standing.written(INBOUND, STORE + OBJECT, INBOUND)
    onward = standing.written(INBOUND, STORE, ONWARD)
    for written, elements in ((back, wire.store_rsp(5, 0x0124)), (onward, wire.store_rq(5))):
        (message,) = heard(written, longest).messages
        assert message.command == elements
        assert message.data == b""


# Data sets whose titles are mapped

FIND = command(1, wire.response(wire.C_FIND, 5, wire.STUDY_FIND, 0xFF00, data=True))
COMMAND = decode(
    wire.command_set(wire.response(wire.C_FIND, 5, wire.STUDY_FIND, 0xFF00, data=True))
)
NAMED = RETRIEVE_AE_TITLE + b"PACS"
MAPPED = bytes.fromhex("0800540008000000") + b"HB_PACS "


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
@pytest.mark.parametrize("cut", [0, 2, 8, 12])
def test_a_mapped_message_goes_on_when_it_is_whole(cut, size):
    standing = Standing(Pass(COMMAND, TITLES))
    whole = FIND + fragment(1, NAMED[:cut], last=False) + fragment(1, NAMED[cut:])
    assert standing.receive(ONWARD, whole[:-1], size=size) == []
    assert not standing.side(INBOUND).message_open
    assert standing.written(ONWARD, whole[-1:], INBOUND) == FIND + fragment(1, MAPPED)
    assert standing.side(ONWARD).messages_passed == 1
    assert standing.side(ONWARD).octets_passed == len(MAPPED)
    assert standing.side(ONWARD).collected is None
    assert standing.written(ONWARD, STORE + OBJECT, INBOUND) == STORE + OBJECT


def test_an_answer_does_not_wait_for_what_is_held():
    standing = Standing(Pass(COMMAND, TITLES))
    standing.receive(ONWARD, FIND + fragment(1, NAMED[:6], last=False))
    standing.verdicts.append(refusal(5, ""))
    assert standing.written(INBOUND, STORE + OBJECT, INBOUND) == REFUSED
    expected = FIND + fragment(1, MAPPED)
    assert standing.written(ONWARD, fragment(1, NAMED[6:]), INBOUND) == expected


@pytest.mark.parametrize("longest", [0, 8, 16384])
def test_a_mapped_data_set_is_cut_to_what_the_receiver_takes(longest):
    standing = Standing(Pass(COMMAND, TITLES))
    standing.side(INBOUND).maximum_length = longest
    written = standing.written(ONWARD, FIND + fragment(1, NAMED), INBOUND)
    (message,) = heard(written, longest).messages
    assert bytes(message.data) == MAPPED
    assert message.complete


def test_an_empty_data_set_stays_one():
    standing = Standing(Pass(COMMAND, TITLES))
    whole = FIND + fragment(1, b"")
    assert standing.written(ONWARD, whole, INBOUND) == whole


def test_a_data_set_that_cannot_be_mapped_goes_nowhere():
    standing = Standing(Pass(COMMAND, TITLES))
    with pytest.raises(RemoteProtocolError):
        standing.receive(ONWARD, FIND + fragment(1, NAMED[:-2]))
    assert standing.take() == []


@pytest.mark.parametrize("more", [-2, 0, 2])
def test_how_much_is_held(more):
    """MAX_DATA_SET: 4 MiB; a data set that names AEs has a few KB."""
    standing = Standing(Pass(COMMAND, TITLES))
    length = (1 << 22) + more
    data = bytes.fromhex("09001010") + (length - 8).to_bytes(4, "little") + bytes(length - 8)
    parts = [data[start : start + (1 << 16)] for start in range(0, len(data), 1 << 16)]
    sent = FIND + b"".join(fragment(1, part, last=False) for part in parts) + fragment(1, b"")
    if more <= 0:
        (message,) = heard(standing.written(ONWARD, sent, INBOUND)).messages
        assert len(message.data) == len(data)
    else:
        with pytest.raises(RemoteProtocolError) as raised:
            standing.receive(ONWARD, sent)
        assert raised.value.reason == 0


def test_the_log_is_not_filled_by_one_association():
    """MAX_RECORDS - 1, at, + 1: each refusal is answered; the log has the first ones, and says so."""
    standing = Standing(*(refusal(5) for _ in range(MAX_RECORDS + 1)))
    lines = []
    for _ in range(MAX_RECORDS + 1):
        effects = standing.receive(End.INBOUND, STORE + OBJECT)
        lines += [effect for effect in effects if isinstance(effect, Record)]
        assert any(isinstance(effect, SendData) for effect in effects)
    assert ["more" in line.facts for line in lines] == [False] * (MAX_RECORDS - 1) + [True]
