"""A gate of hospital.py, and messages for it to judge."""

from __future__ import annotations

from tests.relay import hospital, wire
from ulproxy.dimse.command import CommandSet, decode
from ulproxy.dimse.message import Message
from ulproxy.policy.rules import Policy
from ulproxy.relay.effects import End
from ulproxy.relay.gate import Gate, Grounds
from ulproxy.relay.moves import Moves
from ulproxy.relay.retrieval import Retrieval
from ulproxy.relay.store import MemoryCommitments
from ulproxy.relay.verdict import Context, Pass, Respond

INBOUND, ONWARD = End.INBOUND, End.ONWARD
VERIFICATION, CT, FIND, MOVE, GET, PRINT = 1, 3, 5, 7, 9, 11
CONTEXTS = {
    context.context_id: Context(context.abstract, wire.IMPLICIT)
    for context in (*hospital.CONTEXTS, wire.Asked(PRINT, wire.PRINTER))
}
WORKLIST_FIND = b"1.2.840.10008.5.1.4.31"
NAMES = "the SOP class names AEs, that of its presentation context does not"


def gate(
    caller: str = "WS1",
    callee: str = "ARCHIVE",
    moves: Moves | None = None,
    rules: str = hospital.RULES,
    contexts: dict[int, Context] | None = None,
) -> Gate:
    policy = hospital.policy(rules=rules)
    calling, called = policy.ae(caller), policy.ae(callee)
    assert calling is not None
    assert called is not None
    return Gate(grounds(policy, moves), calling, called, contexts or CONTEXTS)


def grounds(policy: Policy, moves: Moves | None = None) -> Grounds:
    return Grounds(policy, Retrieval(policy, moves or Moves(), None), MemoryCommitments())


def message(elements: wire.Elements, context_id: int = VERIFICATION) -> Message:
    return Message(context_id, decoded(elements))


def decoded(elements: wire.Elements) -> CommandSet:
    return decode(wire.command_set(elements))


def passed(elements: wire.Elements) -> Pass:
    return Pass(decoded(elements))


def responded(verdict: object) -> CommandSet:
    assert isinstance(verdict, Respond)
    return verdict.command
