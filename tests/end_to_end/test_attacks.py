"""What hostile clients and a hostile PACS tried; bytes by hand on both ends of a running relay."""

from __future__ import annotations

import contextlib
import random
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.end_to_end.lanes import Progress
from tests.end_to_end.peers import Relay, ae, border, relay, rule, wait_until
from tests.end_to_end.uids import STUDY_FIND, STUDY_MOVE
from tests.end_to_end.wire import (
    ABORT,
    AC,
    APPLICATION_CONTEXT,
    CT,
    DATA,
    IDENTITY_RQ,
    IMPLICIT,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    ROLE,
    RQ,
    VERIFICATION,
    Acceptor,
    Command,
    Context,
    Peer,
    abort,
    associate_ac,
    associate_rq,
    command_set,
    counted,
    item,
    message,
    parse_command,
    pdu,
    pdv,
    pdvs,
    reject,
    release_rp,
    release_rq,
    split_pdus,
    user_items,
)
from tests.relay import wire as core
from tests.relay.conversations import BOTH_ROLES
from tests.relay.hospital import MOVE
from tests.relay.playbook import INBOUND, Playbook, data, logged, send
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import decode_rq

ECHO: Command = {2: VERIFICATION, 0x100: 0x30, 0x110: 1}
STORE: Command = {2: CT, 0x100: 0x0001, 0x110: 9, 0x700: 0, 0x1000: "1.2.3"}
FIND: Command = {2: STUDY_FIND, 0x100: 0x20, 0x110: 7}
TITLE = struct.pack("<HHI", 8, 0x54, 4) + b"PACS"
CONTEXTS = [Context(1, CT), Context(3, STUDY_FIND), Context(5, STUDY_MOVE)]
ARTIM = 2


@dataclass
class Target:
    """SCU may do everything at PACS and PACS may store to SCU; BYSTANDER echoes WITNESS."""

    through: Relay
    acceptor: Acceptor
    witness: Acceptor

    def ask(self, rq: bytes) -> Peer:
        client = Peer.connect(self.through.ports["west"])
        client.send(rq)
        return client

    @contextlib.contextmanager
    def associated(
        self, client_maximum: int = 16384, server_maximum: int = 16384
    ) -> Iterator[tuple[Peer, Peer]]:
        rq = associate_rq(CONTEXTS, user_items(client_maximum), called="FAR_PACS")
        with self.ask(rq) as client, self.acceptor.accept() as server:
            answer = associate_ac(server.expect_associate(RQ), None, user_items(server_maximum))
            server.send(answer)
            client.expect(AC)
            yield client, server

    @contextlib.contextmanager
    def bystander(self) -> Iterator[Callable[[], float]]:
        """An association of other people; each call is a C-ECHO on it and returns its seconds."""
        rq = associate_rq([Context(1, VERIFICATION)], called="FAR_WITNESS", calling="BYSTANDER")
        with self.ask(rq) as client, self.witness.accept() as server:
            server.send(associate_ac(server.expect_associate(RQ)))
            client.expect(AC)

            def echo() -> float:
                began = time.monotonic()
                client.send(message(1, ECHO))
                server.expect_message()
                server.send(message(1, {2: VERIFICATION, 0x100: 0x8030, 0x120: 1, 0x900: 0}))
                assert client.expect_message().number(0x900) == 0
                return time.monotonic() - began

            yield echo


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """At its end the log may not have a traceback: an internal error is a finding."""
    with Acceptor() as acceptor, Acceptor() as witness:
        aes = [
            ae("SCU", "west", 9, alias="FAR_SCU"),
            ae("BYSTANDER", "west", alias="FAR_BYSTANDER"),
            ae("PACS", "east", acceptor.port, alias="FAR_PACS"),
            ae("WITNESS", "east", witness.port, alias="FAR_WITNESS"),
        ]
        rules = [
            rule(["SCU"], ["PACS"]),
            rule(["PACS"], ["SCU"], ["store"]),
            rule(["BYSTANDER"], ["WITNESS"], ["echo"]),
        ]
        made = border(aes, rules, limits={"artim": ARTIM})
        with relay(made, tmp_path_factory.mktemp("attacks"), "--drain", "0") as started:
            yield Target(started, acceptor, witness)


