"""Damaged A-ASSOCIATE PDUs: either a value that can be written anew, or RemoteProtocolError."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pdu.samples import AC_BODY, RQ_BODY
from tests.pdu.strategies import answers, requests
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import AAssociateRQ, decode_ac, decode_rq, encode_ac, encode_rq
from ulproxy.pdu.types import APPLICATION_CONTEXT_NAME, MIN_ASSOCIATE_PDU


def tried(decode, body: bytes):
    """The value, or None where the peer is blamed; nothing else may happen."""
    try:
        return decode(body)
    except RemoteProtocolError:
        return None


@pytest.mark.parametrize("end", range(len(RQ_BODY)))
def test_a_request_cut_short_is_invalid(end):
    assert tried(decode_rq, RQ_BODY[:end]) is None


@pytest.mark.parametrize("end", range(len(AC_BODY)))
def test_an_answer_cut_short_is_invalid(end):
    assert tried(decode_ac, AC_BODY[:end]) is None


def damage(encoded: bytes, draw) -> bytes:
    damaged = bytearray(encoded)
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(damaged) - 1))
        match draw.draw(st.sampled_from(["set", "delete", "insert"])):
            case "set":
                damaged[at] = draw.draw(st.integers(0, 255))
            case "delete":
                del damaged[at : at + draw.draw(st.integers(1, 4))]
            case _:
                damaged[at:at] = draw.draw(st.binary(min_size=1, max_size=4))
        if not damaged:
            break
    return bytes(damaged)


def rewritten(value):
    """What is left of it when the relay writes it: its own version and context, no nameless name."""
    information = value.user_information
    if not information.implementation_version_name:
        information = dataclasses.replace(information, implementation_version_name=None)
    value = dataclasses.replace(value, user_information=information)
    if isinstance(value, AAssociateRQ):
        return dataclasses.replace(
            value, protocol_version=1, application_context_name=APPLICATION_CONTEXT_NAME
        )
    return value


@given(requests, st.data())
def test_a_damaged_request_is_read_or_blamed_on_the_peer(request, draw):
    value = tried(decode_rq, damage(encode_rq(request)[6:], draw))
    if value is not None and value.protocol_version & 1:
        value = rewritten(value)
        assert decode_rq(encode_rq(value)[6:]) == value


@given(answers, st.data())
def test_a_damaged_answer_is_read_or_blamed_on_the_peer(answer, draw):
    value = tried(decode_ac, damage(encode_ac(answer)[6:], draw))
    if value is not None:
        value = rewritten(value)
        assert decode_ac(encode_ac(value)[6:]) == value


@given(st.binary(max_size=120), st.sampled_from([decode_rq, decode_ac]))
def test_random_bytes_are_read_or_blamed_on_the_peer(data, decode):
    fixed = b"\x00\x01\x00\x00".ljust(MIN_ASSOCIATE_PDU, b" ")
    tried(decode, data)
    tried(decode, fixed + data)
