"""One set of numbers over all processes, the living and the dead, and whether the relay is well."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import resource
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.peers import free_port, wait_until
from tests.end_to_end.working import Running, working
from tests.shell.peers import eventually
from tests.shell.relay import Relay, serving
from ulproxy.policy.config import parse
from ulproxy.shell import metrics as module
from ulproxy.shell.metrics import FRESH, Metrics, Showing
from ulproxy.watch.metrics import decoded

Start = Callable[..., "contextlib.AbstractContextManager[Running]"]
ANYWHERE = {"bind": "127.0.0.1:0"}
BASE = '[relay]\ntitle = "A"\n[[listener]]\nnetwork = "n"\nbind = "127.0.0.1:0"\n'


def page(port: int, path: str = "/metrics") -> tuple[int, str]:
    with contextlib.closing(_opened(f"http://127.0.0.1:{port}{path}")) as answer:
        return answer.status, answer.read().decode()


def _opened(url: str):
    try:
        return urllib.request.urlopen(url, timeout=20)
    except urllib.error.HTTPError as error:
        return error


def numbers(port: int) -> dict[str, float]:
    """Those that are not zero."""
    _, text = page(port)
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, number = line.rpartition(" ")
            found[name] = float(number)
    return {name: number for name, number in found.items() if number}


def shows(port: int, **wanted: float) -> dict[str, float]:
    """Wait until the numbers of these names, whatever their labels, add up to this."""
    found: dict[str, float] = {}

    def added() -> bool:
        found.clear()
        found.update(numbers(port))
        totals = dict.fromkeys(wanted, 0.0)
        for key, number in found.items():
            name = re.split(r"[{ ]", key)[0].removeprefix("ulproxy_")
            if name in totals:
                totals[name] += number
        return totals == wanted

    wait_until(added, f"{wanted} are shown")
    return found


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return functools.partial(working, tmp_path, metrics=ANYWHERE)


def address(running: Running) -> int:
    return int(running.says("metrics are served")[-1]["address"].rpartition(":")[2])


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_one_set_over_all_workers(start, workers):
    with start(workers=workers) as running, contextlib.ExitStack() as stack:
        port = address(running)
        pairs = [stack.enter_context(running.associated()) for _ in range(3)]
        for pair in pairs:
            pair.works()
        shows(port, associations_open=3, workers=workers, messages_total=6, requests_total=3)
        for pair in pairs:
            pair.release()
        found = shows(port, associations_open=0, associations_total=6, messages_total=6)
        assert (
            found['ulproxy_associations_total{end="onward",network="east",outcome="released"}'] == 3
        )
        assert found['ulproxy_responses_total{service="store",status="success"}'] == 3
        assert found["ulproxy_association_setup_seconds_count"] == 3
        assert found['ulproxy_operation_seconds_count{service="store"}'] == 3
        assert (
            found['ulproxy_ae_associations_total{ae="PACS",outcome="released",role="callee"}'] == 3
        )
        assert page(port, "/healthz") == (200, "ok\n")
        assert page(port, "/readyz") == (200, "ready\n")
        assert page(port, "/else")[0] == 404


def test_what_a_worker_has_counted_that_dies_stays(start):
    with start() as running, contextlib.ExitStack() as stack:
        port = address(running)
        pairs = [stack.enter_context(running.associated()) for _ in range(2)]
        for pair in pairs:
            pair.works()
        shows(port, associations_open=2, messages_total=4)
        running.kill(pairs[0].worker)
        found = shows(port, associations_open=1, workers=2, messages_total=4, requests_total=2)
        assert found["ulproxy_worker_deaths_total"] == 1
        pairs[1].works()
        shows(port, messages_total=6)
        pairs[1].release()


def test_a_worker_does_not_hold_connections_of_the_supervisor(start):
    """One that is forked while a page is asked for."""
    with start() as running:
        port = address(running)
        with contextlib.closing(socket.create_connection(("127.0.0.1", port))) as one:
            running.kill(running.workers[0])
            one.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            one.settimeout(20)
            found = b""
            while data := one.recv(1000):
                found += data
            assert found.endswith(b"ok\n")


def test_while_it_drains_it_lives_and_is_not_ready(start):
    with start() as running, running.associated() as pair:
        port = address(running)
        running.program.signal(signal.SIGTERM)
        running.says("stopping")
        assert page(port, "/healthz") == (200, "ok\n")
        assert page(port, "/readyz") == (503, "the relay stops\n")
        assert shows(port, associations_open=1)
        pair.works()
        pair.release()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_moves_them(start, workers):
    with start(workers=workers) as running:
        old, new = address(running), free_port()
        running.reload(lambda table: table["metrics"].update(bind=f"127.0.0.1:{new}"))
        running.says("metrics are served", 2)
        wait_until(lambda: numbers(new).get('ulproxy_reloads_total{outcome="done"}'), "it is done")
        with pytest.raises(urllib.error.URLError):
            page(old)
        running.reload(lambda table: table["listener"][0].update(bind="192.0.2.1:104"))
        running.says("reload refused")
        wait_until(lambda: numbers(new).get('ulproxy_reloads_total{outcome="refused"}'), "counted")
        running.reload(
            lambda table: (table.pop("metrics"), table["listener"][0].update(bind="127.0.0.1:0"))
        )
        running.says("reloaded", 2)
        with pytest.raises(urllib.error.URLError):
            page(new)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_listener_that_cannot_be_opened_leaves_them_where_they_are(start, workers):
    with start(workers=workers) as running:
        new = free_port()

        def change(table):
            table["metrics"]["bind"] = f"127.0.0.1:{new}"
            table["listener"][0]["bind"] = "192.0.2.1:104"

        running.reload(change)
        running.says("reload refused")
        port = address(running)
        assert page(port, "/readyz")[0] == 200
        assert port != new


def test_counting_begins_and_ends_by_a_reload(tmp_path):
    with working(tmp_path) as running:
        assert running.lines("metrics are served") == []
        running.reload(lambda table: table.update(metrics=ANYWHERE))
        port = address(running)
        with running.associated() as pair:
            pair.works()
            pair.release()
        shows(port, requests_total=1, associations_total=2)
        running.reload(lambda table: table["ae"][0].update(associations=10))
        running.says("reloaded", 2)
        shows(port, requests_total=1)


class Owner:
    """A relay of two numbers."""

    def __init__(self) -> None:
        self.config = parse(f"{BASE}[metrics]\nbind = '127.0.0.1:0'\n")
        self.sampled = 0
        self.why = "the relay starts"

    def sample(self):
        self.sampled += 1
        return {("workers",): self.sampled}

    def unready(self) -> str:
        return self.why

    def processes(self) -> list[int]:
        return [os.getpid(), os.getpid()]


async def test_a_page_is_not_made_for_each_who_asks(log, monkeypatch):
    monkeypatch.setattr(module, "FRESH", 30)
    assert FRESH < 1
    owner = Owner()
    made = Metrics(asyncio.get_running_loop(), owner)
    made.move(owner.config, lambda: None)
    port = made.addresses[0].port
    try:
        assert await asyncio.to_thread(page, port, "/readyz") == (503, "the relay starts\n")
        for _ in range(3):
            found = await asyncio.to_thread(numbers, port)
            assert found["ulproxy_workers"] == 1
        assert "ulproxy_ready" not in found
        assert found["ulproxy_limit_associations"] == 1000
    finally:
        made.close()


async def test_processes_are_added_up(log):
    owner = Owner()
    made = Metrics(asyncio.get_running_loop(), owner)
    text = made._metrics().decode()
    (opened,) = re.findall(r"^process_open_fds (.*)$", text, re.MULTILINE)
    (most,) = re.findall(r"^process_max_fds (.*)$", text, re.MULTILINE)
    one = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    assert abs(float(opened) - 2 * one) <= 4
    assert float(most) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


async def test_a_worker_shows_its_numbers_while_there_are_some(monkeypatch):
    monkeypatch.setattr(module, "SHOW", 0.01)
    shown: list[bytes] = []
    showing = Showing(asyncio.get_running_loop(), lambda: {("workers",): len(shown)}, shown.append)
    showing.stop()
    assert shown == []
    showing.start()
    showing.start()
    assert len(shown) == 1
    await eventually(lambda: len(shown) > 3, "it shows them again")
    showing.stop()
    assert [decoded(one) for one in shown] == [{("workers",): n} for n in range(len(shown))]
    before = len(shown)
    await asyncio.sleep(0.05)
    assert len(shown) == before


async def test_a_relay_without_metrics_counts_nothing(tmp_path, log):
    async with serving(tmp_path) as (running, _):
        assert isinstance(running, Relay)
        assert running.server.sample() == {}
        assert running.server.border.tally is None
