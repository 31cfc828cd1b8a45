"""Which presentation contexts the rules allow: filtered, for a group, and by which rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.border import (
    BIG_ENDIAN,
    COMMITMENT,
    CT,
    EXPLICIT,
    FIND,
    GET,
    IMPLICIT,
    JPEG,
    MOVE,
    MPPS,
    PRINT,
    SYNTAXES,
    UNHEARD_OF,
    UPS,
    VERIFICATION,
    WORKLIST,
    rule,
)
from ulproxy.dimse.services import Service
from ulproxy.pdu.associate import PresentationContextRQ
from ulproxy.pdu.items import RoleSelection
from ulproxy.pdu.types import Result
from ulproxy.policy.rights import Rights, fanned, scp_of

ALL = (*SYNTAXES.values(), UNHEARD_OF)


def context(number: int, abstract: str, *transfer: str) -> PresentationContextRQ:
    return PresentationContextRQ(number, abstract, transfer or (IMPLICIT,))


def contexts(*abstract: str) -> tuple[PresentationContextRQ, ...]:
    return tuple(context(2 * n + 1, one) for n, one in enumerate(abstract))


def rights(*services: str, back: tuple[str, ...] = (), moved: bool = False, scp=()) -> Rights:
    """Rules numbered from 1, those back on from there."""
    rules = [rule("A", "B", words, number=n) for n, words in enumerate(services, 1)]
    others = [rule("B", "A", words, number=n) for n, words in enumerate(back, len(rules) + 1)]
    roles = tuple(RoleSelection(uid, scu=False, scp=True) for uid in scp)
    return Rights(iter(rules), iter(others), moved, roles)


def syntaxes(proposed) -> list[str]:
    return [one.abstract_syntax for one in proposed]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (rights(), False),
        (rights("echo"), True),
        (rights(moved=True), True),
        (rights(back=("commitment",)), True),
        (rights(back=("store find get",), scp=[CT]), False),
    ],
)
def test_whether_there_is_a_reason_to_call(one, expected):
    assert one.is_any is expected


def test_what_is_filtered():
    proposed = (
        context(1, CT, JPEG),
        context(3, FIND, BIG_ENDIAN, EXPLICIT),
        context(5, FIND, BIG_ENDIAN),
        context(7, PRINT),
        context(9, PRINT, BIG_ENDIAN),
        context(11, MPPS, BIG_ENDIAN),
    )
    one = rights("store find")
    expected = [context(1, CT, JPEG), context(3, FIND, EXPLICIT)]
    found = one.filter(proposed)
    assert list(found.offered) == expected
    refused, syntax = Result.USER_REJECTION, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED
    assert found.refused == {5: syntax, 7: refused, 9: refused, 11: refused}
    assert found.observed == ()


def test_what_is_filtered_when_rules_are_only_observed():
    """A syntax in which titles cannot be mapped is refused as ever: that is no rule's business."""
    proposed = (context(1, CT), context(3, FIND), context(5, FIND, BIG_ENDIAN), context(7, PRINT))
    found = rights("store").filter(proposed, enforce=False)
    assert found.offered == (proposed[0], proposed[1], proposed[3])
    assert found.refused == {5: Result.TRANSFER_SYNTAXES_NOT_SUPPORTED}
    assert found.observed == (proposed[1], proposed[3])


# By which rule


@pytest.mark.parametrize(
    ("one", "offered", "number", "because"),
    [
        (rights("echo", "find"), [FIND], 2, ""),
        (rights("echo", "find", "find"), [FIND, VERIFICATION], 1, ""),
        (rights("find", "other"), [UNHEARD_OF], 2, ""),
        # a C-GET lets the C-STOREs back that it causes
        (rights("echo", "get", scp=[CT]), [CT], 2, ""),
        (rights("echo", "get", scp=[PRINT]), [PRINT], None, ""),
        (rights("echo", "get"), [CT], None, ""),
        # so does a C-MOVE on an association of its own
        (rights("echo", moved=True), [CT], None, "an open C-MOVE"),
        (rights("echo", moved=True), [FIND], None, ""),
        (rights("echo store", moved=True), [CT], 1, ""),
        # what the callee may ask of the caller
        (rights("echo", back=("print", "commitment")), [COMMITMENT], None, "rule 3 the other way"),
        (rights("echo", back=("print",), scp=[PRINT]), [PRINT], None, "rule 2 the other way"),
        (rights("echo", back=("print",)), [PRINT], None, ""),
        (rights("echo", back=("find",), scp=[PRINT]), [PRINT], None, ""),
        (rights("commitment", back=("commitment",)), [COMMITMENT], 1, ""),
        (rights(), [FIND], None, ""),
    ],
)
def test_grounds(one, offered, number, because):
    found, text = one.grounds(contexts(*offered))
    assert (found and found.number, text) == (number, because)


words = st.lists(st.sampled_from(Service), min_size=1, max_size=2).map(" ".join)


@given(
    st.lists(words, max_size=2),
    st.lists(words, max_size=2).map(tuple),
    st.booleans(),
    st.lists(st.sampled_from(ALL), max_size=2),
    st.sampled_from(ALL),
)
def test_what_is_offered_has_its_grounds(services, back, moved, scp, syntax):
    """And what is not has none, so the log never names a rule that did not let it in."""
    one = rights(*services, back=back, moved=moved, scp=scp)
    proposed = contexts(syntax)
    found, because = one.grounds(proposed)
    assert bool(one.filter(proposed).offered) is (found is not None or because != "")


# Groups


def test_a_group_is_queried_and_retrieved_from():
    kept = fanned(contexts(*ALL), frozenset())
    assert syntaxes(kept) == [VERIFICATION, FIND, MOVE, GET, WORKLIST]
    assert [one.context_id for one in kept] == [1, 5, 7, 9, 11]
    assert syntaxes(fanned(contexts(UPS, MPPS, COMMITMENT, PRINT), frozenset(ALL))) == []


@pytest.mark.parametrize(("scp", "kept"), [([], [GET]), ([CT], [GET, CT]), ([MPPS], [GET])])
def test_what_a_c_get_brings_is_stored_by_the_caller(scp, kept):
    assert syntaxes(fanned(contexts(GET, CT, MPPS, UNHEARD_OF), frozenset(scp))) == kept


@pytest.mark.parametrize(
    ("proposed", "kept"),
    [
        ([EXPLICIT, IMPLICIT], IMPLICIT),
        ([BIG_ENDIAN, EXPLICIT, JPEG], EXPLICIT),
        ([BIG_ENDIAN, JPEG], BIG_ENDIAN),
    ],
)
def test_queries_in_one_transfer_syntax(proposed, kept):
    [one] = fanned([context(1, FIND, *proposed)], frozenset())
    assert one.transfer_syntaxes == (kept,)


def test_what_is_stored_in_any():
    stored = context(1, CT, JPEG, EXPLICIT)
    assert fanned([stored], frozenset({CT})) == (stored,)


def test_roles():
    roles = [
        RoleSelection(CT, scu=True, scp=True),
        RoleSelection(GET, scu=True, scp=False),
        RoleSelection(MPPS, scu=False, scp=True),
    ]
    assert scp_of(roles) == {CT, MPPS}
    assert scp_of(()) == frozenset()
