"""Wireshark's dissector, a third reading of the standard, finds nothing malformed in what the relays say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.end_to_end.peers import run_tool
from tests.end_to_end.tap import Tap, write_pcap

pytestmark = pytest.mark.xdist_group("two relays")


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


def complaints(capture: Path, ports: list[int]) -> list[str]:
    """Packets that the dissector cannot read, or finds an error in."""
    wrong = "_ws.malformed || (dicom && _ws.expert.severity >= 0x00600000) || _ws.short"
    return tshark(capture, ports, "-Y", wrong)


def check(capture: Path, taps: list[Tap], connections: int) -> None:
    ports = [tap.port for tap in taps]
    found = kinds(capture, ports)
    assert complaints(capture, ports) == []
    assert (found[1], found[2], found[5], found[6]) == (connections,) * 4
    assert found[4] > 100
    assert set(found) == {1, 2, 4, 5, 6}


def test_recorded_session(session, tmp_path):
    """Every leg of the session through two relays."""
    capture = tmp_path / "session.pcap"
    taps = session.hospitals.legs.all()
    check(capture, taps, write_pcap(capture, taps))
