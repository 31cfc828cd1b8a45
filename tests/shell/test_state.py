"""Where what the processes share is kept, and what is left of it."""

from __future__ import annotations

import stat
from contextlib import closing
from pathlib import Path

import pytest

from tests.relay.hospital import a_move
from tests.shell.relay import descriptors
from ulproxy.relay.moves import Moves
from ulproxy.relay.store import MemoryStore
from ulproxy.shell.state import State


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "run"
    directory.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    return directory


def test_in_a_directory_of_its_own_that_is_gone_at_the_end(runtime):
    before = descriptors()
    with closing(State(None)) as state:
        assert state.path.parent.parent == runtime
        assert stat.S_IMODE(state.path.parent.stat().st_mode) == 0o700
        Moves(state.moves).open(a_move("WS1", "PACS", "WS1", "HA_WS1", 1), ())
        state.commitments.remember("PACS", "1.2", "CT")
        with closing(State(None)) as other:
            assert other.path != state.path
            assert other.commitments.asked_by("PACS", "1.2") == ""
    assert list(runtime.iterdir()) == []
    assert descriptors() <= before


def test_a_named_file_stays_and_is_shared(tmp_path):
    path = tmp_path / "state.sqlite"
    with closing(State(path)) as one, closing(State(path)) as other:
        here, there = Moves(one.moves), Moves(other.moves)
        here.open(a_move("WS1", "PACS", "WS1", "HA_WS1", 1), ())
        assert there.destinations("PACS") == {"WS1"}
        one.commitments.remember("PACS", "1.2", "CT")
        other.clear()
        assert there.destinations("PACS") == {"WS1"}
    with closing(State(path)) as later:
        assert Moves(later.moves).at("PACS") == ()
        assert later.commitments.asked_by("PACS", "1.2") == "CT"
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"state.sqlite", "state.sqlite-moves", "state.sqlite-moves-workers"}


def test_without_a_place_each_process_knows_what_it_has_done_itself(tmp_path, log):
    (tmp_path / "file").write_text("")
    with closing(State(tmp_path / "file" / "state.sqlite")) as state:
        assert isinstance(state.moves, MemoryStore)
        state.commitments.remember("PACS", "1.2", "CT")
        assert state.commitments.asked_by("PACS", "1.2") == "CT"
        state.clear()
    (line,) = log.lines()
    assert line["event"] == "state cannot be shared"
    assert str(tmp_path) in line["why"] or line["why"] == "Not a directory"


def test_without_a_directory_for_one(monkeypatch, tmp_path, log):
    monkeypatch.setattr("ulproxy.shell.runtime.runtime_directory", lambda: tmp_path / "missing")
    with closing(State(None)) as state:
        state.clear()
        assert isinstance(state.moves, MemoryStore)
    assert len(log.lines("state cannot be shared")) == 1
