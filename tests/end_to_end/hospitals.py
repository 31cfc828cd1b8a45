"""Two hospitals, each behind its relay, with every leg recorded.

    workstation - A - border - B - PACS, and back for what a C-MOVE sends

Every AE has one name inside A, one on the border and one inside B, and no two are alike.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.files import samples
from tests.end_to_end.peers import ae, border, dcmqrscp, free_port, relay, rule
from tests.end_to_end.tap import DOWN, UP, Tap

WORKSTATION, PACS_INSIDE_A = "WSINSIDEA", "FARPACSATA"
WORKSTATION_ON_BORDER, PACS_ON_BORDER = "HA_WS1", "HB_PACS"
WORKSTATION_INSIDE_B, PACS = "FARWSATB", "PACSINSIDEB"
PROBE = "PROBE"
"""An AE beside the PACS that it can send to without any relay."""
SERVICES = ["echo", "find", "move", "get", "store"]


@dataclass
class Legs:
    """The taps, by who listens behind them and on which side."""

    to_a: Tap
    a_to_b: Tap
    to_pacs: Tap
    pacs_to_b: Tap
    b_to_a: Tap
    to_workstation: Tap

    def all(self) -> list[Tap]:
        return list(vars(self).values())

    def received_in_a(self) -> bytes:
        """What B sent over the border, and what the workstation got."""
        border_bytes = self.a_to_b.said(DOWN) + self.b_to_a.said(UP)
        return border_bytes + self.to_a.said(DOWN) + self.to_workstation.said(UP)

    def received_in_b(self) -> bytes:
        """What A sent over the border, and what the PACS got."""
        border_bytes = self.a_to_b.said(UP) + self.b_to_a.said(DOWN)
        return border_bytes + self.to_pacs.said(UP) + self.pacs_to_b.said(DOWN)


@dataclass
class Hospitals:
    """The running session."""

    legs: Legs
    workstation_port: int
    pacs_port: int
    probe_port: int
    secrets_of_a: list[bytes] = field(default_factory=list)
    secrets_of_b: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def two_hospitals(directory: Path) -> Iterator[Hospitals]:
    data = b"".join(f.path.read_bytes() for f in samples())
    workstation, pacs, probe, inside_a, inside_b = (free_port(data) for _ in range(5))
    with contextlib.ExitStack() as stack:
        legs = Legs(*(stack.enter_context(Tap(free_port(data))) for _ in range(6)))
        a = _relay_a(legs, inside_a)
        b = _relay_b(legs, inside_b)
        running_a = stack.enter_context(relay(a, directory))
        running_b = stack.enter_context(relay(b, directory))
        legs.to_a.target = inside_a
        legs.a_to_b.target = running_b.ports["border"]
        legs.to_pacs.target = pacs
        legs.pacs_to_b.target = inside_b
        legs.b_to_a.target = running_a.ports["border"]
        legs.to_workstation.target = workstation
        hosts = {WORKSTATION_INSIDE_B: legs.pacs_to_b.port, PROBE: probe}
        stack.enter_context(dcmqrscp(pacs, {PACS: directory / "pacs"}, hosts, directory))
        made = Hospitals(legs, workstation, pacs, probe)
        ports_a = [workstation, inside_a, legs.to_a.port, legs.to_workstation.port]
        ports_b = [pacs, probe, inside_b, legs.to_pacs.port, legs.pacs_to_b.port]
        made.secrets_of_a = _texts([WORKSTATION, PACS_INSIDE_A], ports_a)
        made.secrets_of_b = _texts([PACS, WORKSTATION_INSIDE_B], ports_b)
        yield made


def _texts(titles: list[str], ports: list[int]) -> list[bytes]:
    return [t.encode() for t in titles] + [str(p).encode() for p in ports]


def _relay_a(legs: Legs, inside: int) -> dict[str, object]:
    config = border(
        [
            ae(WORKSTATION, "inside", legs.to_workstation.port, alias=WORKSTATION_ON_BORDER),
            ae(PACS_ON_BORDER, "border", legs.a_to_b.port, alias=PACS_INSIDE_A),
        ],
        [rule([WORKSTATION], [PACS_ON_BORDER], SERVICES)],
        relay={"title": "HOSP_A"},
    )
    return _inside_at(config, inside)


def _relay_b(legs: Legs, inside: int) -> dict[str, object]:
    config = border(
        [
            ae(WORKSTATION_ON_BORDER, "border", legs.b_to_a.port, alias=WORKSTATION_INSIDE_B),
            ae(PACS, "inside", legs.to_pacs.port, alias=PACS_ON_BORDER),
        ],
        [rule([WORKSTATION_ON_BORDER], [PACS], SERVICES)],
        relay={"title": "HOSP_B"},
    )
    return _inside_at(config, inside)


def _inside_at(config: dict[str, object], port: int) -> dict[str, object]:
    """Its inside listener on a port that is known not to occur in the data."""
    config["listener"] = [
        {"network": "border", "bind": "127.0.0.1:0"},
        {"network": "inside", "bind": f"127.0.0.1:{port}"},
    ]
    return config
