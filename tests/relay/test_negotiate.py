"""What each side sees of the other's negotiation, item by item (PS3.8 annex D, PS3.7 D.3.3)."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.relay import hospital, wire
from tests.relay.hospital import ACCEPTED, CONTEXTS, relayed_ac, relayed_rq
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Playbook,
    accepted,
    connected,
    data,
    quietly,
    send,
)
from tests.relay.wire import Asked, Given, common, extended, identity, role, window
from ulproxy.pdu.associate import decode_ac, decode_rq
from ulproxy.policy.decision import Forward
from ulproxy.relay.effects import StartTimer, StopTimer, Timer
from ulproxy.relay.negotiate import inbound_answer, least, onward_request


def conversation(
    asked: bytes, shown: bytes, answered: bytes, told: bytes, limits: str = ""
) -> Playbook:
    """The caller's A-ASSOCIATE-RQ, the callee's view of it, its A-ASSOCIATE-AC, the caller's view."""
    return (
        Playbook(lambda: hospital.border(limits), bytewise=False)
        >> quietly(accepted(), data(INBOUND, asked))
        >> connected()
        << send(ONWARD, shown)
        >> data(ONWARD, answered)
        << StopTimer(ONWARD, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, told)
    )


def items(
    asked: tuple[bytes, ...] = (),
    shown: tuple[bytes, ...] | None = None,
    answered: tuple[bytes, ...] = (),
    told: tuple[bytes, ...] | None = None,
) -> Playbook:
    """The same of user information sub-items alone; None = as they came."""
    return conversation(
        wire.rq("HB_PACS", "WS1", CONTEXTS, extras=asked),
        relayed_rq("PACS", "HA_WS1", extras=asked if shown is None else shown),
        wire.ac(ACCEPTED, extras=answered),
        relayed_ac("HB_PACS", "WS1", extras=answered if told is None else told),
    )


SERVICE_CLASS = "1.2.840.10008.4.2"
EXTENDED = extended(wire.STUDY_FIND, b"\1\0\1")
COMMON = common(wire.CT, SERVICE_CLASS, wire.MR, "1.2.3")


def test_every_item_of_a_request_passes():
    asked = (
        window(7, 3),
        role(wire.CT, 1, 1),
        role(wire.STUDY_FIND, 1, 0),
        EXTENDED,
        extended(wire.CT, b""),
        COMMON,
        common(wire.STUDY_GET, SERVICE_CLASS),
        identity(2, 1, b"name", b"passcode"),
    )
    assert items(asked)


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 99])
def test_every_user_identity_passes(kind):
    assert items((identity(kind, 0, b"\xff" * 300, b"second"),))


def test_unknown_items_are_not_passed_on():
    assert items((wire.item(0x5F, b"what"), wire.item(0xFF, b"")), (), (wire.item(0x60, b"?"),), ())


def test_items_of_contexts_that_are_not_offered_are_left_out():
    asked = (
        role(wire.MPPS, 1, 1),
        role(wire.CT, 0, 1),
        extended(wire.MPPS, b"\1"),
        EXTENDED,
        common(wire.MR, SERVICE_CLASS),
        COMMON,
    )
    assert items(asked, (role(wire.CT, 0, 1), EXTENDED, COMMON))


@pytest.mark.parametrize(
    ("asked", "answered", "told"),
    [
        ((5, 5), (5, 5), (5, 5)),
        ((5, 5), (3, 1), (3, 1)),
        ((5, 5), (9, 9), (5, 5)),  # PS3.7 D.3.3.3: only lower
        ((0, 0), (0, 4), (0, 4)),  # 0 = no limit
        ((5, 0), (0, 0), (5, 0)),
        ((5, 5), None, None),
        (None, (5, 5), None),
    ],
)
def test_asynchronous_operations_window(asked, answered, told):
    def some(value):
        return () if value is None else (window(*value),)

    assert items(some(asked), None, some(answered), some(told))


