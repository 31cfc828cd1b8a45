"""AE titles and addresses on the command line."""

from __future__ import annotations

import click

from ulproxy.policy.endpoints import Endpoint, address
from ulproxy.policy.values import shown


def title(text: str, option: str) -> str:
    """The title without the spaces that do not signify; raises BadParameter where it is none."""
    found = text.strip(" ")
    if not found.isascii() or not found.isprintable() or not 1 <= len(found) <= 16:
        raise click.BadParameter(
            f"{shown(text)} is no AE title: 1 to 16 ASCII characters", param_hint=option
        )
    return found


def title_option(_: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """The same as the callback of an option."""
    return None if text is None else title(text, option.opts[0])


def endpoint_argument(_: click.Context, __: click.Parameter, text: str | None) -> Endpoint | None:
    """HOST:PORT; raises BadParameter where it is none."""
    try:
        return None if text is None else address(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
