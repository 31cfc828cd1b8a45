"""Reloads of a relay under load, and what must hold in each; a short run of it is a test.

    python -m tests.end_to_end.reloading --reloads 200

Some callers keep an association all the time, some have one after the other, and all store. Meanwhile the
file changes to and fro: it lets CHANGING in, or it does not, or it has a mistake.
"""

from __future__ import annotations

import contextlib
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import click

from tests.end_to_end.peers import Relay, Table, ae, border, relay, rule, toml, wait_until
from tests.end_to_end.wire import (
    ABORT,
    AC,
    CT,
    DATA,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    RQ,
    Acceptor,
    Command,
    Context,
    Pdu,
    Peer,
    associate_ac,
    associate_rq,
    message,
    parse_associate,
    pdvs,
    release_rp,
    release_rq,
)

STEADY, COMING = 3, 2
PAUSE = 0.005
"""Seconds between two objects of one caller: the machine is to be busy, not choked."""
WARM = 10
"""Reloads until memory is looked at for the first time."""
OBJECT = bytes(20_000)
ONE = [Context(1, CT)]
Revoke = Literal["finish", "abort"]


class Sink:
    """The called AE: as many associations at once as come, every object is taken."""

    def __init__(self) -> None:
        self.stored = 0
        self._acceptor = Acceptor()
        self.port = self._acceptor.port
        self._acceptor.socket.settimeout(None)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._acceptor.socket.shutdown(2)
        self._acceptor.socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(
                    target=self._associate, args=(self._acceptor.accept(),), daemon=True
                ).start()

    def _associate(self, peer: Peer) -> None:
        with peer, contextlib.suppress(OSError):
            while (got := peer.receive()) is not None and got.kind != ABORT:
                if answer := self._answer(got):
                    peer.send(answer)

    def _answer(self, got: Pdu) -> bytes:
        if got.kind == RQ:
            return associate_ac(parse_associate(got.body))
        if got.kind == RELEASE_RQ:
            return release_rp()
        assert got.kind == DATA
        if not any(header == 2 for _, header, _ in pdvs(got.body)):  # the last of a data set
            return b""
        self.stored += 1
        return message(1, {0x100: 0x8001, 0x120: 1, 0x900: 0})


def store(peer: Peer) -> None:
    command: Command = {2: CT, 0x100: 1, 0x110: 1, 0x700: 0, 0x1000: "1.2.3"}
    peer.send(message(1, command, OBJECT))
    assert peer.expect_message().number(0x900) == 0


def release(peer: Peer) -> None:
    peer.send(release_rq())
    peer.expect(RELEASE_RP)


def associate(port: int, calling: str) -> Peer:
    peer = Peer.connect(port)
    peer.send(associate_rq(ONE, called="FAR_PACS", calling=calling))
    return peer


