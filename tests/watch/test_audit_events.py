"""The messages of PS3.15 A.5.3, each against its table and the schema of A.5.1."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydicom.sr._concepts_dict import concepts

from tests.watch import audit_tables
from tests.watch.audit_tables import Told, code, details, read, told
from ulproxy.watch import audit_events as events
from ulproxy.watch.audit_events import NOT_KNOWN, Party, Relay, Transfer
from ulproxy.watch.audit_message import Code, Outcome, SopClass

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RELAY = Relay("HOSP_A", "4711")
WS1 = Party("WS1", ("WS1", "HA_WS1"), "10.0.0.1")
WS2 = Party("WS2", ("WS2",))
PACS = Party("HB_PACS", ("PACS",), "pacs.hb.example")
MINOR = Outcome.MINOR_FAILURE
CODES = [value for value in vars(events).values() if isinstance(value, Code)]


@pytest.mark.parametrize("one", CODES, ids=lambda one: one.meaning)
def test_codes_are_those_of_the_standard(one):
    """PS3.16 annex D by pydicom; RFC 3881's are numbers of PS3.15 A.5.1.2.4."""
    if one.system == "RFC-3881":
        assert one in {Code("2", "RFC-3881", "Patient Number"), Code("12", "RFC-3881", "URI")}
        return
    terms: Any = concepts["DCM"]
    meanings = {c: meaning for term in terms.values() for c, (meaning, _) in term.items()}
    assert meanings[one.value] == one.meaning


def test_the_tables_are_of_codes_that_are_used():
    known = {tuple(one) for one in CODES}
    assert set(audit_tables.TABLES) <= known


@pytest.mark.parametrize(("started", "kind"), [(True, "Start"), (False, "Stop")])
def test_application_activity(started, kind):
    root = read(RELAY.application_activity(NOON, started=started).encode())
    assert told(RELAY.application_activity(NOON, started=started).encode()) == Told(
        "Application Activity", f"Application {kind}", "0", (("4711", False),)
    )
    participant = root.find("ActiveParticipant")
    assert participant.get("AlternativeUserID") == "AETITLES=HOSP_A"
    assert participant.get("UserName") == "ulproxy"


@pytest.mark.parametrize(("attached", "kind"), [(True, "Attach"), (False, "Detach")])
def test_network_entry(attached, kind):
    document = RELAY.network_entry(NOON, WS1, attached=attached).encode()
    assert told(document) == Told("Network Entry", kind, "0", (("WS1", False),))
    participant = read(document).find("ActiveParticipant")
    assert participant.get("AlternativeUserID") == "AETITLES=WS1;HA_WS1"
    assert participant.get("NetworkAccessPointID") == "10.0.0.1"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_query(outcome):
    transfer = Transfer(WS1, PACS, WS1)
    document = RELAY.query(NOON, transfer, outcome, "1.2.3", "1.2.840.10008.1.2").encode()
    participants = (("WS1", True), ("HB_PACS", False))
    assert told(document) == Told("Query", "", outcome, participants)
    queried = read(document).find("ParticipantObjectIdentification")
    assert queried.get("ParticipantObjectID") == "1.2.3"
    assert details(queried) == {"TransferSyntax": "1.2.840.10008.1.2"}


def test_the_keys_of_a_query_are_nobody_elses_business():
    document = RELAY.query(NOON, Transfer(WS1, PACS), Outcome.SUCCESS, "", "").encode()
    queried = read(document).find("ParticipantObjectIdentification")
    assert queried.get("ParticipantObjectID") == NOT_KNOWN
    assert queried.find("ParticipantObjectQuery").text is None


@pytest.mark.parametrize(
    ("transfer", "expected"),
    [
        (Transfer(WS1, PACS, WS1), (("WS1", True), ("HB_PACS", False))),
        (Transfer(PACS, WS1, WS1), (("HB_PACS", False), ("WS1", True))),
        (Transfer(PACS, WS2, WS1), (("HB_PACS", False), ("WS2", False), ("WS1", True))),
        (Transfer(PACS, WS1), (("HB_PACS", False), ("WS1", False))),
        (Transfer(WS1, WS1, WS1), (("WS1", True), ("WS1", False))),
    ],
    ids=["pushed", "pulled", "moved", "nobody knows who asked", "to itself"],
)
def test_who_takes_part_in_a_transfer(transfer, expected):
    """Source and destination in their roles; one requestor at most, even where an AE talks to itself."""
    begin = RELAY.begin_transferring(NOON, transfer, Outcome.SUCCESS, []).encode()
    done = RELAY.instances_transferred(
        NOON, transfer, Outcome.SUCCESS, SopClass("1.2", 1), []
    ).encode()
    assert told(begin) == Told("Begin Transferring DICOM Instances", "", "0", expected)
    assert told(done) == Told("DICOM Instances Transferred", "", "0", expected)


