"""Syslog to an audit repository: messages by RFC 5424, TLS by RFC 5425, UDP by RFC 5426."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.shell import repositories
from tests.shell.repositories import Authority, Syslog, read, soon
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import AeTls
from ulproxy.shell import syslog
from ulproxy.shell.syslog import TlsRepository, UdpRepository, syslog_message
from ulproxy.shell.tls import calling
from ulproxy.watch.audit_events import Relay
from ulproxy.watch.audit_message import AuditMessage, Outcome

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MESSAGES = [b"<85>1 first", b"2 ", b"<85>1 " + bytes(range(256)) * 100]


def start() -> AuditMessage:
    return Relay("HOSP_Ä", "4711").application_activity(NOON, started=True)


def test_a_message():
    message = syslog_message(start(), "relay.hb.example", "4711")
    assert message.startswith(
        b"<85>1 2026-11-24T12:00:00.000+00:00 relay.hb.example ulproxy 4711 DICOM+RFC3881 - "
        b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?><AuditMessage>'
    )
    document = start().encode()
    expected = Syslog(85, "relay.hb.example", "ulproxy", "4711", "DICOM+RFC3881", document)
    assert read(message) == expected


@pytest.mark.parametrize(
    ("outcome", "priority"), [(Outcome.SUCCESS, 85), (Outcome.MINOR_FAILURE, 84)]
)
def test_a_failure_is_a_warning(outcome, priority):
    message = Relay("HOSP_A", "4711").configured(NOON, "file:///relay.toml", "why", outcome)
    assert read(syslog_message(message, "relay", "1")).priority == priority


@pytest.mark.parametrize(
    ("host", "written"), [("", "-"), ("a b\n", "ab"), ("röntgen", "rntgen"), ("x" * 256, "x" * 255)]
)
def test_a_host_name_is_printable_ascii(host, written):
    assert read(syslog_message(start(), host, "4711")).host == written


# TLS -----------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def repository(authority: Authority) -> Iterator[repositories.TlsRepository]:
    with repositories.TlsRepository(authority.context("repository")) as running:
        yield running


def connected(repository: repositories.TlsRepository, tls: AeTls) -> TlsRepository:
    return TlsRepository(repository.endpoint, calling(tls))


def test_octets_are_counted(authority, repository):
    way = connected(repository, AeTls(ca=authority.path))
    way.send(MESSAGES[:2])
    way.send(MESSAGES[2:])
    way.close()
    assert repository.wait(3) == MESSAGES
    soon(lambda: repository.ended == 1, "the repository is told of the end")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_with_a_certificate_of_ours(authority, version):
    certificate, key = authority.issue("relay")
    context = authority.context("repository", ask=True)
    context.minimum_version = context.maximum_version = version
    with repositories.TlsRepository(context) as repository:
        way = connected(repository, AeTls(ca=authority.path, certificate=certificate, key=key))
        way.send(MESSAGES[:1])
        way.close()
        assert repository.wait(1) == MESSAGES[:1]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_repository_that_does_not_like_us_has_not_got_it(authority, version):
    """In TLS 1.3 it says so when we have sent already, and its TCP has acknowledged it."""
    context = authority.context("repository", ask=True)
    context.minimum_version = context.maximum_version = version
    with repositories.TlsRepository(context) as repository:
        refused = pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF|does not take")
        with refused, contextlib.closing(connected(repository, AeTls(ca=authority.path))) as way:
            way.send(MESSAGES[:1])
        assert repository.received == []


def test_a_repository_of_somebody_else(tmp_path, repository):
    other = Authority(tmp_path, "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        connected(repository, AeTls(ca=other.path))
    with pytest.raises(ssl.SSLCertVerificationError):
        connected(repository, AeTls())  # by the system's CAs


def test_a_certificate_for_another_host(authority):
    context = authority.context("repository", host="127.0.0.2")
    wrong = pytest.raises(ssl.SSLCertVerificationError, match=r"127\.0\.0\.1")
    with repositories.TlsRepository(context) as repository, wrong:
        connected(repository, AeTls(ca=authority.path))


def nobody(kind: socket.SocketKind) -> Endpoint:
    """Where nobody listens."""
    with socket.socket(type=kind) as free:
        free.bind(("127.0.0.1", 0))
        return Endpoint("127.0.0.1", free.getsockname()[1])


def test_nobody_listens():
    endpoint = nobody(socket.SOCK_STREAM)
    with pytest.raises(ConnectionRefusedError):
        TlsRepository(endpoint, calling(AeTls()))


def test_a_repository_that_has_gone_meanwhile(authority):
    with repositories.TlsRepository(authority.context("repository")) as repository:
        way = connected(repository, AeTls(ca=authority.path))
        way.send(MESSAGES[:1])
        repository.wait(1)
    with pytest.raises(OSError, match=r"closed|EOF"):
        way.send(MESSAGES[:1])
    way.close()


def test_what_a_repository_says_is_of_no_interest(authority):
    """It has nothing to say."""
    context = authority.context("repository")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        endpoint = Endpoint("127.0.0.1", listening.getsockname()[1])

        def chat() -> None:
            with context.wrap_socket(listening.accept()[0], server_side=True) as session:
                session.sendall(b"hello")
                heard.append(session.recv(100))
                session.recv(100)

        heard: list[bytes] = []
        chatting = threading.Thread(target=chat)
        chatting.start()
        way = TlsRepository(endpoint, calling(AeTls(ca=authority.path)))
        way.send(MESSAGES[:1])
        way.close()
        chatting.join()
    assert heard == [b"11 <85>1 first"]


def test_a_repository_that_does_not_read(authority, monkeypatch):
    """What its TCP has not acknowledged counts as not sent."""
    monkeypatch.setattr(syslog, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        endpoint = Endpoint("127.0.0.1", listening.getsockname()[1])
        with pytest.raises(TimeoutError):
            TlsRepository(endpoint, calling(AeTls(ca=authority.path)))


def test_what_is_not_acknowledged_is_not_sent(authority, repository, monkeypatch):
    monkeypatch.setattr(syslog, "PATIENCE", 0.3)
    monkeypatch.setattr(fcntl, "ioctl", lambda _fd, _what, left: left.__setitem__(0, 9))
    way = connected(repository, AeTls(ca=authority.path))
    with pytest.raises(TimeoutError, match="does not take"):
        way.send(MESSAGES[:1])
    way.close()


def test_where_the_system_cannot_tell_it_counts_as_sent(authority, repository, monkeypatch):
    def unknown(*_arguments):
        raise OSError(25, "Inappropriate ioctl for device")

    monkeypatch.setattr(fcntl, "ioctl", unknown)
    way = connected(repository, AeTls(ca=authority.path))
    way.send(MESSAGES[:1])
    way.close()
    assert repository.wait(1) == MESSAGES[:1]


# UDP -----------------------------------------------------------------------------------------------


def test_a_message_is_a_datagram():
    with repositories.UdpRepository() as repository:
        way = UdpRepository(repository.endpoint)
        way.send([MESSAGES[0], MESSAGES[2]])
        assert repository.wait(2) == [MESSAGES[0], MESSAGES[2]]
        way.close()


def test_no_repository_at_that_port():
    way = UdpRepository(nobody(socket.SOCK_DGRAM))
    with pytest.raises(ConnectionRefusedError):
        way.send(MESSAGES[:1])
    way.close()


def test_a_host_that_nobody_knows():
    with pytest.raises(OSError, match=r"."):
        UdpRepository(Endpoint("repository.invalid", 514))


def test_an_address_without_a_way():
    with pytest.raises(OSError, match=r"."):
        UdpRepository(Endpoint("255.255.255.255", 514))