@dataclass
class Load:
    """Callers in the background; whatever goes wrong with one of them is kept."""

    port: int
    associations: int = 0
    stored: int = 0
    errors: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        works = [self._steady] * STEADY + [self._coming] * COMING
        threads = [threading.Thread(target=self._kept, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)
        assert not self.errors, self.errors

    def _kept(self, work) -> None:
        try:
            work()
        except (AssertionError, OSError) as error:
            self.errors.append(error)

    def _steady(self) -> None:
        self._one(lambda: not self._stop.is_set())

    def _coming(self) -> None:
        while not self._stop.is_set():
            self._one(lambda: False)

    def _one(self, goes_on) -> None:
        """One association of one object or more."""
        with associate(self.port, "LOAD") as peer:
            peer.expect(AC)
            while True:
                store(peer)
                with self._lock:
                    self.stored += 1
                time.sleep(PAUSE)
                if not goes_on():
                    break
            release(peer)
        with self._lock:
            self.associations += 1


@dataclass
class Result:
    """What came of a run; memory in bytes resident."""

    reloads: int = 0
    refused: int = 0
    associations: int = 0
    stored: int = 0
    before: int = 0
    after: int = 0

    @property
    def growth(self) -> int:
        return self.after - self.before


@dataclass
class Reloading:
    """A relay whose file is changed."""

    through: Relay
    tables: Table
    on_revoke: Revoke
    _read: int = 0

    def text(self, *, let_in: bool) -> str:
        callers = ["LOAD", "CHANGING"] if let_in else ["LOAD"]
        told = {"title": "RELAY", "on_revoke": self.on_revoke}
        return toml({**self.tables, "relay": told, "rule": [rule(callers, ["PACS"], ["store"])]})

    def put(self, text: str) -> str:
        """A new file is in place and the relay has been told; what it says of it."""
        running = self.through
        fresh = running.config.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(running.config)
        self._read = running.program.errors.stat().st_size
        running.program.signal(signal.SIGHUP)
        wait_until(lambda: "reload" in self._event(), "the relay says something of the reload")
        return self._event()

    def _event(self) -> str:
        """The first line about a reload since the last one."""
        with self.through.program.errors.open() as log:
            log.seek(self._read)
            return next((line for line in log if '"event": "reload' in line), "")

    def lets_in(self) -> Peer | None:
        """Whether CHANGING gets an association now; the association."""
        peer = associate(self.through.ports["west"], "CHANGING")
        answer = peer.receive()
        assert answer is not None
        if answer.kind == AC:
            return peer
        assert (answer.kind, answer.body) == (RJ, bytes([0, 1, 1, 7]))
        peer.socket.close()
        return None

    def to_and_fro(self) -> None:
        """Two reloads, and what they mean for CHANGING."""
        assert '"reloaded"' in self.put(self.text(let_in=True))
        peer = self.lets_in()
        assert peer is not None, "the new rules are in force at once"
        store(peer)
        assert '"reloaded"' in self.put(self.text(let_in=False))
        assert self.lets_in() is None, "the new rules are in force at once"
        if self.on_revoke == "abort":
            assert peer.expect(ABORT).body[2] == 2
        else:
            store(peer)
            release(peer)
        peer.socket.close()

    def mistake(self) -> None:
        """A file that changes nothing."""
        text = self.text(let_in=True).replace('to = ["PACS"]', 'to = ["NOBODY"]')
        assert '"reload refused"' in self.put(text)
        assert self.lets_in() is None, "a file with a mistake changes nothing"


def run(reloads: int, on_revoke: Revoke, directory: Path) -> Result:
    """So many reloads under load; AssertionError where something does not hold."""
    sink, made = Sink(), Result()
    tables = border([ae("LOAD", "west"), ae("CHANGING", "west"), ae("PACS", "east", sink.port)], [])
    tables["ae"][2]["alias"] = "FAR_PACS"
    first = {**tables, "rule": [rule(["LOAD"], ["PACS"], ["store"])]}
    with contextlib.closing(sink), relay(first, directory) as running:
        reloading = Reloading(running, tables, on_revoke)
        load = Load(running.ports["west"])
        with load.running():
            while made.reloads < reloads:
                reloading.to_and_fro()
                made.reloads += 2
                if made.reloads % 5 == 0:
                    reloading.mistake()
                    made.refused += 1
                if made.reloads <= WARM:
                    made.before = running.memory()
            made.after = running.memory()
        made.associations, made.stored = load.associations, load.stored
    return made


@click.command()
@click.option("--reloads", default=200, show_default=True)
def main(reloads: int) -> None:
    """So many reloads under load, with each value of on_revoke."""
    revokes: tuple[Revoke, ...] = ("finish", "abort")
    for on_revoke in revokes:
        with tempfile.TemporaryDirectory(prefix="ulproxy-reloads.") as directory:
            begin = time.monotonic()
            made = run(reloads, on_revoke, Path(directory))
        click.echo(
            f'on_revoke = "{on_revoke}": {made.reloads} reloads and {made.refused} refused ones'
            f" in {time.monotonic() - begin:.0f} s\n"
            f"  {made.associations} associations, {made.stored} objects, none dropped\n"
            f"  resident {made.before / 2**20:.1f} MiB, then {made.after / 2**20:.1f} MiB"
        )


if __name__ == "__main__":
    main()
