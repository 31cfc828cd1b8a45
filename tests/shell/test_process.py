"""The process: signals, exit codes, descriptors, and what it does without standard error or output."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.end_to_end.peers import WORKERS, Relay, free_port, program, toml, wait_until
from tests.end_to_end.wire import (
    ABORT,
    AC,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    RQ,
    Acceptor,
    Peer,
    associate_ac,
    associate_rq,
    message,
    release_rp,
    release_rq,
)
from tests.shell.relay import ONE, REQUEST, STORE, config
from ulproxy.policy.config import load
from ulproxy.shell.process import (
    _never_wait_for,
    event_loop_factory,
    occupy_standard_descriptors,
    serve,
)

LOOPS = {
    "uvloop": "from ulproxy.cli import main; main()",
    "asyncio": "import asyncio, ulproxy.shell.process as p\n"
    "p.event_loop_factory = lambda: asyncio.new_event_loop\n"
    "from ulproxy.cli import main; main()",
}


@pytest.fixture
def descriptors() -> Iterator[None]:
    """The limits of this process, set back."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


# In this process -----------------------------------------------------------------------------------


def test_serves_until_it_is_told_to_stop(tmp_path, log, descriptors):
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    path = tmp_path / "relay.toml"
    path.write_text(toml(config(1)))
    ready: list[str] = []

    def announce(line: str) -> None:
        ready.append(line)
        if len(ready) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    serve(path, load(path), None, announce)
    assert len(ready) == 2
    assert log.lines("stopping")[0]["signal"] == "SIGTERM"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard


def test_event_loop(monkeypatch):
    assert event_loop_factory() is uvloop.new_event_loop
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert event_loop_factory() is asyncio.new_event_loop


def test_standard_descriptors_are_occupied(monkeypatch):
    """1 and 2 are free here; 3 is nobody's standard."""
    opened, closed = iter([1, 2, 3]), list[int]()
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", lambda *_: next(opened))
        patched.setattr(os, "close", closed.append)
        occupy_standard_descriptors()
    assert closed == [3]


def test_log_is_not_waited_for(tmp_path):
    """Where it is a pipe or a socket; whether a terminal or a file blocks is not ours to say."""
    reading, writing = os.pipe()
    near, far = socket.socketpair()
    with near, far, (tmp_path / "log").open("w") as file:
        for descriptor, blocks in ((writing, False), (near.fileno(), False), (file.fileno(), True)):
            _never_wait_for(descriptor)
            assert os.get_blocking(descriptor) is blocks
    os.close(reading)
    os.close(writing)
    _never_wait_for(writing)


# In one of its own ---------------------------------------------------------------------------------


@dataclass
class Running(Relay):
    """A relay process and the PACS that it calls."""

    acceptor: Acceptor = None  # type: ignore[assignment]

    @property
    def pid(self) -> int:
        return self.program.process.pid

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def connect(self) -> Peer:
        return Peer.connect(self.ports["west"])

    @contextlib.contextmanager
    def associated(self) -> Iterator[tuple[Peer, Peer]]:
        with self.connect() as client:
            client.send(REQUEST)
            with self.acceptor.accept() as pacs:
                pacs.send(associate_ac(pacs.expect_associate(RQ)))
                client.expect(AC)
                yield client, pacs

    def says(self, text: str) -> None:
        wait_until(lambda: text in self.program.log(), f"the log has {text!r}")


def release(client: Peer, pacs: Peer) -> None:
    client.send(release_rq())
    pacs.expect(RELEASE_RQ)
    pacs.send(release_rp())
    client.expect(RELEASE_RP)


def store(client: Peer, pacs: Peer) -> None:
    whole = message(1, STORE, b"an image")
    client.send(whole)
    assert pacs.exactly(len(whole)) == whole


@pytest.fixture(params=LOOPS)
def command(request: pytest.FixtureRequest) -> list[str]:
    return [sys.executable, "-c", LOOPS[request.param], "run", "--workers", WORKERS]


Start = Callable[..., "contextlib.AbstractContextManager[Running]"]


