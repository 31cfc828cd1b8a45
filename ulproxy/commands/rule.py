"""`ulproxy rule`: the rules of the configuration file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ulproxy.commands.change import CONFIG, change, loaded
from ulproxy.commands.table import Listing, cell, print_listings, services_cell
from ulproxy.dimse.services import Service
from ulproxy.policy.edit import Entry, add_rule, remove_rule
from ulproxy.policy.values import EVERYTHING


@click.group()
def rule() -> None:
    """Show and edit the rules of a configuration file."""


@rule.command("list")
@CONFIG
def list_command(config: Path) -> None:
    """List the rules of CONFIG; on no terminal as lines with tabs."""
    columns = ("rule", "line", "from", "to", "services", "destinations")
    rows = [
        (
            str(one.number),
            str(one.line),
            cell(one.from_),
            cell(one.to),
            services_cell(one.services),
            cell(one.destinations or "the caller"),
        )
        for one in loaded(config).rules
    ]
    print_listings(Listing(columns, rows))


@rule.command("add")
@CONFIG
@click.option(
    "--from",
    "from_",
    multiple=True,
    required=True,
    metavar="NAME",
    help='Who may ask: the name of an AE, "network:NAME" or "*"; repeatable.',
)
@click.option("--to", multiple=True, required=True, metavar="NAME", help="Whom; repeatable.")
@click.option(
    "--service",
    "services",
    multiple=True,
    required=True,
    type=click.Choice([*(service.value for service in Service), EVERYTHING]),
    help="For what; repeatable.",
)
@click.option(
    "--destination",
    "destinations",
    multiple=True,
    metavar="NAME",
    help="An AE that a move may send to; repeatable.  [default: the caller itself]",
)
def add_command(
    config: Path,
    from_: tuple[str, ...],
    to: tuple[str, ...],
    services: tuple[str, ...],
    destinations: tuple[str, ...],
) -> None:
    """Add a rule to CONFIG, behind the others."""
    entry: Entry = {"from": [*from_], "to": [*to], "services": [*services]}
    if destinations:
        entry = {**entry, "destinations": [*destinations]}
    change(config, partial(add_rule, entry=entry))


@rule.command("remove")
@CONFIG
@click.argument("number", type=int)
def remove_command(config: Path, number: int) -> None:
    """Remove rule NUMBER from CONFIG, as `ulproxy rule list` numbers them."""
    change(config, partial(remove_rule, number=number))
