"""`ulproxy ae`: the application entities of the configuration file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ulproxy.commands.change import CONFIG, change, loaded, refuse
from ulproxy.commands.relations import described
from ulproxy.commands.table import Listing, cell, print_listings
from ulproxy.policy.edit import Entry, add_ae, remove_ae
from ulproxy.policy.rules import Policy
from ulproxy.policy.values import Omittable, shown, suggestion


@click.group()
def ae() -> None:
    """Show and edit the application entities of a configuration file."""


@ae.command("list")
@CONFIG
def list_command(config: Path) -> None:
    """List the AEs of CONFIG; on no terminal as lines with tabs, "-" where there is nothing."""
    columns = ("name", "title", "network", "address", "sources", "alias")
    rows = [tuple(cell(getattr(one, key)) for key in columns) for one in loaded(config).aes]
    print_listings(Listing(columns, rows))


@ae.command("show")
@CONFIG
@click.argument("name")
def show_command(config: Path, name: str) -> None:
    """Show the AE called NAME in CONFIG: what is known of it, whom it may call, who may call it."""
    policy = Policy(loaded(config))
    found = policy.ae(name)
    if found is None:
        right = suggestion(name, [one.name for one in policy.config.aes])
        refuse(config, f"no AE has the name {shown(name)}; {right}")
    print_listings(*described(policy, found))


@ae.command("add")
@CONFIG
@click.argument("name")
@click.option("--title", help="Its AE title on its own network.  [default: NAME]")
@click.option("--network", required=True, help="The network that it is on.")
@click.option("--address", metavar="HOST:PORT", help="Where to call it; none = it only calls.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="IP",
    help='An address or network that it calls from, or "*"; repeatable.  [default: its address]',
)
@click.option("--only-called", is_flag=True, help="It never calls, so it has no sources.")
@click.option("--alias", metavar="TITLE", help="What other networks call it.")
@click.option(
    "--omit",
    multiple=True,
    type=click.Choice([item.value for item in Omittable]),
    help="A negotiation item never sent to it; repeatable.",
)
@click.option("--associations", type=int, help="At once with it, in each direction.")
@click.option("--tls", is_flag=True, help="Call it over TLS, trusting the CAs of the system.")
@click.option("--tls-ca", metavar="FILE", help="Call it over TLS, trusting these CAs.")
@click.option("--tls-certificate", metavar="FILE", help="What it is shown there; with --tls-key.")
@click.option("--tls-key", metavar="FILE", help="The key of that certificate.")
@click.option(
    "--certificate",
    metavar="NAME",
    help="What its own certificate goes by: sha256:... or a subject alternative name.",
)
def add_command(  # noqa: PLR0913, PLR0917 (options of a command line)
    config: Path,
    name: str,
    title: str | None,
    network: str,
    address: str | None,
    sources: tuple[str, ...],
    only_called: bool,
    alias: str | None,
    omit: tuple[str, ...],
    associations: int | None,
    tls: bool,
    tls_ca: str | None,
    tls_certificate: str | None,
    tls_key: str | None,
    certificate: str | None,
) -> None:
    """Add an AE called NAME to CONFIG, behind the others."""
    if sources and only_called:
        raise click.UsageError("--only-called is for an AE without --source")
    values = {
        "title": title or name,
        "network": network,
        "address": address,
        "sources": [*sources] if sources or only_called else None,
        "alias": alias,
        "name": None if title in (None, name) else name,
        "omit": [*omit] or None,
        "associations": associations,
        "tls": _tls(tls, ca=tls_ca, certificate=tls_certificate, key=tls_key),
        "certificate": certificate,
    }
    entry: Entry = {key: value for key, value in values.items() if value is not None}
    change(config, partial(add_ae, entry=entry))


def _tls(wanted: bool, **files: str | None) -> dict[str, str] | None:
    named = {key: name for key, name in files.items() if name is not None}
    return named if wanted or named else None


@ae.command("remove")
@CONFIG
@click.argument("name")
@click.option(
    "--force",
    is_flag=True,
    help="Remove it from groups and rules too, and those that say nothing without it.",
)
def remove_command(config: Path, name: str, force: bool) -> None:
    """Remove the AE called NAME from CONFIG, unless a group or a rule names it."""
    change(config, partial(remove_ae, name=name, force=force))
