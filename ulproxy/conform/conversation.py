"""One connection to the acceptor under test: bytes out, PDUs in, a transcript, a time to end by."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ulproxy.conform.answer import Answer, Response
from ulproxy.conform.fault import ViolationError
from ulproxy.conform.settings import Settings
from ulproxy.conform.words import in_words
from ulproxy.shell.connect import reason

LONGEST_PDU: Final = 1 << 20  # nothing that a case asks for is answered with more


class Conversation:
    """`answer` is the A-ASSOCIATE-AC, `request` what it answers, `response` the last C-ECHO-RSP."""

    def __init__(self, sock: socket.socket, settings: Settings, seconds: float) -> None:
        self.settings = settings
        self.transcript: list[str] = []
        self.request = b""
        self.answer: Answer | None = None
        self.response: Response | None = None
        self._socket = sock
        self._end = time.monotonic() + seconds
        self._unread = b""

    @property
    def maximum_length(self) -> int:
        """What the acceptor takes in a P-DATA-TF; 0 = no limit, or it has not said."""
        return self.answer.maximum_length if self.answer else 0

    def send(self, data: bytes, pieces: int = 0, pause: float = 0.0) -> None:
        """Says it; where `pieces` is given in so many bytes a segment, with a pause between them.

        An acceptor that has closed does not hear it: what it said before that counts.
        """
        cut = f", in segments of {pieces}" if pieces else ""
        self.transcript.append(f"> {in_words(data)}{cut}")
        step = pieces or len(data)
        try:
            for start in range(0, len(data), step):
                self._socket.settimeout(self._left(self.settings.timeout))
                self._socket.sendall(data[start : start + step])
                if pause:
                    time.sleep(self._left(pause))
        except TimeoutError:
            raise ViolationError("does not read") from None
        except OSError as error:
            self.transcript.append(f"> ... not taken: {reason(error)}")

    def hear(self, seconds: float | None = None) -> bytes | None:
        """The next PDU; empty when the connection is over, None when there is nothing in that time."""
        end = time.monotonic() + self._left(self.settings.timeout if seconds is None else seconds)
        while not (length := self._whole()):
            more = self._read(end - time.monotonic())
            if more is None:
                self._say(f"< nothing but {in_words(self._unread)}" if self._unread else None)
                return None
            if not more:
                return self._over()
            self._unread += more
        pdu, self._unread = self._unread[:length], self._unread[length:]
        self._say(f"< {in_words(pdu)}")
        return pdu

    def hear_again(self, pdu: bytes) -> None:
        """Puts back what was heard last."""
        self._unread = pdu + self._unread

    def close(self, *, reset: bool = False) -> None:
        """Ends the connection, in the middle of whatever it is; `reset` = by a TCP RST."""
        self._say("> the connection is reset" if reset else "> the connection is closed")
        if reset:
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._socket.close()

    def _whole(self) -> int:
        """The length of the PDU that has come whole; 0 where none has."""
        if len(self._unread) < 6:
            return 0
        length = int.from_bytes(self._unread[2:6]) + 6
        if length > LONGEST_PDU:
            raise ViolationError(f"said a PDU of {length} bytes: {self._unread[:6].hex(' ')}")
        return length if length <= len(self._unread) else 0

    def _read(self, seconds: float) -> bytes | None:
        if seconds <= 0:
            return None
        try:
            self._socket.settimeout(seconds)
            return self._socket.recv(1 << 16)
        except TimeoutError:
            return None
        except ConnectionError:  # unread bytes of ours make a close a reset
            return b""

    def _over(self) -> bytes:
        if self._unread:
            text = in_words(self._unread)
            self._unread = b""
            raise ViolationError(f"closed the connection within a PDU: {text}")
        self._say("< the connection is closed")
        return b""

    def _left(self, seconds: float) -> float:
        return max(0.001, min(seconds, self._end - time.monotonic()))

    def _say(self, line: str | None) -> None:
        if line is not None and self.transcript[-1:] != [line]:
            self.transcript.append(line)


@contextmanager
def conversation(settings: Settings, seconds: float) -> Iterator[Conversation]:
    """Connects; raises ViolationError where that fails. The connection is closed at the end."""
    place = (settings.endpoint.host, settings.endpoint.port)
    try:
        sock = socket.create_connection(place, timeout=settings.timeout)
    except TimeoutError:
        raise ViolationError(f"no connection within {settings.timeout:g} s") from None
    except OSError as error:
        raise ViolationError(f"no connection: {reason(error)}") from None
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a segment for each piece
        yield Conversation(sock, settings, seconds)
