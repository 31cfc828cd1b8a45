"""The cases as a whole: their names, what is said of them, how they are chosen."""

from __future__ import annotations

import pytest

from ulproxy.conform.case import Case, Level
from ulproxy.conform.suite import CLAUSES, chosen

CASES: list[Case] = [case for clause in CLAUSES for case in clause.cases]


def names(*patterns: str) -> list[str]:
    return [case.id for clause in chosen(patterns) for case in clause.cases]


def test_there_are_many():
    assert len(CASES) >= 250
    assert sum(case.level is Level.MUST for case in CASES) > 200


def test_each_has_a_name_and_a_sentence_of_its_own():
    assert len({case.id for case in CASES}) == len(CASES)
    for clause in CLAUSES:
        assert len({case.holds for case in clause.cases}) == len(clause.cases)
        assert [case.id for case in clause.cases] == [
            f"{clause.number}/{n}" for n in range(1, len(clause.cases) + 1)
        ]


def test_clauses_are_in_the_order_of_the_standard():
    def order(number: str) -> list[tuple[int, str]]:
        parts = number.replace("Sta", "").split(".")
        return [(int(part), "") if part.isdigit() else (99, part) for part in parts]

    numbers = [clause.number for clause in CLAUSES]
    assert numbers == sorted(numbers, key=order)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ((), [case.id for case in CASES]),
        (("9.1.1/2",), ["9.1.1/2"]),
        (("9.1.1",), ["9.1.1/1", "9.1.1/2", "9.1.1/3"]),
        (("E.2/[12]", "9.1.1/3"), ["9.1.1/3", "E.2/1", "E.2/2"]),
        (("9.3.3.?/1",), ["9.3.3.1/1", "9.3.3.2/1", "9.3.3.3/1"]),
        (("9.3.3",), [case.id for case in CASES if case.id.startswith("9.3.3")]),
        (("9.2",), [case.id for case in CASES if case.id.startswith("9.2.")]),
        (("9.1.1/", "9.4", "", "9.1.1/1x"), []),
    ],
)
def test_what_is_chosen(patterns, expected):
    assert names(*patterns) == expected
