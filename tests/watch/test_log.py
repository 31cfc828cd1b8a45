"""The log: who reads it decides its form, and nothing that a peer sent gets out of its place in it."""

from __future__ import annotations

import datetime
import io
import json
import sys

import pytest
import structlog

from ulproxy.watch.log import configure, logger, say, say_on_every_line

DATA = b"DOE^JOHN"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _as_it_was():
    yield
    structlog.reset_defaults()


def written(log_format, stream=None, **facts):
    stream = io.StringIO() if stream is None else stream
    configure(log_format, stream)
    logger(id="1f").info("association established", **facts)
    return stream.getvalue()


def test_json_is_one_object_a_line():
    text = written("json", peer="10.0.0.5:104", contexts=3, answer=(1, 1, 7), what=b"x")
    assert text.endswith("\n")
    assert text.count("\n") == 1
    line = json.loads(text)
    assert list(line)[:4] == ["timestamp", "level", "event", "id"]
    assert (
        datetime.datetime.fromisoformat(line.pop("timestamp")).utcoffset() == datetime.timedelta()
    )
    assert line == {
        "level": "info",
        "event": "association established",
        "id": "1f",
        "peer": "10.0.0.5:104",
        "contexts": 3,
        "answer": [1, 1, 7],
        "what": "b'x'",
    }


def test_text_is_one_line_without_colours():
    text = written("text", peer="10.0.0.5:104", why="no presentation context")
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert "[info     ] association established" in text
    assert text.rstrip().endswith("id=1f peer=10.0.0.5:104 why='no presentation context'")


@pytest.mark.parametrize(
    ("log_format", "stream", "is_json", "has_colours"),
    [
        ("auto", io.StringIO, True, False),
        ("auto", Terminal, False, True),
        ("json", Terminal, True, False),
        ("text", io.StringIO, False, False),
        ("text", Terminal, False, True),
    ],
)
def test_form(log_format, stream, is_json, has_colours):
    text = written(log_format, stream())
    assert (text.startswith("{"), "\x1b[" in text) == (is_json, has_colours)


def test_standard_error_by_default(monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    configure("auto")
    logger().warning("stopping", signal="SIGTERM")
    assert json.loads(stream.getvalue())["level"] == "warning"


def test_every_line_says_the_facts_of_its_logger():
    stream = io.StringIO()
    configure("json", stream)
    log = logger(id="1f", network="inside")
    log.info("one")
    log.error("two", network="outside")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["id"], line["network"]) for line in lines] == [
        ("1f", "inside"),
        ("1f", "outside"),
    ]


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("sent", ["\x1b[2J", "\x9b31m", "\n", "\r", "\x07", "\0", "\x7f", "\u202e"])
def test_a_peer_writes_no_control_characters(sent, log_format, stream):
    """A calling AE title has whatever bytes its sender likes; a terminal would obey some of them."""
    plain = written(log_format, stream(), calling="WS1", many=["WS1"], nothing=None)
    text = written(log_format, stream(), calling=f"{sent}WS1", many=[f"{sent}WS1"], nothing=None)
    ours = [character for character in plain if not character.isprintable()]
    assert [character for character in text if not character.isprintable()] == ours
    assert text.count("WS1") == 2
    if log_format == "json":
        assert json.loads(text)["calling"] == f"{sent}WS1"


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_traceback_has_no_data_in_it(log_format, stream):
    """The values of local variables are what peers sent: patients, passcodes."""

    def fails(data):
        copy = bytes(data)
        raise ZeroDivisionError(len(copy))

    configure(log_format, stream := stream())
    try:
        fails(DATA)
    except ZeroDivisionError:
        logger(id="1f").exception("internal error")
    text = stream.getvalue()
    for told in ("internal error", "ZeroDivisionError", "test_log.py", "fails"):
        assert told in text
    assert DATA.decode() not in text
    if log_format == "json":
        assert text.count("\n") == 1
        (exception,) = json.loads(text)["exception"]
        assert exception["exc_value"] == "8"
        assert [frame["name"] for frame in exception["frames"]][1:] == ["fails"]


def test_a_log_that_is_gone_stops_nobody():
    configure("json", stream := io.StringIO())
    log = logger(id="1f")
    say(log.warning, "one", why="no rule")
    line = json.loads(stream.getvalue())
    assert (line["level"], line["event"], line["why"]) == ("warning", "one", "no rule")
    stream.close()
    say(log.warning, "two")


def test_a_line_is_written_at_once():
    """Another process that has the same standard error does not get into the middle of it."""

    class Writes(io.StringIO):
        def __init__(self):
            super().__init__()
            self.made = []

        def write(self, text):
            self.made.append(text)
            return len(text)

    configure("json", stream := Writes())
    logger(id="1f").info("stopping", why="x" * 20_000)
    (line,) = stream.made
    assert line.endswith('"}\n')


def test_facts_for_every_line():
    configure("json", stream := io.StringIO())
    say_on_every_line(worker=7)
    logger(id="1f").info("one")
    logger().info("two", worker=8)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [list(line.items())[3:] for line in lines] == [
        [("id", "1f"), ("worker", 7)],
        [("worker", 8)],
    ]
