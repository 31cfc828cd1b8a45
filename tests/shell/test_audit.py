"""The audit trail of a server: what `[audit]` says is opened, kept through reloads, and refuses or drops."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from tests.shell.relay import Appointment, Log
from tests.shell.repositories import UdpRepository, read, soon
from tests.watch.audit_tables import Told
from tests.watch.trail import CT, INSIDE, RELEASED, WHO, config
from ulproxy.dimse.services import Service
from ulproxy.policy.model import Audit as Settings
from ulproxy.policy.model import Config, Syslog
from ulproxy.policy.rules import Policy
from ulproxy.relay.border import Border
from ulproxy.relay.effects import Operation, Record
from ulproxy.shell import audit as module
from ulproxy.shell import audit_sender, outlet, spool
from ulproxy.shell.audit import SWEEP, Audit, spool_path

PROCESS = ((str(os.getpid()), False),)
PAIR = (("WS1", True), ("HB_PACS", False))
START = Told("Application Activity", "Application Start", "0", PROCESS)
STOP = Told("Application Activity", "Application Stop", "0", PROCESS)
NOWHERE = Settings()


class Loop:
    """What of an event loop an audit trail needs."""

    def __init__(self) -> None:
        self.made: list[Appointment] = []

    def call_later(
        self, seconds: float, callback: Callable[..., None], *args: object
    ) -> Appointment:
        self.made.append(Appointment(seconds, callback, *args))
        return self.made[-1]

    @property
    def due(self) -> list[Appointment]:
        return [one for one in self.made if one.due]


class Desk:
    """A border and its audit trail."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "relay.toml"
        self.file = directory / "audit.jsonl"
        self.border = Border(Policy(config()), clock=time.monotonic)
        self.loop = Loop()
        loop = cast("asyncio.AbstractEventLoop", self.loop)
        self.audit = Audit(loop, self.border, self.path, os.getpid())

    def start(self, settings: Settings | None) -> None:
        self.audit.start(audited(settings))

    def association(self) -> None:
        """One with a C-STORE in it."""
        self.audit.record(INSIDE, Record("association established", WHO))
        self.store()
        self.audit.record(INSIDE, Record("association ended", {**WHO, **RELEASED}))

    def store(self) -> None:
        stored = Operation(Service.STORE, 1, "WS1", "HB_PACS", 1, CT, "1.2.3", 0, time.monotonic())
        self.audit.operation(INSIDE, stored)

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def events(self) -> list[str]:
        return [entry["event"] for entry in self.entries()]

    def full(self, text: str) -> None:
        """Wait until new associations are refused with this text, or let in again."""
        soon(lambda: self.border.full == text, f"{text!r}, not {self.border.full!r}")


