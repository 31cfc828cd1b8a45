"""One JSON object a line: an association or an operation, for whoever reads the audit file.

What is said of an operation are identifiers, counts and names of the configuration: no key of a query,
nothing out of a data set. A UID that is none is left out, because it may be anything.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Final, NamedTuple

from ulproxy.dimse.command import CommandField
from ulproxy.relay.effects import Operation, Record
from ulproxy.watch.audit_message import stamp

Entry = dict[str, object]

_UID: Final = re.compile(r"[0-9.]{1,64}")  # PS3.5 9.1, as far as archives keep to it
_REQUESTS: Final = {int(field): field.name.replace("_", "-") for field in CommandField}


class Source(NamedTuple):
    """The session that something happened in: its id in the log, the listener's network, "host:port"."""

    id: str
    network: str
    peer: str

    @property
    def host(self) -> str:
        """The caller's address."""
        return self.peer.rpartition(":")[0].partition("%")[0]


def association(source: Source, before: Entry, record: Record, moment: datetime) -> Entry:
    """An association that is over, or was rejected; `before` are the facts of its beginning."""
    first = {"time": stamp(moment), "event": record.event}
    return {**first, **source._asdict(), **before, **record.facts}


def operation(source: Source, done: Operation, seconds: float, moment: datetime) -> Entry:
    """A DIMSE operation that is over; `seconds` is how long it took."""
    entry: Entry = {"time": stamp(moment), "event": "operation", **source._asdict()}
    entry |= {
        "service": str(done.service),
        "request": _REQUESTS.get(done.request, f"{done.request:04X}H"),
        "asking": done.asking,
        "asked": done.asked,
        "message_id": done.message_id,
        "sop_class": uid(done.sop_class),
        "sop_instance": uid(done.sop_instance),
        "transfer_syntax": uid(done.transfer_syntax),
        "destination": done.destination,
        "rule": done.rule,
        "octets": done.octets,
        "refused": done.refused,
    }
    entry = {key: value for key, value in entry.items() if value not in ("", None)}
    if done.request == CommandField.C_FIND_RQ:
        entry["matches"] = done.matches
    if done.sub_operations is not None:
        entry |= zip(("completed", "failed", "warning"), done.sub_operations, strict=True)
    # null = the association ended before the final response came
    entry["status"] = None if done.status is None else f"{done.status:04X}H"
    return {**entry, "seconds": round(seconds, 3)}


def encode(entry: Entry) -> bytes:
    """A line, without its end; what a peer sent cannot end it, nor be anything but a text in it."""
    return json.dumps(entry, default=str).encode("ascii")


def uid(text: str) -> str:
    """A UID, or nothing."""
    return text if _UID.fullmatch(text) else ""
