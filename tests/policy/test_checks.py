"""What must be distinct, which networks are served, and what shadows what."""

from __future__ import annotations

import pytest

from tests.policy.config_text import (
    AE_1,
    AE_2,
    BASE,
    END,
    LISTENER_1,
    LISTENER_2,
    assert_found,
    edited,
    problems,
)
from ulproxy.policy.config import parse

AE = '[[ae]]\ntitle = "{}"\nnetwork = "{}"\nsources = ["*"]\n{}\n'


def test_the_base_is_fine():
    assert problems(BASE) == []
    assert parse(BASE).notes == ()


def test_a_listener_is_needed():
    text = edited(dict.fromkeys(range(LISTENER_1, AE_1), ""))
    said = "is missing; nobody can call without at least one [[listener]]"
    assert_found(problems(text), [(0, "listener", said)])
    faults = problems(edited({LISTENER_1 + 2: "", LISTENER_2 + 2: ""}))
    assert [fault.key for fault in faults] == ["listener[1].bind", "listener[2].bind"]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("127.0.0.1:104", "127.0.0.1:104", True),
        ("127.0.0.1:104", "127.0.0.1:105", False),
        ("127.0.0.1:104", "127.0.0.2:104", False),
        ("127.0.0.1:104", "localhost:104", True),
        ("localhost:104", "LOCALHOST:104", True),
        ("localhost:104", "[::1]:104", True),
        ("[::1]:104", "[0::1]:104", True),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_binds_are_distinct(first, second, same):
    text = edited({LISTENER_1 + 2: f'bind = "{first}"', LISTENER_2 + 2: f'bind = "{second}"'})
    said = "is where listener[1].bind (line 9) listens already; write another"
    assert_found(problems(text), [(LISTENER_2 + 2, "listener[2].bind", said)] if same else [])


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (AE.format("WS1", "outside", 'name = "WS1b"'), []),
        (AE.format("WS2", "inside", ""), []),
        (AE.format(" ws1", "inside", ""), []),
        (
            AE.format(" WS1", "inside", ""),
            [
                (
                    END + 2,
                    "ae[WS1].title",
                    "is that of ae[WS1].title (line 16) too; titles are unique",
                )
            ],
        ),
        (
            AE.format("WS1", "inside", 'name = "WS1b"'),
            [
                (
                    END + 2,
                    "ae[WS1b].title",
                    "is that of ae[WS1].title (line 16) too; titles are unique",
                )
            ],
        ),
        (
            AE.format("WS1", "outside", ""),
            [
                (
                    END + 2,
                    "ae[WS1].title",
                    "makes the same name as ae[WS1].title (line 16); give each",
                )
            ],
        ),
        (
            AE.format("WS2", "inside", 'name = "WS1"'),
            [
                (
                    END + 5,
                    "ae[WS1].name",
                    "makes the same name as ae[WS1].title (line 16); give each",
                )
            ],
        ),
        (
            AE.format("WS2", "inside", 'alias = "HA_WS1"'),
            [(END + 5, "ae[WS2].alias", "is that of ae[WS1].alias (line 19) too; give each AE")],
        ),
        (
            AE.format("WS1", "inside", 'alias = "HA_WS1"') * 2,
            [
                (END + 2, "ae[WS1].title", "(line 16)"),
                (END + 5, "ae[WS1].alias", "(line 19)"),
                (END + 7, "ae[WS1].title", "(line 16)"),
                (END + 10, "ae[WS1].alias", "(line 19)"),
            ],
        ),
    ],
)
def test_names_titles_and_aliases_are_distinct(more, expected):
    assert_found(problems(edited(more=more)), expected)


def test_an_ae_with_faults_is_checked_too_but_not_its_name():
    more = AE.format("WS1", "insde", 'alias = "HA_WS1"\nname = ""')
    expected = [
        (END + 3, "ae[3].network", 'did you mean "inside"?'),
        (END + 5, "ae[3].alias", "is that of ae[WS1].alias (line 19) too"),
        (END + 6, "ae[3].name", "is empty"),
    ]
    assert_found(problems(edited(more=more)), expected)


def test_several_without_an_alias_are_fine():
    assert problems(edited({AE_1 + 4: "", AE_2 + 4: ""}, AE.format("WS2", "inside", ""))) == []


@pytest.mark.parametrize(
    ("network", "meant"),
    [
        ("insid_", '; did you mean "inside"?'),
        ("inside2", '; did you mean "inside"?'),
        ("elsewhere", ""),
        ("side", ""),
    ],
)
def test_a_network_without_a_listener(network, meant):
    text = edited(more=AE.format("WS2", network, "") + AE.format("WS3", network, ""))
    said = f'no listener is on network "{network}": its AEs can be called but cannot call{meant}'
    notes = parse(text).notes
    assert_found(notes, [(END + 3, "ae[WS2].network", said)])
    assert notes[0].text == said


