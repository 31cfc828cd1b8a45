"""The log: text on a terminal, one JSON object a line otherwise, always on standard error."""

from __future__ import annotations

import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

LogFormat = Literal["auto", "text", "json"]


def configure(log_format: LogFormat, stream: TextIO | None = None) -> None:
    """Sets up structlog for the process; `auto` is text where the stream is a terminal."""
    stream = sys.stderr if stream is None else stream
    text = log_format == "text" or (log_format == "auto" and stream.isatty())
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False)
        if text
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=not text),
            structlog.processors.dict_tracebacks if not text else structlog.dev.set_exc_info,
            _in_order,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


def _in_order(_logger: object, _name: str, line: EventDict) -> EventDict:
    """When, how bad and what come first, whoever reads it."""
    first = {key: line.pop(key) for key in ("timestamp", "level", "event") if key in line}
    return {**first, **line}


def logger(**facts: object) -> FilteringBoundLogger:
    """A logger that says these facts on every line."""
    bound: FilteringBoundLogger = structlog.get_logger(**facts)
    return bound
