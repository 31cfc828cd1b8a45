"""Edits of any file: adding and removing cancel out, and nothing else is touched."""

from __future__ import annotations

import copy
import re
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from tests.policy.config_text import BASE
from ulproxy.policy.config import parse
from ulproxy.policy.edit import Entry, add_ae, add_rule, remove_ae, remove_rule

AE: Entry = {"title": "NEW", "network": "inside", "sources": ["10.0.0.7"]}
RULE_ENTRY: Entry = {"from": ["PACS"], "to": ["WS1"], "services": ["store"]}

COMMENT = st.sampled_from(["", "# a comment\n", '  # [[ae]] """\n', "# one\n# two\n"])
GAP = st.builds(
    lambda blank, free: blank + free + "\n" * bool(free),
    st.sampled_from(["", "\n", "\n\n", " \n"]),
    COMMENT,
)
STYLES = (
    """\
[[ae]]
title = "{0}"
network = "inside"
address = "10.0.0.{1}:104"
alias = "X{0}"
""",
    """\
[[ ae ]] # x
\ttitle='{0}'
# inner

"network"='inside' # y
address='10.0.0.{1}:104'
alias = 'X{0}'
""",
    """\
[["ae"]]
sources = [ # s
  "10.0.0.0/24", # [[ae]]

]
address = '''
10.0.0.{1}:104'''
alias = "X{0}"
title = "{0}"
network = "inside"
""",
)
RULES = (
    """\
[[rule]]
from = ["WS1"]
to = ["{0}"]
services = ["store"]
""",
    """\
[[rule]]
from = [
"{0}", # me
  "WS1" # you
]
to = ["PACS", "{0}"]
services = ["*"]
destinations=["{0}", "PACS"]
""",
)


@st.composite
def files(draw):
    """A file of many tables in any order and style, with comments everywhere; the titles of its AEs."""
    titles = [f"T{n}" for n in range(draw(st.integers(1, 4)))]
    pieces = [f"{one}\n" for one in BASE.split("\n\n")]
    pieces[-1] = pieces[-1].removesuffix("\n")
    for n, title in enumerate(titles, 20):
        pieces.append(draw(st.sampled_from(STYLES)).format(title, n))
        if draw(st.booleans()):
            pieces.append(draw(st.sampled_from(RULES)).format(title))
    text = draw(COMMENT)
    for piece in draw(st.permutations(pieces)):
        text += draw(GAP) + draw(COMMENT) + piece + draw(COMMENT)
    text += draw(GAP)
    if draw(st.booleans()):
        text = text.removesuffix("\n")
    parse(text)
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"]))), titles


def comments(text):
    return [line for line in text.splitlines() if line.lstrip().startswith("#")]


@given(files())
def test_adding_and_removing_cancel_out(file):
    text, _ = file
    done = add_ae(text, AE)
    assert comments(done.text) == comments(text)
    assert tomllib.loads(done.text)["ae"] == [*tomllib.loads(text)["ae"], AE]
    assert remove_ae(done.text, "NEW").text == text
    done = add_rule(text, RULE_ENTRY)
    assert comments(done.text) == comments(text)
    assert remove_rule(done.text, len(tomllib.loads(done.text)["rule"])).text == text


@given(files(), st.data())
def test_removing_takes_lines_away_and_nothing_else(file, data):
    text, titles = file
    title = data.draw(st.sampled_from(titles))
    done = remove_ae(text, title, force=True).text
    before, after = tomllib.loads(text), tomllib.loads(done)
    assert after["ae"] == [ae for ae in before["ae"] if ae["title"] != title]
    assert after["rule"] == list(filter(None, map(reduced(title), before["rule"])))
    assert {**after, "ae": 0, "rule": 0} == {**before, "ae": 0, "rule": 0}
    rest = iter(text.splitlines())
    kept = [line for line in done.splitlines() if title not in line and "PACS" not in line]
    assert all(line in rest for line in kept if "WS1" not in line)
    assert done.endswith("\n") == text.endswith("\n")  # the file ends as it ended
    assert ("\r" in done) == ("\r" in text)


def reduced(title):
    def rest(rule):
        rule = copy.deepcopy(rule)
        for key in {"from", "to", "destinations"} & rule.keys():
            rule[key] = [name for name in rule[key] if name != title]
        return rule if rule["to"] else None

    return rest


@given(files(), st.data())
def test_free_comments_survive(file, data):
    text, titles = file
    newline = "\r\n" if "\r" in text else "\n"
    pieces = re.split(f"{newline}[ {newline}]*{newline}", text)
    free = [piece for piece in pieces if piece == newline.join(comments(piece))]
    done = remove_ae(text, data.draw(st.sampled_from(titles)), force=True).text
    for piece in free:
        assert piece in done
