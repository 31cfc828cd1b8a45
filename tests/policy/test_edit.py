"""Edits of the file: what they write where, what they leave alone, and what they refuse."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.policy.config_text import AE_1, AE_2, BASE, END, RULE, edited
from ulproxy.dimse.services import Service
from ulproxy.errors import ConfigError
from ulproxy.policy import edit
from ulproxy.policy.config import parse
from ulproxy.policy.edit import EditRefusedError, Entry, add_ae, add_rule, remove_ae, remove_rule

AE: Entry = {"title": "NEW", "network": "inside", "sources": ["10.0.0.7"]}
AE_TEXT = '[[ae]]\ntitle = "NEW"\nnetwork = "inside"\nsources = ["10.0.0.7"]\n'
RULE_ENTRY: Entry = {"from": ["PACS"], "to": ["WS1"], "services": ["store"]}
RULE_TEXT = '[[rule]]\nfrom = ["PACS"]\nto = ["WS1"]\nservices = ["store"]\n'
WS2 = '[[ae]]\ntitle = "WS2"\nnetwork = "inside"\naddress = "10.0.0.2:104"\n'


def lines_of(text, first, count):
    return "".join(text.splitlines(keepends=True)[first - 1 : first - 1 + count])


def inserted(text, before, piece):
    """The text with a piece in front of a line."""
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: before - 1], piece, *lines[before - 1 :]])


# Adding


def test_an_ae_is_added_behind_the_last_one():
    done = add_ae(BASE, AE)
    assert done.text == inserted(BASE, RULE, AE_TEXT + "\n")
    assert done.changes == (f'added AE "NEW", line {RULE}',)
    assert done.config == parse(done.text)
    assert done.text.splitlines()[RULE - 1] == "[[ae]]"


def test_a_rule_is_added_behind_the_last_one():
    done = add_rule(BASE, RULE_ENTRY)
    assert done.text == f"{BASE}\n{RULE_TEXT}"
    assert done.changes == (f"added rule 2, line {END + 2}",)


def test_every_key_of_an_ae():
    entry: Entry = {
        "title": "T",
        "network": "inside",
        "address": "10.0.0.5:104",
        "sources": ["10.0.0.5", "fd00::/64"],
        "alias": "A",
        "name": "a \"name\" of 'ours' \\ [x] # é",
        "omit": ["async-operations"],
        "associations": 3,
        "tls": {"ca": 'a "b".pem'},
        "certificate": "t.example",
    }
    assert tomllib.loads(add_ae(BASE, entry).text)["ae"][2] == entry


def test_a_text_with_line_ends_of_its_own_is_one_line():
    """Not a line end of TOML, but of str.splitlines."""
    with pytest.raises(ConfigError) as caught:
        add_ae(BASE, {**AE, "alias": "x\x85y\nz"})
    assert [problem.key for problem in caught.value.problems] == ["ae[NEW].alias"]


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        # What the file says already: {} is where the new table goes.
        (f"{BASE}{{}}", "rule", "\n" + RULE_TEXT),
        (f"{BASE}\n\n", "rule", None),
        (f"{BASE}# about the rule\n{{}}\n# free\n", "rule", "\n" + RULE_TEXT),
        (f"{BASE}{{}}\n# free\n# [[rule]]\n", "rule", "\n" + RULE_TEXT),
        (f"{BASE}{WS2}{{}}", "ae", "\n" + AE_TEXT),
        (f"{BASE}{WS2}{{}}\n[limits.x]\n"[: len(BASE + WS2) + 2], "ae", "\n" + AE_TEXT),
        # A file without blank lines gets none.
        (BASE.replace("\n\n", "\n").replace("[[rule]]", "{}[[rule]]"), "ae", AE_TEXT),
        (BASE.replace("\n\n", "\n").replace("[[rule]]", "{}# r\n[[rule]]"), "ae", AE_TEXT),
        # No rule yet: at the end, behind what is there, above the blank lines.
        (lines_of(BASE, 1, RULE - 2) + "{}\n\n", "rule", "\n" + RULE_TEXT),
        (lines_of(BASE, 1, RULE - 2) + "# free\n{}", "rule", "\n" + RULE_TEXT),
    ],
)
def test_where_it_is_added(text, kind, expected):
    before = text.replace("{}", "")
    done = (add_ae(before, AE) if kind == "ae" else add_rule(before, RULE_ENTRY)).text
    if expected is not None:
        assert done == text.replace("{}", expected)
    undone = remove_ae(done, "NEW") if kind == "ae" else edit.remove_rule(done, number(done))
    assert undone.text == before


def number(text):
    return len(tomllib.loads(text)["rule"])


def test_an_ae_that_is_there_already():
    with pytest.raises(EditRefusedError) as caught:
        add_ae(BASE, {**AE, "name": " PACS "})
    assert str(caught.value) == f'an AE has the name "PACS" already, line {AE_2}'


@pytest.mark.parametrize(
    "entry",
    [
        {"from": ["WS1"], "to": ["PACS"], "services": ["move", "echo"]},
        {"from": [" WS1 ", "WS1"], "to": ["PACS"], "services": ["echo", "move", "echo"]},
    ],
)
def test_a_rule_that_is_there_already(entry):
    with pytest.raises(EditRefusedError) as caught:
        add_rule(BASE, entry)
    assert str(caught.value) == f"rule 1 (line {RULE}) says the same already"
    assert add_rule(BASE, {**entry, "destinations": ["WS1"]}).changes
    assert add_rule(BASE, {**entry, "services": ["echo"]}).changes


def test_a_result_that_does_not_validate():
    with pytest.raises(ConfigError) as caught:
        add_ae(BASE, {**AE, "address": "10.0.0.1"})
    [problem] = caught.value.problems
    assert (problem.line, problem.key) == (RULE + 4, "ae[NEW].address")


@pytest.mark.parametrize(
    "attempt",
    [
        lambda text: add_ae(text, AE),
        lambda text: remove_ae(text, "WS1"),
        lambda text: add_rule(text, RULE_ENTRY),
        lambda text: remove_rule(text, 1),
    ],
)
@pytest.mark.parametrize("text", ["[ae\n", BASE + "[ea]\n", edited({RULE: "[[rul]]"})])
def test_a_text_that_does_not_validate(attempt, text):
    with pytest.raises(ConfigError):
        attempt(text)


# Removing


@pytest.mark.parametrize(
    "text",
    [
        # {{ }} is what goes with WS2
        BASE.replace("[[rule]]", "{{" + WS2 + "\n}}[[rule]]"),
        BASE.replace(
            "\n[[rule]]", "{{\n# the second\n# station\n" + WS2 + "}}\n# free\n\n[[rule]]"
        ),
        BASE.replace("\n[[rule]]", "{{\n" + WS2 + '# omit = ["x"]\n\t# y\n}}\n# rule\n[[rule]]'),
        BASE.replace("\n[[rule]]", "\n# free\n{{\n\n" + WS2 + "}}\n[[rule]]"),
        BASE.replace("[[rule]]", "{{" + WS2 + "}}# rule\n[[rule]]"),
        BASE.replace("[[rule]]", "# free\n\n{{# mine\n" + WS2 + "}}[[rule]]"),
        BASE.replace('[[ae]]\ntitle = "PACS"', "{{" + WS2 + '\n}}# p\n[[ae]]\ntitle = "PACS"'),
        BASE + "{{\n" + WS2 + "}}",
        BASE + "{{\n" + WS2 + "# mine}}",
        BASE + "{{\n" + WS2 + "}}\n \n",
        BASE + "{{\n" + WS2 + "}}\n# free",
        "{{# mine\n" + WS2 + "\n\n}}" + BASE,
        "{{" + WS2 + "}}" + BASE,
        "# free\n{{\n" + WS2 + "}}\n" + BASE,
        BASE
        + "{{\n \t[[ 'ae' ]] # x\n title='WS2'\n\"network\"='inside'\nsources=[\n# ]\n\n'::1']\n}}",
        BASE + '{{\n[[ae]]\nnetwork = "inside"\nsources = []\naddress = "a:1"\ntitle = "WS2"\n'
        "name = '''\nWS2'''}}",
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_goes_with_an_ae(text, newline):
    text = text.replace("\n", newline)
    before, after = text.replace("{{", "").replace("}}", ""), re.sub(r"(?s)\{\{.*\}\}", "", text)
    if not before.endswith("\n") and text.endswith("}}"):
        after = after.removesuffix(newline)  # the file ends as it ended
    assert remove_ae(before, "WS2").text == after


def test_a_text_whose_last_line_looks_like_a_comment():
    ae = WS2.replace("WS2", "X") + 'name = """\n# n"""\n# with it\n'
    text = BASE.replace("[[rule]]", f"{ae}\n[[rule]]")
    done = add_ae(text, AE).text
    assert done == text.replace("\n[[rule]]", f"\n{AE_TEXT}\n[[rule]]")
    assert remove_ae(text, "# n").text == BASE


