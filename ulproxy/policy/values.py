"""Single values of the configuration: titles, names, services and lists of them.

Each function takes what the file says and returns what it means, or raises a ValueError that tells a PACS
administrator what is wrong and what would be right. They serve as pydantic validators and know nothing of it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from ulproxy.dimse.services import Service

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

EVERYTHING: Final = "*"
NETWORK_PREFIX: Final = "network:"
UNKNOWN_PREFIX: Final = "unknown:"  # what the log calls an AE that is not in the file
MAX_TITLE: Final = 16  # PS3.5 6.2, VR AE
MOST_LISTED: Final = 8
MAX_NAME: Final = 64  # a name goes into log lines and metric labels
_TITLE: Final = re.compile(r"[A-Za-z0-9 _-]+(?:\.[A-Za-z0-9 _-]+)*")
_TITLE_RIGHT: Final = 'use 1 to 16 of A-Z a-z 0-9 space "_" "-", and single dots between them'


class Omittable(StrEnum):
    """Negotiation items that can be left out towards devices that drop the connection over them."""

    ASYNC_OPERATIONS = "async-operations"
    ROLE_SELECTION = "role-selection"
    SOP_CLASS_EXTENDED = "sop-class-extended"
    SOP_CLASS_COMMON_EXTENDED = "sop-class-common-extended"
    USER_IDENTITY = "user-identity"
    IMPLEMENTATION_VERSION_NAME = "implementation-version-name"


def shown(text: str, most: int = MAX_NAME) -> str:
    """A text of the file in quotes, on one line and not too long, whatever is in it."""
    text = text if len(text) <= most else f"{text[:most]}..."
    return json.dumps(text, ensure_ascii=not text.isprintable())


def nearest(text: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that was probably meant."""
    if len(text) > MAX_NAME:  # difflib is quadratic
        return None
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(text.casefold(), folded, n=1, cutoff=cutoff)
    return folded[close[0]] if close else None


def suggestion(text: str, known: Iterable[str], *, near: bool = True) -> str:
    """What to write instead of an unknown name; without `near` the one that was meant is not looked for."""
    names = sorted(filter(None, known))
    if near and (meant := nearest(text, names)):
        return f"did you mean {shown(meant)}?"
    more = ", ..." if len(names) > 12 else ""
    return f"known are {', '.join(map(shown, names[:12]))}{more}" if names else "there is none yet"


def listed(names: list[str]) -> str:
    """Names of the file in a sentence, not too many."""
    parts = [*map(shown, names[:MOST_LISTED])]
    if len(names) > MOST_LISTED:
        parts.append(f"{len(names) - MOST_LISTED} more")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def text_of(value: object) -> str:
    """The value, which has to be text."""
    match value:
        case str():
            return value
        case _:
            raise ValueError("is not text in quotes")


def texts_of(value: object) -> list[str]:
    """The value, which has to be a list of texts."""
    match value:
        case list() if all(isinstance(text, str) for text in value):
            return value
        case _:
            raise ValueError("is not a list of texts in quotes")


def each(convert: Callable[[str], T], texts: list[str]) -> list[T]:
    """All of them converted, or all that is wrong with them in one ValueError."""
    good, wrong = [], []
    for text in texts:
        try:
            good.append(convert(text))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError("; ".join(dict.fromkeys(wrong)))
    return good


def normal_title(text: str) -> str:
    """An AE title without its insignificant spaces; a ValueError says what would be right."""
    title = text.strip(" ")
    if not title:
        raise ValueError(f"is empty; {_TITLE_RIGHT}")
    if len(title) > MAX_TITLE:
        raise ValueError(f"has {len(title)} characters; {_TITLE_RIGHT}")
    if wrong := re.search(r"[^A-Za-z0-9 _.-]", title):
        raise ValueError(f"has {shown(wrong[0])} in it; {_TITLE_RIGHT}")
    if not _TITLE.fullmatch(title):
        raise ValueError(f"has a dot that is first, last or doubled; {_TITLE_RIGHT}")
    return title


def normal_name(text: str) -> str:
    """The name of a network or of an AE, as used within the file."""
    name = text.strip()
    if not name:
        raise ValueError("is empty; give it a name")
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"is no usable name; use up to {MAX_NAME} printable characters")
    if name == EVERYTHING or name.startswith(NETWORK_PREFIX):
        raise ValueError(
            f'means something else in rules; use no "*" and no "{NETWORK_PREFIX}" here'
        )
    if name.startswith(UNKNOWN_PREFIX):
        raise ValueError(f'means something else in the log; use no "{UNKNOWN_PREFIX}" here')
    return name


def file_path(value: object) -> Path:
    """The path of a file."""
    text = text_of(str(value) if isinstance(value, Path) else value)
    if not text.strip() or not text.isprintable():
        raise ValueError("is no file name")
    return Path(text)


def omittables(value: object) -> frozenset[Omittable]:
    """The negotiation items to leave out."""
    return frozenset(each(lambda text: _member(text, Omittable), texts_of(value)))


def services(value: object) -> frozenset[Service]:
    """The services that a rule allows; "*" is all of them."""
    return _services(tuple(_some(texts_of(value))))


@lru_cache(maxsize=256)  # many rules allow the same
def _services(texts: tuple[str, ...]) -> frozenset[Service]:
    named = each(lambda text: _member(text, Service), [t for t in texts if t != EVERYTHING])
    return frozenset(Service if EVERYTHING in texts else named)


def selectors(value: object) -> tuple[str, ...]:
    """AE names, "network:NAME" or "*"; whether there are such AEs is for checks.py to see."""
    return tuple(dict.fromkeys(each(_selector, _some(texts_of(value)))))


def _selector(text: str) -> str:
    prefix, name = "", text.strip()
    if name.startswith(NETWORK_PREFIX):
        prefix, name = NETWORK_PREFIX, name.removeprefix(NETWORK_PREFIX).strip()
    if not name:
        raise ValueError(f'has an empty name in it; write AE names, "{NETWORK_PREFIX}NAME" or "*"')
    return prefix + name


def _member(text: str, known: type[E]) -> E:
    try:
        return known(text.strip())
    except ValueError:
        raise ValueError(f"{shown(text)} is unknown; {suggestion(text, known)}") from None


def _some(texts: list[str]) -> list[str]:
    if not texts:
        raise ValueError("is empty")
    return texts
