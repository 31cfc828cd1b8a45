"""Table 9-10: every cell for both roles, against a transcription of its own and against pynetdicom's."""

from __future__ import annotations

from collections import Counter

import pytest
from pynetdicom.fsm import TRANSITION_TABLE

from tests.pdu.table_9_10 import CELLS, EFFECTS, SENTENCES, next_state
from ulproxy.pdu.fsm import (
    ACTIONS,
    DATA_ALLOWED,
    DATA_INDICATED,
    GRID,
    Effect,
    Event,
    Role,
    State,
    transition,
)

EVERY_CELL = [
    pytest.param(role, state, event, id=f"{role.name}-{state.name}-Evt{event.value}")
    for role in Role
    for state in State
    for event in Event
]
ARTIM_RUNS = {State.Sta2, State.Sta13}  # PS3.8 9.1.4


def test_there_are_494_cells():
    assert len(EVERY_CELL) == 2 * 13 * 19 == 494


@pytest.mark.parametrize(("role", "state", "event"), EVERY_CELL)
def test_cell(role, state, event):
    cell = transition(role, state, event)
    action = CELLS.get((state, event))
    if action is None:
        assert cell is None
        return
    assert cell is not None
    assert cell.action == action.replace("-", "")
    assert cell.effects == EFFECTS[action]
    assert cell.next_state is next_state(role, action)


def test_the_second_transcription_has_the_counts_that_are_known_of_the_standard():
    counts = Counter(CELLS.values())
    assert len(CELLS) == 123
    assert (counts["AA-8"], counts["AA-1"], counts["AA-4"], counts["AA-3"]) == (54, 15, 10, 9)
    assert set(counts) == set(SENTENCES)


def test_pynetdicom_has_the_same_cells():
    theirs = {
        (State[state], Event(int(event.removeprefix("Evt")))): action
        for (event, state), action in TRANSITION_TABLE.items()
    }
    assert theirs == CELLS


def test_actions_are_those_of_the_standard_and_no_others():
    assert set(ACTIONS) == {action.replace("-", "") for action in SENTENCES}
    assert len(ACTIONS) == 28
    used = {effect for action in ACTIONS.values() for effect in action.effects}
    assert used == set(Effect)


def test_the_grid_can_be_laid_beside_the_standard():
    head, *rows = GRID.strip().splitlines()
    assert head.split() == ["Evt", *(str(state.value) for state in State)]
    assert [row.split()[0] for row in rows] == [str(event.value) for event in Event]
    assert {len(row.split()) for row in rows} == {14}
    assert len({len(row) for row in rows}) == 1


def test_the_roles_differ_in_ar_8_alone():
    differing = {
        (state, event)
        for state in State
        for event in Event
        if transition(Role.REQUESTOR, state, event) != transition(Role.ACCEPTOR, state, event)
    }
    assert differing == {(State.Sta7, Event.A_RELEASE_RQ_RECEIVED)}


@pytest.mark.parametrize("role", Role)
def test_every_state_is_reachable_that_the_role_can_be_in(role):
    # A role opens the transport (Evt1) or is called (Evt5), never both.
    foreign = {
        Role.REQUESTOR: Event.TRANSPORT_INDICATION,
        Role.ACCEPTOR: Event.A_ASSOCIATE_REQUEST,
    }[role]
    reached, fresh = set(), {State.Sta1}
    while fresh:
        reached |= fresh
        cells = [transition(role, s, e) for s in fresh for e in Event if e is not foreign]
        fresh = {cell.next_state for cell in cells if cell} - reached
    unreachable = {
        Role.REQUESTOR: {State.Sta2, State.Sta3, State.Sta10, State.Sta12},
        Role.ACCEPTOR: {State.Sta4, State.Sta5, State.Sta9, State.Sta11},
    }
    assert reached == set(State) - unreachable[role]


def test_data_may_come_and_go_where_the_table_says_so():
    assert {State.Sta6, State.Sta7} == DATA_INDICATED
    assert {State.Sta6, State.Sta8} == DATA_ALLOWED


@pytest.mark.parametrize("role", Role)
def test_artim_runs_in_sta2_and_sta13_and_nowhere_else(role):
    """Whoever obeys the effects needs no other knowledge of ARTIM (PS3.8 9.1.4)."""
    for state, event in CELLS:
        cell = transition(role, state, event)
        assert cell is not None
        runs = state in ARTIM_RUNS
        for effect in cell.effects:
            if effect is Effect.START_ARTIM:
                runs = True
            elif effect is Effect.STOP_ARTIM:
                runs = False
        assert runs == (cell.next_state in ARTIM_RUNS), (state, event)


@pytest.mark.parametrize("state", sorted(set(State) - {State.Sta1, State.Sta4}))
def test_whatever_a_peer_sends_has_a_cell_while_the_transport_stands(state):
    received = {3, 4, 6, 10, 12, 13, 16, 17, 19}
    assert all(transition(Role.ACCEPTOR, state, Event(number)) for number in received)


@pytest.mark.parametrize("event", Event)
def test_the_idle_state_and_the_opening_one_hear_no_pdu(event):
    heard = {state for state in (State.Sta1, State.Sta4) if (state, event) in CELLS}
    expected = {
        Event.A_ASSOCIATE_REQUEST: {State.Sta1},
        Event.TRANSPORT_INDICATION: {State.Sta1},
        Event.TRANSPORT_CONFIRM: {State.Sta4},
        Event.A_ABORT_REQUEST: {State.Sta4},
        Event.TRANSPORT_CLOSED: {State.Sta4},
    }
    assert heard == expected.get(event, set())
    assert heard == {s for s in (State.Sta1, State.Sta4) if transition(Role.REQUESTOR, s, event)}
