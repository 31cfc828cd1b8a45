"""The command line: what it prints, where, and its exit codes; test_cli_*.py have single commands."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys

import pytest
import structlog

import ulproxy
from tests.cli_peers import RULE, called, config, over_tls
from tests.policy.pki import write_pair
from ulproxy.cli import MAX_WORKERS, main
from ulproxy.dimse.services import Service
from ulproxy.watch.log import logger

# FILE:LINE: key: what is wrong; what is right
PROBLEM = re.compile(r"[^:\n]+:\d+: [^:\n]+: .+; .+")
SERVICES = [service.value for service in Service]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "relay.toml"
    path.write_text(config())
    return path


@pytest.fixture(autouse=True)
def _log_as_it_was():
    yield
    structlog.reset_defaults()


def run(*arguments):
    command = [sys.executable, "-m", "ulproxy", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


# In general


def test_version():
    result = called("--version")
    assert (result.exit_code, result.output) == (0, f"ulproxy, version {ulproxy.__version__}\n")


@pytest.mark.parametrize("command", [[], ["run"], ["check"], ["explain"], ["echo"], ["demo"]])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(command, option):
    result = called(*command, option)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {' '.join(command)}".rstrip())
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Usage: "),
        (["chek"], "No such command 'chek'."),
        (["check"], "Missing argument 'CONFIG'."),
        (["check", "FILE", "more"], "Got unexpected extra argument (more)"),
        (["check", "FILE", "--strict"], "--strict"),
        (["check", "FILE", "--log-format", "text"], "--log-format"),
        (["run"], "Missing argument 'CONFIG'."),
        (["run", "FILE", "--workers", "0"], "Invalid value for '--workers'"),
        (["run", "FILE", "--workers", "129"], "Invalid value for '--workers'"),
        (["run", "FILE", "--drain", "-1"], "Invalid value for '--drain'"),
        (["run", "FILE", "--drain", "soon"], "Invalid value for '--drain'"),
        (["run", "FILE", "--log-format", "xml"], "Invalid value for '--log-format'"),
        (["echo", "FILE"], "Missing argument 'NAME'."),
        (["demo", "--twice"], "--twice"),
        (["explain", "FILE"], "Missing option '--network'."),
    ],
)
def test_a_mistake_in_the_call(arguments, said, file):
    result = called(*(file if one == "FILE" else one for one in arguments))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["check", "run", "explain", "echo"])
@pytest.mark.parametrize(
    ("text", "line"), [(None, 0), ("[relay\n", 1), ("\n[relay]\ntitel = 1\n", 3)]
)
def test_a_file_that_is_no_configuration(command, text, line, tmp_path):
    """Exit code 2 whatever the command; check prints what it was asked for, the others complain."""
    path = tmp_path / "bad.toml"
    if text is not None:
        path.write_text(text)
    call = ["--network", "x", "--source", "10.0.0.1", "--calling", "A", "--called", "B"]
    more = {"explain": call, "echo": ["PACS"]}.get(command, [])
    result = called(command, path, *more)
    assert result.exit_code == 2
    said, silent = (
        (result.stdout, result.stderr) if command == "check" else (result.stderr, result.stdout)
    )
    assert silent == ""
    lines = said.splitlines()
    assert any(one.startswith(f"{path}:{line}: ") for one in lines), lines
    assert all(PROBLEM.fullmatch(one) or ": syntax: " in one for one in lines), lines


# check


def test_check(file):
    result = called("check", file)
    expected = f"{file}: valid: 2 networks, 2 listeners, 3 AEs, 1 rule\n"
    assert (result.exit_code, result.output) == (0, expected)


def test_check_counts(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(
        '[relay]\ntitle = "A"\n[[listener]]\nnetwork = "n"\nbind = "127.0.0.1:0"\n'
        '[[ae]]\ntitle = "X"\nnetwork = "n"\naddress = "127.0.0.1:1"\n'
    )
    assert called("check", path).output == f"{path}: valid: 1 network, 1 listener, 1 AE, 0 rules\n"


def test_check_says_every_problem_in_the_order_of_the_file(file):
    text = config().replace('title = "WS1"', 'title = "WS/1"').replace('"echo", "move"', '"ehco"')
    file.write_text(text)
    result = called("check", file)
    assert result.exit_code == 2
    lines = result.stdout.splitlines()
    assert all(PROBLEM.fullmatch(line) for line in lines)
    numbers = [int(line.removeprefix(f"{file}:").partition(":")[0]) for line in lines]
    assert numbers == sorted(numbers)
    assert f'{file}:{RULE + 3}: rule[1].services: "ehco" is unknown; did you mean "echo"?' in lines
    assert "valid" not in result.stdout


def test_check_has_notes_for_what_may_not_be_meant(file):
    file.write_text(
        config(more='\n[[ae]]\ntitle = "LAB"\nnetwork = "lab"\naddress = "10.9.0.1:104"\n')
    )
    result = called("check", file)
    assert result.exit_code == 0
    note, valid = result.stdout.splitlines()
    assert re.fullmatch(rf"{re.escape(str(file))}:\d+: note: ae\[LAB\]\.network: .+", note)
    assert valid == f"{file}: valid: 3 networks, 2 listeners, 4 AEs, 1 rule"


def test_check_counts_groups(file):
    file.write_text(config(more='\n[[group]]\ntitle = "ALL"\nmembers = ["pacs_b"]\n'))
    expected = f"{file}: valid: 2 networks, 2 listeners, 3 AEs, 1 rule, 1 group\n"
    assert called("check", file).output == expected


@pytest.mark.parametrize("command", ["check", "run"])
def test_files_that_are_not_there(command, file):
    """Relative to the directory of the configuration. Who only reads or edits it need not read them."""
    file.write_text(over_tls())
    result = called(command, file)
    assert result.exit_code == 2
    lines = (result.stdout + result.stderr).splitlines()
    assert all(PROBLEM.fullmatch(one) for one in lines)
    assert [one.split(": ")[1] for one in lines] == [
        f"listener[1].tls.{key}" for key in ("ca", "certificate", "key")
    ]
    assert f'"{file.parent}/a.pem" cannot be read' in lines[0]
    assert called("ae", "list", file).exit_code == 0


def test_files_that_are_there(file):
    write_pair(file.parent)
    file.write_text(over_tls())
    result = called("check", file)
    assert (result.exit_code, result.stderr) == (0, "")


# echo, as far as nobody is called


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("PACS", 'no AE has the name "PACS"; did you mean "pacs_b"?'),  # its title
        ("HB_PACS", 'no AE has the name "HB_PACS"; did you mean "pacs_b"?'),  # its alias
        ("ws1", 'no AE has the name "ws1"; did you mean "WS1"?'),
        ("XYZ", 'no AE has the name "XYZ"; known are "SENDER", "WS1", "pacs_b"'),
        ("", 'no AE has the name ""; known are "SENDER", "WS1", "pacs_b"'),
        ("SENDER", "SENDER has no address: it only calls"),
    ],
)
def test_echo_to_nobody(name, said, file):
    result = called("echo", file, name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.rstrip("\n").endswith(said)


# demo


@pytest.mark.parametrize(("arguments", "once"), [([], False), (["--once"], True)])
@pytest.mark.parametrize("code", [0, 1])
def test_demo(arguments, once, code, monkeypatch):
    asked = []

    def demo(once):
        asked.append(once)
        return code

    monkeypatch.setattr("ulproxy.demo.main", demo)
    assert called("demo", *arguments).exit_code == code
    assert asked == [once]


# run


def test_run_serves(file, monkeypatch, capsys):
    """Its options go to the server, its lines to standard output, its log where it was said."""

    def serve(path, loaded, drain, announce, workers):
        assert (path, loaded.relay.title, drain, workers) == (file, "HOSP_A", 1.5, 3)
        announce("ready inside 127.0.0.1:11112")
        logger().info("hello")
        return 0

    monkeypatch.setattr("ulproxy.shell.process.serve", serve)
    result = called("run", file, "--workers", "3", "--drain", "1.5", "--log-format", "json")
    assert (result.exit_code, result.stdout) == (0, "ready inside 127.0.0.1:11112\n")
    assert json.loads(result.stderr)["event"] == "hello"


@pytest.mark.parametrize(
    ("options", "there", "workers"),
    [
        ((), 1, 1),
        ((), 12, 12),
        ((), MAX_WORKERS, MAX_WORKERS),
        ((), MAX_WORKERS + 1, MAX_WORKERS),
        (("--workers", "8"), 2, 8),
    ],
)
def test_how_many_processes_serve(file, monkeypatch, options, there, workers):
    """As many as there are cores for it, unless it is told."""
    monkeypatch.setattr("ulproxy.cli.cores", lambda: there)
    asked: list[int] = []

    def serve(_path, _loaded, _drain, _announce, workers):
        asked.append(workers)
        return 0

    monkeypatch.setattr("ulproxy.shell.process.serve", serve)
    assert called("run", file, *options).exit_code == 0
    assert asked == [workers]


def test_run_at_a_busy_port(file):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        file.write_text(config(outside=port))
        result = called("run", file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"


# As a process


def test_as_a_module():
    result = run("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"ulproxy, version {ulproxy.__version__}\n"


def test_the_module_is_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["python -m ulproxy", "check", "/nowhere/relay.toml"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("ulproxy", run_name="__main__")
    assert ended.value.code == 2
    assert capsys.readouterr().out.startswith("/nowhere/relay.toml:0: file: ")


def test_exit_codes_and_streams_of_the_process(file):
    good = run("check", file)
    assert (good.returncode, good.stderr) == (0, "")
    assert run("check", file.parent).returncode == 2
    unknown = run("run", file, "--daemon")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr.startswith("Usage: ulproxy run [OPTIONS] CONFIG\n")
    file.write_text("")
    bad = run("run", file)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert all(PROBLEM.fullmatch(line) for line in bad.stderr.splitlines())


def test_run_until_told_to_stop(file):
    """One line a listener on standard output, the log on standard error, and it can be called."""
    command = [sys.executable, "-m", "ulproxy", "run", str(file), "--drain", "0"]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            ready = [process.stdout.readline() for _ in range(2)]
            found = [re.fullmatch(r"ready (\w+) 127\.0\.0\.1:(\d+)\n", line) for line in ready]
            assert [match and match[1] for match in found] == ["inside", "outside"]
            ports = [int(match[2]) for match in found if match]
            for port in ports:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "")
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert "stopping" in events


def test_main_is_what_the_script_runs():
    """pyproject.toml: ulproxy = "ulproxy.cli:main"."""
    assert {"check", "demo", "echo", "explain", "run"} <= set(main.commands)
