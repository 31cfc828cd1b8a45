"""C-MOVEs with an archive by hand: the test says for the caller and for the archive exactly what it wants."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.end_to_end.peers import Relay
from tests.end_to_end.stations import identifier
from tests.end_to_end.uids import STUDY_MOVE
from tests.end_to_end.wire import (
    AC,
    CT,
    RELEASE_RP,
    RQ,
    Acceptor,
    Command,
    Context,
    Message,
    Peer,
    associate_ac,
    associate_rq,
    message,
    release_rq,
)

OBJECT = bytes(range(256)) * 40
HABITS: dict[str, tuple[bool | str, bool]] = {
    "as the standard says": (True, True),
    "left out": (False, False),
    "title left out": (False, True),
    "id left out": (True, False),
    "its own title, as pynetdicom": ("its own", True),
}
"""Move Originator AE Title and Message ID: whether an archive says what it was told, or its own."""


@dataclass
class Archive:
    """The archive on network east behind the relay, which callers on west know as FAR_..."""

    through: Relay
    acceptor: Acceptor
    title: str = "PACS"
    called: str = field(default="", kw_only=True)

    @property
    def alias(self) -> str:
        return self.called or f"FAR_{self.title}"

    @contextlib.contextmanager
    def moving(self, caller: str, to: str, number: int) -> Iterator[tuple[Peer, Peer, Message]]:
        """A C-MOVE under way: the caller, the archive, and the request as the archive got it."""
        with self.asking(caller) as (client, archive):
            client.send(move_rq(to, number))
            yield client, archive, archive.expect_message()

    @contextlib.contextmanager
    def asking(self, caller: str) -> Iterator[tuple[Peer, Peer]]:
        """An association for C-MOVEs: both ends."""
        with Peer.connect(self.through.ports["west"]) as client:
            client.send(associate_rq([Context(1, STUDY_MOVE)], called=self.alias, calling=caller))
            with self.acceptor.accept() as archive:
                archive.send(associate_ac(archive.expect_associate(RQ)))
                client.expect(AC)
                yield client, archive

    def calling(self, called: str) -> Peer:
        """The archive's association for sub-operations, asked for."""
        peer = Peer.connect(self.through.ports["east"])
        peer.send(associate_rq([Context(1, CT)], called=called, calling=self.title))
        return peer

    @contextlib.contextmanager
    def sending(self, called: str = "RELAY") -> Iterator[Peer]:
        """The same, accepted; released at the end."""
        with self.calling(called) as peer:
            peer.expect(AC)
            yield peer
            peer.send(release_rq())
            peer.expect(RELEASE_RP)


def move_rq(to: str, number: int) -> bytes:
    said: Command = {2: STUDY_MOVE, 0x100: 0x21, 0x110: number, 0x700: 0, 0x600: to.encode()}
    return message(1, said, identifier("1.2.3"))


def cancel_rq(number: int) -> bytes:
    return message(1, {0x100: 0x0FFF, 0x120: number})


def store_rq(number: int, originator: str | None, move: int | None, data: bytes = OBJECT) -> bytes:
    """A C-STORE-RQ of a sub-operation, whose SOP Instance UID ends with its Message ID."""
    command: Command = {2: CT, 0x100: 1, 0x110: number, 0x700: 0, 0x1000: f"1.2.{number}"}
    if originator is not None:
        command[0x1030] = originator.encode()
    if move is not None:
        command[0x1031] = move
    return message(1, command, data)


def said(
    habit: str, asked: Message, shown: str, own: str = "PACS"
) -> tuple[str | None, int | None]:
    """Move Originator by the habit of the archive that was asked this, by a caller of that title."""
    title, number = HABITS[habit]
    originator = own if isinstance(title, str) else shown if title else None
    return originator, asked.number(0x110) if number else None


def move_rsp(number: int, status: int = 0, completed: int = 1) -> bytes:
    return message(
        1, {2: STUDY_MOVE, 0x100: 0x8021, 0x120: number, 0x900: status, 0x1021: completed}
    )


def finish(client: Peer, archive: Peer, shown: int, number: int, status: int = 0) -> None:
    """The final C-MOVE-RSP, with the Message ID that each side knows."""
    archive.send(move_rsp(shown, status))
    answer = client.expect_message()
    assert (answer.number(0x120), answer.number(0x900)) == (number, status)
