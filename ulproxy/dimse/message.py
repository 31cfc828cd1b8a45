"""Fragments -> messages, in one direction of an association (PS3.7 6.3, PS3.8 annex E).

A command set is assembled, because it is small; of a data set only its beginning and end are followed.
Fragments of two messages never interleave and a message keeps to one presentation context (E.1).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import Enum, auto

from ulproxy.dimse.command import CommandSet, decode
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.reader import CommandFragment, PDataRun
from ulproxy.pdu.types import MAX_COMMAND, AbortReason


@dataclass(slots=True)
class Message:
    """The command set of a message; its data set, if any, follows as fragments."""

    context_id: int
    command: CommandSet


class _Awaited(Enum):
    MESSAGE = auto()
    COMMAND_FRAGMENT = auto()
    DATA_FRAGMENT = auto()


_MESSAGE, _COMMAND_FRAGMENT, _DATA_FRAGMENT = _Awaited


class MessageReader:
    """Follows the messages that one side sends, on the contexts that were accepted."""

    def __init__(self, contexts: Container[int]) -> None:
        self._contexts = contexts
        self._awaited = _MESSAGE
        self._context_id = 0
        self._command = bytearray()

    @property
    def under_way(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._awaited is not _MESSAGE

    def command_fragment(self, fragment: CommandFragment) -> Message | None:
        """Takes a piece of a command fragment; returns the message when its command set is whole.

        Raises RemoteProtocolError: not the moment for a command, an unknown context, too long or broken.
        """
        if self._awaited is _MESSAGE:
            if fragment.context_id not in self._contexts:
                raise RemoteProtocolError(
                    f"presentation context {fragment.context_id} not accepted"
                )
            self._context_id, self._awaited = fragment.context_id, _COMMAND_FRAGMENT
        self._expect(_COMMAND_FRAGMENT, fragment.context_id)
        if len(self._command) + len(fragment.data) > MAX_COMMAND:
            raise RemoteProtocolError(f"command set of more than {MAX_COMMAND} bytes")
        if not fragment.last:
            self._command += fragment.data
            return None
        command = decode(b"".join((self._command, fragment.data)))
        self._command.clear()
        self._awaited = _DATA_FRAGMENT if command.has_data_set else _MESSAGE
        return Message(fragment.context_id, command)

    def data_run(self, run: PDataRun) -> None:
        """Takes a run of data fragments; raises RemoteProtocolError where none is awaited."""
        self._expect(_DATA_FRAGMENT, run.context_id)
        if run.last:
            self._awaited = _MESSAGE

    def _expect(self, awaited: _Awaited, context_id: int) -> None:
        if self._awaited is not awaited or context_id != self._context_id:
            raise RemoteProtocolError(
                f"{awaited.name.lower()} of context {context_id} where"
                f" {self._awaited.name.lower()} of context {self._context_id} is awaited",
                AbortReason.UNEXPECTED_PARAMETER,
            )
