"""What the other side sees of an abort, a lost connection or a fault, in each phase (PS3.8 9.3.8, 9.2).

Where a data fragment is cut in the middle nothing can be said to its receiver: whatever the relay wrote would
be taken for the object's bytes. Its connection is closed.
"""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.conversations import other
from tests.relay.hospital import ECHO, RQ, STORE
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Playbook,
    accepted,
    connected,
    counted,
    data,
    established,
    expired,
    finished,
    logged,
    lost,
    quietly,
    send,
)
from tests.relay.wire import RELEASE_RQ, abort, command, fragment, p_data, pdv
from ulproxy.relay.effects import CloseTransport, End, StartTimer, StopTimer, Timer

ARTIM = Timer.ARTIM
ESTABLISHED = established()

# What the peer says in its A-ABORT -> what the other one is told.
MAPPING = [
    *(((0, reason), (0, 0)) for reason in (0, 2, 6, 255)),  # a user's reason is not significant
    *(((2, reason), (2, reason)) for reason in (0, 1, 2, 4, 5, 6)),
    *(((2, reason), (2, 0)) for reason in (3, 7, 255)),  # reserved
    *(((source, 1), (2, 0)) for source in (1, 3, 255)),  # reserved
]


def ended(script: Playbook, end: End, *told: int) -> Playbook:
    """The other end than `end` is aborted and then left open for its close."""
    return (
        script
        << logged("association ended")
        << send(other(end), abort(*told))
        << StartTimer(other(end), ARTIM)
    )


@pytest.mark.parametrize(("said", "told"), MAPPING)
@pytest.mark.parametrize("end", [INBOUND, ONWARD])
def test_an_abort_goes_on(end, said, told):
    script = Playbook() >> ESTABLISHED >> data(end, abort(*said))
    assert (
        ended(script, end, *told)
        << CloseTransport(end)
        >> counted(0)
        >> lost(other(end))
        << StopTimer(other(end), ARTIM)
        >> finished()
    )


@pytest.mark.parametrize(("said", "told"), MAPPING)
def test_an_abort_while_the_answer_is_awaited(said, told):
    script = Playbook() >> quietly(accepted(), data(INBOUND, RQ), connected())
    script = ended(script >> data(INBOUND, abort(*said)), INBOUND, *told)
    assert script << CloseTransport(INBOUND) >> counted(0)


@pytest.mark.parametrize("how", [data(INBOUND, abort(0, 0)), lost(INBOUND)])
def test_the_end_of_the_caller_while_the_connection_is_opened(how):
    """Sta4: AA-2, there is nobody to tell yet."""
    script = (
        Playbook()
        >> quietly(accepted(), data(INBOUND, RQ))
        >> how
        << logged("association ended")
        << StopTimer(ONWARD, ARTIM)
        << CloseTransport(ONWARD)
    )
    if how.received:
        script <<= CloseTransport(INBOUND)
    assert script >> counted(0) >> finished()


@pytest.mark.parametrize("end", [INBOUND, ONWARD])
@pytest.mark.parametrize("releasing", [None, INBOUND, ONWARD])
def test_a_lost_connection(end, releasing):
    script = Playbook() >> ESTABLISHED
    if releasing:
        script >>= quietly(data(releasing, RELEASE_RQ))
    script = ended(script >> lost(end, "Connection reset by peer"), end, 2, 0)
    assert (
        script
        >> counted(0)
        >> expired(other(end), ARTIM)
        << StopTimer(other(end), ARTIM)
        << CloseTransport(other(end))
        >> finished()
    )


def test_a_lost_connection_while_the_answer_is_awaited():
    script = Playbook() >> quietly(accepted(), data(INBOUND, RQ), connected())
    assert ended(script >> lost(INBOUND), INBOUND, 2, 0) >> counted(0)


