"""`ulproxy ae` and `ulproxy rule` as editors: what they write, print and refuse."""

from __future__ import annotations

import os

import pytest

from tests.cli_peers import RULE, called, config

ADD = ("--network", "inside", "--address", "10.0.0.2:104")
TO = ("--from", "WS1", "--to", "pacs_b")
ADDED = '[[ae]]\ntitle = "WS2"\nnetwork = "inside"\naddress = "10.0.0.2:104"\n'
LAB = """
[[ae]]
title = "LAB"
network = "lab"
address = "10.0.9.1:104"
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "relay.toml"
    path.write_text(config())
    return path


def add(file, *more):
    return called("ae", "add", file, "WS2", *ADD, *more)


def test_ae_add_and_remove(file):
    before = file.read_text()
    result = add(file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert file.read_text() == before.replace("\n[[rule]]", f"\n{ADDED}\n[[rule]]")
    said = result.stdout.splitlines()
    assert said[0] == f'{file}: added AE "WS2", line {RULE}'
    assert [line[1:] for line in said[3:] if line[0] == "+"] == [*ADDED.splitlines(), ""]
    result = called("ae", "remove", file, "WS2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == f'{file}: removed AE "WS2", line {RULE}'
    assert file.read_text() == before


def test_every_option_of_ae_add(file):
    options = ["--title", "T", "--network", "inside", "--address", "h.example:104"]
    options += ["--source", "10.0.0.0/24", "--source", "fd00::1", "--alias", "A"]
    options += ["--omit", "user-identity", "--omit", "async-operations", "--associations", "3"]
    options += ["--tls-ca", "ca.pem", "--tls-certificate", "a.pem", "--tls-key", "a.key"]
    options += ["--certificate", "n.example"]
    assert called("ae", "add", file, "N", *options).exit_code == 0
    assert (
        '\n[[ae]]\ntitle = "T"\nnetwork = "inside"\naddress = "h.example:104"\n'
        'sources = ["10.0.0.0/24", "fd00::1"]\nalias = "A"\nname = "N"\n'
        'omit = ["user-identity", "async-operations"]\nassociations = 3\n'
        'tls = {ca = "ca.pem", certificate = "a.pem", key = "a.key"}\n'
        'certificate = "n.example"\n\n'
    ) in file.read_text()


def test_tls_with_the_cas_of_the_system(file):
    assert add(file, "--tls").exit_code == 0
    assert "\ntls = {}\n" in file.read_text()
    assert called("ae", "show", file, "WS2").stdout.count("tls\tprofile bcp195\n") == 1


def test_a_member_of_a_group(file):
    file.write_text(config(more='\n[[group]]\ntitle = "ALL"\nmembers = ["pacs_b"]\n'))
    refused = called("ae", "remove", file, "pacs_b")
    assert refused.exit_code == 1
    assert '"pacs_b" is named by group "ALL" (line ' in refused.stderr
    shown = called("ae", "show", file, "pacs_b").stdout
    assert "\ngroups\tALL\n" in shown
    done = called("ae", "remove", file, "pacs_b", "--force")
    assert done.exit_code == 0
    assert "which has no member without it" in done.stdout
    assert "[[group]]" not in file.read_text()


def test_an_ae_that_is_only_called(file):
    options = ["--network", "inside", "--address", "h.example:104", "--only-called"]
    assert called("ae", "add", file, "N", *options, "--title", "N").exit_code == 0
    assert 'title = "N"\nnetwork = "inside"\naddress = "h.example:104"\nsources = []\n\n' in (
        file.read_text()
    )


def test_rule_add_and_remove(file):
    before = file.read_text()
    options = ["--from", "WS1", "--from", "network:outside", "--to", "pacs_b", "--service", "move"]
    options += ["--service", "*", "--destination", "WS1"]
    result = called("rule", "add", file, *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{file}: added rule 2, line {RULE + 5}\n")
    assert file.read_text() == before + (
        '\n[[rule]]\nfrom = ["WS1", "network:outside"]\nto = ["pacs_b"]\n'
        'services = ["move", "*"]\ndestinations = ["WS1"]\n'
    )
    assert called("rule", "remove", file, 2).exit_code == 0
    assert file.read_text() == before


def test_a_rule_without_destinations(file):
    options = ["--from", "pacs_b", "--to", "WS1", "--service", "store"]
    assert called("rule", "add", file, *options).exit_code == 0
    assert "destinations" not in file.read_text()


def test_force(file):
    result = called("ae", "remove", file, "WS1", "--force")
    assert result.exit_code == 0
    assert "\n-[[rule]]\n" in result.stdout
    assert "[[rule]]" not in file.read_text()


def test_new_notes_are_told_and_old_ones_are_not(file):
    file.write_text(config(more=LAB))
    result = called("ae", "add", file, "X", "--network", "dmz", "--address", "10.3.0.1:104")
    [note] = [line for line in result.stdout.splitlines() if ": note: " in line]
    line = file.read_text().splitlines().index('network = "dmz"') + 1
    assert note.startswith(f'{file}:{line}: note: ae[X].network: no listener is on network "dmz"')


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ae", "add", "FILE", "WS1", *ADD], 'an AE has the name "WS1" already, line 15'),
        (["ae", "remove", "FILE", "WS2"], 'no AE has the name "WS2"; did you mean "WS1"?'),
        (["ae", "remove", "FILE", "WS1"], f'"WS1" is named by rule 1 (line {RULE}); '),
        (["rule", "remove", "FILE", "2"], "there is no rule 2; rules are numbered 1 to 1"),
        (
            ["rule", "add", "FILE", *TO, "--service", "move", "--service", "echo"],
            f"rule 1 (line {RULE}) says the same already",
        ),
    ],
)
def test_what_is_refused(arguments, said, file):
    before = file.read_text()
    result = called(*(file if one == "FILE" else one for one in arguments))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{file}: {said}")
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ae"], "Usage: main ae"),
        (["rule"], "Usage: main rule"),
        (["ae", "show", "FILE"], "Missing argument 'NAME'."),
        (["ae", "add", "FILE", "X"], "Missing option '--network'."),
        (["ae", "add", "FILE", "X", *ADD, "--omit", "x"], "Invalid value for '--omit'"),
        (["ae", "add", "FILE", "X", *ADD, "--source", "*", "--only-called"], "--only-called"),
        (["rule", "add", "FILE", "--from", "WS1", "--to", "pacs_b"], "'--service'"),
        (["rule", "add", "FILE", "--service", "all"], "Invalid value for '--service'"),
        (["rule", "remove", "FILE", "first"], "Invalid value for 'NUMBER'"),
        (
            ["ae", "add", "FILE", "X", "--network", "inside"],
            f"FILE:{RULE}: ae[X].address: is missing",
        ),
        (["ae", "add", "FILE", "X", *ADD, "--associations", "0"], "ae[X].associations: is less"),
        (["ae", "add", "FILE", " ", *ADD], "ae[4].title: is empty; "),
    ],
)
def test_a_mistake_in_the_call(arguments, said, file):
    before = file.read_text()
    result = called(*(file if one == "FILE" else one for one in arguments))
    assert (result.exit_code, result.stdout) == (2, "")
    assert said.replace("FILE", str(file)) in result.stderr
    if "ae[" in said:
        assert result.stderr.endswith(
            f"{file} is unchanged; these are the lines that it would have\n"
        )
    assert file.read_text() == before


@pytest.mark.parametrize(
    "command",
    ["ae list", "ae show", "ae add", "ae remove", "rule list", "rule add", "rule remove"],
)
@pytest.mark.parametrize("text", [None, "[relay\n", "[relay]\n"])
def test_a_file_that_is_no_configuration(command, text, file):
    more: dict[str, list[object]] = {
        "ae show": ["X"],
        "ae add": ["X", *ADD],
        "ae remove": ["X"],
        "rule remove": [1],
    }
    more["rule add"] = ["--from", "*", "--to", "*", "--service", "*"]
    file.unlink()
    if text is not None:
        file.write_text(text)
    result = called(*command.split(), file, *more.get(command, []))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == called("check", file).stdout


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        result = add(path)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"{path}:0: file: is no regular file; ")
