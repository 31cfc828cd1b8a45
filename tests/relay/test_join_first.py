"""The first PDU: an A-ASSOCIATE-RQ in time, or else (contract "Refusals", PS3.8 9.1.4)."""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.hospital import AC, CONTEXTS, RQ, relayed_rq
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Playbook,
    accepted,
    connected,
    counted,
    data,
    expired,
    finished,
    logged,
    lost,
    quietly,
    send,
)
from tests.relay.wire import Asked, abort, rj
from ulproxy.relay.effects import CloseTransport, StartTimer, StopTimer, Timer

ARTIM = Timer.ARTIM

# Not a valid A-ASSOCIATE-RQ as the first PDU: A-ABORT 0,0, nothing onward

FIRST_PDUS = {
    "A-ASSOCIATE-AC": AC,
    "A-ASSOCIATE-RJ": rj(1, 1, 1),
    "P-DATA-TF": wire.command(1, wire.echo_rq(1)),
    "A-RELEASE-RQ": wire.RELEASE_RQ,
    "A-RELEASE-RP": wire.RELEASE_RP,
    "PDU type 0": wire.pdu(0, b""),
    "PDU type 8": wire.pdu(8, b""),
    "67 bytes": wire.pdu(1, RQ[6:73]),
    "no item": wire.pdu(1, RQ[6:74]),
    "no presentation context": wire.rq("HB_PACS", "WS1", []),
    "context id 2": wire.rq("HB_PACS", "WS1", [Asked(2, wire.CT)]),
    "context id twice": wire.rq("HB_PACS", "WS1", [Asked(1, wire.CT), Asked(1, wire.MR)]),
    "no transfer syntax": wire.rq("HB_PACS", "WS1", [Asked(1, wire.CT, ())]),
    "ends within an item": wire.pdu(1, RQ[6:-1]),
    "longer than 1 MiB": b"\x01\x00" + ((1 << 20) + 1).to_bytes(4, "big"),
    "HTTP": b"GET / HTTP/1.1\r\n",
    **{f"maximum length of {n}": wire.rq("HB_PACS", "WS1", CONTEXTS, n) for n in range(1, 8)},
}


@pytest.mark.parametrize("first", FIRST_PDUS.values(), ids=FIRST_PDUS)
def test_not_a_valid_request_as_the_first_pdu(first):
    assert (
        Playbook(bytewise=False)
        >> quietly(accepted())
        >> data(INBOUND, first)
        << send(INBOUND, abort(0, 0))
        << StartTimer(INBOUND, ARTIM)
        << logged("connection ended")
        >> counted(0)
        >> finished(False)
        >> lost(INBOUND)
        << StopTimer(INBOUND, ARTIM)
        >> finished()
    )


def test_the_abort_comes_as_soon_as_the_first_bytes_are_wrong():
    assert (
        Playbook()
        >> quietly(accepted())
        >> data(INBOUND, b"SSH-2.")
        << send(INBOUND, abort(0, 0))
        << StartTimer(INBOUND, ARTIM)
        << logged("connection ended", outcome="no A-ASSOCIATE-RQ: SSH: unrecognized PDU type 53H")
    )


@pytest.mark.parametrize("least", [0, 8])
def test_the_least_maximum_lengths_that_are_valid(least):
    assert (
        Playbook()
        >> quietly(accepted(), data(INBOUND, wire.rq("HB_PACS", "WS1", CONTEXTS, least)))
        >> connected()
        << send(ONWARD, relayed_rq("PACS", "HA_WS1", maximum_length=least))
    )


def test_an_abort_as_the_first_pdu_closes():
    assert (
        Playbook()
        >> quietly(accepted())
        >> data(INBOUND, abort(0, 0))
        << StopTimer(INBOUND, ARTIM)
        << CloseTransport(INBOUND)
        >> finished()
    )


def test_a_connection_that_says_nothing_and_closes():
    assert (
        Playbook()
        >> quietly(accepted())
        >> lost(INBOUND)
        << logged("connection ended", outcome="closed without asking for an association")
        << StopTimer(INBOUND, ARTIM)
        >> finished()
    )


def test_artim_in_sta2_closes_without_a_pdu():
    """PS3.8 9.1.4."""
    assert (
        Playbook()
        >> accepted()
        << StartTimer(INBOUND, ARTIM)
        >> data(INBOUND, RQ[:-1])
        >> expired(INBOUND, ARTIM)
        << logged("connection ended", outcome="no A-ASSOCIATE-RQ in time")
        << StopTimer(INBOUND, ARTIM)
        << CloseTransport(INBOUND)
        >> finished()
    )
