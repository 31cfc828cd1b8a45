"""The programs that end-to-end tests run: the relay, DCMTK's tools and dcmqrscp, Orthanc.

Everything listens on 127.0.0.1, writes only under a test's own directory and is stopped by its own process
object.
A tool that is not installed is a failure. Nothing here imports ulproxy.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ORTHANC = "/usr/sbin/Orthanc"
PATIENCE = 60.0
"""Seconds until a condition that should hold soon counts as failed; generous, the machine may be busy."""


def wait_until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Poll until the condition holds; the only waiting that tests do."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience:g} s: {what}")
        time.sleep(0.01)


def free_port(avoiding: bytes = b"") -> int:
    """A free port below the ephemeral range, so that no other socket gets it by chance.

    `avoiding`: its digits do not occur in these bytes, for tests that search traffic for it.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if str(port).encode() not in avoiding:
                return port


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


@dataclass(frozen=True)
class Way:
    """How a client reaches its peer: straight, or through the relay that gives it another title."""

    name: str
    port: int
    called: str


@dataclass
class Program:
    """A running child process with its output in files."""

    process: subprocess.Popen[bytes]
    output: Path
    errors: Path

    def log(self) -> str:
        return self.errors.read_text(errors="replace")

    def listens_on(self, port: int) -> bool:
        assert self.process.poll() is None, f"{self.process.args!r} ended:\n{self.log()}"
        return accepts(port)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def exit_code(self, patience: float = PATIENCE) -> int:
        """Wait for its end."""
        return self.process.wait(patience)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


_numbers = iter(range(1_000_000))


@contextlib.contextmanager
def program(
    args: Sequence[str | Path],
    directory: Path,
    nodelay: bool = True,
    pass_fds: Sequence[int] = (),
) -> Iterator[Program]:
    """Start a program; stop it at the end of the block."""
    name = f"{Path(args[0]).name}-{next(_numbers)}"
    output, errors = directory / f"{name}.out", directory / f"{name}.err"
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            [str(a) for a in args],
            cwd=directory,
            stdout=out,
            stderr=err,
            env=_environment(nodelay),
            pass_fds=pass_fds,
        )
    running = Program(process, output, errors)
    try:
        yield running
    finally:
        running.stop()


def _environment(nodelay: bool) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if k != "TCP_NODELAY"}
    environment["PYTHONPATH"] = str(ROOT)
    return {**environment, "TCP_NODELAY": "1"} if nodelay else environment


def run_tool(
    *args: str | Path, cwd: Path, nodelay: bool = True, timeout: float = 100
) -> subprocess.CompletedProcess[str]:
    """Run a command line tool to its end."""
    return subprocess.run(
        [str(a) for a in args],
        cwd=cwd,
        env=_environment(nodelay),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )


# The relay -----------------------------------------------------------------------------------------

WORKERS = os.environ.get("ULPROXY_TEST_WORKERS", "1")
"""Processes that serve where a test does not say: one, which starts sooner, however many cores there are."""


def run_relay(config: Path, *arguments: str) -> list[str | Path]:
    """The command."""
    workers = [] if "--workers" in arguments else ["--workers", WORKERS]
    return [sys.executable, "-m", "ulproxy", "run", config, *workers, *arguments]


@dataclass
class Relay:
    """A running `python -m ulproxy run`."""

    program: Program
    config: Path
    ports: dict[str, int] = field(default_factory=dict)

    def memory(self) -> int:
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.program.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def listening(self) -> bool:
        """Read the `ready NETWORK HOST:PORT` lines; true once every listener has said so."""
        assert self.program.process.poll() is None, f"the relay ended:\n{self.program.log()}"
        ready = re.findall(r"^ready (\S+) \S+:(\d+)", self.program.output.read_text(), re.MULTILINE)
        self.ports = {network: int(port) for network, port in ready}
        return len(ready) == self.config.read_text().count("[[listener]]")


Table = dict[str, Any]


def toml(config: Table) -> str:
    """The configuration as TOML; tables are dictionaries, arrays of tables lists of them."""
    lines: list[str] = []
    for key, value in config.items():
        for table in value if isinstance(value, list) else [value]:
            lines.append(f"[[{key}]]" if isinstance(value, list) else f"[{key}]")
            lines += [f"{name} = {_toml_value(v)}" for name, v in table.items()]
    return "\n".join(lines) + "\n"


def _toml_value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml_value(v)}" for name, v in value.items()) + " }"
    return json.dumps(value)


