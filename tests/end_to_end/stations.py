"""Workstations: they ask an archive to move something, by hand; and where it is moved to, with DCMTK."""

from __future__ import annotations

import contextlib
import struct
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.end_to_end.files import digests
from tests.end_to_end.peers import free_port, storescp
from tests.end_to_end.uids import STUDY_MOVE
from tests.end_to_end.wire import (
    AC,
    RELEASE_RP,
    Command,
    Context,
    Message,
    Peer,
    associate_rq,
    message,
    release_rq,
)

LONG = 100.0
"""Seconds that a C-MOVE may take among many others, on a busy machine."""
COUNTS = (0x1021, 0x1022, 0x1023)
"""Number of Completed, Failed, Warning Sub-operations (PS3.7 E.1)."""


class Moved(NamedTuple):
    """How a C-MOVE ended."""

    status: int
    completed: int = 0
    failed: int = 0
    warning: int = 0


class Move(NamedTuple):
    """What a workstation asks for."""

    caller: str
    destination: str
    study: str
    message_id: int = 1


def identifier(study: str) -> bytes:
    """The Identifier of a C-MOVE-RQ for a study, implicit VR little endian (PS3.4 C.4.2.1.4)."""
    uid = study.encode() + b"\0" * (len(study) % 2)
    return (
        struct.pack("<HHI", 8, 0x52, 6) + b"STUDY " + struct.pack("<HHI", 0x20, 0xD, len(uid)) + uid
    )


def move(port: int, called: str, asked: Move) -> Moved:
    """Ask, and wait for the final response."""
    with Peer.connect(port) as client:
        client.socket.settimeout(LONG)
        client.send(associate_rq([Context(1, STUDY_MOVE)], called=called, calling=asked.caller))
        client.expect(AC)
        said: Command = {2: STUDY_MOVE, 0x100: 0x21, 0x110: asked.message_id, 0x700: 0}
        said[0x600] = asked.destination.encode()
        client.send(message(1, said, identifier(asked.study)))
        final = final_of(client, asked.message_id)
        client.send(release_rq())
        client.expect(RELEASE_RP)
    return final


def final_of(client: Peer, message_id: int) -> Moved:
    """The final response to a C-MOVE, behind the pending ones."""
    while True:
        answer = client.expect_message()
        assert (answer.number(0x100), answer.number(0x120)) == (0x8021, message_id)
        if answer.number(0x900) not in (0xFF00, 0xFF01):
            return ended(answer)


def ended(answer: Message) -> Moved:
    counts = (answer.number(element) if element in answer.command else 0 for element in COUNTS)
    return Moved(answer.number(0x900), *counts)


def move_all(port: int, called: str, moves: Sequence[Move]) -> list[Moved]:
    """All at once."""
    ready = threading.Barrier(len(moves))

    def one(asked: Move) -> Moved:
        ready.wait(LONG)
        return move(port, called, asked)

    with ThreadPoolExecutor(len(moves)) as pool:
        return list(pool.map(one, moves))


@dataclass(frozen=True)
class Ward:
    """Where things are moved to: a storescp each, which serves one association at a time."""

    directory: Path
    ports: dict[str, int]

    def received(self) -> dict[str, list[str]]:
        """The digests of what each of them has got, sorted; those that got nothing are left out."""
        found = {name: digests(self.directory / name) for name in self.ports}
        return {name: received for name, received in found.items() if received}

    def empty(self) -> None:
        for name in self.ports:
            for path in (self.directory / name).iterdir():
                path.unlink()

    @contextlib.contextmanager
    def open(self, options: dict[str, tuple[str, ...]] | None = None) -> Iterator[None]:
        """They run, with these options of storescp."""
        with contextlib.ExitStack() as stack:
            for name, port in self.ports.items():
                more = (options or {}).get(name, ())
                received = self.directory / name
                stack.enter_context(storescp(port, received, self.directory, True, *more))
            yield


def ward(names: Sequence[str], directory: Path) -> Ward:
    """Workstations of these names, on ports that are free now."""
    return Ward(directory, {name: free_port() for name in names})
