"""Which service a message belongs to: abstract syntax + command field -> Service (PS3.4, PS3.6 A).

The names are those of the rules in the configuration. What an abstract syntax can be used for
(`possible_services`) decides what is offered onward; what a message does (`service_of`) decides whether
it passes. The dictionary of SOP classes is pydicom's; what it does not know may be a storage class of
tomorrow, so it counts as `store` for C-STORE and as `other` for the rest.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Final

from ulproxy.dimse.command import CommandField
from ulproxy.dimse.dictionary import SOP_CLASSES


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


VERIFICATION: Final = "1.2.840.10008.1.1"
UNKNOWN: Final = frozenset({Service.STORE, Service.OTHER})
_QUERY_RETRIEVE: Final = frozenset({Service.FIND, Service.MOVE, Service.GET})
# Retrieve AE Title, Station AE Title and the like (PS3.4 C, F, J, K, CC).
_NAMING: Final = frozenset(
    {Service.FIND, Service.WORKLIST, Service.MPPS, Service.COMMITMENT, Service.UPS}
)
_FIND: Final = frozenset({Service.FIND, Service.WORKLIST, Service.UPS})

_EXACT: Final = {
    VERIFICATION: Service.ECHO,
    "1.2.840.10008.1.20.1": Service.COMMITMENT,
    "1.2.840.10008.1.20.2": Service.COMMITMENT,
    "1.2.840.10008.1.3.10": Service.OTHER,  # Media Storage Directory: never on a network
    "1.2.840.10008.5.1.1.33": Service.OTHER,  # Media Creation Management
    "1.2.840.10008.5.1.1.40": Service.OTHER,  # Display System
    "1.2.840.10008.5.1.4.31": Service.WORKLIST,
    "1.2.840.10008.5.1.4.32.1": Service.WORKLIST,  # General Purpose Worklist, retired
}
# In this order: what is stored and queried with its own service is named before "Query".
_BY_NAME: Final = (
    (" - FIND", Service.FIND),
    (" - MOVE", Service.MOVE),
    (" - GET", Service.GET),
    ("Storage", Service.STORE),
    ("Modality Performed Procedure Step", Service.MPPS),
    ("Unified Procedure Step", Service.UPS),
    ("Query", Service.FIND),
)
_PRINT_PREFIX: Final = "1.2.840.10008.5.1.1."


@lru_cache(maxsize=4096)
def possible_services(abstract_syntax: str) -> frozenset[Service]:
    """What a presentation context with this abstract syntax can be used for."""
    if (exact := _EXACT.get(abstract_syntax)) is not None:
        return frozenset({exact})
    name = SOP_CLASSES.get(abstract_syntax)
    if not name:
        return UNKNOWN
    for part, service in _BY_NAME:
        if part in name:
            return frozenset({service})
    print_class = abstract_syntax.startswith(_PRINT_PREFIX)
    return frozenset({Service.PRINT if print_class else Service.OTHER})


def service_of(abstract_syntax: str, request: int) -> Service:
    """The service of a message: `request` is its command field without the response bit."""
    possible = possible_services(abstract_syntax)
    if request == CommandField.C_STORE_RQ:
        return Service.STORE
    if request == CommandField.C_ECHO_RQ:
        return Service.ECHO
    if request == CommandField.C_FIND_RQ:
        if possible & _QUERY_RETRIEVE:
            return Service.FIND
        return next(iter(possible & _FIND), Service.OTHER)
    if request in (CommandField.C_MOVE_RQ, CommandField.C_GET_RQ):
        if not possible & _QUERY_RETRIEVE:
            return Service.OTHER
        return Service.MOVE if request == CommandField.C_MOVE_RQ else Service.GET
    only = next(iter(possible))
    normalized = (Service.MPPS, Service.COMMITMENT, Service.PRINT, Service.UPS)
    return only if only in normalized else Service.OTHER


@lru_cache(maxsize=4096)
def names_aes(abstract_syntax: str) -> bool:
    """Whether its data sets are small and name AEs by their titles, which a relay has to map."""
    return not possible_services(abstract_syntax).isdisjoint(_NAMING)


def is_commitment(abstract_syntax: str) -> bool:
    """Whether it is that of storage commitment."""
    return Service.COMMITMENT in possible_services(abstract_syntax)


def is_get(abstract_syntax: str) -> bool:
    """Whether a C-GET-RQ here is the service `get`, which allows the C-STOREs it causes; `other` does not."""
    return service_of(abstract_syntax, CommandField.C_GET_RQ) is Service.GET
