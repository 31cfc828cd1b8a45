"""Edits of the file where an AE is a member of groups."""

from __future__ import annotations

import tomllib

import pytest

from tests.policy.config_text import BASE, END
from ulproxy.policy.edit import EditRefusedError, remove_ae

P2 = """
[[ae]]
title = "P2"
network = "outside"
address = "10.0.0.2:104"
alias = "HB_P2"
"""
GROUPS = """
# both
[[group]]
title = "ALL"
members = [
  " PACS ", # the old one
  "P2",
]

# one
[[group]]
title = " ONE "
members = ["P2"]
"""
RULES = """
[[rule]]
from = ["WS1"]
to = ["ALL"]
services = ["find"]

[[rule]]
from = ["WS1"]
to = ["ONE"]
services = ["find"]

[[rule]]
from = ["WS1"]
to = ["P2", "ONE", "PACS"]
services = ["store", "move"]
destinations = ["ONE"]
"""
TEXT = BASE + P2 + GROUPS + RULES
ALL, ONE = END + 9, END + 17


def test_a_member_is_not_removed():
    with pytest.raises(EditRefusedError) as caught:
        remove_ae(TEXT, "P2")
    assert str(caught.value) == (
        f'"P2" is named by group "ALL" (line {ALL}), group "ONE" (line {ONE}), rule 3 (line 56), '
        "rule 4 (line 61); remove it there first, or use --force"
    )


def test_force_takes_it_out_of_groups_and_rules():
    """A group of nobody goes, and with it what rules say of it."""
    done = remove_ae(TEXT, "P2", force=True)
    data = tomllib.loads(done.text)
    assert data["group"] == [{"title": "ALL", "members": [" PACS "]}]
    assert data["rule"][1:] == [
        {"from": ["WS1"], "to": ["ALL"], "services": ["find"]},
        {"from": ["WS1"], "to": ["PACS"], "services": ["store"]},
    ]
    assert done.changes == (
        f'removed AE "P2", line {END + 2}',
        f'removed it from group "ALL" (line {ALL})',
        f'removed group "ONE" (line {ONE}), which has no member without it',
        "removed rule 3 (line 56), which says nothing without it",
        (
            "removed it from rule 4 (line 61), which has no destination without it and no longer "
            "allows move"
        ),
    )
    assert "# both\n" in done.text
    assert " # the old one\n" in done.text
    assert "# one" not in done.text


def test_another_ae_is_none_of_their_business():
    text = TEXT.replace('to = ["PACS"]', 'to = ["P2"]').replace('"ONE", "PACS"]', '"ONE"]')
    done = remove_ae(text.replace('"ALL"]', '"P2"]'), "PACS", force=True)
    assert done.changes[1:] == (f'removed it from group "ALL" (line {ALL})',)
    assert tomllib.loads(done.text)["group"][1] == {"title": " ONE ", "members": ["P2"]}
