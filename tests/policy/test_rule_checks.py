"""What rules refer to: callers, called, destinations, one rule at a time and all of them together."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policy.config_text import (
    AE_1,
    AE_2,
    BASE,
    END,
    RULE,
    assert_found,
    edited,
    problems,
)
from ulproxy.policy import rule_checks
from ulproxy.policy.checks import Draft
from ulproxy.policy.config import parse
from ulproxy.policy.model import ApplicationEntity
from ulproxy.policy.report import Report
from ulproxy.policy.rule_checks import RuleChecks
from ulproxy.policy.toml_lines import Lines

CALLS_ONLY = (
    '[[ae]]\ntitle = "CT"\nnetwork = "inside"\nsources = ["*"]\nname = "ct 1"\nalias = "HA_CT"\n'
)
WS = '[[ae]]\ntitle = "{0}"\nnetwork = "inside"\naddress = "10.0.0.7:104"\n{1}\n'
PACS_2 = '[[ae]]\ntitle = "PACS2"\nnetwork = "outside"\naddress = "10.0.0.8:104"\nalias = "HB_P2"\n'
NO_ADDRESS = "names no AE that can be called; give it an address"


@pytest.mark.parametrize("key", ["from", "to", "destinations"])
@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("WS1", None),
        (" PACS ", None),
        ("*", None),
        ("network:inside", None),
        ("WS2", 'no AE is named "WS2"; did you mean "WS1"?'),
        ("XYZ", 'no AE is named "XYZ"; known are "PACS", "WS1", "ct 1"'),
        ("ct 1", None),
        ("CT", '"CT" is the title of an AE; write its name, "ct 1"'),
        ("HA_CT", '"HA_CT" is the alias of an AE; write its name, "ct 1"'),
        ("HB_PACS", '"HB_PACS" is the alias of an AE; write its name, "PACS"'),
        ("HOSP_A", '"HOSP_A" is the relay itself; write the names of AEs'),
        ("inside", '"inside" is a network; write "network:inside" for all AEs on it'),
        ("network:insde", 'no network is named "insde"; did you mean "inside"?'),
        ("network:*", 'no network is named "*"; known are "inside", "outside"'),
    ],
)
def test_references(key, entry, said):
    lines = {"from": RULE + 1, "to": RULE + 2, "destinations": RULE + 4}
    other = '"PACS"' if key == "to" else '"WS1"'
    text = edited(more=f'{key} = ["{entry}"]\n' if key == "destinations" else "")
    text += CALLS_ONLY
    if key != "destinations":
        text = text.replace(f"\n{key} = [{other}]", f'\n{key} = [{other}, "{entry}"]')
    if (key, entry) == ("destinations", "ct 1"):
        said = '"ct 1" has no address; give it an address'
    expected = [(lines[key], f"rule[1].{key}", said)] if said else []
    assert_found(problems(text), expected)


def test_a_title_of_several():
    more = WS.format("X", 'name = "a"\nalias = "A1"') + PACS_2.replace("PACS2", "X").replace(
        "HB_P2", 'B1"\nname = "b'
    )
    faults = problems(edited({RULE + 1: 'from = ["X", "zz"]'}, more))
    assert_found(
        faults,
        [
            (RULE + 1, "rule[1].from", '"X" is the title of an AE; write its name, "a" or "b"'),
            (RULE + 1, "rule[1].from", 'no AE is named "zz"'),
        ],
    )


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ('["PACS"]', []),
        ('["PACS", "ct 1"]', []),
        ('["ct 1"]', [(RULE + 2, "rule[1].to", NO_ADDRESS)]),
        ('["network:outside"]', []),
        ('["network:empty"]', [(RULE + 2, "rule[1].to", NO_ADDRESS)]),
        ('["*"]', []),
    ],
)
def test_whoever_is_called_has_an_address(to, expected):
    more = CALLS_ONLY + '[[listener]]\nnetwork = "empty"\nbind = "127.0.0.1:0"\n'
    assert_found(problems(edited({RULE + 2: f"to = {to}"}, more)), expected)


@pytest.mark.parametrize(
    ("services", "destinations", "expected"),
    [
        ('["move"]', '["WS1"]', []),
        ('["get"]', '["WS1"]', []),
        ('["*"]', '["WS1", "PACS"]', []),
        ('["move"]', '["network:inside"]', []),
        ('["move"]', '["*", "network:empty"]', []),
        (
            '["find", "store"]',
            '["WS1"]',
            [(RULE + 4, "rule[1].destinations", 'is for "move" and "get" only; add one')],
        ),
        (
            '["find"]',
            '["WS9"]',
            [
                (RULE + 4, "rule[1].destinations", 'is for "move"'),
                (RULE + 4, "rule[1].destinations", 'no AE is named "WS9"'),
            ],
        ),
        (
            '["move"]',
            '["WS1", "ct 1", "ct 2"]',
            [
                (RULE + 4, "rule[1].destinations", '"ct 1" has no address; give it an address'),
                (RULE + 4, "rule[1].destinations", '"ct 2" has no address; give it an address'),
            ],
        ),
        ('["move"]', '["network:empty"]', [(RULE + 4, "rule[1].destinations", NO_ADDRESS)]),
        ('["move"]', "[]", [(RULE + 4, "rule[1].destinations", "is empty; write destinations =")]),
    ],
)
def test_destinations(services, destinations, expected):
    more = f"destinations = {destinations}\n" + CALLS_ONLY
    more += CALLS_ONLY.replace("CT", "CT2").replace("ct 1", "ct 2")
    more += '[[listener]]\nnetwork = "empty"\nbind = "127.0.0.1:0"\n'
    assert_found(problems(edited({RULE + 3: f"services = {services}"}, more)), expected)


@pytest.mark.parametrize(
    ("edits", "more", "expected"),
    [
        ({}, "", []),
        (
            {AE_1 + 4: "sources = []"},
            "",
            [(RULE + 1, "rule[1].from", "names no AE that may call")],
        ),
        ({AE_1 + 4: "sources = []", RULE + 1: 'from = ["*"]'}, "", []),
        (
            {AE_2 + 4: ""},
            "",
            [(RULE + 2, "rule[1].to", '"PACS" has no alias that other networks could call it by')],
        ),
        ({AE_2 + 4: "", RULE + 1: 'from = ["PACS", "WS1"]'}, "", []),
        ({AE_2 + 4: "", RULE + 2: 'to = ["*"]'}, "", []),
        (
            {AE_2 + 4: "", RULE + 1: 'from = ["network:empty"]'},
            '[[listener]]\nnetwork = "empty"\nbind = "127.0.0.1:0"\n',
            [(RULE + 1, "rule[1].from", "names no AE that may call")],
        ),
    ],
)
def test_notes(edits, more, expected):
    assert_found(parse(edited(edits, more)).notes, expected)


@pytest.mark.parametrize(
    ("edits", "key", "said"),
    [
        ({AE_1 + 1: 'title = "KÖLN"'}, "ae[KÖLN].title", "Ö"),
        ({AE_1 + 1: "title = 1"}, "ae[1].title", "is not text"),
        ({AE_1 + 3: "address = 1"}, "ae[WS1].address", "is not text"),
        ({AE_1 + 2: 'network = "in\\u0000side"'}, "ae[WS1].network", "printable"),
    ],
)
def test_nothing_follows_from_a_fault(edits, key, said):
    [line] = edits
    more = 'destinations = ["WS1"]\n[[rule]]\nfrom = ["PACS"]\nto = ["WS1"]\nservices = ["echo"]\n'
    text = edited(edits, more)
    if "title" in edits[line]:
        text = text.replace('["WS1"]', '["KÖLN"]' if "KÖLN" in text else '["*"]')
    assert_found(problems(text), [(line, key, said)])


def test_the_references_of_a_rule_with_faults():
    edits = {RULE + 1: 'from = ["ws1"]', RULE + 2: "to = [1]", RULE + 3: 'services = ["mvoe"]'}
    expected = [
        (RULE + 1, "rule[1].from", 'no AE is named "ws1"; did you mean "WS1"?'),
        (RULE + 2, "rule[1].to", "is not a list of texts"),
        (RULE + 3, "rule[1].services", '"mvoe" is unknown; did you mean "move"?'),
        (RULE + 4, "rule[1].destinations", 'no AE is named "WS2"'),
    ]
    assert_found(problems(edited(edits, 'destinations = ["WS2"]\n')), expected)


RULE_2 = '[[rule]]\nfrom = ["WS2"]\nto = ["{}"]\nservices = ["move"]\n'
GROUP = '[[group]]\ntitle = "ALL"\nmembers = ["{}"]\n'


@pytest.mark.parametrize("key", ["from", "to", "destinations"])
@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("ALL", None),
        (" ALL ", None),
        ("HOSP_A", None),  # a group of this title
        ("AL", 'no AE or group is named "AL"; did you mean "ALL"?'),
        ("XYZ", 'no AE or group is named "XYZ"; known are "ALL", "HOSP_A", "PACS", "WS1"'),
    ],
)
def test_groups_in_rules(key, entry, said):
    lines = {"from": RULE + 1, "to": RULE + 2, "destinations": RULE + 4}
    more = "" if key != "destinations" else f'destinations = ["{entry}"]\n'
    edits = {} if key == "destinations" else {lines[key]: f'{key} = ["{entry}"]'}
    text = edited(
        edits, more + GROUP.format("PACS") + GROUP.format("PACS").replace("ALL", "HOSP_A")
    )
    assert_found(problems(text), [(lines[key], f"rule[1].{key}", said)] if said else [])


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("PACS", None),
        (" WS1 ", None),
        ("*", '"*" is no AE; write the names of AEs one by one'),
        ("network:inside", '"network:inside" is no AE; write the names of AEs one by one'),
        ("ALL", '"ALL" is a group; write the names of its members'),
        ("PACZ", 'no AE is named "PACZ"; did you mean "PACS"?'),
        ("HB_PACS", '"HB_PACS" is the alias of an AE; write its name, "PACS"'),
        ("ct 1", '"ct 1" has no address; give it an address = "10.0.0.5:104"'),
    ],
)
def test_members(member, said):
    faults = problems(edited(more=GROUP.format(member) + CALLS_ONLY))
    assert_found(faults, [(END + 3, "group[ALL].members", said)] if said else [])


def test_a_member_with_faults_of_its_own():
    text = edited({AE_2 + 3: "address = 1"}, GROUP.format("PACS"))
    assert_found(problems(text), [(AE_2 + 3, "ae[PACS].address", "is not text")])


def test_a_group_with_faults_can_be_named():
    text = edited({RULE + 2: 'to = ["ALL"]'}, GROUP.format("PACS").replace("members", "menbers"))
    assert_found(
        problems(text),
        [
            (END + 1, "group[ALL].members", "is missing; write members = "),
            (END + 3, "group[ALL].menbers", 'is unknown; did you mean "members"?'),
        ],
    )


def test_whoever_is_called_by_a_group_needs_no_alias():
    text = edited({AE_2 + 4: ""}, GROUP.format("PACS"))
    assert parse(text).notes == ()
    assert len(parse(edited({AE_2 + 4: ""})).notes) == 1


def test_a_group_of_callers():
    text = edited({AE_1 + 4: "sources = []", RULE + 1: 'from = ["ALL"]'}, GROUP.format("WS1"))
    said = "names no AE that may call"
    assert_found(parse(text).notes, [(RULE + 1, "rule[1].from", said)])


@pytest.mark.parametrize("first", ["", 'alias = "HA_WS1"'])
def test_several_destinations_behind_one_title(first):
    """Each C-STORE goes where its Move Originator says."""
    text = edited({AE_1 + 4: first}, WS.format("WS2", "") + RULE_2.format("PACS"))
    assert problems(text + 'destinations = ["network:inside"]\n') == []


def test_many_aes_and_rules_take_no_time():
    text = BASE + "".join(WS.format(f"W{n}", f'alias = "A{n}"') for n in range(500))
    text += '[[rule]]\nfrom = ["*"]\nto = ["*"]\nservices = ["*"]\n' * 200
    assert len(parse(text).rules) == 201


class Walked(dict[int, ApplicationEntity]):
    """Counts how often somebody goes through all of them."""

    walks = 0

    def values(self) -> Any:
        self.walks += 1
        return super().values()

    def items(self) -> Any:
        self.walks += 1
        return super().items()


def test_the_aes_are_not_gone_through_for_each_rule():
    def walks(rules: int) -> int:
        config = parse(BASE)
        aes = Walked(enumerate(config.aes))
        draft = Draft(config.relay, aes=aes, rules=dict.fromkeys(range(rules), config.rules[0]))
        RuleChecks(draft, Report(Lines(""), {})).check()
        return aes.walks

    assert 0 < walks(1) == walks(100)


@pytest.mark.parametrize(
    ("most", "guessed"),
    [(3, set()), (4, {"WS2"}), (7, {"WS2"}), (8, {"WS2", "PACZ"}), (9, {"WS2", "PACZ"})],
)
def test_what_was_meant_is_guessed_for_so_many_names(monkeypatch, most, guessed):
    """Each of them is compared with four; one that is named again has been guessed already."""
    monkeypatch.setattr(rule_checks, "MOST_COMPARED", most)
    text = edited({RULE + 1: 'from = ["WS2", "PACZ"]'}, CALLS_ONLY + GROUP.format("PACS"))
    faults = [fault.text for fault in problems(text + RULE_2.format("PACS") * 2)]
    for name, times in (("WS2", 3), ("PACZ", 1)):
        right = "did you mean" if name in guessed else 'known are "ALL", "PACS", "WS1", "ct 1"'
        said = f'no AE or group is named "{name}"; {right}'
        assert [text.startswith(said) for text in faults].count(True) == times


def test_without_a_relay_title():
    assert_found(
        problems(edited({2: "", RULE + 1: 'from = ["HOSP_A"]'})),
        [(1, "relay.title", "is missing"), (RULE + 1, "rule[1].from", "no AE is named")],
    )
