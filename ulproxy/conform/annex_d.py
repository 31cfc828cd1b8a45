"""PS3.8 annex D: maximum length, and the user information that PS3.7 D.3.3 adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from ulproxy.conform.case import Draft, Step, clause, must, should
from ulproxy.conform.clause_9_3_2 import reacted
from ulproxy.conform.conversation import Conversation
from ulproxy.conform.fault import UnmetError
from ulproxy.conform.rq import UID, USER, VERSION_NAME, Request, counted, maximum, rq, with_user
from ulproxy.conform.steps import (
    aborted,
    accepted,
    answered,
    associate,
    depending,
    given_answer,
    given_response,
    refused,
    release,
    say,
    that,
    verification,
    works,
)
from ulproxy.conform.wire import c_echo, p_data, pdv
from ulproxy.dimse.services import VERIFICATION
from ulproxy.pdu.items import item
from ulproxy.pdu.types import ItemType, PduType

LONGEST: Final = 1 << 17  # what is longer is not worth the time


def _taking(length: int) -> Request:
    return rq(user=(maximum(length), UID, VERSION_NAME))


def _fits(length: int) -> Callable[[Conversation], str | None]:
    def check(conversation: Conversation) -> str | None:
        longest = max(len(pdu) - 6 for pdu in given_response(conversation).pdus)
        return None if longest <= length else f"P-DATA-TF of {longest} bytes, {length} were allowed"

    return check


def _room(conversation: Conversation) -> int:
    """What the acceptor takes in a P-DATA-TF; raises UnmetError where that has no end, or a far one."""
    room = given_answer(conversation).maximum_length
    if not 200 <= room <= LONGEST:
        raise UnmetError(f"takes {room or 'any number of'} bytes in a P-DATA-TF")
    return room


def _filling(more: int) -> Callable[[Conversation], bytes]:
    """A C-ECHO-RQ in one P-DATA-TF that is so many bytes longer than the acceptor takes."""

    def make(conversation: Conversation) -> bytes:
        # a list of attribute tags is a multiple of four bytes, the rest of a command is not
        command = c_echo(of_length=((_room(conversation) - 6) & ~3) + more)
        return p_data(pdv(command))

    return make


def _lengths() -> Iterator[Draft]:
    for length in (128, 33, 12, 8):
        yield must(
            f"no P-DATA-TF that is said is longer than the {length} bytes that the requestor takes",
            verification,
            associate(_taking(length)),
            say(p_data(pdv(c_echo()))),
            answered,
            that(_fits(length)),
            release,
        )
    yield must("a maximum length of 0 is no limit", *works(_taking(0)))
    yield must("a maximum length of 4 GB is one like others", *works(_taking(0xFFFF_FFFF)))
    yield must(
        "a P-DATA-TF longer than the acceptor takes is a protocol error: A-ABORT",
        verification,
        associate(),
        say(_filling(8)),
        aborted,
    )
    yield should(
        "a P-DATA-TF as long as the acceptor takes is taken",
        verification,
        associate(),
        say(_filling(0)),
        answered,
        release,
    )
    for length in (1, 7):
        yield reacted(f"a maximum length of {length}, in which no PDV has room,", _taking(length))
    yield reacted("a Maximum Length sub-item of 2 bytes", rq(user=(item(0x51, b"\x40\0"), UID)))
    yield reacted("a Maximum Length sub-item of 8 bytes", rq(user=(item(0x51, bytes(8)), UID)))
    yield reacted("a request with two Maximum Lengths", with_user(maximum(4096)))
    yield reacted("a request without Maximum Length", rq(user=(UID, VERSION_NAME)))


def _answers(check: Callable[[Conversation], str | None], request: Request) -> tuple[Step, ...]:
    return (say(request), accepted, that(check), release)


def _no_higher(conversation: Conversation) -> str | None:
    """PS3.7 D.3.3.3: the window (2, 2) may be lowered, and left out."""
    for body in given_answer(conversation).user(ItemType.ASYNCHRONOUS_OPERATIONS_WINDOW):
        invoked, performed = int.from_bytes(body[:2]), int.from_bytes(body[2:])
        if len(body) != 4 or not (1 <= invoked <= 2 and 1 <= performed <= 2):
            return f"window {invoked}, {performed} for 2, 2"
    return None


def _no_more_roles(conversation: Conversation) -> str | None:
    """PS3.7 D.3.3.4: of SCU and not SCP the acceptor may take away the one, not give the other."""
    for body in given_answer(conversation).user(ItemType.ROLE_SELECTION):
        if body[:-2] != counted(VERIFICATION) or body[-1]:
            return f"role selection {body.hex(' ')} for SCU only"
    return None


def _no_response(conversation: Conversation) -> str | None:
    """PS3.7 D.3.3.7: a response only where a positive one was asked for."""
    got = given_answer(conversation).user(ItemType.USER_IDENTITY_AC)
    return "a server response that was not asked for" if got else None


def _identity(kind: int, asked: int, *fields: bytes) -> bytes:
    return item(ItemType.USER_IDENTITY_RQ, bytes([kind, asked]) + counted(*fields))


def _recognized() -> Iterator[Draft]:
    window = item(ItemType.ASYNCHRONOUS_OPERATIONS_WINDOW, b"\0\2\0\2")
    yield must("an asynchronous operations window is no obstacle", *works(with_user(window)))
    yield must(
        "an asynchronous operations window is not answered with a higher one",
        *_answers(_no_higher, with_user(window)),
    )
    role = item(ItemType.ROLE_SELECTION, counted(VERIFICATION) + b"\1\0")
    yield must("a role selection is no obstacle", *works(with_user(role)))
    yield must(
        "a role selection is not answered with a role that was not proposed",
        *_answers(_no_more_roles, with_user(role)),
    )
    extended = item(ItemType.SOP_CLASS_EXTENDED, counted(VERIFICATION) + b"\1\1")
    yield must("a SOP class extended negotiation is no obstacle", *works(with_user(extended)))
    common = item(
        ItemType.SOP_CLASS_COMMON_EXTENDED, counted(VERIFICATION, "1.2.840.10008.4.2", b"")
    )
    yield must("a SOP class common extended negotiation is no obstacle", *works(with_user(common)))
    user = _identity(1, 0, b"nobody", b"")
    yield should("a user identity without passcode is no obstacle", *works(with_user(user)))
    yield must(
        "a user identity is not answered where no response was asked for",
        say(with_user(user)),
        depending(
            "A-ASSOCIATE-AC or A-ASSOCIATE-RJ",
            {
                PduType.A_ASSOCIATE_AC: (accepted, that(_no_response), release),
                PduType.A_ASSOCIATE_RJ: (refused,),
            },
        ),
    )
    yield reacted("a user identity of type 0", with_user(_identity(0, 0, b"nobody", b"")))


def _unrecognized() -> Iterator[Draft]:
    for kind in (0x5A, 0x7F, 0xFF):
        yield must(
            f"a sub-item of unrecognized type {kind:02X}H is skipped",
            *works(with_user(item(kind, b"what nobody knows"))),
        )
    yield must(
        "a sub-item of unrecognized type without a body is skipped",
        *works(with_user(item(0x7F, b""))),
    )
    yield must(
        "a sub-item of unrecognized type of 30000 bytes is skipped",
        *works(with_user(item(0x7F, bytes(30000)))),
    )
    yield must(
        "a sub-item of unrecognized type before all others is skipped",
        *works(rq(user=(item(0x7F, b"first"), *USER))),
    )
    yield must(
        "100 sub-items of unrecognized type are skipped",
        *works(with_user(item(0x7F, b"one") * 100)),
    )


def _names() -> Iterator[Draft]:
    def named(name: bytes) -> Request:
        return rq(user=(*USER[:2], item(ItemType.IMPLEMENTATION_VERSION_NAME, name)))

    yield must(
        "a request without Implementation Version Name is no obstacle", *works(rq(user=USER[:2]))
    )
    yield must(
        "an Implementation Version Name of 16 characters is no obstacle",
        *works(named(b"SIXTEEN_LETTERS_")),
    )
    yield reacted("an Implementation Version Name of 17 characters", named(b"SEVENTEEN_LETTERS"))
    yield reacted("a request without Implementation Class UID", rq(user=USER[::2]))
    yield reacted("a request with two Implementation Class UIDs", with_user(UID))


CLAUSES: Final = (
    clause("D.1", "Maximum length", *_lengths()),
    clause("D.2", "Extended user information", *_unrecognized(), *_recognized(), *_names()),
)
