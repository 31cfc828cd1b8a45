"""The rules of the house that no linter has: docstrings, sizes, a test module for each module."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.sources import files, text, tree

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 40
OURS = files("ulproxy", "fuzz", "simulate", "benchmarks")
TESTS = files("tests")
# The exceptions, all of them tests: tables and conversations that would not be clearer in two.
LONG_FILES = {
    "tests/policy/test_edit.py",
    "tests/relay/test_join_moves.py",
    "tests/shell/test_server.py",
    "tests/shell/test_session.py",
    "tests/test_demo.py",
}
LONG_FUNCTIONS = {"tests/pdu/test_against_pynetdicom.py:primitives"}
# What is not to be had on every machine: IPv6, DCMTK. Nothing else is skipped.
SKIPPING = {
    "tests/shell/test_connect.py",
    "tests/shell/test_listen.py",
    "tests/shell/test_session.py",
    "tests/test_demo.py",
}
TESTED = ("pdu", "dimse", "policy", "relay")


def functions(parsed: ast.Module):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(parsed) if isinstance(node, kinds)]


def test_there_is_something_to_look_at():
    assert len(OURS) > 50
    assert len(TESTS) > 50
    assert sum(len(functions(tree(file))) for file in OURS) > 500


def test_a_module_says_what_it_is():
    """The __init__.py of a folder of tests may be empty."""
    undocumented = {file for file in (*OURS, *TESTS) if not ast.get_docstring(tree(file))}
    empty = {file for file in undocumented if file.endswith("__init__.py") and not text(file)}
    assert {file for file in empty if file.startswith("ulproxy/")} == set()
    assert undocumented - empty == set()


def test_files_are_short():
    long = {file for file in (*OURS, *TESTS) if len(text(file).splitlines()) > LINES_OF_A_FILE}
    assert long <= LONG_FILES


def test_functions_are_short():
    long = {
        f"{file}:{function.name}"
        for file in (*OURS, *TESTS)
        for function in functions(tree(file))
        if (function.end_lineno or 0) - function.lineno >= LINES_OF_A_FUNCTION
    }
    assert long <= LONG_FUNCTIONS


def covering(name: str, tests: set[str]) -> set[str]:
    """The test modules of a module: test_reader.py, test_reader_limits.py, test_reader_and_writer.py."""
    found = set()
    for test in tests:
        words = test.removeprefix("test_").split("_and_")
        if any(word == name or word.startswith(f"{name}_") for word in words):
            found.add(test)
    return found


@pytest.mark.parametrize("package", TESTED)
def test_a_test_module_for_every_module(package):
    tests = {Path(file).stem for file in files(f"tests/{package}") if "/test_" in file}
    modules = {Path(file).stem for file in files(f"ulproxy/{package}")} - {"__init__"}
    assert modules
    missing = {name for name in modules if not covering(name, tests)}
    assert missing == set()


def test_the_exceptions_are_not_of_the_past():
    named = {*LONG_FILES, *SKIPPING, *(name.partition(":")[0] for name in LONG_FUNCTIONS)}
    assert {file for file in named if file.startswith("ulproxy/")} == set()


def test_which_test_modules_are_whose():
    tests = {"test_reader", "test_reader_limits", "test_fsm_and_types", "test_items"}
    assert covering("reader", tests) == {"test_reader", "test_reader_limits"}
    assert covering("types", tests) == covering("fsm", tests) == {"test_fsm_and_types"}
    assert covering("item", tests) == covering("limits", tests) == covering("read", tests) == set()


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """Where it stands, but for this file."""
    return [
        f"{file}:{number}: {line.strip()}"
        for file in (*OURS, *TESTS)
        if file != "tests/test_style.py"
        for number, line in enumerate(text(file).splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_for_later():
    assert lines_with(re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")) == []


def test_nothing_is_expected_to_fail():
    assert lines_with(re.compile(r"mark\.(?:skip\b|xfail\b)|pytest\.xfail\(")) == []


def test_what_is_skipped_is_not_to_be_had_everywhere():
    skipping = re.compile(r"pytest\.(?:skip|importorskip)\(|mark\.skipif\(")
    assert {line.partition(":")[0] for line in lines_with(skipping)} <= SKIPPING


@pytest.mark.parametrize(
    "pattern",
    [r"#\s*noqa(?!: [A-Z]+\d)", r"#\s*type: ignore(?!\[)", r"pragma: no (?:cover|branch)"],
)
def test_every_suppression_names_its_rule(pattern):
    """A bare one hides whatever comes later, too; and what no test reaches is not hidden from the report."""
    assert lines_with(re.compile(pattern)) == []
