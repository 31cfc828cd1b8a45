"""Audit repositories of the tests' own: syslog over TLS (RFC 5425) and UDP (RFC 5426), read by the letter."""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.shell.peers import PATIENCE
from tests.watch.audit_tables import Told, told
from ulproxy.policy.endpoints import Endpoint

# RFC 5424 6, without STRUCTURED-DATA; what follows the BOM is UTF-8
HEADER = re.compile(
    rb"<(\d{1,3})>1 (\S+) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) - \xef\xbb\xbf"
)
STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")


class Syslog(NamedTuple):
    """A syslog message."""

    priority: int
    host: str
    program: str
    process: str
    message_id: str
    document: bytes

    @property
    def told(self) -> Told:
        return told(self.document)


def read(message: bytes) -> Syslog:
    header = HEADER.match(message)
    assert header is not None, message[:200]
    priority, stamp, host, program, process, message_id = header.groups()
    assert STAMP.fullmatch(stamp), stamp
    host, program, process, message_id = (
        one.decode("ascii") for one in (host, program, process, message_id)
    )
    document = message[header.end() :]
    return Syslog(int(priority), host, program, process, message_id, document)


class Repository:
    """Listens on 127.0.0.1 until its block ends, and keeps what it was sent, in order."""

    def __init__(self, kind: socket.SocketKind, port: int) -> None:
        self.socket = socket.socket(type=kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.port: int = self.socket.getsockname()[1]
        self.endpoint = Endpoint("127.0.0.1", self.port)
        self.received: list[bytes] = []
        self._changed = threading.Condition()
        self._ending, self._end = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        self._end.close()
        self._thread.join()
        self._ending.close()
        self.socket.close()

    def take(self, message: bytes) -> None:
        with self._changed:
            self.received.append(message)
            self._changed.notify_all()

    def wait(self, number: int) -> list[bytes]:
        """The messages, once there are so many."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.received) >= number, PATIENCE)
        assert came, f"{len(self.received)} messages instead of {number}"
        return list(self.received)

    def told(self, number: int) -> list[Told]:
        """What the first so many messages say, each of which is by RFC 5424 and PS3.15."""
        return [read(message).told for message in self.wait(number)[:number]]

    def readable(self, *sockets: socket.socket) -> list[socket.socket]:
        """Those of the sockets that can be read; none = the end has come."""
        ready, _, _ = select.select([self._ending, *sockets], [], [])
        return [] if self._ending in ready else ready

    def _serve(self) -> None:
        raise NotImplementedError


class UdpRepository(Repository):
    def __init__(self, port: int = 0) -> None:
        super().__init__(socket.SOCK_DGRAM, port)

    def _serve(self) -> None:
        while self.readable(self.socket):
            self.take(self.socket.recv(1 << 16))


class TlsRepository(Repository):
    """Counts its connections, and those that were ended in good order (RFC 5425 4.4)."""

    def __init__(self, context: ssl.SSLContext, port: int = 0) -> None:
        super().__init__(socket.SOCK_STREAM, port)
        self.socket.listen()
        self._context = context
        self._sessions: dict[socket.socket, bytearray] = {}
        self.connections = 0
        self.ended = 0

    def _serve(self) -> None:
        try:
            while ready := self.readable(self.socket, *self._sessions):
                for sock in ready:
                    if sock is self.socket:
                        self._accept()
                    else:
                        self._read(sock)
        finally:
            for sock in self._sessions:
                sock.close()

    def _accept(self) -> None:
        plain, _ = self.socket.accept()
        self.connections += 1
        plain.settimeout(PATIENCE)
        try:
            session = self._context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False)
        except OSError:  # the client does not like us, or we do not like it
            plain.close()
            return
        self._sessions[session] = bytearray()

    def _read(self, sock: socket.socket) -> None:
        """RFC 5425 4.3: MSG-LEN SP SYSLOG-MSG, and nothing between two of them."""
        unread = self._sessions[sock]
        sock.settimeout(0)
        over = True
        try:
            while some := sock.recv(1 << 16):
                unread += some
            self.ended += 1
        except ssl.SSLWantReadError:
            over = False
        except (ssl.SSLEOFError, ConnectionResetError):
            pass
        while (found := re.match(rb"([1-9]\d*) ", unread)) is not None:
            end = found.end() + int(found[1])
            if len(unread) < end:
                break
            self.take(bytes(unread[found.end() : end]))
            del unread[:end]
        if over:
            assert not self._sessions.pop(sock), "the connection ended within a message"
            sock.close()


# Certificates --------------------------------------------------------------------------------------


class Authority:
    """A certificate authority that issues what it is asked for, into files of a directory."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._signed(self._name, self._key, None)
        self.path = directory / f"{name}.pem"
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, host: str = "127.0.0.1") -> tuple[Path, Path]:
        """A certificate for this address, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(subject, key, host)
        paths = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    def context(self, name: str, *, ask: bool = False, host: str = "127.0.0.1") -> ssl.SSLContext:
        """A server's; `ask` = it wants a certificate of this authority from its clients."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, host))
        if ask:
            context.load_verify_locations(self.path)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, host: str | None
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def soon(condition: object, what: str) -> None:
    """Wait until the condition holds, in a test without an event loop."""
    assert callable(condition)
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.005)
