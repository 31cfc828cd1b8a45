"""Command sets of every message, written by pynetdicom and read by ulproxy, and the other way round."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pynetdicom import dimse_messages as messages
from pynetdicom.dimse_primitives import (
    C_CANCEL,
    C_ECHO,
    C_FIND,
    C_GET,
    C_MOVE,
    C_STORE,
    N_ACTION,
    N_CREATE,
    N_DELETE,
    N_EVENT_REPORT,
    N_GET,
    N_SET,
)
from pynetdicom.dsutils import decode as read_data_set

from tests.dimse.pynet import read_by_pynetdicom, written_by_pynetdicom
from ulproxy.dimse.command import CommandField, CommandSet, Element, Status, command_set, decode

CLASS, INSTANCE = "1.2.840.10008.5.1.4.1.1.2", "1.2.826.0.1.3680043.8.498.1"
AFFECTED = {"AffectedSOPClassUID": CLASS}
REQUESTED = {"RequestedSOPClassUID": CLASS, "RequestedSOPInstanceUID": INSTANCE}
BOTH = {**AFFECTED, "AffectedSOPInstanceUID": INSTANCE}


def data_set() -> io.BytesIO:
    return io.BytesIO(b"\x08\x00\x05\x00\0\0\0\0")


# Message, primitive, what it says beside the message id, whether a data set follows, field (PS3.7 E.1-1)
REQUESTS = [
    ("C_ECHO", C_ECHO, AFFECTED, False, 0x0030),
    ("C_STORE", C_STORE, {**BOTH, "Priority": 2, "DataSet": data_set()}, True, 0x0001),
    ("C_FIND", C_FIND, {**AFFECTED, "Priority": 0, "Identifier": data_set()}, True, 0x0020),
    ("C_GET", C_GET, {**AFFECTED, "Priority": 0, "Identifier": data_set()}, True, 0x0010),
    (
        "C_MOVE",
        C_MOVE,
        {**AFFECTED, "Priority": 1, "MoveDestination": "WS1", "Identifier": data_set()},
        True,
        0x0021,
    ),
    (
        "N_EVENT_REPORT",
        N_EVENT_REPORT,
        {**BOTH, "EventTypeID": 1, "EventInformation": data_set()},
        True,
        0x0100,
    ),
    ("N_GET", N_GET, {**REQUESTED, "AttributeIdentifierList": [0x00100010]}, False, 0x0110),
    ("N_SET", N_SET, {**REQUESTED, "ModificationList": data_set()}, True, 0x0120),
    ("N_ACTION", N_ACTION, {**REQUESTED, "ActionTypeID": 1}, False, 0x0130),
    ("N_CREATE", N_CREATE, {**BOTH, "AttributeList": data_set()}, True, 0x0140),
    ("N_DELETE", N_DELETE, REQUESTED, False, 0x0150),
]
NAMES = [name for name, *_ in REQUESTS]


def made(primitive: Any, values: dict[str, Any]) -> Any:
    one = primitive()
    for keyword, value in values.items():
        setattr(one, keyword, value)
    return one


@pytest.mark.parametrize(("name", "primitive", "said", "follows", "field"), REQUESTS, ids=NAMES)
def test_requests(name, primitive, said, follows, field):
    written = written_by_pynetdicom(
        getattr(messages, f"{name}_RQ")(), made(primitive, {**said, "MessageID": 0xBEEF})
    )
    read = decode(written)
    assert (read.command_field, read.message_id) == (field, 0xBEEF)
    assert CommandField(read.request).name == f"{name}_RQ"
    assert (read.is_response, read.has_data_set) == (False, follows)
    assert read.has_valid_instance_uid
    for number, keyword in (
        (Element.AFFECTED_SOP_CLASS_UID, "AffectedSOPClassUID"),
        (Element.REQUESTED_SOP_CLASS_UID, "RequestedSOPClassUID"),
        (Element.AFFECTED_SOP_INSTANCE_UID, "AffectedSOPInstanceUID"),
        (Element.REQUESTED_SOP_INSTANCE_UID, "RequestedSOPInstanceUID"),
        (Element.MOVE_DESTINATION, "MoveDestination"),
    ):
        assert read.text(number) == said.get(keyword, "")
    assert read.encode() == written


@pytest.mark.parametrize("status", [0x0000, 0xFF00, 0xFF01, 0xA801, 0xB000])
@pytest.mark.parametrize(("name", "primitive", "said", "follows", "field"), REQUESTS, ids=NAMES)
def test_responses(name, primitive, said, follows, field, status):
    values = {"MessageIDBeingRespondedTo": 1, "Status": status, **AFFECTED}
    if INSTANCE in said.values():
        values["AffectedSOPInstanceUID"] = INSTANCE
    written = written_by_pynetdicom(getattr(messages, f"{name}_RSP")(), made(primitive, values))
    read = decode(written)
    assert (read.command_field, read.request) == (field | 0x8000, field)
    assert (read.is_response, read.has_data_set, read.message_id) == (True, False, 1)
    assert read.unsigned(Element.STATUS) == status
    assert read.is_pending is (status in (0xFF00, 0xFF01))
    assert read.encode() == written


def test_c_cancel_rq():
    written = written_by_pynetdicom(
        messages.C_CANCEL_RQ(), made(C_CANCEL, {"MessageIDBeingRespondedTo": 77})
    )
    read = decode(written)
    assert read.command_field == CommandField.C_CANCEL_RQ
    assert (read.message_id, read.has_data_set, read.is_response) == (77, False, False)
    assert read.encode() == written


def by_pydicom(values: dict[Element, str | int | None]) -> bytes:
    """pydicom's writer knows the VRs of group 0000 from its own dictionary, padding included."""
    body = Dataset()
    for number, value in values.items():
        if value is not None:
            setattr(body, KEYWORDS[number], value)
    written = DicomBytesIO()
    written.is_implicit_VR = written.is_little_endian = True
    write_dataset(written, body)
    length = len(written.getvalue()).to_bytes(4, "little")
    return bytes.fromhex("00000000 04000000") + length + written.getvalue()


