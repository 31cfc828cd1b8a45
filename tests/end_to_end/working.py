"""A relay with several workers, and who calls it."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.end_to_end.peers import Relay, Table, program, run_relay, toml, wait_until
from tests.end_to_end.wire import (
    ABORT,
    AC,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    Acceptor,
    Peer,
    associate_ac,
    message,
    release_rp,
    release_rq,
)
from tests.shell.relay import REQUEST, STORE, config

NO_LIMIT = {"associations_per_source": 500}


@dataclass
class Running(Relay):
    """A relay with several workers, and the PACS that it calls."""

    acceptor: Acceptor = None  # type: ignore[assignment]
    table: Table = None  # type: ignore[assignment]

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        lines = map(json.loads, self.program.log().splitlines())
        return [line for line in lines if event in (None, line["event"])]

    def says(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.lines(event)) >= times, f"the log has {times} times {event!r}")
        return self.lines(event)

    @property
    def workers(self) -> list[int]:
        """Those that live."""
        pid = self.program.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def connect(self, network: str = "west") -> Peer:
        return Peer.connect(self.ports[network])

    @contextlib.contextmanager
    def associated(self) -> Iterator[Pair]:
        before = len(self.lines("association established"))
        with self.connect() as client:
            client.send(REQUEST)
            with self.acceptor.accept() as pacs:
                pacs.send(associate_ac(pacs.expect_associate(1)))
                client.expect(AC)
                worker = self.says("association established", before + 1)[-1].get("worker", 0)
                yield Pair(client, pacs, worker)

    def refused(self) -> bytes:
        with self.connect() as client:
            client.send(REQUEST)
            return client.expect(RJ).body[1:]

    def reload(self, change: Callable[[Table], object]) -> None:
        self.table = copy.deepcopy(self.table)
        change(self.table)
        self.config.write_text(toml(self.table))
        self.program.signal(signal.SIGHUP)

    def kill(self, worker: int) -> None:
        """One of them dies, and another one takes its place."""
        before = len(self.lines("worker started"))
        os.kill(worker, signal.SIGKILL)
        self.says("worker started", before + 1)


@dataclass
class Pair:
    """An association that stands; `worker` has it."""

    client: Peer
    pacs: Peer
    worker: int

    def works(self) -> None:
        whole = message(1, STORE, b"an image")
        self.client.send(whole)
        assert self.pacs.exactly(len(whole)) == whole
        answer = message(1, {2: STORE[2], 0x100: 0x8001, 0x120: 1, 0x900: 0})
        self.pacs.send(answer)
        assert self.client.exactly(len(answer)) == answer

    def release(self) -> None:
        self.client.send(release_rq())
        self.pacs.expect(RELEASE_RQ)
        self.pacs.send(release_rp())
        self.client.expect(RELEASE_RP)

    def is_over(self) -> None:
        for peer in (self.client, self.pacs):
            with contextlib.suppress(ConnectionResetError):
                assert peer.receive() is None

    def is_aborted(self) -> None:
        for peer in (self.client, self.pacs):
            assert peer.expect(ABORT).body[2:] == bytes([2, 0])


@contextlib.contextmanager
def working(
    directory: Path, *arguments: str, workers: int = 2, script: str = "", **tables: Any
) -> Iterator[Running]:
    """It runs; at the end it must stop on SIGTERM, if it has not been told to, and never have raised.

    `script` is run before it, in its process.
    """
    with Acceptor() as acceptor:
        path = directory / "relay.toml"
        more: Table = {name: tables.pop(name) for name in ("audit", "metrics") if name in tables}
        table = {**config(acceptor.port, **{"limits": NO_LIMIT, **tables}), **more}
        path.write_text(toml(table))
        command = run_relay(path, "--workers", str(workers), *arguments)
        if script:
            command[1:3] = ["-c", f"{script}\nfrom ulproxy.cli import main; main()"]
        with program(command, directory) as running:
            made = Running(running, path, acceptor=acceptor, table=table)
            wait_until(made.listening, "the relay listens")
            yield made
            if not made.lines("stopping"):
                running.signal(signal.SIGTERM)
            assert running.exit_code() == 0, running.log()
            assert "Traceback" not in running.log()
            assert "internal error" not in running.log(), running.log()


def gone(process: int) -> bool:
    """A process that has ended, whoever its parent is."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
