"""Open C-MOVEs of real processes, some of which are killed; and of any that do as they like."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.shell.test_moves_file import facts, move, rows
from ulproxy.relay.moves import Moves
from ulproxy.relay.store import Change, Ended, Opened, OpenMove
from ulproxy.shell.moves_file import MovesFile

Process = Callable[[], MovesFile]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "moves"


@pytest.fixture
def process(path: Path) -> Iterator[Process]:
    """Makes stores, each as another process would."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(MovesFile(path)))


DIES = """
import sys
from pathlib import Path
from tests.relay.hospital import a_move
from ulproxy.shell.moves_file import MovesFile
store = MovesFile(Path(sys.argv[1]))
store.add(a_move("WS9", "PACS", "WS9", "HA_WS9", 1))
with store.transaction():
    store.add(a_move("WS9", "PACS", "WS9", "HA_WS9", 2))
    print("open", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("how", ["cleared", "another begins", "its place is taken"])
def test_moves_of_a_process_that_was_killed_are_cut_short(process, path, how):
    here = process() if how != "its place is taken" else None
    command = [sys.executable, "-c", DIES, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as dying:
        assert dying.stdout is not None
        assert dying.stdout.readline() == "open\n"
        if here is not None:
            assert len(list(here.load())) == 1
        dying.send_signal(signal.SIGKILL)
    if here is None:
        process()
        assert rows(path) == [(2, 0)]
        return
    if how == "cleared":
        here.clear()
    else:
        process()
    assert rows(path) == [(2, 1)]
    assert here.changed()
    (change,) = here.load()
    assert isinstance(change, Ended)
    assert change.cut


WORKER = """
import json, random, sys
from pathlib import Path
from tests.relay.hospital import a_move
from ulproxy.relay.moves import Moves
from ulproxy.shell.moves_file import MovesFile
name, chance = sys.argv[2], random.Random(int(sys.argv[2]))
moves = Moves(MovesFile(Path(sys.argv[1])))
opened = []
for line in sys.stdin:
    mine = []
    for _ in range(20):
        wanted = a_move(f"WS{name}", "PACS", f"WS{name}", "HOSP_A", chance.randint(1, 3))
        mine.append(moves.open(wanted, ()))
        if chance.random() < 0.3:
            moves.close(mine.pop(chance.randrange(len(mine))))
    opened += mine
    numbers = [move.onward_message_id for move in opened]
    print(json.dumps(numbers), flush=True)
"""


def test_no_two_moves_of_several_processes_look_alike(path):
    with ExitStack() as stack:
        workers = []
        for n in range(4):
            command = [sys.executable, "-c", WORKER, str(path), str(n)]
            pipe = subprocess.PIPE
            worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
            workers.append(stack.enter_context(worker))
        for _ in range(3):
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write("\n")
                worker.stdin.flush()
            numbers = []
            for worker in workers:
                assert worker.stdout is not None
                # within a process the same move may be open twice under one Message ID
                numbers.append(set(json.loads(worker.stdout.readline())))
        union = set().union(*numbers)
        assert len(union) == sum(len(one) for one in numbers)
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.close()
        assert [worker.wait() for worker in workers] == [0] * 4


ATTENDS = """
import sys
from pathlib import Path
from ulproxy.relay.moves import Moves
from ulproxy.shell.moves_file import MovesFile
moves = Moves(MovesFile(Path(sys.argv[1])))
attendance = moves.attend("PACS")
for line in sys.stdin:
    print("attended", flush=True)
    if line == "leave\\n":
        moves.leave(attendance)
"""


@pytest.mark.parametrize("how", ["left", "killed"])
def test_an_association_of_another_process_keeps_a_message_id(process, path, how):
    """Until it has ended, or its process has, and that is known; to whoever asks."""
    command = [sys.executable, "-c", ATTENDS, str(path)]
    here, third = process(), process()
    mine, theirs = Moves(here), Moves(third)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as attending:
        stdin, stdout = attending.stdin, attending.stdout
        assert stdin is not None
        assert stdout is not None

        def tell(what: str) -> None:
            print(what, file=stdin, flush=True)
            assert stdout.readline() == "attended\n"

        tell("stay")
        mine.close(mine.open(move(7), ()))
        for moves in (mine, theirs):
            other = moves.open(move(7, "WS2"), ())
            assert other.onward_message_id != 7
            moves.close(other)
        if how == "left":
            tell("leave")
            tell("stay")
        attending.send_signal(signal.SIGKILL)
    if how == "killed":
        here.clear()
    for moves in (mine, theirs):
        other = moves.open(move(7, "WS2"), ())
        assert other.onward_message_id == 7
        moves.close(other)


def test_any_order_of_things(process):
    """Three processes do as they like; whoever looks knows what is open."""
    chance = random.Random(4711)
    stores = [process() for _ in range(3)]
    opened: list[dict[OpenMove, None]] = [{}, {}, {}]
    known: list[list[OpenMove]] = [[], [], []]
    for step in range(1500):
        n = chance.randrange(3)
        store, mine = stores[n], opened[n]
        if chance.random() < 0.5:
            one = move(step % 60_000)
            with store.transaction():
                store.add(one)
            mine[one] = None
        elif mine:
            one = chance.choice(list(mine))
            del mine[one]
            store.remove(one, cut=chance.random() < 0.5)
        if chance.random() < 0.2:
            learn(known[n], store.load())
            others = [facts(one) for m in range(3) if m != n for one in opened[m]]
            assert sorted(facts(one) for one in known[n]) == sorted(others)
            assert not store.changed()


def learn(known: list[OpenMove], changes: Any) -> None:
    change: Change
    for change in changes:
        if isinstance(change, Opened):
            known.append(change.move)
        elif isinstance(change, Ended):
            known.remove(change.move)
