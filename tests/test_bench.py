"""The benchmark runs: a little of it against DCMTK, and what it says of what cannot run."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks import secure, variants
from benchmarks.processes import PeerError
from benchmarks.suite import Case, Sample, Setting, Skip, measure, ways
from benchmarks.variants import UnavailableError, Variant, Wiring

ROOT = Path(__file__).parents[1]
CASES = "micro-*,first-byte-*,many-*,setup-*,secured-*,*-pdu16*,find-*,memory-*"


def test_a_quick_run_measures_every_case_and_fails_none(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--variants", "direct,ulproxy"]
    subprocess.run([*command, "--cases", CASES, "--json", file], cwd=ROOT, check=True, timeout=100)
    found = json.loads(file.read_text())
    measured = {(one["case"], one["variant"]) for one in found["samples"]}
    assert {case.partition("-")[0] for case, _ in measured} == {
        *("micro", "first", "many", "setup", "big", "ct", "small", "tls", "secured"),
        *("find", "memory"),
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


class Accepting:
    """Somebody who speaks a version of TLS and no later one; the way to it."""

    def __init__(self, name: str, pki: Path, version: ssl.TLSVersion) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(pki / "relay.pem", pki / "relay.key")
        self._context.maximum_version = version
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.way = Variant(name, {"SINK": self._listener.getsockname()[1]})

    def accept(self) -> None:
        with self._listener, self._listener.accept()[0] as peer:
            self._context.wrap_socket(peer, server_side=True).close()


def test_who_speaks_another_version_of_tls_is_not_compared(tmp_path):
    pki = tmp_path / "pki"
    secure.certify(pki)
    new, old = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2
    ends = [Accepting(name, pki, one) for name, one in (("a", new), ("b", old), ("c", new))]
    with ThreadPoolExecutor(len(ends)) as threads:
        accepted = [threads.submit(end.accept) for end in ends]
        alike, others = secure.alike([end.way for end in ends], ["case"], pki)
        for one in accepted:
            one.result()
    assert [way.name for way in alike] == ["a", "c"]
    (skip,) = others
    assert (skip.variant, skip.failed) == ("b", True)
    assert skip.why.startswith("it speaks TLSv1.2 ")