def test_mixed_line_ends_stay():
    mixed = BASE.replace("\n", "\r\n").replace("\r\n", "\n", 5).rstrip()
    done = add_rule(mixed, RULE_ENTRY).text
    assert done == f"{mixed}\n\n{RULE_TEXT}".rstrip()
    assert remove_rule(done, 2).text == mixed
    by_hand = f"{mixed}\r\n\r\n[[rule]]\r\n" + "\r\n".join(RULE_TEXT.splitlines()[1:])
    assert remove_rule(by_hand, 2).text == mixed


def test_an_ae_that_is_not_there():
    with pytest.raises(EditRefusedError) as caught:
        remove_ae(BASE, "PAC")
    assert str(caught.value) == 'no AE has the name "PAC"; did you mean "PACS"?'


@pytest.mark.parametrize("wrong", [0, -1, 2])
def test_a_rule_that_is_not_there(wrong):
    with pytest.raises(EditRefusedError) as caught:
        remove_rule(BASE, wrong)
    assert str(caught.value) == f"there is no rule {wrong}; rules are numbered 1 to 1"


def test_rules_by_number():
    two = add_rule(BASE, RULE_ENTRY).text
    done = remove_rule(two, 1)
    assert done.text == BASE[: BASE.index("\n[[rule]]")] + "\n" + RULE_TEXT
    assert done.changes == (
        f"removed rule 1, line {RULE}; the rules behind it have moved up by one",
    )
    assert remove_rule(two, 2).changes == (f"removed rule 2, line {END + 2}",)
    with pytest.raises(EditRefusedError, match="the file has none"):
        remove_rule(remove_rule(done.text, 1).text, 1)


