"""Storage commitment: the result finds the AE that asked, on an association of its own (PS3.4 J.3)."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Check,
    Input,
    Playbook,
    accepted,
    connected,
    counted,
    data,
    established,
    logged,
    lost,
    quietly,
    send,
)
from tests.relay.sharing import (
    FIRST,
    OBJECT,
    SECOND,
    TO_WS3,
    WS3,
    WS4,
    border,
    done,
    stored,
)
from tests.relay.wire import Asked, Given, abort, command, fragment, rj
from ulproxy.relay.effects import CloseTransport, End, OpenTransport, StartTimer, StopTimer, Timer
from ulproxy.relay.shared import MAX_REPORTS

CONTEXT = 7
REPORTING = (Asked(CONTEXT, wire.COMMITMENT, (wire.EXPLICIT, wire.IMPLICIT)),)
SCP = wire.role(wire.COMMITMENT, 0, 1)
RQ = wire.rq("HOSP_A", "PACS", REPORTING, extras=[SCP])
AC = wire.ac([Given(CONTEXT)], extras=[SCP])
TOLD = hospital.relayed_ac("HOSP_A", "PACS", (Given(CONTEXT, 0, wire.EXPLICIT),), extras=(SCP,))


def transaction(uid: str) -> bytes:
    """(0008,1195) Transaction UID, in explicit VR little endian."""
    value = wire.uid(uid)
    return bytes.fromhex("08009511") + b"UI" + len(value).to_bytes(2, "little") + value


def retrieve(title: str) -> bytes:
    value = wire.text(title)
    return bytes.fromhex("08005400") + b"AE" + len(value).to_bytes(2, "little") + value


def report(uid: str, message_id: int = 1, title: str = "PACS") -> bytes:
    elements = wire.request(wire.N_EVENT_REPORT, message_id, wire.COMMITMENT, data=True)
    return command(CONTEXT, elements) + fragment(CONTEXT, retrieve(title) + transaction(uid))


def reported(message_id: int = 1, status: int = 0) -> bytes:
    return command(CONTEXT, wire.response(wire.N_EVENT_REPORT, message_id, wire.COMMITMENT, status))


def asked_by(*asked: tuple[str, str], moves: tuple[tuple[str, str, int], ...] = ()):
    """A border where these AEs have asked for commitment, with these Transaction UIDs."""

    def made():
        one = border(*moves)()
        for name, uid in asked:
            one.commitments.remember("ARCHIVE", uid, name)
        return one

    return made


def answers(leg: End, ac: bytes = b"") -> tuple[Input, Input]:
    explicit = wire.ac([Given(CONTEXT, 0, wire.EXPLICIT)], extras=[SCP])
    return connected(leg), data(leg, ac or explicit)


def calls(made, rq: bytes = RQ) -> Playbook:
    return Playbook(made, peer=hospital.OUTSIDE) >> quietly(accepted(), data(INBOUND, rq))


def test_the_archive_is_accepted_before_anybody_is_called():
    """Whom a result is for shows when it comes."""
    assert (
        Playbook(asked_by(("WS3", "1.2.3")), peer=hospital.OUTSIDE)
        >> quietly(accepted())
        >> data(INBOUND, RQ)
        << StopTimer(INBOUND, Timer.ARTIM)
        << StartTimer(INBOUND, Timer.IDLE)
        << logged("association established", caller="ARCHIVE", contexts=1)
        << send(INBOUND, TOLD)
        >> counted(1)
    )


def test_the_result_goes_to_who_asked_with_the_titles_that_it_knows():
    once = (Asked(CONTEXT, wire.COMMITMENT, (wire.EXPLICIT,)),)
    assert (
        calls(asked_by(("WS3", "1.2.3"), ("WS4", "1.2.4")))
        >> data(INBOUND, report("1.2.4"))
        << OpenTransport(WS4, FIRST)
        << StartTimer(FIRST, Timer.CONNECT)
        >> connected(FIRST)
        << send(FIRST, hospital.relayed_rq("WS4", "HB_PACS", once, extras=(SCP,)))
        >> data(FIRST, answers(FIRST)[1].received)
        << StopTimer(FIRST, Timer.CONNECT)
        << send(FIRST, report("1.2.4", title="HB_PACS"))
        >> data(FIRST, reported())
        << send(INBOUND, reported())
        >> data(INBOUND, report("1.2.3", 2) + report("1.2.4", 3))
        << OpenTransport(WS3, SECOND)
        << StartTimer(SECOND, Timer.CONNECT)
        << send(FIRST, report("1.2.4", 3, "HB_PACS"))
        >> quietly(connected(SECOND))
        >> data(SECOND, answers(SECOND)[1].received)
        << StopTimer(SECOND, Timer.CONNECT)
        << send(SECOND, report("1.2.3", 2, "HB_PACS"))
    )


def refused(script: Playbook, message: bytes, why: str, status: int = 0x0110) -> Playbook:
    return (
        script
        >> data(INBOUND, message)
        << logged("message refused", why=why)
        << send(INBOUND, reported(1, status))
    )


@pytest.mark.parametrize("uid", ["1.2.9", ""])
def test_a_result_that_nobody_has_asked_for(uid):
    why = "nobody is known to have asked for it"
    assert refused(calls(asked_by(("WS3", "1.2.3"))), report(uid), why)


def test_who_asked_is_not_in_the_file_any_more():
    assert refused(
        calls(asked_by(("GONE", "1.2.3"))), report("1.2.3"), "GONE is not in the file any more"
    )


def test_who_asked_only_calls():
    why = "ASKER has no address: it only calls"
    assert refused(calls(asked_by(("ASKER", "1.2.3"))), report("1.2.3"), why)


def test_no_rule_lets_it_be_told_any_more():
    """It may verify the archive, no more; what it had asked for was allowed by an older file."""
    why = "no presentation context allowed to MINI"
    assert refused(calls(asked_by(("MINI", "1.2.3"))), report("1.2.3"), why)


def test_a_data_set_that_cannot_be_read_is_the_archives_fault():
    elements = wire.request(wire.N_EVENT_REPORT, 1, wire.COMMITMENT, data=True)
    broken = command(CONTEXT, elements) + fragment(CONTEXT, transaction("1.2.3")[:-2])
    assert (
        calls(asked_by(("WS3", "1.2.3")))
        >> data(INBOUND, broken)
        << logged("association ended")
        << send(INBOUND, abort(2, 6))
        << StartTimer(INBOUND, Timer.ARTIM)
        >> counted(0)
    )


def test_also_where_that_shows_when_the_ae_is_there():
    """Behind the Transaction UID there is something that no titles can be mapped in."""
    elements = wire.request(wire.N_EVENT_REPORT, 1, wire.COMMITMENT, data=True)
    cut = bytes.fromhex("10001000504eff00")
    broken = command(CONTEXT, elements) + fragment(
        CONTEXT, retrieve("PACS") + transaction("1.2.3") + cut
    )
    assert (
        calls(asked_by(("WS3", "1.2.3")))
        >> quietly(data(INBOUND, broken), connected(FIRST))
        >> data(FIRST, answers(FIRST)[1].received)
        << StopTimer(FIRST, Timer.CONNECT)
        << logged("association ended")
        << send(INBOUND, abort(2, 6))
        << StartTimer(INBOUND, Timer.ARTIM)
        << send(FIRST, abort(2, 0))
        << StartTimer(FIRST, Timer.ARTIM)
        >> counted(0)
    )


# The AE does not take it


@pytest.mark.parametrize(
    ("how", "why", "closed"),
    [
        (lost(FIRST, "refused"), "refused", False),
        (data(FIRST, rj(1, 1, 7)), "rejected by the AE with (1, 1, 7)", True),
    ],
)
def test_one_that_is_down_is_called_once(how, why, closed):
    """Not again and again: the archive may send the result later."""
    script = calls(asked_by(("WS3", "1.2.3"))) >> quietly(data(INBOUND, report("1.2.3")))
    script = script >> quietly(*[connected(FIRST)] * closed) >> how
    if closed:
        script <<= StopTimer(FIRST, Timer.CONNECT)
    script = script << logged("AE failed", callee="WS3")
    script = (
        script << logged("message refused", why=f"WS3: {why}") << send(INBOUND, reported(1, 0x0110))
    )
    if closed:
        script <<= CloseTransport(FIRST)
    assert (
        script
        >> data(INBOUND, report("1.2.3", 2))
        << OpenTransport(WS3, SECOND)
        << StartTimer(SECOND, Timer.CONNECT)
    )


def test_one_that_does_not_accept_the_context():
    script = calls(asked_by(("WS3", "1.2.3"))) >> quietly(
        data(INBOUND, report("1.2.3")), connected(FIRST)
    )
    assert (
        script
        >> data(FIRST, wire.ac([Given(CONTEXT, 3)]))
        << StopTimer(FIRST, Timer.CONNECT)
        << logged("message refused", why="WS3 does not accept the presentation context")
        << send(INBOUND, reported(1, 0x0122))
    )


def test_an_instance_uid_that_is_none():
    elements = {
        **wire.request(wire.N_EVENT_REPORT, 1, wire.COMMITMENT, data=True),
        wire.AFFECTED_INSTANCE: b"../1",
    }
    message = command(CONTEXT, elements) + fragment(CONTEXT, transaction("1.2.3"))
    script = calls(asked_by(("WS3", "1.2.3"))) >> quietly(data(INBOUND, message), connected(FIRST))
    assert (
        script
        >> data(FIRST, answers(FIRST)[1].received)
        << StopTimer(FIRST, Timer.CONNECT)
        << logged("message refused", why="Affected SOP Instance UID is no UID")
        << send(INBOUND, reported(1, 0x0117))
    )


def test_an_ae_that_has_a_result_and_is_lost():
    """What it has been sent cannot be answered for."""
    script = calls(asked_by(("WS3", "1.2.3"))) >> quietly(
        data(INBOUND, report("1.2.3")), *answers(FIRST)
    )
    assert (
        script
        >> lost(FIRST, "reset")
        << logged("association ended", outcome="reset")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, Timer.ARTIM)
    )


@pytest.mark.parametrize("number", [MAX_REPORTS - 1, MAX_REPORTS, MAX_REPORTS + 1])
def test_how_many_wait(number):
    """MAX_REPORTS - 1, at, + 1; what need not wait is passed on all the same."""
    script = calls(asked_by(("WS3", "1.2.3"), ("WS4", "1.2.4")))
    script >>= quietly(data(INBOUND, report("1.2.4")), *answers(FIRST), data(FIRST, reported()))
    script >>= quietly(*(data(INBOUND, report("1.2.3", n)) for n in range(1, number)))
    script >>= data(INBOUND, report("1.2.3", number))
    if number > MAX_REPORTS:
        script <<= logged("message refused", why=f"{MAX_REPORTS} results wait already")
        script <<= send(INBOUND, reported(number, 0x0110))
    script = (
        script >> data(INBOUND, report("1.2.4", 99)) << send(FIRST, report("1.2.4", 99, "HB_PACS"))
    )
    script = script >> quietly(connected(SECOND)) >> data(SECOND, answers(SECOND)[1].received)
    passed = [report("1.2.3", n, "HB_PACS") for n in range(1, min(number, MAX_REPORTS) + 1)]
    assert script << StopTimer(SECOND, Timer.CONNECT) << send(SECOND, *passed)


# Beside C-STOREs

MIXED = (Asked(1, wire.CT), *REPORTING)
MIXED_RQ = wire.rq("HOSP_A", "PACS", MIXED, extras=[SCP])
MIXED_AC = wire.ac([Given(1), Given(CONTEXT, 0, wire.EXPLICIT)], extras=[SCP])


def test_a_result_and_objects_on_one_association():
    made = asked_by(("WS4", "1.2.4"), moves=(TO_WS3,))
    assert (
        calls(made, MIXED_RQ)
        >> quietly(*answers(FIRST, MIXED_AC))
        >> data(INBOUND, report("1.2.4"))
        << OpenTransport(WS4, SECOND)
        << StartTimer(SECOND, Timer.CONNECT)
        >> data(INBOUND, stored(("HOSP_A", 5), 2) + OBJECT[:-2])
        << send(FIRST, stored(("WS3", 5), 2) + OBJECT[:-2])
        >> quietly(connected(SECOND))
        >> data(SECOND, MIXED_AC)
        << StopTimer(SECOND, Timer.CONNECT)
        << send(SECOND, report("1.2.4", title="HB_PACS"))
        >> data(INBOUND, OBJECT[-2:])
        << send(FIRST, OBJECT[-2:])
        >> data(SECOND, reported())
        << send(INBOUND, reported())
        >> data(FIRST, done(2))
        << send(INBOUND, done(2))
    )


def test_one_of_two_that_are_called_is_down():
    """The other one's result still waits for it."""
    script = calls(asked_by(("WS3", "1.2.3"), ("WS4", "1.2.4")))
    script >>= quietly(data(INBOUND, report("1.2.3") + report("1.2.4", 2)))
    assert (
        script
        >> lost(FIRST, "refused")
        << logged("message refused", why="WS3: refused")
        << send(INBOUND, reported(1, 0x0110))
        >> quietly(connected(SECOND))
        >> data(SECOND, answers(SECOND)[1].received)
        << StopTimer(SECOND, Timer.CONNECT)
        << send(SECOND, report("1.2.4", 2, "HB_PACS"))
    )