@pytest.mark.parametrize("end", [INBOUND, ONWARD])
@pytest.mark.parametrize("timer", [Timer.IDLE, Timer.WRITE])
def test_idle_too_long_or_not_reading(end, timer):
    script = Playbook() >> ESTABLISHED >> expired(end, timer) << logged("association ended")
    first = end if timer is Timer.WRITE else INBOUND
    for each in (first, ONWARD if first is INBOUND else INBOUND):
        script = script << send(each, abort(2, 0)) << StartTimer(each, ARTIM)
    assert script >> counted(0) >> expired(end, timer)


def test_after_an_abort_the_connection_is_left_open_until_artim():
    script = Playbook() >> ESTABLISHED >> data(INBOUND, wire.pdu(99, b""))
    script = script << send(INBOUND, abort(2, 1))
    assert (
        ended(script, INBOUND, 2, 0)
        << StartTimer(INBOUND, ARTIM)
        >> expired(INBOUND, ARTIM)
        << StopTimer(INBOUND, ARTIM)
        << CloseTransport(INBOUND)
        >> data(ONWARD, command(ECHO, wire.echo_rq(1)))
        >> expired(ONWARD, ARTIM)
        << StopTimer(ONWARD, ARTIM)
        << CloseTransport(ONWARD)
        >> finished()
    )


# Protocol errors of either end while the association stands


ECHO_RQ = wire.command_set(wire.echo_rq(1))
STORE_RQ = wire.command_set(wire.store_rq(1))


def command_of(raw: bytes) -> bytes:
    return p_data(pdv(ECHO, 3, raw))


def with_length(raw: bytes, length: int) -> bytes:
    return raw[:8] + length.to_bytes(4, "little") + raw[12:]


def rewritten(**changes: bytes | None) -> bytes:
    """A C-ECHO-RQ with other elements, of the right group length."""
    elements = wire.echo_rq(1)
    for name, value in changes.items():
        number = int(name.removeprefix("e"), 16)
        if value is None:
            del elements[number]
        else:
            elements[number] = value
    return command_of(wire.command_set(elements))


def backwards() -> bytes:
    """The elements of a C-ECHO-RQ in descending order."""
    parts, rest = [], ECHO_RQ[12:]
    while rest:
        length = 8 + int.from_bytes(rest[4:8], "little")
        parts.append(rest[:length])
        rest = rest[length:]
    return command_of(ECHO_RQ[:12] + b"".join(reversed(parts)))


STORE_BEGUN = command(STORE, wire.store_rq(1))
ECHO_BEGUN = p_data(pdv(ECHO, 1, ECHO_RQ[:20]))

