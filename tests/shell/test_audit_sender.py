"""Audit messages on their way from the queue to the repository, which comes and goes."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell.relay import Log
from tests.shell.repositories import Authority, TlsRepository, UdpRepository, soon
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import AeTls, Syslog
from ulproxy.shell import audit_sender as module
from ulproxy.shell.audit_sender import Sender, caller
from ulproxy.shell.spool import SendingTurn, Spool


class Repository:
    """Takes what it is sent, or fails as the test likes."""

    at_once = 3

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []
        self.calls = 0
        self.away = False
        self.breaks = 0  # so many times a connection that stands turns out to be gone
        self.closed = 0

    def connect(self) -> Repository:
        self.calls += 1
        if self.away:
            raise ConnectionRefusedError(111, "Connection refused")
        return self

    def send(self, messages: list[bytes]) -> None:
        if self.away or self.breaks:
            self.breaks -= 1
            raise ConnectionResetError("closed")
        self.sent.append(messages)

    def close(self) -> None:
        self.closed += 1

    @property
    def messages(self) -> list[bytes]:
        return [message for batch in self.sent for message in batch]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.queue"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(module, "LOOK", 0.05)


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    spool = Spool(path)
    yield spool
    spool.close()


@contextlib.contextmanager
def sending(path: Path, repository: Repository) -> Iterator[Sender]:
    sender = Sender(path, repository.connect, "127.0.0.1:6514")
    try:
        yield sender
    finally:
        sender.finish(1)
        sender.join(10)
        assert not sender._thread.is_alive()


def numbered(first: int, last: int) -> list[bytes]:
    return [b"message %d" % number for number in range(first, last)]


def empty(spool: Spool) -> None:
    soon(lambda: spool.oldest(1) == [], "the queue is empty")


def test_what_was_there_before_goes_first(path, spool):
    repository = Repository()
    spool.write(deque(numbered(0, 7)))
    with sending(path, repository) as sender:
        empty(spool)
        spool.write(deque(numbered(7, 9)))
        sender.wake()
        empty(spool)
    assert repository.messages == numbered(0, 9)
    assert [len(batch) for batch in repository.sent] == [3, 3, 1, 2]
    assert repository.closed == repository.calls == 1


def test_nobody_is_called_before_there_is_something_to_send(path):
    repository = Repository()
    with sending(path, repository) as sender:
        sender.wake()
    assert repository.calls == 0


def test_what_another_process_adds_is_found(path, spool):
    repository = Repository()
    with sending(path, repository):
        spool.write(deque(numbered(0, 1)))
        empty(spool)
    assert repository.messages == numbered(0, 1)


def test_a_repository_that_is_away(path, spool, log: Log):
    """It is called again and again, which is said once; nothing is lost, nothing overtaken."""
    repository = Repository()
    repository.away = True
    spool.write(deque(numbered(0, 5)))
    with sending(path, repository):
        soon(lambda: repository.calls >= 4, "calls")
        assert repository.sent == []
        repository.away = False
        empty(spool)
    assert repository.messages == numbered(0, 5)
    away, back = log.lines()
    assert (away["level"], away["event"]) == ("warning", "audit messages cannot be sent")
    assert (away["repository"], away["why"]) == ("127.0.0.1:6514", "Connection refused")
    assert (back["level"], back["event"]) == ("info", "audit messages are sent again")
    assert back["seconds"] > 0


def test_the_wait_is_longer_each_time_up_to_a_limit(path, spool, monkeypatch):
    waits: list[float | None] = []
    longest = threading.Event()

    def wait(_event, seconds=None):
        waits.append(seconds)
        if len(waits) > 7:
            longest.set()
            return True
        return False

    repository = Repository()
    repository.away = True
    spool.write(deque(numbered(0, 1)))
    with monkeypatch.context() as patched:
        patched.setattr(module, "FIRST_WAIT", 1.0)
        patched.setattr(threading.Event, "wait", wait)
        sender = Sender(path, repository.connect, "x")
        soon(lambda: len(waits) > 7, "attempts")
    sender.join(10)
    assert [second for second in waits if second is not None][:7] == [1, 2, 4, 8, 16, 30, 30]


def test_a_repository_that_has_closed_an_idle_connection(path, spool, log: Log):
    """It is called again at once, and nothing is said of it."""
    repository = Repository()
    with sending(path, repository):
        spool.write(deque(numbered(0, 1)))
        empty(spool)
        repository.breaks = 1
        spool.write(deque(numbered(1, 2)))
        empty(spool)
    assert repository.messages == numbered(0, 2)
    assert repository.calls == 2
    assert log.lines() == []


def test_what_was_not_sent_is_sent_after_a_restart(path, spool):
    repository = Repository()
    repository.away = True
    spool.write(deque(numbered(0, 2)))
    with sending(path, repository):
        soon(lambda: repository.calls > 1, "calls")
    repository.away = False
    spool.write(deque(numbered(2, 3)))
    with sending(path, repository):
        empty(spool)
    assert repository.messages == numbered(0, 3)


def test_at_the_end_what_is_queued_is_sent(path, spool):
    repository = Repository()
    spool.write(deque(numbered(0, 20)))
    with sending(path, repository):
        pass
    assert repository.messages == numbered(0, 20)


def test_the_end_does_not_wait_for_who_is_away(path, spool, monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT", 60.0)
    repository = Repository()
    repository.away = True
    spool.write(deque(numbered(0, 1)))
    with sending(path, repository):
        soon(lambda: repository.calls == 1, "a call")
    assert repository.calls == 1


def test_the_end_does_not_take_longer_than_it_may(path, spool):
    """A repository that takes one at a time, for ever."""
    repository = Repository()

    class Endless(Spool):
        def oldest(self, number: int) -> list[tuple[int, bytes]]:
            return [(0, b"again")]

    spool.write(deque(numbered(0, 1)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "Spool", Endless)
        sender = Sender(path, repository.connect, "x")
        soon(lambda: len(repository.sent) > 5, "messages")
        sender.finish(0.05)
        sender.join(10)
    assert not sender._thread.is_alive()


def test_only_one_process_sends(path, spool):
    """Another one has the queue; it is ours when that one has ended."""
    repository = Repository()
    turn = SendingTurn(path)
    assert turn.taken()
    spool.write(deque(numbered(0, 1)))
    with sending(path, repository) as sender:
        for _ in range(3):
            sender.wake()
        assert repository.calls == 0
        turn.close()
        empty(spool)
    assert repository.messages == numbered(0, 1)


def test_a_queue_that_cannot_be_read(tmp_path, log: Log):
    (tmp_path / "file").write_bytes(b"")
    with sending(tmp_path / "file" / "audit.queue", Repository()):
        soon(lambda: log.lines("audit messages cannot be sent"), "it is said")


# With repositories that are real -------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["tls", "udp"])
def test_a_repository_that_is_started_anew(tmp_path, path, spool, transport, log: Log):
    authority = Authority(tmp_path)
    context = authority.context("repository")

    def repository(port: int = 0) -> TlsRepository | UdpRepository:
        return TlsRepository(context, port) if transport == "tls" else UdpRepository(port)

    with repository() as first:
        syslog = Syslog(transport, first.endpoint)
        sender = Sender(path, caller(syslog, AeTls(ca=authority.path)), str(first.endpoint))
        spool.write(deque(numbered(0, 150)))
        sender.wake()
        assert first.wait(150) == numbered(0, 150)
        empty(spool)
    spool.write(deque(numbered(150, 300)))
    sender.wake()
    soon(lambda: log.lines("audit messages cannot be sent"), "it is away")
    with repository(first.port) as second:
        second.wait(150)
        empty(spool)
        # over UDP the first may have been sent into the void before the void said so, and once more
        assert [*dict.fromkeys(second.received)] == numbered(150, 300)
        sender.finish(1)
        sender.join(10)
    assert not sender._thread.is_alive()


@pytest.mark.parametrize("tls", [None, "other"])
def test_a_repository_that_is_not_trusted(tmp_path, path, spool, log: Log, tls):
    other = None if tls is None else AeTls(ca=Authority(tmp_path, "other").path)
    with TlsRepository(Authority(tmp_path).context("repository")) as repository:
        sender = Sender(path, caller(Syslog("tls", repository.endpoint), other), "x")
        spool.write(deque(numbered(0, 1)))
        sender.wake()
        soon(lambda: log.lines("audit messages cannot be sent"), "it is said")
        sender.finish(0)
        sender.join(10)
        assert repository.received == []
    assert log.lines()[0]["why"].startswith("the peer's certificate is refused: ")
    assert len(spool.oldest(2)) == 1


def test_a_certificate_that_comes_later(tmp_path, path, spool):
    """Files are read each time that the repository is called."""
    authority = Authority(tmp_path)
    ca = tmp_path / "later.pem"
    with TlsRepository(authority.context("repository")) as repository:
        sender = Sender(path, caller(Syslog("tls", repository.endpoint), AeTls(ca=ca)), "x")
        spool.write(deque(numbered(0, 1)))
        sender.wake()
        ca.write_bytes(authority.path.read_bytes())
        assert repository.wait(1) == numbered(0, 1)
        sender.finish(1)
        sender.join(10)


def test_a_host_that_nobody_knows(path, spool, log: Log):
    syslog = Syslog("tls", Endpoint("repository.invalid", 6514))
    sender = Sender(path, caller(syslog, None), "x")
    spool.write(deque(numbered(0, 1)))
    sender.wake()
    soon(lambda: log.lines("audit messages cannot be sent"), "it is said")
    sender.finish(0)
    sender.join(10)
