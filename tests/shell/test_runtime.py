"""Directories of relays: each has its own, which is gone in the end, whoever has to see to that."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.shell.relay import descriptors
from ulproxy.shell import runtime as module
from ulproxy.shell.runtime import PREFIX, OwnDirectory, runtime_directory

DIES = """
import os, sys
from ulproxy.shell.runtime import OwnDirectory
directory = OwnDirectory()
(directory.path / "state.sqlite").write_text("")
(directory.path / "deep").mkdir()
child = os.fork()
if not child:
    print(os.getpid(), flush=True)
sys.stdin.readline()
os._exit(0)
"""


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "run"
    directory.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    return directory


def test_each_relay_has_its_own(where):
    before = descriptors()
    with closing(OwnDirectory()) as one, closing(OwnDirectory()) as other:
        assert one.path != other.path
        assert {one.path, other.path} == set(where.iterdir())
        assert stat.S_IMODE(one.path.stat().st_mode) == 0o700
        (one.path / "file").write_text("")
    assert list(where.iterdir()) == []
    assert descriptors() <= before


def test_what_a_relay_that_was_killed_has_left(where):
    """It stays as long as any of its processes lives."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", DIES], stdin=pipe, stdout=pipe) as first:
        assert first.stdout is not None
        child = int(first.stdout.readline())
        (left,) = where.iterdir()
        first.kill()
        first.wait()
        with closing(OwnDirectory()):
            assert left.exists()
        os.kill(child, signal.SIGKILL)
        assert first.stdout.read() == b""
    with closing(OwnDirectory()) as mine:
        assert list(where.iterdir()) == [mine.path]


def test_what_is_not_of_a_relay_stays(where, monkeypatch):
    """A file, a link, another name; and what another user has made, in a directory that is everybody's."""
    target = where / "target"
    target.mkdir()
    (where / f"{PREFIX}file").write_text("")
    (where / f"{PREFIX}link").symlink_to(target)
    (where / "ulproxy-demo").mkdir()
    there = set(where.iterdir())
    with closing(OwnDirectory()):
        assert there < set(where.iterdir())
    left = where / f"{PREFIX}left"
    left.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: 4711)
        OwnDirectory().close()
    assert left.exists()
    OwnDirectory().close()
    assert set(where.iterdir()) == there


@pytest.mark.parametrize("when", ["before it is opened", "before it is locked"])
def test_one_that_is_taken_for_left_behind_while_it_is_made(where, monkeypatch, when):
    """By a relay that begins at the same moment: then another one is made."""
    before = descriptors()
    taken: list[Path] = []
    opened, flock = module._opened, fcntl.flock

    def opening(path: Path) -> int:
        if when == "before it is opened" and not taken:
            taken.append(path)
            shutil.rmtree(path)
        return opened(path)

    def locking(lock: int, how: int) -> None:
        if when == "before it is locked" and not taken:
            taken.extend(where.iterdir())
            shutil.rmtree(taken[0])
        flock(lock, how)

    monkeypatch.setattr(module, "_opened", opening)
    monkeypatch.setattr(fcntl, "flock", locking)
    with closing(OwnDirectory()) as mine:
        assert list(where.iterdir()) == [mine.path]
        assert mine.path not in taken
        assert len(taken) == 1
    assert descriptors() <= before


@pytest.mark.parametrize("named", ["", "missing", "file"])
def test_a_runtime_directory_that_is_none(tmp_path, monkeypatch, named):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / named) if named else "")
    monkeypatch.setattr(module, "_SYSTEM", tmp_path / "ulproxy")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert runtime_directory() == tmp_path
    (tmp_path / "ulproxy").mkdir()
    assert runtime_directory() == tmp_path / "ulproxy"
