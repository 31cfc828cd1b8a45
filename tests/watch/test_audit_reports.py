"""Which audit messages come of what happens, each against the tables and the schema of PS3.15."""

from __future__ import annotations

import pytest

from tests.watch.audit_tables import Told, details, read
from tests.watch.trail import BORDER, INSIDE, OUTSIDE, Desk, config
from ulproxy.watch.audit_batch import MAX_INSTANCES
from ulproxy.watch.audit_entry import Source
from ulproxy.watch.audit_message import AuditMessage, Outcome
from ulproxy.watch.audit_reports import outcome_of

STORE, FIND, MOVE, GET, ECHO = 0x01, 0x20, 0x21, 0x10, 0x30
ATTACH = Told("Network Entry", "Attach", "0", (("WS1", False),))
DETACH = Told("Network Entry", "Detach", "0", (("WS1", False),))
TRANSFERRED = "DICOM Instances Transferred"
BEGIN = "Begin Transferring DICOM Instances"
PUSHED = (("WS1", True), ("HB_PACS", False))


def sop_class(message: AuditMessage) -> tuple[str | None, int, list[str]]:
    """The SOP class of a transfer, the number of its instances and their UIDs."""
    element = read(message.encode()).find(".//SOPClass")
    uids = [instance.get("UID") for instance in element]
    return element.get("UID"), int(element.get("NumberOfInstances")), uids


def alert(message: AuditMessage) -> tuple[str, str]:
    """Whom a security alert is about, and what it says."""
    subject = read(message.encode()).find("ParticipantObjectIdentification")
    return subject.get("ParticipantObjectID"), details(subject)["Alert Description"]


# Network Entry -------------------------------------------------------------------------------------


def test_a_node_enters_with_its_first_association_and_leaves_with_its_last():
    desk = Desk()
    second = INSIDE._replace(id="2e2e")
    desk.established()
    assert desk.told() == [ATTACH]
    desk.established(second)
    desk.ended()
    assert desk.told() == []
    desk.ended(second)
    assert desk.told() == [DETACH]


def test_the_same_ae_from_another_address_is_another_node():
    desk = Desk()
    elsewhere = Source("2e2e", "inside", "10.0.0.9:40000")
    desk.established()
    desk.established(elsewhere)
    assert desk.told() == [ATTACH, ATTACH]
    desk.ended()
    desk.ended(elsewhere)
    assert desk.told() == [DETACH, DETACH]


def test_nobody_enters_its_own_network():
    desk = Desk()
    desk.established(callee="WS2")
    desk.ended(callee="WS2")
    assert desk.told() == []


@pytest.mark.parametrize("facts", [{"caller": None}, {"callee": None}, {"callee": ""}])
def test_whoever_calls_the_relay_itself_enters_no_network(facts):
    """Nor does an archive before it is known for whom it calls."""
    desk = Desk()
    desk.established(**facts)
    desk.ended()
    assert desk.told() == []


@pytest.mark.parametrize(
    ("callees", "expected"),
    [("HB_PACS, STATION", [ATTACH]), ("WS2, HB_PACS", [ATTACH]), ("WS2, WS1", [])],
)
def test_a_group_may_be_of_other_networks(callees, expected):
    desk = Desk()
    desk.established(callee=callees)
    assert desk.told() == expected


def test_an_ae_that_a_reload_removes_still_leaves():
    desk = Desk()
    desk.established()
    desk.trail.configured(config(BORDER.replace('"WS1"', '"WS3"')), "file:///relay.toml")
    desk.told()
    desk.ended()
    assert desk.told() == [DETACH]


# DICOM Instances Transferred -----------------------------------------------------------------------


def test_instances_of_an_association_are_one_message():
    desk = Desk()
    desk.established()
    desk.told()
    for number in range(3):
        desk.done(STORE, sop_instance=f"1.2.{number}", octets=100)
    assert desk.told() == []
    desk.ended()
    transferred = desk.messages[0]
    assert sop_class(transferred) == ("1.2.840.10008.5.1.4.1.1.2", 3, ["1.2.0", "1.2.1", "1.2.2"])
    study = read(transferred.encode()).find("ParticipantObjectIdentification")
    assert details(study) == {"Association": "1f2e", "Rule": "1", "Octets": "300"}
    assert desk.told() == [Told(TRANSFERRED, "", "0", PUSHED), DETACH]


def test_many_instances_do_not_wait_for_the_end():
    desk = Desk()
    desk.established()
    desk.told()
    for _ in range(MAX_INSTANCES):
        desk.done(STORE)
    assert desk.told() == [Told(TRANSFERRED, "", "0", PUSHED)]
    desk.done(STORE)
    desk.pass_time(minutes=5)
    desk.trail.sweep()
    assert desk.told() == [Told(TRANSFERRED, "", "0", PUSHED)]