def test_what_rules_name_is_not_removed():
    text = edited(
        more='[[rule]]\nfrom=["PACS"]\nto=["*"]\nservices=["move"]\ndestinations=[" WS1 "]'
    )
    with pytest.raises(EditRefusedError) as caught:
        remove_ae(text, "WS1")
    assert str(caught.value) == (
        f'"WS1" is named by rule 1 (line {RULE}), rule 2 (line {END + 1}); '
        "remove it there first, or use --force"
    )


THREE = f"""{BASE}
{WS2}
# head
[[rule]]  # 2
from = [
  "PACS",  # far
  " WS1 ",  # near
  "WS2"
]  # from
to = ["WS1", 'WS2']
services = ["move"]
# for one
destinations = ["WS1"]

[[rule]]
from = ["*"]
to = ["PACS"]
services = ["*"] # all
destinations = ["WS1"] # the one
[[rule]]
services = ["get", "find", " move "]
destinations = ["WS1", "WS2"]
from = ["network:inside"]
to = ["PACS"]
"""


def test_force_takes_it_out_of_rules():
    done = remove_ae(THREE, "WS1", force=True)
    rest = [service.value for service in Service if service is not Service.MOVE]
    assert tomllib.loads(done.text)["rule"] == [
        {"from": ["*"], "to": ["PACS"], "services": rest},
        {
            "services": ["get", "find", " move "],
            "destinations": ["WS2"],
            "from": ["network:inside"],
            "to": ["PACS"],
        },
    ]
    assert " # all\n[[rule]]\n" in done.text
    assert done.changes == (
        f'removed AE "WS1", line {AE_1}',
        "removed rule 1 (line 27), which says nothing without it",
        "removed rule 2 (line 38), which says nothing without it",
        (
            "removed it from rule 3 (line 49), which has no destination without it and no longer "
            "allows move"
        ),
        "removed it from rule 4 (line 54)",
    )


