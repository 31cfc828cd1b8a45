"""A SQLite file that may fail: said once, left undone, tried again."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.shell.relay import Log
from ulproxy.shell import database as module
from ulproxy.shell.database import Database

SCRIPT = "CREATE TABLE IF NOT EXISTS things (name TEXT NOT NULL)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with closing(Database("things", path, SCRIPT, "OFF")) as made:
        yield made


@pytest.fixture
def time_flies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever failed is tried again at once."""
    monkeypatch.setattr(module, "RETRY", -1.0)


def added(connection: sqlite3.Connection) -> bool:
    connection.execute("INSERT INTO things VALUES ('x')")
    return True


def counted(connection: sqlite3.Connection) -> tuple[int]:
    found: tuple[int] = connection.execute("SELECT count(*) FROM things").fetchone()
    return found


def setting(database: Database, name: str) -> object:
    found = database.use(lambda c: c.execute(f"PRAGMA {name}").fetchone())
    assert found is not None
    return found[0]


def failures(log: Log) -> list[str]:
    return [str(line["why"]) for line in log.lines("state cannot be shared")]


def test_what_is_written_by_one_is_read_by_another(database, path, log):
    assert database.use(added)
    with closing(Database("things", path, SCRIPT, "OFF")) as other:
        assert other.use(counted) == (1,)
        assert other.use(added)
        assert database.use(counted) == (2,)
    assert log.lines() == []


def test_how_it_is_kept(path):
    for synchronous, number in (("OFF", 0), ("NORMAL", 1)):
        with closing(Database("things", path, SCRIPT, synchronous)) as database:
            assert setting(database, "journal_mode") == "wal"
            assert setting(database, "synchronous") == number


def test_nobody_else_can_read_it(database, path):
    database.use(added)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {f"{path.name}{suffix}": 0o600 for suffix in ("", "-wal", "-shm")}


def test_it_is_read_again_after_it_was_closed(database):
    database.use(added)
    database.close()
    database.close()
    assert database.use(counted) == (1,)


def test_a_failure_is_said_once_and_left_for_a_while(database, log, monkeypatch):
    now, attempts = 100.0, []

    def failing() -> sqlite3.Connection:
        attempts.append(now)
        raise OSError("nowhere")

    monkeypatch.setattr(module, "monotonic", lambda: now)
    monkeypatch.setattr(database, "_open", failing)
    for later in (0, 0, module.RETRY - 0.1, 0.1, 0, module.RETRY):
        now += later
        assert database.use(added) is None
    assert attempts == [100, 100 + module.RETRY, 100 + 2 * module.RETRY]
    assert failures(log) == ["nowhere"]


def test_a_file_that_cannot_be(tmp_path, log):
    with closing(Database("things", tmp_path / "no" / "state", SCRIPT, "OFF")) as database:
        assert database.use(added) is None
        assert database.use(added) is None
    (line,) = log.lines("state cannot be shared")
    assert line["what"] == "things"
    assert line["file"].endswith("no/state")


@pytest.mark.usefixtures("time_flies")
def test_a_full_disk_that_is_emptied_again(database, log):
    database.use(added)
    database.use(lambda c: c.execute("PRAGMA max_page_count = 2").fetchone())

    def much(connection: sqlite3.Connection) -> bool:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO things VALUES (?)", ("x" * 50_000,))
        return True

    assert database.use(much) is None
    assert database.use(much) is None
    assert failures(log) == ["database or disk is full"]
    assert database.use(counted) == (1,)
    assert len(log.lines("state is shared again")) == 1
    database.use(lambda c: c.execute("PRAGMA max_page_count = 1000").fetchone())
    assert database.use(much)


@pytest.mark.usefixtures("time_flies")
def test_a_transaction_that_failed_keeps_nobody_out(database, path):
    def broken(connection: sqlite3.Connection) -> bool:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO none VALUES (1)")
        return True

    assert database.use(broken) is None
    with closing(Database("things", path, SCRIPT, "OFF")) as other:
        assert other.use(added)


def test_one_that_another_process_has_locked(path, log, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    with closing(Database("things", path, SCRIPT, "OFF")) as database:
        database.use(added)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert database.use(added) is None
        assert failures(log) == ["database is locked"]


@pytest.mark.usefixtures("time_flies")
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_one_that_is_no_database_is_set_aside(path, log, when):
    broken = b"no database at all, " * 1000
    with closing(Database("things", path, SCRIPT, "OFF")) as database:
        if when == "meanwhile":
            database.use(added)
            database.use(lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
            database.close()
        path.write_bytes(broken)
        assert database.use(counted) is None
        assert Path(f"{path}.broken").read_bytes() == broken
        assert database.use(added)
        assert database.use(counted) == (1,)
    assert failures(log) == ["file is not a database"]


@pytest.mark.usefixtures("time_flies")
def test_one_that_another_process_has_set_aside_already_is_left(path):
    with (
        closing(Database("things", path, SCRIPT, "OFF")) as here,
        closing(Database("things", path, SCRIPT, "OFF")) as there,
    ):
        here.use(added)
        there.use(added)
        for one in (here, there):
            one._fail(sqlite3.DatabaseError("malformed"))
            one.use(added)
        assert here.use(counted) == (2,)


def test_a_mistake_of_ours_is_not_taken_for_a_broken_file(database, path, log):
    assert database.use(lambda c: c.execute("SELECT * FROM none").fetchall()) is None
    assert path.exists()
    assert failures(log) == ["no such table: none"]


def test_processes_that_begin_at_once(path):
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ulproxy.shell.database import Database\n"
        "sys.stdin.readline()\n"
        f"database = Database('things', Path({str(path)!r}), {SCRIPT!r}, 'OFF')\n"
        "for _ in range(50):\n"
        "    assert database.use(lambda c: c.execute(\"INSERT INTO things VALUES ('x')\"))\n"
    )
    command = [sys.executable, "-c", program]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(6)]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.close()
    assert [process.wait() for process in started] == [0] * 6
    with closing(Database("things", path, SCRIPT, "OFF")) as database:
        assert database.use(counted) == (300,)
