"""The relays as processes: started, waited for until they listen, and never left behind.

A relay runs in a process group of its own, so that Ctrl-C on the terminal reaches the demonstration alone,
which then ends the relays in order. Not in a session of its own: Linux schedules by session, and on a busy
machine a relay that has one waits for seconds.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ulproxy.demo.config import HOST, USUAL, Ports

READY = 20.0  # seconds for a relay to listen: a cold start on a busy machine takes a few
DRAIN = 3.0  # seconds for a relay to end by itself before it is killed
LISTENERS = 2
# Below what systems give to outgoing connections, which would take a port before the relay listens on it.
UNASSIGNED = range(15000, 32000)
COMMAND = (sys.executable, "-m", "ulproxy", "run", "--workers", "1")


class RelayError(Exception):
    """A relay did not get ready or died; the text has its last lines."""


class Relay:
    """One `ulproxy run CONFIG`, with its output beside its configuration."""

    def __init__(self, config: Path) -> None:
        self.name = config.stem
        self.config = config
        self.log = config.with_suffix(".log")
        self._out = config.with_suffix(".out")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id; 0 before it is started."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it; `wait_ready` waits."""
        command = [*COMMAND, str(self.config)]
        # What it shares with nobody goes with the demonstration's folder, even if it is killed.
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.config.parent)}
        with self._out.open("wb") as out, self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                process_group=0,
                env=environment,
            )

    def wait_ready(self, seconds: float = READY) -> None:
        """Until it has said `ready` for each listener; RelayError when it does not."""
        deadline = time.monotonic() + seconds
        while self._ready_lines() < LISTENERS:
            self.check()
            if time.monotonic() > deadline:
                raise RelayError(self.complaint(f"was not ready after {seconds:g} s"))
            time.sleep(0.05)

    def check(self) -> None:
        """RelayError when it has ended."""
        code = self._process.poll() if self._process else None
        if code is not None:
            raise RelayError(self.complaint(f"ended with exit code {code}"))

    def stop(self) -> None:
        """Let it drain, then kill it; afterwards it is gone and reaped."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(DRAIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ready_lines(self) -> int:
        lines = self._out.read_text(errors="replace").splitlines()
        return sum(line.startswith("ready ") for line in lines)

    def complaint(self, what: str) -> str:
        """`what` went wrong, and the last lines of the log."""
        last = self.log.read_text(errors="replace").splitlines()[-12:]
        return "\n".join([f"{self.name} {what}; its last lines:", *last])


def choose_ports(station: int, pacs: int) -> Ports:
    """The usual ports if both devices got theirs and the rest are free, else any that are free.

    Only one demonstration at a time has the devices' usual ports, so two never reach for the same four.
    """
    if (station, pacs) == (USUAL.station, USUAL.pacs) and all(
        map(_free, (USUAL.a_inside, USUAL.a_outside, USUAL.b_inside, USUAL.b_outside))
    ):
        return USUAL
    found: set[int] = set()
    while len(found) < 4:
        port = secrets.choice(UNASSIGNED)
        if _free(port):
            found.add(port)
    return Ports(station, pacs, *found)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT is no obstacle
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


class Stopped(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP."""


class Signals:
    """Turns signals into `Stopped`, except while `held`: then it is raised at the end of that."""

    def __init__(self) -> None:
        self._held = False
        self._pending = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle Ctrl-C, SIGTERM and SIGHUP until the end; the former handlers come back."""
        names = [signal.SIGINT, signal.SIGTERM]
        names += [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []
        before = {name: signal.signal(name, self._handle) for name in names}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing interrupts what must not be done by half: starting and ending processes."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending:
            self._held = True
            raise Stopped

    def hold(self) -> None:
        """From now on nothing interrupts: the end has begun, and is bounded in time."""
        self._held = True

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._held:
            self._pending = True
            return
        self._held = True  # once is enough: a second Ctrl-C must not cut the end short
        raise Stopped
