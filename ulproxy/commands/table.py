"""Tables for people on a terminal, lines with tabs for programs."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import click
from pydantic import BaseModel

from ulproxy.dimse.services import Service
from ulproxy.policy.values import EVERYTHING


class Listing(NamedTuple):
    """Rows of cells below the names of their columns; the first of those is what the table is of."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def print_listings(*listings: Listing) -> None:
    """Print tables; on no terminal a blank line stands between them."""
    if sys.stdout.isatty():
        _print_tables(listings)
        return
    blocks = [
        "\n".join("\t".join(row) for row in (listing.columns, *listing.rows))
        for listing in listings
    ]
    click.echo("\n\n".join(blocks))


def _print_tables(listings: Iterable[Listing]) -> None:
    # Imported here because most commands print no tables.
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    for listing in listings:
        table = Table(box=box.SIMPLE_HEAD)
        for column in listing.columns:
            table.add_column(Text(column), overflow="fold")
        for row in listing.rows or [("-",)]:
            table.add_row(*map(Text, row))  # Text, because "[x]" in a str would be markup
        console.print(table)


def cell(value: object) -> str:
    """A value as a person would write it; "-" where there is nothing."""
    match value:
        case None | () | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(map(str, value))
        case frozenset():
            return cell(tuple(sorted(map(str, value))))
        case BaseModel():  # a table within the table
            return cell(tuple(f"{key} {one}" for key, one in value if one is not None))
        case _:
            return str(value)


def services_cell(services: Collection[Service]) -> str:
    """Services in the order of their enumeration, or "*"."""
    if len(services) == len(Service):
        return EVERYTHING
    return ", ".join(service for service in Service if service in services)
