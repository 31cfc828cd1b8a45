"""PS3.8 9.3.5: P-DATA-TFs that are none, and those that are said."""

from __future__ import annotations

from typing import Final

from ulproxy import IMPLEMENTATION_CLASS_UID
from ulproxy.conform.case import Draft, clause, must, should
from ulproxy.conform.conversation import Conversation
from ulproxy.conform.rq import Context, rq
from ulproxy.conform.steps import (
    aborted,
    associate,
    close,
    depending,
    given_response,
    open_still,
    responds,
    say,
)
from ulproxy.conform.wire import c_echo, echo, p_data, pdv
from ulproxy.pdu.types import PduType

_ECHO: Final = c_echo()
_REFUSED: Final = rq(contexts=(Context(1), Context(3, abstract=IMPLEMENTATION_CLASS_UID)))


def _aborts(why: str, what: bytes) -> Draft:
    """A PDU that contradicts itself."""
    return must(f"a {why} is answered with A-ABORT (AA-8)", associate(), say(what), aborted)


def _on_context(why: str, context_id: int) -> Draft:
    """What 7.6.1 forbids to say, without saying what becomes of it."""
    return should(
        f"a C-ECHO-RQ on {why} is answered with A-ABORT",
        associate(_REFUSED),
        say(echo(context_id)),
        aborted,
    )


def _reserved(conversation: Conversation) -> str | None:
    pdus = given_response(conversation).pdus
    return None if not any(pdu[1] for pdu in pdus) else "byte 2 is not 00H"


def _context(conversation: Conversation) -> str | None:
    ids = {one.context_id for one in given_response(conversation).pdvs}
    return None if ids == {3} else f"context {', '.join(map(str, ids))}, not 3"


CLAUSES: Final = (
    clause(
        "9.3.5",
        "P-DATA-TF PDU structure",
        _aborts("P-DATA-TF without a PDV", p_data()),
        _aborts("P-DATA-TF with three bytes behind its last PDV", p_data(pdv(_ECHO), bytes(3))),
        should(
            "a P-DATA-TF of 4 GB is answered with A-ABORT, and not waited for",
            associate(),
            say(p_data(pdv(_ECHO), length=0xFFFF_FFFF)),
            depending("A-ABORT", {PduType.A_ABORT: (aborted,)}),
        ),
        must(
            "half a P-DATA-TF is not answered, and disturbs nobody",
            associate(),
            say(p_data(pdv(_ECHO))[:40]),
            open_still,
            close,
        ),
        must("byte 2 of a P-DATA-TF that is said is 00H", *responds(_reserved)),
    ),
    clause(
        "9.3.5.1",
        "Presentation data value item structure",
        _aborts("PDV of length 0", p_data(pdv(b"", length=0)[:4])),
        _aborts("PDV of length 1", p_data(pdv(b"", length=1)[:5])),
        _aborts("PDV that is longer than its P-DATA-TF", p_data(pdv(_ECHO, length=len(_ECHO) + 4))),
        _aborts("PDV of 4 GB in a small P-DATA-TF", p_data(pdv(_ECHO, length=0xFFFF_FFFF))),
        _aborts("PDV that ends within its command", p_data(pdv(_ECHO, length=len(_ECHO) - 2))),
        _on_context("a context that was refused", 3),
        _on_context("a context that was not proposed", 5),
        _on_context("a context of even id", 2),
        must("a response is on the context of its request", *responds(_context)),
    ),
)
