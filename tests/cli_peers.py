"""A file for the command line, and AEs that answer it by script: what they send is said byte for byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from click.testing import CliRunner, Result

from ulproxy.cli import main
from ulproxy.dimse.command import NO_DATA_SET, Element, command_set
from ulproxy.pdu.associate import AAssociateAC, PresentationContextAC, encode_ac
from ulproxy.pdu.items import UserInformation
from ulproxy.pdu.writer import command_message

CONFIG = """\
[relay]
title = "HOSP_A"

[limits]
connect = {connect}

[[listener]]
network = "inside"
bind = "127.0.0.1:{inside}"

[[listener]]
network = "outside"
bind = "127.0.0.1:{outside}"

[[ae]]
title = "WS1"
network = "inside"
address = "127.0.0.1:11120"
alias = "HA_WS1"

[[ae]]
title = "SENDER"
network = "inside"
sources = ["10.0.0.7"]

[[ae]]
title = "PACS"
network = "outside"
address = "127.0.0.1:{pacs}"
alias = "HB_PACS"
name = "pacs_b"
{more}
[[rule]]
from = ["WS1"]
to = ["pacs_b"]
services = ["echo", "move"]
"""
RULE = 1 + CONFIG[: CONFIG.index("[[rule]]")].count("\n")


def config(
    inside: int = 0, outside: int = 0, pacs: int = 104, connect: float = 10.0, more: str = ""
) -> str:
    return CONFIG.format(inside=inside, outside=outside, pacs=pacs, connect=connect, more=more)


TLS = '\ntls = {{ certificate = "{0}.pem", key = "{0}.key", ca = "a.pem", client_certificate = "{1}" }}'


def over_tls(name="a", asks="required"):
    """The file with TLS towards the inside."""
    tls = TLS.format(name, asks)
    return config().replace(
        '"\n\n[[listener]]\nnetwork = "out', f'"{tls}\n\n[[listener]]\nnetwork = "out'
    )


def called(*arguments: object) -> Result:
    """What the command prints; an exception that is no exit is the test's."""
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


A_RELEASE_RQ = bytes.fromhex("05 00 00000004 00000000")
A_RELEASE_RP = bytes.fromhex("06 00 00000004 00000000")


def a_abort(source: int, reason: int) -> bytes:
    return bytes.fromhex("07 00 00000004 0000") + bytes([source, reason])


def a_associate_ac(*contexts: tuple[int, int], maximum_length: int = 16384) -> bytes:
    """One that accepts context 1, unless it is said what each context gets."""
    answered = tuple(
        PresentationContextAC(context_id, result, "1.2.840.10008.1.2")
        for context_id, result in contexts or ((1, 0),)
    )
    return encode_ac(AAssociateAC(bytes(64), answered, UserInformation(maximum_length, "1.2")))


def c_echo_rsp(
    status: int | None = 0, field: int = 0x8030, message_id: int = 1, context_id: int = 1
) -> bytes:
    command = command_set(
        {
            Element.COMMAND_FIELD: field,
            Element.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
            Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
            Element.STATUS: status,
        }
    )
    return command_message(context_id, command.encode(), 16384)


def read_pdu(sock: socket.socket) -> bytes:
    """The next PDU, or nothing when the other side has ended."""
    head = read_exactly(sock, 6)
    return head + read_exactly(sock, int.from_bytes(head[2:]))


def read_exactly(sock: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length and (piece := sock.recv(length - len(data))):
        data += piece
    return data


Step = bytes | Callable[[socket.socket], object]


class Peer:
    """Answers each PDU with the next bytes of its script, then waits for what else comes."""

    def __init__(self, *script: Step) -> None:
        self.received: list[bytes] = []
        self._script = iter(script)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._socket, self._socket.accept()[0] as sock:
            sock.settimeout(10)
            with suppress(OSError):
                while pdu := read_pdu(sock):
                    self.received.append(pdu)
                    step = next(self._script, b"")
                    if isinstance(step, bytes):
                        sock.sendall(step)
                    else:
                        step(sock)

    def close(self) -> None:
        self._thread.join(10)


@contextmanager
def peer(*script: Step) -> Iterator[Peer]:
    one = Peer(*script)
    yield one
    one.close()


def hang_up(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_RDWR)


def byte_by_byte(data: bytes) -> Callable[[socket.socket], None]:
    def send(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for n in range(len(data)):
            sock.sendall(data[n : n + 1])

    return send
