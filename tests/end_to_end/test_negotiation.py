"""Each side of the relay sees of A-ASSOCIATE what the other said, but for names and implementation.

Both ends are written by hand, so that nothing is hidden by a library's own reading of the standard.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from tests.end_to_end.lanes import Lane, lanes
from tests.end_to_end.uids import COMMITMENT, MPPS, STUDY_FIND, WORKLIST
from tests.end_to_end.wire import (
    AC,
    ASYNC,
    COMMON_EXTENDED,
    CT,
    EXPLICIT,
    EXTENDED,
    IDENTITY_AC,
    IDENTITY_RQ,
    IMPLEMENTATION_UID,
    IMPLICIT,
    OUR_UID,
    OUR_VERSION,
    RJ,
    ROLE,
    RQ,
    VERIFICATION,
    VERSION_NAME,
    Command,
    Context,
    Peer,
    associate_ac,
    associate_rq,
    counted,
    item,
    message,
    parse_associate,
    pdu,
    reject,
    user_items,
)

BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
ONE = [Context(1, VERIFICATION)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Lane]]:
    with lanes(tmp_path_factory.mktemp("negotiation")) as made:
        yield made


@pytest.fixture
def lane(by: str, both: dict[str, Lane]) -> Lane:
    both[by].forget()
    return both[by]


@pytest.fixture
def relayed(both: dict[str, Lane]) -> Lane:
    both["relay"].forget()
    return both["relay"]


MANY = [Context(2 * n + 1, CT, (JPEG, EXPLICIT, IMPLICIT)[n % 3 :], 0) for n in range(127, -1, -1)]
CONTEXTS = {
    "one": ONE,
    "ids out of order": [Context(255, CT), Context(1, VERIFICATION), Context(77, CT)],
    "one abstract syntax thrice": [
        Context(1, CT, (IMPLICIT,)),
        Context(3, CT, (JPEG, EXPLICIT)),
        Context(5, CT, (IMPLICIT, EXPLICIT)),
    ],
    "128": MANY,
    "unknown syntaxes": [Context(9, "1.2.826.0.1.3680043.9.9999.5", ("1.2.3.4.5", IMPLICIT))],
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_contexts(lane, name):
    """The acceptor takes the last transfer syntax offered, and refuses some for each reason."""
    asked = CONTEXTS[name]
    answer = [
        Context(c.id, "", c.transfers[-1:], result=n % 5 if n else 0) for n, c in enumerate(asked)
    ]
    with lane.associated(asked, accept=answer) as pair:
        assert pair.requested.contexts == tuple(asked)
        told = [(c.id, c.result) for c in pair.accepted.contexts]
        assert told == [(c.id, c.result) for c in answer]
        used = {c.id: c.transfers for c in pair.accepted.contexts if c.result == 0}
        assert used == {c.id: c.transfers for c in answer if c.result == 0}
        pair.release()


def test_acceptor_that_refuses_every_context(lane):
    answer = [Context(1, "", (IMPLICIT,), 3)]
    with lane.associated(ONE, accept=answer) as pair:
        assert [(c.id, c.result) for c in pair.accepted.contexts] == [(1, 3)]
        pair.release()


@pytest.mark.parametrize("sop_class", [STUDY_FIND, WORKLIST, MPPS, COMMITMENT])
def test_small_data_sets_only_in_little_endian(relayed, sop_class):
    offered = (BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT)
    with relayed.associated([Context(1, sop_class, offered)]) as pair:
        assert pair.requested.contexts == (Context(1, sop_class, (EXPLICIT, IMPLICIT)),)
        pair.release()


def test_small_data_sets_offered_only_in_other_syntaxes(relayed):
    asked = [Context(1, STUDY_FIND, (BIG_ENDIAN,)), Context(3, VERIFICATION)]
    with relayed.associated(asked) as pair:
        assert pair.requested.contexts == (Context(3, VERIFICATION),)
        assert [c.result != 0 for c in pair.accepted.contexts] == [True, False]
        pair.release()


def roles(sop_class: str, scu: int, scp: int) -> tuple[int, bytes]:
    return ROLE, counted(sop_class) + bytes([scu, scp])


IDENTITIES = {
    "1 user name": (1, b"jane", b""),
    "2 user name and passcode": (2, b"jane", b"secret"),
    "3 Kerberos": (3, bytes(range(256)), b""),
    "4 SAML": (4, b"<saml/>" * 200, b""),
    "5 JWT": (5, b"a.b.c", b""),
}
SAID: dict[str, tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]] = {
    "nothing": ([], []),
    "async window": (
        [(ASYNC, struct.pack(">HH", 5, 7))],
        [(ASYNC, struct.pack(">HH", 2, 7))],
    ),
    "async window without answer": ([(ASYNC, struct.pack(">HH", 0, 0))], []),
    "roles": (
        [roles(CT, 1, 1), roles(VERIFICATION, 0, 1)],
        [roles(CT, 0, 1), roles(VERIFICATION, 0, 1)],
    ),
    "roles without answer": ([roles(CT, 0, 1)], []),
    "extended": (
        [(EXTENDED, counted(CT) + b"\1\0\2\0\3\1"), (EXTENDED, counted(VERIFICATION) + b"\7")],
        [(EXTENDED, counted(CT) + b"\0\0\2\0\3\1")],
    ),
    "common extended": (
        [(COMMON_EXTENDED, counted(CT, "1.2.840.10008.4.2", counted("1.2.3", "1.2.4")))],
        [],
    ),
    "common extended without related": (
        [(COMMON_EXTENDED, counted(CT, "1.2.840.10008.4.2", b""))],
        [],
    ),
    **{
        f"identity {name}": (
            [(IDENTITY_RQ, bytes([kind, 1]) + counted(first, second))],
            [(IDENTITY_AC, counted(b"response of " + first[:30]))],
        )
        for name, (kind, first, second) in IDENTITIES.items()
    },
    "identity without answer": ([(IDENTITY_RQ, bytes([1, 0]) + counted(b"joe", b""))], []),
}
OWN = {0x51, IMPLEMENTATION_UID, VERSION_NAME}


@pytest.mark.parametrize("name", SAID)
def test_user_information(lane, name):
    asked, answer = SAID[name]
    contexts = [Context(1, CT), Context(3, VERIFICATION)]
    with lane.associated(
        contexts, user_items(16384, *asked), accept_user=user_items(16384, *answer)
    ) as pair:
        assert sorted(i for i in pair.requested.user if i[0] not in OWN) == sorted(asked)
        assert sorted(i for i in pair.accepted.user if i[0] not in OWN) == sorted(answer)
        pair.release()


def test_all_user_information_at_once(lane):
    names = (
        "async window",
        "roles",
        "extended",
        "common extended",
        "identity 2 user name and passcode",
    )
    asked = [i for name in names for i in SAID[name][0]]
    answer = [i for name in names for i in SAID[name][1]]
    contexts = [Context(1, CT), Context(3, VERIFICATION)]
    with lane.associated(
        contexts, user_items(16384, *asked), accept_user=user_items(16384, *answer)
    ) as pair:
        assert sorted(i for i in pair.requested.user if i[0] not in OWN) == sorted(asked)
        assert sorted(i for i in pair.accepted.user if i[0] not in OWN) == sorted(answer)
        pair.release()


@pytest.mark.parametrize("client", [0, 8, 4096, 16384, 131_072, 0xFFFF_FFFF])
@pytest.mark.parametrize("server", [0, 28_672])
def test_maximum_length(lane, client, server):
    with lane.associated(ONE, user_items(client), accept_user=user_items(server)) as pair:
        assert pair.requested.maximum_length == client
        assert pair.accepted.maximum_length == server
        pair.release()


def test_maximum_length_capped(tmp_path):
    with lanes(tmp_path, limits={"max_pdu": 32_768}) as both:
        for said, told in ((0, 32_768), (65_536, 32_768), (32_768, 32_768), (16_384, 16_384)):
            with both["relay"].associated(
                ONE, user_items(said), accept_user=user_items(said)
            ) as pair:
                assert pair.requested.maximum_length == told
                assert pair.accepted.maximum_length == told
                pair.release()


def test_fragments_pass_uncut_in_a_pdu_of_unlimited_length(lane):
    """Both said 0, so a whole object may come in one P-DATA-TF and goes on in one."""
    data = bytes(3_000_000)
    user = user_items(0)
    with lane.associated([Context(1, CT)], user, accept_user=user) as pair:
        command: Command = {2: CT, 0x100: 1, 0x110: 1, 0x700: 0, 0x1000: "1.2.3"}
        pair.client.send(message(1, command, data, fragment=len(data)))
        got = pair.server.expect_message()
        assert got.data == data
        pair.server.send(message(1, {0x100: 0x8001, 0x120: 1, 0x900: 0}))
        assert pair.client.expect_message().number(0x0900) == 0
        pair.release()


def test_titles_and_implementation_are_the_relays(relayed):
    with relayed.associated(ONE) as pair:
        assert (pair.requested.called, pair.requested.calling) == ("PACS", "FAR_SCU")
        assert (pair.accepted.called, pair.accepted.calling) == ("FAR_PACS", "SCU")
        for said in (pair.requested, pair.accepted):
            (uid,), (version,) = said.sub_items(IMPLEMENTATION_UID), said.sub_items(VERSION_NAME)
            assert uid.decode() != OUR_UID
            assert 1 <= len(uid) <= 64
            assert version.decode() != OUR_VERSION
            assert 1 <= len(version) <= 16
        assert pair.requested.user[1:] == pair.accepted.user[1:]
        pair.release()


def test_title_bytes_come_back_as_they_were_sent(relayed):
    """PS3.8 9.3.3: the AC carries the RQ's own bytes 11 to 74; spaces around a title mean nothing."""
    head = struct.pack(
        ">H2x16s16s32s", 1, b" FAR_PACS       ", b"  SCU           ", bytes(range(32))
    )
    rq = bytearray(associate_rq(ONE))
    rq[6:74] = head
    with Peer.connect(relayed.way.port) as client:
        client.send(bytes(rq))
        with relayed.acceptor.accept() as server:
            server.send(associate_ac(server.expect_associate(RQ)))
            answer = client.expect(AC)
    assert answer.body[4:36] == head[4:36]


