"""An association that ends while a data set is under way (standard.md, contract "Refusals").

Where a data fragment is cut in the middle nothing can be said to its receiver: whatever the relay wrote would
be taken for the object's bytes. Its connection is closed.
"""

from __future__ import annotations

import pytest

from tests.relay import wire
from tests.relay.conversations import BOTH_ROLES, other
from tests.relay.hospital import STORE
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Playbook,
    Quietly,
    counted,
    data,
    expired,
    finished,
    logged,
    lost,
    quietly,
    send,
    shutdown,
)
from tests.relay.wire import abort, command, fragment
from ulproxy.relay.effects import CloseTransport, End, StartTimer, Timer

ARTIM = Timer.ARTIM


def sending(sender: End) -> Quietly:
    """A C-STORE that passes, its data fragment begun and not ended."""
    raw = command(STORE, wire.store_rq(7)) + fragment(STORE, bytes(100), last=True)
    cut = data(sender, raw[:-1])
    if sender is INBOUND:
        return quietly(cut)
    return quietly(data(INBOUND, command(9, wire.get_rq(1)) + fragment(9, b"keys")), cut)


def cut_script(sender: End) -> Playbook:
    return Playbook(by_end=True) >> BOTH_ROLES >> sending(sender)


@pytest.mark.parametrize("sender", [INBOUND, ONWARD])
def test_the_sender_is_lost_within_a_fragment(sender):
    assert (
        cut_script(sender)
        >> lost(sender)
        << logged("association ended")
        << CloseTransport(other(sender))
        >> counted(0)
        >> finished()
    )


@pytest.mark.parametrize("sender", [INBOUND, ONWARD])
@pytest.mark.parametrize("said", [(0, 0), (2, 5)])
def test_the_receiver_aborts_within_a_fragment(sender, said):
    """The sender can be told as ever."""
    assert (
        cut_script(sender)
        >> data(other(sender), abort(*said))
        << logged("association ended")
        << CloseTransport(other(sender))
        << send(sender, abort(*said))
        << StartTimer(sender, ARTIM)
        >> data(sender, b"\0")  # the last byte of the object goes nowhere
    )


@pytest.mark.parametrize("sender", [INBOUND, ONWARD])
@pytest.mark.parametrize(("fault", "reason"), [(wire.pdu(9, b""), 1), (command(11, {}), 6)])
def test_the_receiver_breaks_the_protocol_within_a_fragment(sender, fault, reason):
    """Even the offender cannot be told why: the A-ABORT would be data to it."""
    assert reason
    assert (
        cut_script(sender)
        >> data(other(sender), fault)
        << logged("association ended")
        << CloseTransport(other(sender))
        << send(sender, abort(2, 0))
        << StartTimer(sender, ARTIM)
        >> counted(0)
    )


@pytest.mark.parametrize("sender", [INBOUND, ONWARD])
@pytest.mark.parametrize(
    "how",
    [shutdown(), expired(INBOUND, Timer.IDLE), expired(INBOUND, Timer.WRITE)],
    ids=["shutdown", "idle", "write"],
)
def test_the_relay_ends_it_within_a_fragment(sender, how):
    assert (
        cut_script(sender)
        >> how
        << logged("association ended")
        << CloseTransport(other(sender))
        << send(sender, abort(2, 0))
        << StartTimer(sender, ARTIM)
        >> counted(0)
    )


@pytest.mark.parametrize("sender", [INBOUND, ONWARD])
@pytest.mark.parametrize("sent", [1, 5, 6, 11, 12, 13])
def test_only_a_fragment_that_has_begun_onward_is_cut(sender, sent):
    """Of a header that has not come whole nothing has gone onward, so its receiver can be told."""
    rest = fragment(STORE, bytes(2))[:sent]
    script = cut_script(sender) >> quietly(data(sender, b"\0"))  # the fragment ends, and the object
    script >>= quietly(data(sender, command(STORE, wire.store_rq(8))))
    script = script >> data(sender, rest)
    if sent >= 12:
        script <<= send(other(sender), rest)
    script = script >> lost(sender) << logged("association ended")
    if sent >= 12:
        assert script << CloseTransport(other(sender)) >> finished()
    else:
        told = script << send(other(sender), abort(2, 0)) << StartTimer(other(sender), ARTIM)
        assert told >> finished(False)


@pytest.mark.parametrize("sender", [INBOUND, ONWARD])
def test_between_two_fragments_the_receiver_is_told(sender):
    whole = fragment(STORE, b"begun!", last=False)
    script = cut_script(sender) >> quietly(data(sender, b"\0"))
    assert (
        script
        >> quietly(data(sender, command(STORE, wire.store_rq(8)) + whole))
        >> lost(sender)
        << logged("association ended")
        << send(other(sender), abort(2, 0))
        << StartTimer(other(sender), ARTIM)
    )


def test_a_fragment_that_is_not_passed_on_cuts_nobody():
    """A refused object is swallowed: its would-be receiver is between two messages."""
    refused = command(STORE, wire.store_rq(3)) + fragment(STORE, bytes(10))
    assert (
        Playbook(by_end=True)
        >> BOTH_ROLES
        >> data(ONWARD, refused[:-1])
        >> lost(ONWARD)
        << logged("association ended")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, ARTIM)
    )


def test_the_receiver_is_lost_within_a_fragment():
    assert (
        cut_script(INBOUND)
        >> lost(ONWARD)
        << logged("association ended")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, ARTIM)
    )