# What went before, the fault, and the reason of the A-ABORT.
FAULTS = {
    # the Upper Layer
    "second A-ASSOCIATE-RQ": (b"", RQ, 2),
    "A-ASSOCIATE-AC": (b"", wire.ac([wire.Given(1)]), 2),
    "A-ASSOCIATE-RJ": (b"", wire.rj(1, 1, 1), 2),
    "A-RELEASE-RP": (b"", wire.RELEASE_RP, 2),
    "PDU type 0": (b"", wire.pdu(0, b""), 1),
    "PDU type 255": (b"", wire.pdu(255, b""), 1),
    "A-ABORT of 5 bytes": (b"", wire.pdu(7, bytes(5)), 6),
    "A-RELEASE-RQ of 0 bytes": (b"", wire.pdu(5, b""), 6),
    "P-DATA-TF of 0 bytes": (b"", wire.pdu(4, b""), 6),
    "P-DATA-TF of 5 bytes": (b"", wire.pdu(4, bytes(5)), 6),
    "P-DATA-TF longer than told": (b"", p_data(pdv(ECHO, 1, bytes(16380))), 6),
    "odd command fragment": (b"", p_data(pdv(ECHO, 1, bytes(3))), 6),
    "odd data fragment": (STORE_BEGUN, fragment(STORE, b"odd"), 6),
    "PDV of 1 byte": (b"", wire.pdu(4, bytes([0, 0, 0, 1, 1, 1])), 6),
    "PDV longer than its PDU": (b"", wire.pdu(4, bytes([0, 0, 0, 8, 1, 1, 0, 0])), 6),
    # messages
    "data set first": (b"", fragment(STORE, b"data"), 5),
    "data set of another context": (STORE_BEGUN, fragment(ECHO, b"data"), 5),
    "command set instead of a data set": (STORE_BEGUN, STORE_BEGUN, 5),
    "data set instead of a command set": (ECHO_BEGUN, fragment(ECHO, b"data"), 5),
    "command set in two contexts": (ECHO_BEGUN, p_data(pdv(STORE, 3, ECHO_RQ[20:])), 5),
    "data set behind no data set": (command(ECHO, wire.echo_rq(1)), fragment(ECHO, b"data"), 5),
    "context that was not proposed": (b"", command(11, wire.echo_rq(1)), 6),
    "context id 0": (b"", command(0, wire.echo_rq(1)), 6),
    # the structure of command sets
    "empty command set": (b"", command_of(b""), 6),
    "no group length": (b"", command_of(ECHO_RQ[12:]), 6),
    "group length too small": (b"", command_of(with_length(ECHO_RQ, len(ECHO_RQ) - 14)), 6),
    "group length too large": (b"", command_of(with_length(ECHO_RQ, len(ECHO_RQ) - 10)), 6),
    "group length of 2 bytes": (b"", command_of(bytes([0, 0, 0, 0, 2, 0, 0, 0, 9, 9])), 6),
    "ends within an element": (
        b"",
        command_of(with_length(ECHO_RQ[:-2], len(ECHO_RQ) - 14)),
        6,
    ),
    "ends within a tag": (b"", command_of(with_length(ECHO_RQ + b"\0\0", len(ECHO_RQ) - 10)), 6),
    "odd value": (b"", rewritten(e0001=b"odd"), 6),
    "another group": (b"", rewritten(e00020010=b"10"), 6),
    "descending order": (b"", backwards(), 6),
    "an element twice": (
        b"",
        command_of(with_length(ECHO_RQ + ECHO_RQ[-10:], len(ECHO_RQ) - 2)),
        6,
    ),
    "no Command Field": (b"", rewritten(e0100=None), 6),
    "no Command Data Set Type": (b"", rewritten(e0800=None), 6),
    "Message ID of 4 bytes": (b"", rewritten(e0110=bytes(4)), 6),
    "Command Field of 0 bytes": (b"", rewritten(e0100=b""), 6),
}


@pytest.mark.parametrize(("before", "fault", "reason"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("end", [INBOUND, ONWARD])
def test_a_protocol_error(end, before, fault, reason):
    """The offender is told why, the other one that it was not its fault; nothing else goes onward."""
    assert (
        Playbook(bytewise=len(fault) < 200, by_end=True)
        >> ESTABLISHED
        >> quietly(data(end, before))
        >> data(end, fault)
        << logged("association ended")
        << send(end, abort(2, reason))
        << StartTimer(end, ARTIM)
        << send(other(end), abort(2, 0))
        << StartTimer(other(end), ARTIM)
        >> counted(0)
    )


@pytest.mark.parametrize("version", [0x0100, 0])
def test_what_is_merely_unusual_passes(version):
    """An element that nobody knows, a Message ID of 0, no Affected SOP Class UID, reserved bits."""
    elements = {wire.FIELD: wire.us(wire.C_ECHO), wire.MESSAGE_ID: wire.us(version)}
    elements |= {0x0001: b"", 0x0999: b"whatever", 0xFFFF: b"", wire.DATA_SET_TYPE: wire.NO_DATA}
    raw = bytearray(command(ECHO, elements))
    raw[1] = 0xFF  # PS3.8 9.3.1: reserved, not tested
    raw[11] |= 0xFC  # PS3.8 E.2: likewise
    assert (
        Playbook()
        >> ESTABLISHED
        >> data(INBOUND, bytes(raw))
        << send(ONWARD, command(ECHO, elements))
    )