def test_what_the_standard_says_to_ignore(relayed):
    """Reserved bytes, unknown items and unknown user information sub-items: the association stands."""
    user = user_items(16384, (0x5F, b"unknown sub-item"))
    rq = bytearray(associate_rq(ONE, user, called="FAR_PACS"))
    rq[8:10], rq[42:74] = b"\xff\xff", b"\xee" * 32
    raw = bytearray(pdu(RQ, bytes(rq[6:]) + item(0x77, b"unknown item")))
    raw[1] = 0xFF
    with Peer.connect(relayed.way.port) as client:
        client.send(bytes(raw))
        with relayed.acceptor.accept() as server:
            requested = server.expect_associate(RQ)
            server.send(associate_ac(requested))
            client.expect(AC)
    assert requested.contexts == tuple(ONE)
    assert requested.sub_items(0x5F) == []


@pytest.mark.parametrize("said", [(1, 1, 1), (1, 1, 7), (1, 2, 2), (2, 3, 1), (2, 3, 2)])
def test_rejection_is_the_acceptors_own(lane, said):
    with lane.half_open(ONE) as (client, server, _):
        server.send(reject(*said))
        assert client.expect(RJ).body == bytes([0, *said])


@pytest.mark.parametrize("said", [(0, 1, 1), (3, 1, 1), (1, 4, 1), (1, 2, 7), (1, 0, 0)])
def test_illegal_rejection_becomes_a_legal_one(relayed, said):
    with relayed.half_open(ONE) as (client, server, _):
        server.send(reject(*said))
        assert client.expect(RJ).body == bytes([0, 2, 2, 1])


def test_parser_agrees_with_encoder():
    """The tests' own codec: what it writes it reads."""
    user = user_items(1, roles(CT, 0, 1))
    said = parse_associate(associate_rq(MANY, user, "A", "B")[6:])
    assert (said.called, said.calling, said.version) == ("A", "B", 1)
    assert said.contexts == tuple(MANY)
    assert list(said.user) == user