# Policy ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [1, 5])
def test_a_query_on_the_context_of_something_else(target, context):
    """Archives answer it by its SOP class, and their own titles in the answer would not be mapped."""
    with target.associated() as (client, server):
        client.send(message(context, FIND, b"identifier"))
        answer = client.expect_message()
        assert (answer.number(0x100), answer.number(0x900)) == (0x8020, 0x0124)
        client.send(message(3, FIND, b"identifier"))
        assert server.expect_message().context == 3
        server.send(message(3, {0x100: 0x8020, 0x120: 7, 0x900: 0xFF00}, TITLE))
        assert client.expect_message().data.endswith(b"FAR_PACS")


def test_the_same_without_a_socket():
    refused = core.response(core.C_FIND, 21, STUDY_FIND, 0x0124)
    assert (
        Playbook()
        >> BOTH_ROLES
        >> data(INBOUND, core.command(MOVE, core.find_rq(21)))
        << logged("message refused")
        >> data(INBOUND, core.fragment(MOVE, b"data"))
        << send(INBOUND, core.command(MOVE, refused))
    )


LOOKALIKES = [b"scu", b"S\0CU", b"SCU\\PACS", b"RELAY", b"FAR_SCU", b"PACS", b"*", b"", b"SCU\n"]


@pytest.mark.parametrize("destination", [*LOOKALIKES, "\uff33CU".encode()])
def test_move_destinations_that_look_right(target, destination):
    with target.associated() as (client, server):
        move: Command = {2: STUDY_MOVE, 0x100: 0x21, 0x110: 7}
        client.send(message(5, {**move, 0x600: destination}))
        assert client.expect_message().number(0x900) == 0xA801
        client.send(message(5, {**move, 0x600: b" SCU \0"}))
        assert server.expect_message().text(0x600) == "FAR_SCU"


# What waits behind an attack ---------------------------------------------------------------------------

EMPTY = pdu(DATA, pdv(1, b"", command=False, last=False) * 2700)
BEGUN = pdu(DATA, pdv(1, command_set({**STORE, 0x800: 0}), command=True, last=True))
FLOODS = {
    "empty fragments of a data set": (BEGUN, EMPTY),
    "empty fragments of a command": (b"", EMPTY.replace(b"\x01\x00", b"\x01\x01")),
    "cancels of nothing": (
        b"".join(message(3, {**FIND, 0x110: number}) for number in range(1, 4096)),
        message(3, {0x100: 0x0FFF, 0x120: 0xFFFF}) * 300,
    ),
}


