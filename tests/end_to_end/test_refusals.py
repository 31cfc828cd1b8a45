"""The contract's table of refusals, row by row, on the wire; what is refused never reaches the other side."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.end_to_end.peers import Relay, ae, border, relay, rule, wait_until
from tests.end_to_end.uids import MR_IMAGE, STUDY_FIND, STUDY_MOVE
from tests.end_to_end.wire import (
    ABORT,
    AC,
    CT,
    DATA,
    IMPLICIT,
    RJ,
    RQ,
    VERIFICATION,
    Acceptor,
    Command,
    Context,
    Message,
    Peer,
    associate_ac,
    associate_rq,
    item,
    message,
    pdu,
    pdv,
    user_items,
)

ECHO: Command = {2: VERIFICATION, 0x100: 0x30, 0x110: 1}
STORE: Command = {2: CT, 0x100: 0x0001, 0x110: 1, 0x700: 0, 0x1000: "1.2.3"}
IDENTIFIER = struct.pack("<HHI", 8, 0x52, 6) + b"STUDY "


@dataclass
class Border:
    """SCU may echo, find and move at PACS; STRANGE is known only at another address; OTHER is not for SCU."""

    through: Relay
    acceptor: Acceptor

    @property
    def port(self) -> int:
        return self.through.ports["west"]

    def ask(self, rq: bytes) -> Peer:
        client = Peer.connect(self.port)
        client.send(rq)
        return client

    def untouched(self) -> bool:
        """Nobody has called the PACS."""
        self.acceptor.socket.settimeout(0)
        try:
            self.acceptor.socket.accept()[0].close()
        except BlockingIOError:
            return True
        finally:
            self.acceptor.socket.settimeout(40)
        return False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Border]:
    with Acceptor() as acceptor:
        aes = [
            ae("SCU", "west", alias="FAR_SCU"),
            ae("WS1", "west", 9, alias="FAR_WS1"),
            {**ae("STRANGE", "west"), "sources": ["192.0.2.0/24"]},
            ae("PACS", "east", acceptor.port, alias="FAR_PACS"),
            ae("OTHER", "east", acceptor.port, alias="FAR_OTHER"),
        ]
        rules = [
            rule(["SCU", "STRANGE"], ["PACS"], ["echo", "find", "move"], destinations=["WS1"]),
            rule(["WS1"], ["OTHER"], ["store"]),
        ]
        with relay(border(aes, rules), tmp_path_factory.mktemp("refusals")) as started:
            yield Border(started, acceptor)


@pytest.fixture
def refusing(running: Border) -> Border:
    while not running.untouched():
        pass
    return running


ONE = [Context(1, VERIFICATION)]


def rq(**changes: object) -> bytes:
    said = {"called": "FAR_PACS", "calling": "SCU", "contexts": ONE, **changes}
    return associate_rq(**said)  # type: ignore[arg-type]


REJECTED: dict[str, tuple[bytes, tuple[int, int, int]]] = {
    "caller unknown": (rq(calling="NOBODY"), (1, 1, 3)),
    "caller at the wrong address": (rq(calling="STRANGE"), (1, 1, 3)),
    "caller of another network": (rq(calling="PACS"), (1, 1, 3)),
    "caller without a title": (rq(calling=""), (1, 1, 3)),
    "called title unknown": (rq(called="NOWHERE"), (1, 1, 7)),
    "called title of another network": (rq(called="PACS"), (1, 1, 7)),
    "called title not for this caller": (rq(called="FAR_OTHER"), (1, 1, 7)),
    "called title empty": (rq(called=""), (1, 1, 7)),
    "no context allowed": (rq(contexts=[Context(1, CT), Context(3, MR_IMAGE)]), (1, 1, 1)),
    "protocol version": (rq(version=2), (1, 2, 2)),
    "application context": (rq(application_context="1.2.3.4"), (1, 1, 2)),
}


@pytest.mark.parametrize("why", REJECTED)
def test_rejected(refusing, why):
    said, answer = REJECTED[why]
    with refusing.ask(said) as client:
        assert tuple(client.expect(RJ).body[1:]) == answer
    assert refusing.untouched()


def test_protocol_version_has_other_bits_too(refusing):
    with refusing.ask(rq(version=0xFFFF)), refusing.acceptor.accept() as server:
        server.expect(RQ)


def head(called: str = "FAR_PACS") -> bytes:
    return struct.pack(">H2x16s16s32x", 1, called.ljust(16).encode(), b"SCU".ljust(16))


USER = item(0x50, b"".join(item(kind, value) for kind, value in user_items()))
APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")
ABSTRACT, TRANSFER = item(0x30, VERIFICATION.encode()), item(0x40, IMPLICIT.encode())


def context(number: int, *items: bytes) -> bytes:
    return item(0x20, bytes([number, 0, 0, 0]) + b"".join(items))


ABORTED: dict[str, bytes] = {
    "P-DATA first": pdu(DATA, pdv(1, b"ab", command=True, last=True)),
    "A-ASSOCIATE-AC first": pdu(AC, head() + APPLICATION + USER),
    "release first": pdu(5, bytes(4)),
    "unknown type": pdu(0x42, b"abcd"),
    "HTTP": b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
    "cut short": pdu(RQ, head()[:40]),
    "no application context": pdu(RQ, head() + context(1, ABSTRACT, TRANSFER) + USER),
    "no presentation context": pdu(RQ, head() + APPLICATION + USER),
    "no user information": pdu(RQ, head() + APPLICATION + context(1, ABSTRACT, TRANSFER)),
    "even context id": rq(contexts=[Context(2, VERIFICATION)]),
    "one context id twice": rq(contexts=[Context(1, VERIFICATION), Context(1, STUDY_FIND)]),
    "no transfer syntax": pdu(RQ, head() + APPLICATION + context(1, ABSTRACT) + USER),
    "two abstract syntaxes": pdu(
        RQ, head() + APPLICATION + context(1, ABSTRACT, ABSTRACT, TRANSFER) + USER
    ),
    "item beyond the end": pdu(RQ, rq()[6:-3]),
    **{f"maximum length {n}": rq(user=user_items(n)) for n in (1, 6, 7)},
    "too long a request": struct.pack(">BxI", RQ, 0x7FFF_FFFF) + head(),
}


@pytest.mark.parametrize("what", ABORTED)
def test_no_valid_request(refusing, what):
    with refusing.ask(ABORTED[what]) as client:
        assert client.expect(ABORT).body[2:] == bytes([0, 0])
    assert refusing.untouched()


NAMES = {
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", "HTTP"),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
    "TLS": (bytes.fromhex("16030100c8010000c40303") + bytes(200), "TLS"),
}


@pytest.mark.parametrize("what", NAMES)
def test_what_is_no_dicom_is_named_in_the_log(refusing, what):
    said, name = NAMES[what]
    before = len(refusing.through.program.log())
    with refusing.ask(said) as client:
        client.socket.shutdown(socket.SHUT_WR)
        client.rest()
    wait_until(lambda: name in refusing.through.program.log()[before:], f"the log says {name}")
    assert refusing.untouched()


# On an association ---------------------------------------------------------------------------------

CONTEXTS = [Context(1, VERIFICATION), Context(3, STUDY_FIND), Context(5, STUDY_MOVE)]
Talk = tuple[Peer, Peer]


@pytest.fixture
def talk(refusing: Border) -> Iterator[Talk]:
    with refusing.ask(rq(contexts=CONTEXTS)) as client, refusing.acceptor.accept() as server:
        server.send(associate_ac(server.expect_associate(RQ)))
        client.expect(AC)
        yield client, server


def echo_passes(client: Peer, server: Peer) -> None:
    client.send(message(1, {**ECHO, 0x110: 99}))
    assert server.expect_message().number(0x110) == 99, "something refused has reached the PACS"
    server.send(message(1, {0x100: 0x8030, 0x120: 99, 0x900: 0}))
    assert client.expect_message().number(0x120) == 99


def refusal(client: Peer) -> Message:
    answer = client.expect_message()
    assert answer.number(0x120) == 7
    return answer


@pytest.mark.parametrize("to", ["NOBODY", "SCU", "FAR_WS1", "PACS", ""])
def test_move_destination_refused(talk, to):
    """Unknown, not among the rule's destinations, or a name that is not the caller's."""
    move: Command = {2: STUDY_MOVE, 0x100: 0x21, 0x110: 7, 0x600: to.encode(), 0x700: 0}
    client, server = talk
    client.send(message(5, move, IDENTIFIER))
    answer = refusal(client)
    assert (answer.number(0x100), answer.number(0x900)) == (0x8021, 0xA801)
    echo_passes(client, server)


def test_move_destination_allowed(talk):
    move: Command = {2: STUDY_MOVE, 0x100: 0x21, 0x110: 7, 0x600: b"WS1", 0x700: 0}
    client, server = talk
    client.send(message(5, move, IDENTIFIER))
    got = server.expect_message()
    assert got.text(0x600) == "FAR_WS1"
    assert got.number(0x110) == 7
    assert got.data == IDENTIFIER


def test_service_refused_on_an_accepted_context(talk):
    """A C-STORE on the context of a query: 0124H, and nothing goes onward."""
    client, server = talk
    client.send(message(3, {**STORE, 2: STUDY_FIND, 0x110: 7}, bytes(50_000)))
    answer = refusal(client)
    assert (answer.number(0x100), answer.number(0x900)) == (0x8001, 0x0124)
    echo_passes(client, server)


def test_pacs_asks_what_no_rule_allows(talk):
    client, server = talk
    server.send(message(3, {**STORE, 2: STUDY_FIND, 0x110: 7}, b"ab"))
    assert refusal(server).number(0x900) == 0x0124
    echo_passes(client, server)


COMMAND = message(1, ECHO)[12:]
OFFENCES: dict[str, tuple[bytes, int]] = {
    "unknown type": (pdu(0x09, b"abcd"), 1),
    "second request": (rq(), 2),
    "A-ASSOCIATE-AC": (pdu(AC, head() + APPLICATION + USER), 2),
    "A-RELEASE-RP": (pdu(6, bytes(4)), 2),
    "odd fragment": (pdu(DATA, pdv(1, COMMAND[:-1], command=True, last=True)), 6),
    "no PDV": (pdu(DATA, b""), 6),
    "PDV beyond the PDU": (pdu(DATA, struct.pack(">IBB", 100, 1, 3) + b"ab"), 6),
    "PDV of length 1": (pdu(DATA, struct.pack(">IB", 1, 1)), 6),
    "context never accepted": (pdu(DATA, pdv(77, COMMAND, command=True, last=True)), 6),
    "beyond the maximum length": (
        pdu(DATA, pdv(1, bytes(17_000), command=True, last=False)),
        6,
    ),
    "group length": (
        pdu(DATA, pdv(1, COMMAND[:8] + b"\xff\0\0\0" + COMMAND[12:], command=True, last=True)),
        6,
    ),
    "other group in the command": (
        pdu(
            DATA,
            pdv(1, COMMAND + struct.pack("<HHI", 8, 5, 2) + b"ab", command=True, last=True),
        ),
        6,
    ),
    "release of another length": (pdu(5, bytes(6)), 6),
    "data without a command": (pdu(DATA, pdv(1, b"abcd", command=False, last=True)), 5),
}


@pytest.mark.parametrize("offender", ["client", "server"])
@pytest.mark.parametrize("what", OFFENCES)
def test_protocol_error(talk, what, offender):
    said, reason = OFFENCES[what]
    one, other = talk if offender == "client" else talk[::-1]
    one.send(said)
    answer = one.expect(ABORT)
    assert answer.body[2:] == bytes([2, reason])
    assert other.expect(ABORT).body[2:] == bytes([2, 0])


def test_nothing_may_come_before_the_answer(refusing):
    with refusing.ask(rq()) as client, refusing.acceptor.accept() as server:
        server.expect(RQ)
        client.send(message(1, ECHO))
        assert client.expect(ABORT).body[2:] == bytes([2, 2])
        assert server.expect(ABORT).body[2:] == bytes([2, 0])


def test_instance_uid_that_is_none(refusing):
    """Some have used it as a file name."""
    with (
        refusing.ask(rq(calling="WS1", called="FAR_OTHER", contexts=[Context(1, CT)])) as client,
        refusing.acceptor.accept() as server,
    ):
        server.send(associate_ac(server.expect_associate(RQ)))
        client.expect(AC)
        for bad in ("../../etc/passwd", "1.2.3/4", "1" * 66):
            client.send(message(1, {**STORE, 0x110: 7, 0x1000: bad}, bytes(40_000)))
            assert refusal(client).number(0x900) == 0x0117
        client.send(message(1, STORE, b"fine"))
        assert server.expect_message().data == b"fine"


def test_echo_to_the_relay_itself(refusing):
    with refusing.ask(rq(called="RELAY")) as client:
        client.expect(AC)
        client.send(message(1, ECHO))
        answer = client.expect_message()
        assert (answer.number(0x100), answer.number(0x900)) == (0x8030, 0)
    assert refusing.untouched()


def test_error_comment_stays_at_home(talk):
    client, server = talk
    client.send(message(1, {**ECHO, 0x110: 7}))
    server.expect_message()
    comment = b"disk full on pacs01.hospital.example"
    server.send(message(1, {0x100: 0x8030, 0x120: 7, 0x900: 0xC001, 0x902: comment}))
    answer = refusal(client)
    assert answer.number(0x900) == 0xC001
    assert 0x902 not in answer.command
