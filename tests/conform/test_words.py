"""PDUs in words: the legal ones, and whatever else comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli_peers import A_RELEASE_RP, A_RELEASE_RQ, a_abort, a_associate_ac, c_echo_rsp
from ulproxy.conform.rq import LEGAL, Context, rq
from ulproxy.conform.settings import Settings
from ulproxy.conform.wire import c_echo, echo, p_data, pdu, pdv
from ulproxy.conform.words import in_words
from ulproxy.pdu.types import Rejection
from ulproxy.pdu.writer import a_associate_rj
from ulproxy.policy.endpoints import Endpoint

TO = Settings(Endpoint("127.0.0.1", 104), "PACS", "WS1")
MANY = rq(contexts=[Context(n) for n in range(1, 41, 2)]).encode(TO)
WORDS = {
    "1,1,7: permanent, service-user, called AE title not recognized": a_associate_rj(
        Rejection(1, 1, 7)
    ),
    "2,3,1: transient, presentation, temporary congestion": a_associate_rj(Rejection(2, 3, 1)),
    "9,8,7: no result of Table 9-21, no source of Table 9-21, no reason of Table 9-21": (
        a_associate_rj(Rejection(9, 8, 7))
    ),
    "A-ABORT (0,0: service-user)": a_abort(0, 0),
    "A-ABORT (2,6: service-provider, invalid parameter value)": a_abort(2, 6),
    "A-ABORT (2,3: service-provider, no reason of Table 9-26)": a_abort(2, 3),
    "A-ABORT (1,0: no source of Table 9-26)": a_abort(1, 0),
    "A-RELEASE-RQ + A-RELEASE-RP": A_RELEASE_RQ + A_RELEASE_RP,
    "A-RELEASE-RQ of 3 bytes: 05 00 00 00 00 03 00 00 00": pdu(5, bytes(3)),
    "a PDU of type 08H of 1 bytes: 08 00 00 00 00 01 00": pdu(8, bytes(1)),
    "3 bytes: 01 02 03": b"\1\2\3",
    "0 bytes: ": b"",
    "2 of 4 bytes of A-ABORT: 07 00 00 00 00 04 00 00": a_abort(0, 0)[:8],
    "WS1 to PACS, item 10H, context 1, item 50H)": LEGAL.encode(TO),
    "WS1 to PACS, item 10H, context 1, context 3, context 5, context 7, context 9, ..., item 50H)": (
        MANY
    ),
    "item 10H, context 1: 0 acceptance, context 3: 9, item 50H)": a_associate_ac((1, 0), (3, 9)),
    "P-DATA-TF (context 3, command, last, C-ECHO-RQ id 7)": echo(3, 7),
    "P-DATA-TF (context 1, command, last, C-ECHO-RSP id 1 status 0000H)": c_echo_rsp(),
    "context 1, command, not last, 4 bytes; context 1, data, last, 2 bytes, header FEH": p_data(
        pdv(bytes(4), control=1), pdv(bytes(2), control=0xFE)
    ),
    "P-DATA-TF (context 1, command, last, 4 bytes)": p_data(pdv(bytes(4))),
    "P-DATA-TF (6 bytes: 00 00 00 09 01 03)": p_data(pdv(b"", length=9)),
    "P-DATA-TF ()": p_data(),
}


@pytest.mark.parametrize("words", WORDS)
def test_in_words(words):
    assert words in in_words(WORDS[words])


def test_a_title_is_shown_without_control_characters():
    said = in_words(rq(called=lambda _: b"\x1b[31mRED\n".ljust(16)).encode(TO))
    assert "WS1 to \\x1b[31mRED\\n" in said


def test_long_ones_are_cut():
    assert len(in_words(pdu(9, bytes(5000)))) < 120
    assert len(in_words(p_data(*[pdv(b"")] * 500))) < 400


@given(st.binary(max_size=200))
def test_whatever_comes_has_words(data):
    assert in_words(data)
    for kind in range(1, 8):
        assert in_words(pdu(kind, data))


def test_a_command_of_any_length():
    assert len(c_echo(of_length=1000)) == 1000 - (1000 - len(c_echo())) % 4
    assert "C-ECHO-RQ id 1" in in_words(p_data(pdv(c_echo(of_length=1000))))