def ae(title: str, network: str, port: int | None = None, **more: object) -> Table:
    """An [[ae]]; without a port it only calls."""
    address = {} if port is None else {"address": f"127.0.0.1:{port}"}
    return {"title": title, "network": network, "sources": ["127.0.0.1/32"], **address, **more}


def rule(
    callers: list[str], called: list[str], services: list[str] | None = None, **more: object
) -> Table:
    return {"from": callers, "to": called, "services": services or ["*"], **more}


def border(aes: list[Table], rules: list[Table], **tables: Table) -> Table:
    """A configuration with a listener for each network of its AEs."""
    networks = sorted({a["network"] for a in aes})
    return {
        "relay": {"title": "RELAY", **tables.get("relay", {})},
        "limits": tables.get("limits", {}),
        "listener": [{"network": n, "bind": "127.0.0.1:0"} for n in networks],
        "ae": aes,
        "rule": rules,
    }


@contextlib.contextmanager
def relay(config: Table, directory: Path, *arguments: str) -> Iterator[Relay]:
    """Run the relay; at the end it must stop on SIGTERM with exit code 0 and never have raised."""
    path = directory / f"relay-{next(_numbers)}.toml"
    path.write_text(toml(config))
    with program(run_relay(path, *arguments), directory) as running:
        started = Relay(running, path)
        wait_until(started.listening, "the relay listens")
        yield started
        if running.process.poll() is None:
            running.signal(signal.SIGTERM)
        code = running.exit_code()
        log = running.log()
        assert "Traceback" not in log, log
        assert '"event": "internal error"' not in log, log  # its traceback is JSON
        assert code == 0, log


# PACS ----------------------------------------------------------------------------------------------


Hosts = dict[str, int]
"""AE title -> port: whom a PACS can send to."""


@contextlib.contextmanager
def dcmqrscp(
    port: int, areas: dict[str, Path], hosts: Hosts, directory: Path, *options: str
) -> Iterator[Program]:
    """DCMTK's image archive, with a storage directory for each of its called titles."""
    for area in areas.values():
        area.mkdir(parents=True, exist_ok=True)
    config = directory / f"dcmqrscp-{port}.cfg"
    config.write_text(
        "\n".join(
            [
                f"NetworkTCPPort = {port}",
                "MaxPDUSize = 16384",
                "MaxAssociations = 200",
                "HostTable BEGIN",
                *(f"host{i} = ({t}, 127.0.0.1, {p})" for i, (t, p) in enumerate(hosts.items())),
                "HostTable END",
                "VendorTable BEGIN",
                "VendorTable END",
                "AETable BEGIN",
                *(f"{title} {area} RW (200, 1024mb) ANY" for title, area in areas.items()),
                "AETable END",
            ]
        )
        + "\n"
    )
    with program(["dcmqrscp", "-c", config, "-dhl", *options], directory) as running:
        wait_until(lambda: running.listens_on(port), "dcmqrscp listens")
        yield running


@contextlib.contextmanager
def storescp(
    port: int, received: Path, directory: Path, nodelay: bool, *options: str
) -> Iterator[Program]:
    """DCMTK's storage SCP, writing what it receives bit by bit; without options in any syntax."""
    received.mkdir()
    command: list[str | Path] = ["storescp", "+B", *(options or ("+xa",)), "-od", received]
    command.append(str(port))
    with program(command, directory, nodelay) as running:
        wait_until(lambda: running.listens_on(port), "storescp listens")
        yield running


@contextlib.contextmanager
def orthanc(title: str, port: int, http: int, hosts: Hosts, directory: Path) -> Iterator[Program]:
    """Orthanc without plugins, open to every caller; it keeps its files under `storage`."""
    config = directory / f"orthanc-{port}.json"
    config.write_text(
        json.dumps(
            {
                "Name": "Test",
                "StorageDirectory": str(directory / "storage"),
                "IndexDirectory": str(directory / "index"),
                "Plugins": [],
                "HttpPort": http,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "DicomAet": title,
                "DicomPort": port,
                "DicomCheckCalledAet": False,
                "DicomCheckModalityHost": False,
                "DicomScpTimeout": 60,
                **{f"DicomAlwaysAllow{s}": True for s in ("Echo", "Store", "Find", "Get", "Move")},
                "DicomModalities": {t.lower(): [t, "127.0.0.1", p] for t, p in hosts.items()},
                "StableAge": 1,
            }
        )
    )
    with program([ORTHANC, config], directory) as running:
        wait_until(lambda: running.listens_on(port), "Orthanc listens")
        yield running
