"""How `ulproxy ae` and `ulproxy rule` write the file, and what is left when writing fails."""

from __future__ import annotations

import codecs
import errno
import fcntl
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.cli_peers import called, config
from ulproxy.commands.change import change
from ulproxy.policy.edit import add_ae

ADD = ("--network", "inside", "--address", "10.0.0.2:104")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "relay.toml"
    path.write_text(config())
    return path


def add(file, *more):
    return called("ae", "add", file, "WS2", *ADD, *more)


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_bytes_and_the_difference_that_is_printed(mark, newline, end, file):
    text = (config().rstrip("\n") + end).replace("\n", newline)
    before = mark + text.encode()
    file.write_bytes(before)
    options = ["--from", "pacs_b", "--to", "WS1", "--service", "store"]
    said = called("rule", "add", file, *options).stdout
    after = file.read_bytes()
    assert after.startswith(mark + text.encode())
    assert after.count(b"\r") == (after.count(b"\n") if newline == "\r\n" else 0)
    assert said.count("\\ No newline at end of file") == (0 if end else 2)
    assert called("rule", "remove", file, 2).exit_code == 0
    assert file.read_bytes() == before


def test_mode_owner_and_links_are_kept(file, tmp_path, monkeypatch):
    file.chmod(0o4640)
    owners = []
    monkeypatch.setattr(os, "fchown", lambda _, user, group: owners.append((user, group)))
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "link.toml"
    link.symlink_to("../relay.toml")
    assert add(link).stdout.startswith(f"{link}: added")
    assert link.readlink() == Path("../relay.toml")
    assert file.stat().st_mode & 0o7777 == 0o4640
    assert owners == [(file.stat().st_uid, file.stat().st_gid)]
    assert "WS2" in file.read_text()
    assert [one.name for one in sorted(tmp_path.iterdir())] == ["links", "relay.toml"]


@pytest.mark.parametrize("acl", [b"acl", OSError(errno.ENODATA, "none"), None])
def test_the_access_list_is_kept(acl, file, monkeypatch):
    kept = []

    def getxattr(path, name):
        assert path == file
        if isinstance(acl, OSError):
            raise acl
        return acl

    monkeypatch.setattr(os, "getxattr", getxattr)
    if acl is None:
        monkeypatch.delattr(os, "getxattr")
    monkeypatch.setattr(os, "setxattr", lambda _, name, value: kept.append((name, value)))
    assert add(file).exit_code == 0
    assert kept == ([("system.posix_acl_access", b"acl")] if acl == b"acl" else [])


def failing(*_arguments, **_options):
    raise OSError(errno.ENOSPC, "no space left")


@pytest.mark.parametrize(
    "place",
    [
        (fcntl, "flock"),
        (os, "open"),
        (Path, "stat"),
        (tempfile, "mkstemp"),
        (os, "fdopen"),
        (os, "fchown"),
        (os, "fchmod"),
        (os, "setxattr"),
        (os, "fsync"),
        (Path, "replace"),
    ],
    ids=lambda place: place[1],
)
def test_what_fails_leaves_everything_as_it_was(place, file, monkeypatch):
    before = file.read_text()
    with monkeypatch.context() as patched:
        patched.setattr(os, "getxattr", lambda *_: b"acl")
        patched.setattr(os, "setxattr", lambda *_: None)
        patched.setattr(Path, "exists", lambda _: False)
        patched.setattr(*place, failing)
        result = add(file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (f"{file}: is unchanged, because it cannot be written: no space left\n")
    assert file.read_text() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_may_not_be_written(file, monkeypatch):
    """Though its directory may be, so that it could be replaced."""
    before, real = file.read_text(), os.open

    def opening(path, flags, *more, **options):
        if flags & os.O_WRONLY:
            raise PermissionError(errno.EACCES, "not yours")
        return real(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", opening)
    result = add(file)
    assert result.exit_code == 1
    assert result.stderr.endswith("cannot be written: not yours\n")
    assert file.read_text() == before


def test_a_new_file_that_cannot_be_removed_again(file, monkeypatch):
    """It is the first failure that is told."""
    monkeypatch.setattr(os, "fsync", failing)
    monkeypatch.setattr(Path, "unlink", failing)
    assert add(file).stderr.endswith("cannot be written: no space left\n")


@pytest.mark.parametrize("operation", ["write", "flush", "close"])
def test_a_full_disk(operation, file, monkeypatch):
    class Full(io.FileIO):
        pass

    setattr(Full, operation, failing if operation != "close" else close)
    monkeypatch.setattr(os, "fdopen", Full)
    before = file.read_text()
    assert add(file).exit_code == 1
    assert file.read_text() == before
    assert list(file.parent.iterdir()) == [file]


def close(file):
    io.FileIO.close(file)
    failing()


def test_an_interrupt(file, monkeypatch):
    def interrupted(_descriptor):
        raise KeyboardInterrupt

    before = file.read_text()
    monkeypatch.setattr(os, "fsync", interrupted)
    assert add(file).exit_code == 1
    assert file.read_text() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_directory_that_cannot_be_synced(file, monkeypatch):
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda one: fsync(one) if Path(f"/dev/fd/{one}").is_file() else failing()
    )
    result = add(file)
    assert result.exit_code == 0
    assert result.stderr == (
        f"{file}: is changed, but a power failure may undo that: no space left\n"
    )
    assert "WS2" in file.read_text()


def test_a_text_editor_meanwhile(file, monkeypatch):
    monkeypatch.setattr(os, "fchmod", lambda *_: file.write_text("# edited\n"))
    result = add(file)
    assert result.exit_code == 1
    assert "another program has changed it just now; try again" in result.stderr
    assert file.read_text() == "# edited\n"


def test_a_command_waits_for_its_turn_and_reads_then(file, monkeypatch):
    flock, turns = fcntl.flock, []

    def waiting(descriptor, operation):
        monkeypatch.setattr(fcntl, "flock", flock)
        turns.append((os.fstat(descriptor).st_ino, operation))
        assert called("ae", "add", file, "WS3", "--network", "inside", "--source", "::1").output
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", waiting)
    assert add(file).exit_code == 0
    assert turns == [(file.parent.stat().st_ino, fcntl.LOCK_EX)]
    assert {"WS2", "WS3"} <= set(re.findall("WS[0-9]", file.read_text()))


def test_nobody_else_gets_the_lock_while_it_edits(file):
    locked = []

    def edit(text):
        other = os.open(file.parent, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)
        locked.append(True)
        return add_ae(text, {"title": "X", "network": "inside", "sources": ["::1"]})

    change(file, edit)
    assert locked == [True]
    other = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_many_at_once(file):
    command = [sys.executable, "-m", "ulproxy", "ae", "add", str(file)]
    running = [
        subprocess.Popen([*command, f"N{n}", *ADD], stdout=subprocess.DEVNULL) for n in range(4)
    ]
    assert [one.wait(60) for one in running] == [0] * 4
    assert sorted(re.findall('"(N[0-9])"', file.read_text())) == ["N0", "N1", "N2", "N3"]
