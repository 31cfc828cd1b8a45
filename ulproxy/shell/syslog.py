"""Syslog messages (RFC 5424) to an audit repository, over TLS (RFC 5425) or UDP (RFC 5426).

PS3.15 A.6 and A.7. Neither has an answer that would say a message was taken. Over TLS a message counts as
sent when the repository's TCP has acknowledged it and nothing has come back; over UDP when no ICMP error has.
"""

from __future__ import annotations

import array
import fcntl
import re
import socket
import ssl
import termios
import time
from contextlib import suppress
from typing import Final, Protocol

from ulproxy.policy.endpoints import Endpoint
from ulproxy.shell.tls import server_name
from ulproxy.watch.audit_message import AuditMessage, stamp

FACILITY: Final = 10  # PS3.15 A.6: security/authorization messages
NOTICE: Final = 5
WARNING: Final = 4
MSGID: Final = "DICOM+RFC3881"  # PS3.15 A.6
BOM: Final = b"\xef\xbb\xbf"  # RFC 5424 6.4: what follows is UTF-8

# Seconds for the repository to be connected with, to take what is written, and to acknowledge it.
PATIENCE: Final = 10.0
# Seconds in which a repository says that it does not like our certificate: in TLS 1.3 after the handshake.
GRACE: Final = 0.5
# Seconds in which an ICMP error comes back; they also keep bursts from overrunning the receiver's buffer.
ICMP_GRACE: Final = 0.05
_ACKNOWLEDGED: Final = 0.002  # seconds between two looks
_NOT_IN_HEADER: Final = re.compile(r"[^\x21-\x7e]")  # RFC 5424 6: PRINTUSASCII


def syslog_message(message: AuditMessage, host: str, process_id: str) -> bytes:
    """An audit message as a SYSLOG-MSG, without STRUCTURED-DATA."""
    priority = FACILITY * 8 + (WARNING if message.is_alarming else NOTICE)
    name = _NOT_IN_HEADER.sub("", host)[:255] or "-"
    moment = stamp(message.event.moment)
    header = f"<{priority}>1 {moment} {name} ulproxy {process_id} {MSGID} - "
    return header.encode("ascii") + BOM + message.encode()


class Repository(Protocol):
    """A way to the audit repository that stands; `at_once` are the messages for one `send`."""

    at_once: int

    def send(self, messages: list[bytes]) -> None:
        """Raises OSError where they cannot be taken as sent; some may have arrived all the same."""

    def close(self) -> None:
        """Not used any more."""


class TlsRepository:
    """RFC 5425: octet counting on a TLS connection. Raises OSError where it cannot be had."""

    at_once = 100

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext) -> None:
        plain = socket.create_connection((endpoint.host, endpoint.port), PATIENCE)
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            # RFC 5425 5.2: the certificate has to bear the host that was configured
            self._socket = context.wrap_socket(plain, server_hostname=server_name(endpoint.host))
        except BaseException:
            plain.close()
            raise
        self._is_fresh = True

    def send(self, messages: list[bytes]) -> None:
        """Waits until they are acknowledged; for the first ones longer, see `GRACE`."""
        self._listen(0)  # it may have gone while there was nothing to send
        self._socket.sendall(b"".join(b"%d %b" % (len(one), one) for one in messages))
        self._wait_for_acknowledgement()
        self._listen(GRACE if self._is_fresh else 0)
        self._is_fresh = False

    def close(self) -> None:
        """RFC 5425 4.4: says so, and does not wait for the repository to say it too."""
        with suppress(OSError):
            self._listen(0)  # what is unread now would make a TCP RST of the end
            self._socket.settimeout(0)
            self._socket.unwrap()
        self._socket.close()

    def _wait_for_acknowledgement(self) -> None:
        """Until the kernel has nothing left that the repository's has not acknowledged."""
        unacknowledged = array.array("i", [0])
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.ioctl(self._socket, termios.TIOCOUTQ, unacknowledged)
            except OSError:  # only Linux can tell
                return
            if not unacknowledged[0]:
                return
            if time.monotonic() > end:
                raise TimeoutError("the repository does not take what is sent to it")
            time.sleep(_ACKNOWLEDGED)

    def _listen(self, seconds: float) -> None:
        """A repository has nothing to say: what it says is an alert, or the end."""
        self._socket.settimeout(seconds)
        try:
            if not self._socket.recv(1 << 12):
                raise ConnectionResetError("the repository has closed the connection")
        except (ssl.SSLWantReadError, TimeoutError):
            pass
        finally:
            self._socket.settimeout(PATIENCE)


class UdpRepository:
    """RFC 5426: a message is a datagram."""

    at_once = 20

    def __init__(self, endpoint: Endpoint) -> None:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_DGRAM
        )
        self._socket = socket.socket(family, kind)
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise

    def send(self, messages: list[bytes]) -> None:
        """Waits for an ICMP error."""
        for message in messages:
            self._socket.send(message)
        time.sleep(ICMP_GRACE)
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "no repository there")

    def close(self) -> None:
        """The socket."""
        self._socket.close()
