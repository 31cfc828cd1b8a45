"""A trail of a small border, with a clock of the test's own; what comes out of it is checked and kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.watch.audit_tables import Told, read, told
from ulproxy.dimse.services import Service
from ulproxy.policy.config import parse
from ulproxy.policy.model import Config
from ulproxy.relay.effects import Operation, Record
from ulproxy.watch.audit import Times, Trail
from ulproxy.watch.audit_entry import Entry, Source
from ulproxy.watch.audit_message import AuditMessage

BORDER = """
relay = { title = "HOSP_A" }
listener = [
  { network = "inside", bind = "127.0.0.1:11112" },
  { network = "outside", bind = "127.0.0.1:2762" },
]
ae = [
  { title = "WS1", network = "inside", sources = ["*"], alias = "HA_WS1" },
  { title = "WS2", network = "inside", address = "10.0.0.2:104" },
  { title = "PACS", network = "outside", address = "192.168.7.5:104", name = "HB_PACS" },
  { title = "STATION", network = "outside", address = "station.hb.example:104", sources = ["*"] },
]
rule = [{ from = ["*"], to = ["*"], services = ["*"] }]
"""
START = datetime(2026, 11, 24, 12, tzinfo=UTC)
CT = "1.2.840.10008.5.1.4.1.1.2"
WHO: Entry = {
    "calling": "WS1",
    "called": "PACS",
    "services": "store",
    "caller": "WS1",
    "callee": "HB_PACS",
    "rule": 1,
}
RELEASED: Entry = {"outcome": "released", "seconds": 2.5}
INSIDE = Source("1f2e", "inside", "10.0.0.1:40000")
OUTSIDE = Source("3d4c", "outside", "192.168.7.5:50000")


def config(text: str = BORDER) -> Config:
    return parse(text)


class Desk:
    """Takes what a trail says."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.messages: list[AuditMessage] = []
        self.now = START
        self.trail = Trail(config(), "4711", self, Times(self.clock, lambda: self.now))

    def clock(self) -> float:
        """Seconds since the beginning."""
        return (self.now - START).total_seconds()

    def entry(self, entry: Entry) -> None:
        self.entries.append(entry)

    def message(self, message: AuditMessage) -> None:
        read(message.encode())
        self.messages.append(message)

    def pass_time(self, **time: float) -> None:
        self.now += timedelta(**time)

    def told(self) -> list[Told]:
        """The messages since the last call."""
        said = [told(message.encode()) for message in self.messages]
        self.messages.clear()
        return said

    def established(self, source: Source = INSIDE, **facts: object) -> None:
        self.trail.record(source, Record("association established", {**WHO, **facts}))

    def ended(self, source: Source = INSIDE, **facts: object) -> None:
        self.trail.record(source, Record("association ended", {**WHO, **RELEASED, **facts}))

    def rejected(
        self, answer: tuple[int, int, int], source: Source = INSIDE, **facts: object
    ) -> None:
        all_facts = {"calling": "WS9", "outcome": "caller unknown", "answer": answer, **facts}
        self.trail.record(source, Record("association rejected", all_facts, warning=True))

    def done(self, request: int, source: Source = INSIDE, **facts: Any) -> None:
        """An operation of WS1 with the PACS that began just now."""
        operation = Operation(
            service=Service.STORE,
            request=request,
            asking="WS1",
            asked="HB_PACS",
            message_id=1,
            sop_class=CT,
            sop_instance="1.2.3",
            status=0,
            began=self.clock(),
            rule=1,
        )
        self.trail.operation(source, replace(operation, **facts))
