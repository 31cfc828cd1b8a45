"""What stands between sender and sink: nothing, HAProxy in TCP mode, or ulproxy.

A *sink* is a name, which is also its AE title, and the port where it listens. A variant is a way to
each sink: the port to call, and the process on the way, if any, whose CPU and memory are measured.
"""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Process

HOST = "127.0.0.1"
CALLING = "BENCH_SCU"
Sinks = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way from the sender to the sinks."""

    name: str
    ports: Sinks  # where to call for each sink
    process: Process | None


def free_port() -> int:
    """A port that nobody listens on, for programs that cannot pick one themselves."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def environment(*, nodelay: bool) -> dict[str, str]:
    """The environment for DCMTK: Nagle's algorithm off by its own switch, else as it ships."""
    variables = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    return variables | {"TCP_NODELAY": "1"} if nodelay else variables


def storescp(name: str, pdu: int, work: Path, *, nodelay: bool) -> tuple[Process, int]:
    """DCMTK's storescp, receiving and dropping; bit preserving, so that it streams."""
    port = free_port()
    command = ["storescp", "+B", "--ignore", "-dhl", "-aet", name, "--max-pdu", str(pdu), str(port)]
    return Process(command, work / f"{name}.log", environment(nodelay=nodelay)), port


def start(names: list[str], sinks: Sinks, work: Path, stack: ExitStack) -> list[Variant]:
    """The variants of these names, started; the stack ends them."""
    return [VARIANTS[name](sinks, work, stack) for name in names]


def _direct(sinks: Sinks, work: Path, stack: ExitStack) -> Variant:  # noqa: ARG001
    return Variant("direct", sinks, None)


def _haproxy(sinks: Sinks, work: Path, stack: ExitStack) -> Variant:
    """HAProxy as its packager tunes it, with one thread, since a relay under test is one too."""
    ports = {name: free_port() for name in sinks}
    config = work / "haproxy.cfg"
    timeouts = "  timeout connect 10s\n  timeout client 600s\n  timeout server 600s\n"
    sections = ["global\n  nbthread 1\n  maxconn 4000\n", f"defaults\n  mode tcp\n{timeouts}"]
    sections += [
        f"listen {name}\n  bind {HOST}:{ports[name]}\n  server sink {HOST}:{port}\n"
        for name, port in sinks.items()
    ]
    config.write_text("\n".join(sections))
    executable = next((p for p in ("/usr/sbin/haproxy",) if Path(p).exists()), "haproxy")
    process = Process([executable, "-db", "-f", str(config)], work / "haproxy.log")
    stack.enter_context(process).listening(*ports.values())
    return Variant("haproxy", ports, process)


def _ulproxy(sinks: Sinks, work: Path, stack: ExitStack) -> Variant:
    config = work / "ulproxy.toml"
    tables = [
        '[relay]\ntitle = "BENCH_RELAY"\n',
        "[limits]\nassociations = 4000\nassociations_per_source = 4000\npending = 4000\n",
        f'[[listener]]\nnetwork = "inside"\nbind = "{HOST}:0"\n',
        f'[[ae]]\ntitle = "{CALLING}"\nnetwork = "inside"\nsources = ["{HOST}/32"]\n',
    ]
    tables += [
        f'[[ae]]\ntitle = "{name}"\nalias = "{name}"\n'
        f'network = "outside"\naddress = "{HOST}:{port}"\n'
        for name, port in sinks.items()
    ]
    tables += [f'[[rule]]\nfrom = ["{CALLING}"]\nto = ["network:outside"]\nservices = ["*"]\n']
    config.write_text("\n".join(tables))
    command = [sys.executable, "-m", "ulproxy", "run", str(config)]
    process = stack.enter_context(Process(command, work / "ulproxy.log"))
    port = int(process.line("ready inside ").rpartition(":")[2])
    return Variant("ulproxy", dict.fromkeys(sinks, port), process)


VARIANTS: dict[str, Callable[[Sinks, Path, ExitStack], Variant]] = {
    "direct": _direct,
    "haproxy": _haproxy,
    "ulproxy": _ulproxy,
}
