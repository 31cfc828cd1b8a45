"""A-ASSOCIATE-RQ and -AC: bytes by hand, and every form that is invalid or may look so."""

from __future__ import annotations

import dataclasses
import struct

import pytest
from hypothesis import given

from tests.pdu.samples import AC, AC_BODY, CT, EXPLICIT, IMPLICIT, RQ, RQ_BODY, TITLES
from tests.pdu.strategies import answers, requests
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import (
    MAX_ITEMS,
    MAX_SYNTAXES,
    AAssociateAC,
    AAssociateRQ,
    PresentationContextAC,
    PresentationContextRQ,
    decode_ac,
    decode_rq,
    encode_ac,
    encode_rq,
    titles,
)
from ulproxy.pdu.items import SopClassExtended, UserIdentity, UserInformation
from ulproxy.pdu.memo import MAX_BYTES


def test_a_request_by_hand():
    assert decode_rq(RQ_BODY) == RQ
    assert encode_rq(RQ) == b"\x01\x00" + struct.pack(">L", len(RQ_BODY)) + RQ_BODY


def test_an_answer_by_hand():
    assert decode_ac(AC_BODY) == AC
    assert encode_ac(AC) == b"\x02\x00" + struct.pack(">L", len(AC_BODY)) + AC_BODY


@given(requests)
def test_decoding_an_encoded_request_gives_the_same(request):
    encoded = encode_rq(request)
    assert encoded[:6] == struct.pack(">BxL", 1, len(encoded) - 6)
    assert decode_rq(encoded[6:]) == request


@given(answers)
def test_decoding_an_encoded_answer_gives_the_same(answer):
    encoded = encode_ac(answer)
    assert encoded[:6] == struct.pack(">BxL", 2, len(encoded) - 6)
    assert decode_ac(encoded[6:]) == answer


@pytest.mark.parametrize(
    ("called", "calling"),
    [("A", "B"), ("ABCDEFGHIJKLMNOP", "1234567890123456"), ("A B", "C.D-E_F")],
)
def test_titles(called, calling):
    raw = titles(called, calling)
    assert len(raw) == 64
    request = dataclasses.replace(RQ, titles=raw)
    assert (request.called_ae_title, request.calling_ae_title) == (called, calling)


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        (b"PACS            ", "PACS"),
        (b"            PACS", "PACS"),
        (b"  PACS B        ", "PACS B"),
        (b"PACS\0\0\0\0\0\0\0\0\0\0\0\0", "PACS"),
        (b"                ", ""),
        (bytes(16), ""),
        (b"P\xc4CS            ", "P\xc4CS"),
    ],
)
def test_spaces_around_a_title_are_not_significant(raw, title):
    """PS3.8 9.3.2; NULs are what some devices pad with."""
    request = dataclasses.replace(RQ, titles=raw * 2 + bytes(32))
    assert (request.called_ae_title, request.calling_ae_title) == (title, title)


def test_the_reserved_bytes_behind_the_titles_belong_to_neither():
    request = dataclasses.replace(RQ, titles=b"CALLED-IS-LONG-1CALLING-IS-LONG2" + b"x" * 32)
    assert request.called_ae_title == "CALLED-IS-LONG-1"
    assert request.calling_ae_title == "CALLING-IS-LONG2"


# Forms that are invalid or may look so. `build` says what differs from a plain request.


def sub(item_type: int, body: bytes = b"", reserved: int = 0) -> bytes:
    return struct.pack(">BBH", item_type, reserved, len(body)) + body


def context(number: int, *items: bytes, kind: int = 0x20, result: int = 0) -> bytes:
    return sub(kind, bytes([number, 0, result, 0]) + b"".join(items))


APPLICATION = sub(0x10, b"1.2.840.10008.3.1.1.1")
ABSTRACT, TRANSFER = sub(0x30, CT), sub(0x40, IMPLICIT)
GOOD = context(1, ABSTRACT, TRANSFER)
USER = sub(0x50, sub(0x51, bytes(4)))
ACCEPTED = context(1, TRANSFER, kind=0x21)


def rq(*items: bytes, version: bytes = b"\x00\x01") -> bytes:
    return version + bytes(2) + TITLES + b"".join(items)


