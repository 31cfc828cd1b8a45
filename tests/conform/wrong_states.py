"""What may be wrong with connections, the state machine, PDUs of four bytes (9.1, 9.2, 9.3.4-9.3.8)."""

from __future__ import annotations

from tests.cli_peers import A_RELEASE_RP, a_abort
from tests.conform.acceptor import Flaw
from tests.conform.flaws import (
    ABORT,
    DATA,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    RQ,
    Wrong,
    accepting,
    hears,
    instead,
    on,
    put,
    says,
    unless,
)
from ulproxy.conform.wire import c_echo, p_data, pdu, pdv
from ulproxy.dimse.command import Status, decode, response
from ulproxy.pdu.associate import AAssociateAC, PresentationContextAC, encode_ac
from ulproxy.pdu.items import UserInformation
from ulproxy.pdu.types import IMPLICIT_VR_LITTLE_ENDIAN

ACCEPTANCE = encode_ac(
    AAssociateAC(
        bytes(64),
        (PresentationContextAC(1, 0, IMPLICIT_VR_LITTLE_ENDIAN),),
        UserInformation(4096, "1.2"),
    )
)
RESPONSE = p_data(pdv(response(decode(c_echo()), Status.SUCCESS).encode()))
YES = {RQ: ACCEPTANCE, DATA: RESPONSE, RELEASE_RQ: A_RELEASE_RP, ABORT: None}
ARTIM = "9.1.2 9.1.5"

# Of the model itself: the relay's core reads on behind no PDU that it has not recognized.
MODEL = "9.2.Sta13/24-25"

