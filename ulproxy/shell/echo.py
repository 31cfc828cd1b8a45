"""C-ECHO to an AE of the configuration, as the relay would call it (PS3.4 annex A, as SCU)."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Final

from ulproxy import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from ulproxy.dimse.command import NO_DATA_SET, CommandField, Element, command_set
from ulproxy.dimse.message import Message, MessageReader
from ulproxy.errors import UlproxyError
from ulproxy.pdu.associate import AAssociateRQ, PresentationContextRQ, encode_rq, titles
from ulproxy.pdu.association import (
    AbortIndication,
    AssociateConfirmation,
    Association,
    Close,
    Output,
    PAbortIndication,
    ReleaseConfirmation,
    Send,
)
from ulproxy.pdu.fsm import Role
from ulproxy.pdu.items import UserInformation
from ulproxy.pdu.reader import CommandFragment
from ulproxy.pdu.types import Rejection, Result
from ulproxy.pdu.writer import command_message
from ulproxy.policy.endpoints import Endpoint
from ulproxy.shell.connect import reason

VERIFICATION: Final = "1.2.840.10008.1.1"
_IMPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
_MAXIMUM_LENGTH: Final = 16384


class EchoError(UlproxyError):
    """The AE did not answer the C-ECHO; the text says what it did instead."""


def echo(endpoint: Endpoint, called: str, calling: str, seconds: float) -> tuple[int, float]:
    """Sends one C-ECHO; returns its status and the seconds from connecting to the response.

    Raises EchoError. `seconds` bounds the connecting and each wait for the AE.
    """
    began = time.monotonic()
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=seconds) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            status = _Conversation(sock).verify(called, calling)
    except TimeoutError:
        raise EchoError(f"no answer within {seconds:g} s") from None
    except OSError as error:
        raise EchoError(f"{endpoint}: {reason(error)}") from None
    return status, time.monotonic() - began


class _Conversation:
    """An association of our own on a blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._association = Association(Role.REQUESTOR)
        self._association.limit_received(_MAXIMUM_LENGTH)

    def verify(self, called: str, calling: str) -> int:
        information = UserInformation(
            _MAXIMUM_LENGTH,
            IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        )
        context = PresentationContextRQ(1, VERIFICATION, (_IMPLICIT_LITTLE_ENDIAN,))
        request = AAssociateRQ(titles(called, calling), (context,), information)
        self._association.connect(encode_rq(request))
        self._send(self._association.transport_connected())
        self._negotiated()
        message = self._response()
        self._send(self._association.request_release())
        for output in self._outputs():
            if isinstance(output, ReleaseConfirmation):
                break
        return message.command.unsigned(Element.STATUS)

    def _negotiated(self) -> None:
        for output in self._outputs():
            if isinstance(output, AssociateConfirmation):
                answer = output.answer
                if isinstance(answer, Rejection):
                    raise EchoError(f"the association was rejected: {_numbers(answer)}")
                if answer.presentation_contexts[0].result != Result.ACCEPTANCE:
                    raise EchoError("the AE is no Verification SCP")
                self._longest = answer.user_information.maximum_length
                return

    def _response(self) -> Message:
        command = command_set(
            {
                Element.AFFECTED_SOP_CLASS_UID: VERIFICATION,
                Element.COMMAND_FIELD: CommandField.C_ECHO_RQ,
                Element.MESSAGE_ID: 1,
                Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
            }
        )
        self._socket.sendall(command_message(1, command.encode(), self._longest))
        messages = MessageReader({1})
        for output in self._outputs():
            if isinstance(output, CommandFragment):
                message = messages.command_fragment(output)
                if message is not None:
                    return message
        raise AssertionError("outputs end with an error only")

    def _outputs(self) -> Iterator[Output]:
        """What the AE says, until whoever asks has heard enough; raises EchoError at its end."""
        while data := self._socket.recv(1 << 16):
            for output in self._association.receive_data(memoryview(data)):
                self._send([output])
                if isinstance(output, AbortIndication):
                    raise EchoError(f"the AE aborted: {_numbers(output)}")
                if isinstance(output, PAbortIndication):
                    fault = output.fault
                    raise EchoError(f"the AE broke the protocol: {fault.text if fault else ''}")
                yield output
                if isinstance(output, Close):
                    return
        raise EchoError("the AE closed the connection")

    def _send(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self._socket.sendall(output.data)


def _numbers(fields: tuple[int, ...]) -> str:
    return ",".join(map(str, fields))
