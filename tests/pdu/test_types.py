"""The numbers of the standard's tables, written down a second time."""

from __future__ import annotations

from itertools import product

import pytest

from ulproxy.pdu import types
from ulproxy.pdu.types import (
    AbortReason,
    AbortSource,
    ItemType,
    PduType,
    Rejection,
    Result,
)

# PS3.8 Table 9-21: reserved reasons left out.
LEGAL = {
    (result, source, reason)
    for result in (1, 2)
    for source, reasons in {1: (1, 2, 3, 7), 2: (1, 2), 3: (1, 2)}.items()
    for reason in reasons
}


@pytest.mark.parametrize(
    ("enumeration", "numbers"),
    [
        (PduType, [1, 2, 3, 4, 5, 6, 7]),
        (Result, [0, 1, 2, 3, 4]),
        (AbortSource, [0, 2]),
        (AbortReason, [0, 1, 2, 4, 5, 6]),
        (ItemType, [0x10, 0x20, 0x21, 0x30, 0x40, 0x50, *range(0x51, 0x5A)]),
    ],
)
def test_numbers_of_the_tables_without_the_reserved_ones(enumeration, numbers):
    assert sorted(enumeration) == numbers


@pytest.mark.parametrize(
    ("member", "number"),
    [
        (PduType.A_ASSOCIATE_RQ, 1),
        (PduType.A_ASSOCIATE_AC, 2),
        (PduType.A_ASSOCIATE_RJ, 3),
        (PduType.P_DATA_TF, 4),
        (PduType.A_RELEASE_RQ, 5),
        (PduType.A_RELEASE_RP, 6),
        (PduType.A_ABORT, 7),
        (ItemType.MAXIMUM_LENGTH, 0x51),
        (ItemType.IMPLEMENTATION_CLASS_UID, 0x52),
        (ItemType.ASYNCHRONOUS_OPERATIONS_WINDOW, 0x53),
        (ItemType.ROLE_SELECTION, 0x54),
        (ItemType.IMPLEMENTATION_VERSION_NAME, 0x55),
        (ItemType.SOP_CLASS_EXTENDED, 0x56),
        (ItemType.SOP_CLASS_COMMON_EXTENDED, 0x57),
        (ItemType.USER_IDENTITY_RQ, 0x58),
        (ItemType.USER_IDENTITY_AC, 0x59),
        (Result.USER_REJECTION, 1),
        (Result.ABSTRACT_SYNTAX_NOT_SUPPORTED, 3),
        (Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, 4),
        (AbortSource.SERVICE_PROVIDER, 2),
        (AbortReason.UNRECOGNIZED_PDU, 1),
        (AbortReason.UNEXPECTED_PDU, 2),
        (AbortReason.UNRECOGNIZED_PARAMETER, 4),
        (AbortReason.UNEXPECTED_PARAMETER, 5),
        (AbortReason.INVALID_PARAMETER_VALUE, 6),
    ],
)
def test_names_stand_beside_their_numbers(member, number):
    assert member == number


def test_a_rejection_is_legal_where_table_9_21_has_it():
    triples = set(product(range(4), range(5), range(12)))
    assert {triple for triple in triples if Rejection(*triple).legal} == LEGAL


@pytest.mark.parametrize(
    ("name", "triple"),
    [
        ("NO_REASON", (1, 1, 1)),
        ("APPLICATION_CONTEXT_NOT_SUPPORTED", (1, 1, 2)),
        ("CALLING_AE_TITLE_NOT_RECOGNIZED", (1, 1, 3)),
        ("CALLED_AE_TITLE_NOT_RECOGNIZED", (1, 1, 7)),
        ("PROTOCOL_VERSION_NOT_SUPPORTED", (1, 2, 2)),
        ("NO_REASON_TRANSIENT_ACSE", (2, 2, 1)),
        ("TEMPORARY_CONGESTION", (2, 3, 1)),
        ("LOCAL_LIMIT_EXCEEDED", (2, 3, 2)),
    ],
)
def test_the_rejections_that_the_contract_names(name, triple):
    rejection = getattr(types, name)
    assert rejection == triple
    assert rejection.legal


def test_limits():
    assert types.MAX_CONTROL_PDU == 1024 * 1024
    assert types.MAX_COMMAND == 64 * 1024
    # Versions, reserved, two titles of 16 bytes, reserved (PS3.8 Table 9-11).
    assert types.MIN_ASSOCIATE_PDU == 2 + 2 + 16 + 16 + 32
    assert types.APPLICATION_CONTEXT_NAME == "1.2.840.10008.3.1.1.1"