TRANSPORT = {
    "ARTIM never ends": Wrong(Flaw(artim=None), ARTIM, "9.1.2/1-3 9.1.5/1-4"),
    "ARTIM ends with a PDU": Wrong(Flaw(at_artim=a_abort(0, 0)), ARTIM, "9.1.2/1-3 9.1.5/1-4"),
    "each byte restarts ARTIM": Wrong(Flaw(restless=True), ARTIM, "9.1.2/3"),
    "A-RELEASE-RP and gone": Wrong(
        Flaw(closes_after=lambda data: data[:1] == RELEASE_RP),
        "9.1.4/7 9.2.Sta8 9.2.Sta13/[1-9]",
        "9.1.4/7",
        "9.2.Sta8/3-4 9.2.Sta13/1-8",
    ),
    "A-ABORT and gone": Wrong(
        Flaw(closes_after=lambda data: data[:1] == ABORT),
        "9.1.4/8 9.2.Sta13/1[0-6] 9.2.Sta13/2[45]",
        "9.1.4/8",
        "9.2.Sta13/10-15 24-25",
    ),
    "A-ASSOCIATE-RJ and gone": Wrong(
        Flaw(closes_after=lambda data: data[:1] == RJ),
        "9.1.4/9 9.2.Sta13/1[7-9] 9.2.Sta13/2[0-3]",
        "9.1.4/9",
        "9.2.Sta13/17-22",
    ),
    "a segment is a PDU": Wrong(Flaw(segments=True), "9.1.3", "9.1.3/1-3 5-7 9-10"),
    "one connection at a time": Wrong(Flaw(connections=1), "9.1.1", "9.1.1/3"),
}
STATES = {
    "A-ABORT is never said": Wrong(
        says(ABORT, lambda _: b""),
        "9.1.1 9.2 9.3.2 9.3.5 9.3.6 9.3.8",
        "9.1.1/1-2 9.2.Sta2/1-8 10-12 9.2.Sta6/1-7 12-14 9.2.Sta8/3-4 9.2.Sta13/1-2 10-18 24-25"
        " 9.3.2/14-25 9.3.2.2/17-22 24-26 29-30 9.3.2.3/5-6 9.3.5/1-3 9.3.5.1/1-8 9.3.6/2-4"
        " 9.3.8/1-6",
        timeout=0.2,
    ),
    "A-ABORT is not understood": Wrong(
        hears(ABORT, lambda _: b""),
        "9.1.3/4 9.1.3/8 9.1.4/1 9.2 9.3.1/4 9.3.8",
        "9.1.3/4 8 9.1.4/1 9.2.Sta2/9 9.2.Sta6/10-11 15 9.2.Sta8/5 9.2.Sta13/8 15 22 24-25"
        " 9.3.1/4 9.3.8/7-10",
    ),
    "A-ABORT is answered": Wrong(
        instead(lambda data: a_abort(0, 0) if data[:1] == ABORT else None),
        "9.1.3/4 9.1.3/8 9.1.4 9.2 9.3.8",
        "9.1.3/4 8 9.1.4/1 9.2.Sta2/9 9.2.Sta6/10-11 15 9.2.Sta8/5 9.2.Sta13/8 15 22 24-25"
        " 9.3.8/7-10",
    ),
    "PDUs of type 08H are skipped": Wrong(
        hears(b"\x08", lambda _: b""),
        "9.2",
        "9.2.Sta2/7 9.2.Sta6/6 13 9.2.Sta8/4 9.2.Sta13/2 11 18 24-25",
    ),
    "PDUs of any other type are skipped": Wrong(
        Flaw(hears=lambda data: data if 1 <= data[0] <= 7 else b""),
        "9.2",
        "9.2.Sta2/6-8 9.2.Sta6/5-7 13 9.2.Sta8/4 9.2.Sta13/2 11 18 24-25",
    ),
    "A-ABORT for whatever comes in Sta13": Wrong(
        Flaw(hears=lambda data: data, talks_on=True),
        "9.2.Sta8 9.2.Sta13",
        "9.2.Sta8/1-2 5 9.2.Sta13/3-8 12-15 19-22 25",
    ),
    "C-ECHO-RQ is answered, always": Wrong(
        instead(lambda data: RESPONSE if data[:1] == DATA else None),
        "9.2 9.3.5 D.1 E.1",
        "9.2.Sta2/3 10 9.2.Sta8/1 9.2.Sta13/5 12 19 24-25 9.3.5/1-2 9.3.5.1/1-9 D.1/2-4 7"
        " E.1/1 3 5-7 9-16 20",
    ),
    "A-RELEASE-RQ is answered, always": Wrong(
        instead(lambda data: A_RELEASE_RP if data[:1] == RELEASE_RQ else None),
        "9.1.5/1 9.2 9.3.6",
        "9.1.5/1 9.2.Sta2/4 9.2.Sta8/1-2 9.2.Sta13/3-7 13 20 24-25 9.3.6/2-4",
    ),
    "A-RELEASE-RP is the answer to A-ASSOCIATE-RQ": Wrong(
        instead(lambda data: A_RELEASE_RP if data[:1] == RQ else None),
        "9.3.2.2/1[78] 9.3.4 9.3.7",
        "9.3.2.2/17-18 9.3.4/7-8 9.3.7/1-2",
        "9.3.4/1-6",
    ),
    "everything is answered, always": Wrong(
        instead(lambda data: YES.get(data[:1], b"")),
        "9.1.1 9.1.4 9.2 9.3.2 9.3.5 9.3.6 9.3.8",
        "9.1.1/1-2 9.1.4/8 9.2.Sta2/1-8 10 9.2.Sta6/1-7 12-14 9.2.Sta8/1 3-4"
        " 9.2.Sta13/1-2 5-6 10-16 24-25 9.3.2/3-5 12-22 9.3.2.1/2 9.3.2.2/1-4 12-16 29-30"
        " 9.3.2.3/5-6 9.3.5/1-2 5 9.3.5.1/1-9 9.3.6/2-4 9.3.8/1-6",
        "9.1.4/9 9.2.Sta13/17-23",
    ),
    "P-DATA-TF is not understood": Wrong(
        hears(DATA, lambda _: b""), "9.2.Sta6/8 9.3.5/1", "9.2.Sta6/8 9.3.5/1"
    ),
    "A-RELEASE-RQ is not understood": Wrong(
        hears(RELEASE_RQ, lambda _: b""),
        "9.2.Sta6/9 9.3.6 9.3.7",
        "9.2.Sta6/9 9.3.6/1-4 9.3.7/1-2",
    ),
    "any application context does": Wrong(
        accepting(2),
        "9.1.4 9.1.5/4 9.3.2.1 9.3.4/1 9.3.4/2 9.3.4/8",
        "9.3.2.1/2 9.3.4/8",
        "9.1.4/9 9.1.5/4 9.3.4/1-2",
    ),
}
FOUR_BYTES = {
    "A-ASSOCIATE-RJ is not clean": Wrong(says(RJ, put(7, 1)), "9.3.4", "9.3.4/2 4 6"),
    "A-ASSOCIATE-RJ is longer": Wrong(
        says(RJ, lambda data: pdu(3, data[6:] + b"\0")), "9.3.4", "9.3.4/1 3 5 7-8"
    ),
    "A-ASSOCIATE-RJ 1,1,4": Wrong(
        says(RJ, lambda _: pdu(3, bytes([0, 1, 1, 4]))), "9.3.4", "9.3.4/1 3 5 7-8"
    ),
    "A-ASSOCIATE-RJ 1,1,1": Wrong(
        says(RJ, lambda _: pdu(3, bytes([0, 1, 1, 1]))), "9.3.2 9.3.4", "9.3.2/12-13 9.3.4/7-8"
    ),
    "A-RELEASE-RQ of any length": Wrong(
        hears(RELEASE_RQ, lambda _: pdu(5, bytes(4))), "9.3.6", "9.3.6/2-4"
    ),
    "A-RELEASE-RQ is tested": Wrong(
        unless(lambda data: not any(data[6:]), RELEASE_RQ), "9.3.6", "9.3.6/1"
    ),
    "A-RELEASE-RP is not clean": Wrong(says(RELEASE_RP, put(10, 1)), "9.3.7", "9.3.7/2"),
    "A-RELEASE-RP is longer": Wrong(
        says(RELEASE_RP, lambda data: pdu(6, data[6:] + b"\0")), "9.3.7", "9.3.7/1"
    ),
    "A-ABORT is not clean": Wrong(says(ABORT, put(8, 1)), "9.3.8", "9.3.8/2 5"),
    "A-ABORT is longer": Wrong(
        says(ABORT, lambda data: pdu(7, data[6:] + b"\0")), "9.3.8", "9.3.8/1 4"
    ),
    "A-ABORT is shorter": Wrong(says(ABORT, lambda data: pdu(7, data[6:9])), "9.3.8", "9.3.8/1 4"),
    "A-ABORT is of the other source": Wrong(
        says(ABORT, lambda data: put(9, 2 - data[8])(data)),
        "9.2.Sta2 9.2.Sta6 9.3.8",
        "9.2.Sta2/10 9.2.Sta6/12-14 9.3.8/6",
    ),
    "A-ABORT is of a reserved source": Wrong(
        says(ABORT, put(9, 1)), "9.2.Sta2 9.3.8", "9.2.Sta2/10 9.3.8/1 4"
    ),
    "A-ABORT says no reason": Wrong(says(ABORT, put(10, 0)), "9.2.Sta6", "9.2.Sta6/13-14"),
    "A-ABORT says a reason of the user": Wrong(
        says(ABORT, lambda data: put(10, data[9] or 1)(data)), "9.3.8", "9.3.8/3"
    ),
    "A-ABORT says a reserved reason": Wrong(
        says(ABORT, lambda data: put(10, 3)(data) if data[8] else data), "9.3.8", "9.3.8/4"
    ),
    "A-ABORT is tested": Wrong(
        Flaw(hears=on(ABORT, lambda data: data if data[6:] == bytes(4) else b"")),
        "9.1.4 9.3.8",
        "9.3.8/7-10",
    ),
}
