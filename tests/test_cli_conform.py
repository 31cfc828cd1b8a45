"""`ulproxy conform`: its options, what it prints, its exit codes."""

from __future__ import annotations

import json
import socket
from xml.etree import ElementTree as ET

import pytest

from tests.cli_peers import called
from tests.conform.acceptor import TITLE, Flaw, acceptor
from tests.conform.flaws import ABORT, RELEASE_RP, put, says
from ulproxy.conform.suite import CLAUSES

NOT_CLEAN = says(RELEASE_RP, put(10, 1))
WITHOUT_REASON = says(ABORT, put(10, 0))


def conform(flaw: Flaw, *arguments: object):
    with acceptor(flaw) as one:
        return called("conform", f"127.0.0.1:{one.port}", "--called", TITLE, *arguments)


def test_what_passes():
    result = conform(Flaw(), "--only", "9.3.7")
    first, second, said = result.stdout.splitlines()
    assert first.split("\t") == ["passed", "9.3.7/1", "MUST", "an A-RELEASE-RP has length 4", "-"]
    assert second.split("\t")[:2] == ["passed", "9.3.7/2"]
    assert said.startswith("2 cases: 2 passed in ")
    assert (result.exit_code, result.stderr) == (0, "")


def test_what_fails():
    result = conform(NOT_CLEAN, "--only", "9.3.7", "--only", "9.3.6/1")
    verdicts = [line.split("\t")[:2] for line in result.stdout.splitlines()]
    assert verdicts[:-1] == [["passed", "9.3.6/1"], ["passed", "9.3.7/1"], ["failed", "9.3.7/2"]]
    assert result.exit_code == 1


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--strict",), 1)])
def test_what_should_hold_fails_only_if_asked(options, code):
    result = conform(WITHOUT_REASON, "--only", "9.2.Sta6/1[34]", *options)
    assert [line.split("\t")[0] for line in result.stdout.splitlines()][:2] == ["noted", "noted"]
    assert result.exit_code == code


def test_files(tmp_path):
    made, junit = tmp_path / "out.json", tmp_path / "out.xml"
    result = conform(
        NOT_CLEAN, "--only", "9.3.7", "--json", made, "--junit", junit, "--calling", " WS1 "
    )
    assert result.exit_code == 1
    said = json.loads(made.read_text())
    assert (said["called"], said["calling"]) == (TITLE, "WS1")
    assert [one["verdict"] for one in said["cases"]] == ["passed", "failed"]
    assert "WS1 to CONFORM" in said["cases"][1]["transcript"][0]
    (suite,) = ET.parse(junit).getroot()
    assert suite.attrib["failures"] == "1"


def test_a_file_that_cannot_be_written(tmp_path):
    result = conform(Flaw(), "--only", "9.3.7", "--json", tmp_path / "none" / "out.json")
    assert result.stderr.endswith("out.json: No such file or directory\n")
    assert result.exit_code == 1


def test_several_at_once_and_artim():
    options = ("--jobs", 4, "--artim", 0.4, "--timeout", 2)
    result = conform(Flaw(artim=0.4), "--only", "9.1.2", *options)
    assert [line.split("\t")[0] for line in result.stdout.splitlines()][:-1] == ["passed"] * 5
    result = conform(Flaw(), "--only", "9.1.2/1", "--artim", 3, "--patience", 2)
    assert result.stdout.splitlines()[0].endswith("longer than --patience 2")
    assert result.exit_code == 0


def test_a_list_without_any_traffic():
    result = called("conform", "--list")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[0] for line in lines] == [case.id for one in CLAUSES for case in one.cases]
    assert {line[1] for line in lines} == {"MUST", "SHOULD"}
    assert result.exit_code == 0


@pytest.mark.parametrize("options", [("--list",), ("127.0.0.1:1", "--called", "X")])
def test_no_such_case(options):
    result = called("conform", *options, "--only", "8.8", "--only", "x")
    assert result.stderr == 'no case has the name "8.8", "x"; --list shows them\n'
    assert (result.exit_code, result.stdout) == (2, "")


MISTAKES = {
    "say whom: HOST:PORT and --called TITLE": ("127.0.0.1:104",),
    "say whom": ("--called", "X"),
    "has port 0; write the port that the AE listens on": ("127.0.0.1:0", "--called", "X"),
    "no AE title: 1 to 16 ASCII characters": ("127.0.0.1:104", "--called", "MORE_THAN_16_LETTERS"),
    "Invalid value for --calling": ("127.0.0.1:104", "--called", "X", "--calling", " "),
    "0 is not in the range x>0": ("127.0.0.1:104", "--called", "X", "--timeout", "0"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_in_the_call(text):
    result = called("conform", *MISTAKES[text])
    assert text in " ".join(result.stderr.split())
    assert result.exit_code == 2


def test_down():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # nobody listens, and nobody else may
        place = f"127.0.0.1:{sock.getsockname()[1]}"
        result = called("conform", place, "--called", "X")
    why = "no case can be tried: no connection: Connection refused"
    assert result.stderr == f"X at {place}, called by ULPROXY: {why}\n"
    assert result.exit_code == 1


def test_rejected():
    with acceptor() as one:
        result = called("conform", f"127.0.0.1:{one.port}", "--called", "OTHER")
    assert "A-ASSOCIATE-RJ (1,1,7: permanent, service-user, called AE title" in result.stderr
    assert result.exit_code == 1
