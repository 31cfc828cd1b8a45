"""SOP classes that nobody has heard of, several operations at once: bytes by hand on both ends."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Iterator

import pytest

from tests.end_to_end.lanes import Lane, Pair, lanes
from tests.end_to_end.uids import PRIVATE_SERVICE, PRIVATE_STORAGE
from tests.end_to_end.wire import (
    ASYNC,
    CT,
    DATA,
    VERIFICATION,
    Command,
    Context,
    message,
    pdu,
    pdv,
    user_items,
)

STORE_RQ, STORE_RSP, ECHO_RQ, ECHO_RSP = 0x0001, 0x8001, 0x0030, 0x8030
N_COMMANDS = {
    "N-EVENT-REPORT": 0x0100,
    "N-GET": 0x0110,
    "N-SET": 0x0120,
    "N-ACTION": 0x0130,
    "N-CREATE": 0x0140,
    "N-DELETE": 0x0150,
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Lane]]:
    with lanes(tmp_path_factory.mktemp("unknown")) as made:
        yield made


@pytest.fixture
def lane(by: str, both: dict[str, Lane]) -> Lane:
    both[by].forget()
    return both[by]


def noise(count: int) -> bytes:
    return random.Random(count).randbytes(count)


def store(pair: Pair, context: int, number: int, sop_class: str, data: bytes) -> None:
    command: Command = {
        2: sop_class,
        0x100: STORE_RQ,
        0x110: number,
        0x700: 0,
        0x1000: f"1.2.3.{number}",
    }
    pair.client.send(message(context, command, data))


def respond(
    pair: Pair, context: int, number: int, field: int, status: int, data: bytes = b""
) -> None:
    pair.server.send(message(context, {0x100: field, 0x120: number, 0x900: status}, data))


@pytest.mark.parametrize("size", [2, 16_000, 1_000_002])
def test_private_storage_class(lane, size):
    data = noise(size)
    with lane.associated([Context(1, PRIVATE_STORAGE)]) as pair:
        assert pair.requested.contexts == (Context(1, PRIVATE_STORAGE),)
        store(pair, 1, 7, PRIVATE_STORAGE, data)
        got = pair.server.expect_message()
        assert hashlib.sha256(got.data).digest() == hashlib.sha256(data).digest()
        assert got.text(0x0002) == PRIVATE_STORAGE
        assert got.text(0x1000) == "1.2.3.7"
        assert got.number(0x0110) == 7
        respond(pair, 1, 7, STORE_RSP, 0xB123)
        answer = pair.client.expect_message()
        assert (answer.number(0x0120), answer.number(0x0900)) == (7, 0xB123)
        pair.release()


@pytest.mark.parametrize("name", N_COMMANDS)
def test_private_service(lane, name):
    field, data, answer = N_COMMANDS[name], noise(300), noise(500)
    request: Command = {3: PRIVATE_SERVICE, 0x100: field, 0x110: 40}
    request |= {0x1001: "1.2.3.4", 0x1008: 9}
    with lane.associated([Context(5, PRIVATE_SERVICE)]) as pair:
        pair.client.send(message(5, request, data))
        got = pair.server.expect_message()
        assert (got.context, got.number(0x0100), got.data) == (5, field, data)
        assert (got.text(0x0003), got.text(0x1001)) == (PRIVATE_SERVICE, "1.2.3.4")
        respond(pair, 5, 40, field | 0x8000, 0x0107, answer)
        back = pair.client.expect_message()
        assert (back.context, back.number(0x0100)) == (5, field | 0x8000)
        assert (back.number(0x0900), back.data) == (0x0107, answer)
        pair.release()


def test_events_of_a_private_service_come_from_the_acceptor(lane):
    report: Command = {2: PRIVATE_SERVICE, 0x100: 0x0100, 0x110: 3}
    report |= {0x1000: "1.2.3.4", 0x1002: 1}
    with lane.associated([Context(5, PRIVATE_SERVICE)]) as pair:
        pair.server.send(message(5, report, b"ab"))
        got = pair.client.expect_message()
        assert (got.number(0x0100), got.data) == (0x0100, b"ab")
        pair.client.send(message(5, {0x100: 0x8100, 0x120: 3, 0x900: 0}))
        back = pair.server.expect_message()
        assert (back.number(0x0100), back.number(0x0120)) == (0x8100, 3)
        pair.release()


def test_several_operations_under_way(lane):
    """Five requests before the first response; the responses come in another order."""
    user = user_items(16384, (ASYNC, struct.pack(">HH", 0, 3)))
    contexts = [Context(1, CT), Context(3, VERIFICATION)]
    with lane.associated(contexts, user, accept_user=user) as pair:
        assert pair.requested.sub_items(ASYNC) == [struct.pack(">HH", 0, 3)]
        assert pair.accepted.sub_items(ASYNC) == [struct.pack(">HH", 0, 3)]
        objects = {number: noise(20_000 + 2 * number) for number in (1, 2, 3, 4)}
        for number, data in objects.items():
            store(pair, 1, number, CT, data)
        pair.client.send(message(3, {2: VERIFICATION, 0x100: ECHO_RQ, 0x110: 5}))
        received = [pair.server.expect_message() for _ in range(5)]
        assert [m.number(0x0110) for m in received] == [1, 2, 3, 4, 5]
        assert [m.data for m in received] == [*objects.values(), b""]
        for number in (4, 2, 1, 3):
            respond(pair, 1, number, STORE_RSP, 0xB000 + number)
        respond(pair, 3, 5, ECHO_RSP, 0)
        answers = [pair.client.expect_message() for _ in range(5)]
        assert [m.number(0x0120) for m in answers] == [4, 2, 1, 3, 5]
        assert [m.number(0x0900) for m in answers] == [0xB004, 0xB002, 0xB001, 0xB003, 0]
        pair.release()


def test_both_directions_at_once(lane):
    """The acceptor is in the middle of its own message while the requestor sends one."""
    half = message(1, {2: PRIVATE_SERVICE, 0x100: 0x0100, 0x110: 8, 0x1000: "1.2"}, noise(200), 100)
    first, second = half[:-106], half[-106:]
    with lane.associated([Context(1, PRIVATE_SERVICE)]) as pair:
        pair.server.send(first)
        pair.client.send(message(1, {3: PRIVATE_SERVICE, 0x100: 0x0130, 0x110: 9}, noise(100)))
        assert pair.server.expect_message().data == noise(100)
        pair.server.send(second)
        assert pair.client.expect_message().data == noise(200)
        pair.release()


@pytest.mark.parametrize("cut", ["one PDU", "empty last fragment", "tiny fragments"])
def test_any_legal_cut_of_a_message(lane, cut):
    """PS3.8 annex E: command and data in one P-DATA-TF, a last fragment of no bytes, two bytes each."""
    data = noise(64)
    raw = message(1, {2: CT, 0x100: STORE_RQ, 0x110: 1, 0x700: 0, 0x1000: "1.2.3"}, data, 64)
    length = int.from_bytes(raw[2:6], "big")
    command = raw[12 : 6 + length]
    sent = {
        "one PDU": pdu(
            DATA,
            pdv(1, command, command=True, last=True) + pdv(1, data, command=False, last=True),
        ),
        "empty last fragment": pdu(DATA, pdv(1, command, command=True, last=False))
        + pdu(DATA, pdv(1, b"", command=True, last=True))
        + pdu(DATA, pdv(1, data, command=False, last=False))
        + pdu(DATA, pdv(1, b"", command=False, last=True)),
        "tiny fragments": b"".join(
            pdu(DATA, pdv(1, whole[at : at + 2], command=kind, last=at + 2 == len(whole)))
            for whole, kind in ((command, True), (data, False))
            for at in range(0, len(whole), 2)
        ),
    }[cut]
    with lane.associated([Context(1, CT)]) as pair:
        pair.client.send(sent)
        got = pair.server.expect_message()
        assert got.data == data
        assert got.text(0x1000) == "1.2.3"
        respond(pair, 1, 1, STORE_RSP, 0)
        assert pair.client.expect_message().number(0x0900) == 0
        pair.release()