def test_instances_that_were_transferred():
    later = NOON + timedelta(minutes=1)
    classes = SopClass("1.2.840.10008.5.1.4.1.1.2", 3, ("1.1", "1.2"))
    message = RELAY.instances_transferred(
        later, Transfer(WS1, PACS, WS1), MINOR, classes, [("Association", "1f")]
    )
    root = read(message.encode())
    event = root.find("EventIdentification")
    assert event.get("EventDateTime") == "2026-11-24T12:01:00.000+00:00"
    assert event.get("EventOutcomeIndicator") == "4"
    study, patient = root.findall("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectID") == patient.get("ParticipantObjectID") == NOT_KNOWN
    assert details(study) == {"Association": "1f"}
    sop_class = study.find("ParticipantObjectDescription/SOPClass")
    assert sop_class.get("NumberOfInstances") == "3"
    assert [one.get("UID") for one in sop_class] == ["1.1", "1.2"]


@pytest.mark.parametrize(
    ("host", "node_id"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("fd00::1", "fd00::1"),
        ("pacs.hb.example", "pacs@hb.example"),
        ("pacs", "pacs"),
        ("", "X"),
    ],
)
def test_a_security_alert_names_the_node(host, node_id):
    kind = events.RESTRICTED_FUNCTION
    node = Party("X", ("X",), host)
    document = RELAY.security_alert(NOON, kind, "no rule", node, MINOR).encode()
    assert told(document) == Told(
        "Security Alert", "Use of Restricted Function", "4", (("4711", False), ("X", False))
    )
    subject = read(document).find("ParticipantObjectIdentification")
    assert subject.get("ParticipantObjectID") == node_id
    assert code(subject.find("ParticipantObjectIDTypeCode")) == events.NODE_ID
    assert details(subject) == {"Alert Description": "no rule"}


def test_a_security_alert_about_the_relay_itself():
    kind = events.RECORDING_STARTED
    document = RELAY.security_alert(NOON, kind, "3 lost", None, Outcome.MAJOR_FAILURE).encode()
    participants = (("4711", False),)
    assert told(document) == Told("Security Alert", "Audit Recording Started", "12", participants)
    subject = read(document).find("ParticipantObjectIdentification")
    assert subject.get("ParticipantObjectID") == "HOSP_A"


def test_a_new_configuration_is_a_security_alert():
    document = RELAY.configured(NOON, "file:///etc/relay.toml", "in force", Outcome.SUCCESS)
    assert told(document.encode()) == Told(
        "Security Alert", "Security Configuration", "0", (("4711", False),)
    )
    subject = read(document.encode()).find("ParticipantObjectIdentification")
    assert subject.get("ParticipantObjectID") == "file:///etc/relay.toml"
    assert subject.get("ParticipantObjectTypeCodeRole") == "5"
    assert code(subject.find("ParticipantObjectIDTypeCode")) == events.URI


def breaks(old: bytes, new: bytes) -> bytes:
    """A query in which something else stands; the pattern is there once at least."""
    document = RELAY.query(NOON, Transfer(WS1, PACS, WS1), Outcome.SUCCESS, "1.2", "1.2").encode()
    assert re.search(old, document)
    return re.sub(old, new, document)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'EventActionCode="E"', b'EventActionCode="R"'),
        (b'EventOutcomeIndicator="0"', b'EventOutcomeIndicator="1"'),
        (rb"\+00:00", b""),
        (b'UserIsRequestor="false"', b'UserIsRequestor="true"'),
        (b'csd-code="110152"', b'csd-code="110153"'),
        (b"AETITLES=", b""),
        (b' NetworkAccessPointTypeCode="[12]"', b""),
        (b'ParticipantObjectTypeCode="2"', b'ParticipantObjectTypeCode="1"'),
        (b"<ParticipantObjectQuery ?/>", b"<ParticipantObjectName/>"),
        (b"TransferSyntax", b"Transfer"),
        (b"AuditSourceID", b"AuditSource"),
        (b"<ParticipantObjectIdentification .*</ParticipantObjectIdentification>", b""),
    ],
)
def test_the_tables_would_see_it(old, new):
    with pytest.raises(AssertionError):
        read(breaks(old, new))
