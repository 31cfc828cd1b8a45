"""C-ECHO to an AE of the configuration, as the relay would call it (PS3.4 annex A, as SCU)."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from ulproxy import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from ulproxy.dimse.command import NO_DATA_SET, CommandField, CommandSet, Element, command_set
from ulproxy.dimse.message import MessageReader
from ulproxy.dimse.services import VERIFICATION
from ulproxy.errors import RemoteProtocolError, UlproxyError
from ulproxy.pdu.associate import AAssociateRQ, PresentationContextRQ, encode_rq, titles
from ulproxy.pdu.association import (
    AbortIndication,
    AssociateConfirmation,
    Association,
    Output,
    PAbortIndication,
    ReleaseConfirmation,
    ReleaseIndication,
    Send,
)
from ulproxy.pdu.fsm import Role
from ulproxy.pdu.items import UserInformation
from ulproxy.pdu.reader import CommandFragment
from ulproxy.pdu.types import (
    IMPLICIT_VR_LITTLE_ENDIAN,
    AbortReason,
    AbortSource,
    Rejection,
    Result,
)
from ulproxy.pdu.writer import command_message
from ulproxy.policy.endpoints import Endpoint
from ulproxy.policy.model import AeTls
from ulproxy.policy.values import Omittable
from ulproxy.shell.connect import reason
from ulproxy.shell.tls import calling, failure, server_name

_MAXIMUM_LENGTH: Final = 16384
_CONTEXT_ID: Final = 1
_MESSAGE_ID: Final = 1


class EchoError(UlproxyError):
    """The AE did not answer the C-ECHO; the text says what it did instead."""


def echo(
    endpoint: Endpoint,
    called: str,
    calling: str,
    seconds: float,
    omit: Collection[Omittable] = (),
    tls: AeTls | None = None,
) -> tuple[int, float]:
    """Sends one C-ECHO; returns its status and the seconds from connecting to the response.

    Raises EchoError. `seconds` bounds the connecting and each wait for the AE; `omit` and `tls` are those of
    its `[[ae]]`.
    """
    named = Omittable.IMPLEMENTATION_VERSION_NAME not in omit
    information = UserInformation(
        _MAXIMUM_LENGTH,
        IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME if named else None,
    )
    context = PresentationContextRQ(_CONTEXT_ID, VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN,))
    request = AAssociateRQ(titles(called, calling), (context,), information)
    began = time.monotonic()
    try:
        with _connection(endpoint, seconds, tls) as sock:
            conversation = _Conversation(sock)
            with conversation.aborted_on_error():
                maximum_length = conversation.associate(encode_rq(request))
                status = conversation.verify(maximum_length)
            taken = time.monotonic() - began
            conversation.release()
    except TimeoutError:
        raise EchoError(f"no answer within {seconds:g} s") from None
    except ssl.SSLError as error:
        raise EchoError(f"{endpoint}: {failure(error)}") from None
    except OSError as error:
        raise EchoError(f"{endpoint}: {reason(error)}") from None
    return status, taken


@contextmanager
def _connection(endpoint: Endpoint, seconds: float, tls: AeTls | None) -> Iterator[socket.socket]:
    context = None if tls is None else calling(tls)
    with socket.create_connection((endpoint.host, endpoint.port), timeout=seconds) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            yield sock
            return
        with context.wrap_socket(sock, server_hostname=server_name(endpoint.host)) as secure:
            try:
                yield secure
            except (ssl.SSLEOFError, BrokenPipeError):  # it closed; an alert may say why
                secure.recv(1)
                raise
            secure.setblocking(False)
            with suppress(OSError):  # close_notify, without waiting for the peer's (RFC 8446 6.1)
                secure.unwrap()


class _Conversation:
    """An association of our own on a blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._association = Association(Role.REQUESTOR)
        self._association.limit_received(_MAXIMUM_LENGTH)
        self._heard = self._outputs()

    def associate(self, request: bytes) -> int:
        """Asks for the association; returns the maximum length of what the AE takes."""
        self._association.connect(request)
        self._send(self._association.transport_connected())
        for output in self._heard:
            if isinstance(output, AssociateConfirmation):
                answer = output.answer
                if isinstance(answer, Rejection):
                    raise EchoError(f"the association was rejected: {_numbers(answer)}")
                if (_CONTEXT_ID, Result.ACCEPTANCE) not in {
                    context[:2] for context in answer.presentation_contexts
                }:
                    raise EchoError("the AE is no Verification SCP")
                return answer.user_information.maximum_length
        raise AssertionError("what is heard ends with an error only")

    def verify(self, maximum_length: int) -> int:
        """Sends the C-ECHO; returns the status of its response."""
        command = command_set(
            {
                Element.AFFECTED_SOP_CLASS_UID: VERIFICATION,
                Element.COMMAND_FIELD: CommandField.C_ECHO_RQ,
                Element.MESSAGE_ID: _MESSAGE_ID,
                Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
            }
        )
        self._socket.sendall(command_message(_CONTEXT_ID, command.encode(), maximum_length))
        messages = MessageReader({_CONTEXT_ID})
        for output in self._heard:
            if isinstance(output, ReleaseIndication):
                raise EchoError("the AE released the association without an answer")
            if isinstance(output, CommandFragment):
                message = messages.command_fragment(output)
                if message is not None:
                    return _status(message.command)
        raise AssertionError("what is heard ends with an error only")

    def release(self) -> None:
        """Ends the association; the C-ECHO was answered, so however the AE does that is fine."""
        with suppress(EchoError, OSError), self.aborted_on_error():
            self._send(self._association.request_release())
            for output in self._heard:
                if isinstance(output, ReleaseConfirmation):
                    break
                if isinstance(output, ReleaseIndication):  # it asked at the same time
                    self._send(self._association.respond_release())

    @contextmanager
    def aborted_on_error(self) -> Iterator[None]:
        """PS3.8 9.1.4: a transport connection is not simply dropped, so whoever gives up says so."""
        try:
            yield
        except RemoteProtocolError as error:
            self._abort(AbortSource.SERVICE_PROVIDER, error.reason)
            raise EchoError(f"the AE broke the protocol: {error}") from None
        except (EchoError, OSError):
            self._abort(AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)
            raise

    def _abort(self, source: int, why: int) -> None:
        if self._association.open:
            with suppress(OSError):
                self._send(self._association.abort(source, why))

    def _outputs(self) -> Iterator[Output]:
        """What the AE says; raises EchoError at its end."""
        while data := self._socket.recv(1 << 16):
            for output in self._association.receive_data(memoryview(data)):
                self._send([output])
                if isinstance(output, AbortIndication):
                    raise EchoError(f"the AE aborted: {_numbers(output)}")
                if isinstance(output, PAbortIndication):
                    fault = output.fault
                    raise EchoError(f"the AE broke the protocol: {fault.text if fault else ''}")
                yield output
        raise EchoError("the AE closed the connection")

    def _send(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self._socket.sendall(output.data)


def _status(command: CommandSet) -> int:
    answered = (command.command_field, command.message_id)
    if answered != (CommandField.C_ECHO_RQ | 0x8000, _MESSAGE_ID) or Element.STATUS not in command:
        raise EchoError(f"the AE answered with {command!r}, which is no response to a C-ECHO")
    return command.unsigned(Element.STATUS)


def _numbers(fields: tuple[int, ...]) -> str:
    return ",".join(map(str, fields))
