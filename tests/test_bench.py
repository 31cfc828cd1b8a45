"""The benchmark runs: a little of it against DCMTK, and what it says of what cannot run."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks import variants
from benchmarks.processes import PeerError
from benchmarks.suite import Case, Sample, Setting, Skip, measure, ways
from benchmarks.variants import UnavailableError, Variant, Wiring

ROOT = Path(__file__).parents[1]
CASES = "micro-*,first-byte-*,many-*,setup-*,*-pdu16*,find-*,memory-*"


def test_a_quick_run_measures_every_case_and_fails_none(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--variants", "direct,ulproxy"]
    subprocess.run([*command, "--cases", CASES, "--json", file], cwd=ROOT, check=True, timeout=100)
    found = json.loads(file.read_text())
    measured = {(one["case"], one["variant"]) for one in found["samples"]}
    assert {case.partition("-")[0] for case, _ in measured} == {
        *("micro", "first", "many", "setup", "big", "ct", "small", "tls", "find", "memory")
    }
    both = ("big-pdu16-dcmtk", "big-pdu16-own", "find-dcmtk", "tls-both-pdu16")
    assert {(case, name) for case in both for name in ("direct", "ulproxy")} <= measured
    assert not [skip for skip in found["skips"] if skip["failed"]]
    relayed = [one for one in found["samples"] if one["case"] == "ct-pdu16-own"]
    assert {one["variant"]: one["figures"].get("cpu", 0) > 0 for one in relayed} == {
        "direct": False,
        "ulproxy": True,
    }


def setting(tmp_path, rounds=3):
    return Setting(tmp_path, ("a", "b"), rounds=rounds, progress=lambda _: None)


def test_variants_take_turns_within_a_round(tmp_path):
    order = []

    def send(way):
        order.append(way.name)
        return {}

    case = Case("case", "", send)
    samples = list(measure([case], [Variant("a", {}), Variant("b", {})], setting(tmp_path)))
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert [one.round for one in samples if isinstance(one, Sample)] == [0, 0, 1, 1, 2, 2]


def test_slow_variants_have_fewer_rounds(tmp_path):
    case = Case("case", "", lambda _: {}, slow={"b": 1})
    samples = list(measure([case], [Variant("a", {}), Variant("b", {})], setting(tmp_path)))
    assert [one.variant for one in samples] == ["a", "b", "a", "a"]


def test_a_variant_that_fails_is_told_and_left_out_of_the_rounds_that_follow(tmp_path):
    def fail(way):
        if way.name == "b":
            raise PeerError("it broke")
        return {}

    outcomes = list(
        measure([Case("case", "", fail)], [Variant("a", {}), Variant("b", {})], setting(tmp_path))
    )
    assert [one for one in outcomes if isinstance(one, Skip)] == [
        Skip("case", "b", "it broke\n", failed=True)
    ]
    assert len([one for one in outcomes if isinstance(one, Sample)]) == 3


def test_a_variant_that_cannot_do_a_case_is_told_with_the_reason(tmp_path):
    case = Case("case", "", lambda _: {}, without={"b": "it cannot"})
    outcomes = list(measure([case], [Variant("b", {})], setting(tmp_path)))
    assert outcomes == [Skip("case", "b", "it cannot")]


def test_what_is_not_on_this_machine_is_told_for_every_case(tmp_path, monkeypatch):
    def missing(wiring, stack):
        raise UnavailableError("no such program")

    monkeypatch.setitem(variants.VARIANTS, "nginx", missing)
    standing, skipped = ways(("nginx",), Wiring({}, tmp_path), ExitStack(), ["one", "two"], {})
    assert standing == []
    assert skipped == [Skip(key, "nginx", "no such program") for key in ("one", "two")]


def test_nginx_without_its_stream_module_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "program", lambda name, package: name)
    monkeypatch.setattr(variants, "NGINX_MODULES", (str(tmp_path),))
    with pytest.raises(UnavailableError, match="libnginx-mod-stream"):
        variants.start("nginx", Wiring({}, tmp_path), ExitStack())


def test_a_program_that_is_not_there_is_named_with_its_package():
    with pytest.raises(UnavailableError, match=r"no surely-not-there .*apt install that"):
        variants.program("surely-not-there", "that")
