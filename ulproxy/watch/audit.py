"""The audit trail: what sessions report -> entries of the audit file and DICOM audit messages.

A session calls `record` and `operation`; nothing else is asked of it. Time is told by `Times`, and what comes
out goes to a `Sink`, so that all of this is still without a clock, a file or a socket.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from ulproxy.dimse.command import CommandField
from ulproxy.policy.model import Config
from ulproxy.relay.effects import Operation, Record
from ulproxy.watch import audit_entry as entries
from ulproxy.watch.audit_entry import Entry, Source
from ulproxy.watch.audit_events import RECORDING_STARTED, RECORDING_STOPPED, Relay
from ulproxy.watch.audit_message import AuditMessage, Outcome, stamp
from ulproxy.watch.audit_repeats import Repeats
from ulproxy.watch.audit_reports import Reports


class Times(NamedTuple):
    """`clock` is `Border.clock`, by which operations begin; `now` is the time of day, with its zone."""

    clock: Callable[[], float]
    now: Callable[[], datetime]


class Sink(Protocol):
    """Where the trail goes; neither call may wait or raise."""

    def entry(self, entry: Entry) -> None:
        """A line for the audit file."""

    def message(self, message: AuditMessage) -> None:
        """A message for the audit repository."""


class Trail:
    """The audit trail of one relay."""

    def __init__(self, config: Config, process_id: str, sink: Sink, times: Times) -> None:
        self._sink = sink
        self._times = times
        self._associations: dict[str, Entry] = {}
        self._strangers = Repeats(self._stranger)
        self._reports = Reports(config, Relay(config.relay.title, process_id), sink.message)

    def relay(self, *, started: bool) -> None:
        """The relay begins its work, or ends it."""
        if not started:
            self.sweep(everything=True)
        now = self._times.now()
        self._sink.entry(_event(now, "relay started" if started else "relay stopped"))
        self._sink.message(self._reports.relay.application_activity(now, started=started))

    def recording(self, *, started: bool, reports: bool = True) -> None:
        """The relay begins or ends to record, by a reload; `reports`: it is said here, by nobody else."""
        if not started:
            self.sweep(everything=True)
        if not reports:
            return
        now = self._times.now()
        event = "audit started" if started else "audit stopped"
        kind = RECORDING_STARTED if started else RECORDING_STOPPED
        self._sink.entry(_event(now, event))
        message = self._reports.relay.security_alert(now, kind, event, None, Outcome.SUCCESS)
        self._sink.message(message)

    def configured(self, config: Config, uri: str, *, reports: bool = True) -> None:
        """A reload: new rules are in force; `reports` as in `recording`."""
        now = self._times.now()
        self._reports.relay = Relay(config.relay.title, self._reports.relay.process_id)
        self._reports.configure(config)
        if not reports:
            return
        self._sink.entry(_event(now, "reloaded", file=uri))
        text = "a new configuration is in force"
        self._sink.message(self._reports.relay.configured(now, uri, text, Outcome.SUCCESS))

    def not_configured(self, uri: str, text: str) -> None:
        """A reload that changed nothing; `text` says why."""
        now = self._times.now()
        self._sink.entry(_event(now, "reload refused", file=uri, why=text))
        self._sink.message(self._reports.relay.configured(now, uri, text, Outcome.MINOR_FAILURE))

    def record(self, source: Source, record: Record) -> None:
        """Something that the session's log has a line for; most of it is no matter of the audit trail."""
        now = self._times.now()
        match record.event:
            case "association established":
                self._associations[source.id] = record.facts
                self._reports.established(source, record.facts, now)
            case "association ended" | "association rejected":
                before = self._associations.pop(source.id, {})
                self._sink.entry(entries.association(source, before, record, now))
                if record.event == "association rejected":
                    self._reports.rejected(source, record.facts, now)
                self._reports.ended(source, now)
            case "connection ended" if record.warning:
                entry = entries.association(source, {}, record, now)
                self._strangers.add((source.host,), entry, now)
                self._reports.stranger(source, str(record.facts.get("outcome")), now)

    def operation(self, source: Source, done: Operation) -> None:
        """A DIMSE operation of the session is over."""
        now = self._times.now()
        seconds = max(0.0, self._times.clock() - done.began)
        self._sink.entry(entries.operation(source, done, seconds, now))
        caller = str(self._associations.get(source.id, {}).get("caller", ""))
        if done.refused:
            self._reports.refused(source, caller, done, now)
        elif done.request == CommandField.C_STORE_RQ:
            self._reports.stored(source, caller, done, now)
        else:
            began = now - timedelta(seconds=seconds)
            self._reports.operation(source, caller, done, began)
            if done.request == CommandField.C_MOVE_RQ:
                self._reports.moved(source, caller, done, now)

    def sweep(self, *, everything: bool = False) -> None:
        """To be called every few seconds: sends what was kept back to be sent together."""
        now = self._times.now()
        self._strangers.sweep(now, everything=everything)
        self._reports.sweep(now, everything=everything)

    def lost(self, what: str, number: int) -> tuple[Entry, AuditMessage]:
        """What is to be said in the place of records that were dropped."""
        now = self._times.now()
        text = f"{number} {what} could not be written and are lost"
        relay, outcome = self._reports.relay, Outcome.MAJOR_FAILURE
        message = relay.security_alert(now, RECORDING_STARTED, text, None, outcome)
        return _event(now, "audit records lost", what=what, count=number), message

    def _stranger(self, entry: Entry, again: int) -> None:
        self._sink.entry({**entry, "again": again} if again else entry)


def _event(now: datetime, event: str, **facts: object) -> Entry:
    return {"time": stamp(now), "event": event, **facts}
