"""TCP connections that are slow, stall, are cut, reset and closed at any byte, as their faults say.

What is sent is in flight for a while, then with the receiver until it takes it; more than the window holds
is not accepted. `Plug` is a peer's end, `Socket` of network.py the relay's.
"""

from __future__ import annotations

import errno
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from simulate.clock import Loop

# Seconds; times are few, so that what should never happen at once does.
LATENCIES: Final = (0.0, 0.0, 0.0, 0.0, 0.25, 0.25, 0.5, 2.0)
WINDOWS: Final = (64, 500, 4096, 1 << 16, 1 << 16, 1 << 16)
PIECES: Final = (1 << 16, 1 << 16, 1 << 16, 1460, 300, 40)
TINY: Final = 200  # bytes that come one by one where a flow begins so


class Shape(NamedTuple):
    """Of one direction: seconds, bytes per second, bytes, bytes."""

    latency: float = 0.0
    bandwidth: float = 1e9
    window: int = 1 << 16
    piece: int = 1 << 16
    bytewise: bool = False

    @classmethod
    def drawn(cls, chance: random.Random, *, kind: bool) -> Shape:
        """`kind` = it takes no longer than anybody waits."""
        return cls(
            chance.choice(LATENCIES),
            chance.choice((1e9, 1e9, 1e9, 1e9, 1e5, 1e5 if kind else 500.0)),
            max(chance.choice(WINDOWS), 500 * kind),
            chance.choice(PIECES),
            chance.random() < 0.1,
        )


@dataclass
class Fault:
    """Befalls a flow when so many bytes of it have arrived; `seconds` = how long a stall lasts."""

    kind: str
    at: int
    seconds: float = 0.0


class Hearer(Protocol):
    """A peer, as the network tells it."""

    def received(self, data: bytes) -> None: ...
    def writable(self) -> None: ...
    def closed(self, why: str) -> None: ...


class Near(Protocol):
    """The relay's end, as the line tells it."""

    closed: bool

    def wake(self) -> None: ...
    def fail(self, error: int) -> None: ...
    def end(self) -> None: ...


class Flow:
    """One direction of a line."""

    def __init__(self, line: Line, shape: Shape, arrived: Callable[[], None]) -> None:
        self.line = line
        self.shape = shape
        self.stalled = False
        self.faults: list[Fault] = []
        self.here = bytearray()  # has arrived and not been taken
        self.taken = 0
        self.sent = 0
        self.total = 0  # has arrived
        self._arrived = arrived
        self._last = 0.0

    @property
    def room(self) -> int:
        """How many bytes can be sent now."""
        return max(0, self.shape.window - (self.sent - self.taken))

    @property
    def empty(self) -> bool:
        """Whether everything sent has been taken."""
        return self.sent == self.taken

    def send(self, data: bytes | memoryview) -> int:
        """Returns how much of it is accepted."""
        accepted = bytes(data[: self.room])
        position = 0
        while position < len(accepted):
            upto = position + self._size()
            self._later(self._deliver, accepted[position:upto])
            position = upto
        self.sent += len(accepted)
        return len(accepted)

    def end(self, ended: Callable[[], None]) -> None:
        """Calls this when all that is in flight has arrived."""
        self._later(lambda _: ended(), b"")

    def take(self, most: int) -> bytes:
        data = bytes(self.here[:most])
        del self.here[:most]
        self.taken += len(data)
        return data

    def heal(self) -> None:
        self.stalled = False
        self.faults.clear()
        self.shape = Shape()
        self._arrived()

    def _size(self) -> int:
        if self.shape.bytewise and self.sent < TINY:
            return self.line.chance.choice((1, 1, 1, 2, 5))
        return self.line.chance.randint(1, self.shape.piece)

    def _later(self, call: Callable[[bytes], None], data: bytes) -> None:
        loop = self.line.loop
        due = loop.now + self.shape.latency + len(data) / self.shape.bandwidth
        self._last = max(self._last, due)
        loop.call_at(self._last, self._happens, call, data)
        # What is behind may not overtake it, whatever is due at the same time.
        self._last = max(self._last + 1e-9, self._last * (1 + 1e-15))

    def _happens(self, call: Callable[[bytes], None], data: bytes) -> None:
        if not self.line.dead:
            call(data)

    def _deliver(self, data: bytes) -> None:
        while self.faults and self.faults[0].at <= self.total + len(data):
            fault = self.faults.pop(0)
            before = max(0, fault.at - self.total)
            self.here += data[:before]
            self.total += before
            data = data[before:]
            self._arrived()
            self.line.strike(self, fault)
            if self.line.dead:
                return
        self.here += data
        self.total += len(data)
        self._arrived()