def test_what_failed_is_a_message_of_its_own():
    desk = Desk()
    desk.established()
    for status in (0x0000, 0xA700, 0xB000, None):
        desk.done(STORE, status=status)
    desk.messages.clear()
    desk.ended()
    transfers = desk.messages[:-1]
    assert [(one.event.outcome, sop_class(one)[1]) for one in transfers] == [
        (Outcome.SUCCESS, 2),
        (Outcome.MINOR_FAILURE, 1),
        (Outcome.SERIOUS_FAILURE, 1),
    ]


def test_an_instance_that_no_rule_let_through():
    """The relay only observes: there is none to name."""
    desk = Desk()
    desk.done(STORE, rule=None)
    desk.ended()
    study = read(desk.messages[0].encode()).find("ParticipantObjectIdentification")
    assert details(study) == {"Association": "1f2e", "Octets": "0"}


def test_an_instance_without_a_uid_counts():
    desk = Desk()
    desk.done(STORE, sop_class="DOE^JOHN", sop_instance="DOE^JOHN")
    desk.ended()
    (transferred,) = desk.messages
    assert sop_class(transferred) == (None, 1, [])
    assert b"DOE" not in transferred.encode()


def test_what_a_get_causes_was_asked_for_by_the_caller():
    desk = Desk()
    desk.established()
    desk.told()
    desk.done(STORE, asking="HB_PACS", asked="WS1")
    desk.ended()
    assert desk.told() == [
        Told(TRANSFERRED, "", "0", (("HB_PACS", False), ("WS1", True))),
        DETACH,
    ]


def test_where_participants_are():
    """The caller where it has called from, the others where they are called."""
    desk = Desk()
    desk.established(OUTSIDE, caller="HB_PACS", callee="WS1")
    desk.messages.clear()
    desk.done(STORE, OUTSIDE, asking="HB_PACS", asked="WS1")
    desk.done(STORE, OUTSIDE, asking="HB_PACS", asked="STATION")
    desk.done(STORE, OUTSIDE, asking="HB_PACS", asked="GONE")
    desk.ended(OUTSIDE)
    found = [
        (one.get("UserID"), one.get("AlternativeUserID"), one.get("NetworkAccessPointID"))
        for message in desk.messages[:3]
        for one in read(message.encode()).findall("ActiveParticipant")
    ]
    pacs = ("HB_PACS", "AETITLES=PACS", "192.168.7.5")
    assert found == [
        pacs,
        ("WS1", "AETITLES=WS1;HA_WS1", None),
        pacs,
        ("STATION", "AETITLES=STATION", "station.hb.example"),
        pacs,
        ("GONE", None, None),
    ]


def test_a_caller_that_a_reload_has_removed_still_has_its_address():
    desk = Desk()
    desk.established()
    desk.trail.configured(config(BORDER.replace('"WS1"', '"WS3"')), "file:///relay.toml")
    desk.done(FIND)
    source = read(desk.messages[-1].encode()).find("ActiveParticipant")
    assert (source.get("UserID"), source.get("NetworkAccessPointID")) == ("WS1", "10.0.0.1")


# Query, Begin Transferring -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome"), [(0, "0"), (0xFE00, "0"), (0xA700, "4"), (None, "8")]
)
def test_a_query(status, outcome):
    desk = Desk()
    desk.done(FIND, sop_instance="", transfer_syntax="1.2.840.10008.1.2", status=status)
    queried = read(desk.messages[0].encode()).find("ParticipantObjectIdentification")
    assert details(queried) == {"TransferSyntax": "1.2.840.10008.1.2"}
    assert desk.told() == [Told("Query", "", outcome, PUSHED)]


def test_a_query_was_issued_when_it_began():
    desk = Desk()
    began = desk.now
    desk.pass_time(seconds=90)
    desk.done(FIND, began=0.0)
    assert desk.messages[0].event.moment == began


def test_a_get_brings_instances_to_the_caller():
    desk = Desk()
    desk.established()
    desk.told()
    desk.done(GET, sop_instance="", sub_operations=(3, 0, 0))
    assert desk.told() == [Told(BEGIN, "", "0", (("HB_PACS", False), ("WS1", True)))]


@pytest.mark.parametrize(
    ("destination", "participants"),
    [
        ("WS1", (("HB_PACS", False), ("WS1", True))),
        ("WS2", (("HB_PACS", False), ("WS2", False), ("WS1", True))),
    ],
)
def test_a_move_brings_them_to_its_destination(destination, participants):
    """They pass here, so that they are reported as transferred when they are stored."""
    desk = Desk()
    desk.done(MOVE, destination=destination, sub_operations=(3, 1, 0), status=0xB000)
    assert desk.told() == [Told(BEGIN, "", "0", participants)]