@pytest.mark.parametrize("asked", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("answered", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_roles(asked, answered):
    """PS3.7 D.3.3.4: an acceptor may only turn a 1 into a 0."""
    told = (asked[0] & answered[0], asked[1] & answered[1])
    assert items(
        (role(wire.CT, *asked),), None, (role(wire.CT, *answered),), (role(wire.CT, *told),)
    )


def test_an_answer_to_what_was_not_asked_is_left_out():
    assert items(
        (identity(1, 0, b"name"),),
        None,
        (
            window(2, 2),
            role(wire.CT, 1, 1),
            EXTENDED,
            COMMON,
            identity(1, 1, b"me"),
            wire.server_response(b"unasked"),
        ),
        (),
    )


def test_the_answers_to_what_was_asked_pass():
    asked = (role(wire.CT, 1, 1), EXTENDED, COMMON, identity(3, 1, b"ticket"))
    answered = (extended(wire.STUDY_FIND, b"\1\1\0\0"), wire.server_response(b"\0\xff" * 100))
    assert items(asked, None, answered)


def test_a_server_response_that_does_not_come_is_not_made_up():
    assert items((identity(2, 1, b"name", b"passcode"),))


def test_what_is_omitted_towards_an_old_device():
    """Its answers to items that it never got answer nothing that the caller may rely on."""
    contexts = (Asked(1, wire.CT), Asked(3, wire.STUDY_GET))
    given = (Given(1), Given(3))
    asked = (
        window(5, 5),
        role(wire.CT, 1, 1),
        extended(wire.CT, b"1"),
        common(wire.CT, SERVICE_CLASS),
        identity(2, 1, b"name", b"passcode"),
    )
    answered = [window(5, 5), role(wire.CT, 1, 1), wire.server_response(b"ok")]
    answered.append(extended(wire.CT, b"1"))
    assert conversation(
        wire.rq("HB_OLD", "WS1", contexts, extras=asked),
        relayed_rq("OLD", "HA_WS1", contexts, version_name=None),
        wire.ac(given, extras=answered),
        relayed_ac("HB_OLD", "WS1", given),
    )


# Presentation contexts


def contexts(
    asked: list[Asked], shown: list[Asked], answered: list[Given], told: list[Given]
) -> Playbook:
    return conversation(
        wire.rq("HB_PACS", "WS1", asked),
        relayed_rq("PACS", "HA_WS1", tuple(shown)),
        wire.ac(answered),
        relayed_ac("HB_PACS", "WS1", tuple(told)),
    )


def test_ids_order_and_transfer_syntaxes_are_kept():
    asked = [
        Asked(255, wire.CT, (wire.JPEG, wire.DEFLATED, wire.EXPLICIT)),
        Asked(1, wire.CT, (wire.IMPLICIT,)),
        Asked(77, wire.VERIFICATION, (wire.EXPLICIT, wire.IMPLICIT)),
    ]
    answered = [Given(77, 0, wire.EXPLICIT), Given(1), Given(255, 0, wire.JPEG)]
    assert contexts(
        asked, asked, answered, sorted(answered, key=lambda c: [255, 1, 77].index(c.context_id))
    )


@pytest.mark.parametrize("result", [1, 2, 3, 4])
def test_what_the_callee_refuses_is_told_as_it_said(result):
    """The transfer syntax beside a refusal is not significant (PS3.8 9.3.3.2)."""
    asked = [Asked(1, wire.CT, (wire.JPEG, wire.IMPLICIT)), Asked(3, wire.CT)]
    answered = [Given(1, result, "1.2.3"), Given(3)]
    assert contexts(asked, asked, answered, [Given(1, result, wire.JPEG), Given(3)])


def test_what_the_rules_refuse_is_not_offered():
    """Result 1, and 4 where only transfer syntaxes that cannot be mapped were proposed."""
    find = Asked(5, wire.STUDY_FIND, (wire.DEFLATED, wire.EXPLICIT, wire.JPEG, wire.IMPLICIT))
    asked = [
        Asked(1, wire.MPPS, (wire.EXPLICIT, wire.IMPLICIT)),
        Asked(3, wire.CT),
        find,
        Asked(7, wire.STUDY_FIND, (wire.JPEG, wire.DEFLATED)),
    ]
    shown = [Asked(3, wire.CT), Asked(5, wire.STUDY_FIND, (wire.EXPLICIT, wire.IMPLICIT))]
    told = [Given(1, 1, wire.EXPLICIT), Given(3), Given(5), Given(7, 4, wire.JPEG)]
    assert contexts(asked, shown, [Given(3), Given(5)], told)


def test_a_context_that_the_callee_forgets_is_refused():
    asked = [Asked(1, wire.CT, (wire.JPEG,)), Asked(3, wire.CT)]
    assert contexts(asked, asked, [Given(3)], [Given(1, 2, wire.JPEG), Given(3)])


def test_128_contexts():
    asked = [Asked(number, wire.CT) for number in range(1, 256, 2)]
    given = [Given(context.context_id) for context in asked]
    assert contexts(asked, asked, given, given)


@pytest.mark.parametrize("given", [Given(9), Given(1, 0, wire.EXPLICIT), Given(5)])
def test_what_was_not_proposed_cannot_be_accepted(given):
    """PS3.8 9.3.3.2; here context 5 was the caller's, and the rules kept it back."""
    asked = [Asked(1, wire.CT), Asked(3, wire.CT, (wire.EXPLICIT,)), Asked(5, wire.MPPS)]
    assert (
        Playbook(bytewise=False)
        >> quietly(accepted(), data(INBOUND, wire.rq("HB_PACS", "WS1", asked)), connected())
        >> data(ONWARD, wire.ac([Given(3, 0, wire.EXPLICIT), given]))
        << StopTimer(ONWARD, Timer.CONNECT)
        << send(INBOUND, wire.rj(2, 2, 1))
        << StartTimer(INBOUND, Timer.ARTIM)
        << send(ONWARD, wire.abort(2, 6))
        << StartTimer(ONWARD, Timer.ARTIM)
    )


@pytest.mark.parametrize(("limits", "longest"), [("", 16384), ("max_pdu = 5000", 5000)])
def test_the_relays_own_answer(limits, longest):
    """C-ECHO alone, in an uncompressed syntax; no item but those that PS3.8 and PS3.7 require."""
    asked = [
        Asked(9, wire.VERIFICATION, (wire.JPEG, wire.EXPLICIT, wire.IMPLICIT)),
        Asked(3, wire.CT, (wire.JPEG,)),
        Asked(5, wire.VERIFICATION, (wire.JPEG,)),
    ]
    told = (Given(9, 0, wire.EXPLICIT), Given(3, 1, wire.JPEG), Given(5, 1, wire.JPEG))
    extras = [window(0, 0), role(wire.VERIFICATION, 1, 1), identity(1, 1, b"name")]
    assert (
        Playbook(lambda: hospital.border(limits))
        >> quietly(accepted())
        >> data(INBOUND, wire.rq("HOSP_A", "WS1", asked, 0, extras))
        << StopTimer(INBOUND, Timer.ARTIM)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, relayed_ac("HOSP_A", "WS1", told, longest))
    )


# Maximum length


@pytest.mark.parametrize(
    ("said", "max_pdu", "told"),
    [
        (16384, 0, 16384),
        (0, 0, 0),
        ((1 << 32) - 1, 0, (1 << 32) - 1),
        (8, 0, 8),
        (16384, 16383, 16383),
        (16384, 16384, 16384),
        (16384, 16385, 16384),
        (0, 1000, 1000),
        (8, 1000, 8),
    ],
)
def test_maximum_length(said, max_pdu, told):
    """In both directions: the other side's, less max_pdu where that is smaller."""
    assert conversation(
        wire.rq("HB_PACS", "WS1", CONTEXTS, said),
        relayed_rq("PACS", "HA_WS1", maximum_length=told),
        wire.ac(ACCEPTED, said),
        relayed_ac("HB_PACS", "WS1", maximum_length=told),
        f"max_pdu = {max_pdu}",
    )


@pytest.mark.parametrize(
    ("first", "second", "smaller"), [(0, 0, 0), (0, 5, 5), (5, 0, 5), (4, 5, 4), (5, 4, 4)]
)
def test_least(first, second, smaller):
    assert least(first, second) == smaller


def test_thousands_of_items_take_no_time():
    """Both ends may fill 64 KB with sub-items of seven bytes; no SOP class is "1", so it is `other`."""
    many = [extended("1", b"")] * 9000
    asked = wire.rq("HB_PACS", "MOD1", [Asked(1, "1")], extras=many)
    script = Playbook(bytewise=False, peer=hospital.peer("10.1.0.4")) >> quietly(
        accepted(),
        data(INBOUND, asked),
        connected(),
        data(ONWARD, wire.ac([Given(1)], extras=many)),
    )
    began = time.process_time()
    assert script
    assert time.process_time() - began < 1


def test_the_same_request_is_proposed_anew_where_it_differs():
    """What is remembered of it is of this callee and this limit."""
    asked = replace(decode_rq(wire.rq("HB_PACS", "WS1", CONTEXTS)[6:]), is_memorable=True)
    ws1, archive = (hospital.border().policy.ae(name) for name in ("WS1", "ARCHIVE"))
    assert ws1 is not None
    assert archive is not None
    forward = Forward(ws1, archive, "HA_WS1", "PACS", asked.presentation_contexts, {}, None)
    first = onward_request(asked, forward, 0)
    assert onward_request(asked, forward, 0) is first
    assert onward_request(asked, forward, 1024).user_information.maximum_length == 1024
    elsewhere = replace(forward, called_ae_title="OTHER")
    assert onward_request(asked, elsewhere, 0).called_ae_title == "OTHER"
    once = replace(asked, is_memorable=False, titles=bytes(64))
    assert onward_request(once, forward, 0) is not onward_request(once, forward, 0)


def test_the_same_answer_is_told_anew_where_something_differs():
    asked = decode_rq(wire.rq("HB_PACS", "WS1", CONTEXTS)[6:])
    answer = decode_ac(wire.ac(ACCEPTED)[6:])
    ws1, archive = (hospital.border().policy.ae(name) for name in ("WS1", "ARCHIVE"))
    assert ws1 is not None
    assert archive is not None
    forward = Forward(ws1, archive, "HA_WS1", "PACS", asked.presentation_contexts, {}, None)
    proposed = onward_request(asked, forward, 0)
    first = inbound_answer(asked, forward, proposed, answer, 0)
    assert inbound_answer(asked, forward, proposed, answer, 0) is first
    less = inbound_answer(asked, forward, proposed, answer, 1024)
    assert less.user_information.maximum_length == 1024
    other = replace(asked, titles=bytes(64))
    assert inbound_answer(other, forward, proposed, answer, 0).titles == bytes(64)
    for once in (
        (replace(asked, is_memorable=False, titles=b"1" * 64), answer),
        (replace(asked, titles=b"2" * 64), replace(answer, is_memorable=False)),
    ):
        told = [inbound_answer(once[0], forward, proposed, once[1], 0) for _ in range(2)]
        assert told[0] == told[1]
        assert told[0] is not told[1]
