"""Which DICOM audit messages (PS3.15 A.5.3) come of what associations and operations report.

| what happened | message |
| --- | --- |
| an AE's first association into another network, the end of its last one | Network Entry |
| C-STOREs, together (audit_batch.py) | DICOM Instances Transferred |
| C-MOVE, C-GET | Begin Transferring DICOM Instances; Transferred, if the archive sends past the relay |
| C-FIND | Query |
| a caller that is not let in, a message that is refused | Security Alert |
| anything else | none: it is in the audit file |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from ulproxy.dimse.command import CommandField
from ulproxy.policy.model import ApplicationEntity, Config
from ulproxy.relay.effects import Operation
from ulproxy.watch import audit_events as events
from ulproxy.watch.audit_batch import Batch, Batches, Kind
from ulproxy.watch.audit_entry import Entry, Source, uid
from ulproxy.watch.audit_events import Party, Relay, Transfer
from ulproxy.watch.audit_message import AuditMessage, Code, Outcome, SopClass
from ulproxy.watch.audit_repeats import Repeats

# What a relay rejects for the caller's sake (contract, "Refusals"); limits and absences are no alert.
_ALERTS: Final[dict[tuple[int, int, int], Code]] = {
    (1, 1, 1): events.RESTRICTED_FUNCTION,
    (1, 1, 3): events.NODE_AUTHENTICATION,
    (1, 1, 7): events.RESTRICTED_FUNCTION,
}
# PS3.7 annex C: no failures, nor are B000H to BFFFH (warnings) and FE00H (cancelled as asked).
_NO_FAILURE: Final = (0x0000, 0x0001, 0x0107, 0x0116, 0xFE00, 0xFF00, 0xFF01)


class Alert(NamedTuple):
    """What a Security Alert is about."""

    kind: Code
    text: str
    node: Party
    moment: datetime


class Reports:
    """The messages of one relay; `send` takes each, in the order of what happened."""

    def __init__(self, config: Config, relay: Relay, send: Callable[[AuditMessage], None]) -> None:
        self.relay = relay
        self._send = send
        self._batches = Batches(self._transferred)
        self._alerts = Repeats(self._alert)
        self._entered: dict[str, Party] = {}
        self._present: Counter[Party] = Counter()
        self._aes: dict[str, ApplicationEntity] = {}
        self.configure(config)

    def configure(self, config: Config) -> None:
        """These AEs are known from now on."""
        self._aes = {ae.name: ae for ae in config.aes}

    def sweep(self, now: datetime, *, everything: bool = False) -> None:
        """Sends what was kept back to be sent together, as far as it is time."""
        self._batches.sweep(now, everything=everything)
        self._alerts.sweep(now, everything=everything)

    def established(self, source: Source, facts: Entry, now: datetime) -> None:
        """An association stands: does its caller enter another network by it?"""
        caller = self._aes.get(str(facts.get("caller")))
        callees = str(facts.get("callee", "")).split(", ")
        networks = {self._aes[name].network for name in callees if name in self._aes}
        if caller is None or networks <= {caller.network}:
            return
        node = self._party(caller.name, source, caller.name)
        self._entered[source.id] = node
        self._present[node] += 1
        if self._present[node] == 1:
            self._send(self.relay.network_entry(now, node, attached=True))

    def ended(self, source: Source, now: datetime) -> None:
        """An association is over, or never stood."""
        self._batches.ended(source.id)
        node = self._entered.pop(source.id, None)
        if node is None:
            return
        self._present[node] -= 1
        if not self._present[node]:
            del self._present[node]
            self._send(self.relay.network_entry(now, node, attached=False))

    def rejected(self, source: Source, facts: Entry, now: datetime) -> None:
        """The relay, or the callee through it, has rejected an association."""
        answer = facts.get("answer")
        kind = _ALERTS.get(answer) if isinstance(answer, tuple) else None
        if kind is not None and "callee" not in facts:
            calling = str(facts.get("calling", ""))
            node = Party(calling or source.host, (calling,) if calling else (), source.host)
            self._alarm(Alert(kind, str(facts.get("outcome")), node, now))

    def stranger(self, source: Source, text: str, now: datetime) -> None:
        """A connection ended that had not come as far as an association, and not because it was closed."""
        node = Party(source.host, (), source.host)
        self._alarm(Alert(events.NODE_AUTHENTICATION, text, node, now))

    def operation(self, source: Source, caller: str, done: Operation, began: datetime) -> None:
        """A request of an AE to another one, that began then; `Operation.refused` = it went no further."""
        asking, asked = (self._party(name, source, caller) for name in (done.asking, done.asked))
        outcome = outcome_of(done.status)
        if done.request == CommandField.C_FIND_RQ:
            syntax, sop_class = uid(done.transfer_syntax), uid(done.sop_class)
            transfer = Transfer(asking, asked, asking)
            self._send(self.relay.query(began, transfer, outcome, sop_class, syntax))
        elif done.request in (CommandField.C_MOVE_RQ, CommandField.C_GET_RQ):
            name = done.destination or done.asking
            transfer = Transfer(asked, self._party(name, source, caller), asking)
            details = _details(source.id, done.rule)
            self._send(self.relay.begin_transferring(began, transfer, outcome, details))

    def refused(self, source: Source, caller: str, done: Operation, now: datetime) -> None:
        """A request that the relay has answered with a refusal."""
        text = f"{done.service} from {done.asking} to {done.asked} refused: {done.refused}"
        node = self._party(done.asking, source, caller)
        self._alarm(Alert(events.RESTRICTED_FUNCTION, text, node, now))

    def stored(self, source: Source, caller: str, done: Operation, now: datetime) -> None:
        """A C-STORE is over."""
        asking, asked = (self._party(name, source, caller) for name in (done.asking, done.asked))
        # In a C-GET the callee sends what the caller has asked for.
        transfer = Transfer(asking, asked, asking if caller in ("", done.asking) else asked)
        kind = Kind(transfer, uid(done.sop_class), outcome_of(done.status), done.rule)
        self._batches.add(source.id, kind, uid(done.sop_instance), done.octets, now)

    def moved(self, source: Source, caller: str, done: Operation, now: datetime) -> None:
        """A C-MOVE is over whose instances do not pass here: the archive's counts are all there is."""
        archive, destination = self._aes.get(done.asked), self._aes.get(done.destination)
        if archive is None or destination is None or archive.network != destination.network:
            return
        names = (done.asked, done.destination, done.asking)
        transfer = Transfer(*(self._party(name, source, caller) for name in names))
        details = _details(source.id, done.rule)
        completed, failed, warning = done.sub_operations or (0, 0, 0)
        numbers = {Outcome.SUCCESS: completed + warning, Outcome.MINOR_FAILURE: failed}
        for outcome, number in numbers.items():
            if number:
                instances = SopClass("", number)
                self._send(
                    self.relay.instances_transferred(now, transfer, outcome, instances, details)
                )

    def _transferred(self, association: str, kind: Kind, batch: Batch) -> None:
        details = [*_details(association, kind.rule), ("Octets", str(batch.octets))]
        self._send(
            self.relay.instances_transferred(
                batch.moment, kind.transfer, kind.outcome, batch.sop_class(kind.sop_class), details
            )
        )

    def _alarm(self, alert: Alert) -> None:
        self._alerts.add((alert.node.host, alert.kind.value), alert, alert.moment)

    def _alert(self, alert: Alert, again: int) -> None:
        text = f"{alert.text} (the last of {again} more)" if again else alert.text
        self._send(
            self.relay.security_alert(
                alert.moment, alert.kind, text, alert.node, Outcome.MINOR_FAILURE
            )
        )

    def _party(self, name: str, source: Source, caller: str) -> Party:
        """An AE as it takes part: the caller from where it has called, others where they are called."""
        ae = self._aes.get(name)
        if ae is None:  # gone with a reload, or a group
            return Party(name, (), source.host if name == caller else "")
        titles = (ae.title,) if ae.alias in (None, ae.title) else (ae.title, ae.alias)
        if name == caller:
            return Party(name, titles, source.host)
        return Party(name, titles, "" if ae.address is None else ae.address.host)


def outcome_of(status: int | None) -> Outcome:
    """What a final status means (PS3.7 annex C); None = it never came."""
    if status is None:
        return Outcome.SERIOUS_FAILURE
    if status in _NO_FAILURE or status & 0xF000 == 0xB000:
        return Outcome.SUCCESS
    return Outcome.MINOR_FAILURE


def _details(association: str, rule: int | None) -> list[tuple[str, str]]:
    """What leads from a message to the relay's own log and file."""
    details = [("Association", association)]
    if rule is not None:
        details.append(("Rule", str(rule)))
    return details
