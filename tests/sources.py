"""The project's own files as trees, for the tests that read them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
_NOT_OURS = {".venv", "build", "dist"}


@cache
def files(*folders: str) -> tuple[str, ...]:
    """Every module in the folders, by its path from the root of the project."""
    found = [path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return tuple(sorted(str(path) for path in found if _NOT_OURS.isdisjoint(path.parts)))


@cache
def text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@cache
def tree(file: str) -> ast.Module:
    return ast.parse(text(file), file)


def module(file: str) -> str:
    """ "ulproxy.pdu.reader" for ulproxy/pdu/reader.py, "ulproxy.pdu" for its __init__.py."""
    parts = Path(file).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(parsed: ast.AST, by: str, *, is_package: bool = False) -> set[str]:
    """All that is imported anywhere within a tree; from X import Y is both X and X.Y."""
    found: set[str] = set()
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parts = by.split(".")
                kept = parts[: len(parts) - node.level + is_package]
                origin = ".".join([*kept, *filter(None, [node.module])])
            found |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    return found
