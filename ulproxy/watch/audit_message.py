"""DICOM audit messages as XML: the schema of PS3.15 A.5.1, its elements and attributes by their names.

What a message of which event has to say is in audit_events.py. Here is how it is written: what a peer sent
can be no markup, and no character that XML does not have.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

# XML 1.0 2.2: what no document may contain, not even as a reference.
_NO_CHARACTER: Final = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Code(NamedTuple):
    """A coded value (A.5.1.1, CodedValueType)."""

    value: str
    system: str
    meaning: str


class Action(StrEnum):
    """EventActionCode."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


class Outcome(StrEnum):
    """EventOutcomeIndicator."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"
    MAJOR_FAILURE = "12"


@dataclass(frozen=True, slots=True)
class Event:
    """EventIdentification; `moment` has its time zone (A.5.2.5)."""

    event_id: Code
    action: Action
    moment: datetime
    outcome: Outcome = Outcome.SUCCESS
    type_code: Code | None = None


@dataclass(frozen=True, slots=True)
class Participant:
    """ActiveParticipant; `host` is an IP address or a host name, empty = not known."""

    user_id: str
    ae_titles: tuple[str, ...] = ()
    user_name: str = ""
    is_requestor: bool = False
    role: Code | None = None
    host: str = ""


@dataclass(frozen=True, slots=True)
class SopClass:
    """Instances of one SOP class; `instances` may be fewer than `number`, or none, `uid` may be empty."""

    uid: str
    number: int
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParticipantObject:
    """ParticipantObjectIdentification: what the event was about.

    `query` None = it has a name and no query; `details` are pairs of a type and any text.
    """

    object_id: str
    id_type: Code
    type_code: str
    role: str
    name: str = ""
    query: bytes | None = None
    details: tuple[tuple[str, str], ...] = ()
    sop_classes: tuple[SopClass, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditMessage:
    """One message; `source` is the AuditSourceID, the system that has seen the event."""

    event: Event
    participants: tuple[Participant, ...]
    source: str
    objects: tuple[ParticipantObject, ...] = ()

    @property
    def is_alarming(self) -> bool:
        """Whether it tells of a failure."""
        return self.event.outcome is not Outcome.SUCCESS

    def encode(self) -> bytes:
        """The XML document, in UTF-8 with its declaration."""
        root = Element("AuditMessage")
        _event(root, self.event)
        for participant in self.participants:
            _participant(root, participant)
        source = SubElement(root, "AuditSourceIdentification", AuditSourceID=_text(self.source))
        # A.5.1.2.1: 4 = application server process tier in a multi-tier system
        SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})
        for entry in self.objects:
            _object(root, entry)
        document: bytes = tostring(root, "utf-8")
        return b'<?xml version="1.0" encoding="UTF-8"?>' + document


def stamp(moment: datetime) -> str:
    """A time as XML, RFC 5424 and JSON readers take it, with its zone (A.5.2.5)."""
    return moment.isoformat(timespec="milliseconds")


def _event(root: Element, event: Event) -> None:
    element = SubElement(
        root,
        "EventIdentification",
        EventActionCode=event.action,
        EventDateTime=stamp(event.moment),
        EventOutcomeIndicator=event.outcome,
    )
    _coded(element, "EventID", event.event_id)
    if event.type_code is not None:
        _coded(element, "EventTypeCode", event.type_code)


def _participant(root: Element, participant: Participant) -> None:
    attributes = {"UserID": _text(participant.user_id)}
    if participant.ae_titles:
        # A.5.2.2: of a DICOM application, its AE titles
        attributes["AlternativeUserID"] = "AETITLES=" + _text(";".join(participant.ae_titles))
    if participant.user_name:
        attributes["UserName"] = _text(participant.user_name)
    attributes["UserIsRequestor"] = _boolean(participant.is_requestor)
    if participant.host:
        attributes["NetworkAccessPointID"] = _text(participant.host)
        attributes["NetworkAccessPointTypeCode"] = "2" if is_address(participant.host) else "1"
    element = SubElement(root, "ActiveParticipant", attributes)
    if participant.role is not None:
        _coded(element, "RoleIDCode", participant.role)


def _object(root: Element, entry: ParticipantObject) -> None:
    element = SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_text(entry.object_id),
        ParticipantObjectTypeCode=entry.type_code,
        ParticipantObjectTypeCodeRole=entry.role,
    )
    _coded(element, "ParticipantObjectIDTypeCode", entry.id_type)
    if entry.query is None:
        SubElement(element, "ParticipantObjectName").text = _text(entry.name)
    else:
        SubElement(element, "ParticipantObjectQuery").text = _base64(entry.query)
    for kind, value in entry.details:
        SubElement(
            element,
            "ParticipantObjectDetail",
            type=kind,
            value=_base64(value.encode(errors="replace")),
        )
    if entry.sop_classes:
        description = SubElement(element, "ParticipantObjectDescription")
        for sop_class in entry.sop_classes:
            _sop_class(description, sop_class)


def _sop_class(description: Element, sop_class: SopClass) -> None:
    attributes = {"UID": _text(sop_class.uid)} if sop_class.uid else {}
    attributes["NumberOfInstances"] = str(sop_class.number)
    element = SubElement(description, "SOPClass", attributes)
    for uid in sop_class.instances:
        SubElement(element, "Instance", UID=_text(uid))


def _coded(parent: Element, name: str, code: Code) -> None:
    attributes = {
        "csd-code": code.value,
        "codeSystemName": code.system,
        "originalText": code.meaning,
    }
    SubElement(parent, name, attributes)


def is_address(host: str) -> bool:
    """Whether it is an IP address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _text(text: str) -> str:
    return _NO_CHARACTER.sub("?", text)
