"""Several workers: one relay to whoever calls it, whatever becomes of one of them."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.peers import Table, ae, run_relay, toml, wait_until
from tests.end_to_end.wire import (
    RJ,
    Acceptor,
    associate_rq,
)
from tests.end_to_end.working import Running, gone, working
from tests.pki import self_signed
from tests.shell.relay import ONE, config

Start = Callable[..., "contextlib.AbstractContextManager[Running]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return functools.partial(working, tmp_path)


def test_one_relay_to_whoever_calls(start):
    """Associations go to the worker that has fewest, also after some have ended."""
    with start(workers=3) as running, contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(running.associated()) for _ in range(6)]
        assert Counter(pair.worker for pair in pairs) == dict.fromkeys(running.workers, 2)
        for pair in pairs:
            pair.works()
        quiet = [pair for pair in pairs if pair.worker == pairs[0].worker]
        for pair in quiet:
            pair.release()
            pair.client.socket.close()
            pair.pacs.socket.close()
        running.says("association ended", 2)
        again = [stack.enter_context(running.associated()) for _ in range(2)]
        assert {pair.worker for pair in again} == {pairs[0].worker}
        assert [line["workers"] for line in running.lines("started")] == [3]
        assert len(running.lines("worker started")) == 3
        for pair in pairs + again:
            if pair not in quiet:
                pair.release()


@pytest.mark.parametrize(
    "limits",
    [{"limits": {"associations": 3}}, {"limits": {"associations_per_source": 3}}],
    ids=["all", "source"],
)
def test_a_limit_is_one_of_all(start, limits):
    with start(**limits) as running, contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(running.associated()) for _ in range(3)]
        assert len({pair.worker for pair in pairs}) == 2
        for _ in range(3):
            assert running.refused() == bytes([2, 3, 2])
        pairs[0].release()
        running.says("association ended")
        stack.enter_context(running.associated()).works()


@pytest.mark.parametrize("direction", ["scu", "pacs"])
def test_the_limit_of_an_ae_is_one_of_all(start, direction):
    with start(**{direction: {"associations": 1}}) as running, running.associated() as pair:
        for _ in range(2):
            assert running.refused() == bytes([2, 3, 2])
        pair.release()
        running.says("association ended")
        with running.associated() as again:
            again.release()


def test_a_worker_dies(start):
    """Its peers learn of it at once; the others do not notice; what it counted for is given back."""
    with start(limits={"associations": 3}) as running, contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(running.associated()) for _ in range(3)]
        dead = pairs[0].worker
        began = time.monotonic()
        os.kill(dead, signal.SIGKILL)
        for pair in pairs:
            if pair.worker == dead:
                pair.is_over()
        started = running.says("worker started", 3)[-1]["worker"]
        assert time.monotonic() - began < 10  # about 0.1 s; the machine may be busy
        (died,) = running.lines("worker died")
        assert (died["worker"], died["how"]) == (dead, "SIGKILL")
        (kept,) = (pair for pair in pairs if pair.worker != dead)
        kept.works()
        fresh = [stack.enter_context(running.associated()) for _ in range(2)]
        assert [pair.worker for pair in fresh].count(started) >= 1
        assert running.refused() == bytes([2, 3, 2])
        for pair in (*fresh, kept):
            pair.works()
            pair.release()


def test_a_worker_hangs(start):
    """It is killed and replaced: peers of it learn of it, the others do not notice."""
    script = "from ulproxy.shell import crew, worker; crew.LOOK, worker.BEAT = 1.0, 0.1"
    with start(script=script) as running, running.associated() as one, running.associated() as two:
        os.kill(one.worker, signal.SIGSTOP)
        two.works()
        (hangs,) = running.says("worker hangs")
        assert hangs["worker"] == one.worker
        one.is_over()
        assert running.says("worker died")[0]["how"] == "SIGKILL"
        running.says("worker started", 3)
        with running.associated() as three:
            for pair in (two, three):
                pair.works()
                pair.release()
        assert len(running.lines("worker hangs")) == 1


def test_every_worker_dies(start):
    """Who calls meanwhile waits a little; the relay does not end."""
    with start() as running:
        for worker in running.workers:
            os.kill(worker, signal.SIGKILL)
        with running.associated() as pair:
            pair.works()
            pair.release()
        running.says("worker started", 4)


def test_reload_reaches_all(start):
    with start(relay={"on_revoke": "abort"}) as running, contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(running.associated()) for _ in range(2)]
        assert len({pair.worker for pair in pairs}) == 2

        def change(table: Table) -> None:
            table["ae"][1]["alias"] = "NEW_PACS"
            table["listener"].append({"network": "east", "bind": "127.0.0.2:0"})

        running.reload(change)
        (line,) = running.says("reloaded")
        assert line["associations"] == 2
        for pair in pairs:
            pair.is_aborted()
        wait_until(running.listening, "there is a ready line for the new listener")
        for _ in range(4):
            assert running.refused() == bytes([1, 1, 7])
        assert len(running.lines("reloaded")) == 1
        running.kill(running.workers[0])
        with running.connect() as client:
            client.send(associate_rq(ONE, called="NEW_PACS"))
            running.acceptor.accept().socket.close()
            assert client.expect(RJ).body[1:] == bytes([2, 3, 1])


def test_reload_that_changes_nothing(start):
    """A mistake, or an address that cannot be had: all workers go on as they were, also those that come."""
    with start() as running, running.associated() as pair:
        good = running.table

        def taken(table: Table) -> None:
            table["ae"][1]["alias"] = "NEW_PACS"
            table["listener"][0]["bind"] = f"127.0.0.1:{running.acceptor.port}"

        running.reload(lambda table: table["rule"][0].update({"from": ["NOBODY"]}))
        running.says("reload refused")
        running.table = good
        running.reload(taken)
        why = running.says("reload refused", 2)[-1]["why"]
        assert why == f"127.0.0.1:{running.acceptor.port}: Address already in use"
        running.kill(pair.worker)
        for _ in range(4):
            with running.associated() as another:
                another.works()
                another.release()
        assert running.lines("reloaded") == []


def test_the_certificates_in_force(start, tmp_path):
    """All workers have them, also one that comes when the files are gone."""
    server = self_signed(tmp_path, "server")
    context = ssl.create_default_context(cafile=server.pem)
    tls = {"certificate": str(server.pem), "key": str(server.key)}

    def handshakes(running: Running) -> None:
        for _ in range(2):
            plain = socket.create_connection(("127.0.0.1", running.ports["west"]), 30)
            with context.wrap_socket(plain, server_hostname="localhost") as secured:
                assert secured.version() == "TLSv1.3"

    with start() as running:
        running.reload(lambda table: table["listener"][1].update(tls=tls))
        running.says("reloaded")
        handshakes(running)
        running.says("connection ended", 2)  # who is killed says nothing more
        server.pem.unlink()
        server.key.unlink()
        running.kill(running.workers[0])
        handshakes(running)
        running.says("connection ended", 4)
        assert len({line["worker"] for line in running.lines("connection ended")}) == 3


def test_drain(start):
    with start() as running, running.associated() as one, running.associated() as other:
        assert one.worker != other.worker
        with running.connect() as silent:
            running.program.signal(signal.SIGTERM)
            assert silent.receive() is None
        with pytest.raises(ConnectionRefusedError):
            running.connect()
        one.works()
        one.release()
        other.works()
        assert running.program.process.poll() is None
        other.release()
        assert running.program.exit_code() == 0
        assert [line["associations"] for line in running.lines("stopping")] == [2]


def test_a_worker_that_dies_while_the_others_drain(start):
    """It is not replaced, and who drains does so."""
    with start() as running, running.associated() as one, running.associated() as other:
        running.program.signal(signal.SIGTERM)
        running.says("stopping")
        os.kill(one.worker, signal.SIGKILL)
        one.is_over()
        running.says("worker died")
        other.works()
        other.release()
        assert running.program.exit_code() == 0
        assert len(running.lines("worker started")) == 2


def test_second_signal(start):
    with (
        start("--drain", "60") as running,
        running.associated() as one,
        running.associated() as two,
    ):
        running.program.signal(signal.SIGINT)
        running.says("stopping")
        one.works()
        running.program.signal(signal.SIGINT)
        for pair in (one, two):
            pair.is_aborted()
        assert running.program.exit_code(30) == 0


def test_bound_of_the_drain(start):
    with (
        start("--drain", "0.1") as running,
        running.associated() as one,
        running.associated() as two,
    ):
        running.program.signal(signal.SIGTERM)
        for pair in (one, two):
            pair.is_aborted()
        assert running.program.exit_code(30) == 0


def test_a_signal_to_all_processes_is_one_to_the_supervisor(start):
    """As a terminal or systemd sends it: nobody hurries, and no worker dies of it."""
    with start() as running, running.associated() as pair:
        for worker in running.workers:
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                os.kill(worker, number)
        pair.works()
        running.program.signal(signal.SIGTERM)
        running.says("stopping")
        pair.works()
        pair.release()
        assert running.program.exit_code() == 0
        assert running.lines("worker died") == []


def test_the_supervisor_dies(start):
    """Then the workers end, and tell their peers."""
    with start() as running, running.associated() as one, running.associated() as two:
        workers = running.workers
        running.program.process.kill()
        for pair in (one, two):
            pair.is_aborted()
        wait_until(lambda: all(map(gone, workers)), "the workers have ended")
        assert len([line for line in running.lines("stopping") if "supervisor" in line["why"]]) == 2
        running.program.exit_code()
        running.program.errors.write_text("")
        running.program.process.returncode = 0


def test_a_listener_that_cannot_be_had(start, tmp_path):
    with Acceptor() as taken:
        table = config(1)
        table["listener"][1]["bind"] = f"127.0.0.1:{taken.port}"
        path = tmp_path / "relay.toml"
        path.write_text(toml(table))
        run = run_relay(path, "--workers", "2")
        ended = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    said = f"cannot listen on 127.0.0.1:{taken.port}: Address already in use\n"
    assert ended.stderr == said


def test_the_audit_trail_tells_of_one_relay(start, tmp_path):
    """Its start, its end and a reload once, by one process id; each association by the worker that had it."""
    file = tmp_path / "audit.jsonl"
    audit = {"file": str(file)}
    with start(audit=audit) as running:
        for _ in range(3):
            with running.associated() as one, running.associated() as two:
                one.release()
                two.release()
        running.reload(lambda table: table["ae"].append(ae("MORE", "east")))
        running.says("reloaded")
        running.reload(lambda table: table["ae"].append(ae("MORE", "east")))
        running.says("reload refused")
        running.kill(running.workers[-1])  # the first one may not have recorded it yet
    events = [json.loads(line)["event"] for line in file.read_text().splitlines()]
    assert events[0] == "relay started"
    assert events[-1] == "relay stopped"
    assert Counter(events) == {
        "relay started": 1,
        "association ended": 6,
        "reloaded": 1,
        "reload refused": 1,
        "relay stopped": 1,
    }


def test_lines_of_several_processes(start):
    """No line of the log is torn by that of another worker."""
    with start() as running:
        for _ in range(100):
            with contextlib.ExitStack() as stack:
                for peer in [stack.enter_context(running.connect()) for _ in range(4)]:
                    peer.send(b"GET / HTTP/1.1\r\n\r\n")
        lines = running.says("connection ended", 400)
        assert len({line["worker"] for line in lines}) == 2


def test_nothing_is_left(start, tmp_path, monkeypatch):
    """Of the directory that the workers share, whoever has died in the meantime."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    with start() as running:
        (directory,) = (tmp_path / "run").iterdir()
        running.kill(running.workers[0])
        assert (directory / "state.sqlite").exists()
    assert list((tmp_path / "run").iterdir()) == []
    assert re.search(r"ulproxy-state-\w+$", directory.name)
