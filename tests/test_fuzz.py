"""Replays what is in fuzz/corpus/, runs each target for a moment, and sees the driver find something."""

from __future__ import annotations

import importlib
import pkgutil
import random

import pytest

import fuzz
from fuzz import driver

TARGETS = [module.name for module in pkgutil.iter_modules(fuzz.__path__) if module.name != "driver"]
SEEDS = [(name, file) for name in TARGETS for file in driver.corpus(name)]


def target(name: str) -> driver.Target:
    found: driver.Target = importlib.import_module(f"fuzz.{name}").one_input
    return found


@pytest.mark.parametrize(("name", "file"), SEEDS)
def test_seeds_and_former_findings(name, file):
    target(name)(driver.corpus(name)[file])


@pytest.mark.parametrize("name", TARGETS)
def test_a_moment_of_fuzzing(name):
    seeds = list(driver.corpus(name).values())
    assert driver.run(target(name), seeds, seconds=1, seed=1) > len(seeds)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_states_its_invariant(name):
    assert target(name).__doc__


def forbids_seven(data: bytes) -> None:
    """No byte is 7."""
    if 7 in data:
        raise ValueError(data)


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "CORPUS", tmp_path)
    (tmp_path / "sevens").mkdir()
    (tmp_path / "sevens" / "seed").write_bytes(bytes(20))
    return tmp_path / "sevens"


def test_a_finding_is_made_small_saved_and_replayed(corpus, capsys):
    assert driver.main(forbids_seven, "sevens", ["--seconds", "30", "--seed", "3"]) == 1
    (saved,) = corpus.glob("finding-*")
    assert saved.read_bytes() == b"\7"
    report = capsys.readouterr().err
    assert "ValueError" in report
    assert f"saved as {saved}; seed 3" in report
    with pytest.raises(driver.FindingError):
        driver.run(forbids_seven, list(driver.corpus("sevens").values()), seconds=0, seed=3)


def test_nothing_found_is_said_with_the_seed(corpus, capsys):
    assert driver.main(lambda data: None, "sevens", ["--seconds", "0.05", "--seed", "5"]) == 0
    assert "nothing found; seed 5" in capsys.readouterr().out


def test_files_are_run_alone(corpus, tmp_path, capsys):
    seen: list[bytes] = []
    (tmp_path / "one").write_bytes(b"one")
    assert driver.main(seen.append, "sevens", [str(tmp_path / "one")]) == 0
    assert seen == [b"one"]


def test_a_smaller_input_that_fails_otherwise_is_another_finding():
    def odd(data: bytes) -> None:
        if 7 in data:
            raise ValueError if len(data) > 3 else TypeError

    finding = driver.FindingError(b"\7" + bytes(9))
    finding.__cause__ = ValueError()
    assert len(driver.shrink(odd, finding).data) == 4


def test_the_same_seed_damages_in_the_same_way():
    def damaged() -> list[bytes]:
        chance = random.Random(11)
        return [driver.mutate(chance, b"0123456789", [b"abc"]) for _ in range(200)]

    assert damaged() == damaged()
    assert len(set(damaged())) > 100


def test_nothing_can_be_damaged_too():
    chance = random.Random(12)
    assert any(driver.mutate(chance, b"", [b"abc", b""]) for _ in range(200))
