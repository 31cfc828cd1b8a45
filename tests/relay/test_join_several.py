"""What the join itself does for several legs: reloads, faults that show late, the end by a bug of ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.relay import groups, hospital, sharing, wire
from tests.relay.archives import MOVING
from tests.relay.groups import FIRST, SECOND
from tests.relay.hospital import ECHO, FIND, MOVE
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Check,
    Input,
    Playbook,
    counted,
    data,
    established,
    expired,
    finished,
    logged,
    lost,
    moves_ended,
    moving,
    quietly,
    receive,
    send,
    shutdown,
)
from tests.relay.sharing import TO_WS3
from tests.relay.test_retrieval import asks, silent, waiting
from tests.relay.wire import Given, abort, command, fragment
from ulproxy.policy.rules import Policy
from ulproxy.relay.effects import CloseTransport, Record, StartTimer, StopTimer, Timer
from ulproxy.relay.exchange import MAX_WAITING
from ulproxy.relay.gate import MAX_OUTSTANDING
from ulproxy.relay.join import Join
from ulproxy.relay.legs import SeveralLegs
from ulproxy.relay.operation import OpenOperation

# A reload: which open associations would the new rules refuse?


def would_be_refused(answer: bool, policy: Policy) -> Check:
    return Check("refused now", lambda join, _: join.would_be_refused(policy), answer)


def policy(made, old: str = "", new: str = "") -> Policy:
    """The policy of a border, whose rules go from or to another AE."""
    config = made().policy.config
    rules = tuple(
        replace(
            rule,
            from_=tuple(new if name == old else name for name in rule.from_),
            to=tuple(new if name == old else name for name in rule.to),
        )
        for rule in config.rules
    )
    return Policy(replace(config, rules=rules))


GROUP = groups.border()
SHARED = sharing.border(TO_WS3, sharing.TO_WS4)


@pytest.mark.parametrize(
    ("new", "answer"),
    [
        (policy(GROUP), False),
        (policy(GROUP, "EVERY", "ALL"), False),  # one member less, which this group has not
        (policy(GROUP, "EVERY", "ARCHIVE"), True),  # one that it has
        (policy(GROUP, "WS1", "WS2"), True),
        (hospital.policy(), True),  # no group
    ],
    ids=["same", "another group", "a member less", "another caller", "no group"],
)
def test_an_association_with_a_group(new, answer):
    assert groups.joined(FIRST, SECOND) >> would_be_refused(answer, new)


@pytest.mark.parametrize(
    ("new", "answer"),
    [
        (policy(SHARED), False),
        (policy(SHARED, "WS3", "WS1"), False),  # what is moved already may come
        (policy(sharing.border(old='"WS4"', new='"WS6"')), True),
        (hospital.policy(aes=hospital.AES.replace('"PACS"', '"NO_PACS"')), True),
    ],
    ids=["same", "other rules", "an AE less", "another archive"],
)
def test_an_association_behind_the_shared_title(new, answer):
    assert sharing.standing(SHARED, FIRST, SECOND) >> would_be_refused(answer, new)


# Faults that show when something is judged again


def test_a_message_that_waited_and_cannot_be_read():
    """What its sender has done wrong shows only now; what waited behind it is not judged any more."""
    rq = wire.rq("HB_PACS", "WS4", (*MOVING, wire.Asked(FIND, wire.STUDY_FIND)))
    script = Playbook(silent(TO_WS3), peer=hospital.peer("10.1.0.5"))
    script >>= established(rq, wire.ac([Given(MOVE)]))
    script >>= quietly(data(INBOUND, asks("WS4", 5)), data(INBOUND, asks("WS4", 6)))
    assert (
        script
        >> sharing.ends("WS3")
        >> Check("of those that wait", _crowded, None)
        >> moves_ended()
        << logged("association ended", outcome=CROWD)
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, Timer.ARTIM)
        << send(ONWARD, abort(2, 0))
        << StartTimer(ONWARD, Timer.ARTIM)
        >> moving()
        >> counted(0)
    )


CROWD = "protocol error of the inbound end: no Message ID is left for WS4 to ARCHIVE"


def _crowded(_: Join, border) -> None:
    """All Message IDs are told to the archive already, and that of the first one is somebody else's."""
    archive = border.moves._archive("ARCHIVE")
    archive.free = lambda taken: 0
    archive.takes_for_another = lambda move: True


HALF = command(hospital.STORE, wire.store_rq(1)) + fragment(hospital.STORE, b"pixels", last=False)


