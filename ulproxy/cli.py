"""The command line.

Exit codes: 0 done or allowed, 1 failed or refused, 2 a mistake in the call or in the file.
"""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path
from typing import Final, NoReturn

import click

import ulproxy
from ulproxy.commands import COMMANDS
from ulproxy.commands.change import CONFIG, loaded, print_problems
from ulproxy.commands.titles import title
from ulproxy.dimse.services import Service
from ulproxy.errors import ConfigError
from ulproxy.policy.certificates import certificate
from ulproxy.policy.decision import Peer
from ulproxy.policy.endpoints import IpAddress
from ulproxy.policy.explain import Question, explain
from ulproxy.policy.rules import Policy
from ulproxy.policy.values import shown, suggestion
from ulproxy.shell.cores import cores
from ulproxy.shell.echo import EchoError, echo
from ulproxy.shell.tls import Contexts
from ulproxy.watch.log import LogFormat, configure

MAX_WORKERS: Final = 128  # as many again may be about to end


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(ulproxy.__version__, prog_name="ulproxy")
def main() -> None:
    """A DICOM Upper Layer relay for the border between networks."""


for command in COMMANDS:
    main.add_command(command)


@main.command("run")
@CONFIG
@click.option(
    "--workers",
    type=click.IntRange(1, MAX_WORKERS),
    default=lambda: min(cores(), MAX_WORKERS),
    show_default="the cores that it may use",
    help="Processes that serve; with one there is no supervisor.",
)
@click.option(
    "--drain",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="On SIGTERM or Ctrl-C, let open associations finish for so long.  [default: as they need]",
)
@click.option("--log-format", type=click.Choice(["auto", "text", "json"]), default="auto")
def run_command(config: Path, workers: int, drain: float | None, log_format: LogFormat) -> None:
    """Serve CONFIG until SIGTERM or Ctrl-C; SIGHUP reloads it."""
    # Keeps the other commands quick.
    from ulproxy.shell.process import occupy_standard_descriptors, serve  # noqa: PLC0415

    valid = loaded(config, files=True)
    if not occupy_standard_descriptors():
        click.echo("standard error is closed: nothing is logged")
    configure(log_format)
    try:
        code = serve(config, valid, drain, click.echo, workers)
    except ConfigError as error:  # files that only OpenSSL finds fault with
        print_problems(config, error)
        sys.exit(2)
    except OSError as error:
        click.echo(f"cannot listen on {error.strerror}", err=True)
        sys.exit(1)
    sys.exit(code)


@main.command("check")
@CONFIG
def check_command(config: Path) -> None:
    """Validate CONFIG: each problem with its line and what would be right."""
    valid = loaded(config, err=False, files=True)
    try:
        Contexts(valid)
    except ConfigError as error:
        print_problems(config, error, err=False)
        sys.exit(2)
    for note in valid.notes:
        click.echo(f"{config}:{note.line}: note: {note.key}: {note.text}")
    networks = {one.network for one in valid.listeners} | {ae.network for ae in valid.aes}
    counts = {
        "network": len(networks),
        "listener": len(valid.listeners),
        "AE": len(valid.aes),
        "rule": len(valid.rules),
    }
    if valid.groups:
        counts["group"] = len(valid.groups)
    found = ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for what, n in counts.items())
    click.echo(f"{config}: valid: {found}")


@main.command("explain")
@CONFIG
@click.option("--network", required=True, help="The network that the call comes from.")
@click.option("--source", required=True, metavar="IP", help="The address that it comes from.")
@click.option("--calling", required=True, metavar="TITLE", help="Calling AE title.")
@click.option("--called", required=True, metavar="TITLE", help="Called AE title.")
@click.option("--service", type=click.Choice([service.value for service in Service]))
@click.option("--destination", metavar="TITLE", help="Move Destination, as the caller says it.")
@click.option(
    "--certificate",
    "certificates",
    multiple=True,
    metavar="NAME",
    help="What the caller's certificate goes by: sha256:... of it or its key, or a subject"
    " alternative name; repeatable.  [default: it presents none]",
)
def explain_command(  # noqa: PLR0913, PLR0917 (options of a command line)
    config: Path,
    network: str,
    source: str,
    calling: str,
    called: str,
    service: str | None,
    destination: str | None,
    certificates: tuple[str, ...],
) -> None:
    """Say what becomes of a call, and by which rule, without any traffic."""
    valid = loaded(config)
    networks = {listener.network for listener in valid.listeners}
    if network not in networks:
        text = f"no listener on {shown(network)}; {suggestion(network, networks)}"
        raise click.BadParameter(text, param_hint="--network")
    if destination is not None and service not in (None, Service.MOVE):
        raise click.UsageError(f"--destination is for --service move, not for {service}")
    question = Question(
        Peer(network, _address(source), frozenset(map(_certificate, certificates))),
        title(calling, "--calling"),
        title(called, "--called"),
        None if service is None else Service(service),
        None if destination is None else title(destination, "--destination"),
    )
    explanation = explain(Policy(valid), question)
    for line in explanation.lines:
        click.echo(line)
    sys.exit(0 if explanation.allowed else 1)


@main.command("echo")
@CONFIG
@click.argument("name")
def echo_command(config: Path, name: str) -> None:
    """Send a C-ECHO to the AE called NAME in CONFIG, as the relay would call it."""
    valid = loaded(config)
    ae = next((ae for ae in valid.aes if ae.name == name), None)
    if ae is None:
        meant = [ae.name for ae in valid.aes if name in (ae.title, ae.alias)]
        right = suggestion(name, meant or [ae.name for ae in valid.aes])
        _fail(f"no AE has the name {shown(name)}; {right}")
    if ae.address is None:
        _fail(f"{name} has no address: it only calls")
    where = f"{name} ({ae.title} at {ae.address}), called as {valid.relay.title}"
    try:
        status, seconds = echo(
            ae.address, ae.title, valid.relay.title, valid.limits.connect, ae.omit, ae.tls
        )
    except EchoError as error:
        _fail(f"{where}: {error}")
    click.echo(f"{where}: C-ECHO status {status:04X}H in {seconds * 1000:.0f} ms")
    sys.exit(0 if status == 0 else 1)


@main.command("demo")
@click.option(
    "--once", is_flag=True, help="End after the table instead of waiting for your own client."
)
def demo_command(once: bool) -> None:
    """Two hospitals on this machine, each with its relay, and real DICOM files between them."""
    from ulproxy import demo  # noqa: PLC0415 (an extra)

    sys.exit(demo.main(once))


def _certificate(text: str) -> str:
    try:
        return certificate(text)
    except ValueError as error:
        raise click.BadParameter(f"{shown(text)} {error}", param_hint="--certificate") from None


def _address(text: str) -> IpAddress:
    """As the relay sees it: an IPv4 address in the form of IPv6 is one of IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise click.BadParameter(f"{shown(text)} is no IP address", param_hint="--source") from None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address


def _fail(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(1)
