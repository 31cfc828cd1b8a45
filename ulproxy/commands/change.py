"""Reads the configuration file for a command, and changes it: one at a time, and whole or not at all.

The directory is locked from reading to writing, so that of two edits at once neither is lost. What is new is
written to a file beside the old one, which takes its place in one step and has its owner and permissions. A
symbolic link is followed. Exit codes: 0 done, 1 refused or failed, 2 a mistake in the call or in the file.
"""

from __future__ import annotations

import codecs
import contextlib
import difflib
import errno
import fcntl
import io
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

import click

from ulproxy.errors import ConfigError, Problem
from ulproxy.policy.config import load
from ulproxy.policy.edit import Edited, EditRefusedError
from ulproxy.policy.model import Config

CONFIG = click.argument("config", type=click.Path(path_type=Path))
_ACL: Final = "system.posix_acl_access"  # acl(5): the extended attribute that holds it


def loaded(path: Path, *, err: bool = True, files: bool = False) -> Config:
    """The configuration, or its problems a line each and exit code 2.

    They go to standard error, unless they are what the command was asked for. Certificates and keys are
    looked into with `files` alone: whoever reads or edits the configuration may not read those.
    """
    try:
        return load(path, files=files)
    except ConfigError as error:
        print_problems(path, error, err=err)
        sys.exit(2)


def print_problems(path: Path, error: ConfigError, *, err: bool = True) -> None:
    """A line for each."""
    for problem in error.problems:
        click.echo(f"{path}:{problem.line}: {problem.key}: {problem.text}", err=err)


def refuse(path: Path, text: str) -> NoReturn:
    """End the command with exit code 1."""
    click.echo(f"{path}: {text}", err=True)
    sys.exit(1)


def change(path: Path, edit: Callable[[str], Edited]) -> None:
    """Edit the file, print what changed, or end the command with the file as it was."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        print_problems(
            path,
            ConfigError([Problem(0, "file", "is no regular file; name one that can be replaced")]),
        )
        sys.exit(2)
    config = loaded(path)
    try:
        with _locked(target.parent) as directory:
            before = target.read_bytes()
            text = before.decode("utf-8-sig")
            edited = edit(text)
            mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
            _replace(target, before, mark + edited.text.encode())
            _sync(path, directory)
    except EditRefusedError as error:
        refuse(path, str(error))
    except ConfigError as error:
        print_problems(path, error)
        click.echo(f"{path} is unchanged; these are the lines that it would have", err=True)
        sys.exit(2)
    except OSError as error:
        refuse(path, f"is unchanged, because it cannot be written: {error.strerror}")
    _print_change(path, text, edited)
    known = {(note.key, note.text) for note in config.notes}
    for note in edited.config.notes:
        if (note.key, note.text) not in known:
            click.echo(f"{path}:{note.line}: note: {note.key}: {note.text}")


def _print_change(path: Path, before: str, edited: Edited) -> None:
    """What was done, and the difference in a form that patch(1) reads."""
    for text in edited.changes:
        click.echo(f"{path}: {text}")
    old, new = (list(io.StringIO(text)) for text in (before, edited.text))  # only "\n" ends a line
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in difflib.unified_diff(old, new, str(path), str(path)):
        click.secho(line.removesuffix("\n"), fg=colours.get(line[0]))
        if not line.endswith("\n"):
            click.echo("\\ No newline at end of file")


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[int]:
    """Hold the lock of a directory; others wait. It ends with this process, however that ends."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _replace(target: Path, before: bytes, after: bytes) -> None:
    """Put a new file in the place of the old one; an OSError leaves everything as it was."""
    os.close(os.open(target, os.O_WRONLY))  # what may not be written is not replaced either
    old = target.stat()
    descriptor, name = tempfile.mkstemp(prefix=".ulproxy-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(after)
            file.flush()
            os.fchown(descriptor, old.st_uid, old.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
            _copy_acl(target, descriptor)
            os.fsync(descriptor)
        _check_unchanged(target, before)
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _check_unchanged(target: Path, before: bytes) -> None:
    """Text editors take no lock."""
    if target.read_bytes() != before:
        raise OSError(errno.EBUSY, "another program has changed it just now; try again")


def _copy_acl(source: Path, descriptor: int) -> None:
    """Who may read the file beside its owner and group; mostly there is no such list."""
    try:
        acl = os.getxattr(source, _ACL)
    except (OSError, AttributeError):  # AttributeError: macOS
        return
    os.setxattr(descriptor, _ACL, acl)


def _sync(path: Path, directory: int) -> None:
    """Bring the new name to the disk; the file is in its place even where that fails."""
    try:
        os.fsync(directory)
    except OSError as error:
        text = f"is changed, but a power failure may undo that: {error.strerror}"
        click.echo(f"{path}: {text}", err=True)
