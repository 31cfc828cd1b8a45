"""Audit messages as XML: whatever is in them, a document is of PS3.15 A.5.1 and says what it was given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from tests.watch.audit_tables import SCHEMA, code, details
from ulproxy.watch.audit_message import (
    Action,
    AuditMessage,
    Code,
    Event,
    Outcome,
    Participant,
    ParticipantObject,
    SopClass,
    is_address,
    stamp,
)

NOON = datetime(2026, 11, 24, 12, 0, 0, 1500, UTC)
QUERY = Code("110112", "DCM", "Query")
EVENT = Event(QUERY, Action.EXECUTE, NOON)
WS1 = Participant("WS1")
STUDY = Code("110180", "DCM", "Study Instance UID")


def parsed(message: AuditMessage) -> Any:
    root = etree.fromstring(message.encode())
    assert SCHEMA.validate(root), SCHEMA.error_log
    return root


def with_object(**fields: Any) -> Any:
    """The object element of a message that has this one."""
    entry = ParticipantObject("1.2.3", STUDY, "2", "3", **fields)
    root = parsed(AuditMessage(EVENT, (WS1,), "HOSP_A", (entry,)))
    return root.find("ParticipantObjectIdentification")


def test_a_document_is_utf_8_and_says_so():
    document = AuditMessage(EVENT, (Participant("Röntgen"),), "HOSP_A").encode()
    assert document.startswith(b'<?xml version="1.0" encoding="UTF-8"?><AuditMessage>')
    assert "Röntgen".encode() in document


def test_the_event():
    start = Code("110120", "DCM", "Application Start")
    event = Event(QUERY, Action.READ, NOON, Outcome.SERIOUS_FAILURE, start)
    element = parsed(AuditMessage(event, (WS1,), "HOSP_A")).find("EventIdentification")
    assert dict(element.attrib) == {
        "EventActionCode": "R",
        "EventDateTime": "2026-11-24T12:00:00.001+00:00",
        "EventOutcomeIndicator": "8",
    }
    assert [child.tag for child in element] == ["EventID", "EventTypeCode"]
    assert code(element.find("EventID")) == QUERY
    assert code(element.find("EventTypeCode")) == start


def test_what_is_not_known_is_left_out():
    root = parsed(AuditMessage(EVENT, (WS1,), "HOSP_A"))
    assert [child.tag for child in root.find("EventIdentification")] == ["EventID"]
    participant = root.find("ActiveParticipant")
    assert dict(participant.attrib) == {"UserID": "WS1", "UserIsRequestor": "false"}
    assert len(participant) == 0


def test_the_source():
    source = parsed(AuditMessage(EVENT, (WS1,), "HOSP_A")).find("AuditSourceIdentification")
    assert dict(source.attrib) == {"AuditSourceID": "HOSP_A"}
    assert [dict(child.attrib) for child in source] == [{"csd-code": "4"}]


def test_a_participant():
    role = Code("110153", "DCM", "Source Role ID")
    participant = Participant("12", ("WS1", "HA_WS1"), "ulproxy", True, role, "10.0.0.5")
    element = parsed(AuditMessage(EVENT, (participant,), "HOSP_A")).find("ActiveParticipant")
    assert dict(element.attrib) == {
        "UserID": "12",
        "AlternativeUserID": "AETITLES=WS1;HA_WS1",
        "UserName": "ulproxy",
        "UserIsRequestor": "true",
        "NetworkAccessPointID": "10.0.0.5",
        "NetworkAccessPointTypeCode": "2",
    }
    assert code(element.find("RoleIDCode")) == role


@pytest.mark.parametrize(
    ("host", "kind"),
    [("10.0.0.5", "2"), ("fd00::5", "2"), ("pacs.example", "1"), ("1.2.3", "1"), ("pacs", "1")],
)
def test_an_address_or_a_name(host, kind):
    message = AuditMessage(EVENT, (Participant("WS1", host=host),), "HOSP_A")
    element = parsed(message).find("ActiveParticipant")
    assert element.get("NetworkAccessPointID") == host
    assert element.get("NetworkAccessPointTypeCode") == kind
    assert is_address(host) == (kind == "2")


def test_an_object_with_a_name():
    element = with_object(name="a study", details=(("Rule", "7"), ("Alert Description", "böse")))
    assert element.get("ParticipantObjectID") == "1.2.3"
    assert element.find("ParticipantObjectName").text == "a study"
    assert details(element) == {"Rule": "7", "Alert Description": "böse"}
    assert element.find("ParticipantObjectDescription") is None


@pytest.mark.parametrize(("query", "written"), [(b"", None), (b"\0\xff", "AP8=")])
def test_an_object_with_a_query_has_no_name(query, written):
    element = with_object(name="not this", query=query)
    assert element.find("ParticipantObjectName") is None
    assert element.find("ParticipantObjectQuery").text == written


def test_instances_of_an_object():
    classes = (SopClass("1.2", 3, ("1.2.1", "1.2.2")), SopClass("", 4))
    found = with_object(sop_classes=classes).findall("ParticipantObjectDescription/SOPClass")
    assert [dict(one.attrib) for one in found] == [
        {"UID": "1.2", "NumberOfInstances": "3"},
        {"NumberOfInstances": "4"},
    ]
    assert [one.get("UID") for one in found[0]] == ["1.2.1", "1.2.2"]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_is_no_success_is_alarming(outcome):
    message = AuditMessage(Event(QUERY, Action.EXECUTE, NOON, outcome), (WS1,), "HOSP_A")
    assert message.is_alarming == (outcome != "0")


def test_a_time_keeps_its_zone():
    zone = timezone(timedelta(hours=-3))
    assert stamp(datetime(2026, 1, 2, 3, 4, 5, 999_999, zone)) == "2026-01-02T03:04:05.999-03:00"


@pytest.mark.parametrize("sent", ["\0", "\x1b[2J", "\x0b", "\ud800", "\ufffe", "\uffff"])
def test_what_xml_does_not_have_is_replaced(sent):
    element = parsed(AuditMessage(EVENT, (Participant(f"WS{sent}1"),), "HOSP_A"))
    written = element.find("ActiveParticipant").get("UserID")
    assert written == "WS" + sent.replace(sent[0], "?") + "1"


@given(st.text(), st.text(), st.text(), st.binary())
def test_no_text_breaks_out_of_its_place(user, name, value, query):
    """Nor does it come out as another one, but for characters that XML does not have."""
    entries = (
        ParticipantObject(user, STUDY, "2", "3", name, details=(("Rule", value),)),
        ParticipantObject(
            name, STUDY, "2", "3", query=query, sop_classes=(SopClass(user, 1, (name,)),)
        ),
    )
    root = parsed(AuditMessage(EVENT, (Participant(user, (name,), value),), user, entries))
    assert [child.tag for child in root] == [
        "EventIdentification",
        "ActiveParticipant",
        "AuditSourceIdentification",
        "ParticipantObjectIdentification",
        "ParticipantObjectIdentification",
    ]
    if user.isprintable():
        assert root.find("ActiveParticipant").get("UserID") == user
    assert details(root[3]) == {"Rule": value.encode(errors="replace").decode()}