# Who asks


@pytest.mark.parametrize(
    ("caller", "address", "known"),
    [("WS3", "10.1.0.3", "WS3"), ("WS1", "10.1.0.1", "")],
    ids=["behind the shared title", "with a title of its own"],
)
def test_who_asks_is_remembered(caller, address, known):
    """Only where the result would come to a title that others have too."""
    contexts = (Asked(CONTEXT, wire.COMMITMENT, (wire.EXPLICIT,)),)
    asks = wire.request(wire.N_ACTION, 1, wire.COMMITMENT, data=True)
    message = command(CONTEXT, asks) + fragment(CONTEXT, transaction("1.2.3"))
    found = Check("who asked", lambda _, one: one.commitments.asked_by("ARCHIVE", "1.2.3"), known)
    assert (
        Playbook(border(), peer=hospital.peer(address))
        >> established(
            wire.rq("HB_PACS", caller, contexts),
            wire.ac([Given(CONTEXT, 0, wire.EXPLICIT)]),
        )
        >> data(INBOUND, message)
        << send(ONWARD, message)
        >> found
    )


def test_what_has_no_transaction_uid_is_not_remembered():
    contexts = (Asked(CONTEXT, wire.COMMITMENT, (wire.EXPLICIT,)),)
    asks = wire.request(wire.N_ACTION, 1, wire.COMMITMENT, data=True)
    message = command(CONTEXT, asks) + fragment(CONTEXT, b"")
    assert (
        Playbook(border(), peer=hospital.peer("10.1.0.3"))
        >> established(
            wire.rq("HB_PACS", "WS3", contexts), wire.ac([Given(CONTEXT, 0, wire.EXPLICIT)])
        )
        >> data(INBOUND, message)
        << send(ONWARD, message)
        >> Check("who asked", lambda _, one: one.commitments.asked_by("ARCHIVE", ""), "")
    )