BAD_RQ = {
    "nothing": b"",
    "one byte less than the fixed part": rq()[:-1],
    "no items": rq(),
    "no application context": rq(GOOD, USER),
    "two application contexts": rq(APPLICATION, APPLICATION, GOOD, USER),
    "no user information": rq(APPLICATION, GOOD),
    "two user informations": rq(APPLICATION, GOOD, USER, USER),
    "no presentation context": rq(APPLICATION, USER),
    "only presentation contexts of an answer": rq(APPLICATION, ACCEPTED, USER),
    "id 0": rq(APPLICATION, context(0, ABSTRACT, TRANSFER), USER),
    "id 2": rq(APPLICATION, context(2, ABSTRACT, TRANSFER), USER),
    "id 254": rq(APPLICATION, GOOD, context(254, ABSTRACT, TRANSFER), USER),
    "the same id twice": rq(APPLICATION, GOOD, GOOD, USER),
    "no transfer syntax": rq(APPLICATION, context(1, ABSTRACT), USER),
    "no abstract syntax": rq(APPLICATION, context(1, TRANSFER), USER),
    "neither": rq(APPLICATION, context(1), USER),
    "two abstract syntaxes": rq(APPLICATION, context(1, ABSTRACT, ABSTRACT, TRANSFER), USER),
    "an empty abstract syntax": rq(APPLICATION, context(1, sub(0x30), TRANSFER), USER),
    "an empty transfer syntax": rq(APPLICATION, context(1, ABSTRACT, sub(0x40)), USER),
    "a transfer syntax that is no UID": rq(
        APPLICATION, context(1, ABSTRACT, TRANSFER, sub(0x40, b"x")), USER
    ),
    "an empty presentation context": rq(APPLICATION, sub(0x20), USER),
    "a presentation context of three bytes": rq(APPLICATION, sub(0x20, b"\1\0\0"), USER),
    "a sub-item longer than its context": rq(
        APPLICATION, context(1, ABSTRACT, TRANSFER + b"\x40\0\0\x01"), USER
    ),
    "stray bytes in a context": rq(APPLICATION, context(1, ABSTRACT, TRANSFER, b"\0"), USER),
    "stray bytes behind the last item": rq(APPLICATION, GOOD, USER, b"\0\0\0"),
    "an unknown item longer than the PDU": rq(APPLICATION, GOOD, USER, b"\x99\0\xff\xff"),
    "a maximum length of 7": rq(APPLICATION, GOOD, sub(0x50, sub(0x51, b"\0\0\0\7"))),
    "a maximum length of 1": rq(APPLICATION, GOOD, sub(0x50, sub(0x51, b"\0\0\0\1"))),
    "two maximum lengths": rq(APPLICATION, GOOD, sub(0x50, sub(0x51, bytes(4)) * 2)),
}


@pytest.mark.parametrize("name", BAD_RQ)
def test_an_invalid_request_is_blamed_on_the_peer(name):
    with pytest.raises(RemoteProtocolError):
        decode_rq(BAD_RQ[name])


def ac(*items: bytes) -> bytes:
    return rq(*items)


BAD_AC = {
    "nothing": b"",
    "one byte less than the fixed part": ac()[:-1],
    "no application context": ac(ACCEPTED, USER),
    "two application contexts": ac(APPLICATION, APPLICATION, ACCEPTED, USER),
    "no user information": ac(APPLICATION, ACCEPTED),
    "two user informations": ac(APPLICATION, ACCEPTED, USER, USER),
    "no presentation context": ac(APPLICATION, USER),
    "only presentation contexts of a request": ac(APPLICATION, GOOD, USER),
    "an even id": ac(APPLICATION, context(4, TRANSFER, kind=0x21), USER),
    "the same id twice": ac(APPLICATION, ACCEPTED, ACCEPTED, USER),
    "a context of three bytes": ac(APPLICATION, sub(0x21, b"\1\0\0"), USER),
    "accepted without transfer syntax": ac(APPLICATION, context(1, kind=0x21), USER),
    "accepted with two": ac(APPLICATION, context(1, TRANSFER, TRANSFER, kind=0x21), USER),
    "accepted with an empty one": ac(APPLICATION, context(1, sub(0x40), kind=0x21), USER),
    "result 5": ac(APPLICATION, context(1, TRANSFER, kind=0x21, result=5), USER),
    "result 255": ac(APPLICATION, context(1, TRANSFER, kind=0x21, result=255), USER),
    "a maximum length of 7": ac(APPLICATION, ACCEPTED, sub(0x50, sub(0x51, b"\0\0\0\7"))),
}


@pytest.mark.parametrize("name", BAD_AC)
def test_an_invalid_answer_is_blamed_on_the_peer(name):
    with pytest.raises(RemoteProtocolError):
        decode_ac(BAD_AC[name])