def test_a_move_past_the_relay_is_known_by_its_counts():
    """The archive calls a destination on its own network itself."""
    desk = Desk()
    desk.done(MOVE, destination="STATION", sub_operations=(3, 2, 1), status=0xB000)
    found = desk.messages[1:]
    assert [(one.event.outcome, sop_class(one)) for one in found] == [
        (Outcome.SUCCESS, (None, 4, [])),
        (Outcome.MINOR_FAILURE, (None, 2, [])),
    ]
    participants = (("HB_PACS", False), ("STATION", False), ("WS1", True))
    assert desk.told() == [
        Told(BEGIN, "", "0", participants),
        Told(TRANSFERRED, "", "0", participants),
        Told(TRANSFERRED, "", "4", participants),
    ]


@pytest.mark.parametrize("counts", [None, (0, 0, 0)])
def test_a_move_past_the_relay_that_moved_nothing(counts):
    desk = Desk()
    desk.done(MOVE, destination="STATION", sub_operations=counts, status=0xA702)
    assert [one.outcome for one in desk.told()] == ["4"]


@pytest.mark.parametrize("request_field", [ECHO, 0x0100, 0x0110, 0x0120, 0x0130, 0x0140, 0x0150])
def test_what_the_standard_has_no_message_for_is_in_the_file_only(request_field):
    desk = Desk()
    desk.done(request_field)
    assert desk.told() == []
    assert len(desk.entries) == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, Outcome.SUCCESS),
        (0x0001, Outcome.SUCCESS),
        (0x0107, Outcome.SUCCESS),
        (0x0110, Outcome.MINOR_FAILURE),
        (0x0116, Outcome.SUCCESS),
        (0x0124, Outcome.MINOR_FAILURE),
        (0xA700, Outcome.MINOR_FAILURE),
        (0xAFFF, Outcome.MINOR_FAILURE),
        (0xB000, Outcome.SUCCESS),
        (0xBFFF, Outcome.SUCCESS),
        (0xC000, Outcome.MINOR_FAILURE),
        (0xFE00, Outcome.SUCCESS),
        (None, Outcome.SERIOUS_FAILURE),
    ],
)
def test_statuses(status, outcome):
    assert outcome_of(status) is outcome


# Security Alert ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((1, 1, 3), "Node Authentication"),
        ((1, 1, 7), "Use of Restricted Function"),
        ((1, 1, 1), "Use of Restricted Function"),
    ],
)
def test_a_caller_that_is_not_let_in(answer, kind):
    desk = Desk()
    desk.rejected(answer)
    assert alert(desk.messages[0]) == ("10.0.0.1", "caller unknown")
    assert desk.told() == [Told("Security Alert", kind, "4", (("4711", False), ("WS9", False)))]


@pytest.mark.parametrize("answer", [(2, 3, 2), (2, 3, 1), (2, 2, 1), (1, 2, 2), (1, 1, 2), None])
def test_limits_and_absences_are_no_alerts(answer):
    desk = Desk()
    desk.rejected(answer)
    assert desk.told() == []


def test_what_the_callee_rejects_is_its_own_matter():
    desk = Desk()
    desk.rejected((1, 1, 3), caller="WS1", callee="HB_PACS")
    assert desk.told() == []


def test_a_caller_without_a_title_goes_by_its_address():
    desk = Desk()
    desk.rejected((1, 1, 3), calling="")
    assert desk.told()[0].participants == (("4711", False), ("10.0.0.1", False))


def test_a_message_that_is_refused():
    desk = Desk()
    desk.established()
    desk.told()
    desk.done(STORE, refused="no rule", status=0x0124)
    desk.ended()
    assert alert(desk.messages[0]) == ("10.0.0.1", "store from WS1 to HB_PACS refused: no rule")
    participants = (("4711", False), ("WS1", False))
    assert desk.told() == [
        Told("Security Alert", "Use of Restricted Function", "4", participants),
        DETACH,
    ]


def test_a_flood_of_refusals_is_two_messages():
    desk = Desk()
    for _ in range(1000):
        desk.rejected((1, 1, 3))
    desk.pass_time(minutes=1)
    desk.trail.sweep()
    assert [alert(one)[1] for one in desk.messages] == [
        "caller unknown",
        "caller unknown (the last of 999 more)",
    ]


def test_refusals_of_other_kinds_and_addresses_are_not_hidden_by_it():
    desk = Desk()
    for source in (INSIDE, OUTSIDE, INSIDE, OUTSIDE):
        desk.rejected((1, 1, 3), source)
        desk.rejected((1, 1, 7), source)
    assert len(desk.told()) == 4
