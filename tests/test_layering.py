"""Imports point downward only, and what waits, listens or runs is in the shell alone."""

from __future__ import annotations

import ast
import graphlib

import pytest

from tests.sources import files, imported, module, tree

# From the bottom to the top; each may import itself and what stands before it.
LAYERS = (
    "ulproxy.errors",
    "ulproxy.pdu",
    "ulproxy.dimse",
    "ulproxy.policy",
    "ulproxy.relay",
    "ulproxy.watch",
    "ulproxy.shell",
    "ulproxy.demo",
    "ulproxy.conform",
    "ulproxy.commands",
    "ulproxy.cli",
    "ulproxy.__main__",
)
# `ulproxy` itself has a few constants that all may use, and imports nothing of its own.
OUTSIDE = {
    "_socket",
    "_thread",
    "asyncio",
    "concurrent",
    "http",
    "importlib",
    "logging",
    "multiprocessing",
    "os",
    "queue",
    "random",
    "sched",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "socketserver",
    "ssl",
    "structlog",
    "subprocess",
    "sys",
    "threading",
    "time",
    "urllib",
    "uvloop",
}
PURE = ("ulproxy.errors", "ulproxy.pdu", "ulproxy.dimse", "ulproxy.policy", "ulproxy.relay")
# The log writes to standard error, through structlog.
WATCH = {"structlog", "sys"}
# It finds two files of pydicom.
DICTIONARY = {"importlib"}

FILES = files("ulproxy")


def layer(name: str) -> str | None:
    """The layer that a module is in; None for what is not ours, or `ulproxy` itself."""
    return next((one for one in LAYERS if name == one or name.startswith(f"{one}.")), None)


def imports(file: str) -> set[str]:
    return imported(tree(file), module(file), is_package=file.endswith("__init__.py"))


def upward(name: str, names: set[str]) -> set[str]:
    """What of the names the module may not import."""
    own = layer(name)
    below = LAYERS[: LAYERS.index(own) + 1] if own else ()
    return {one for one in names if (there := layer(one)) and there not in below}


def outside(name: str, names: set[str]) -> set[str]:
    """Which of the names belong in the shell."""
    own = layer(name)
    allowed = WATCH if own == "ulproxy.watch" else set()
    if name == "ulproxy.dimse.dictionary":
        allowed = DICTIONARY
    tops = {one.partition(".")[0] for one in names} & OUTSIDE
    return tops - allowed if own in PURE or own in (None, "ulproxy.watch") else set()


def test_every_module_is_in_a_layer():
    assert len(FILES) > 40
    assert {module(file) for file in FILES if layer(module(file)) is None} == {"ulproxy"}
    assert {layer(module(file)) for file in FILES} >= {None, *PURE, "ulproxy.shell"}


def test_imports_point_downward():
    found = {file: upward(module(file), imports(file)) for file in FILES}
    assert {file: names for file, names in found.items() if names} == {}


def test_nothing_waits_but_the_shell():
    found = {file: outside(module(file), imports(file)) for file in FILES}
    assert {file: names for file, names in found.items() if names} == {}


def test_nothing_is_imported_out_of_sight():
    """What is imported by a text could point anywhere."""
    hidden = {"__import__", "import_module", "exec", "eval"}
    found = {
        file: hidden & {getattr(call.func, "id", getattr(call.func, "attr", "")) for call in calls}
        for file in FILES
        if (calls := [node for node in ast.walk(tree(file)) if isinstance(node, ast.Call)])
    }
    assert {file: names for file, names in found.items() if names} == {}


def test_no_module_imports_itself_by_way_of_others():
    """Within a layer too: a cycle has no bottom to begin reading at."""
    known = {module(file) for file in FILES}
    graph = {module(file): imports(file) & known - {module(file)} for file in FILES}
    for name, names in graph.items():
        # `from ulproxy.pdu import writer` is about the writer
        packages = {one for one in names if any(other.startswith(f"{one}.") for other in names)}
        graph[name] = names - packages - {name.rpartition(".")[0]}
    assert list(graphlib.TopologicalSorter(graph).static_order())


# That the above would see it

CASES = [
    ("ulproxy.pdu.reader", "import ulproxy.relay.join", {"ulproxy.relay.join"}, set()),
    ("ulproxy.pdu.reader", "from ulproxy.errors import UlproxyError", set(), set()),
    ("ulproxy.pdu.reader", "from ulproxy.pdu import types", set(), set()),
    ("ulproxy.pdu.reader", "from ulproxy import IMPLEMENTATION_CLASS_UID", set(), set()),
    ("ulproxy.pdu.reader", "from ulproxy import cli", {"ulproxy.cli"}, set()),
    ("ulproxy.pdu.reader", "from .. import cli", {"ulproxy.cli"}, set()),
    (
        "ulproxy.pdu.reader",
        "from ..shell import echo",
        {"ulproxy.shell", "ulproxy.shell.echo"},
        set(),
    ),
    ("ulproxy.pdu.reader", "from . import types", set(), set()),
    (
        "ulproxy.errors",
        "from ulproxy.pdu import types",
        {"ulproxy.pdu", "ulproxy.pdu.types"},
        set(),
    ),
    ("ulproxy", "from ulproxy import errors", {"ulproxy.errors"}, set()),
    ("ulproxy.relay.join", "import ulproxy.watch.log", {"ulproxy.watch.log"}, set()),
    ("ulproxy.relay.join", "def f():\n    import time", set(), {"time"}),
    ("ulproxy.relay.join", "if TYPE_CHECKING:\n    from asyncio import Task", set(), {"asyncio"}),
    ("ulproxy.policy.config", "import concurrent.futures as later", set(), {"concurrent"}),
    ("ulproxy.policy.config", "import structlog", set(), {"structlog"}),
    ("ulproxy.watch.log", "import structlog, sys", set(), set()),
    ("ulproxy.watch.log", "import socket", set(), {"socket"}),
    ("ulproxy.shell.echo", "import socket, asyncio, time", set(), set()),
    ("ulproxy.shell.echo", "import ulproxy.demo", {"ulproxy.demo"}, set()),
    (
        "ulproxy.demo.show",
        "from ulproxy.cli import main",
        {"ulproxy.cli", "ulproxy.cli.main"},
        set(),
    ),
    ("ulproxy.cli", "import ulproxy.demo, subprocess", set(), set()),
]


@pytest.mark.parametrize(("name", "source", "up", "out"), CASES)
def test_what_points_upward_is_seen(name, source, up, out):
    names = imported(ast.parse(source), name)
    assert (upward(name, names), outside(name, names)) == (up, out)