def audited(settings: Settings | None) -> Config:
    return replace(config(), audit=settings)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(outlet, "RETRY", 0.01)
    monkeypatch.setattr(audit_sender, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(audit_sender, "LOOK", 0.05)
    desk = Desk(tmp_path)
    yield desk
    desk.audit.close()
    assert desk.loop.due == []


@pytest.fixture
def repository() -> Iterator[UdpRepository]:
    with UdpRepository() as running:
        yield running


def to(repository: UdpRepository, file: Path | None = None, **settings: Any) -> Settings:
    return Settings(file=file, syslog=Syslog("udp", repository.endpoint), **settings)


# What is recorded ----------------------------------------------------------------------------------


def test_without_audit_nothing_is_done(desk, tmp_path, log: Log):
    desk.start(None)
    desk.association()
    desk.audit.reload(audited(None))
    desk.audit.refuse_reload("why")
    desk.audit.close()
    assert not desk.border.audited
    assert desk.loop.made == []
    assert list(tmp_path.iterdir()) == []
    assert log.lines() == []


def test_the_file(desk):
    desk.start(Settings(file=desk.file))
    assert desk.border.audited
    desk.association()
    desk.audit.close()
    assert desk.events() == ["relay started", "operation", "association ended", "relay stopped"]
    assert desk.entries()[1]["id"] == desk.entries()[2]["id"] == "1f2e"


def test_the_repository(desk, repository):
    desk.start(to(repository, desk.file))
    desk.association()
    attach, detach = (Told("Network Entry", kind, "0", PAIR[:1]) for kind in ("Attach", "Detach"))
    attach, detach = (one._replace(participants=(("WS1", False),)) for one in (attach, detach))
    transferred = Told("DICOM Instances Transferred", "", "0", PAIR)
    assert repository.told(4) == [START, attach, transferred, detach]
    desk.audit.close()
    assert repository.told(5)[-1] == STOP
    message = read(repository.received[0])
    assert (message.program, message.process) == ("ulproxy", str(os.getpid()))


def test_without_a_file_operations_are_in_the_log(desk, log: Log):
    """Which has its own lines for the rest."""
    desk.start(NOWHERE)
    desk.association()
    desk.audit.close()
    (line,) = log.lines()
    assert (line["event"], line["id"], line["sop_instance"]) == ("operation", "1f2e", "1.2.3")
    assert line["timestamp"]
    assert desk.border.full == ""


def test_what_is_kept_back_is_sent_in_time(desk, repository, monkeypatch):
    monkeypatch.setattr("ulproxy.watch.audit_batch.MAX_AGE", timedelta(-1))
    desk.start(to(repository))
    desk.store()
    (sweep,) = desk.loop.due
    assert sweep.when == SWEEP
    sweep.keep()
    assert [one.event for one in repository.told(2)][1] == "DICOM Instances Transferred"
    assert [one.when for one in desk.loop.due] == [SWEEP]


def test_a_restart_sends_what_the_last_process_left(tmp_path, desk, repository):
    with UdpRepository() as gone:
        settings = to(gone, desk.file)
    desk.start(settings)
    desk.association()
    desk.audit.close()
    after = Desk(tmp_path)
    after.start(to(repository, desk.file))
    assert repository.told(6)[0] == START
    assert repository.told(6)[-2:] == [STOP, START]
    after.audit.close()


# Reloads -------------------------------------------------------------------------------------------


def test_a_reload_is_recorded(desk, repository):
    desk.start(to(repository, desk.file))
    desk.audit.reload(audited(to(repository, desk.file)))
    desk.audit.refuse_reload("line 3: title: is missing")
    alert = Told("Security Alert", "Security Configuration", "0", PROCESS)
    assert repository.told(3) == [START, alert, alert._replace(outcome="4")]
    desk.audit.close()
    assert desk.entries()[1]["file"] == desk.path.as_uri()
    assert desk.entries()[2]["why"] == "line 3: title: is missing"


def test_a_reload_may_move_the_file_and_the_repository(tmp_path, desk, repository):
    desk.start(to(repository, desk.file))
    desk.audit.record(INSIDE, Record("association established", {**WHO, "contexts": 3}))
    other = tmp_path / "other.jsonl"
    with UdpRepository() as second:
        desk.audit.reload(audited(to(second, other)))
        desk.audit.record(INSIDE, Record("association ended", WHO))
        assert second.told(1)[0].kind == "Detach"
        desk.audit.close()
        assert second.told(2)[1] == STOP
    assert repository.told(3)[-1].kind == "Security Configuration"
    assert desk.events() == ["relay started", "reloaded"]
    desk.file = other
    assert desk.events() == ["association ended", "relay stopped"]
    assert desk.entries()[0]["contexts"] == 3, "the trail goes on"


def test_a_reload_may_begin_it(desk, repository):
    desk.start(None)
    desk.audit.reload(audited(to(repository, desk.file)))
    assert desk.border.audited
    desk.store()
    assert repository.told(1)[0].kind == "Audit Recording Started"
    desk.audit.close()
    assert desk.events() == ["audit started", "operation", "relay stopped"]


def test_a_reload_may_end_it(desk, repository):
    desk.start(to(repository, desk.file))
    desk.store()
    desk.audit.reload(audited(None))
    assert not desk.border.audited
    desk.store()
    assert repository.told(4)[-1].kind == "Audit Recording Stopped"
    desk.audit.close()
    assert desk.events() == ["relay started", "operation", "reloaded", "audit stopped"]
    assert desk.loop.due == []


def test_many_reloads_leave_nothing(desk, repository):
    desk.start(None)
    for _ in range(20):
        desk.audit.reload(audited(to(repository, desk.file)))
        desk.audit.reload(audited(Settings(file=desk.file)))
        desk.audit.reload(audited(None))
    soon(lambda: not any(one.is_alive() for one in desk.audit._left), "threads have ended")
    desk.audit.reload(audited(NOWHERE))
    assert len(desk.audit._left) <= 1


# Full ----------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_written_refuses_associations(tmp_path, desk, log: Log):
    folder = tmp_path / "later"
    desk.start(Settings(file=folder / "audit.jsonl"))
    desk.full(
        "no audit trail: lines of the audit file cannot be written: No such file or directory"
    )
    desk.store()
    folder.mkdir()
    desk.full("")
    desk.audit.close()
    desk.file = folder / "audit.jsonl"
    assert desk.events() == ["relay started", "operation", "relay stopped"]
    said = [(line["level"], line["event"]) for line in log.lines()]
    assert said == [
        ("error", "audit trail cannot be written"),
        ("error", "new associations are refused"),
        ("info", "audit trail is written again"),
        ("info", "new associations are let in again"),
    ]


def test_or_does_not_if_so_configured(tmp_path, desk, log: Log):
    desk.start(Settings(file=tmp_path / "later" / "audit.jsonl", on_full="drop"))
    soon(lambda: log.lines("audit trail cannot be written"), "it is said")
    desk.store()
    assert desk.border.full == ""


def test_what_is_dropped_is_counted_in_its_place(tmp_path, desk, monkeypatch, log: Log):
    monkeypatch.setattr(outlet, "MAX_WAITING", 3)
    folder = tmp_path / "later"
    desk.start(Settings(file=folder / "audit.jsonl", on_full="drop"))
    for _ in range(5):
        desk.store()
    soon(lambda: log.lines("audit records are dropped"), "it is said")
    folder.mkdir()
    desk.file = folder / "audit.jsonl"
    soon(lambda: desk.file.exists() and len(desk.entries()) == 4, "the number")
    assert desk.events()[-1] == "audit records lost"
    assert desk.entries()[-1]["count"] == 3
    assert [line["count"] for line in log.lines("audit records are lost")] == [3]


@contextlib.contextmanager
def small_queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(spool.Spool.__init__, "__defaults__", (1 << 18,))
        yield


def test_a_queue_that_fills_refuses_associations_until_it_is_sent(desk, monkeypatch, log: Log):
    with UdpRepository() as gone:
        settings = to(gone, desk.file)
    with small_queue(monkeypatch):
        desk.start(settings)
        for _ in range(300):
            desk.audit.refuse_reload("x" * 512)
        soon(lambda: "queue" in desk.border.full, "associations are refused")
        desk.store()
        with UdpRepository(gone.port) as back:
            desk.full("")
            back.wait(301)
    assert log.lines("new associations are let in again")
    assert log.lines("audit records are dropped") == []


def test_a_queue_that_is_full_drops_and_says_so_to_the_repository(desk, monkeypatch, log: Log):
    monkeypatch.setattr(outlet, "MAX_WAITING", 50)
    with UdpRepository() as gone:
        settings = to(gone, on_full="drop")
    monkeypatch.setenv("STATE_DIRECTORY", str(desk.path.parent))
    with small_queue(monkeypatch):
        desk.start(settings)
        sent = 0
        while not log.lines("audit records are dropped"):
            desk.audit.refuse_reload("x" * 512)
            sent += 1
            time.sleep(0.0001)
        assert desk.border.full == ""
        with UdpRepository(gone.port) as back:
            soon(lambda: b"Audit Recording Started" in b"".join(back.received), "the number")
    assert [one.outcome for one in back.told(len(back.received)) if "Started" in one.kind] == ["12"]


def test_the_end_does_not_wait_for_a_disk_that_hangs(desk, monkeypatch):
    monkeypatch.setattr(module, "LAST_WRITES", 0.1)
    pipe = desk.file
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)
    desk.start(Settings(file=pipe))
    for _ in range(500):
        desk.store()
    began = time.monotonic()
    desk.audit.close()
    assert time.monotonic() - began < 5
    os.set_blocking(reader, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.read(reader, 1 << 20)
            time.sleep(0.01)
    os.close(reader)


# Where the queue is --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/x:/var/lib/y", "HOME": "/root"}, "/var/lib/x"),
        ({"XDG_STATE_HOME": "/state", "HOME": "/root"}, "/state/ulproxy"),
        ({"HOME": "/home/relay"}, "/home/relay/.local/state/ulproxy"),
        ({}, "/var/lib/ulproxy"),
    ],
)
def test_where_the_queue_is(environment, folder):
    path = spool_path(Path("/etc/relay.toml"), NOWHERE, environment)
    assert str(path.parent) == folder
    assert path.suffix == ".queue"


def test_each_configuration_has_a_queue_of_its_own():
    one, other = (spool_path(Path(f"/etc/{name}.toml"), NOWHERE, {}) for name in ("a", "b"))
    assert one != other


def test_the_queue_is_beside_the_audit_file():
    settings = Settings(file=Path("/var/log/ulproxy/audit.jsonl"))
    path = spool_path(Path("/etc/relay.toml"), settings, {"STATE_DIRECTORY": "/var/lib/x"})
    assert path == Path("/var/log/ulproxy/audit.jsonl.queue")
