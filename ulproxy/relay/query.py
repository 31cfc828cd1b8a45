"""One request to a group (PS3.4 C.4): what is still due of whom, and what the answers come to."""

from __future__ import annotations

from typing import Final, NamedTuple

from ulproxy.dimse.command import CommandField, CommandSet, Element, Status, response
from ulproxy.dimse.message import Message

_COMPLETED: Final = (
    Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS,
    Element.NUMBER_OF_FAILED_SUB_OPERATIONS,
    Element.NUMBER_OF_WARNING_SUB_OPERATIONS,
)
_UNABLE_TO_PROCESS: Final = 0xC
_REMAINING: Final = Element.NUMBER_OF_REMAINING_SUB_OPERATIONS
# One after the other: the C-STOREs of a C-GET come on the same association, and their counts are added up.
_RETRIEVALS: Final = frozenset({int(CommandField.C_GET_RQ), int(CommandField.C_MOVE_RQ)})
# PS3.7 annex C: what a final status says of the request as a whole.
_SUCCEEDED: Final = frozenset({int(Status.SUCCESS), int(Status.SUB_OPERATIONS_FAILED)})


class Answered(NamedTuple):
    """The final response of one member, and the instances that it lists as failed (PS3.4 C.4.2.1.4.2).

    `text` says why the relay answers for it.
    """

    command: CommandSet
    failed: tuple[str, ...] = ()
    text: str = ""


class Query:
    """A request, whole, on its way through the members; `due` are those still to be asked, in order."""

    def __init__(self, message: Message, data_set: bytes, due: list[str]) -> None:
        self.message = message
        self.data_set = data_set
        self.due = due
        self.members = len(due)  # each is given the data set with its own titles
        self.asked: set[str] = set()
        self.answers: dict[str, Answered] = {}
        self.cancelled = False
        self.waits = False  # for another C-MOVE to end
        self.waited = False  # and the log knows

    @property
    def retrieves(self) -> bool:
        """Whether it goes to one member after the other."""
        return self.message.command.request in _RETRIEVALS

    @property
    def over(self) -> bool:
        """Whether everybody has answered."""
        return not self.due and not self.asked

    def is_answered_by(self, name: str, command: CommandSet) -> bool:
        """Whether a response of this member, with the caller's Message ID, is to this request."""
        asked = self.message.command
        return name in self.asked and (asked.message_id, asked.request) == (
            command.message_id,
            command.request,
        )

    def pending(self, command: CommandSet) -> CommandSet:
        """A pending response of one member with what the others have done before it."""
        if not self.retrieves:
            return command
        changes: dict[Element, str | int | None] = {
            element: _bounded(command.unsigned(element) + self._sum(element))
            for element in _COMPLETED
        }
        return command.replaced(changes)

    def final(self) -> CommandSet:
        """What the group answers as a whole: a failure if all failed, a warning if some did."""
        answers = [answer.command for answer in self.answers.values()]
        statuses = [
            answer.command.unsigned(Element.STATUS)
            for answer in self.answers.values()
            if not self._has_none_of_it(answer)
        ]
        command = response(self.message.command, Status.SUCCESS)
        changes: dict[Element, str | int | None] = {Element.STATUS: self._status(statuses)}
        if self.retrieves and any(_COMPLETED[0] in answer for answer in answers):
            for element in _COMPLETED:
                changes[element] = _bounded(self._sum(element))
            if changes[Element.STATUS] == Status.CANCEL:
                changes[_REMAINING] = _bounded(self._sum(_REMAINING))
        return command.replaced(changes)

    @property
    def failed(self) -> list[str]:
        """The instances that were not retrieved, of all members that say so."""
        return [uid for answer in self.answers.values() for uid in answer.failed]

    def _has_none_of_it(self, answer: Answered) -> bool:
        """Whether an archive says "unable to process", as some then do, while another one has it."""
        says = answer.command.unsigned(Element.STATUS) >> 12 == _UNABLE_TO_PROCESS
        tried = any(answer.command.unsigned(element) for element in _COMPLETED)
        return self.retrieves and says and not tried and self._sum(_COMPLETED[0]) > 0

    def _status(self, statuses: list[int]) -> int:
        if self.cancelled or int(Status.CANCEL) in statuses:
            return Status.CANCEL
        if not any(status in _SUCCEEDED for status in statuses):
            return statuses[0] if statuses else Status.PROCESSING_FAILURE
        if any(status != Status.SUCCESS for status in statuses):
            return Status.SUCCESS if self._is_echo else Status.SUB_OPERATIONS_FAILED
        return Status.SUCCESS

    @property
    def _is_echo(self) -> bool:
        """A C-ECHO succeeds if any member's does."""
        return self.message.command.request == CommandField.C_ECHO_RQ

    def _sum(self, element: Element) -> int:
        return sum(answer.command.unsigned(element) for answer in self.answers.values())


def _bounded(count: int) -> int:
    """These elements have 16 bits."""
    return min(count, 0xFFFF)
