"""A short run of the simulator, and that it finds what it is there for: bugs that are put in by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from unittest.mock import patch

import pytest

from simulate.__main__ import main, play, told
from simulate.world import Outcome, run
from tests.sources import ROOT
from ulproxy.relay.effects import CloseTransport, End, Timer
from ulproxy.relay.ends import Ends
from ulproxy.relay.side import Side
from ulproxy.shell.session import Session
from ulproxy.shell.sessions import Sessions

SEEDS = 400
MOST = 1000  # seeds until a bug must have been found


def test_a_moment_of_it_is_clean_and_reaches_what_it_should():
    covered: Counter[str] = Counter()
    for outcome in play(range(SEEDS), 1):
        assert outcome.error is None, f"python -m simulate --seed {outcome.seed}"
        covered += outcome.covered
    wanted = {
        "associations",
        "associations of moves",
        "objects whole",
        "objects cut",
        "objects cut by their sender",
        "matches",
        "moves",
        "cancelled",
        "answers twice",
        "answers never",
        "rejected by rules",
        "reloads",
        "revoked",
        "offences",
        "silent",
        "mute",
        "fault: reset",
        "fault: close",
        "fault: stall",
        *(f"{timer.name} fires" for timer in (Timer.ARTIM, Timer.CONNECT, Timer.IDLE, Timer.WRITE)),
    }
    assert wanted - covered.keys() == set()


def found() -> Outcome:
    """The first seed that fails."""
    for seed in range(MOST):
        outcome = run(seed)
        if outcome.error is not None:
            return outcome
    pytest.fail(f"{MOST} seeds, and it has not been found")


def loses_a_fragment():
    """The third time that data goes on, it does not."""
    write = Session._write
    times: Counter[int] = Counter()

    def lossy(self: Session, end: End, data: list[bytes | memoryview]) -> None:
        times[id(self)] += any(isinstance(piece, memoryview) for piece in data)
        if times[id(self)] == 3:
            data = [piece for piece in data if not isinstance(piece, memoryview)]
        if data:
            write(self, end, data)

    return patch.object(Session, "_write", lossy)


def closes_twice():
    cut = Ends.cut

    def again(self: Ends, side: Side) -> None:
        cut(self, side)
        self.effects.append(CloseTransport(side.end))

    return patch.object(Ends, "cut", again)


def skips_rules():
    """A reload changes everything but the rules."""
    apply = Sessions._apply

    def partly(self: Sessions, *args) -> None:
        before = self.border.policy
        apply(self, *args)
        self.border.policy = before

    return patch.object(Sessions, "_apply", partly)


def reads_on():
    """Nobody is kept from talking by one who does not listen."""

    def unbalanced(self: Session) -> None:
        for transport in self._transports.values():
            transport.read(wanted=True)

    return patch.object(Session, "_balance", unbalanced)


def forgets_to_write_on():
    return patch.object(Session, "written", lambda _self, _link: None)


def aborts_within_a_fragment():
    perform = Ends.perform

    def blindly(self: Ends, side: Side, outputs) -> None:
        left, side.fragment_left = side.fragment_left, 0
        perform(self, side, outputs)
        side.fragment_left = left

    return patch.object(Ends, "perform", blindly)


@pytest.mark.parametrize(
    ("bug", "says"),
    [
        (loses_a_fragment, ""),
        (closes_twice, "closed twice"),
        (skips_rules, ""),
        (reads_on, ""),
        (forgets_to_write_on, ""),
        (aborts_within_a_fragment, ""),
    ],
)
def test_a_bug_is_found(bug, says):
    with bug():
        outcome = found()
    assert says in str(outcome.error)
    assert run(outcome.seed).error is None


def test_a_seed_that_fails_prints_its_conversation_and_fails_again(capsys):
    with skips_rules():
        assert main(["--seeds", str(MOST)]) == 1
        first = capsys.readouterr().out
        again = first.splitlines()[-1]
        assert again.startswith("again: python -m simulate --seed ")
        assert main(again.split()[4:]) == 1
    second = capsys.readouterr().out
    assert first.endswith(second)
    assert "A-ASSOCIATE-RQ" in second
    assert "the watcher  says" in second


def test_a_clean_run_says_what_it_has_reached(capsys):
    assert main(["--seeds", "20", "--from", "5"]) == 0
    report = capsys.readouterr().out
    assert report.startswith("20 seeds, ")
    assert "associations\n" in report
    assert report.endswith("all clean\n")


def test_one_seed_alone(capsys):
    assert main(["--seed", "7", "--verbose"]) == 0
    conversation = capsys.readouterr().out
    assert "connects" in conversation
    assert "seed 7: clean" in conversation


def elsewhere(*arguments: str, hashes: str = "0") -> str:
    """What another process prints."""
    command = [sys.executable, "-m", "simulate", *arguments]
    environment = {**os.environ, "PYTHONHASHSEED": hashes}
    return subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_a_seed_is_the_same_in_every_process():
    conversation = "\n".join(told(run(113, traced=True).conversation))
    assert len(conversation) > 1000
    for hashes in ("0", "1"):
        assert conversation in elsewhere("--seed", "113", "--verbose", hashes=hashes)


def test_several_processes_share_the_seeds():
    one, two = elsewhere("--seeds", "60"), elsewhere("--seeds", "60", "--jobs", "2")
    assert one.splitlines()[1:] == two.splitlines()[1:]
