"""What stands between sender and sink, started and ready.

A *sink* is a name, which is also its AE title, and the port where it listens. A variant is a way to
each sink: the port to call, and the processes on the way, whose CPU and memory are measured.
"""

import json
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

from benchmarks import wire
from benchmarks.processes import PeerError, Process

HOST = "127.0.0.1"
CALLING = wire.CALLING
NGINX_MODULES = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")
TLS_VERSIONS = "ssl_protocols TLSv1.2 TLSv1.3"
SETTLE_SECONDS = 60.0
READING_SECONDS = 300.0  # for 100 000 AEs and rules on a busy machine
Sinks = Mapping[str, int]


class UnavailableError(Exception):
    """This variant cannot run here; the text says why and what would help."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a variant is to connect, and how."""

    sinks: Sinks
    work: Path  # a folder of its own for files
    max_lengths: Mapping[str, int] = field(default_factory=dict)  # of the sinks, where not 16384
    certificates: Path | None = None  # a folder with ca.pem, relay.pem, relay.key
    tls_in: bool = False  # towards the sender
    tls_out: bool = False  # towards the sinks
    entries: str = ""  # more of ulproxy's configuration
    workers: int = 1  # of ulproxy

    def max_length(self, sink: str) -> int:
        """For relays that have one of their own."""
        return self.max_lengths.get(sink, 16384)


def nothing(sink: str) -> None:
    """A relay that streams has nothing left when the sender has its last response."""
    del sink


@dataclass(frozen=True, slots=True)
class Variant:
    """One way from the sender to the sinks."""

    name: str
    ports: Sinks  # where to call for each sink
    processes: Mapping[str, Process] = field(default_factory=dict)  # by sink; none without a relay
    settle: Callable[[str], None] = nothing  # wait until a sink has everything
    started: float = 0.0  # seconds until it was ready

    def explain(self) -> str:
        """The ends of its logs, for a message."""
        return "\n".join(process.explain() for process in set(self.processes.values()))


def free_port() -> int:
    """A port that nobody listens on, for programs that cannot pick one themselves."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def program(name: str, package: str) -> str:
    """Its path; daemons are in /usr/sbin, which users do not have on theirs."""
    found = which(name) or which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise UnavailableError(f"no {name} on this machine (apt install {package})")
    return found


def start(name: str, wiring: Wiring, stack: ExitStack) -> Variant:
    """The variant of this name, started; the stack ends it. Raises UnavailableError, PeerError."""
    wiring.work.mkdir(parents=True, exist_ok=True)
    return VARIANTS[name](wiring, stack)


def _direct(wiring: Wiring, stack: ExitStack) -> Variant:
    del stack
    if wiring.tls_in != wiring.tls_out:
        raise UnavailableError("nothing changes between TLS and plain TCP on a direct connection")
    return Variant("direct", wiring.sinks)


def _haproxy(wiring: Wiring, stack: ExitStack) -> Variant:
    """HAProxy as its packager tunes it, with one thread, since a relay under test is one too."""
    executable = program("haproxy", "haproxy")
    ports, tls = {name: free_port() for name in wiring.sinks}, wiring.certificates
    accepting = f" ssl crt {tls}/both.pem ssl-min-ver TLSv1.2" if wiring.tls_in else ""
    calling = (
        f" ssl verify required ca-file {tls}/ca.pem verifyhost localhost" if wiring.tls_out else ""
    )
    timeouts = "  timeout connect 10s\n  timeout client 600s\n  timeout server 600s\n"
    sections = ["global\n  nbthread 1\n  maxconn 4000\n", f"defaults\n  mode tcp\n{timeouts}"]
    sections += [
        f"listen {name}\n  bind {HOST}:{ports[name]}{accepting}\n  server sink {HOST}:{port}{calling}\n"
        for name, port in wiring.sinks.items()
    ]
    config = wiring.work / "haproxy.cfg"
    config.write_text("\n".join(sections))
    process = Process([executable, "-db", "-f", str(config)], wiring.work / "haproxy.log")
    stack.enter_context(process).listening(*ports.values())
    return Variant("haproxy", ports, dict.fromkeys(ports, process))


def _nginx(wiring: Wiring, stack: ExitStack) -> Variant:
    """nginx with its stream module, one worker."""
    executable, work, tls = program("nginx", "nginx"), wiring.work, wiring.certificates
    modules = [Path(folder) / "ngx_stream_module.so" for folder in NGINX_MODULES]
    module = next((file for file in modules if file.exists()), None)
    if module is None:
        raise UnavailableError("nginx without its stream module (apt install libnginx-mod-stream)")
    ports = {name: free_port() for name in wiring.sinks}
    secure = (
        f"ssl_certificate {tls}/relay.pem; ssl_certificate_key {tls}/relay.key; {TLS_VERSIONS};"
    )
    onward = (
        "proxy_ssl on; proxy_ssl_verify on; proxy_ssl_name localhost;"
        f" proxy_{TLS_VERSIONS}; proxy_ssl_trusted_certificate {tls}/ca.pem;"
    )
    servers = "\n".join(
        f"  server {{ listen {HOST}:{ports[name]}{' ssl' * wiring.tls_in}; proxy_pass {HOST}:{port};"
        f" {secure * wiring.tls_in} {onward * wiring.tls_out} }}"
        for name, port in wiring.sinks.items()
    )
    config = work / "nginx.conf"
    config.write_text(
        f"load_module {module};\ndaemon off;\nworker_processes 1;\npid {work}/nginx.pid;\n"
        f"error_log {work}/nginx.log;\nevents {{ worker_connections 4096; }}\n"
        f"stream {{\n{servers}\n}}\n"
    )
    command = [executable, "-p", str(work), "-e", str(work / "nginx.log"), "-c", str(config)]
    process = Process(command, work / "nginx.err")
    stack.enter_context(process).listening(*ports.values())
    return Variant("nginx", ports, dict.fromkeys(ports, process))


def _pynetdicom(wiring: Wiring, stack: ExitStack) -> Variant:
    """The proxy that one writes with pynetdicom: what it receives it sends."""
    command = [sys.executable, "-m", "benchmarks.pynetdicom_proxy"]
    command += [f"{name}={port}={wiring.max_length(name)}" for name, port in wiring.sinks.items()]
    process = stack.enter_context(Process(command, wiring.work / "pynetdicom.log"))
    ports = dict(zip(wiring.sinks, map(int, process.line("ready ").split()[1:]), strict=True))
    return Variant("pynetdicom", ports, dict.fromkeys(ports, process))


def _orthanc(wiring: Wiring, stack: ExitStack) -> Variant:
    """Orthanc as a router, one for each sink: what it has stored it sends on and deletes."""
    executable = program("Orthanc", "orthanc")
    ports = {name: free_port() for name in wiring.sinks}
    pages = {name: free_port() for name in wiring.sinks}
    processes = {}
    for name in wiring.sinks:
        config = _orthanc_file(wiring, name, ports[name], pages[name])
        # It has nothing to save, and takes seconds to see to it.
        process = Process([executable, str(config)], config.with_suffix(".log"), patience=0)
        processes[name] = stack.enter_context(process)
    for name, process in processes.items():
        process.listening(ports[name], pages[name])

    def settle(sink: str) -> None:
        """Nothing is left in its storage."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            with urllib.request.urlopen(f"http://{HOST}:{pages[sink]}/statistics") as page:
                if json.load(page)["CountInstances"] == 0:
                    return
            time.sleep(0.01)
        raise PeerError(f"Orthanc did not send everything within {SETTLE_SECONDS:.0f} s")

    return Variant("orthanc", ports, processes, settle)


