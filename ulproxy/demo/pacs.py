"""Hospital B's PACS: C-ECHO, C-STORE, C-FIND, C-MOVE and C-GET over an `Archive`, with pynetdicom.

1. It knows its peers as a PACS does: a title, an address and a port each. Who it does not know it refuses.
2. Every response looks at C-CANCEL first.
3. What it keeps leaves as it came (sending.py).
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_FIND, C_GET, C_MOVE, C_STORE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from ulproxy.demo.archive import (
    PATIENT_ROOT,
    STUDY_ROOT,
    Archive,
    IdentifierError,
    StoredObject,
)
from ulproxy.demo.quirks import hold_pauses, shut_down
from ulproxy.demo.seen import Seen
from ulproxy.demo.sending import Sender, contexts_for

LEVELS = {
    PatientRootQueryRetrieveInformationModelFind: PATIENT_ROOT,
    PatientRootQueryRetrieveInformationModelMove: PATIENT_ROOT,
    PatientRootQueryRetrieveInformationModelGet: PATIENT_ROOT,
    StudyRootQueryRetrieveInformationModelFind: STUDY_ROOT,
    StudyRootQueryRetrieveInformationModelMove: STUDY_ROOT,
    StudyRootQueryRetrieveInformationModelGet: STUDY_ROOT,
}
SUCCESS, PENDING, CANCEL = 0x0000, 0xFF00, 0xFE00
OUT_OF_RESOURCES, NOT_OF_THIS_CLASS, CANNOT_UNDERSTAND = 0xA700, 0xA900, 0xC000
Response = tuple[int, Dataset | None]


class _Entity(AE):
    """An AE whose associations for sub-operations send kept files and name the right originator."""

    def associate(self, addr: Any, port: int, *args: Any, **kwargs: Any) -> Association:
        """As pynetdicom's, with the keywords `objects` and `originator` of the C-MOVE behind it."""
        objects = kwargs.pop("objects", [])
        originator = kwargs.pop("originator", None)
        assoc = super().associate(addr, port, *args, **kwargs)
        if assoc.is_established:
            hold_pauses(assoc)
        assoc.send_c_store = Sender(assoc, objects, originator)  # type: ignore[method-assign, assignment]
        return assoc


class Pacs:
    """A PACS that listens from `start` to `stop`; `peers` maps a title to where it is called.

    `pace` is a pause before each match and each sub-operation, so that a test can cancel in between.
    """

    def __init__(self, title: str, folder: Path, pace: float = 0.0) -> None:
        self.title = title
        self.archive = Archive(folder)
        self.peers: dict[str, tuple[str, int]] = {}
        self.seen = Seen()
        self.pace = pace
        self._ae = _entity(title)

    def start(self, port: int) -> int:
        """Listen on the loopback; `port` 0 takes any. Returns the port; OSError when it is taken."""
        server = self._ae.start_server(
            ("127.0.0.1", port),
            block=False,
            evt_handlers=[
                (evt.EVT_ACCEPTED, self.seen.accepted),
                (evt.EVT_C_ECHO, lambda _: SUCCESS),
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_C_FIND, self._find),
                (evt.EVT_C_MOVE, self._move),
                (evt.EVT_C_GET, self._get),
            ],
        )
        if server is None:
            raise AssertionError("block=False returns a server")
        return int(server.server_address[1])

    def know(self, title: str, host: str, port: int) -> None:
        """Accept a peer by its title from now on, and call it there when a C-MOVE names it."""
        self.peers[title] = (host, port)
        self._ae.require_calling_aet = list(self.peers)

    def stop(self) -> None:
        """Abort what is open and close the port."""
        shut_down(self._ae)

    def _store(self, event: evt.Event) -> int:
        return keep(self.archive, self.seen, event)

    def _find(self, event: evt.Event) -> Iterator[Response]:
        try:
            found = self.archive.find(event.identifier, _levels(event))
            for match in found:
                time.sleep(self.pace)
                if event.is_cancelled:
                    yield CANCEL, None
                    return
                match.RetrieveAETitle = self.title
                self.seen.retrieve_titles.add(self.title)
                yield PENDING, match
        except IdentifierError:
            yield NOT_OF_THIS_CLASS, None

    def _move(self, event: evt.Event) -> Iterator[Any]:
        destination = event.move_destination or ""
        self.seen.move_destinations.add(destination)
        if destination not in self.peers:
            yield None, None  # pynetdicom answers A801H
            return
        objects = self.archive.select(event.identifier, _levels(event))
        yield (
            *self.peers[destination],
            {
                "contexts": contexts_for((o.sop_class, o.transfer_syntax) for o in objects),
                "evt_handlers": [(evt.EVT_ACCEPTED, self.seen.answered)],
                "objects": objects,
                "originator": event.assoc.requestor.ae_title,
            },
        )
        yield len(objects)
        yield from self._sub_operations(event, objects)

    def _get(self, event: evt.Event) -> Iterator[Any]:
        try:
            objects = self.archive.select(event.identifier, _levels(event))
        except IdentifierError:
            yield 1
            yield NOT_OF_THIS_CLASS, None
            return
        assoc = event.assoc
        assoc.send_c_store = Sender(assoc, objects)  # type: ignore[method-assign, assignment]
        yield len(objects)
        yield from self._sub_operations(event, objects)

    def _sub_operations(self, event: evt.Event, objects: list[StoredObject]) -> Iterator[Response]:
        for stored in objects:
            time.sleep(self.pace)
            if event.is_cancelled:
                yield CANCEL, None
                return
            # Only names the object: `Sender` sends the file that is kept.
            named = Dataset()
            named.SOPInstanceUID = stored.sop_instance
            yield PENDING, named


def keep(archive: Archive, seen: Seen, event: evt.Event) -> int:
    """Store the object of a C-STORE event; the status to answer (PS3.4 B.2.3)."""
    request = cast("C_STORE", event.request)
    data_set = event.encoded_dataset(include_meta=False)
    try:
        archive.add(
            UID(request.AffectedSOPClassUID or ""),
            UID(request.AffectedSOPInstanceUID or ""),
            UID(event.context.transfer_syntax),
            data_set,
        )
    except OSError:
        return OUT_OF_RESOURCES
    except Exception:  # whatever pydicom raises for what it cannot read
        return CANNOT_UNDERSTAND
    seen.stored(event, len(data_set))
    return SUCCESS


def _levels(event: evt.Event) -> tuple[str, ...]:
    request = event.request
    if not isinstance(request, C_FIND | C_MOVE | C_GET):
        raise TypeError("only query and retrieve requests have levels")
    return LEVELS[request.AffectedSOPClassUID]


def _entity(title: str) -> _Entity:
    entity = _Entity(title)
    entity.require_called_aet = True
    entity.maximum_associations = 100
    entity.add_supported_context(Verification)
    for model in LEVELS:
        entity.add_supported_context(model)
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(
            context.abstract_syntax or "", ALL_TRANSFER_SYNTAXES, scu_role=True, scp_role=True
        )
    return entity
