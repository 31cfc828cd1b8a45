"""DCMTK's five clients, each as a function of the way to the peer; what they return can be compared.

The caller is always the AE `SCU`, whose storage port for moves is `Client.port`.
"""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom

from tests.end_to_end.files import digests
from tests.end_to_end.peers import Way, run_tool

Matches = list[dict[str, object]]


@dataclass(frozen=True)
class Outcome:
    """How a retrieve ended: the exit code and the digests of what was received."""

    code: int
    received: list[str]


@dataclass(frozen=True)
class Client:
    """The workstation SCU."""

    port: int
    directory: Path
    nodelay: bool = True

    def run(
        self,
        tool: str,
        way: Way,
        *options: str | Path,
        files: Sequence[Path] = (),
        called: str | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        titles = ("-aet", "SCU", "-aec", called or way.called)
        peer = ("127.0.0.1", str(way.port))
        where = cwd or self.directory
        return run_tool(tool, *titles, *options, *peer, *files, cwd=where, nodelay=self.nodelay)

    def echo(self, way: Way) -> int:
        return self.run("echoscu", way).returncode

    def store(self, way: Way, files: Sequence[Path], *options: str, called: str = "") -> int:
        return self.run("storescu", way, *options, files=files, called=called).returncode

    def find(self, way: Way, *keys: str, model: str = "-S") -> Matches:
        """The matches, sorted; Retrieve AE Title must be what this client calls the peer."""
        directory = self._fresh("find")
        done = self.run("findscu", way, model, "-X", "-od", directory, *_keys(keys))
        assert done.returncode == 0, done.stderr
        matches: Matches = []
        for path in directory.glob("rsp*.dcm"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                match = pydicom.dcmread(path, force=True)
                if match.get("RetrieveAETitle"):
                    assert match.RetrieveAETitle == way.called
                    match.RetrieveAETitle = "THE PEER"
                matches.append(match.to_json_dict())
        return sorted(matches, key=str)

    def move(self, way: Way, *keys: str, to: str = "SCU") -> Outcome:
        directory = self._fresh("move")
        receiver = ("-aem", to, "+P", str(self.port), "+B")  # with +B movescu forgets -od
        done = self.run("movescu", way, "-S", *receiver, *_keys(keys), cwd=directory)
        return Outcome(done.returncode, digests(directory))

    def get(self, way: Way, *keys: str) -> Outcome:
        directory = self._fresh("get")
        done = self.run("getscu", way, "-S", "+B", "-od", directory, *_keys(keys))
        return Outcome(done.returncode, digests(directory))

    def _fresh(self, name: str) -> Path:
        made = self.directory / f"{name}-{sum(1 for _ in self.directory.iterdir())}"
        made.mkdir()
        return made


def _keys(keys: tuple[str, ...]) -> list[str]:
    return [part for key in keys for part in ("-k", key)]
