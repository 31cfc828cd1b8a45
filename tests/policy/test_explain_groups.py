"""What `explain` says where a title stands for several AEs: groups, and the relay's own title."""

from __future__ import annotations

import pytest

from tests.policy.border import ae, config, peer, rule
from ulproxy.dimse.services import Service
from ulproxy.policy.explain import Question, explain
from ulproxy.policy.model import Group
from ulproxy.policy.rules import Policy

WS1 = ae("WS1", host="10.0.0.1", alias="HA_WS1")
WS2 = ae("WS2", host="10.0.0.2")
WS3 = ae("WS3", host="10.0.0.3")
PACS = ae("PACS", "outside", "192.0.2.1", alias="HB_PACS")
OLD = ae("OLD", "outside", "192.0.2.2")
DOWN = ae("DOWN", "outside", "192.0.2.3")
AES = (WS1, WS2, WS3, PACS, OLD, DOWN)
GROUPS = (Group("ALL", ("PACS", "OLD", "DOWN", "WS1")), Group("HOSP_A", ("PACS", "OLD")))
POLICY = Policy(
    config(
        AES,
        [
            rule("WS1", "PACS", "echo find move"),
            rule("WS1", "ALL", "find"),
            rule("WS1", "OLD", "move", "WS2"),
            rule("WS2", "PACS", "commitment"),
        ],
        GROUPS[:1],
    )
)


def said(called, service=None, destination=None, policy=POLICY, where=None, calling="WS1"):
    service = None if service is None else Service(service)
    question = Question(where or peer(), calling, called, service, destination)
    explanation = explain(policy, question)
    assert explanation.lines[0].startswith("allowed" if explanation.allowed else "refused")
    assert all(line.isprintable() and len(line) < 200 for line in explanation.lines)
    return explanation.lines


# Groups


def test_a_query_member_by_member():
    assert said("ALL", "find") == [
        "allowed: ALL is a group, of which 3 of 4 members are asked",
        "caller: WS1, WS1 on network inside",
        "member PACS: allowed by rule 1 (line 101): WS1 may use find of PACS",
        "  callee: PACS, PACS on network outside, at 192.0.2.1:104",
        "  the callee sees: calling HA_WS1, called PACS",
        "  offered onward by rule 1 (line 101): contexts for find",
        "  the caller sees: Retrieve AE Title HB_PACS for PACS",
        "  rule 1 (line 101): WS1 to PACS: echo, find, move",
        "  rule 2 (line 102): WS1 to PACS: find",
        "member OLD: allowed by rule 2 (line 102): WS1 may use find of OLD",
        "  callee: OLD, OLD on network outside, at 192.0.2.2:104",
        "  the callee sees: calling HA_WS1, called OLD",
        "  offered onward by rule 2 (line 102): contexts for find",
        "  the caller sees: Retrieve AE Title ALL for OLD",  # which has no alias
        "  rule 2 (line 102): WS1 to OLD: find",
        "  rule 3 (line 103): WS1 to OLD: move",
        "member DOWN: allowed by rule 2 (line 102): WS1 may use find of DOWN",
        "  callee: DOWN, DOWN on network outside, at 192.0.2.3:104",
        "  the callee sees: calling HA_WS1, called DOWN",
        "  offered onward by rule 2 (line 102): contexts for find",
        "  the caller sees: Retrieve AE Title ALL for DOWN",
        "  rule 2 (line 102): WS1 to DOWN: find",
        "not asked: WS1 is the caller itself",
    ]


def test_members_that_are_left_out():
    lines = said("ALL", "echo")
    assert lines[0] == "allowed: ALL is a group, of which 1 of 4 members are asked"
    assert lines[-3:] == [
        "not asked: no presentation context allowed to OLD",
        "not asked: no presentation context allowed to DOWN",
        "not asked: WS1 is the caller itself",
    ]