PLAIN_RQ = AAssociateRQ(
    TITLES,
    (PresentationContextRQ(1, CT.decode(), (IMPLICIT.decode(),)),),
    UserInformation(),
)
GOOD_RQ = {
    "plain": (rq(APPLICATION, GOOD, USER), PLAIN_RQ),
    "items in another order": (rq(USER, GOOD, APPLICATION), PLAIN_RQ),
    "unknown items": (
        rq(sub(0x00, b"a"), APPLICATION, sub(0x22), GOOD, sub(0x51, b"x"), USER, sub(0xFF, b"bc")),
        PLAIN_RQ,
    ),
    "unknown sub-items": (
        rq(
            APPLICATION,
            context(1, sub(0x31, b"x"), ABSTRACT, sub(0), TRANSFER, sub(0x50)),
            sub(0x50, sub(0x5A, b"?") + sub(0x51, bytes(4)) + sub(0x10)),
        ),
        PLAIN_RQ,
    ),
    "reserved bytes": (
        b"\x00\x01\xaa\xbb"
        + TITLES
        + sub(0x10, b"1.2.840.10008.3.1.1.1", 0xCC)
        + sub(
            0x20,
            b"\x01\xdd\xee\xff" + sub(0x30, CT, 0x11) + sub(0x40, IMPLICIT, 0x22),
            0x33,
        )
        + sub(0x50, sub(0x51, bytes(4), 0x44), 0x55),
        PLAIN_RQ,
    ),
    "padded UIDs": (
        rq(
            sub(0x10, b"1.2.840.10008.3.1.1.1\0"),
            context(1, sub(0x30, CT + b"\0"), sub(0x40, IMPLICIT + b" ")),
            USER,
        ),
        PLAIN_RQ,
    ),
    "no maximum length": (rq(APPLICATION, GOOD, sub(0x50)), PLAIN_RQ),
    "a maximum length of 8": (
        rq(APPLICATION, GOOD, sub(0x50, sub(0x51, b"\0\0\0\x08"))),
        dataclasses.replace(PLAIN_RQ, user_information=UserInformation(8)),
    ),
    "other bits of the protocol version": (
        rq(APPLICATION, GOOD, USER, version=b"\xff\xff"),
        dataclasses.replace(PLAIN_RQ, protocol_version=0xFFFF),
    ),
    "another application context": (
        rq(sub(0x10, b"1.2.3"), GOOD, USER),
        dataclasses.replace(PLAIN_RQ, application_context_name="1.2.3"),
    ),
    "an application context that is no UID": (
        rq(sub(0x10, b"\xff!"), GOOD, USER),
        dataclasses.replace(PLAIN_RQ, application_context_name="\xff!"),
    ),
    "an empty application context": (
        rq(sub(0x10), GOOD, USER),
        dataclasses.replace(PLAIN_RQ, application_context_name=""),
    ),
    "the same abstract syntax again": (
        rq(APPLICATION, GOOD, context(3, ABSTRACT, sub(0x40, EXPLICIT)), USER),
        dataclasses.replace(
            PLAIN_RQ,
            presentation_contexts=(
                *PLAIN_RQ.presentation_contexts,
                PresentationContextRQ(3, CT.decode(), (EXPLICIT.decode(),)),
            ),
        ),
    ),
    "all ids there are": (
        rq(APPLICATION, *(context(i, ABSTRACT, TRANSFER) for i in range(1, 256, 2)), USER),
        dataclasses.replace(
            PLAIN_RQ,
            presentation_contexts=tuple(
                PresentationContextRQ(i, CT.decode(), (IMPLICIT.decode(),))
                for i in range(1, 256, 2)
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", GOOD_RQ)
def test_what_a_request_may_look_like(name):
    body, request = GOOD_RQ[name]
    assert decode_rq(body) == request


@pytest.mark.parametrize("version", [0, 2, 0x0100, 0xFFFE])
@pytest.mark.parametrize("rest", [b"", b"\xff", APPLICATION + GOOD + USER])
def test_another_protocol_version_is_read_up_to_the_titles(version, rest):
    """PS3.8 9.3.2: bit 0 alone is tested; who answers rejects with 1,2,2."""
    request = decode_rq(rq(rest, version=version.to_bytes(2)))
    assert request == AAssociateRQ(TITLES, (), UserInformation(), "", version)
    assert request.calling_ae_title == "WS1"


PLAIN_AC = AAssociateAC(
    TITLES, (PresentationContextAC(1, 0, IMPLICIT.decode()),), UserInformation()
)
GOOD_AC = {
    "plain": (ac(APPLICATION, ACCEPTED, USER), PLAIN_AC),
    "unknown items": (ac(sub(1), APPLICATION, GOOD, ACCEPTED, USER, sub(0xEE, b"x")), PLAIN_AC),
    "the titles of somebody else": (
        ac(APPLICATION, ACCEPTED, USER).replace(TITLES, b"\xff" * 64),
        dataclasses.replace(PLAIN_AC, titles=b"\xff" * 64),
    ),
    "refused with any transfer syntax or none": (
        ac(
            APPLICATION,
            context(1, kind=0x21, result=1),
            context(3, sub(0x40), kind=0x21, result=2),
            context(5, TRANSFER, kind=0x21, result=3),
            context(7, sub(0x40, b"no UID"), b"\xff", kind=0x21, result=4),
            USER,
        ),
        dataclasses.replace(
            PLAIN_AC,
            presentation_contexts=tuple(
                PresentationContextAC(2 * i - 1, i, "") for i in range(1, 5)
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", GOOD_AC)
def test_what_an_answer_may_look_like(name):
    body, answer = GOOD_AC[name]
    assert decode_ac(body) == answer


# What is remembered


def test_the_same_bytes_are_read_once():
    assert decode_rq(RQ_BODY) is decode_rq(bytes(bytearray(RQ_BODY)))
    assert decode_ac(AC_BODY) is decode_ac(bytes(bytearray(AC_BODY)))
    assert decode_rq(RQ_BODY).is_memorable


def test_the_same_message_is_written_once():
    assert encode_rq(RQ) is encode_rq(dataclasses.replace(RQ))
    assert encode_ac(AC) is encode_ac(dataclasses.replace(AC))


@pytest.mark.parametrize(
    "secret",
    [{"user_identity": UserIdentity(2, True, b"name", b"word")}, {"server_response": b"ticket"}],
)
def test_secrets_are_not_remembered(secret):
    information = dataclasses.replace(RQ.user_information, **secret)
    request = dataclasses.replace(RQ, user_information=information)
    body = encode_rq(request)[6:]
    assert decode_rq(body) is not decode_rq(body)
    assert not decode_rq(body).is_memorable
    assert encode_rq(request) is not encode_rq(request)
    information = dataclasses.replace(AC.user_information, **secret)
    body = encode_ac(dataclasses.replace(AC, user_information=information))[6:]
    assert decode_ac(body) is not decode_ac(body)


@pytest.mark.parametrize(("longer", "remembered"), [(0, True), (1, False)])
def test_what_is_long_is_not_remembered(longer, remembered):
    for decode, body in ((decode_rq, RQ_BODY), (decode_ac, AC_BODY)):
        unknown = MAX_BYTES - len(body) - 4 + longer
        long = body + struct.pack(">BxH", 0x77, unknown) + bytes(unknown)
        assert (decode(long) is decode(long)) is remembered


@pytest.mark.parametrize(("longer", "remembered"), [(0, True), (1, False)])
def test_what_is_long_is_written_anew(longer, remembered):
    long = UserInformation(sop_class_extended=(SopClassExtended("1.2", b""),))
    at_hand = len(encode_rq(dataclasses.replace(RQ, user_information=long)))
    room = SopClassExtended("1.2", bytes(MAX_BYTES - at_hand + longer))
    long = UserInformation(sop_class_extended=(room,))
    request = dataclasses.replace(RQ, user_information=long)
    assert len(encode_rq(request)) == MAX_BYTES + longer
    assert (encode_rq(request) is encode_rq(request)) is remembered


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_how_many_items_are_behind_each_other(more):
    """MAX_ITEMS - 1, at, + 1; most of them are such as nobody knows."""
    items = [APPLICATION, GOOD, *[sub(0x77)] * (MAX_ITEMS - 3 + more), USER]
    if more > 0:
        with pytest.raises(RemoteProtocolError, match=f"more than {MAX_ITEMS} items"):
            decode_rq(rq(*items))
    else:
        assert len(decode_rq(rq(*items)).presentation_contexts) == 1


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_how_many_transfer_syntaxes_a_context_may_have(more):
    """MAX_SYNTAXES - 1, at, + 1."""
    body = rq(APPLICATION, context(1, ABSTRACT, *[TRANSFER] * (MAX_SYNTAXES + more)), USER)
    if more > 0:
        with pytest.raises(RemoteProtocolError, match="more than"):
            decode_rq(body)
    else:
        proposed = decode_rq(body).presentation_contexts[0]
        assert len(proposed.transfer_syntaxes) == MAX_SYNTAXES + more
