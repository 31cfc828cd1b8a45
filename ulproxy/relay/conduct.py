"""What an association is for decides how it is conducted: whom it goes to, and what becomes of its messages.

Four ways: the relay answers itself (local.py), one AE (straight.py), the AEs behind the relay's own title
(shared.py), the members of a group (fan.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from ulproxy.dimse.message import Message
from ulproxy.pdu.associate import AAssociateAC
from ulproxy.relay.ends import Failure
from ulproxy.relay.side import Leg, Side
from ulproxy.relay.verdict import Verdict


class Conduct(ABC):
    """What the join asks of it. The caller's own failures are the join's business."""

    # Whether something waits for a C-MOVE to end, besides what the exchange keeps.
    waits = False

    @abstractmethod
    def start(self) -> None:
        """The caller was admitted: open what is to be opened, or answer."""

    @abstractmethod
    def judge(self, side: Side, message: Message) -> Verdict:
        """What becomes of a message; raises RemoteProtocolError."""

    @abstractmethod
    def release_asked(self, side: Side, *, collision: bool) -> None:
        """An A-RELEASE-RQ came between two messages; `collision` = we had asked that end as well."""

    def answered(self, leg: Leg, answer: AAssociateAC) -> None:
        """An AE has accepted."""

    def failed(self, leg: Leg, failure: Failure) -> None:
        """An AE cannot be reached, refuses, aborts, is lost, breaks the protocol or takes too long."""

    def released(self, side: Side) -> None:
        """The answer to our A-RELEASE-RQ came."""

    def impatient(self) -> None:
        """The caller has waited long enough for the slowest of several."""

    def may_go_on(self, side: Side) -> bool:
        """Whether a message that is held can be judged again."""
        del side
        return True

    def moves_ended(self) -> None:
        """A C-MOVE is over, or C-STOREs of one cannot come any more."""
