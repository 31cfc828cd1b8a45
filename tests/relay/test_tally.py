"""What is counted of whole conversations, and of time by a clock that ticks when it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from tests.relay import groups, hospital, wire
from tests.relay.conversations import BOTH_ROLES
from tests.relay.groups import FIRST, SECOND
from tests.relay.hospital import AC, ECHO, FIND, MOVE, RQ, STORE
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Input,
    Quietly,
    accepted,
    connected,
    data,
    expired,
    lost,
    quietly,
    receive,
    shutdown,
)
from tests.relay.wire import abort, command, fragment, rj
from ulproxy.pdu.types import LOCAL_LIMIT_EXCEEDED, NO_REASON, Rejection
from ulproxy.policy.decision import Peer
from ulproxy.policy.rules import Policy
from ulproxy.relay import tally as module
from ulproxy.relay.border import Border
from ulproxy.relay.effects import Timer
from ulproxy.relay.join import Join
from ulproxy.relay.tally import (
    MAX_AES,
    OTHER,
    SETUP_BOUNDS,
    SUM,
    Durations,
    Outcome,
    Refusal,
    Tally,
    decided,
    failed,
    status_class,
)

RELEASE, RELEASED = wire.pdu(5, bytes(4)), wire.pdu(6, bytes(4))
CALLED = quietly(accepted(), data(INBOUND, RQ))
OBJECT = command(STORE, wire.store_rq(1)) + fragment(STORE, b"pixels")


def counting(made: Callable[[], Border] = hospital.border) -> Border:
    border = made()
    ticks = count(100)
    names = [ae.name for ae in border.policy.config.aes]
    border.tally = Tally(lambda: float(next(ticks)), names)
    return border


def played(border: Border, *steps: Input | Quietly, peer: Peer | None = None) -> Join:
    join = Join(border, peer or hospital.peer())
    for step in steps:
        for one in step.inputs if isinstance(step, Quietly) else (step,):
            if one.call is not None:
                one.call(join)
            else:
                receive(join, one.end, one.received)
    return join


def numbers(border: Border, *families: str) -> dict[str, float]:
    """Those that are not zero, of these families."""
    assert border.tally is not None
    sample = border.tally.sample()
    return {" ".join(key): n for key, n in sample.items() if n and key[0] in families}


def test_a_released_association():
    border = counting()
    steps = (BOTH_ROLES, data(INBOUND, OBJECT), data(ONWARD, command(STORE, wire.store_rsp(1))))
    played(border, *steps, data(INBOUND, RELEASE), data(ONWARD, RELEASED))
    octets = float(len(fragment(STORE, b"pixels")))
    assert numbers(border, "associations", "ae_associations", "messages", "bytes", "ae_bytes") == {
        "associations inbound inside released": 1,
        "associations onward outside released": 1,
        "ae_associations WS1 caller released": 1,
        "ae_associations ARCHIVE callee released": 1,
        "messages inbound inside": 1,
        "messages onward outside": 1,
        "bytes inbound inside": octets,
        "ae_bytes WS1": octets,
    }
    assert numbers(border, "requests", "responses") == {
        "requests store": 1,
        "responses store success": 1,
    }
    assert numbers(border, "association_setup_seconds", "operation_seconds") == {
        "association_setup_seconds 1.0": 1,
        f"association_setup_seconds {SUM}": 1,
        "operation_seconds store 1.0": 1,
        f"operation_seconds store {SUM}": 1,
    }


def test_what_an_open_association_has_passed_on_is_counted_by_who_asks():
    border = counting()
    join = played(border, BOTH_ROLES, data(INBOUND, OBJECT))
    assert border.tally is not None
    assert numbers(border, "bytes") == {}
    assert dict(join.volumes(border.tally))["messages", "inbound", "inside"] == 1
    played(border)
    join.shutdown("the relay stops")
    assert list(join.volumes(border.tally)) == []
    assert numbers(border, "messages")["messages inbound inside"] == 1


@pytest.mark.parametrize(
    ("steps", "inbound", "onward"),
    [
        ((data(INBOUND, abort(0, 0)),), Outcome.ABORTED, Outcome.ABORTED),
        ((data(ONWARD, abort(0, 0)),), Outcome.ABORTED, Outcome.ABORTED),
        ((lost(INBOUND),), Outcome.LOST, Outcome.LOST),
        ((lost(ONWARD),), Outcome.LOST, Outcome.LOST),
        ((data(INBOUND, b"\x09" + bytes(9)),), Outcome.PROTOCOL, Outcome.PROTOCOL),
        ((expired(INBOUND, Timer.IDLE),), Outcome.TIMEOUT, Outcome.TIMEOUT),
        ((expired(ONWARD, Timer.WRITE),), Outcome.TIMEOUT, Outcome.TIMEOUT),
        ((shutdown(),), Outcome.STOPPED, Outcome.STOPPED),
        (
            (data(INBOUND, RELEASE), data(ONWARD, RELEASE)),
            Outcome.RELEASED,
            Outcome.RELEASED,
        ),
    ],
)
def test_how_an_association_ends(steps, inbound, onward):
    border = counting()
    played(border, BOTH_ROLES, *steps)
    assert numbers(border, "associations") == {
        f"associations inbound inside {inbound}": 1,
        f"associations onward outside {onward}": 1,
    }


@pytest.mark.parametrize(
    ("steps", "kind", "reason"),
    [
        ((lost(ONWARD),), Outcome.UNREACHABLE, Refusal.AE_UNREACHABLE),
        ((connected(), lost(ONWARD)), Outcome.LOST, Refusal.AE_UNREACHABLE),
        ((expired(ONWARD, Timer.CONNECT),), Outcome.TIMEOUT, Refusal.AE_UNREACHABLE),
        ((connected(), data(ONWARD, rj(1, 1, 3))), Outcome.REJECTED, Refusal.AE_REJECTED),
        ((connected(), data(ONWARD, RELEASE)), Outcome.PROTOCOL, Refusal.AE_ILLEGAL),
    ],
)
def test_how_an_ae_fails(steps, kind, reason):
    border = counting()
    played(border, CALLED, *steps)
    assert numbers(border, "associations", "ae_associations", "refusals") == {
        "associations inbound inside rejected": 1,
        "ae_associations WS1 caller rejected": 1,
        f"associations onward outside {kind}": 1,
        f"ae_associations ARCHIVE callee {kind}": 1,
        f"refusals {reason}": 1,
    }


def full() -> Border:
    border = hospital.border()
    border.full = "no audit trail"
    return border


@pytest.mark.parametrize(
    ("made", "called", "calling", "reason"),
    [
        (hospital.border, "NOBODY", "WS1", Refusal.CALLED),
        (hospital.border, "HB_PACS", "NOBODY", Refusal.CALLER),
        (full, "HB_PACS", "WS1", Refusal.AUDIT),
        (lambda: hospital.border("associations = 1"), "HB_PACS", "WS1", Refusal.LIMIT),
    ],
)
def test_why_a_caller_is_rejected(made, called, calling, reason):
    """No name that it has given itself becomes a label."""
    border = counting(made)
    if reason is Refusal.LIMIT:
        played(border, CALLED)
    rq = wire.rq(called, calling, hospital.CONTEXTS)
    played(border, accepted(), data(INBOUND, rq))
    assert numbers(border, "associations", "ae_associations", "refusals") == {
        "associations inbound inside rejected": 1,
        f"ae_associations {OTHER} caller rejected": 1,
        f"refusals {reason}": 1,
    }


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (lost(INBOUND), Outcome.LOST),
        (expired(INBOUND, Timer.ARTIM), Outcome.TIMEOUT),
        (data(INBOUND, b"GET / HTTP/1.1\r\n\r\n"), Outcome.PROTOCOL),
    ],
)
def test_connections_that_ask_for_nothing(step, outcome):
    border = counting()
    played(border, accepted(), step)
    assert numbers(border, "connections_without_association", "associations") == {
        f"connections_without_association inside {outcome}": 1
    }


def test_answers_of_a_query_and_no_answer():
    border = counting()
    pending = command(FIND, wire.response(wire.C_FIND, 1, wire.STUDY_FIND, 0xFF00))
    final = command(FIND, wire.response(wire.C_FIND, 1, wire.STUDY_FIND, 0xA700))
    query = command(FIND, wire.find_rq(1)) + fragment(FIND, groups.RETRIEVE + bytes(4))
    steps = (data(INBOUND, query), data(ONWARD, pending * 2 + final), data(INBOUND, query))
    played(border, BOTH_ROLES, *steps, data(ONWARD, pending), lost(ONWARD))
    assert numbers(border, "requests", "responses") == {
        "requests find": 2,
        "responses find failure": 1,
        "responses find none": 1,
        "responses find pending": 3,
    }


def test_refused_messages():
    border = counting()
    move = command(MOVE, wire.move_rq(1, "NOBODY")) + fragment(MOVE, b"keys")
    bad_uid = wire.store_rq(2)
    bad_uid[wire.AFFECTED_INSTANCE] = wire.text("no uid")
    bad = command(STORE, bad_uid) + fragment(STORE, b"pixels")
    played(border, BOTH_ROLES, data(INBOUND, move + bad))
    assert numbers(border, "requests", "responses", "refusals") == {
        "requests move": 1,
        "responses move refused": 1,
        "requests store": 1,
        "responses store refused": 1,
        f"refusals {Refusal.MOVE_DESTINATION}": 1,
        f"refusals {Refusal.INSTANCE_UID}": 1,
    }


def test_commands_that_nobody_knows():
    """There may be thousands; they are looked up each time."""
    border = counting(lambda: hospital.border(rules=hospital.RULES.replace('"print"', '"*"')))
    request = wire.request(0x0FFE, 1, wire.CT, data=False)
    join = played(border, BOTH_ROLES, data(INBOUND, command(STORE, request) * 2))
    assert numbers(border, "requests") == {"requests other": 2}
    (gate,) = join._ends._gates
    assert gate._counted == {}


def test_the_relay_itself():
    border = counting()
    rq = wire.rq("HOSP_A", "WS1", hospital.CONTEXTS)
    store = command(ECHO, wire.store_rq(2)) + fragment(ECHO, b"pixels")
    asked = data(INBOUND, command(ECHO, wire.echo_rq(1)) + store)
    played(border, accepted(), data(INBOUND, rq), asked, data(INBOUND, RELEASE))
    assert numbers(border, "requests", "responses", "refusals", "associations") == {
        "requests echo": 1,
        "responses echo success": 1,
        "requests store": 1,
        "responses store refused": 1,
        f"refusals {Refusal.SERVICE}": 1,
        "associations inbound inside released": 1,
    }


def observing() -> Border:
    border = hospital.border()
    config = border.policy.config
    relay = config.relay.model_copy(update={"enforce": False})
    border.policy = Policy(config.__class__(relay, *list(vars(config).values())[1:]))
    return border


def test_what_would_be_refused():
    """WS2 may echo and move only; the association is let through, and so is the message."""
    border = counting(observing)
    rq = wire.rq("HB_PACS", "WS2", hospital.CONTEXTS)
    steps = (accepted(), data(INBOUND, rq), connected(), data(ONWARD, AC), data(INBOUND, OBJECT))
    played(border, *steps, lost(INBOUND), peer=hospital.peer("10.1.0.2"))
    assert numbers(border, "would_be_refused", "refusals") == {
        "would_be_refused association": 1,
        "would_be_refused message": 1,
    }


def test_each_member_of_a_group():
    border = counting(groups.border())
    steps = (accepted(), data(INBOUND, groups.RQ), connected(FIRST), data(FIRST, groups.AC))
    played(border, *steps, lost(SECOND), data(INBOUND, RELEASE), data(FIRST, RELEASED))
    onward = numbers(border, "associations")
    assert onward.pop("associations inbound inside released") == 1
    assert sum(onward.values()) == len(border.policy.config.groups[0].members)
    assert onward["associations onward outside unreachable"] == 1


def test_no_member_accepts_anything():
    border = counting(groups.border())
    rejected = [
        step for leg in groups.LEGS[:3] for step in (connected(leg), data(leg, rj(1, 1, 1)))
    ]
    members = len(border.policy.config.groups[0].members)
    played(border, accepted(), data(INBOUND, groups.RQ), *rejected[: 2 * members])
    assert numbers(border, "refusals") == {f"refusals {Refusal.AE_REJECTED}": 1}


def test_an_ae_that_releases():
    border = counting(groups.border())
    steps = (accepted(), data(INBOUND, groups.RQ), connected(FIRST), data(FIRST, groups.AC))
    played(border, *steps, data(FIRST, RELEASE))
    assert sum(n for key, n in numbers(border, "associations").items() if "released" in key) == 1


def test_nothing_is_counted_unless_asked_for():
    border = hospital.border()
    join = played(border, BOTH_ROLES, data(INBOUND, OBJECT), lost(ONWARD))
    assert border.tally is None
    assert join.ended


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (0x0000, "success"),
        (0xFE00, "cancel"),
        (0x0001, "warning"),
        (0x0107, "warning"),
        (0x0116, "warning"),
        (0xB000, "warning"),
        (0xBFFF, "warning"),
        (0xAFFF, "failure"),
        (0xC000, "failure"),
        (0x0110, "failure"),
        (0x0002, "failure"),
    ],
)
def test_classes_of_statuses(status, meaning):
    assert status_class(status) == meaning


def test_every_reason_of_the_policy_has_a_name():
    assert decided(NO_REASON) is Refusal.RULES
    assert {decided(Rejection(1, 1, n)) for n in (1, 2, 3, 7)} | {decided(Rejection(1, 2, 2))} == {
        Refusal.RULES,
        Refusal.APPLICATION_CONTEXT,
        Refusal.CALLER,
        Refusal.CALLED,
        Refusal.PROTOCOL_VERSION,
    }
    with pytest.raises(KeyError):
        decided(LOCAL_LIMIT_EXCEEDED)
    assert {failed(outcome) for outcome in Outcome} == {
        Refusal.AE_REJECTED,
        Refusal.AE_ILLEGAL,
        Refusal.AE_UNREACHABLE,
        Refusal.LIMIT,
    }


def test_aes_beyond_the_first_are_counted_together(monkeypatch):
    monkeypatch.setattr(module, "MAX_AES", 2)
    tally = Tally(lambda: 0.0, ["A", "B", "C"])
    assert MAX_AES == 200
    assert [tally.ae(name) for name in ("A", "unknown:X", "", "B", "C", "A")] == [
        "A",
        OTHER,
        OTHER,
        "B",
        OTHER,
        "A",
    ]
    tally.know(["C"])
    assert [tally.ae("B"), tally.ae("C")] == ["B", OTHER]


@pytest.mark.parametrize("bound", SETUP_BOUNDS)
def test_a_duration_is_in_the_bucket_of_its_upper_bound(bound):
    durations = Durations(SETUP_BOUNDS)
    for seconds in (bound, bound * 1.001):
        durations.add(seconds)
    sample = durations.sample("x")
    assert sample["x", str(bound)] == 1
    assert sum(n for (_, label), n in sample.items() if label != SUM) == 2
    assert sample["x", SUM] == pytest.approx(2.001 * bound)
