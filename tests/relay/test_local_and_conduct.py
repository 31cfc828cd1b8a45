"""Associations that the relay answers itself; and what a conduct does not care about (contract)."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.judging import message
from tests.relay.playbook import (
    INBOUND,
    Playbook,
    accepted,
    counted,
    data,
    logged,
    lost,
    quietly,
    send,
)
from tests.relay.wire import RELEASE_RP, RELEASE_RQ, Asked, Given, command, fragment
from ulproxy.dimse.command import Status
from ulproxy.pdu.types import NO_REASON
from ulproxy.policy.decision import Answer, Forward
from ulproxy.relay.effects import End, StartTimer, StopTimer, Timer
from ulproxy.relay.ends import Ends, Failure
from ulproxy.relay.local import Local, judge_own
from ulproxy.relay.side import Leg
from ulproxy.relay.verdict import Drop, Respond

RQ = wire.rq("HOSP_A", "WS1", [Asked(1, wire.VERIFICATION), Asked(3, wire.CT)])


def test_an_association_with_the_relay_itself():
    """C-ECHO alone is accepted, and answered; nobody else is called."""
    echo, echoed = command(1, wire.echo_rq(1)), command(1, wire.echo_rsp(1))
    assert (
        Playbook()
        >> quietly(accepted())
        >> data(INBOUND, RQ)
        << StopTimer(INBOUND, Timer.ARTIM)
        << StartTimer(INBOUND, Timer.IDLE)
        << logged("association established", caller="WS1", contexts=1, proposed=2)
        << send(INBOUND, hospital.relayed_ac("HOSP_A", "WS1", (Given(1), Given(3, 1))))
        >> counted(1)
        >> data(INBOUND, echo + echo)
        << send(INBOUND, echoed + echoed)
        >> data(INBOUND, RELEASE_RQ)
        << logged("association ended", outcome="released", inbound_messages=0)
        << send(INBOUND, RELEASE_RP)
        << StartTimer(INBOUND, Timer.ARTIM)
        >> counted(0)
        >> lost(INBOUND)
        << StopTimer(INBOUND, Timer.ARTIM)
    )


def test_what_else_it_is_asked():
    """Also with a data set, which is waited for."""
    asked = command(1, wire.store_rq(1)) + fragment(1, b"pixels")
    script = Playbook() >> quietly(accepted(), data(INBOUND, RQ))
    assert (
        script
        >> data(INBOUND, asked)
        << logged("message refused", status="0124H")
        << send(INBOUND, command(1, wire.store_rsp(1, 0x0124)))
        >> data(INBOUND, command(1, wire.echo_rsp(1)) + command(1, wire.cancel_rq(1)))
        << logged("message dropped")
        << logged("message dropped")
    )


@pytest.mark.parametrize(
    ("elements", "kind", "status"),
    [
        (wire.echo_rq(1), Respond, Status.SUCCESS),
        (wire.find_rq(1), Respond, Status.NOT_AUTHORIZED),
        (wire.echo_rsp(1), Drop, None),
        (wire.cancel_rq(1), Drop, None),
    ],
)
def test_what_the_relay_says_for_itself(elements, kind, status):
    verdict = judge_own(message(elements))
    assert isinstance(verdict, kind)
    if isinstance(verdict, Respond):
        assert verdict.command.unsigned(wire.STATUS) == status


def local() -> tuple[Ends, Local]:
    ends = Ends(hospital.border(), hospital.peer())
    caller = ends.policy.ae("WS1")
    assert caller is not None
    return ends, Local(ends, Answer(caller, {1: wire.IMPLICIT}))


def test_a_conduct_without_legs_does_not_care_about_them():
    """It holds nobody either, and waits for no C-MOVE."""
    ends, conduct = local()
    archive = ends.policy.ae("ARCHIVE")
    assert archive is not None
    assert not conduct.waits
    assert conduct.may_go_on(ends.inbound)
    conduct.impatient()
    conduct.moves_ended()
    conduct.released(ends.inbound)
    forward = Forward(archive, archive, "A", "B", (), {}, None)
    leg = Leg(End.leg(1), forward, None)  # type: ignore[arg-type]
    conduct.failed(leg, Failure("lost", NO_REASON))
    conduct.answered(leg, None)  # type: ignore[arg-type]
    assert ends.take() == []
    assert leg.callee == "ARCHIVE"


def test_what_would_be_refused_of_it_is_told():
    ends, _ = local()
    caller = ends.policy.ae("WS1")
    assert caller is not None
    Local(ends, Answer(caller, {}, ("WS1 does not call from there",)))
    ends.observed(("another reason", "WS1 does not call from there"))
    assert ends.facts["would_be_refused"] == "WS1 does not call from there; another reason"
