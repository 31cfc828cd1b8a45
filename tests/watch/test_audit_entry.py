"""Entries of the audit file: what they say, and what they never do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulproxy.dimse.services import Service
from ulproxy.relay.effects import Operation, Record
from ulproxy.watch.audit_entry import Source, association, encode, operation, uid

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SOURCE = Source("1f2e", "inside", "10.0.0.1:40000")
CT = "1.2.840.10008.5.1.4.1.1.2"
STORE: dict[str, Any] = {
    "service": Service.STORE,
    "request": 0x0001,
    "asking": "WS1",
    "asked": "HB_PACS",
    "message_id": 7,
    "sop_class": CT,
    "sop_instance": "1.2.3",
    "status": 0,
    "began": 5.0,
    "octets": 524_288,
    "rule": 2,
    "transfer_syntax": "1.2.840.10008.1.2.1",
}


def entry(seconds: float = 0.0, **facts: Any) -> dict[str, Any]:
    """As it is read from the file."""
    done = Operation(**{**STORE, **facts})
    line: dict[str, Any] = json.loads(encode(operation(SOURCE, done, seconds, NOON)))
    return line


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("10.0.0.1:40000", "10.0.0.1"),
        ("fd00::1:40000", "fd00::1"),
        ("fe80::1%eth0:40000", "fe80::1"),
        ("", ""),
    ],
)
def test_where_a_session_comes_from(peer, host):
    assert Source("1f", "inside", peer).host == host


def test_a_store():
    assert entry(1.23456) == {
        "time": "2026-11-24T12:00:00.000+00:00",
        "event": "operation",
        "id": "1f2e",
        "network": "inside",
        "peer": "10.0.0.1:40000",
        "service": "store",
        "request": "C-STORE-RQ",
        "asking": "WS1",
        "asked": "HB_PACS",
        "message_id": 7,
        "sop_class": CT,
        "sop_instance": "1.2.3",
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "rule": 2,
        "octets": 524_288,
        "status": "0000H",
        "seconds": 1.235,
    }


@pytest.mark.parametrize("matches", [0, 12])
def test_a_query_has_a_number_of_matches(matches):
    found = entry(request=0x20, service=Service.FIND, sop_instance="", matches=matches)
    assert found["matches"] == matches
    assert found["request"] == "C-FIND-RQ"
    assert "sop_instance" not in found


def test_a_move_has_a_destination_and_sub_operations():
    found = entry(request=0x21, destination="WS2", sub_operations=(3, 2, 1), status=0xB000)
    assert found["destination"] == "WS2"
    assert (found["completed"], found["failed"], found["warning"]) == (3, 2, 1)
    assert found["status"] == "B000H"


def test_what_has_no_final_response_says_so():
    assert entry(status=None)["status"] is None


def test_what_is_refused_says_why():
    found = entry(status=0x124, refused="no rule lets it", rule=None)
    assert (found["status"], found["refused"]) == ("0124H", "no rule lets it")
    assert "rule" not in found


def test_a_request_that_the_standard_does_not_have():
    assert entry(request=0x0042)["request"] == "0042H"


@pytest.mark.parametrize("element", ["sop_class", "sop_instance", "transfer_syntax"])
@pytest.mark.parametrize("sent", ["DOE^JOHN", "1.2.3\n", "1" * 65, "1.2 ", "\u0661.2"])
def test_what_is_no_uid_is_not_said(element, sent):
    """It may be anything: archives have been sent the name of a patient there."""
    assert element not in entry(**{element: sent})
    assert uid(sent) == ""


@pytest.mark.parametrize("sent", ["1.2.3", "1" * 64])
def test_uids(sent):
    assert uid(sent) == sent


def test_an_association_has_the_facts_of_its_beginning_and_its_end():
    record = Record("association ended", {"outcome": "released", "seconds": 2.5, "rule": 1})
    found = association(SOURCE, {"contexts": 3, "rule": 1}, record, NOON)
    assert found == {
        "time": "2026-11-24T12:00:00.000+00:00",
        "event": "association ended",
        "id": "1f2e",
        "network": "inside",
        "peer": "10.0.0.1:40000",
        "contexts": 3,
        "rule": 1,
        "outcome": "released",
        "seconds": 2.5,
    }


@given(st.dictionaries(st.text(min_size=1), st.text() | st.binary() | st.none() | st.floats()))
def test_an_entry_is_one_line(facts):
    line = encode(facts)
    assert line.isascii()
    assert b"\n" not in line
    assert json.loads(line).keys() == facts.keys()
