"""`decide` against the judge of judge.py on borders at random; test_rules_matrix.py has every small one."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.policy.border import (
    BIG_ENDIAN,
    CT,
    EXPLICIT,
    IMPLICIT,
    SYNTAXES,
    UNHEARD_OF,
    ae,
    config,
    peer,
    request,
    rule,
)
from tests.policy.judge import judged, lines_allowing, meant, names_of, plain
from ulproxy.dimse.services import Service
from ulproxy.pdu.associate import PresentationContextRQ
from ulproxy.pdu.items import RoleSelection, UserInformation
from ulproxy.policy.decision import Forward
from ulproxy.policy.model import ApplicationEntity, Config, Group
from ulproxy.policy.rules import Policy

# Borders at random

NETWORKS = ("inside", "outside", "third")
TITLES = ("A", "B", "C", "HOSP_A")
HOSTS = ("10.0.0.1", "10.0.0.2", "fd00::1")
SOURCES = (*HOSTS, "10.0.0.0/30", "0.0.0.0/0", "fd00::/64")
NAMES = tuple(f"ae{n}" for n in range(5))
CERTIFICATES = ("sha256:" + "0a" * 32, "ws.example")


@st.composite
def borders(draw: st.DrawFn) -> Config:
    lived = draw(
        st.lists(
            st.tuples(st.sampled_from(TITLES), st.sampled_from(NETWORKS)),
            min_size=2,
            max_size=5,
            unique=True,
        )
    )
    aliases = draw(st.permutations(["X", "Y", "HOSP_A", "A", "B"]))
    aes = [
        ae(
            title,
            network,
            draw(st.sampled_from([*HOSTS, *HOSTS, None])),
            alias=draw(st.sampled_from([aliases[n], None])),
            name=NAMES[n],
            sources=draw(st.none() | st.lists(st.sampled_from(SOURCES), max_size=2)),
            certificate=draw(st.sampled_from([None, None, *CERTIFICATES])),
        )
        for n, (title, network) in enumerate(lived)
    ]
    members = st.lists(st.sampled_from(NAMES[: len(aes)]), min_size=1, max_size=3, unique=True)
    groups = [
        Group(title, tuple(draw(members)))
        for title in draw(st.lists(st.sampled_from(["G", "X", "HOSP_A"]), max_size=2, unique=True))
    ]
    networks = [f"network:{name}" for name in NETWORKS]
    titles = [group.title for group in groups]
    selectors = st.sampled_from(["*", "*", *(one.name for one in aes), *networks, *titles])
    several = st.lists(selectors, min_size=1, max_size=2, unique=True).map(" ".join)
    services = st.lists(st.sampled_from(Service), min_size=1, max_size=4).map(" ".join)
    destinations = st.none() | several
    rules = draw(
        st.lists(st.builds(rule, several, several, services, destinations), min_size=1, max_size=6)
    )
    return config(aes, rules, groups, enforce=draw(st.booleans()))


@st.composite
def calls(draw: st.DrawFn, border: Config):
    """Mostly by somebody who may call from there, so that more than the door is seen."""
    caller = draw(st.sampled_from(border.aes))
    known = [str(source[0]) for source in caller.sources] or [HOSTS[0]]
    callee = draw(st.sampled_from(border.aes))
    right = callee.title if callee.network == caller.network else callee.alias or "HOSP_A"
    groups = [group.title for group in border.groups]
    others = [callee.title, callee.alias or "NOBODY", *groups * 3]
    called = draw(st.sampled_from([right] * 9 + others))
    calling = draw(st.sampled_from([caller.title] * 20 + ["NEW", "a.", "HOSP_A"]))
    address = draw(st.sampled_from(known * 20 + list(HOSTS)))
    network = draw(st.sampled_from([caller.network] * 20 + list(NETWORKS)))
    syntaxes = st.sampled_from([*SYNTAXES.values(), UNHEARD_OF])
    transfer = st.lists(
        st.sampled_from([IMPLICIT, EXPLICIT, BIG_ENDIAN]), min_size=1, max_size=2, unique=True
    ).map(tuple)
    contexts = draw(st.lists(st.tuples(syntaxes, transfer), min_size=1, max_size=6))
    roles = draw(st.lists(st.tuples(syntaxes, st.booleans(), st.booleans()), max_size=4))
    asked = replace(
        request(calling, called),
        presentation_contexts=tuple(
            PresentationContextRQ(2 * n + 1, *context) for n, context in enumerate(contexts)
        ),
        user_information=UserInformation(roles=tuple(RoleSelection(*role) for role in roles)),
    )
    moving = draw(st.lists(st.sampled_from([*NAMES, "gone"]), max_size=2, unique=True))
    right_one = [caller.certificate or "sha256:"]
    presents = draw(st.sampled_from([None, right_one, right_one, [], CERTIFICATES]))
    return asked, peer(network, address, presents=presents), tuple(moving)


cases = borders().flatmap(lambda border: st.tuples(st.just(border), calls(border)))


def decided(border: Config, case):
    asked, where, moving = case
    return plain(Policy(border).decide(asked, where, lambda _: moving))


@given(cases)
def test_decide_is_what_the_judge_says(drawn):
    border, case = drawn
    assert decided(border, case) == judged(border, *case)


@given(cases)
def test_decide_is_deterministic(drawn):
    """And asks nothing but its arguments: another time, another object, other calls in between."""
    border, (asked, where, moving) = drawn
    policy = Policy(border)
    first = plain(policy.decide(asked, where, lambda _: moving))
    policy.decide(request("B", "HOSP_A", CT), where)
    assert plain(policy.decide(asked, where, lambda _: moving)) == first
    assert plain(Policy(border).decide(asked, where, lambda _: moving)) == first


def without_rule(said):
    """What is said, and of whom, without the rules that are named."""
    if isinstance(said, list):
        return [without_rule(one) for one in said]
    if isinstance(said, tuple):
        return said[:-1] if said[0] == "forward" else tuple(map(without_rule, said))
    return said


@given(cases, st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(drawn, chance):
    """What is allowed never depends on it; which rule is named, only on those of the two AEs."""
    border, case = drawn
    shuffled = list(border.rules)
    chance.shuffle(shuffled)
    other = replace(border, rules=tuple(shuffled))
    renumbered = replace(border, rules=config((), shuffled).rules)
    assert decided(other, case) == decided(border, case)
    assert without_rule(decided(renumbered, case)) == without_rule(decided(border, case))


@given(cases)
def test_rules_of_others_do_not_matter(drawn):
    border, case = drawn
    decision = Policy(border).decide(case[0], case[1], lambda _: case[2])
    if not isinstance(decision, Forward):  # nothing more to say in two of three
        return
    pair = decision.caller, decision.callee
    lines = {*lines_allowing(border, *pair, None), *lines_allowing(border, *pair[::-1], None)}
    related = tuple(one for one in border.rules if one.line in lines)
    assert decided(replace(border, rules=related), case) == plain(decision)


@given(cases)
def test_without_rules_all_is_refused_but_for_echo_and_open_moves(drawn):
    border, (asked, where, moving) = drawn
    bare = Policy(config(border.aes, (), border.groups))
    assert not isinstance(bare.decide(asked, where), Forward)
    decision = bare.decide(asked, where, lambda _: moving)
    if isinstance(decision, Forward):
        assert decision.callee.name in moving
        assert {c.abstract_syntax for c in decision.offered} <= {CT, UNHEARD_OF}


@given(cases, st.data())
def test_one_rule_more_never_takes_anything_away(drawn, data):
    border, case = drawn
    names = ["*", *(one.name for one in border.aes)]
    more = rule(data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names)), "echo get")
    before = decided(border, case)
    rules = config((), [*border.rules, more]).rules
    after = decided(replace(border, rules=rules), case)
    if before[0] == "forward":
        assert after[1:3] == before[1:3]
        offered_before, offered_after = before[3], after[3]
        assert isinstance(offered_before, list)
        assert isinstance(offered_after, list)
        assert all(context in offered_after for context in offered_before)
    if before[0] == "answer" or before == ("reject", (1, 1, 3)):
        assert after == before


@given(borders(), st.sampled_from(["A", "B", "C", "X", "Y", "HOSP_A", ""]), st.data())
def test_move_destinations(border, title, data):
    policy = Policy(border)
    caller, archive = (data.draw(st.sampled_from(border.aes)) for _ in range(2))
    expected = meant(border, title, caller.network)
    lines = lines_allowing(border, caller, archive, Service.MOVE)
    if isinstance(expected, ApplicationEntity):
        named = names_of(border, expected)
        allowed = any(
            one.line in lines
            and (expected is caller if one.destinations is None else named & set(one.destinations))
            for one in border.rules
        )
        if expected.address is None or (border.relay.enforce and not allowed):
            expected = "nobody"
    found = policy.move_destination(caller, archive, title)
    assert found == (expected if isinstance(expected, ApplicationEntity) else None)
