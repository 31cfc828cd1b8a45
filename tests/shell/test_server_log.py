"""What the running relay says of itself, and how often; what it does about moves of other processes."""

from __future__ import annotations

import copy
import signal
import subprocess
from contextlib import closing
from typing import Any

import pytest

import ulproxy
from tests.end_to_end.peers import run_relay, toml
from tests.relay.hospital import a_move
from tests.shell.peers import eventually
from tests.shell.relay import Relay, config, relay, serving
from ulproxy.relay.moves import Moves
from ulproxy.shell.server import SAID_AGAIN
from ulproxy.shell.sessions import LOOK
from ulproxy.shell.state import State


async def reloaded(running: Relay, new: Any) -> None:
    before = len(running.log.lines("reloaded"))
    running.reload(new)
    await eventually(lambda: len(running.log.lines("reloaded")) > before, "it reloads")


async def test_which_version_serves_what(tmp_path):
    async with serving(tmp_path) as (running, _):
        await reloaded(running, running.config)
    for event in ("started", "reloaded"):
        (line,) = running.log.lines(event)
        assert (line["version"], line["file"]) == (ulproxy.__version__, str(running.path))
    assert running.log.lines("note") == []


async def test_what_the_author_of_the_file_may_want_to_know(tmp_path):
    async with serving(tmp_path) as (running, _):
        new = copy.deepcopy(running.config)
        new["relay"]["enforce"] = False
        await reloaded(running, new)
        notes = [
            (note.line, note.key, note.text) for note in running.server.border.policy.config.notes
        ]
        await eventually(lambda: running.log.lines("note"), "it says so")
    assert notes
    lines = running.log.lines("note")
    assert [(line["line"], line["key"], line["why"]) for line in lines] == notes
    async with relay(tmp_path, new) as again:
        assert [line["why"] for line in again.log.lines("note")[len(notes) :]] == [
            text for _, _, text in notes
        ]


async def test_another_state_is_for_the_next_start(tmp_path):
    async with serving(tmp_path) as (running, _):
        new = copy.deepcopy(running.config)
        for _ in range(2):
            new["relay"]["state"] = str(tmp_path / "state.sqlite")
            await reloaded(running, new)
    assert len(running.log.lines("state is used from the next start on")) == 1
    assert not (tmp_path / "state.sqlite").exists()


@pytest.mark.parametrize("seconds", [SAID_AGAIN - 0.2, SAID_AGAIN, SAID_AGAIN + 0.2])
async def test_that_no_descriptor_is_left_is_said_once_a_minute(tmp_path, seconds):
    async with serving(tmp_path) as (running, _):
        error = OSError(24, "Too many open files")
        for _ in range(5):
            running.server._exhausted(error)
        running.pass_time(seconds)
        for _ in range(5):
            running.server._exhausted(error)
    lines = running.log.lines("cannot accept")
    assert len(lines) == (1 if seconds < SAID_AGAIN else 2)
    assert {line["why"] for line in lines} == {"Too many open files"}


async def test_it_looks_whether_a_move_of_another_process_has_ended(tmp_path, monkeypatch):
    """Only while something waits for one."""
    path = tmp_path / "state.sqlite"
    async with serving(tmp_path) as (running, _):
        with closing(State(path)) as mine, closing(State(path)) as other:
            moves = running.server.border.moves = Moves(mine.moves)
            there = Moves(other.moves)
            move = there.open(a_move("WS1", "PACS", "WS1", "HA_WS1", 1), ())
            assert moves.at("PACS")
            woken: list[bool] = []
            monkeypatch.setattr(running.server, "_moves_ended", lambda: woken.append(True))
            running.server._look_for_moves()
            assert running.clock.due == []
            moves.waiting = 1
            running.server._look_for_moves()
            running.server._look_for_moves()
            assert len(running.clock.due) == 1
            running.pass_time(3 * LOOK)
            assert woken == []
            there.close(move)
            running.pass_time(LOOK)
            await eventually(lambda: woken, "who waits is told")
            assert woken == [True]
            moves.waiting = 0
            running.server._look_for_moves()
            assert running.clock.due == []
            running.server.border.moves = Moves()


def test_standard_error_is_closed(tmp_path):
    """It says so where it can, and serves."""
    path = tmp_path / "relay.toml"
    path.write_text(toml(config(1)))
    run = run_relay(path)
    closing = ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *run]
    with subprocess.Popen(closing, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "standard error is closed: nothing is logged\n"
        assert {running.stdout.readline().split()[0] for _ in range(2)} == {"ready"}
        running.send_signal(signal.SIGHUP)
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0
