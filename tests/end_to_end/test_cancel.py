"""C-CANCEL stops a running query, move and get: the SCP gets it and its FE00 reaches the requestor.

The SCP answers twice and then waits for the cancel, so a cancel that gets lost on the way is noticed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import build_context, build_role, evt

from tests.end_to_end.dcmtk import Client
from tests.end_to_end.files import samples
from tests.end_to_end.peers import Way, ae, border, free_port, relay, rule, wait_until
from tests.end_to_end.pynet import Stored, association, entity, record_into, scp
from tests.end_to_end.uids import CT_IMAGE, STUDY_FIND, STUDY_GET, STUDY_MOVE

CT_FILES = [f for f in samples() if f.sop_class == CT_IMAGE][:2]


@dataclass
class SlowPacs:
    """Two answers, then nothing until it is told to stop."""

    hosts: dict[str, int] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def _end(self, event: Any) -> int:
        self.asked.append(event.request.MessageID)
        try:
            wait_until(lambda: event.is_cancelled, "the SCP gets the C-CANCEL")
        except AssertionError:
            return 0xC001
        self.cancelled.append(type(event.request).__name__)
        return 0xFE00

    def find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(2):
            match = Dataset()
            match.QueryRetrieveLevel = "STUDY"
            match.StudyInstanceUID = f"1.2.3.{number}"
            yield 0xFF00, match
        yield self._end(event), None

    def get(self, event: Any) -> Iterator[Any]:
        yield 100
        for file in CT_FILES:
            yield 0xFF00, pydicom.dcmread(file.path)
        failed = Dataset()
        failed.FailedSOPInstanceUIDList = ["1.2.3.4"]
        yield self._end(event), failed

    def move(self, event: Any) -> Iterator[Any]:
        contexts = [build_context(CT_IMAGE)]
        yield "127.0.0.1", self.hosts[event.move_destination], {"contexts": contexts}
        yield from self.get(event)


@pytest.fixture(scope="module")
def pacs() -> SlowPacs:
    return SlowPacs()


@pytest.fixture(scope="module")
def scu_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def ways(
    pacs: SlowPacs, scu_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Way]]:
    server = entity("PACS")
    server.add_supported_context(STUDY_FIND)
    server.add_supported_context(STUDY_MOVE)
    server.add_supported_context(STUDY_GET)
    server.add_supported_context(CT_IMAGE, scu_role=True, scp_role=True)
    handlers = [
        (evt.EVT_C_FIND, pacs.find),
        (evt.EVT_C_MOVE, pacs.move),
        (evt.EVT_C_GET, pacs.get),
    ]
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(scp(server, handlers))
        aes = [ae("SCU", "west", scu_port, alias="FAR_SCU"), ae("PACS", "east", port, alias="FAR")]
        config = border(aes, [rule(["SCU"], ["PACS"])])
        running = stack.enter_context(relay(config, tmp_path_factory.mktemp("cancel")))
        pacs.hosts = {"SCU": scu_port, "FAR_SCU": running.ports["east"]}
        yield {
            "direct": Way("direct", port, "PACS"),
            "relay": Way("relay", running.ports["west"], "FAR"),
        }


@pytest.fixture
def client(scu_port, tmp_path):
    return Client(scu_port, tmp_path)


def test_findscu_cancels(by, ways, pacs, client):
    pacs.cancelled.clear()
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID")
    done = client.run("findscu", ways[by], "-v", "-S", "--cancel", "2", *keys)
    assert re.search(r"Final Find Response.*\(Cancel", done.stdout + done.stderr), done.stderr
    assert pacs.cancelled == ["C_FIND"]


def test_movescu_cancels(by, ways, pacs, client, tmp_path):
    pacs.cancelled.clear()
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3")
    receiver = ("-aem", "SCU", "+P", str(client.port))
    done = client.run("movescu", ways[by], "-d", "-S", "--cancel", "2", *receiver, *keys)
    assert re.search(r"0xfe00", done.stdout + done.stderr), done.stderr[-2000:]
    assert pacs.cancelled == ["C_MOVE"]


def test_pynetdicom_cancels_a_find(by, ways, pacs):
    pacs.cancelled.clear()
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    model = STUDY_FIND
    with association(entity("SCU"), ways[by].port, ways[by].called, [build_context(model)]) as made:
        statuses = []
        for status, _ in made.send_c_find(query, model, msg_id=77):
            statuses.append(status.Status)
            if len(statuses) == 2:
                made.send_c_cancel(77, query_model=model)
    assert statuses == [0xFF00, 0xFF00, 0xFE00]
    assert pacs.cancelled == ["C_FIND"]
    assert pacs.asked[-1] == 77


def test_pynetdicom_cancels_a_move(by, ways, pacs, scu_port):
    pacs.cancelled.clear()
    stored: list[Stored] = []
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = "1.2.3"
    model = STUDY_MOVE
    receiver = entity("SCU")
    receiver.add_supported_context(CT_IMAGE)
    with (
        scp(receiver, [(evt.EVT_C_STORE, record_into(stored))], scu_port),
        association(entity("SCU"), ways[by].port, ways[by].called, [build_context(model)]) as made,
    ):
        final = None
        for number, (status, _) in enumerate(made.send_c_move(query, "SCU", model, msg_id=9)):
            final = status
            if number == 1:
                made.send_c_cancel(9, query_model=model)
    assert final is not None
    assert final.Status == 0xFE00
    assert final.NumberOfRemainingSuboperations == 98
    assert pacs.cancelled == ["C_MOVE"]


def test_pynetdicom_cancels_a_get(by, ways, pacs):
    pacs.cancelled.clear()
    stored: list[Stored] = []
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = "1.2.3"
    model = STUDY_GET
    contexts = [build_context(model), build_context(CT_IMAGE)]
    roles = [build_role(CT_IMAGE, scp_role=True)]
    handlers = [(evt.EVT_C_STORE, record_into(stored))]
    way = ways[by]
    with association(entity("SCU"), way.port, way.called, contexts, handlers, roles) as made:
        final = None
        for number, (status, _) in enumerate(made.send_c_get(query, model, msg_id=5)):
            final = status
            if number == 1:
                made.send_c_cancel(5, query_model=model)
    assert final is not None
    assert final.Status == 0xFE00
    assert final.NumberOfCompletedSuboperations == 2
    assert len(stored) == 2
    assert pacs.cancelled == ["C_GET"]
