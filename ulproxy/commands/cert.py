"""`ulproxy cert`: a CA and certificates for trying out TLS, and what a certificate goes by."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Final, NoReturn

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from ulproxy.commands.authority import (
    AuthorityError,
    Pair,
    issue,
    load_authority,
    make_authority,
)
from ulproxy.policy.endpoints import host_of
from ulproxy.policy.values import shown
from ulproxy.shell.tls import identities

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # a file name, and a common name
_HERE: Final = ("127.0.0.1", "localhost")
_DIRECTORY = click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="Where the files are.  [default: here]",
)


@click.group()
def cert() -> None:
    """Make a CA and certificates for trying out TLS; show what a certificate goes by."""


@cert.command("ca")
@_DIRECTORY
@click.option("--name", "common_name", default="ulproxy test CA", help="Its common name.")
@click.option("--days", type=click.IntRange(1, 36500), default=3650, show_default=True)
def ca_command(directory: Path, common_name: str, days: int) -> None:
    """Make ca.pem and ca.key; `new` does so too, where they are missing."""
    if not 1 <= len(common_name) <= 64 or not common_name.isprintable():  # RFC 5280 A.1
        raise click.BadParameter("1 to 64 printable characters", param_hint="--name")
    try:
        _tell(make_authority(directory, common_name, days), "a CA")
    except (AuthorityError, OSError) as error:
        _fail(error)


@cert.command("new")
@click.argument("name")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    help="An IP address or a name that it is called by; repeatable.  [default: this machine alone]",
)
@_DIRECTORY
@click.option("--days", type=click.IntRange(1, 36500), default=825, show_default=True)
def new_command(name: str, hosts: tuple[str, ...], directory: Path, days: int) -> None:
    """Make NAME.pem and NAME.key, signed by ca.key; print what to write into the configuration."""
    if not _NAME.fullmatch(name) or name == "ca":
        text = f'{shown(name)}: use up to 63 letters, digits, ".", "_" and "-", and not "ca"'
        raise click.BadParameter(text, param_hint="NAME")
    known = [_host(host) for host in hosts or _HERE]
    try:
        authority = load_authority(directory)
        if authority is None:
            authority = make_authority(directory, "ulproxy test CA", 3650)
            _tell(authority, "a CA")
        made = issue(authority, directory, name, known, days)
    except (AuthorityError, OSError) as error:
        _fail(error)
    _tell(made, f"for {', '.join(known)}")
    for line in _to_paste(made, authority):
        click.echo(line)


@cert.command("show")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def show_command(file: Path) -> None:
    """Show the first certificate in FILE, and what it goes by: for `certificate` of an AE."""
    try:
        certificate = _first(file.read_bytes())
    except (ValueError, OSError) as error:
        _fail(error if isinstance(error, OSError) else f"{file}: no certificate that can be read")
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    click.echo(f"# subject {_printable(certificate.subject)}")
    click.echo(f"# issuer {_printable(certificate.issuer)}")
    click.echo(f"# valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}")
    for line in _known_by(certificate):
        click.echo(line)


def _tell(made: Pair, what: str) -> None:
    until = f"{made.certificate.not_valid_after_utc:%Y-%m-%d}"
    click.echo(f"# {made.certificate_file} and {made.key_file}: {what}, until {until}")


def _to_paste(made: Pair, authority: Pair) -> list[str]:
    """Lines for a configuration in the same directory."""
    ca, own, key = (
        json.dumps(file.name)
        for file in (authority.certificate_file, made.certificate_file, made.key_file)
    )
    pair = f"certificate = {own}, key = {key}"
    return [
        "# [[listener]] that wants a certificate of this CA from its callers:",
        f'tls = {{ {pair}, ca = {ca}, client_certificate = "required" }}',
        "# [[ae]] that is called over TLS:",
        f"tls = {{ ca = {ca}, {pair} }}",
        "# [[ae]] that stands for this one in the other side's file:",
        _known_by(made.certificate)[0],
    ]


def _known_by(certificate: x509.Certificate) -> list[str]:
    """`certificate` of an AE: the certificate itself, its public key, its names."""
    own = f"sha256:{certificate.fingerprint(hashes.SHA256()).hex()}"
    others = sorted(identities(certificate.public_bytes(Encoding.DER)) - {own})
    lines = [f"certificate = {json.dumps(own)}"]
    for one in sorted(others, key=lambda one: not one.startswith("sha256:")):
        what = "its public key, for as long as it keeps it" if one.startswith("sha256:") else "name"
        lines.append(f"certificate = {json.dumps(one)}  # {what}")
    return lines


def _first(content: bytes) -> x509.Certificate:
    """In PEM or DER form; raises ValueError."""
    if b"-----BEGIN" in content:
        return x509.load_pem_x509_certificates(content)[0]
    return x509.load_der_x509_certificate(content)


def _printable(name: x509.Name) -> str:
    text = name.rfc4514_string()
    return text if text.isprintable() else ascii(text)


def _host(text: str) -> str:
    host = host_of(text)
    if host is None:
        raise click.BadParameter(
            f"{shown(text)} is no IP address and no host name", param_hint="--host"
        )
    return host


def _fail(error: Exception | str) -> NoReturn:
    text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
    click.echo(text, err=True)
    sys.exit(1)