def _until_over(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        with contextlib.suppress(OSError, AssertionError):
            while work():
                pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("flood", FLOODS)
def test_others_do_not_wait_for_a_flood(target, flood):
    """Without a bound on what is read at once each of these holds everybody up for 0.4 to 6 seconds."""
    first, again = FLOODS[flood]
    with target.bystander() as echo, contextlib.ExitStack() as stack:
        clients = []
        for _ in range(3):
            client, server = stack.enter_context(target.associated())
            stack.callback(client.reset)  # what it has sent is not read to its end
            _until_over(partial(server.socket.recv, 1 << 20))
            clients.append(Progress(client, first + again * 1000))
            clients[-1].start()
        wait_until(lambda: all(c.sent > 1 << 19 for c in clients), "the flood is under way")
        waits = sorted(echo() for _ in range(9))
        assert waits[4] < 0.25, waits


def _request(contexts: bytes, calling: str) -> bytes:
    head = struct.pack(">H2x16s16s32x", 1, b"FAR_PACS".ljust(16), calling.ljust(16).encode())
    user = item(0x50, b"".join(item(kind, value) for kind, value in user_items()))
    return pdu(RQ, head + item(0x10, APPLICATION_CONTEXT.encode()) + contexts + user)


def _context(number: int, transfer_syntaxes: int, more: bytes = b"") -> bytes:
    syntaxes = item(0x30, CT.encode()) + item(0x40, IMPLICIT.encode()) * transfer_syntaxes
    return item(0x20, bytes([number, 0, 0, 0]) + syntaxes + more)


HEAVY = {
    "127 transfer syntaxes": (_context(1, 127), True),
    "128 transfer syntaxes": (_context(1, 128), True),
    "129 transfer syntaxes": (_context(1, 129), False),
    "1023 items": (_context(1, 1) + item(0xEE, b"") * 1020, True),
    "1024 items": (_context(1, 1) + item(0xEE, b"") * 1021, True),
    "1025 items": (_context(1, 1) + item(0xEE, b"") * 1022, False),
    "unknown items to the limit of a PDU": (_context(1, 1) + item(0xEE, b"") * 260_000, False),
    "unknown sub-items in every context": (
        b"".join(_context(n, 1, item(0xEE, b"") * 2000) for n in range(1, 256, 2)),
        False,
    ),
}


@pytest.mark.parametrize("what", HEAVY)
def test_a_request_with_too_many_items(target, what):
    """At 1 MiB it took 0.2 s from everybody else, at the word of somebody whom nobody knows."""
    contexts, valid = HEAVY[what]
    with target.ask(_request(contexts, "NOBODY")) as client:
        answer = client.expect(RJ if valid else ABORT)
        assert answer.body == (b"\0\1\1\3" if valid else bytes(4))


@pytest.mark.parametrize("what", HEAVY)
def test_the_same_of_the_decoder(what):
    contexts, valid = HEAVY[what]
    with (
        contextlib.nullcontext() if valid else pytest.raises(RemoteProtocolError, match="more than")
    ):
        assert decode_rq(_request(contexts, "NOBODY")[6:]).calling_ae_title == "NOBODY"


# Half an object ----------------------------------------------------------------------------------------


def _taken(stream: bytes) -> bool:
    """Whether a receiver that takes each byte as it comes has a data set to its last fragment's end."""
    while len(stream) >= 12:
        kind, length = struct.unpack_from(">BxI", stream)
        body = stream[6 : 6 + length]
        if kind == DATA:
            for _, header, fragment in pdvs(body):
                whole = len(fragment) == struct.unpack_from(">I", body)[0] - 2
                if header == 2 and whole:
                    return True
        stream = stream[6 + length :]
    return False


@pytest.mark.parametrize("sender", ["client", "server"])
@pytest.mark.parametrize("lost", ["closed", "reset"])
def test_a_sender_that_vanishes_within_a_store(target, sender, lost):
    """At every byte: what the receiver was sent does not make an object."""
    whole = message(1, STORE, bytes(range(60)), 20)
    for cut in range(0, len(whole), 1 if lost == "closed" else 3):
        with target.associated() as pair:
            one, other = pair if sender == "client" else pair[::-1]
            one.send(whole[:cut])
            if lost == "reset":
                one.reset()
            else:
                one.socket.close()
            got = b""
            while not got.endswith(abort(2, 0)) and (more := other.socket.recv(1 << 16)):
                got += more
            assert not _taken(got), (cut, got)
    with target.associated() as pair:
        one, other = pair if sender == "client" else pair[::-1]
        one.send(whole)
        got = other.exactly(len(whole))
        assert got == whole
        assert _taken(got)


# Anything at any time ----------------------------------------------------------------------------------


def _anything(dice: random.Random) -> tuple[str, Callable[[Peer], object]]:
    store = message(1, STORE, bytes(dice.choice([2, 50, 3000])), dice.choice([10, 1000]))
    said = {
        "release": release_rq(),
        "released": release_rp(),
        "abort": abort(dice.choice([0, 1, 2]), dice.randrange(8)),
        "store": store,
        "half": store[: dice.randrange(len(store))],
        "find": message(3, FIND, TITLE),
        "match": message(3, {0x100: 0x8020, 0x120: 7, 0x900: 0xFF00}, TITLE),
        "stored": message(1, {0x100: 0x8001, 0x120: 9, 0x900: 0}),
        "cancel": message(3, {0x100: 0x0FFF, 0x120: 7}),
        "refused": message(1, {**STORE, 0x1000: "../x"}, b"ab"),
        "request": associate_rq(CONTEXTS),
        "rejection": reject(1, 1, 1),
    }
    what = dice.choice([*said, "release", "released", "shutdown", "pause"])
    if what == "pause":
        return what, lambda _: time.sleep(0.003)
    if what == "shutdown":
        return what, lambda peer: peer.socket.shutdown(1)
    return what, lambda peer: peer.send(said[what])


def _check(stream: bytes) -> None:
    """Whole messages one after the other; after our A-ABORT or A-RELEASE-RP nothing but A-ABORT (AA-7)."""
    said: list[int] = []
    awaited, said_so_far = "command", b""
    for got in split_pdus(stream)[0]:
        assert not {ABORT, RELEASE_RP} & set(said) or got.kind == ABORT, (said, got)
        said.append(got.kind)
        if got.kind != DATA:
            continue
        assert RELEASE_RQ not in said, "data behind our A-RELEASE-RQ"
        for _, header, fragment in pdvs(got.body):
            assert ("command" if header & 1 else "data") == awaited
            assert len(fragment) % 2 == 0
            said_so_far += fragment if header & 1 else b""
            if header == 3:
                has_data = parse_command(said_so_far)[0x800] != b"\x01\x01"
                awaited, said_so_far = "data" if has_data else "command", b""
            elif header == 2:
                awaited = "command"


@pytest.mark.parametrize("seed", range(6))
def test_anything_at_any_time(target, seed):
    """Both sides at their worst: each is sent a valid stream, and the relay has no internal error."""
    dice = random.Random(seed)
    for _ in range(20):
        sizes = dice.choice([0, 16384]), dice.choice([0, 20, 16384])
        with target.associated(*sizes) as pair:
            happened = []
            for _ in range(dice.randrange(1, 9)):
                end = dice.randrange(2)
                what, do = _anything(dice)
                happened.append(f"{'cs'[end]} {what}")
                with contextlib.suppress(OSError):
                    do(pair[end])
            for end in pair:
                end.socket.settimeout(0.02)
                stream = b""
                with contextlib.suppress(OSError):
                    while more := end.socket.recv(1 << 16):
                        stream += more
                try:
                    _check(stream)
                except AssertionError as error:
                    raise AssertionError(happened) from error
    assert "internal error" not in target.through.program.log()


# Secrets -----------------------------------------------------------------------------------------------

SECRET = b"Pa55phrase-of-M"
IDENTITY = bytes([2, 1]) + counted(b"user", SECRET)
LEAKY = {
    "twice": [(IDENTITY_RQ, IDENTITY)] * 2,
    "cut short": [(IDENTITY_RQ, IDENTITY[:-1])],
    "under another number": [(ROLE, counted(SECRET) + b"\1\1")],
    "as a UID": [(0x57, counted(SECRET, SECRET, b""))],
}


@pytest.mark.parametrize("how", LEAKY)
def test_a_passcode_in_a_broken_request_is_not_logged(target, how):
    before = target.through.program.log().count("connection ended")
    with target.ask(associate_rq(CONTEXTS, user_items(16384, *LEAKY[how]))) as client:
        assert client.expect(ABORT).body == bytes(4)
    log = target.through.program.log
    wait_until(lambda: log().count("connection ended") > before, "the end is logged")
    assert SECRET.decode() not in log()
