"""Who is called what, on which network; the contract's "What each side sees"."""

from __future__ import annotations

import pytest

from tests.policy.border import ae, config
from ulproxy.policy.model import Group
from ulproxy.policy.names import RELAY_ITSELF, Names

AES = {
    "WS1": ae("WS1", alias="HA_WS1"),
    "CT": ae("CT", name="scanner"),
    "PACS in": ae("PACS", alias="HA_PACS", name="PACS in"),
    "PACS out": ae("PACS", "outside", alias="HB_PACS", name="PACS out"),
    "HA_WS1": ae("HA_WS1", "outside", name="its namesake"),
    "LAB": ae("LAB", "third", alias="HOSP_A"),
    "HOSP_A": ae("HOSP_A", "fourth", name="the relay's namesake"),
}
NAMES = Names(config(AES.values()))


@pytest.mark.parametrize(
    ("network", "title", "expected"),
    [
        # a title of the own network comes first
        ("inside", "WS1", "WS1"),
        ("inside", "PACS", "PACS in"),
        ("outside", "PACS", "PACS out"),
        ("outside", "HA_WS1", "HA_WS1"),  # not the WS1 whose alias it is
        ("fourth", "HOSP_A", "HOSP_A"),  # not the relay, nor the LAB whose alias it is
        # then aliases of others
        ("inside", "HB_PACS", "PACS out"),
        ("outside", "HA_PACS", "PACS in"),
        ("third", "HA_WS1", "WS1"),
        ("fourth", "HB_PACS", "PACS out"),
        ("inside", "HOSP_A", "LAB"),
        # an alias is for others
        ("inside", "HA_PACS", None),
        ("inside", "HA_WS1", None),
        ("outside", "HB_PACS", None),
        # then the relay's own title
        ("third", "HOSP_A", "the relay"),
        # titles of other networks, names of the file, and what only looks alike, are none
        ("outside", "WS1", None),
        ("outside", "CT", None),
        ("inside", "scanner", None),
        ("outside", "PACS out", None),
        ("inside", "ws1", None),
        ("inside", "WS1 ", None),
        ("inside", "", None),
        ("nowhere", "WS1", None),
        ("nowhere", "HA_PACS", "PACS in"),
    ],
)
def test_called(network, title, expected):
    found = RELAY_ITSELF if expected == "the relay" else AES.get(expected or "")
    assert NAMES.called(title, network) is found


def test_the_relays_own_title():
    names = Names(config([AES["WS1"]]))
    assert names.relay_title == "HOSP_A"
    for network in ("inside", "outside", "nowhere"):
        assert names.called("HOSP_A", network) is RELAY_ITSELF
    assert Names(config([])).called("WS1", "inside") is None


@pytest.mark.parametrize(
    ("network", "title", "expected"),
    [
        ("inside", "WS1", "WS1"),
        ("outside", "PACS", "PACS out"),
        ("inside", "PACS", "PACS in"),
        ("outside", "WS1", None),
        ("outside", "HA_PACS", None),  # an alias is what one is called, never what one calls with
        ("inside", "HA_WS1", None),
        ("third", "HOSP_A", None),
        ("inside", "scanner", None),
        ("inside", "", None),
    ],
)
def test_caller(network, title, expected):
    assert NAMES.caller(title, network) is AES.get(expected or "")


@pytest.mark.parametrize(
    ("name", "network", "expected"),
    [
        ("WS1", "inside", "WS1"),
        ("WS1", "outside", "HA_WS1"),
        ("WS1", "third", "HA_WS1"),
        ("CT", "inside", "CT"),
        ("CT", "outside", "HOSP_A"),  # no alias of its own
        ("PACS out", "inside", "HB_PACS"),
        ("PACS out", "outside", "PACS"),
        ("LAB", "inside", "HOSP_A"),
    ],
)
def test_shown(name, network, expected):
    assert NAMES.shown(AES[name], network) == expected


@pytest.mark.parametrize("network", ["inside", "outside", "third", "fourth"])
@pytest.mark.parametrize("name", AES)
def test_what_is_shown_means_the_same_when_it_is_said(name, network):
    """Unless its alias is hidden by a title of that network, or it has none."""
    one = AES[name]
    meant = NAMES.called(NAMES.shown(one, network), network)
    hidden = {("WS1", "outside"), ("CT", "fourth"), ("LAB", "fourth")}
    if (name, network) in hidden:
        assert meant is NAMES.caller(NAMES.shown(one, network), network)
    elif one.alias is None and one.network != network:
        assert NAMES.shown(one, network) == "HOSP_A"
    else:
        assert meant is one


@pytest.mark.parametrize(
    ("title", "sender", "receiver", "expected"),
    [
        ("PACS", "PACS out", "WS1", "HB_PACS"),  # itself, as the other one calls it
        ("HA_WS1", "PACS in", "PACS out", "HA_PACS"),  # an alias is no title at home
        ("HA_WS1", "PACS out", "CT", "HOSP_A"),  # the namesake, which has no alias
        ("HOSP_A", "PACS out", "CT", "HOSP_A"),
        ("ELSEWHERE", "PACS out", "CT", "HB_PACS"),  # not in the file: whoever speaks of it
        ("", "PACS out", "CT", "HB_PACS"),
        ("WS1", "CT", "PACS out", "HA_WS1"),
        ("CT", "CT", "PACS out", "HOSP_A"),
        ("HB_PACS", "CT", "PACS out", "PACS"),
    ],
)
def test_translated(title, sender, receiver, expected):
    assert NAMES.translated(title, AES[sender], AES[receiver]) == expected


def test_a_group_is_called_the_same_everywhere():
    """But by a member of it, which is meant where it is told the title; and the relay alike."""
    aes = [AES["WS1"], AES["CT"], AES["PACS out"]]
    names = Names(config(aes, (), [Group("ALL", ("PACS out",))]))
    assert names.translated("ALL", AES["WS1"], AES["PACS out"]) == "PACS"
    assert names.translated("ALL", AES["WS1"], AES["CT"]) == "ALL"
    assert names.translated("ALL", AES["PACS out"], AES["WS1"]) == "ALL"


def test_the_relays_title_means_the_receiver_that_is_known_by_it():
    """A modality without an alias, in what a worklist SCP says of it."""
    names = Names(config([AES["WS1"], AES["CT"], AES["PACS out"]]))
    assert names.translated("HOSP_A", AES["PACS out"], AES["CT"]) == "CT"
    assert names.translated("HOSP_A", AES["PACS out"], AES["WS1"]) == "HOSP_A"
    assert names.translated("HOSP_A", AES["WS1"], AES["CT"]) == "HOSP_A"
    group = Names(config([AES["CT"], AES["PACS out"]], (), [Group("HOSP_A", ("PACS out",))]))
    assert group.translated("HOSP_A", AES["PACS out"], AES["CT"]) == "CT"
    assert group.translated("HOSP_A", AES["CT"], AES["PACS out"]) == "PACS"


@pytest.mark.parametrize(
    ("name", "network", "expected"),
    [
        ("WS1", "outside", False),
        ("CT", "outside", True),
        ("CT", "inside", False),
        ("LAB", "inside", True),
        ("LAB", "third", False),
    ],
)
def test_is_hidden(name, network, expected):
    assert NAMES.is_hidden(AES[name], network) is expected


def test_the_relay_is_called_the_same_everywhere():
    names = Names(config([AES["WS1"], AES["PACS out"]]))
    assert names.translated("HOSP_A", AES["PACS out"], AES["WS1"]) == "HOSP_A"
    assert names.translated("HOSP_A", AES["WS1"], AES["PACS out"]) == "HOSP_A"