@pytest.mark.parametrize("service", [None, "move"])
@pytest.mark.parametrize(
    ("destination", "moved"),
    [
        ("WS1", {"PACS": "rule 1 (line 101)", "OLD": None}),
        ("WS2", {"PACS": None, "OLD": "rule 3 (line 103)"}),
    ],
)
def test_a_move_reaches_whoever_may_be_asked_for_it(destination, moved, service):
    lines = said("ALL", service, destination)
    assert lines[0].startswith("allowed: ALL is a group")
    member = ""
    found = {}
    for line in lines:
        if line.startswith("member "):
            member = line.split()[1].rstrip(":")
        if line.startswith("  move destination by "):
            found[member] = line.removeprefix("  move destination by ").partition(":")[0]
        if line.startswith("  refused: C-MOVE-RSP A801H: no rule lets WS1 move from "):
            found[member] = None
    assert {name: found[name] for name in moved} == moved


def test_a_move_that_nobody_may_be_asked_for():
    lines = said("ALL", "move", "WS3")
    assert lines[0] == "refused: C-MOVE-RSP A801H: by no member of ALL"
    assert "  refused: C-MOVE-RSP A801H: no rule lets WS1 move from PACS to WS3" in lines


def test_a_group_of_the_relays_title():
    policy = Policy(config(AES, [rule("WS1", "HOSP_A", "find echo")], GROUPS[1:]))
    assert said("HOSP_A", "find", policy=policy)[0] == (
        "allowed: HOSP_A is a group, of which 2 of 2 members are asked"
    )
    echo = said("HOSP_A", "echo", policy=policy)
    assert echo == ["allowed: HOSP_A is the relay itself, which answers echo"]


# The relay's own title

CALLS = peer("outside", "192.0.2.1")
MOVING = (
    "while a C-MOVE of WS2 to WS2 is under way, its C-STOREs pass by rule 2 (line 102)",
    "while a C-MOVE of WS3 to WS3 is under way, its C-STOREs pass by rule 2 (line 102)",
)
REPORTED = (
    "offered onward by rule 1 (line 101), for what the callee asks or reports: contexts for "
    "commitment"
)
SHARED = Policy(
    config(
        AES, [rule("WS2 WS3", "PACS", "commitment"), rule("network:inside", "PACS", "move echo")]
    )
)


def test_reports_for_whoever_asked():
    assert said("HOSP_A", "commitment", policy=SHARED, where=CALLS, calling="PACS") == [
        "allowed: HOSP_A is whoever asked PACS for what it reports",
        "caller: PACS, PACS on network outside",
        "perhaps WS2: allowed by rule 1 (line 101): PACS may report storage commitment to WS2",
        "  callee: WS2, WS2 on network inside, at 10.0.0.2:104",
        "  the callee sees: calling HB_PACS, called WS2",
        f"  {REPORTED}",
        "  the callee sees: Retrieve AE Title HB_PACS for PACS",
        "perhaps WS3: allowed by rule 1 (line 101): PACS may report storage commitment to WS3",
        "  callee: WS3, WS3 on network inside, at 10.0.0.3:104",
        "  the callee sees: calling HB_PACS, called WS3",
        f"  {REPORTED}",
        "  the callee sees: Retrieve AE Title HB_PACS for PACS",
    ]
    lines = said("HOSP_A", policy=SHARED, where=CALLS, calling="PACS")
    assert tuple(lines[-2:]) == MOVING


def test_c_stores_of_moves_behind_the_relays_title():
    policy = Policy(config(AES, [rule("*", "*", "print"), rule("network:inside", "PACS", "move")]))
    lines = said("HOSP_A", policy=policy, where=CALLS, calling="PACS")
    assert lines == ["allowed: HOSP_A is the relay itself, which answers echo", *MOVING]
    refused = said("HOSP_A", "store", policy=policy, where=CALLS, calling="PACS")
    assert refused[0].startswith("refused: A-ASSOCIATE-RJ 1,1,1: ")
    assert tuple(refused[1:]) == MOVING


@pytest.mark.parametrize(("count", "more"), [(8, False), (9, True)])
def test_many_behind_the_relays_title_are_not_all_listed(count, more):
    aes = [ae(f"W{n}", host="10.0.0.9", name=f"w{n}") for n in range(count)]
    policy = Policy(config([*aes, PACS], [rule("network:inside", "PACS", "move commitment")]))
    lines = said("HOSP_A", policy=policy, where=CALLS, calling="PACS")
    assert sum(line.startswith("perhaps w") for line in lines) == 8
    assert ("perhaps one of 1 more" in lines) is more
    assert sum(line.startswith("while ") for line in lines) == 8
    assert (lines[-1] == "and so do those of other C-MOVEs") is more
