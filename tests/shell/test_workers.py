"""The supervisor, its workers played by the test: who gets a connection, reload by all or none, the end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shell.played import Played
from ulproxy.policy.config import load
from ulproxy.relay.admission import ALL
from ulproxy.shell import worker
from ulproxy.shell.workers import GRACE, RELOAD, RETRY, SAID_AGAIN


@pytest.fixture
def played(tmp_path: Path, request: pytest.FixtureRequest, log: Any) -> Iterator[Played]:
    made = Played(tmp_path, getattr(request, "param", 2))
    yield made
    made.supervisor._ports.close()
    for sock, _ in made.supervisor._waiting:
        sock.close()
    made.real.close()


def renamed(table: dict[str, Any]) -> None:
    table["ae"][1]["alias"] = "NEW_PACS"


# Connections ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("played", [3], indirect=True)
def test_the_worker_that_has_fewest_gets_it(played):
    """Of equals the one that has been given fewest."""
    played.start()

    def counts() -> list[int]:
        return [member.handed for member in played.members]

    for _ in range(4):
        played.connect().close()
    assert counts() == [2, 1, 1]
    played.members[0].signs.ended = 2
    for _ in range(2):
        played.connect().close()
    assert counts() == [3, 2, 1]
    played.members[0].signs.ended = 3
    played.connect(0).close()
    assert counts() == [4, 2, 1]
    assert played.heard(0)[-2:] == [worker.CONNECTION + b"1", worker.CONNECTION + b"0"]


def test_ready_lines_when_all_serve(played, log):
    played.start(0)
    assert (played.ready, log.lines("started")) == ([], [])
    played.start(1)
    assert [line.rpartition(":")[0] for line in played.ready] == [
        "ready east 127.0.0.1",
        "ready west 127.0.0.1",
    ]
    assert [line["workers"] for line in log.lines("started")] == [2]


def test_one_that_does_not_listen_is_passed_over(played, log):
    """If none does, nobody is accepted until one does; those who have been wait."""
    played.start()
    played.ear(0).listens = False
    played.connect().close()
    assert [member.handed for member in played.members] == [0, 1]
    played.ear(1).listens = False
    waiting = [played.connect() for _ in range(2)]
    assert not any(port._accepting for port in played.supervisor._ports.open)
    played.time.pass_by(RETRY)
    played.time.pass_by(RETRY)
    played.ear(0).listens = True
    played.time.pass_by(RETRY)
    assert [member.handed for member in played.members] == [2, 1]
    assert all(port._accepting for port in played.supervisor._ports.open)
    assert len(log.lines("cannot accept")) == 1
    for one in waiting:
        one.close()


def test_one_that_has_enough_gets_no_more(played, log):
    """It would have no descriptors for them."""
    played.supervisor._room = 2
    played.start()
    peers = [played.connect() for _ in range(5)]
    assert [member.handed for member in played.members] == [2, 2]
    assert len(played.supervisor._waiting) == 1
    for _ in range(2):
        played.supervisor._exhausted(OSError(24, "Too many open files"))
        played.time.pass_by(SAID_AGAIN)
    assert len(log.lines("cannot accept")) >= 2
    for peer in peers:
        peer.close()


def test_a_connection_whose_listener_is_gone_meanwhile(played):
    """It waited for a worker while the listener was taken away."""
    played.start()
    for place in range(2):
        played.ear(place).listens = False
    peer = played.connect()

    def moved(table: dict[str, Any]) -> None:
        table["listener"][1]["bind"] = "127.0.0.2:0"

    played.reload(moved)
    for place in range(2):
        played.answer(place, worker.PREPARED + b"1")
        played.ear(place).listens = True
    played.time.pass_by(RETRY)
    assert peer.recv(1) == b""
    assert [member.handed for member in played.members] == [0, 0]
    peer.close()


def untaken() -> tuple[socket.socket, int]:
    near, far = socket.socketpair()
    return far, near.detach()


def test_what_one_that_dies_had_not_taken_goes_to_another(played):
    played.start()
    peer, descriptor = untaken()
    played.die(0, untaken=[(worker.CONNECTION + b"1", descriptor), (worker.STOP, None)])
    assert played.heard(1) == [worker.CONNECTION + b"1", worker.CLEAR]
    assert peer.recv(1) == b""  # the test's worker has no copy of it
    peer.close()


@pytest.mark.parametrize("message", [worker.CONNECTION + b"1", worker.PREPARE + b"4"])
def test_what_is_nobodys_any_more_is_closed(played, message):
    """A connection by a configuration that is not in force; a configuration."""
    played.start()
    peer, descriptor = untaken()
    played.die(0, untaken=[(message, descriptor), (worker.COMMIT, None)])
    assert played.heard(1) == [worker.CLEAR]
    assert peer.recv(1) == b""
    peer.close()


# Reload --------------------------------------------------------------------------------------------


def test_reload_by_all(played, log):
    """One of them reports it."""
    played.start()
    played.supervisor._counts.enter({ALL: None})
    played.reload(renamed)
    for place in range(2):
        assert played.heard(place) == [worker.PREPARE + b"1"]
        assert played.ear(place).configurations == [load(played.path)]
    played.answer(0, worker.PREPARED + b"1")
    assert (played.alias, log.lines("reloaded")) == ("FAR_PACS", [])
    played.answer(1, worker.PREPARED + b"1")
    assert played.alias == "NEW_PACS"
    assert [played.heard(place) for place in range(2)] == [[worker.COMMIT + b"1"], [worker.COMMIT]]
    assert [line["associations"] for line in log.lines("reloaded")] == [1]


def test_one_cannot(played, log):
    """Then all go on as they were, listeners too."""
    played.start()
    before = played.addresses()

    def change(table: dict[str, Any]) -> None:
        renamed(table)
        table["listener"][1]["bind"] = "127.0.0.2:0"

    played.reload(change)
    played.answer(0, worker.PREPARED + b"1")
    played.answer(1, worker.UNPREPARED + b"1 no such file")
    assert (played.alias, played.addresses()) == ("FAR_PACS", before)
    assert played.heard(0)[1:] == [worker.ABANDON + b"no such file"]
    assert played.heard(1)[1:] == [worker.ABANDON]
    assert [line["why"] for line in log.lines("reload refused")] == ["no such file"]


def test_a_mistake_in_the_file(played, log):
    played.start()
    played.reload(lambda table: table.update(rule=[{"from": ["NOBODY"]}]))
    assert played.heard(0)[0].startswith(worker.ABANDON)
    assert played.heard(1) == [worker.ABANDON]
    assert len(log.lines("reload refused")) > 1
    assert played.supervisor._reload is None


def test_an_address_that_cannot_be_had(played, log):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        played.start()
        played.reload(lambda table: table["listener"][0].update(bind=address))
        for place in range(2):
            played.answer(place, worker.PREPARED + b"1")
    why = f"{address}: Address already in use"
    assert played.heard(0)[1:] == [worker.ABANDON + why.encode()]
    assert [line["why"] for line in log.lines("reload refused")] == [why]


def test_one_does_not_answer(played, log):
    """And its answer comes when it does not count any more."""
    played.start()
    played.reload(renamed)
    played.answer(0, worker.PREPARED + b"1")
    played.time.pass_by(RELOAD)
    assert [line["why"] for line in log.lines("reload refused")] == ["a worker does not answer"]
    played.answer(1, worker.PREPARED + b"1")
    played.reload(renamed)
    played.answer(0, worker.PREPARED + b"2")
    played.answer(1, worker.PREPARED + b"1")
    assert played.alias == "FAR_PACS"
    played.answer(1, worker.PREPARED + b"2")
    assert played.alias == "NEW_PACS"


def test_one_dies_meanwhile(played):
    """It is replaced when all others go by the new one."""
    played.start()
    played.reload(renamed)
    played.answer(0, worker.PREPARED + b"1")
    played.die(1)
    assert played.alias == "NEW_PACS"
    assert not played.supervisor._crew.held


def test_nobody_is_forked_meanwhile(played):
    played.start()
    played.die(1)
    played.reload(renamed)
    played.time.pass_by(1)
    stops = played.time.stops
    assert played.supervisor._crew.held
    played.answer(0, worker.PREPARED + b"1")
    assert not played.supervisor._crew.held
    assert played.time.stops == stops + 1


def test_another_one_is_asked_for_meanwhile(played):
    played.start()
    played.reload(renamed)
    played.reload(lambda table: table["ae"][1].update(alias="NEWER_PACS"))
    for place in range(2):
        assert played.heard(place) == [worker.PREPARE + b"1"]
        played.answer(place, worker.PREPARED + b"1")
    assert played.alias == "NEW_PACS"
    for place in range(2):
        played.answer(place, worker.PREPARED + b"2")
    assert played.alias == "NEWER_PACS"


def test_asked_for_before_all_serve(played):
    played.reload(renamed)
    assert played.heard(0) == []
    played.start()
    assert played.heard(0) == [worker.PREPARE + b"1"]


def test_another_state_is_for_the_next_start(played, tmp_path, log):
    played.start()
    played.reload(lambda table: table["relay"].update(state=str(tmp_path / "state.sqlite")))
    for place in range(2):
        played.answer(place, worker.PREPARED + b"1")
    assert len(log.lines("state is used from the next start on")) == 1


# The end -------------------------------------------------------------------------------------------


def test_all_are_told_to_stop(played, log):
    played.start()
    played.supervisor._stop(signal.SIGTERM)
    played.supervisor._stop(signal.SIGTERM)
    for place in range(2):
        assert played.heard(place) == [worker.STOP, worker.HURRY]
        assert not played.supervisor._over
        played.die(place, 0)
    assert played.supervisor._over
    assert log.lines("worker died") == []
    assert len(log.lines("stopping")) == 2


@pytest.mark.parametrize("drain", [None, 5.0])
def test_one_does_not_stop(played, monkeypatch, drain):
    """It is not waited for for ever, where somebody is in a hurry or has said how long."""
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda process, _number: killed.append(process))
    played.start()
    played.supervisor._drain = drain
    played.supervisor._stop(signal.SIGTERM)
    played.time.pass_by((drain or 0) + GRACE - 1)
    assert killed == []
    if drain is None:
        played.time.pass_by(1000)
        assert killed == []
        played.supervisor._stop(signal.SIGTERM)
        played.time.pass_by(GRACE - 1)
    played.die(0, 0)
    played.time.pass_by(1)
    assert killed == [played.members[1].process]


def test_stopped_in_the_middle_of_a_reload(played, log):
    played.start()
    played.reload(renamed)
    played.reload(renamed)
    for place in range(2):
        played.ear(place).listens = False
    peer = played.connect()
    played.supervisor._stop(signal.SIGTERM)
    assert [line["why"] for line in log.lines("reload refused")] == ["the relay stops"]
    assert played.heard(1) == [worker.PREPARE + b"1", worker.ABANDON, worker.STOP]
    assert peer.recv(1) == b""
    played.supervisor._load()
    assert len(log.lines("reload refused")) == 2
    peer.close()


def test_stopped_while_nobody_lives(played):
    played.start()
    played.die(0)
    played.die(1)
    played.supervisor._stop(signal.SIGTERM)
    assert played.supervisor._over
    stops = played.time.stops
    played.time.pass_by(100)
    assert played.time.stops == stops


def test_stopped_before_all_serve(played, log):
    """Nobody is told that it is ready when it is not any more."""
    played.start(0)
    played.supervisor._stop(signal.SIGTERM)
    played.start(1)
    assert (played.ready, log.lines("started")) == ([], [])
    for place in range(2):
        assert played.heard(place) == [worker.STOP]
        played.die(place, 0)
    assert played.supervisor._over
    assert played.supervisor._exit_code == 0


def test_one_dies_before_all_serve(played, log):
    """Another one would not get further: the relay does not start."""
    played.start(0)
    played.die(1, 1)
    assert played.heard(0) == [worker.STOP]
    played.die(0, 0)
    assert played.supervisor._over
    assert played.supervisor._exit_code == 1
    assert [line["how"] for line in log.lines("worker died")] == ["exit code 1"]
