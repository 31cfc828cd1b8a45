"""Conversations as scripts: what goes into one end, what must come out, and the state it is in then.

A script is a list of `(input, outputs, state)`. It is played whole, and again with every received byte
in a read of its own; what differs shows as a diff of the script.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tests.pdu.reading import joined, plain, single_bytes
from tests.pdu.strategies import Fragment, p_data_tf
from ulproxy.errors import LocalProtocolError
from ulproxy.pdu.association import Association, PAbortIndication
from ulproxy.pdu.fsm import Role, State
from ulproxy.pdu.reader import CommandFragment, PDataRun
from ulproxy.pdu.types import AbortReason


class Local:
    """A call of one of the association's methods."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self.name, self.arguments = name, arguments

    def __call__(self, association: Association) -> Iterable[Any]:
        outputs: Iterable[Any] = getattr(association, self.name)(*self.arguments)
        return outputs or ()

    def __repr__(self) -> str:
        return f"{self.name}{self.arguments!r}"


class Receive:
    """Bytes of the peer; `replies` says what the owner does on an output before it asks for the next."""

    def __init__(self, data: bytes, replies: dict[type, Local] | None = None) -> None:
        self.data, self.replies = data, replies or {}

    def __call__(self, association: Association, pieces: Iterable[bytes]) -> Iterator[Any]:
        for piece in pieces:
            buffer = bytearray(piece)
            for output in association.receive_data(memoryview(buffer)):
                yield settled(output)
                if (reply := self.replies.get(type(output))) is not None:
                    yield from map(settled, reply(association))
            buffer[:] = bytes(len(buffer))  # a view that is kept is a view of something else

    def __repr__(self) -> str:
        return f"receive {self.data[:20].hex(' ')} ({len(self.data)} bytes)"


class Raises(NamedTuple):
    """In place of outputs: the input is one that the state forbids."""

    error: type[Exception] = LocalProtocolError


Step = tuple[Local | Receive, Sequence[Any] | Raises, State]


class Output(NamedTuple):
    """An output that outlives the buffer, and differs from one of another type with the same fields."""

    type: str
    fields: tuple[Any, ...]


def settled(output: Any) -> Output:
    """What is compared of an output; of a fault the reason only."""
    if isinstance(output, Output):
        return output
    if isinstance(output, PDataRun | CommandFragment):
        return Output("data", plain(output))
    if isinstance(output, PAbortIndication) and output.fault is not None:
        assert output.fault.text
        return fault(output.fault.reason)
    return Output(type(output).__name__, tuple(output))


def together(outputs: Iterable[Output]) -> list[Output]:
    """Outputs with neighbouring pieces of data joined."""
    out: list[Output] = []
    for output in outputs:
        if out and output.type == out[-1].type == "data":
            pieces = joined([out[-1].fields, output.fields])
            out[-1:] = [Output("data", piece) for piece in pieces]
        else:
            out.append(output)
    return out


def fault(reason: AbortReason) -> Output:
    """A-P-ABORT indication because of what the peer sent."""
    return Output("PAbortIndication", (reason,))


def command(data: bytes, context_id: int = 1) -> Output:
    return Output("data", ("command", context_id, data, True, 0))


def data_run(*fragments: Fragment) -> Output:
    whole = b"".join(p_data_tf(fragment) for fragment in fragments)
    return Output("data", ("data", fragments[0].context_id, whole, fragments[-1].last, 0))


def do(association: Association, step: Local | Receive, *, bytewise: bool = False) -> list[Output]:
    """The settled outputs of one input."""
    if isinstance(step, Local):
        return [settled(output) for output in step(association)]
    pieces = single_bytes(step.data) if bytewise else [step.data]
    return together(step(association, pieces))


def play(role: Role, script: Sequence[Step], *, bytewise: bool = False) -> Association:
    """Plays a script and compares it with what really happened, all at once."""
    association = Association(role)
    happened: list[tuple[Any, ...]] = []
    written: list[tuple[Any, ...]] = []
    for step, expected, state in script:
        outputs: list[Output] | Raises
        try:
            outputs = do(association, step, bytewise=bytewise)
        except LocalProtocolError as error:
            outputs = Raises(type(error))
        happened.append((step, outputs, association.state))
        wanted = expected if isinstance(expected, Raises) else [settled(one) for one in expected]
        written.append((step, wanted, state))
    assert happened == written
    return association
