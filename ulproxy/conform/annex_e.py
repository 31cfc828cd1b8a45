"""PS3.8 annex E: messages in fragments, the message control header."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ulproxy.conform.case import Draft, clause, must, should
from ulproxy.conform.conversation import Conversation
from ulproxy.conform.rq import USER, Context, maximum, rq
from ulproxy.conform.steps import (
    aborted,
    answered,
    associate,
    given_response,
    release,
    responds,
    say,
    that,
    verification,
)
from ulproxy.conform.wire import COMMAND, LAST, WHOLE, c_echo, echo, fragments, p_data, pdv
from ulproxy.dimse.command import Element
from ulproxy.dimse.services import VERIFICATION

_ECHO: Final = c_echo()
_TWO: Final = rq(contexts=(Context(1), Context(3)))
_DATA: Final = bytes(8)
_FIRST: Final = pdv(_ECHO[:40], control=COMMAND)
_SECOND: Final = pdv(_ECHO[40:])


def _answers(why: str, *pdus: bytes) -> Draft:
    """A C-ECHO-RQ that is said as E.1 allows."""
    return must(f"{why} is taken", verification, associate(), say(*pdus), answered, release)


def _aborts(why: str, *pdus: bytes) -> Draft:
    """What E.1 forbids to say, without saying what becomes of it."""
    return should(f"{why} is answered with A-ABORT", associate(_TWO, 1, 3), say(*pdus), aborted)


def _fragmented() -> Iterator[Draft]:
    yield _answers("a command in two P-DATA-TFs", p_data(_FIRST), p_data(_SECOND))
    yield _answers("a command in two PDVs of a P-DATA-TF", p_data(_FIRST, _SECOND))
    yield _answers("a command in fragments of 2 bytes", *map(p_data, fragments(_ECHO, 2)))
    yield _answers(
        "a command in fragments of 2 bytes in one P-DATA-TF", p_data(*fragments(_ECHO, 2))
    )
    yield _answers(
        "a command whose last element is cut", *map(p_data, fragments(_ECHO, len(_ECHO) - 2))
    )
    empty = pdv(b"", control=COMMAND)
    yield should(
        "a command that begins with a fragment of no bytes is taken",
        verification,
        associate(),
        say(p_data(empty), p_data(pdv(_ECHO))),
        answered,
        release,
    )
    yield should(
        "a command that ends with a fragment of no bytes is taken",
        verification,
        associate(),
        say(p_data(pdv(_ECHO, control=COMMAND)), p_data(pdv(b""))),
        answered,
        release,
    )
    yield must(
        "a message of each of two contexts is answered, one after the other",
        verification,
        associate(_TWO, 1, 3),
        say(echo(3, 1)),
        answered,
        say(echo(1, 2)),
        answered,
        release,
    )


def _forbidden() -> Iterator[Draft]:
    yield _aborts("an odd fragment", p_data(*fragments(_ECHO, 33)))
    yield _aborts(
        "a command whose fragments are of two contexts", p_data(_FIRST), p_data(pdv(_ECHO[40:], 3))
    )
    yield _aborts("a message within another one", p_data(_FIRST), echo(3, 2), p_data(_SECOND))
    yield _aborts("data without a command", p_data(pdv(_DATA, control=LAST)))
    yield _aborts("data within a command", p_data(_FIRST), p_data(pdv(_DATA, control=0)))
    yield _aborts(
        "a command set that ends within an element", p_data(pdv(_ECHO[:40], control=WHOLE))
    )
    yield _aborts("a command set of no bytes", p_data(pdv(b"")))
    yield _aborts("a command set that is none", p_data(pdv(b"\xff" * 40)))


def _even(conversation: Conversation) -> str | None:
    odd = [len(one.fragment) for one in given_response(conversation).pdvs if len(one.fragment) % 2]
    return f"fragment of {odd[0]} bytes" if odd else None


def _one_context(conversation: Conversation) -> str | None:
    ids = {one.context_id for one in given_response(conversation).pdvs}
    return None if len(ids) == 1 else f"fragments of the contexts {ids}"


def _message_id(conversation: Conversation) -> str | None:
    got = given_response(conversation).command.message_id
    return None if got == 0x1234 else f"a response to message {got:04X}H, not 1234H"


def _sop_class(conversation: Conversation) -> str | None:
    got = given_response(conversation).command.text(Element.AFFECTED_SOP_CLASS_UID)
    return None if got in {VERIFICATION, ""} else f"Affected SOP Class UID {got!r}"


def _no_data(conversation: Conversation) -> str | None:
    command = given_response(conversation).command
    return "a data set is to follow a C-ECHO-RSP" if command.has_data_set else None


def _is_command(conversation: Conversation) -> str | None:
    wrong = [one for one in given_response(conversation).pdvs if not one.control & COMMAND]
    return f"control header {wrong[0].control:02X}H for a command" if wrong else None


def _last_is_last(conversation: Conversation) -> str | None:
    early = [one for one in given_response(conversation).pdvs[:-1] if one.control & LAST]
    return "a fragment that is not the last one says so" if early else None


def _rest_zero(conversation: Conversation) -> str | None:
    wrong = [one.control for one in given_response(conversation).pdvs if one.control > WHOLE]
    return f"control header {wrong[0]:02X}H" if wrong else None


CLAUSES: Final = (
    clause(
        "E.1",
        "Encapsulation rules",
        *_fragmented(),
        *_forbidden(),
        must("fragments of a response are even", *responds(_even)),
        must(
            "fragments of a response are even to a requestor that takes 33 bytes too",
            verification,
            associate(rq(user=(maximum(33), *USER[1:]))),
            say(echo()),
            answered,
            that(_even),
            release,
        ),
        must("all fragments of a response are of one context", *responds(_one_context)),
        must("a response names the message of its request (PS3.7 9.3.5)", *responds(_message_id)),
        must(
            "a response names the SOP class of its request, or none (PS3.7 9.3.5)",
            *responds(_sop_class),
        ),
        must("a C-ECHO-RSP announces no data set (PS3.7 9.3.5)", *responds(_no_data)),
    ),
    clause(
        "E.2",
        "Message control header encoding",
        *(
            must(
                f"bits 2 to 7 of a control header are not checked: {control:02X}H",
                verification,
                associate(),
                say(p_data(pdv(_ECHO, control=control))),
                answered,
                release,
            )
            for control in (0x07, 0x83, 0xFF)
        ),
        must("bit 0 of a control header is set for a command", *responds(_is_command)),
        must(
            "bit 1 of a control header is set for the last fragment only", *responds(_last_is_last)
        ),
        must("bits 2 to 7 of a control header are 0", *responds(_rest_zero)),
    ),
)
