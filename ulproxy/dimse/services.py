"""Which service a message belongs to: abstract syntax + command field -> Service (PS3.4, PS3.6 A).

The names are those of the rules in the configuration. What an abstract syntax can be used for
(`possible`) decides what is offered onward; what a message does (`service_of`) decides whether it passes.
"""

from __future__ import annotations

from enum import StrEnum


class Service(StrEnum):
    """What a rule can allow."""

    ECHO = "echo"
    STORE = "store"
    FIND = "find"
    MOVE = "move"
    GET = "get"
    WORKLIST = "worklist"
    MPPS = "mpps"
    COMMITMENT = "commitment"
    PRINT = "print"
    UPS = "ups"
    OTHER = "other"
