"""The trail: what of a session it takes, what becomes an entry, and how long things took."""

from __future__ import annotations

import json

import pytest

from tests.watch.audit_tables import Told, details, read
from tests.watch.trail import BORDER, INSIDE, OUTSIDE, RELEASED, WHO, Desk, config
from ulproxy.relay.effects import Record
from ulproxy.watch.audit_entry import encode

STORE, FIND = 0x01, 0x20
PROCESS = (("4711", False),)
FILE = "file:///etc/relay.toml"


def events(desk: Desk) -> list[object]:
    return [entry["event"] for entry in desk.entries]


def test_an_association_is_one_entry():
    desk = Desk()
    desk.established(contexts=3, refused_by_rules="move")
    desk.pass_time(seconds=2.5)
    desk.ended(inbound_octets=512)
    assert desk.entries == [
        {
            "time": "2026-11-24T12:00:02.500+00:00",
            "event": "association ended",
            **INSIDE._asdict(),
            **WHO,
            "contexts": 3,
            "refused_by_rules": "move",
            **RELEASED,
            "inbound_octets": 512,
        }
    ]


def test_a_rejected_association_is_one_entry():
    desk = Desk()
    desk.rejected((1, 1, 3))
    (entry,) = desk.entries
    assert (entry["event"], entry["answer"]) == ("association rejected", (1, 1, 3))
    assert json.loads(encode(entry))["answer"] == [1, 1, 3]


def test_associations_do_not_mix():
    desk = Desk()
    desk.established(contexts=1)
    desk.established(OUTSIDE, caller="HB_PACS", callee="WS1", contexts=2)
    desk.ended(OUTSIDE, caller="HB_PACS", callee="WS1")
    desk.ended()
    assert [(entry["id"], entry["contexts"]) for entry in desk.entries] == [
        ("3d4c", 2),
        ("1f2e", 1),
    ]
    assert desk.trail._associations == {}


def test_an_association_that_the_trail_has_not_seen_begin():
    """Auditing may be switched on by a reload."""
    desk = Desk()
    desk.done(STORE)
    desk.ended()
    assert events(desk) == ["operation", "association ended"]
    assert [one.event for one in desk.told()] == ["DICOM Instances Transferred"]


@pytest.mark.parametrize(
    "record",
    [
        Record("message refused", {"why": "no rule"}, warning=True),
        Record("message dropped", {"why": "no request"}, warning=True),
        Record("connection ended", {"outcome": "closed without asking for an association"}),
        Record("something else", {}),
    ],
)
def test_what_is_no_matter_of_the_trail(record):
    desk = Desk()
    desk.trail.record(INSIDE, record)
    assert (desk.entries, desk.told()) == ([], [])


def test_a_connection_that_was_no_dicom():
    desk = Desk()
    for _ in range(3):
        desk.trail.record(
            INSIDE, Record("connection ended", {"outcome": "it speaks HTTP"}, warning=True)
        )
    desk.pass_time(minutes=1)
    desk.trail.sweep()
    assert [(entry["outcome"], entry.get("again")) for entry in desk.entries] == [
        ("it speaks HTTP", None),
        ("it speaks HTTP", 2),
    ]
    alert = Told("Security Alert", "Node Authentication", "4", (*PROCESS, ("10.0.0.1", False)))
    assert desk.told() == [alert, alert]


def test_an_operation_is_one_entry():
    desk = Desk()
    desk.pass_time(seconds=10)
    desk.done(FIND, began=8.5, matches=3)
    (entry,) = desk.entries
    assert (entry["event"], entry["matches"], entry["seconds"]) == ("operation", 3, 1.5)


def test_no_operation_takes_less_than_no_time():
    desk = Desk()
    desk.done(FIND, began=5.0)
    assert desk.entries[0]["seconds"] == 0.0
    assert desk.messages[0].event.moment == desk.now


@pytest.mark.parametrize(
    ("started", "event", "kind"),
    [
        (True, "relay started", "Application Start"),
        (False, "relay stopped", "Application Stop"),
    ],
)
def test_the_relay_starts_and_stops(started, event, kind):
    desk = Desk()
    desk.trail.relay(started=started)
    assert events(desk) == [event]
    assert desk.told() == [Told("Application Activity", kind, "0", PROCESS)]


@pytest.mark.parametrize("begin", [True, False])
def test_recording_is_switched_by_a_reload(begin):
    desk = Desk()
    desk.trail.recording(started=begin)
    word = "started" if begin else "stopped"
    assert events(desk) == [f"audit {word}"]
    kind = f"Audit Recording {word.title()}"
    assert desk.told() == [Told("Security Alert", kind, "0", PROCESS)]


@pytest.mark.parametrize("end", ["relay", "recording"])
def test_at_the_end_nothing_is_kept_back(end):
    desk = Desk()
    desk.done(STORE)
    for _ in range(2):
        desk.rejected((1, 1, 3), OUTSIDE)
    desk.told()
    getattr(desk.trail, end)(started=True)
    assert len(desk.told()) == 1
    getattr(desk.trail, end)(started=False)
    assert [one.event for one in desk.told()][:2] == [
        "DICOM Instances Transferred",
        "Security Alert",
    ]


def test_a_reload():
    desk = Desk()
    desk.trail.configured(config(BORDER.replace("HOSP_A", "HOSP_C")), FILE)
    (entry,) = desk.entries
    assert (entry["event"], entry["file"]) == ("reloaded", FILE)
    root = read(desk.messages[0].encode())
    assert root.find("AuditSourceIdentification").get("AuditSourceID") == "HOSP_C"
    assert desk.told() == [Told("Security Alert", "Security Configuration", "0", PROCESS)]


def test_a_reload_that_is_refused():
    desk = Desk()
    desk.trail.not_configured(FILE, "line 3: title: is missing")
    (entry,) = desk.entries
    assert (entry["event"], entry["why"]) == ("reload refused", "line 3: title: is missing")
    assert desk.told() == [Told("Security Alert", "Security Configuration", "4", PROCESS)]


def test_what_stands_for_lost_records():
    desk = Desk()
    entry, message = desk.trail.lost("audit messages", 7)
    assert (entry["event"], entry["count"]) == ("audit records lost", 7)
    subject = read(message.encode()).find("ParticipantObjectIdentification")
    text = "7 audit messages could not be written and are lost"
    assert details(subject) == {"Alert Description": text}
    assert message.event.outcome == "12"
