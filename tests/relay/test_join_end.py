"""Ends that the relay itself puts to an association, and what the shell may ask of a join meanwhile."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.hospital import AC, CONTEXTS, ECHO, RQ
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Check,
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
    shutdown,
)
from tests.relay.wire import RELEASE_RQ, Asked, abort, command
from ulproxy.policy.rules import Policy
from ulproxy.relay.effects import CloseTransport, StartTimer, StopTimer, Timer

ARTIM = Timer.ARTIM


def asked(pending: bool, asked: bool, ended: bool) -> Check:
    def ask(join, border):
        return join.pending, join.asked, join.ended

    return Check("pending, asked, ended", ask, (pending, asked, ended))


def test_what_a_connection_is_waiting_for():
    assert (
        Playbook()
        >> asked(True, False, False)
        >> quietly(accepted())
        >> asked(True, False, False)
        >> quietly(data(INBOUND, RQ))
        >> asked(False, True, False)
        >> quietly(connected(), data(ONWARD, AC))
        >> asked(False, True, False)
        >> quietly(data(INBOUND, RELEASE_RQ))
        >> asked(False, True, False)
        >> quietly(data(ONWARD, wire.RELEASE_RP))
        >> asked(True, True, True)
        >> quietly(lost(INBOUND))
        >> asked(True, True, True)
    )


def test_shutdown_of_a_connection_without_an_association():
    """Sta2: nobody asked for anything, so there is nothing to abort (Table 9-10 has no Evt15)."""
    assert (
        Playbook()
        >> quietly(accepted(), data(INBOUND, RQ[:50]))
        >> shutdown()
        << logged("connection ended", outcome="the relay stops")
        << CloseTransport(INBOUND)
        >> finished()
    )


def test_shutdown_while_the_connection_is_opened():
    assert (
        Playbook()
        >> quietly(accepted(), data(INBOUND, RQ))
        >> shutdown()
        << logged("association ended")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, ARTIM)
        << StopTimer(ONWARD, ARTIM)
        << CloseTransport(ONWARD)
        >> counted(0)
    )


@pytest.mark.parametrize("phase", [(connected(),), (connected(), data(ONWARD, AC))])
def test_shutdown_of_what_stands_or_is_about_to(phase):
    assert (
        Playbook()
        >> quietly(accepted(), data(INBOUND, RQ), *phase)
        >> shutdown()
        << logged("association ended")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, ARTIM)
        << send(ONWARD, abort(2, 0))
        << StartTimer(ONWARD, ARTIM)
        >> counted(0)
    )


def test_shutdown_closes_what_only_waits_for_its_close():
    """Else a connection that has had its end would hold its place until ARTIM, whoever needs it."""
    assert (
        Playbook()
        >> quietly(accepted(), data(INBOUND, b"GET / HTTP/1.1"))
        >> finished(False)
        >> shutdown()
        << CloseTransport(INBOUND)
        >> finished()
    )
    assert (
        Playbook()
        >> established()
        >> quietly(shutdown())
        >> shutdown()
        << CloseTransport(INBOUND)
        << CloseTransport(ONWARD)
        >> finished()
        >> shutdown()
    )


def test_shutdown_when_one_end_is_closed_already():
    assert (
        Playbook()
        >> established()
        >> quietly(data(INBOUND, abort(0, 0)))
        >> shutdown()
        << CloseTransport(ONWARD)
        >> finished()
    )


@pytest.mark.parametrize("timer", [Timer.IDLE, Timer.WRITE, Timer.RELEASE])
@pytest.mark.parametrize("end", [INBOUND, ONWARD])
def test_timers_that_fire_after_the_end(end, timer):
    """The shell stops the timers of a closed end only; one that outlives its purpose does nothing."""
    assert Playbook() >> established() >> quietly(shutdown()) >> expired(end, timer)


def test_a_connect_timer_that_fires_after_the_end():
    assert (
        Playbook()
        >> quietly(accepted(), data(INBOUND, RQ), connected(), data(INBOUND, abort(0, 0)))
        >> expired(ONWARD, Timer.CONNECT)
    )


def test_a_connection_that_is_lost_twice():
    assert (
        Playbook()
        >> established()
        >> quietly(lost(INBOUND), lost(ONWARD))
        >> finished()
        >> lost(INBOUND)
        >> lost(ONWARD)
    )


def test_bytes_behind_an_abort_have_nobody_to_go_to():
    assert (
        Playbook(bytewise=False)
        >> established()
        >> data(INBOUND, abort(0, 0) + command(ECHO, wire.echo_rq(1)) + RELEASE_RQ + RQ)
        << send(ONWARD, abort(0, 0))
        << StartTimer(ONWARD, ARTIM)
        << CloseTransport(INBOUND)
    )


def test_a_title_in_the_log_is_printable():
    raw = wire.rq("A\nB\x7f\xe9", "W\x001", CONTEXTS)
    assert (
        Playbook()
        >> quietly(accepted())
        >> data(INBOUND, raw)
        << StopTimer(INBOUND, ARTIM)
        << logged("association rejected", called="A?B??", calling="W?1")
        << send(INBOUND, wire.rj(1, 1, 3))
        << StartTimer(INBOUND, ARTIM)
    )


# A reload: which open associations would the new rules refuse?


def would_be_refused(answer: bool, policy: Policy) -> Check:
    return Check("refused now", lambda join, _: join.would_be_refused(policy), answer)


SAME = hospital.policy()
NO_RULES = hospital.policy(rules="")
NARROWER = hospital.policy(rules=hospital.RULES.replace('"find", "move", "get"', '"find", "get"'))
WIDER = hospital.policy(rules=hospital.RULES.replace('"find", "move", "get"', '"*"'))
EVERYWHERE = hospital.RULES.replace('to = ["ARCHIVE"]', 'to = ["ARCHIVE", "OLD"]')
ELSEWHERE = hospital.policy(
    rules=EVERYWHERE,
    aes=hospital.AES.replace('"HB_PACS"', '"HB_X"').replace('"HB_OLD"', '"HB_PACS"'),
)
UNKNOWN = hospital.policy(rules="", aes=hospital.AES.replace('"WS1"', '"WS9"'))


@pytest.mark.parametrize(
    ("policy", "answer"),
    [
        (SAME, False),
        (WIDER, False),
        (NO_RULES, True),
        (NARROWER, True),  # one of the contexts that were offered
        (ELSEWHERE, True),  # the title means another AE
        (UNKNOWN, True),
    ],
    ids=["same", "wider", "no rules", "narrower", "elsewhere", "unknown"],
)
def test_an_association_that_stands(policy, answer):
    assert Playbook(bytewise=False) >> established() >> would_be_refused(answer, policy)


def test_a_context_that_is_refused_already_is_no_reason():
    rq = wire.rq("HB_PACS", "WS1", [*CONTEXTS, Asked(21, wire.MPPS)])
    script = Playbook() >> established(rq=rq)
    assert script >> would_be_refused(False, SAME)


def test_the_relays_own_association():
    script = Playbook(bytewise=False)
    script >>= quietly(accepted(), data(INBOUND, wire.rq("HOSP_A", "WS1", CONTEXTS)))
    assert script >> would_be_refused(False, NO_RULES) >> would_be_refused(True, UNKNOWN)


def test_what_has_not_asked_or_has_ended_is_not_refused():
    assert Playbook() >> quietly(accepted()) >> would_be_refused(False, NO_RULES)
    assert Playbook() >> established() >> quietly(shutdown()) >> would_be_refused(False, NO_RULES)


def test_an_association_keeps_the_rules_that_it_began_with():
    """A reload between two messages changes nothing for it; `on_revoke` is the shell's."""
    border = hospital.border()

    def reload(join, border):
        border.policy = NO_RULES

    assert (
        Playbook(lambda: border, bytewise=False)
        >> established()
        >> Check("reload", reload, None)
        >> data(INBOUND, command(ECHO, wire.echo_rq(1)))
        << send(ONWARD, command(ECHO, wire.echo_rq(1)))
    )


def test_a_new_association_follows_the_new_rules():
    border = hospital.border()
    border.policy = NO_RULES
    assert (
        Playbook(lambda: border)
        >> quietly(accepted())
        >> data(INBOUND, RQ)
        << StopTimer(INBOUND, ARTIM)
        << send(INBOUND, wire.rj(1, 1, 7))
        << StartTimer(INBOUND, ARTIM)
    )