@pytest.fixture
def start(tmp_path: Path, command: list[str]) -> Start:
    @contextlib.contextmanager
    def started(*arguments: str, **tables: Any) -> Iterator[Running]:
        with Acceptor() as acceptor:
            path = tmp_path / "relay.toml"
            path.write_text(toml(config(acceptor.port, **tables)))
            with program([*command, path, *arguments], tmp_path) as running:
                made = Running(running, path, acceptor=acceptor)
                wait_until(made.listening, "the relay listens")
                yield made
                running.signal(signal.SIGTERM)
                assert running.exit_code() == 0, running.log()
                assert "Traceback" not in running.log()

    return started


class StartAlone:
    """Starts a relay process whose streams are the test's own."""

    def __init__(self, command: list[str], path: Path, acceptor: Acceptor) -> None:
        self.path = path
        self.acceptor = acceptor
        self._command = command

    @contextlib.contextmanager
    def __call__(self, stderr: int) -> Iterator[tuple[Any, int]]:
        """The process, and the port for network west."""
        self.path.write_text(toml(config(self.acceptor.port)))
        command = [*self._command, str(self.path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
            try:
                assert process.stdout is not None
                lines = [process.stdout.readline() for _ in range(2)]
                yield process, int(lines[1].rpartition(":")[2])
            finally:
                process.kill()


@pytest.fixture
def start_alone(command: list[str], tmp_path: Path) -> Iterator[StartAlone]:
    with Acceptor() as acceptor:
        yield StartAlone(command, tmp_path / "relay.toml", acceptor)


def test_drain(start):
    with start() as running, running.associated() as (client, pacs):
        with running.connect() as silent:
            running.program.signal(signal.SIGTERM)
            assert silent.receive() is None
        with pytest.raises(ConnectionRefusedError):
            running.connect()
        store(client, pacs)
        assert running.program.process.poll() is None
        release(client, pacs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal(start, number):
    with start("--drain", "60") as running, running.associated() as (client, pacs):
        running.program.signal(number)
        running.says("stopping")
        assert running.program.process.poll() is None
        running.program.signal(number)
        assert client.expect(ABORT).body[2:] == bytes([2, 0])
        assert pacs.expect(ABORT).body[2:] == bytes([2, 0])
        assert running.program.exit_code(5) == 0


def test_bound_of_the_drain(start):
    """Peers that do not close are not waited for."""
    with start("--drain", "0.1") as running, running.associated() as (client, pacs):
        running.program.signal(signal.SIGTERM)
        assert running.program.exit_code(5) == 0
        for peer in (client, pacs):
            assert peer.expect(ABORT).body[2:] == bytes([2, 0])
            assert peer.receive() is None


def test_no_descriptor_is_left(start, command, descriptors):
    """It goes on when there are some again; whoever has an association does not notice."""
    script = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)); {command[2]}"
    command[2] = script.replace("; import", "\nimport")
    command[-1] = "1"  # whose descriptors are counted
    with start() as running, running.associated() as (client, pacs):
        before = running.descriptors()
        with contextlib.ExitStack() as stack:
            waiting = [stack.enter_context(running.connect()) for _ in range(60)]
            running.says("cannot accept")
            assert running.descriptors() == 40
            store(client, pacs)
            waiting[-1].send(associate_rq(ONE, called="NOBODY"))
            for peer in waiting[:-1]:
                peer.socket.close()
            assert waiting[-1].expect(RJ).body[1:] == bytes([1, 1, 7])
        wait_until(lambda: running.descriptors() == before, "they are given back")
        with running.associated() as another:
            store(*another)
            release(*another)
        release(client, pacs)


def test_onward_connection_without_a_descriptor(start, command, descriptors):
    script = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)); {command[2]}"
    command[2] = script.replace("; import", "\nimport")
    command[-1] = "1"  # whose descriptors are counted
    with start() as running, contextlib.ExitStack() as stack:
        free = 40 - running.descriptors()
        waiting = [stack.enter_context(running.connect()) for _ in range(free)]
        wait_until(lambda: running.descriptors() == 40, "all are used")
        waiting[-1].send(REQUEST)
        assert waiting[-1].expect(RJ).body[1:] == bytes([2, 3, 1])
        running.says("Too many open files")