def _orthanc_file(wiring: Wiring, sink: str, port: int, page: int) -> Path:
    """Its configuration, in a folder that is its storage too."""
    work = wiring.work / f"orthanc-{sink}"
    work.mkdir()
    (work / "route.lua").write_text(
        "function OnStoredInstance(id)\n  Delete(SendToModality(id, 'sink'))\nend\n"
    )
    settings = {
        "DicomAet": sink,
        "DicomPort": port,
        "DicomModalities": {"sink": [sink, HOST, wiring.sinks[sink]]},
        "MaximumPduLength": wiring.max_length(sink),
        "HttpPort": page,
        "AuthenticationEnabled": False,
        "StorageDirectory": str(work),
        "IndexDirectory": str(work),
        "LuaScripts": [str(work / "route.lua")],
        "OverwriteInstances": True,
        "DicomAssociationCloseDelay": 0,  # or storescp, which serves one at a time, waits 5 s
    }
    file = work / "orthanc.json"
    file.write_text(json.dumps(settings))
    return file


def _ulproxy(wiring: Wiring, stack: ExitStack) -> Variant:
    tls = wiring.certificates
    accepting = f'tls = {{ certificate = "{tls}/relay.pem", key = "{tls}/relay.key" }}\n'
    calling = f'tls = {{ ca = "{tls}/ca.pem" }}\n'
    tables = [
        '[relay]\ntitle = "BENCH_RELAY"\nstate = "state.sqlite"\n',
        "[limits]\nassociations = 4000\nassociations_per_source = 4000\npending = 4000\n",
        f'[[listener]]\nnetwork = "inside"\nbind = "{HOST}:0"\n' + accepting * wiring.tls_in,
        f'[[ae]]\ntitle = "{CALLING}"\nnetwork = "inside"\nsources = ["{HOST}/32"]\n',
    ]
    tables += [
        f'[[ae]]\ntitle = "{name}"\nalias = "{name}"\nnetwork = "outside"\n'
        f'address = "{"localhost" if wiring.tls_out else HOST}:{port}"\nsources = ["{HOST}/32"]\n'
        + calling
        * wiring.tls_out
        for name, port in wiring.sinks.items()
    ]
    tables += [f'[[rule]]\nfrom = ["{CALLING}"]\nto = ["network:outside"]\nservices = ["*"]\n']
    config = wiring.work / "ulproxy.toml"
    config.write_text("\n".join([*tables, wiring.entries]))
    command = [sys.executable, "-m", "ulproxy", "run", str(config)]
    command += ["--workers", str(wiring.workers)]
    began = time.perf_counter()
    process = stack.enter_context(Process(command, wiring.work / "ulproxy.log"))
    port = int(process.line("ready inside ", READING_SECONDS).rpartition(":")[2])
    ports = dict.fromkeys(wiring.sinks, port)
    seconds = time.perf_counter() - began
    return Variant("ulproxy", ports, dict.fromkeys(ports, process), started=seconds)


VARIANTS: dict[str, Callable[[Wiring, ExitStack], Variant]] = {
    "direct": _direct,
    "haproxy": _haproxy,
    "nginx": _nginx,
    "orthanc": _orthanc,
    "pynetdicom": _pynetdicom,
    "ulproxy": _ulproxy,
}