KEYWORDS = {
    Element.AFFECTED_SOP_CLASS_UID: "AffectedSOPClassUID",
    Element.REQUESTED_SOP_CLASS_UID: "RequestedSOPClassUID",
    Element.COMMAND_FIELD: "CommandField",
    Element.MESSAGE_ID: "MessageID",
    Element.MESSAGE_ID_BEING_RESPONDED_TO: "MessageIDBeingRespondedTo",
    Element.MOVE_DESTINATION: "MoveDestination",
    Element.COMMAND_DATA_SET_TYPE: "CommandDataSetType",
    Element.STATUS: "Status",
    Element.ERROR_COMMENT: "ErrorComment",
    Element.AFFECTED_SOP_INSTANCE_UID: "AffectedSOPInstanceUID",
    Element.REQUESTED_SOP_INSTANCE_UID: "RequestedSOPInstanceUID",
    Element.NUMBER_OF_REMAINING_SUB_OPERATIONS: "NumberOfRemainingSuboperations",
    Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS: "NumberOfCompletedSuboperations",
    Element.NUMBER_OF_FAILED_SUB_OPERATIONS: "NumberOfFailedSuboperations",
    Element.NUMBER_OF_WARNING_SUB_OPERATIONS: "NumberOfWarningSuboperations",
    Element.MOVE_ORIGINATOR_AE_TITLE: "MoveOriginatorApplicationEntityTitle",
    Element.MOVE_ORIGINATOR_MESSAGE_ID: "MoveOriginatorMessageID",
}
SHORTS = [
    number
    for number in KEYWORDS
    if number.name.endswith(("FIELD", "_ID", "_TO", "_TYPE", "STATUS", "_OPERATIONS"))
]
UIDS = [number for number in KEYWORDS if number.name.endswith("_UID")]
TITLES = [Element.MOVE_DESTINATION, Element.MOVE_ORIGINATOR_AE_TITLE]
uid = st.lists(st.integers(0, 10**8).map(str), min_size=2, max_size=7).map(".".join)
title = st.text("ABCXYZ_019", min_size=1, max_size=16)
contents = st.fixed_dictionaries(
    {Element.COMMAND_FIELD: st.integers(0, 0xFFFF), Element.COMMAND_DATA_SET_TYPE: st.just(1)},
    optional={
        **dict.fromkeys(
            set(SHORTS) - {Element.COMMAND_FIELD, Element.COMMAND_DATA_SET_TYPE},
            st.integers(0, 0xFFFF),
        ),
        **dict.fromkeys(UIDS, uid),
        **dict.fromkeys(TITLES, title),
        Element.ERROR_COMMENT: st.text("abc xyz", max_size=60).map(str.strip),
    },
)


def test_every_element_is_here():
    assert set(KEYWORDS) == set(Element) - {Element.COMMAND_GROUP_LENGTH}
    assert {*SHORTS, *UIDS, *TITLES, Element.ERROR_COMMENT} == set(KEYWORDS)


@given(contents)
def test_pydicom_writes_and_reads_the_same(values):
    written = by_pydicom(values)
    read = decode(written)
    assert read.encode() == written
    assert read == command_set(values)
    for number, value in values.items():
        assert (read.unsigned if isinstance(value, int) else read.text)(number) == value
    again = read_data_set(io.BytesIO(read.encode()), True, True)
    assert again.CommandGroupLength == len(written) - 12
    for number, value in values.items():
        assert getattr(again, KEYWORDS[number]) == value


@given(contents, contents)
def test_replacing_is_writing_anew(before, after):
    read: CommandSet = decode(by_pydicom(before)).replaced(after)
    assert read.encode() == by_pydicom({**before, **after})


@pytest.mark.parametrize("title", ["A", "HA_WS1", "A" * 15, "A" * 16])
def test_a_move_destination_that_was_replaced(title):
    said = {**AFFECTED, "Priority": 1, "MoveDestination": "WS1", "MessageID": 1}
    move = made(C_MOVE, {**said, "Identifier": data_set()})
    read = decode(written_by_pynetdicom(messages.C_MOVE_RQ(), move))
    changed = read.replaced(
        {Element.MOVE_DESTINATION: title, Element.COMMAND_DATA_SET_TYPE: 0x0101}
    )
    assert read_by_pynetdicom(changed.encode()).MoveDestination.strip() == title


def test_statuses_are_pynetdicoms():
    from pynetdicom.status import GENERAL_STATUS, QR_MOVE_SERVICE_CLASS_STATUS

    for status in Status:
        assert (
            status in GENERAL_STATUS or status in QR_MOVE_SERVICE_CLASS_STATUS or status == 0xFF01
        )
