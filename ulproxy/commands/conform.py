"""`ulproxy conform`: the cases of PS3.8 against any acceptor."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ulproxy.commands.titles import endpoint_argument, title_option
from ulproxy.conform.settings import Settings
from ulproxy.dimse.services import VERIFICATION
from ulproxy.policy.endpoints import Endpoint

_SECONDS = click.FloatRange(min=0, min_open=True)
_FILE = click.Path(path_type=Path, dir_okay=False, writable=True)


@click.command("conform")
@click.argument("acceptor", metavar="HOST:PORT", required=False, callback=endpoint_argument)
@click.option("--called", metavar="TITLE", callback=title_option, help="The acceptor's AE title.")
@click.option(
    "--calling", metavar="TITLE", default="ULPROXY", show_default=True, callback=title_option
)
@click.option(
    "--abstract-syntax",
    metavar="UID",
    default=VERIFICATION,
    help="What the cases propose. With another one than Verification no C-ECHO is sent.",
)
@click.option(
    "--timeout",
    type=_SECONDS,
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an answer is waited for.",
)
@click.option(
    "--artim",
    type=_SECONDS,
    metavar="SECONDS",
    help="The acceptor's ARTIM.  [default: cases that wait for it are skipped]",
)
@click.option(
    "--patience",
    type=_SECONDS,
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Skip cases that would wait longer for ARTIM.",
)
@click.option(
    "--only",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="A clause (9.3), a case (9.3.4/2), or either with * and ?; repeatable.",
)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, help="Cases that run at once.")
@click.option("--strict", is_flag=True, help="Fail for what should hold as well.")
@click.option("--list", "listing", is_flag=True, help="List the cases, without any traffic.")
@click.option("--json", "json_file", type=_FILE, metavar="FILE", help="Write the outcomes, too.")
@click.option("--junit", "junit_file", type=_FILE, metavar="FILE", help="Likewise for CI servers.")
def conform(  # noqa: PLR0913, PLR0917 (options of a command line)
    acceptor: Endpoint | None,
    called: str | None,
    calling: str,
    abstract_syntax: str,
    timeout: float,
    artim: float | None,
    patience: float,
    patterns: tuple[str, ...],
    jobs: int,
    strict: bool,
    listing: bool,
    json_file: Path | None,
    junit_file: Path | None,
) -> None:
    """Check the acceptor at HOST:PORT, case by case, for what PS3.8 asks of an Upper Layer.

    A case that must hold and does not fails; one that only should is noted. Exits with 1 if one fails.
    """
    # Keeps the other commands quick.
    from ulproxy.conform.main import Wanted, check, list_cases  # noqa: PLC0415

    if listing:
        sys.exit(list_cases(patterns))
    if acceptor is None or called is None:
        raise click.UsageError("say whom: HOST:PORT and --called TITLE")
    settings = Settings(acceptor, called, calling, abstract_syntax, timeout, artim, patience)
    sys.exit(check(settings, Wanted(patterns, jobs, strict, json_file, junit_file)))
