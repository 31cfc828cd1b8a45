"""The log: text on a terminal, one JSON object a line otherwise, always on standard error.

A traceback never shows the values of variables, because those are what peers sent; and a terminal gets no
control character of theirs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

LogFormat = Literal["auto", "text", "json"]

_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)

_ENCODER: Final = json.JSONEncoder(
    default=repr
)  # one for all lines: `json.dumps` would make one for each


def configure(log_format: LogFormat, stream: TextIO | None = None) -> None:
    """Sets up structlog for the process; `auto` is text where the stream is a terminal."""
    stream = sys.stderr if stream is None else stream
    text = log_format == "text" or (log_format == "auto" and stream.isatty())
    last: list[Processor] = [_json]
    if text:
        last = [_printable, _console(colors=stream.isatty())]
    structlog.configure(
        processors=[
            _in_order,
            structlog.processors.TimeStamper(fmt="iso", utc=not text),
            structlog.dev.set_exc_info if text else _TRACEBACKS,
            *last,
        ],
        # One write for a line: several processes may have the same standard error.
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


def say_on_every_line(**facts: object) -> None:
    """From now on, whoever logs in this process; facts of its own come first."""

    def added(_logger: object, _name: str, line: EventDict) -> EventDict:
        return {**line, **{key: value for key, value in facts.items() if key not in line}}

    structlog.configure(processors=[added, *structlog.get_config()["processors"]])


def _console(*, colors: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colors, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )


def _json(_logger: object, _name: str, line: EventDict) -> str:
    return _ENCODER.encode(line)


def _in_order(_logger: object, name: str, line: EventDict) -> EventDict:
    """When, how bad and what come first, whoever reads it; the time is filled in."""
    return {"timestamp": "", "level": name, "event": line.pop("event"), **line}


def _printable(_logger: object, _name: str, line: EventDict) -> EventDict:
    """Texts with control characters in them as Python writes them."""
    for key, value in line.items():
        if isinstance(value, str) and not value.isprintable():
            line[key] = ascii(value)
    return line


def logger(**facts: object) -> FilteringBoundLogger:
    """A logger that says these facts on every line."""
    bound: FilteringBoundLogger = structlog.get_logger(**facts)
    return bound


def say(log: Callable[..., object], event: str, **facts: object) -> None:
    """Logs; a log that cannot be written to is no reason to do anything else differently."""
    try:  # noqa: SIM105 (`suppress` costs three calls for each line)
        log(event, **facts)
    except (OSError, ValueError):
        pass
