"""The values that `decide` returns, and the services of contexts in the words of the rules."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest

from tests.policy.border import (
    CT,
    FIND,
    MOVE,
    PACS,
    SYNTAXES,
    UNHEARD_OF,
    VERIFICATION,
    WS1,
    forwarded,
    peer,
    policy,
    request,
    rule,
)
from ulproxy.dimse.services import Service
from ulproxy.pdu.types import CALLED_AE_TITLE_NOT_RECOGNIZED
from ulproxy.policy.decision import (
    Answer,
    Fan,
    Forward,
    Peer,
    Reject,
    Shared,
    named_services,
    with_observed,
)
from ulproxy.policy.model import Group


def test_a_peer_of_a_listener_that_asks_for_no_certificate():
    assert Peer("inside", ipaddress.ip_address("10.0.0.1")).certificate is None


def test_what_is_not_said():
    """The shapes that relay/ and shell/ are written against."""
    one = Forward(WS1, PACS, "A", "B", (), {}, None)
    assert (one.observed, one.because) == ((), "")
    assert Answer(WS1, {}).observed == ()
    assert Shared(PACS, (one,), ()).candidates == (one,)
    assert Fan(WS1, Group("ALL", ("PACS",)), (one,), {}).members == (one,)


@pytest.mark.parametrize(
    "decision",
    [
        Forward(WS1, PACS, "A", "B", (), {}, None),
        Fan(WS1, Group("ALL", ("PACS",)), (), {}),
        Shared(PACS, (), ()),
        Answer(WS1, {}),
        Reject(CALLED_AE_TITLE_NOT_RECOGNIZED, "text"),
    ],
)
def test_a_decision_does_not_change(decision):
    for field in dataclasses.fields(decision):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(decision, field.name, None)


@pytest.mark.parametrize(
    ("syntaxes", "expected"),
    [
        ((VERIFICATION,), "echo"),
        ((MOVE, CT, FIND, CT), "find, move, store"),
        ((UNHEARD_OF,), "other, store"),
        (tuple(SYNTAXES.values()), ", ".join(sorted(service.value for service in Service))),
    ],
)
def test_services_of_contexts(syntaxes, expected):
    decision = policy(rule("*", "*")).decide(request("WS1", "HB_PACS", *syntaxes), peer())
    assert named_services(forwarded(decision).offered) == expected
    assert named_services(()) == ""


ONE = Forward(WS1, PACS, "A", "B", (), {}, None, observed=("b",))
TOLD = dataclasses.replace(ONE, observed=("a", "b"))
GROUP = Group("ALL", ("PACS",))


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (ONE, TOLD),
        (Answer(WS1, {}), Answer(WS1, {}, ("a",))),
        (Fan(WS1, GROUP, (ONE, ONE), {}), Fan(WS1, GROUP, (TOLD, TOLD), {})),
        (Shared(PACS, (ONE,), (ONE, ONE)), Shared(PACS, (TOLD,), (TOLD, TOLD))),
    ],
)
def test_one_more_thing_that_was_observed(decision, expected):
    """Before the others, since it was seen first."""
    assert with_observed(decision, "a") == expected
