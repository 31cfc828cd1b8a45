"""Beginnings of conversations that several test modules go on with."""

from __future__ import annotations

from typing import Final

from tests.relay import wire
from tests.relay.hospital import CONTEXTS
from tests.relay.playbook import INBOUND, ONWARD, Playbook, counted, data, established, send
from tests.relay.wire import RELEASE_RP, RELEASE_RQ, Given, command
from ulproxy.relay.effects import End, StartTimer, Timer

# The contexts with the roles that let the callee store to the caller, as for C-GET.
ROLE: Final = wire.role(wire.CT, 1, 1)
BOTH_ROLES: Final = established(
    wire.rq("HB_PACS", "WS1", CONTEXTS, extras=[ROLE]),
    wire.ac([Given(context.context_id) for context in CONTEXTS], extras=[ROLE]),
)
FIND_RSP: Final = wire.response(wire.C_FIND, 1, wire.STUDY_FIND, 0xFF00, data=True)

LATE = {
    "P-DATA-TF": (command(1, wire.echo_rq(1)), 2),
    "another A-RELEASE-RQ": (RELEASE_RQ, 2),
    "A-ASSOCIATE-RQ": (wire.rq("HB_PACS", "WS1", CONTEXTS), 2),
    "A-RELEASE-RP": (RELEASE_RP, 2),
    "unknown PDU": (wire.pdu(0x2A, b""), 1),
}


def other(end: End) -> End:
    return ONWARD if end is INBOUND else INBOUND


def releasing(by: End) -> Playbook:
    """The release was asked by this end and goes on to the other."""
    return (
        Playbook()
        >> BOTH_ROLES
        >> data(by, RELEASE_RQ)
        << send(other(by), RELEASE_RQ)
        << StartTimer(other(by), Timer.RELEASE)
        >> counted(1)
    )