def test_a_held_message_that_its_sender_may_not_send():
    """A member is held; what it has said breaks the protocol, which shows when it is looked at."""
    assert (
        groups.both()
        >> quietly(data(FIRST, HALF))
        >> data(SECOND, command(ECHO, wire.echo_rq(1)) + command(99, wire.echo_rq(2)))
        >> data(FIRST, fragment(hospital.STORE, b""))
        << send(INBOUND, fragment(hospital.STORE, b""), command(ECHO, wire.echo_rq(1)))
        << send(SECOND, abort(2, 6))
        << StartTimer(SECOND, Timer.ARTIM)
        << logged("AE failed", callee="PACS2")
    )


def test_a_held_message_that_is_one_too_many():
    """Judged again, it is the one that goes over a limit."""

    def too_many(join: Join, _) -> None:
        conduct = join._conduct
        assert isinstance(conduct, SeveralLegs)
        one = OpenOperation(7, 7, wire.C_ECHO, None, False)
        conduct._members["PACS2"].gate._outstanding[ONWARD] += [one] * MAX_OUTSTANDING

    assert (
        groups.both()
        >> quietly(data(FIRST, HALF), data(SECOND, command(ECHO, wire.echo_rq(1))))
        >> Check("too many requests without an answer", too_many, None)
        >> data(FIRST, fragment(hospital.STORE, b""))
        << send(INBOUND, fragment(hospital.STORE, b""))
        << send(SECOND, abort(2, 0))
        << StartTimer(SECOND, Timer.ARTIM)
        << logged("AE failed", callee="PACS2")
    )


def test_the_answer_that_is_one_too_many():
    """A member is lost, so a query is answered; the caller has more answers waiting than it may have."""
    refused = command(ECHO, wire.request(wire.N_GET, 1, wire.PRINTER))
    answers = quietly(data(INBOUND, refused * MAX_WAITING))
    assert (
        groups.both()
        >> quietly(data(INBOUND, groups.find(2)), data(FIRST, FOUND), data(FIRST, HALF))
        >> answers
        >> lost(SECOND, "reset")
        << logged("AE failed", callee="PACS2")
        << logged("association ended", outcome=TOO_MANY)
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, Timer.ARTIM)
        << send(FIRST, abort(2, 0))
        << StartTimer(FIRST, Timer.ARTIM)
    )


FOUND = command(FIND, groups.final(wire.C_FIND, 2))
TOO_MANY = f"protocol error of the inbound end: {MAX_WAITING} requests refused during one data set"


# The end


def abandon() -> Input:
    return Input("abandon", Join.abandon)


WAITS = Check("waiting", lambda join, one: (join.waits, one.moves.waiting), (True, 1))
WAITS_NOT = Check("waiting", lambda join, one: (join.waits, one.moves.waiting), (False, 0))


@pytest.mark.parametrize("how", [abandon(), shutdown()])
def test_nothing_waits_any_more_after_the_end(how):
    """Else every C-MOVE that ends would be told to somebody who is not there."""
    assert (
        waiting()
        >> quietly(data(INBOUND, asks("WS4")))
        >> WAITS
        >> quietly(how)
        >> WAITS_NOT
        >> moves_ended()
        >> counted(0)
    )


def test_a_bug_of_ours_gives_back_what_is_counted():
    """The shell has closed all ends."""
    join = Join(GROUP(), hospital.peer())
    join.accepted()
    receive(join, INBOUND, groups.RQ)
    (record,) = join.abandon()
    assert isinstance(record, Record)
    assert record.facts["outcome"] == "internal error"
    assert join.finished
    assert join._border.admission.total == 0


def test_all_ends_are_waited_for():
    assert (
        groups.both()
        >> quietly(data(INBOUND, abort(0, 0)))
        >> finished(False)
        >> expired(FIRST, Timer.ARTIM)
        << StopTimer(FIRST, Timer.ARTIM)
        << CloseTransport(FIRST)
        >> finished(False)
        >> quietly(expired(SECOND, Timer.ARTIM))
        >> finished()
    )


def test_what_is_not_read_for_now():
    held = Check("holds", lambda join, _: (join.holds, join.on_hold(SECOND)), (True, True))
    free = Check("holds", lambda join, _: (join.holds, join.on_hold(SECOND)), (False, False))
    assert (
        groups.both()
        >> free
        >> quietly(data(FIRST, HALF), data(SECOND, command(ECHO, wire.echo_rq(1))))
        >> held
        >> quietly(data(FIRST, fragment(hospital.STORE, b"")))
        >> free
    )


def test_the_end_of_all_frees_what_is_held():
    held = Check("holds", lambda join, _: join.holds, True)
    free = Check("holds", lambda join, _: join.holds, False)
    assert (
        groups.both()
        >> quietly(data(FIRST, HALF), data(SECOND, command(ECHO, wire.echo_rq(1)) * 2))
        >> held
        >> quietly(data(INBOUND, abort(0, 0)))
        >> free
    )
