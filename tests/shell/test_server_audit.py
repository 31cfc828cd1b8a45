"""The audit trail of a relay that serves: what peers do is in the file and at the repository."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.wire import (
    AC,
    CT,
    RJ,
    RQ,
    Command,
    Context,
    associate_ac,
    associate_rq,
    message,
    parse_associate,
)
from tests.shell.peers import Acceptor, Peer, eventually
from tests.shell.relay import LONG_PDUS, REQUEST, STORED, Pair, Relay, associated, config, relay
from tests.shell.repositories import Authority, Repository, TlsRepository, UdpRepository
from tests.watch.audit_tables import Told
from ulproxy.shell import outlet

PATIENT = "DOE^JOHN"
RETRIEVE = "1.2.840.10008.5.1.4.1.2.2"
BOTH = [Context(1, CT), Context(3, f"{RETRIEVE}.1")]
STORE: Command = {2: CT, 0x100: 1, 0x110: 1, 0x700: 0, 0x1000: "1.2.3"}
FIND: Command = {2: f"{RETRIEVE}.1", 0x100: 0x20, 0x110: 2, 0x700: 0}
FOUND = message(3, {2: f"{RETRIEVE}.1", 0x100: 0x8020, 0x120: 2, 0x900: 0})
# Patient's Name, implicit VR little endian
DATA_SET = b"\x10\x00\x10\x00" + len(PATIENT).to_bytes(4, "little") + PATIENT.encode()
LIMIT = bytes([0, 2, 3, 2])
PROCESS = (str(os.getpid()), False)
PAIR = (("SCU", True), ("PACS", False))
WORK = [
    Told("Application Activity", "Application Start", "0", (PROCESS,)),
    Told("Network Entry", "Attach", "0", (("SCU", False),)),
    Told("Query", "", "0", PAIR),
    Told("Security Alert", "Use of Restricted Function", "4", (PROCESS, ("SCU", False))),
    Told("DICOM Instances Transferred", "", "0", PAIR),
    Told("Network Entry", "Detach", "0", (("SCU", False),)),
]


@contextlib.asynccontextmanager
async def audited(directory: Path, **audit: Any) -> AsyncIterator[tuple[Relay, Acceptor]]:
    """A relay with `[audit]`, and the PACS that it calls."""
    with Acceptor() as acceptor:
        made = {**config(acceptor.port), "audit": audit}
        async with relay(directory, made) as running:
            yield running, acceptor


def url(repository: Repository) -> str:
    scheme = "tls" if isinstance(repository, TlsRepository) else "udp"
    return f"{scheme}://127.0.0.1:{repository.port}"


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def received(repository: Repository, number: int) -> list[Told]:
    await eventually(lambda: len(repository.received) >= number, f"{number} messages")
    return repository.told(number)


async def exchange(pair: Pair, request: bytes, response: bytes) -> None:
    await pair.client.send(request)
    assert await pair.pacs.exactly(len(request)) == request
    await pair.pacs.send(response)
    assert await pair.client.exactly(len(response)) == response


async def work(running: Relay, acceptor: Acceptor) -> None:
    """A C-STORE, a query, and a C-STORE that is refused, because its instance has the name of a patient."""
    with await Peer.connect(running.port()) as client:
        await client.send(associate_rq(BOTH, LONG_PDUS, called="FAR_PACS"))
        with await acceptor.accept() as pacs:
            asked = parse_associate(await pacs.expect(RQ))
            await pacs.send(associate_ac(asked, user=LONG_PDUS))
            await client.expect(AC)
            pair = Pair(client, pacs, running.session)
            await exchange(pair, message(1, STORE, DATA_SET), STORED)
            await exchange(pair, message(3, FIND, DATA_SET), FOUND)
            await client.send(message(1, {**STORE, 0x1000: PATIENT}, DATA_SET))
            await client.receive()
            await pair.release()
    await running.empty()


async def test_what_peers_do_is_in_the_file(tmp_path):
    file = tmp_path / "audit.jsonl"
    async with audited(tmp_path, file=str(file)) as (running, acceptor):
        await work(running, acceptor)
    found = entries(file)
    assert [entry["event"] for entry in found] == [
        "relay started",
        "operation",
        "operation",
        "operation",
        "association ended",
        "relay stopped",
    ]
    stored, queried, refused, ended = found[1:5]
    assert {
        "request": "C-STORE-RQ",
        "asking": "SCU",
        "asked": "PACS",
        "rule": 1,
        "sop_class": CT,
        "sop_instance": "1.2.3",
        "octets": len(DATA_SET) + 12,  # with the headers of its one fragment (PS3.8 9.3.5)
        "status": "0000H",
    }.items() <= stored.items()
    assert (queried["request"], queried["matches"]) == ("C-FIND-RQ", 0)
    assert (refused["status"], "sop_instance" in refused) == ("0117H", False)
    assert (ended["caller"], ended["callee"], ended["contexts"]) == ("SCU", "PACS", 2)
    assert len({entry["id"] for entry in found[1:5]}) == 1


@pytest.mark.parametrize("kind", ["tls", "udp"])
async def test_what_peers_do_is_told_to_the_repository(tmp_path, kind):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("relay")
    made: Repository
    tls: dict[str, Any] = {}
    if kind == "udp":
        made = UdpRepository()
    else:
        made = TlsRepository(authority.context("repository", ask=True))
        tls = {"tls": {"ca": str(authority.path), "certificate": str(certificate), "key": str(key)}}
    with made as repository:
        file = str(tmp_path / "audit.jsonl")
        async with audited(tmp_path, file=file, syslog=url(repository), **tls) as parts:
            await work(*parts)
            assert await received(repository, len(WORK)) == WORK
        stopped = (await received(repository, len(WORK) + 1))[-1]
    assert stopped.kind == "Application Stop"


async def test_no_patient_is_in_any_of_it(tmp_path):
    with UdpRepository() as repository:
        file = tmp_path / "audit.jsonl"
        async with audited(tmp_path, file=str(file), syslog=url(repository)) as parts:
            await work(*parts)
            await received(repository, len(WORK))
            log = json.dumps(parts[0].log.lines())
    written = file.read_bytes() + b"".join(repository.received) + log.encode()
    assert b"C-STORE-RQ" in written
    for name in (PATIENT.encode(), b"DOE"):
        assert name not in written


async def test_what_comes_while_the_repository_is_away_is_there_after_a_restart(tmp_path):
    file = str(tmp_path / "audit.jsonl")
    with UdpRepository() as away:
        address = url(away)
    async with audited(tmp_path, file=file, syslog=address) as parts:
        await work(*parts)
        await eventually(
            lambda: parts[0].log.lines("audit messages cannot be sent"), "it is missed"
        )
    with UdpRepository(away.port) as back:
        async with audited(tmp_path, file=file, syslog=address):
            found = await received(back, len(WORK) + 2)
        kinds = [one.kind for one in found if one.event == "Application Activity"]
    assert [one for one in found if one in WORK][: len(WORK)] == WORK
    assert kinds[:3] == ["Application Start", "Application Stop", "Application Start"]


async def test_without_an_audit_trail_nobody_is_let_in(tmp_path, monkeypatch):
    """Those who are in go on; it is recorded what they do when it can be again."""
    monkeypatch.setattr(outlet, "RETRY", 0.02)
    folder = tmp_path / "audit"
    folder.mkdir()
    async with audited(tmp_path, file=str(folder / "audit.jsonl")) as (running, acceptor):
        async with associated(running, acceptor) as pair:
            folder.rename(tmp_path / "gone")
            await pair.store(b"")
            await eventually(lambda: running.server.border.full, "the relay knows it")
            with await Peer.connect(running.port()) as client:
                await client.send(REQUEST)
                assert await client.expect(RJ) == LIMIT
            await pair.store(b"")
            (tmp_path / "gone").rename(folder)
            await eventually(lambda: not running.server.border.full, "and that it is over")
            async with associated(running, acceptor) as second:
                await second.release()
            await pair.release()
        await running.empty()
    found = [entry["event"] for entry in entries(folder / "audit.jsonl")]
    assert found.count("operation") == 2
    assert found.count("association rejected") == 1
    assert found.count("association ended") == 2


async def test_a_reload_moves_the_audit_file(tmp_path):
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    async with audited(tmp_path, file=str(first)) as (running, acceptor):
        running.reload({**running.config, "audit": {"file": str(second)}})
        await eventually(second.exists, "the new file")
        async with associated(running, acceptor) as pair:
            await pair.release()
        await running.empty()
        running.reload("no configuration")
        await eventually(lambda: running.log.lines("reload refused"), "it is refused")
    assert [entry["event"] for entry in entries(first)] == ["relay started", "reloaded"]
    assert [entry["event"] for entry in entries(second)] == [
        "association ended",
        "reload refused",
        "relay stopped",
    ]


async def test_callers_that_are_not_let_in_are_alerts(tmp_path):
    with UdpRepository() as repository:
        file = str(tmp_path / "audit.jsonl")
        async with audited(tmp_path, file=file, syslog=url(repository)) as (running, _):
            for request in (
                associate_rq(BOTH, called="FAR_PACS", calling="NOBODY"),
                associate_rq(BOTH, called="NOWHERE"),
                b"GET / HTTP/1.1\r\n\r\n",
            ):
                with await Peer.connect(running.port()) as client:
                    await client.send(request)
                    await client.receive()
            told = await received(repository, 3)
        by = {one.kind: one.participants[-1][0] for one in told if one.event == "Security Alert"}
    assert by == {"Node Authentication": "NOBODY", "Use of Restricted Function": "SCU"}


async def test_without_audit_there_is_none(tmp_path):
    with Acceptor() as acceptor:
        async with relay(tmp_path, config(acceptor.port)) as running:
            async with associated(running, acceptor) as pair:
                await pair.store(b"")
                await pair.release()
            await running.empty()
            assert running.log.lines("operation") == []
    assert [path.name for path in tmp_path.iterdir()] == ["relay.toml"]
