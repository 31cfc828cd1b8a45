"""A Verification SCP on a thread, and what may be wrong with it on purpose.

Without a flaw it is what the relay itself is made of: the state machine, the codecs, the message reader.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ulproxy.conform.wire import fragments, p_data
from ulproxy.dimse.command import CommandSet, Status, response
from ulproxy.dimse.message import MessageReader
from ulproxy.dimse.services import VERIFICATION
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import AAssociateAC, AAssociateRQ, PresentationContextAC, encode_ac
from ulproxy.pdu.association import (
    AssociateIndication,
    Association,
    Close,
    Output,
    ReleaseIndication,
    Send,
    StartArtim,
    StopArtim,
)
from ulproxy.pdu.fsm import Role, State
from ulproxy.pdu.items import UserInformation
from ulproxy.pdu.reader import CommandFragment, PDataRun
from ulproxy.pdu.types import (
    APPLICATION_CONTEXT_NAME,
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    AbortReason,
    AbortSource,
    Rejection,
    Result,
)
from ulproxy.pdu.writer import a_abort, command_message

TITLE = "CONFORM"
MAXIMUM_LENGTH = 4096
SYNTAXES = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)


class HangUpError(Exception):
    """Raised by a flaw that closes the connection."""


@dataclass(frozen=True)
class Flaw:
    """What is done to what is heard and said, by whole PDUs; nothing by default.

    `hears` returns what the acceptor makes of a PDU: the bytes it takes it for, none to ignore it.
    `answers` comes before that: what is said instead of all else, None = go on. `says` turns what would be
    said into what is. `rejects` replaces the decision on a request.
    """

    hears: Callable[[bytes], bytes] | None = None
    answers: Callable[[bytes], bytes | None] = lambda _: None
    says: Callable[[bytes], bytes] = lambda data: data
    rejects: Callable[[AAssociateRQ], Rejection | None] | None = None
    artim: float | None = 1.0
    at_artim: bytes = b""
    closes_after: Callable[[bytes], bool] = lambda _: False
    connections: int = 0  # how many at once, 0 = any number
    mortal: bool = False  # ends with its first connection
    maximum_length: int = MAXIMUM_LENGTH  # what is enforced, whatever was said
    longest: int | None = None  # what is said at most, whatever the requestor takes
    odd: bool = False  # fills what the requestor takes, to an odd fragment too
    segments: bool = False  # takes each segment for a PDU
    abstract_syntax: str = VERIFICATION
    talks_on: bool = False  # says A-ABORT to whatever comes in Sta13
    restless: bool = False  # whatever comes restarts ARTIM


NONE = Flaw()


def rejection(request: AAssociateRQ) -> Rejection | None:
    if not request.protocol_version & 1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context_name != APPLICATION_CONTEXT_NAME:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    if request.called_ae_title != TITLE:
        return CALLED_AE_TITLE_NOT_RECOGNIZED
    return None if request.calling_ae_title else CALLING_AE_TITLE_NOT_RECOGNIZED


def contexts(request: AAssociateRQ, abstract_syntax: str) -> list[PresentationContextAC]:
    answered = []
    for one in request.presentation_contexts:
        known = [syntax for syntax in one.transfer_syntaxes if syntax in SYNTAXES]
        result = Result.ACCEPTANCE if known else Result.TRANSFER_SYNTAXES_NOT_SUPPORTED
        if one.abstract_syntax != abstract_syntax:
            result = Result.ABSTRACT_SYNTAX_NOT_SUPPORTED
        answered.append(PresentationContextAC(one.context_id, result, (known or [""])[0]))
    return answered


def _length(data: bytes) -> int:
    """Of the PDU that begins with these bytes, with its header."""
    return int.from_bytes(data[2:6]) + 6


@dataclass
class Served:
    """One connection."""

    sock: socket.socket
    flaw: Flaw
    stopped: threading.Event
    association: Association = field(default_factory=lambda: Association(Role.ACCEPTOR))
    messages: MessageReader = field(default_factory=lambda: MessageReader(()))
    maximum_length: int = 0
    ends: float | None = None
    open: bool = True

    def run(self) -> None:
        self.sock.settimeout(0.01)
        self.association.limit_received(self.flaw.maximum_length)
        self.handle(self.association.transport_connected())
        unread = b""
        while self.open and not self.stopped.is_set():
            if self.ends is not None and time.monotonic() > self.ends:
                self.sock.sendall(self.flaw.at_artim)
                self.handle(self.association.artim_expired())
                continue
            with contextlib.suppress(TimeoutError):
                data = self.sock.recv(1 << 16)
                if not data:
                    return
                if self.flaw.restless and self.ends is not None:
                    self.ends = time.monotonic() + (self.flaw.artim or 0)
                if self.flaw.segments and (len(data) < 6 or _length(data) != len(data)):
                    raise HangUpError
                unread = self.take(unread + data)

    def take(self, data: bytes) -> bytes:
        """Gives the association what came; with a flaw that hears PDUs only whole ones."""
        if self.flaw.hears is None or _length(data) > 1 << 20:
            self.handle(self.association.receive_data(memoryview(data)))
            return b""
        while len(data) >= 6 and (end := _length(data)) <= len(data):
            pdu, data = data[:end], data[end:]
            instead = self.flaw.answers(pdu)
            if self.flaw.talks_on and self.association.state is State.Sta13:
                instead = a_abort(AbortSource.SERVICE_PROVIDER, AbortReason.UNEXPECTED_PDU)
            if instead is not None:
                self.sock.sendall(instead)
            else:
                self.handle(self.association.receive_data(memoryview(self.flaw.hears(pdu))))
        return data

    def handle(self, outputs: Iterator[Output] | list[Output]) -> None:
        for output in outputs:
            match output:
                case Send(said):
                    self.sock.sendall(self.flaw.says(bytes(said)))
                    if self.flaw.closes_after(bytes(said)):
                        raise HangUpError
                case Close():
                    self.open = False
                case StartArtim():
                    self.ends = (
                        None if self.flaw.artim is None else time.monotonic() + self.flaw.artim
                    )
                case StopArtim():
                    self.ends = None
                case AssociateIndication(request):
                    self.answer(request)
                case ReleaseIndication():
                    self.handle(self.association.respond_release())
                case CommandFragment() | PDataRun():
                    self.p_data(output)
                case _:
                    pass

    def answer(self, request: AAssociateRQ) -> None:
        why = (self.flaw.rejects or rejection)(request)
        if why is not None:
            self.handle(self.association.reject(why))
            return
        answered = contexts(request, self.flaw.abstract_syntax)
        self.messages = MessageReader({one.context_id for one in answered if not one.result})
        self.maximum_length = request.user_information.maximum_length
        information = UserInformation(
            MAXIMUM_LENGTH, "1.2.3.4", implementation_version_name="MODEL"
        )
        made = encode_ac(AAssociateAC(request.titles, tuple(answered), information))
        self.handle(self.association.accept(made))

    def p_data(self, output: CommandFragment | PDataRun) -> None:
        try:
            if isinstance(output, PDataRun):
                self.messages.data_run(output)
                return
            message = self.messages.command_fragment(output)
        except RemoteProtocolError as error:
            self.handle(self.association.abort(AbortSource.SERVICE_PROVIDER, error.reason))
            return
        if message is not None:
            self.respond(message.context_id, response(message.command, Status.SUCCESS))

    def respond(self, context_id: int, command: CommandSet) -> None:
        longest = self.maximum_length if self.flaw.longest is None else self.flaw.longest
        said = command_message(context_id, command.encode(), longest)
        if self.flaw.odd and longest:
            said = b"".join(map(p_data, fragments(command.encode(), longest - 6, context_id)))
        self.sock.sendall(self.flaw.says(said))


class Acceptor:
    """Serves until it is closed; `port` is where."""

    def __init__(self, flaw: Flaw = NONE) -> None:
        self._flaw = flaw
        self._stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._socket.settimeout(0.05)
        self.port: int = self._socket.getsockname()[1]
        self._slots = threading.Semaphore(flaw.connections or 1000)
        self._threads = [threading.Thread(target=self._accept, name="an acceptor")]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(TimeoutError):
                sock = self._socket.accept()[0]
                thread = threading.Thread(target=self._serve, args=(sock,), name="a served one")
                self._threads.append(thread)
                thread.start()
        self._socket.close()

    def _serve(self, sock: socket.socket) -> None:
        with sock, self._slots, contextlib.suppress(HangUpError, OSError):
            Served(sock, self._flaw, self._stopped).run()
        if self._flaw.mortal:
            self._stopped.set()

    def close(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(10)


@contextmanager
def acceptor(flaw: Flaw = NONE) -> Iterator[Acceptor]:
    made = Acceptor(flaw)
    yield made
    made.close()