def test_force_keeps_comments_in_lists():
    text = THREE.replace('destinations = ["WS1"]\n', 'destinations = ["WS2"]\n')
    done = remove_ae(text, "WS1", force=True).text
    piece = '[[rule]]  # 2\nfrom = [\n  "PACS",  # far\n  "WS2"\n]  # from\nto = [\'WS2\']\n'
    assert f'\n# head\n{piece}services = ["move"]\n# for one\ndestinations = ["WS2"]\n\n' in done


def test_destinations_that_are_only_for_get():
    text = edited({RULE + 3: 'services = ["get"]\ndestinations = ["PACS", "WS1"]'})
    text = text.replace('from = ["WS1"]', 'from = ["network:inside"]').replace('"PACS", "W', '"W')
    text = text.replace("[[rule]]", f"{WS2}\n[[rule]]")
    done = remove_ae(text, "WS1", force=True)
    assert tomllib.loads(done.text)["rule"] == [
        {"from": ["network:inside"], "to": ["PACS"], "services": ["get"]}
    ]
    assert done.changes[1:] == ("removed it from rule 1 (line 32)",)


def test_what_a_removal_would_make_wrong_is_refused():
    text = edited({RULE + 2: 'to = ["network:outside"]'})
    with pytest.raises(ConfigError) as caught:
        remove_ae(text, "PACS", force=True)
    assert [problem.key for problem in caught.value.problems] == ["rule[1].to"]


# Ways of writing


INLINE = 'ae = [{ title = "WS1", network = "inside", sources = ["::1"] }]\nrule = []\n'


@pytest.mark.parametrize(
    ("attempt", "line", "key"),
    [
        (lambda text: add_ae(text, AE), 1, "ae"),
        (lambda text: remove_ae(text, "WS1"), 1, "ae"),
        (lambda text: add_rule(text, RULE_ENTRY), 2, "rule"),
    ],
)
def test_lists_in_brackets_are_not_edited(attempt, line, key):
    with pytest.raises(ConfigError) as caught:
        attempt(INLINE + lines_of(BASE, 1, AE_1 - 1))
    [problem] = caught.value.problems
    assert (problem.line, problem.key) == (line, key)
    assert f"write [[{key}]] above each" in problem.text


def test_what_is_not_found_is_not_taken_along(monkeypatch):
    """Should the lines of an entry not be all of it, or not only it, nothing comes out."""
    monkeypatch.setattr(edit._File, "_end", lambda _self, start, _: min(start + 1, AE_2 + 2))
    with pytest.raises(ConfigError) as caught:
        remove_ae(add_ae(BASE, AE).text, "NEW")
    assert caught.value.problems


def test_a_result_that_says_something_else_is_refused(monkeypatch):
    monkeypatch.setattr(edit, "_written", lambda *_: AE_TEXT.replace("10.0.0.7", "*").split("\n"))
    with pytest.raises(ConfigError) as caught:
        add_ae(BASE, AE)
    [problem] = caught.value.problems
    assert problem.text == "is written in a way that this command cannot edit; use a text editor"
