"""The tables of PS3.15 A.5.3 a second time, row by row, and what a document has to have by them.

What is "not specialized" or "U" there is left out here. `read` takes a document only if it is of the schema
of A.5.1.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

SCHEMA = etree.RelaxNG(etree.parse(str(Path(__file__).with_name("audit_message.rng"))))

SOURCE = ("110153", "DCM", "Source Role ID")
DESTINATION = ("110152", "DCM", "Destination Role ID")
STUDY = ("110180", "DCM", "Study Instance UID")
MANY = 1 << 30


class Participants(NamedTuple):
    """Active participants of one kind: their role, how many there may be, who may be the requestor."""

    least: int
    most: int
    role: tuple[str, str, str] | None = None
    requestor: bool = True
    ae_titles: bool = False


class Objects(NamedTuple):
    """Participating objects of one kind."""

    least: int
    most: int
    type_code: str
    roles: tuple[str, ...]
    id_types: tuple[tuple[str, str, str], ...]
    query: bool = False
    details: tuple[str, ...] = ()


class Table(NamedTuple):
    actions: str
    type_codes: tuple[tuple[str, str, str], ...] | None  # None = the field is "U"
    participants: tuple[Participants, ...]
    objects: tuple[Objects, ...] = ()


STUDIES = Objects(1, MANY, "2", ("3",), (STUDY,))
PATIENT = Objects(1, 1, "1", ("1",), (("2", "RFC-3881", "Patient Number"),))
ENDS = (Participants(1, 1, SOURCE), Participants(1, 1, DESTINATION), Participants(0, MANY))

TABLES = {
    # A.5.3.1
    ("110100", "DCM", "Application Activity"): Table(
        "E",
        (("110120", "DCM", "Application Start"), ("110121", "DCM", "Application Stop")),
        (
            Participants(1, 1, ("110150", "DCM", "Application"), ae_titles=True),
            Participants(0, MANY, ("110151", "DCM", "Application Launcher")),
        ),
    ),
    # A.5.3.3
    ("110102", "DCM", "Begin Transferring DICOM Instances"): Table(
        "E", None, ENDS, (STUDIES, PATIENT)
    ),
    # A.5.3.7; C and U are for the receiver to say
    ("110104", "DCM", "DICOM Instances Transferred"): Table("R", None, ENDS, (STUDIES, PATIENT)),
    # A.5.3.9
    ("110108", "DCM", "Network Entry"): Table(
        "E",
        (("110124", "DCM", "Attach"), ("110125", "DCM", "Detach")),
        (Participants(1, 1, requestor=False),),
    ),
    # A.5.3.10
    ("110112", "DCM", "Query"): Table(
        "E",
        None,
        ENDS,
        (
            Objects(
                1,
                1,
                "2",
                ("3",),
                (("110181", "DCM", "SOP Class UID"),),
                query=True,
                details=("TransferSyntax",),
            ),
        ),
    ),
    # A.5.3.11; the types are those of CID 403
    ("110113", "DCM", "Security Alert"): Table(
        "E",
        (
            ("110126", "DCM", "Node Authentication"),
            ("110129", "DCM", "Security Configuration"),
            ("110132", "DCM", "Use of Restricted Function"),
            ("110133", "DCM", "Audit Recording Stopped"),
            ("110134", "DCM", "Audit Recording Started"),
        ),
        (Participants(1, 2), Participants(0, MANY, requestor=False)),
        (
            Objects(
                0,
                MANY,
                "2",
                ("5", "13"),
                (("12", "RFC-3881", "URI"), ("110182", "DCM", "Node ID")),
                details=("Alert Description",),
            ),
        ),
    ),
}


def read(document: bytes) -> Any:
    """The root of a document that the schema allows and that keeps to its table."""
    root = etree.fromstring(document)
    assert SCHEMA.validate(root), SCHEMA.error_log
    event = root.find("EventIdentification")
    table = TABLES[code(event.find("EventID"))]
    assert event.get("EventActionCode") in table.actions
    assert re.search(r"(Z|[+-]\d\d:\d\d)$", event.get("EventDateTime")), "A.5.2.5"
    if table.type_codes is not None:
        assert code(event.find("EventTypeCode")) in table.type_codes
    participants = root.findall("ActiveParticipant")
    assert sum(requests(one) for one in participants) <= 1, "A.5.2"
    check(participants, table.participants, fits_participant)
    check(root.findall("ParticipantObjectIdentification"), table.objects, fits_object)
    return root


def check(elements: list[Any], kinds: Iterable[Any], fits: Any) -> None:
    """Each is of the first kind that it fits into and that is not complete, and of each there are enough."""
    counts = dict.fromkeys(kinds, 0)
    for element in elements:
        kind = next((k for k, n in counts.items() if n < k.most and fits(element, k)), None)
        assert kind is not None, etree.tostring(element)
        counts[kind] += 1
    assert all(number >= kind.least for kind, number in counts.items()), counts


def fits_participant(element: Any, kind: Participants) -> bool:
    roles = [code(role) for role in element.findall("RoleIDCode")]
    titles = element.get("AlternativeUserID", "")
    return (
        (kind.role is None or kind.role in roles)
        and (kind.requestor or not requests(element))
        and (titles.startswith("AETITLES=") if kind.ae_titles or titles else True)
        and ("NetworkAccessPointID" in element.attrib)
        == ("NetworkAccessPointTypeCode" in element.attrib)
    )


def fits_object(element: Any, kind: Objects) -> bool:
    return (
        element.get("ParticipantObjectTypeCode") == kind.type_code
        and element.get("ParticipantObjectTypeCodeRole") in kind.roles
        and code(element.find("ParticipantObjectIDTypeCode")) in kind.id_types
        and (element.find("ParticipantObjectQuery") is not None) == kind.query
        and set(kind.details) <= details(element).keys()
    )


def code(element: Any) -> tuple[str, str, str]:
    return element.get("csd-code"), element.get("codeSystemName"), element.get("originalText")


def requests(element: Any) -> bool:
    return bool(element.get("UserIsRequestor") == "true")


def details(element: Any) -> dict[str, str]:
    """The details of an object, in the clear."""
    return {
        one.get("type"): base64.b64decode(one.get("value"), validate=True).decode()
        for one in element.findall("ParticipantObjectDetail")
    }


class Told(NamedTuple):
    """What a test wants to know of a message."""

    event: str
    kind: str
    outcome: str
    participants: tuple[tuple[str, bool], ...]  # UserID, whether it is the requestor


def told(document: bytes) -> Told:
    root = read(document)
    event = root.find("EventIdentification")
    kind = event.find("EventTypeCode")
    return Told(
        code(event.find("EventID"))[2],
        "" if kind is None else code(kind)[2],
        event.get("EventOutcomeIndicator"),
        tuple((one.get("UserID"), requests(one)) for one in root.findall("ActiveParticipant")),
    )
