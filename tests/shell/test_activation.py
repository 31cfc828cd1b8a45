"""Sockets that a service manager hands over, to one process and to one with workers."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.peers import free_port, program, toml, wait_until
from tests.end_to_end.wire import RJ, Peer
from tests.shell.relay import REQUEST, config
from ulproxy.policy.endpoints import Endpoint
from ulproxy.shell import activation
from ulproxy.shell.listen import open_socket

# systemd puts the process's own number into the environment and then becomes the program.
BECOME = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
)


@pytest.fixture(autouse=True)
def none_is_left() -> Iterator[None]:
    yield
    activation.forget()


def handed_over(sock: socket.socket, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """As if this one were the first."""
    monkeypatch.setattr(activation, "FIRST", os.dup(sock.fileno()))
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "inside"}


def test_a_listener_takes_the_socket_of_its_address(log, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        bind = Endpoint(*sock.getsockname())
        environ = handed_over(sock, monkeypatch)
        activation.take_over(environ, [Endpoint("localhost", bind.port)])
    assert environ == {}
    for _ in range(2):  # a reload may close it and open it again
        with open_socket(Endpoint("localhost", bind.port)) as listening:
            assert listening.getsockname() == (bind.host, bind.port)
            assert not listening.get_inheritable()
            with socket.create_connection((bind.host, bind.port)), listening.accept()[0]:
                pass
    assert log.lines("socket was handed over")[0]["name"] == "inside"
    activation.forget()
    assert activation.handed(bind) is None


def test_a_socket_that_no_listener_is_for(log, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        activation.take_over(handed_over(sock, monkeypatch), [Endpoint("127.0.0.1", 1)])
    (line,) = log.lines("socket handed over is of no use")
    assert line["why"] == "the configuration has no listener there"


def test_what_is_no_listening_socket(log, monkeypatch):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            activation.take_over(handed_over(sock, monkeypatch), [])
    assert len(log.lines("socket handed over is of no use")) == 2
    with Path(os.devnull).open() as file:
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
        monkeypatch.setattr(activation, "FIRST", os.dup(file.fileno()))
        activation.take_over(environ, [])
        os.close(activation.FIRST)
    assert log.lines("no socket was handed over")[0]["name"] == ""


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"},
    ],
)
def test_what_is_meant_for_another_process(log, environ):
    activation.take_over(dict(environ), [])
    assert log.lines() == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_relay_that_systemd_has_opened_the_door_for(tmp_path, monkeypatch, workers):
    """Who calls while it starts is answered; after its end the door is still systemd's."""
    path = tmp_path / "relay.toml"
    table = config(1)
    with socket.socket() as sock, contextlib.ExitStack() as stack:
        sock.bind(("127.0.0.1", free_port()))
        sock.listen()
        port = sock.getsockname()[1]
        table["listener"][1]["bind"] = f"127.0.0.1:{port}"
        path.write_text(toml(table))
        client = stack.enter_context(Peer.connect(port))
        client.send(REQUEST)
        sock.set_inheritable(True)
        monkeypatch.setenv("LISTEN_FDS", "1")
        run = ["-m", "ulproxy", "run", str(path), "--workers", workers]
        become = [sys.executable, "-c", BECOME, str(sock.fileno()), *run]
        running = stack.enter_context(program(become, tmp_path, pass_fds=[sock.fileno()]))
        client.expect(RJ)  # there is no such PACS
        wait_until(lambda: f":{port}" in running.output.read_text(), "it is ready")
        running.stop()
        assert running.exit_code() == 0, running.log()
        assert "socket was handed over" in running.log()
        assert "is of no use" not in running.log()
        with socket.create_connection(("127.0.0.1", port)):
            pass
