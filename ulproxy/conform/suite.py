"""All clauses, in the order of PS3.8."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from ulproxy.conform import (
    annex_d,
    annex_e,
    clause_9_1,
    clause_9_2,
    clause_9_3_2,
    clause_9_3_2_2,
    clause_9_3_3,
    clause_9_3_4,
    clause_9_3_5,
)
from ulproxy.conform.case import Clause

_REJECTION, *_OTHERS = clause_9_3_4.CLAUSES
CLAUSES: Final[tuple[Clause, ...]] = (
    *clause_9_1.CLAUSES,
    *clause_9_2.CLAUSES,
    *clause_9_3_2.CLAUSES,
    *clause_9_3_2_2.CLAUSES,
    *clause_9_3_3.CLAUSES,
    _REJECTION,
    *clause_9_3_5.CLAUSES,
    *_OTHERS,
    *annex_d.CLAUSES,
    *annex_e.CLAUSES,
)


def chosen(patterns: Sequence[str]) -> tuple[Clause, ...]:
    """The cases that a pattern names (none = all): a case, a clause with those below it, or with * and ?."""
    if not patterns:
        return CLAUSES
    found = []
    for one in CLAUSES:
        cases = tuple(case for case in one.cases if any(_names(p, case.id) for p in patterns))
        if cases:
            found.append(Clause(one.number, one.title, cases))
    return tuple(found)


def _names(pattern: str, case_id: str) -> bool:
    """9.3 names 9.3.1/1 and 9.3.2.1/1, not 9.31/1."""
    below = case_id.startswith((f"{pattern}.", f"{pattern}/"))
    return below or fnmatchcase(case_id, pattern)
