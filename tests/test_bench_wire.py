"""The benchmark's own sender and sink, against pynetdicom and against each other."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from benchmarks import wire
from benchmarks.load import encoded, endless

ROOT = Path(__file__).parents[1]
EXPLICIT = "1.2.840.10008.1.2.1"


@contextmanager
def sink(*arguments):
    command = [sys.executable, "-m", "benchmarks.sink", *arguments]
    process: Any = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield list(map(int, process.stdout.readline().split()[1:]))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def load(*arguments):
    command = [sys.executable, "-m", "benchmarks.load", *map(str, arguments)]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(ended.stdout)


def test_the_sink_answers_pynetdicom():
    caller = AE("BENCH_SCU")
    for uid in (wire.VERIFICATION, wire.CT_IMAGE):
        caller.add_requested_context(uid, EXPLICIT)
    dataset: Any = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = wire.CT_IMAGE, "1.2.3"
    dataset.PixelData = bytes(100_000)
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = Dataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    with sink("16384") as (port,):
        association = caller.associate("127.0.0.1", port)
        assert association.send_c_echo().Status == 0
        assert association.send_c_store(dataset).Status == 0
        assert association.send_c_echo().Status == 0
        association.release()


def test_the_sink_finds_what_it_was_told_to():
    caller, identifier = AE("BENCH_SCU"), Dataset()
    caller.add_requested_context(wire.STUDY_ROOT_FIND, EXPLICIT)
    identifier.QueryRetrieveLevel = "STUDY"
    with sink("--responses", "3", "16384") as (port,):
        association = caller.associate("127.0.0.1", port)
        answers: Any = list(association.send_c_find(identifier, wire.STUDY_ROOT_FIND))
        association.release()
    assert [status.Status for status, _ in answers] == [0xFF00] * 3 + [0]
    assert [found.AccessionNumber for _, found in answers[:3]] == [
        "00000000",
        "00000001",
        "00000002",
    ]
    assert {found.RetrieveAETitle for _, found in answers[:3]} == {"FIND"}


@pytest.mark.parametrize("size", [2, 3000, 16384, 1_000_000])
def test_pynetdicom_receives_what_the_sender_sends(size):
    received = []

    def store(event):
        received.append((event.dataset, event.request.AffectedSOPInstanceUID))
        return 0

    called = AE("SINK")
    called.add_supported_context(wire.CT_IMAGE, EXPLICIT)
    server: Any = called.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    try:
        figures = load("store", server.socket.getsockname()[1], "SINK", 16384, 2, size)
    finally:
        server.shutdown()
    assert [len(dataset.PixelData) for dataset, _ in received] == [size, size]
    assert {uid for _, uid in received} == {wire.INSTANCE}
    assert figures["bytes"] > 2 * size


@pytest.mark.parametrize("pdu", [16384, 65536, 131072])
@pytest.mark.parametrize("size", [10, 16384, 131072, 524288, 20 * 2**20])
def test_no_pdu_is_longer_than_agreed_and_the_last_fragment_ends_the_object(pdu, size):
    stream = b"".join(block * times for block, times in encoded(size, pdu))
    fragments, at = [], 0
    while at < len(stream):
        kind, length = wire.PDU_HEADER.unpack_from(stream, at)
        inner, _, control = wire.PDV_HEADER.unpack_from(stream, at + 6)
        assert (kind, inner) == (wire.DATA, length - 4)
        assert length <= pdu
        fragments.append((control, length - 6))
        at += 6 + length
    controls = [control for control, _ in fragments]
    assert controls == [wire.COMMAND | wire.LAST, *[0] * (len(controls) - 2), wire.LAST]
    assert sum(count for _, count in fragments[1:]) == len(wire.image(size)) + size


def test_what_is_longer_than_a_length_can_say_is_encapsulated():
    (command, _), (head, _), (items, times), (end, _) = endless(5 * 10**9, 131072)
    assert len(items) * times > 5 * 10**9
    assert items[12:20] == wire.item_header(131072 - 6 - 8)
    assert items[131072 + 6 :][12:20] == items[12:20]
    assert end.endswith(wire.sequence_end())
    controls = [block[11] for block in (command, head, end)]
    assert controls == [wire.COMMAND | wire.LAST, 0, wire.LAST]


def test_sender_and_sink_of_our_own():
    with sink("--responses", "5", "16384", "131072") as (small, large):
        assert load("cycles", small, "SINK", 8, 4)["rate"] > 0
        assert load("find", small, "SINK")["responses"] == 5
        assert load("store", large, "SINK", 131072, 3, 2**20)["bytes"] > 3 * 2**20
