"""An association that is held: nothing is looked at behind an event until it goes on, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypothesis import given
from hypothesis import strategies as st

from tests.pdu.model import RELEASE_RQ
from tests.pdu.playbook import Output, Receive, command, data_run, do, settled, together
from tests.pdu.reading import single_bytes
from tests.pdu.strategies import Fragment, encode, p_data_tf, streams
from tests.pdu.ways_in import ACCEPTED, ACCEPTOR, FRAGMENT, UNKNOWN, UNRECOGNIZED, abort
from ulproxy.pdu.association import Association, ReleaseIndication
from ulproxy.pdu.fsm import State

COMMAND = p_data_tf(Fragment(1, 3, b"command!"))
OTHER = p_data_tf(Fragment(1, 3, b"other command!"))
HALVES = p_data_tf(FRAGMENT) + p_data_tf(FRAGMENT._replace(control=2))
SAID = command(b"command!")
OTHERWISE = command(b"other command!")
RUN = data_run(FRAGMENT, FRAGMENT._replace(control=2))


def established() -> Association:
    association = Association(ACCEPTOR)
    for step, _, _ in ACCEPTED:
        do(association, step)
    return association


def state(association: Association) -> State:
    return association.state


def held(association: Association) -> bool:
    return association.on_hold


def holding(association: Association, outputs: Iterable[object]) -> Iterator[Output]:
    """Holds at each output that is data."""
    for output in outputs:
        one = settled(output)
        yield one
        if one.type == "data":
            association.hold()


def received(association: Association, data: bytes) -> list[Output]:
    """From a buffer that is overwritten afterwards."""
    buffer = bytearray(data)
    outputs = [*holding(association, association.receive_data(memoryview(buffer)))]
    buffer[:] = bytes(len(buffer))
    return outputs


def resumed(association: Association) -> list[Output]:
    return [*holding(association, association.resume())]


def test_nothing_is_looked_at_behind_the_event():
    association = established()
    assert not held(association)
    assert received(association, COMMAND + OTHER + UNKNOWN) == [SAID]
    assert held(association)
    assert received(association, UNKNOWN) == []
    assert state(association) is State.Sta6
    assert resumed(association) == [OTHERWISE]
    assert held(association)
    assert [output.type for output in resumed(association)] == [
        "Send",
        "PAbortIndication",
        "StartArtim",
    ]
    assert state(association) is State.Sta13
    assert not held(association)


def test_what_comes_meanwhile_is_kept_in_its_order():
    association = established()
    assert received(association, COMMAND + OTHER[:5]) == [SAID]
    for piece in (OTHER[5:9], OTHER[9:] + HALVES[:3], HALVES[3:]):
        assert received(association, piece) == []
    assert resumed(association) == [OTHERWISE]
    assert together(resumed(association)) == [RUN]
    assert resumed(association) == []


def test_holding_twice_holds_once():
    association = established()
    assert received(association, COMMAND + OTHER) == [SAID]
    association.hold()
    assert resumed(association) == [OTHERWISE]


def test_held_and_there_is_nothing_behind():
    association = established()
    assert received(association, COMMAND) == [SAID]
    assert held(association)
    assert resumed(association) == []
    assert not held(association)
    assert received(association, OTHER) == [OTHERWISE]


def test_a_control_pdu_waits_too():
    association = established()
    assert received(association, COMMAND + RELEASE_RQ) == [SAID]
    assert state(association) is State.Sta6
    assert resumed(association) == [settled(ReleaseIndication(collision=False))]
    assert state(association) is State.Sta8


def test_what_came_before_the_end_of_the_connection_goes_nowhere():
    association = established()
    received(association, COMMAND + OTHER + RELEASE_RQ)
    association.transport_closed()
    assert resumed(association) == []
    assert received(association, COMMAND) == []


def test_an_abort_of_ours_does_not_wait():
    association = established()
    received(association, COMMAND + OTHER)
    assert association.abort(2, 0)[0] == abort(2, 0)
    assert resumed(association) == []
    assert state(association) is State.Sta13


def test_an_association_that_is_not_held_has_nothing_to_go_on_with():
    association = established()
    assert resumed(association) == []
    assert do(association, Receive(COMMAND)) == [SAID]


@given(streams, st.booleans())
def test_held_at_each_event_it_says_the_same(stream, bytewise):
    """However the bytes are cut, whatever is among them."""
    data = encode(stream)
    expected = do(established(), Receive(data))
    association = established()
    outputs: list[Output] = []
    for piece in single_bytes(data) if bytewise else [data]:
        outputs += received(association, piece)
        while association.on_hold:
            outputs += resumed(association)
    assert together(outputs) == expected


def test_the_reason_is_that_of_the_first_fault():
    """Read when it is looked at, not when it came."""
    association = established()
    received(association, COMMAND + UNKNOWN + OTHER)
    outputs = resumed(association)
    assert outputs[0] == settled(abort(2, UNRECOGNIZED))
    assert len([output for output in outputs if output.type == "data"]) == 0
