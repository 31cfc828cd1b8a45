"""A process under measurement: started, watched through /proc, ended whatever happens."""

import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_SECONDS = 60.0
STOP_SECONDS = 5.0
SCHEDULED = 2  # clock_getcpuclockid(3): which of the clocks of a process


class PeerError(Exception):
    """A process of the benchmark did not do its part; the text ends with what it logged."""


class Process:
    """One child process, its log in a file. A context manager: leaving it ends the process."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        *,
        patience: float = STOP_SECONDS,
    ) -> None:
        self.name = Path(command[0]).name if "ulproxy" not in command else "ulproxy"
        self._log, self._patience = log, patience
        with log.open("wb") as errors:
            self._child = subprocess.Popen(
                command,
                bufsize=0,  # or a line could wait where select does not see it
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(self._patience)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        if self._child.stdout:
            self._child.stdout.close()

    def listening(self, *ports: int) -> Self:
        """Wait until the ports are listened on, seen in /proc so that nobody is connected to."""
        deadline = time.monotonic() + START_SECONDS
        while not set(ports) <= set(_listening_ports()):
            self._alive(deadline, f"does not listen on {ports}")
            time.sleep(0.02)
        return self

    def line(self, prefix: str, seconds: float = START_SECONDS) -> str:
        """The next line on standard output that starts with `prefix`, within so many seconds."""
        deadline = time.monotonic() + seconds
        output = self._child.stdout
        assert output is not None
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                self._alive(deadline, f"did not print {prefix!r}")
                if selector.select(0.1):
                    text = output.readline().decode()
                    if text.startswith(prefix):
                        return text.strip()

    def cpu(self) -> float:
        """CPU seconds so far, of the process and its children, user and system, to the nanosecond.

        From the CPU-time clock of each: it has the threads that have ended too, which a relay with a
        thread for each association needs, and no ticks of 10 ms, as much as a small case takes.
        """
        return sum(time.clock_gettime(~pid << 3 | SCHEDULED) for pid in self._tree())

    def resident(self) -> int:
        """Bytes resident now, children included.

        From smaps_rollup, which counts pages: VmRSS is a sum of counters that may lag behind.
        """
        return self._sum("smaps_rollup", "Rss")

    def peak(self) -> int:
        """The most bytes resident (VmHWM) since the last `forget_peak`, children included."""
        return self._sum("status", "VmHWM")

    def forget_peak(self) -> None:
        """Let VmHWM start again from what is resident now."""
        for pid in self._tree():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def explain(self) -> str:
        """The end of its log, for a message."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])

    def _alive(self, deadline: float, what: str) -> None:
        if self._child.poll() is not None:
            raise PeerError(f"{self.name} ended with {self._child.returncode}:\n{self.explain()}")
        if time.monotonic() > deadline:
            raise PeerError(f"{self.name} {what} in time:\n{self.explain()}")

    def _tree(self) -> Iterator[int]:
        todo = [self._child.pid]
        while todo:
            pid = todo.pop()
            yield pid
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())

    def _sum(self, file: str, key: str) -> int:
        total = 0
        for pid in self._tree():
            lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
        return total * 1024


def _listening_ports() -> Iterator[int]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A":
                yield int(fields[1].rpartition(":")[2], 16)
