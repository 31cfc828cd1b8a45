"""The audit messages of PS3.15 A.5.3 that a relay has to send, one function for each table.

The tables ask for a study and a patient where instances are transferred, and for the data set of a query. The
relay does not look into data sets, and patient data is not to leave it by this way: `NOT_KNOWN` stands there,
and the query is empty (CONFORMANCE.md, Audit).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple

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
)

NOT_KNOWN: Final = "<none>"

# PS3.16 CID 400: the events
APPLICATION_ACTIVITY: Final = Code("110100", "DCM", "Application Activity")
BEGIN_TRANSFERRING: Final = Code("110102", "DCM", "Begin Transferring DICOM Instances")
INSTANCES_TRANSFERRED: Final = Code("110104", "DCM", "DICOM Instances Transferred")
NETWORK_ENTRY: Final = Code("110108", "DCM", "Network Entry")
QUERY: Final = Code("110112", "DCM", "Query")
SECURITY_ALERT: Final = Code("110113", "DCM", "Security Alert")
# PS3.16 CID 401 and CID 403: their types
APPLICATION_START: Final = Code("110120", "DCM", "Application Start")
APPLICATION_STOP: Final = Code("110121", "DCM", "Application Stop")
ATTACH: Final = Code("110124", "DCM", "Attach")
DETACH: Final = Code("110125", "DCM", "Detach")
NODE_AUTHENTICATION: Final = Code("110126", "DCM", "Node Authentication")
SECURITY_CONFIGURATION: Final = Code("110129", "DCM", "Security Configuration")
RESTRICTED_FUNCTION: Final = Code("110132", "DCM", "Use of Restricted Function")
RECORDING_STOPPED: Final = Code("110133", "DCM", "Audit Recording Stopped")
RECORDING_STARTED: Final = Code("110134", "DCM", "Audit Recording Started")
# PS3.16 CID 402: what an active participant does
APPLICATION: Final = Code("110150", "DCM", "Application")
DESTINATION: Final = Code("110152", "DCM", "Destination Role ID")
SOURCE: Final = Code("110153", "DCM", "Source Role ID")
# PS3.16 CID 404, and A.5.1.2.4: what an identifier is
PATIENT_NUMBER: Final = Code("2", "RFC-3881", "Patient Number")
URI: Final = Code("12", "RFC-3881", "URI")
STUDY_INSTANCE_UID: Final = Code("110180", "DCM", "Study Instance UID")
SOP_CLASS_UID: Final = Code("110181", "DCM", "SOP Class UID")
NODE_ID: Final = Code("110182", "DCM", "Node ID")

_PERSON, _SYSTEM = "1", "2"  # ParticipantObjectTypeCode
_PATIENT, _REPORT, _MASTER_FILE, _SECURITY_RESOURCE = "1", "3", "5", "13"  # A.5.1.2.2


class Party(NamedTuple):
    """Who takes part: the name in the configuration, the AE titles, an IP address or host name or nothing."""

    name: str
    titles: tuple[str, ...] = ()
    host: str = ""


class Transfer(NamedTuple):
    """Who sends to whom, and who asked for it: one of the two or somebody else; None = not known."""

    source: Party
    destination: Party
    requestor: Party | None = None


Details = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Relay:
    """The system that reports: its AE title, and the process by the number that the system knows it by."""

    title: str
    process_id: str

    def application_activity(self, moment: datetime, *, started: bool) -> AuditMessage:
        """A.5.3.1: the relay has started or stops."""
        kind = APPLICATION_START if started else APPLICATION_STOP
        event = Event(APPLICATION_ACTIVITY, Action.EXECUTE, moment, type_code=kind)
        return AuditMessage(event, (replace(self._process, role=APPLICATION),), self.title)

    def begin_transferring(
        self, moment: datetime, transfer: Transfer, outcome: Outcome, details: Details
    ) -> AuditMessage:
        """A.5.3.3: instances are asked for, by a C-MOVE or C-GET."""
        event = Event(BEGIN_TRANSFERRING, Action.EXECUTE, moment, outcome)
        objects = (_study(details), _patient())
        return AuditMessage(event, _transferring(transfer), self.title, objects)

    def instances_transferred(
        self,
        moment: datetime,
        transfer: Transfer,
        outcome: Outcome,
        sop_class: SopClass,
        details: Details,
    ) -> AuditMessage:
        """A.5.3.7: instances have been stored, or have not, as the outcome says."""
        # Whether the receiver had them before is not known to a third.
        event = Event(INSTANCES_TRANSFERRED, Action.READ, moment, outcome)
        objects = (replace(_study(details), sop_classes=(sop_class,)), _patient())
        return AuditMessage(event, _transferring(transfer), self.title, objects)

    def network_entry(self, moment: datetime, node: Party, *, attached: bool) -> AuditMessage:
        """A.5.3.9: a node enters a network that is not its own, or leaves it."""
        kind = ATTACH if attached else DETACH
        event = Event(NETWORK_ENTRY, Action.EXECUTE, moment, type_code=kind)
        return AuditMessage(event, (_participant(node),), self.title)

    def query(
        self,
        moment: datetime,
        transfer: Transfer,
        outcome: Outcome,
        sop_class: str,
        transfer_syntax: str,
    ) -> AuditMessage:
        """A.5.3.10: a C-FIND, whose keys stay between those two."""
        event = Event(QUERY, Action.EXECUTE, moment, outcome)
        queried = ParticipantObject(
            sop_class or NOT_KNOWN,
            SOP_CLASS_UID,
            _SYSTEM,
            _REPORT,
            query=b"",
            details=(("TransferSyntax", transfer_syntax),),
        )
        return AuditMessage(event, _transferring(transfer), self.title, (queried,))

    def security_alert(
        self, moment: datetime, kind: Code, text: str, node: Party | None, outcome: Outcome
    ) -> AuditMessage:
        """A.5.3.11: something was refused to this node; None = it is about the relay itself."""
        event = Event(SECURITY_ALERT, Action.EXECUTE, moment, outcome, kind)
        object_id = self.title if node is None else _node_id(node)
        subject = self._subject(object_id, NODE_ID, _SECURITY_RESOURCE, text)
        performing = () if node is None else (_participant(node),)
        return AuditMessage(event, (self._process, *performing), self.title, (subject,))

    def configured(self, moment: datetime, uri: str, text: str, outcome: Outcome) -> AuditMessage:
        """A.5.3.11: the rules were changed by a new configuration file, or have not been."""
        event = Event(SECURITY_ALERT, Action.EXECUTE, moment, outcome, SECURITY_CONFIGURATION)
        subject = self._subject(uri, URI, _MASTER_FILE, text)
        return AuditMessage(event, (self._process,), self.title, (subject,))

    @property
    def _process(self) -> Participant:
        return Participant(self.process_id, (self.title,), "ulproxy")

    def _subject(self, object_id: str, id_type: Code, role: str, text: str) -> ParticipantObject:
        details = (("Alert Description", text),)
        return ParticipantObject(object_id, id_type, _SYSTEM, role, object_id, details=details)


def _transferring(transfer: Transfer) -> tuple[Participant, ...]:
    """Both ends and, if it is neither, whoever asked for it; one requestor at most (A.5.2)."""
    source, destination, requestor = transfer
    ends = (
        _participant(source, SOURCE, is_requestor=requestor == source),
        _participant(destination, DESTINATION, is_requestor=requestor == destination != source),
    )
    if requestor is None or requestor in (source, destination):
        return ends
    return (*ends, _participant(requestor, is_requestor=True))


def _participant(
    party: Party, role: Code | None = None, *, is_requestor: bool = False
) -> Participant:
    name, titles, host = party
    return Participant(name, titles, is_requestor=is_requestor, role=role, host=host)


def _study(details: Details) -> ParticipantObject:
    study = ParticipantObject(NOT_KNOWN, STUDY_INSTANCE_UID, _SYSTEM, _REPORT, NOT_KNOWN)
    return replace(study, details=tuple(details))


def _patient() -> ParticipantObject:
    return ParticipantObject(NOT_KNOWN, PATIENT_NUMBER, _PERSON, _PATIENT, NOT_KNOWN)


def _node_id(node: Party) -> str:
    """A.5.3.11: an IP address, or node_name@domain_name."""
    if not node.host or is_address(node.host):
        return node.host or node.name
    name, _, domain = node.host.partition(".")
    return f"{name}@{domain}" if domain else name
