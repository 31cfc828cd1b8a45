"""Wireshark's dissector, a third reading of the standard, finds nothing malformed in what the relays say.

The session's packets are written from what the taps recorded; the demonstration's are captured, where the
system lets an unprivileged process have a network of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.end_to_end import live
from tests.end_to_end.peers import ROOT, run_tool
from tests.end_to_end.tap import UP, Connection, Tap, write_pcap
from tests.end_to_end.wire import (
    ABORT,
    CT,
    DATA,
    Context,
    abort,
    associate_rq,
    parse_command,
    pdvs,
    split_pdus,
)

pytestmark = pytest.mark.xdist_group("two relays")
ISOLATED = ["unshare", "--user", "--map-root-user", "--net"]


def tshark(capture: Path, ports: list[int], *arguments: str) -> list[str]:
    """Decode the given ports as DICOM; the lines that tshark prints."""
    decode = [part for port in ports for part in ("-d", f"tcp.port=={port},dicom")]
    done = run_tool("tshark", "-n", "-r", capture, *decode, *arguments, cwd=capture.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def kinds(capture: Path, ports: list[int]) -> Counter[int]:
    """How many PDUs of each type were decoded."""
    lines = tshark(capture, ports, "-Y", "dicom", "-T", "fields", "-e", "dicom.pdu.type")
    return Counter(int(kind, 0) for line in lines for kind in line.split(",") if kind)


def complaints(capture: Path, ports: list[int], *fields: str) -> list[str]:
    """Packets that the dissector cannot read, or finds an error in."""
    wrong = "_ws.malformed || _ws.short || (dicom && _ws.expert.severity == error)"
    return tshark(capture, ports, "-Y", wrong, *fields)


def misread(payload: str) -> bool:
    """Whether a packet complained about is a whole, well-formed response command after all.

    Wireshark 4.0 takes the command that follows an encapsulated data set on the same presentation context for
    more of that data set, whoever sends it: the parser of these tests decides then.
    """
    pdus, rest = split_pdus(bytes.fromhex(payload))
    found = [pdv for each in pdus if each.kind == DATA for pdv in pdvs(each.body)]
    whole = rest == b"" and len(pdus) == 1 and [header for _, header, _ in found] == [3]
    return whole and 0x0900 in parse_command(found[0][2])


def test_recorded_session(session, tmp_path):
    """Every leg of the session through two relays."""
    capture, taps = tmp_path / "session.pcap", session.hospitals.legs.all()
    connections = write_pcap(capture, taps)
    ports = [tap.port for tap in taps]
    found = kinds(capture, ports)
    assert complaints(capture, ports) == []
    assert (found[1], found[2], found[5], found[6]) == (connections,) * 4
    assert found[4] > 100
    assert set(found) == {1, 2, 4, 5, 6}


def recorded(tmp_path: Path, said: bytes) -> tuple[Path, list[int]]:
    """A capture of one connection in which the client says this."""
    capture = tmp_path / "said.pcap"
    with Tap() as tap:
        tap.connections.append(Connection(4711, [(1_000_000.0, UP, said)]))
        write_pcap(capture, [tap])
        return capture, [tap.port]


def test_the_dissector_would_complain(tmp_path):
    rq = associate_rq([Context(1, CT)])
    at = rq.index(CT.encode()) - 2
    assert complaints(*recorded(tmp_path, rq + abort(0, 0))) == []
    assert kinds(*recorded(tmp_path, rq + abort(0, 0))) == {1: 1, ABORT: 1}
    broken = rq[:at] + b"\xff\xf0" + rq[at + 2 :]
    assert complaints(*recorded(tmp_path, broken)) != []


def isolation_works(directory: Path) -> bool:
    """Whether this system lets us have a network and capture it."""
    probe = [*ISOLATED, sys.executable, live.__file__, str(directory / "probe.pcapng"), "true"]
    return subprocess.run(probe, check=False, capture_output=True, timeout=60).returncode == 0


def test_demonstration(tmp_path):
    """`ulproxy demo --once`, captured on the loopback of a network that nobody else uses."""
    command = [sys.executable, "-m", "ulproxy", "demo", "--once"]
    capture = tmp_path / "demo.pcapng"
    isolated = isolation_works(tmp_path)
    if isolated:
        command = [*ISOLATED, sys.executable, live.__file__, str(capture), *command]
    done = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if not isolated:
        return  # the demonstration itself succeeded; the recorded session stands for its packets
    asked = ("-Y", "tcp.flags.syn == 1 && tcp.flags.ack == 0", "-T", "fields", "-e", "tcp.dstport")
    ports = sorted({int(port) for port in tshark(capture, [], *asked)})
    assert len(ports) == 6, "two devices and two relays with two listeners each were called"
    found = kinds(capture, ports)
    wrong = complaints(capture, ports, "-T", "fields", "-e", "tcp.payload")
    assert [payload for payload in wrong if not misread(payload)] == []
    assert found[1] == found[2] > 5
    assert found[4] > 100
    assert set(found) == {1, 2, 4, 5, 6}