@pytest.mark.parametrize(
    ("network", "meant"),
    [
        ("insde", "inside"),
        ("Inside", "inside"),
        ("in side", "inside"),
        ("otuside", "outside"),
        ("utside", "outside"),
    ],
)
def test_a_misspelt_network(network, meant):
    text = edited(more=AE.format("WS2", network, "") + AE.format("WS3", network, ""))
    said = f'no listener is on network "{network}"; did you mean "{meant}"?'
    places = [(END + 3, "ae[WS2].network", said), (END + 8, "ae[WS3].network", said)]
    assert_found(problems(text), places)


def test_a_listener_with_faults_serves_its_network():
    faults = problems(edited({LISTENER_1 + 2: 'bind = "x"'}))
    assert_found(faults, [(LISTENER_1 + 2, "listener[1].bind", "has no port")])


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (AE.format("WS2", "inside", 'alias = "WS2"'), []),
        (AE.format("WS2", "inside", 'alias = "WS1"'), []),
        (
            AE.format("WS2", "inside", 'alias = "PACS"'),
            [
                (
                    END + 5,
                    "ae[WS2].alias",
                    'title of ae[PACS] too, and means that one on network "outside"',
                )
            ],
        ),
        (
            AE.format("WS2", "inside", 'alias = "HOSP_A"'),
            [(END + 5, "ae[WS2].alias", "is the relay's title too: who calls it gets this AE")],
        ),
        (
            AE.format("HOSP_A", "inside", ""),
            [(END + 2, "ae[HOSP_A].title", "is the relay's title too: who calls it on network")],
        ),
    ],
)
def test_shadowing_is_legal_and_noted(more, expected):
    assert_found(parse(edited(more=more)).notes, expected)


def test_without_a_relay_nothing_shadows_it():
    faults = problems(edited({1: "", 2: ""}, AE.format("HOSP_A", "inside", "")))
    assert_found(faults, [(0, "relay.title", "is missing")])


# Groups

GROUP = '[[group]]\ntitle = "{}"\nmembers = ["PACS"]\n'


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (GROUP.format("ALL"), None),
        (GROUP.format("HOSP_A"), None),  # the relay's own title may be a group
        (GROUP.format("WS1"), "is the name of ae[WS1] (line 15), which rules mean by it; give the"),
        (
            GROUP.format("HA_WS1"),
            "is the alias of ae[WS1] (line 15), which is called by it; give the group a title",
        ),
        (GROUP.format("ws 1"), None),
    ],
)
def test_the_title_of_a_group(more, said):
    text = edited(more=more)
    title = more.split('"')[1]
    assert_found(problems(text), [(END + 2, f"group[{title}].title", said)] if said else [])


def test_groups_of_one_title():
    faults = problems(edited(more=GROUP.format("ALL") + GROUP.format(" ALL ")))
    said = f"is that of group[ALL].title (line {END + 2}) too; give each group a title of its own"
    assert_found(faults, [(END + 5, "group[ALL].title", said)])


def test_the_title_of_an_ae_with_another_name_hides_a_group_on_its_network():
    more = AE.format("X", "inside", 'name = "x"') + GROUP.format("X")
    said = f'is the title of ae[x] (line {END + 1}) too, and means that one on network "inside"'
    assert_found(parse(edited(more=more)).notes, [(END + 7, "group[X].title", said)])


def test_a_group_with_faults_is_not_checked():
    more = GROUP.format("WS1").replace('["PACS"]', "[]")
    assert_found(problems(edited(more=more)), [(END + 3, "group[WS1].members", "is empty")])


# The relay's title as an alias

ALIKE = "without an alias would not be told from this AE; write another alias, or give those an"


@pytest.mark.parametrize(
    ("edits", "more", "said"),
    [
        ({}, "", None),
        ({}, AE.format("WS2", "inside", 'alias = "HA_WS2"'), None),
        ({}, AE.format("WS2", "inside", ""), f'is the relay\'s title too, and "WS2" {ALIKE}'),
        (
            {},
            AE.format("WS2", "inside", "") + AE.format("WS3", "inside", ""),
            f'"WS2" and "WS3" {ALIKE}',
        ),
        # each of the two networks knows one of them by its own title
        ({AE_2 + 4: ""}, "", None),
        # a third one knows both by the relay's
        (
            {AE_2 + 4: ""},
            '[[listener]]\nnetwork = "third"\nbind = "127.0.0.1:0"\n',
            f'"PACS" {ALIKE}',
        ),
    ],
)
def test_an_alias_that_is_the_relays_title(edits, more, said):
    text = edited({AE_1 + 4: 'alias = "HOSP_A"', **edits}, more)
    assert_found(problems(text), [(AE_1 + 4, "ae[WS1].alias", said)] if said else [])


def test_an_alias_with_faults_is_one():
    text = edited({AE_1 + 4: 'alias = "HOSP_A"'}, AE.format("WS2", "inside", 'alias = ""'))
    assert_found(problems(text), [(END + 5, "ae[WS2].alias", "is empty")])
