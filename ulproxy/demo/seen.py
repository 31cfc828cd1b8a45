"""What one demo device observes of whoever it speaks with; the closing table is made of this alone.

Nothing here is configured: every value comes out of an association, as pynetdicom's event handlers see it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

Note = Callable[[str], None]


@dataclass
class Seen:
    """Facts about the associations that one device accepted, and about the answers to its own."""

    calling: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)
    answering_versions: set[str] = field(default_factory=set)
    own_ports: set[int] = field(default_factory=set)
    move_destinations: set[str] = field(default_factory=set)
    move_originators: set[str] = field(default_factory=set)
    retrieve_titles: set[str] = field(default_factory=set)
    associations: int = 0
    objects: int = 0
    octets: int = 0
    note: Note | None = None  # told a line about each association, while somebody watches
    _lock: Lock = field(default_factory=Lock, repr=False)

    def titles(self) -> set[str]:
        """Every AE title that reached this device: in association requests, commands and matches."""
        told = self.calling | self.called | self.move_destinations
        return told | self.move_originators | self.retrieve_titles

    def accepted(self, event: evt.Event) -> None:
        """Note who calls (EVT_ACCEPTED where this device is the acceptor)."""
        requestor = event.assoc.requestor
        primitive = requestor.primitive
        called = primitive.called_ae_title.strip() if primitive else ""
        with self._lock:
            self.associations += 1
            self.calling.add(requestor.ae_title.strip())
            self.called.add(called)
            self.addresses.add(str(requestor.address))
            self.ports.add(int(requestor.port or 0))
            self.versions.add(requestor.implementation_version_name or "(none)")
        if self.note:
            self.note(f"{called} was called by {requestor.ae_title.strip()}")

    def answered(self, event: evt.Event) -> None:
        """Note who answers (EVT_ACCEPTED where this device is the requestor)."""
        port = local_port(event.assoc)
        with self._lock:
            self.answering_versions.add(
                event.assoc.acceptor.implementation_version_name or "(none)"
            )
            if port:
                self.own_ports.add(port)

    def stored(self, event: evt.Event, octets: int) -> None:
        """Note an object that came, and the C-MOVE it is said to belong to."""
        request = event.request
        originator = (
            request.MoveOriginatorApplicationEntityTitle if isinstance(request, C_STORE) else None
        )
        with self._lock:
            self.objects += 1
            self.octets += octets
            if originator:
                self.move_originators.add(originator.strip())


def local_port(assoc: Association) -> int:
    """The port that a requestor's own end of the connection has; 0 when it is gone."""
    connection = assoc.dul.socket.socket if assoc.dul.socket else None
    return int(connection.getsockname()[1]) if connection else 0
