"""Conversations as scripts, after mitmproxy's Playbook.

    assert (
        Playbook()
        >> accepted()
        << StartTimer(INBOUND, Timer.ARTIM)
        >> data(INBOUND, RQ)
        << ...
    )

Everything between two inputs is exactly what the first of them must lead to, in this order; neighbouring
SendData are joined, and of Records only those are compared that the script names. A script is played
whole and again with every received byte in a read of its own, from a buffer that is overwritten after
each read. A test that leaves a script without playing it fails (conftest.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from tests.relay import hospital
from ulproxy.policy.decision import Peer
from ulproxy.relay.border import Border
from ulproxy.relay.effects import (
    CloseTransport,
    Effect,
    End,
    OpenTransport,
    Operation,
    Record,
    SendData,
    StartTimer,
    StopTimer,
    Timer,
)
from ulproxy.relay.join import Join

INBOUND, ONWARD = End.INBOUND, End.ONWARD
_RELEVANT: Final = 48  # bytes of a message that a diff shows


class Input(NamedTuple):
    """One call of the join; `received` is given to it in pieces."""

    name: str
    call: Callable[[Join], list[Effect]] | None = None
    end: End = INBOUND
    received: bytes = b""


class Check(NamedTuple):
    """Something to be asked of the relay between two inputs."""

    name: str
    ask: Callable[[Join, Border], Any]
    answer: Any


class Quietly(NamedTuple):
    """Inputs whose effects another script compares."""

    inputs: tuple[Input, ...]


@dataclass(frozen=True)
class Logged:
    """A Record with at least these facts."""

    event: str
    facts: dict[str, object]


def accepted() -> Input:
    return Input("accepted", Join.accepted)


def connected(end: End = ONWARD) -> Input:
    return Input("connected", lambda join: join.connected(end), end)


def moves_ended() -> Input:
    return Input("moves ended", Join.moves_ended)


def data(end: End, received: bytes) -> Input:
    return Input("data", None, end, received)


def lost(end: End, text: str = "closed") -> Input:
    return Input("lost", lambda join: join.lost(end, text), end)


def expired(end: End, timer: Timer) -> Input:
    return Input(f"expired {timer.name}", lambda join: join.expired(end, timer), end)


def shutdown() -> Input:
    return Input("shutdown", lambda join: join.shutdown("the relay stops"))


def send(end: End, *parts: bytes) -> SendData:
    return SendData(end, b"".join(parts))


def logged(event: str, **facts: object) -> Logged:
    return Logged(event, facts)


def finished(answer: bool = True) -> Check:
    return Check("finished", lambda join, _: join.finished, answer)


def counted(answer: int) -> Check:
    """The associations that are counted now."""
    return Check("associations", lambda _, border: border.admission.total, answer)


def moving(*answer: str, archive: str = "ARCHIVE") -> Check:
    """The destinations of open moves at this archive."""
    return Check(
        "moving to", lambda _, border: sorted(border.moves.destinations(archive)), sorted(answer)
    )


class Playbook:
    """A script. `border` is called for each play, so that it may begin with something in it.

    `by_end` = the order of effects is that of the script for each end, whatever it is between them.
    """

    unplayed: ClassVar[list[Playbook]] = []

    def __init__(
        self,
        border: Callable[[], Border] = hospital.border,
        peer: Peer | None = None,
        *,
        bytewise: bool = True,
        by_end: bool = False,
    ) -> None:
        self.unplayed.append(self)
        self._border = border
        self._peer = peer or hospital.peer()
        self._bytewise = bytewise
        self._by_end = by_end
        self._steps: list[Input | Check | Quietly] = []
        self._expected: list[list[Effect | Logged]] = []

    def __rshift__(self, step: Input | Check | Quietly) -> Playbook:
        self._steps.append(step)
        self._expected.append([])
        return self

    def __lshift__(self, effect: Effect | Logged) -> Playbook:
        self._expected[-1].append(effect)
        return self

    def __bool__(self) -> bool:
        self.unplayed.remove(self)
        self._play(bytewise=False)
        if self._bytewise:
            self._play(bytewise=True)
        return True

    def _play(self, *, bytewise: bool) -> None:
        border = self._border()
        join = Join(border, self._peer)
        happened, written = [], []
        for step, expected in zip(self._steps, self._expected, strict=True):
            if isinstance(step, Quietly):
                for one in step.inputs:
                    _run(join, one, bytewise=bytewise)
                continue
            happened.append(f">> {_shown_step(step)}")
            written.append(f">> {_shown_step(step)}")
            if isinstance(step, Check):
                happened.append(f"== {step.ask(join, border)!r}")
                written.append(f"== {step.answer!r}")
                continue
            effects = _run(join, step, bytewise=bytewise)
            if self._by_end:
                effects.sort(key=_end)
                expected.sort(key=_end)
            happened += _lines(effects, [e for e in expected if isinstance(e, Logged)])
            written += [_shown(effect) for effect in _joined(expected)]
        if happened != written:
            lines = difflib.ndiff(written, happened)
            raise AssertionError("script (-) and what happened (+):\n" + "\n".join(lines))


def _run(join: Join, step: Input, *, bytewise: bool) -> list[Effect]:
    if step.call is not None:
        return settled(step.call(join))
    size = 1 if bytewise else max(1, len(step.received))
    effects: list[Effect] = []
    for start in range(0, len(step.received), size):
        effects += receive(join, step.end, step.received[start : start + size])
    return effects


def receive(join: Join, end: End, received: bytes) -> list[Effect]:
    """What a read leads to; a view that is kept longer than allowed is a view of something else."""
    buffer = bytearray(received)
    effects = settled(join.receive_data(end, memoryview(buffer)))
    buffer[:] = b"\xee" * len(buffer)
    return effects


def settled(effects: Iterable[Effect]) -> list[Effect]:
    """Effects that outlive the receive buffer."""
    return [
        SendData(effect.end, bytes(effect.data)) if isinstance(effect, SendData) else effect
        for effect in effects
    ]


def sent(effects: Iterable[Effect], end: End) -> bytes:
    """What is written to an end."""
    return b"".join(e.data for e in effects if isinstance(e, SendData) and e.end is end)


def _joined(effects: Iterable[Effect | Logged]) -> list[Effect | Logged]:
    out: list[Effect | Logged] = []
    for effect in effects:
        before = out[-1] if out else None
        if (
            isinstance(effect, SendData)
            and isinstance(before, SendData)
            and before.end is effect.end
        ):
            out[-1] = SendData(effect.end, bytes(before.data) + bytes(effect.data))
        else:
            out.append(effect)
    return out


def _end(effect: Effect | Logged) -> int:
    match effect:
        case Record() | Operation() | Logged():
            return 0
        case _:
            return effect.end.number + 1


def _lines(effects: Iterable[Effect], wanted: list[Logged]) -> list[str]:
    """The effects as a script would have them; records become what is wanted of them."""
    waiting = list(wanted)
    kept: list[Effect | Logged] = []
    for effect in effects:
        if not isinstance(effect, Record):
            kept.append(effect)
        elif waiting and effect.event == waiting[0].event:
            first = waiting.pop(0)
            facts = {name: effect.facts.get(name) for name in first.facts}
            kept.append(Logged(effect.event, facts))
    return [_shown(effect) for effect in _joined(kept)]


def _shown_step(step: Input | Check) -> str:
    if isinstance(step, Check):
        return step.name
    return f"{step.name} {step.end.name} {_shown_bytes(step.received)}"


def _shown(effect: Effect | Logged) -> str:
    match effect:
        case SendData(end, data):
            return f"<< SendData {end.name} {_shown_bytes(bytes(data))}"
        case OpenTransport(endpoint, end):
            return f"<< OpenTransport {end.name} {endpoint}"
        case CloseTransport(end):
            return f"<< CloseTransport {end.name}"
        case StartTimer(end, timer) | StopTimer(end, timer):
            return f"<< {type(effect).__name__} {end.name} {timer.name}"
        case _:
            return f"<< {effect}"


def _shown_bytes(raw: bytes) -> str:
    if len(raw) <= 1 << 10:
        return raw.hex(" ")
    return f"{raw[:_RELEVANT].hex(' ')} ... {len(raw)} bytes, hash {hash(raw)}"


def quietly(*inputs: Input) -> Quietly:
    return Quietly(inputs)


def established(rq: bytes = hospital.RQ, ac: bytes = hospital.AC) -> Quietly:
    """Both associations stand."""
    return quietly(accepted(), data(INBOUND, rq), connected(), data(ONWARD, ac))