class Line:
    """A connection between the relay and a peer."""

    def __init__(
        self, loop: Loop, chance: random.Random, address: tuple[str, int], *, kind: bool
    ) -> None:
        self.loop = loop
        self.chance = chance
        self.struck: Counter[str] = Counter()
        self.dead = False  # nothing that is in flight arrives any more
        self.near: Near | None = None
        self.far = Plug(self)
        self.address = address
        self.inward = Flow(self, Shape.drawn(chance, kind=kind), self._arrived_near)
        self.outward = Flow(self, Shape.drawn(chance, kind=kind), self.far.wake)

    def _arrived_near(self) -> None:
        if self.near is not None:
            self.near.wake()

    def strike(self, flow: Flow, fault: Fault) -> None:
        self.struck[fault.kind] += 1
        match fault.kind:
            case "reset":
                self.reset()
            case "close":
                self.far.close()
                self.far.hear_end("closed itself")
            case _:
                flow.stalled = True
                self.loop.call_later(fault.seconds, self._go_on, flow)

    def _go_on(self, flow: Flow) -> None:
        flow.stalled = False
        (self._arrived_near if flow is self.inward else self.far.wake)()

    def reset(self) -> None:
        """By either peer's machine, or whatever is between."""
        if self.dead:
            return
        self.dead = True
        near = self.near
        if near is not None and not near.closed:
            if self.chance.random() < 0.5:
                self.inward.here.clear()
            near.fail(errno.ECONNRESET)
        self.loop.call_soon(
            self.far.hear_end, "reset"
        )  # whoever resets may be in the middle of something

    def heal(self) -> None:
        self.inward.heal()
        self.outward.heal()


class Plug:
    """A peer's end."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.open = True
        self.hearer: Hearer | None = None
        self._why = ""

    def write(self, data: bytes) -> int:
        """Returns how much of it is accepted."""
        if not self.open or self.line.dead:
            return len(data)
        return self.line.inward.send(data)

    def wake(self) -> None:
        flow = self.line.outward
        if flow.stalled or not flow.here:
            return
        if not self.open:  # its machine says that nobody is there
            if self.line.near is not None and not self.line.dead:
                self.line.dead = True
                self.line.near.fail(errno.ECONNRESET)
            return
        if self.hearer is not None:
            data = flow.take(len(flow.here))
            if self.line.near is not None:
                self.line.near.wake()
            self.hearer.received(data)
        if self._why and not flow.here:
            self.hear_end(self._why)

    def wake_writer(self) -> None:
        if self.hearer is not None and self.open:
            self.hearer.writable()

    def hear_end(self, why: str) -> None:
        """The relay's end is closed; what has arrived is heard first."""
        if self.line.outward.here and self.open and why != "closed itself":
            self._why = why
            self.line.outward.stalled = False
            if self.hearer is not None:
                self._why = ""
                self.wake()
        if self.hearer is not None:
            hearer, self.hearer = self.hearer, None
            self.open = False
            hearer.closed(why)

    def close(self) -> None:
        """Says no more; what it has said arrives."""
        if self.open:
            self.open = False
            near = self.line.near
            if near is not None and not self.line.dead:
                self.line.inward.end(near.end)
