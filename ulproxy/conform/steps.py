"""What the scripts of the cases are written in. Each function makes a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ulproxy.conform.answer import Answer, Response, answer, command_in
from ulproxy.conform.case import Step
from ulproxy.conform.conversation import Conversation
from ulproxy.conform.fault import UnmetError, ViolationError
from ulproxy.conform.rq import LEGAL, Context, Request, rq
from ulproxy.conform.wire import echo as c_echo_rq
from ulproxy.conform.words import in_words
from ulproxy.dimse.command import CommandField, Element, Status
from ulproxy.dimse.services import VERIFICATION
from ulproxy.pdu.types import AbortReason, AbortSource, PduType, Rejection
from ulproxy.pdu.writer import A_RELEASE_RQ

CLOSED: Final = 0
C_ECHO_RSP: Final = CommandField.C_ECHO_RQ | 0x8000
Saying = bytes | Request | Callable[[Conversation], bytes]
"""What is said: PDUs, or what makes them when the acceptor, or its answer, is known."""

Ways = dict[int, tuple[Step, ...]]
"""How a script goes on, by the type of the PDU that comes; CLOSED = the end of the connection."""


def said(what: Saying, conversation: Conversation) -> bytes:
    """Its bytes."""
    if isinstance(what, Request):
        conversation.request = what.encode(conversation.settings)
        return conversation.request
    return what if isinstance(what, bytes) else what(conversation)


# What is said


def say(*parts: Saying, pieces: int = 0, pause: float = 0.0) -> Step:
    """Sends these in one segment, or in segments of so many bytes."""

    def step(conversation: Conversation) -> None:
        data = b"".join(said(part, conversation) for part in parts)
        conversation.send(data, pieces, pause)

    return step


def first(count: int, what: Saying) -> Saying:
    """Its first bytes; of a negative count, all but so many."""
    return lambda conversation: said(what, conversation)[:count]


def close(conversation: Conversation) -> None:
    """Ends the connection."""
    conversation.close()


def reset(conversation: Conversation) -> None:
    """Ends it by a RST."""
    conversation.close(reset=True)


# What is expected


def heard(conversation: Conversation, what: str, *, at_once: bool = False) -> bytes:
    """The next PDU, empty for the end of the connection; raises ViolationError where there is neither.

    `at_once` = before ARTIM could have ended it.
    """
    settings = conversation.settings
    seconds = settings.at_once if at_once else settings.timeout
    pdu = conversation.hear(seconds)
    if pdu is None:
        raise ViolationError(f"nothing within {seconds:g} s instead of {what}")
    return pdu


def instead(pdu: bytes, what: str) -> ViolationError:
    """The violation that this came and not that."""
    return ViolationError(f"{in_words(pdu) if pdu else 'end of the connection'} instead of {what}")


def accepted(conversation: Conversation) -> None:
    """Expects an A-ASSOCIATE-AC."""
    pdu = heard(conversation, "A-ASSOCIATE-AC")
    if pdu[:1] != bytes([PduType.A_ASSOCIATE_AC]):
        raise instead(pdu, "A-ASSOCIATE-AC")
    conversation.answer = answer(pdu)


def associate(request: Request = LEGAL, *ids: int) -> Step:
    """Asks for an association and expects that it is accepted, with these contexts (1)."""

    def step(conversation: Conversation) -> None:
        conversation.send(said(request, conversation))
        accepted(conversation)
        taken = given_answer(conversation).accepted
        for one in ids or (1,):
            if one not in taken:
                raise ViolationError(f"context {one} was not accepted")

    return step


def given_answer(conversation: Conversation) -> Answer:
    """The A-ASSOCIATE-AC that `accepted` has taken."""
    if conversation.answer is None:
        raise AssertionError("no association was asked for")
    return conversation.answer


def answered(conversation: Conversation) -> None:
    """Expects the C-ECHO-RSP, whatever it answers."""
    pdus: list[bytes] = []
    while True:
        pdu = heard(conversation, "C-ECHO-RSP")
        if not pdu:
            raise instead(pdu, "C-ECHO-RSP")
        pdus.append(pdu)
        response = command_in(pdus)
        if response is not None:
            break
    conversation.response = response
    command = response.command
    if command.command_field != C_ECHO_RSP:
        raise instead(b"".join(pdus), "C-ECHO-RSP")
    if command.unsigned(Element.STATUS) != Status.SUCCESS:
        raise instead(b"".join(pdus), "C-ECHO-RSP status 0000H")


def given_response(conversation: Conversation) -> Response:
    """The C-ECHO-RSP that `answered` has taken."""
    if conversation.response is None:
        raise AssertionError("no C-ECHO was answered")
    return conversation.response


def verification(conversation: Conversation) -> None:
    """Raises UnmetError where C-ECHO is none of what the contexts are for."""
    if conversation.settings.abstract_syntax != VERIFICATION:
        raise UnmetError("needs C-ECHO, so the Verification SOP class as abstract syntax")


def echo(context_id: int = 1, message_id: int = 1) -> Step:
    """A C-ECHO that is answered; nothing with another abstract syntax than Verification."""

    def step(conversation: Conversation) -> None:
        if conversation.settings.abstract_syntax == VERIFICATION:
            conversation.send(c_echo_rq(context_id, message_id))
            answered(conversation)

    return step


def released(conversation: Conversation) -> None:
    """Expects the A-RELEASE-RP."""
    pdu = heard(conversation, "A-RELEASE-RP")
    if pdu[:1] != bytes([PduType.A_RELEASE_RP]):
        raise instead(pdu, "A-RELEASE-RP")


def release(conversation: Conversation) -> None:
    """Releases the association."""
    conversation.send(A_RELEASE_RQ)
    released(conversation)


def aborted(conversation: Conversation) -> None:
    """Expects an A-ABORT, whatever it says."""
    pdu = heard(conversation, "A-ABORT")
    if pdu[:1] != bytes([PduType.A_ABORT]):
        raise instead(pdu, "A-ABORT")


def abort_says(source: AbortSource, *reasons: AbortReason) -> Step:
    """Expects an A-ABORT of this source, and of one of the reasons."""

    def step(conversation: Conversation) -> None:
        pdu = heard(conversation, "A-ABORT")
        if pdu[:1] != bytes([PduType.A_ABORT]) or len(pdu) != 10:
            raise instead(pdu, "A-ABORT")
        if pdu[8] != source or (reasons and pdu[9] not in reasons):
            wanted = "/".join(str(int(one)) for one in reasons) or "any reason"
            raise instead(pdu, f"A-ABORT source {int(source)}, {wanted}")

    return step


def rejected(conversation: Conversation) -> None:
    """Expects an A-ASSOCIATE-RJ, whatever it says."""
    pdu = heard(conversation, "A-ASSOCIATE-RJ")
    if pdu[:1] != bytes([PduType.A_ASSOCIATE_RJ]):
        raise instead(pdu, "A-ASSOCIATE-RJ")


def rejection_says(*triples: Rejection) -> Step:
    """Expects an A-ASSOCIATE-RJ with one of these results, sources and reasons."""

    def step(conversation: Conversation) -> None:
        pdu = heard(conversation, "A-ASSOCIATE-RJ")
        if pdu[:1] != bytes([PduType.A_ASSOCIATE_RJ]) or tuple(pdu[7:]) not in triples:
            raise instead(pdu, " or ".join(f"A-ASSOCIATE-RJ {t[0]},{t[1]},{t[2]}" for t in triples))

    return step


def refused(conversation: Conversation) -> None:
    """Expects an A-ASSOCIATE-RJ or an A-ABORT."""
    pdu = heard(conversation, "A-ASSOCIATE-RJ or A-ABORT")
    if pdu[:1] not in {bytes([PduType.A_ASSOCIATE_RJ]), bytes([PduType.A_ABORT])}:
        raise instead(pdu, "A-ASSOCIATE-RJ or A-ABORT")


def closed(conversation: Conversation) -> None:
    """Expects the end of the connection, and nothing before."""
    pdu = heard(conversation, "the end of the connection", at_once=True)
    if pdu:
        raise instead(pdu, "the end of the connection")


def closed_by_artim(conversation: Conversation) -> None:
    """The same when ARTIM has run out, in the patience of a timeout."""
    settings = conversation.settings
    pdu = conversation.hear((settings.artim or 0) + settings.timeout)
    if pdu is None:
        raise ViolationError(f"the connection is open {settings.timeout:g} s behind ARTIM")
    if pdu:
        raise instead(pdu, "the end of the connection")


def silent(conversation: Conversation) -> None:
    """Expects nothing, but perhaps the end of the connection."""
    pdu = conversation.hear(conversation.settings.quiet)
    if pdu:
        raise instead(pdu, "nothing")


def open_still(conversation: Conversation) -> None:
    """Expects nothing at all."""
    pdu = conversation.hear(conversation.settings.quiet)
    if pdu is not None:
        raise instead(pdu, "nothing")


def reacts(conversation: Conversation) -> None:
    """Expects an answer to an A-ASSOCIATE-RQ, of whichever kind, and none that is none."""
    pdu = heard(conversation, "an answer")
    if pdu and pdu[0] not in {2, 3, 7}:
        raise instead(pdu, "an answer")


def depending(what: str, on: Ways) -> Step:
    """Expects one of several PDUs, and goes on as it says for that one, which is heard again."""

    def step(conversation: Conversation) -> None:
        pdu = heard(conversation, what, at_once=CLOSED in on)
        steps = on.get(pdu[0] if pdu else CLOSED)
        if steps is None:
            raise instead(pdu, what)
        conversation.hear_again(pdu)
        for one in steps:
            one(conversation)

    return step


def given(what: str, *steps: Step) -> Step:
    """What must be so for the case to mean anything: where it is not, the case is skipped."""

    def step(conversation: Conversation) -> None:
        try:
            for one in steps:
                one(conversation)
        except ViolationError as violated:
            raise UnmetError(f"{what}: {violated}") from None

    return step


def that(check: Callable[[Conversation], str | None]) -> Step:
    """Expects something of what was heard; the check returns what is wrong with it, None = nothing."""

    def step(conversation: Conversation) -> None:
        wrong = check(conversation)
        if wrong is not None:
            raise ViolationError(wrong)

    return step


def works(request: Request = LEGAL, *ids: int) -> tuple[Step, ...]:
    """The script of what is accepted, answers a C-ECHO on each of the contexts, and is released."""
    return (associate(request, *ids), *map(echo, ids or (1,)), release)


def responds(check: Callable[[Conversation], str | None]) -> tuple[Step, ...]:
    """A C-ECHO on the second of two contexts, with a look at what answers it."""
    request = rq(contexts=(Context(1), Context(3)))
    return (
        verification,
        associate(request, 1, 3),
        say(c_echo_rq(3, message_id=0x1234)),
        answered,
        that(check),
        release,
    )


def unmet(why: str) -> Step:
    """Where a script comes here the case is skipped."""

    def step(_conversation: Conversation) -> None:
        raise UnmetError(why)

    return step