def test_standard_error_has_no_reader(start_alone):
    """Not a line can be logged; the relay works, reloads and stops as ever."""
    with start_alone(stderr=subprocess.PIPE) as (process, port):
        process.stderr.close()
        with Peer.connect(port) as client:
            client.send(REQUEST)
            with start_alone.acceptor.accept() as pacs:
                pacs.send(associate_ac(pacs.expect_associate(RQ)))
                client.expect(AC)
                store(client, pacs)
                path = start_alone.path
                path.write_text(path.read_text().replace("127.0.0.1:0", "127.0.0.2:0", 1))
                process.send_signal(signal.SIGHUP)
                assert process.stdout.readline().startswith("ready east 127.0.0.2:")
                process.send_signal(signal.SIGTERM)
                release(client, pacs)
        assert process.wait(10) == 0


def test_nobody_empties_standard_error(start_alone):
    """Strangers who make it say much do not stop the relay, nor keep it from being stopped."""
    with start_alone(stderr=subprocess.PIPE) as (process, port):
        for _ in range(500):
            with Peer.connect(port) as stranger:
                stranger.send(b"GET / HTTP/1.1\r\n\r\n")
                stranger.expect(ABORT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        lines = process.stderr.read().splitlines()
        assert 100 < len(lines) < 500
        assert all(json.loads(line) for line in lines[:100])


def test_standard_output_is_closed(tmp_path, command):
    """libuv aborts the process where it is to close a descriptor with such a number."""
    port = free_port()
    table = config(1)
    table["listener"][1]["bind"] = f"127.0.0.1:{port}"
    path = tmp_path / "relay.toml"
    path.write_text(toml(table))
    closing = ["/bin/sh", "-c", 'exec "$@" <&- >&-', "sh", *command, path]
    with program(closing, tmp_path) as running:
        wait_until(lambda: running.listens_on(port), "the relay listens")
        running.signal(signal.SIGTERM)
        assert running.exit_code() == 0, running.log()


def test_address_is_in_use(tmp_path, command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        table = config(1)
        address = "{}:{}".format(*taken.getsockname())
        table["listener"][1]["bind"] = address
        path = tmp_path / "relay.toml"
        path.write_text(toml(table))
        ended = subprocess.run(
            [*command, path], capture_output=True, text=True, timeout=30, check=False
        )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == f"cannot listen on {address}: Address already in use\n"


def test_crowds_come_and_go(start):
    """Associations at once, then connections of every short kind; nothing of them is left."""
    with start(limits={"associations_per_source": 300}) as running:
        with contextlib.ExitStack() as stack:
            pairs = [stack.enter_context(running.associated()) for _ in range(100)]
            for pair in pairs:
                store(*pair)
            for pair in pairs:
                release(*pair)
        crowd(running)
        before, memory = settled(running), running.memory()
        crowd(running)
        assert settled(running) == before
        assert running.memory() - memory < 2 << 20


def crowd(running: Running) -> None:
    threads = [threading.Thread(target=come_and_go, args=(running, n)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(20):
        with running.associated() as (client, pacs):
            store(client, pacs)
            client.reset()
            pacs.expect(ABORT)


def come_and_go(running: Running, number: int) -> None:
    for count in range(60):
        with running.connect() as peer:
            kind = (number + count) % 4
            if kind == 0:
                peer.reset()
            elif kind == 1:
                peer.send(b"GET / HTTP/1.1\r\n\r\n")
                peer.expect(ABORT)
            elif kind == 2:
                peer.send(associate_rq(ONE, called="NOBODY"))
                peer.expect(RJ)


def settled(running: Running) -> int:
    """How many descriptors it has when it is alone."""
    counts: list[int] = []

    def same() -> bool:
        counts.append(running.descriptors())
        return len(counts) > 20 and len(set(counts[-20:])) == 1

    wait_until(same, "the number of its descriptors is steady")
    return counts[-1]
