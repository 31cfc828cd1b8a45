"""What the service manager is told, and that nobody minds if there is none."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.end_to_end.working import working
from ulproxy.shell import notify


@pytest.mark.parametrize("abstract", [False, True])
def test_told(tmp_path, monkeypatch, abstract):
    name = f"@{tmp_path}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify.ready()
        notify.stopping()
        assert [manager.recv(100), manager.recv(100)] == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize("name", [None, "", "vsock:2:1234", "/nowhere/at/all"])
def test_nobody_listens(monkeypatch, name):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if name is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", name)
    notify.ready()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_relay_says_when_it_listens_and_when_it_stops(tmp_path, monkeypatch, workers):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with working(tmp_path, workers=workers) as running:
            assert manager.recv(100) == b"READY=1"
            running.program.signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
