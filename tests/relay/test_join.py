"""How an association comes to stand, and all that can prevent it (contract "Refusals", PS3.8 9.2)."""

from __future__ import annotations

import pytest

from tests.relay import hospital, wire
from tests.relay.hospital import AC, CONTEXTS, RQ, endpoint, relayed_ac, relayed_rq
from tests.relay.playbook import (
    INBOUND,
    ONWARD,
    Playbook,
    accepted,
    connected,
    counted,
    data,
    established,
    expired,
    finished,
    logged,
    lost,
    quietly,
    send,
    shutdown,
)
from tests.relay.wire import Asked, Given, abort, rj
from ulproxy.relay.effects import CloseTransport, OpenTransport, StartTimer, StopTimer, Timer

ARTIM = Timer.ARTIM
GIVEN = {"caller": "WS1", "callee": "ARCHIVE", "rule": 1}
ASKED = quietly(accepted(), data(INBOUND, RQ))
CALLING = quietly(accepted(), data(INBOUND, RQ), connected())


def refused(*rejection: int, rq: bytes = RQ, script: Playbook | None = None) -> Playbook:
    """An A-ASSOCIATE-RQ that is answered with A-ASSOCIATE-RJ, and nothing onward."""
    return (
        (Playbook() if script is None else script)
        >> quietly(accepted())
        >> data(INBOUND, rq)
        << StopTimer(INBOUND, ARTIM)
        << logged("association rejected", answer=rejection)
        << send(INBOUND, rj(*rejection))
        << StartTimer(INBOUND, ARTIM)
        >> counted(0)
        >> finished(False)
        >> lost(INBOUND)
        << StopTimer(INBOUND, ARTIM)
        >> finished()
    )


def test_two_associations_are_joined():
    assert (
        Playbook()
        >> accepted()
        << StartTimer(INBOUND, ARTIM)
        >> data(INBOUND, RQ)
        << StopTimer(INBOUND, ARTIM)
        << OpenTransport(endpoint("ARCHIVE"))
        << StartTimer(ONWARD, Timer.CONNECT)
        >> counted(1)
        >> connected()
        << send(ONWARD, relayed_rq("PACS", "HA_WS1"))
        >> data(ONWARD, AC)
        << StopTimer(ONWARD, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.IDLE)
        << logged("association established", contexts=5, **GIVEN)
        << send(INBOUND, relayed_ac("HB_PACS", "WS1"))
        >> finished(False)
    )


def test_the_answer_repeats_the_callers_bytes_11_to_74():
    raw = b" HB_PACS".ljust(16) + b"WS1\0\0".ljust(16, b"\0") + bytes(range(32))
    asked = wire.associate(1, raw, CONTEXTS, wire.user_information(16384))
    answer = relayed_ac("", "")
    assert (
        Playbook()
        >> quietly(accepted(), data(INBOUND, asked))
        >> connected()
        << send(ONWARD, relayed_rq("PACS", "HA_WS1"))
        >> data(ONWARD, AC)
        << StopTimer(ONWARD, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, answer[:10] + raw + answer[74:])
    )


def test_within_a_network_both_are_shown_by_their_titles():
    assert (
        Playbook()
        >> quietly(accepted())
        >> data(INBOUND, wire.rq("MINI", "WS1", [Asked(1, wire.VERIFICATION)]))
        << StopTimer(INBOUND, ARTIM)
        << OpenTransport(endpoint("MINI"))
        << StartTimer(ONWARD, Timer.CONNECT)
        >> connected()
        << send(ONWARD, relayed_rq("MINI", "WS1", (Asked(1, wire.VERIFICATION),)))
    )


def test_who_has_no_alias_is_shown_as_the_relay():
    assert (
        Playbook(peer=hospital.peer("10.1.0.3"))
        >> quietly(accepted(), data(INBOUND, wire.rq("HB_PACS", "WS3", CONTEXTS[:1])))
        >> connected()
        << send(ONWARD, relayed_rq("PACS", "HOSP_A", CONTEXTS[:1]))
    )


def test_an_acceptance_of_nothing_is_passed_on():
    """What the callee said is relayed, also where it accepts the association and no context."""
    nothing = tuple(Given(context.context_id, 3) for context in CONTEXTS)
    assert (
        Playbook()
        >> CALLING
        >> data(ONWARD, wire.ac(nothing))
        << StopTimer(ONWARD, Timer.CONNECT)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, relayed_ac("HB_PACS", "WS1", nothing))
        >> data(INBOUND, wire.command(1, wire.echo_rq(1)))
        << send(INBOUND, abort(2, 6))
        << StartTimer(INBOUND, ARTIM)
        << send(ONWARD, abort(2, 0))
        << StartTimer(ONWARD, ARTIM)
    )


# The contract's table of refusals, from its top


@pytest.mark.parametrize(
    ("calling", "address", "network"),
    [
        ("NOBODY", "10.1.0.1", "inside"),
        ("", "10.1.0.1", "inside"),
        ("WS1", "10.1.0.2", "inside"),
        ("WS1", "10.2.0.1", "outside"),
        ("HA_WS1", "10.1.0.1", "inside"),
        ("OLD", "10.2.0.1", "outside"),
    ],
    ids=["unknown", "blank", "wrong address", "wrong network", "by its alias", "another's address"],
)
def test_caller_unknown_or_from_the_wrong_address(calling, address, network):
    script = Playbook(peer=hospital.peer(address, network))
    assert refused(1, 1, 3, rq=wire.rq("HB_PACS", calling, CONTEXTS), script=script)


@pytest.mark.parametrize(
    ("called", "calling", "address"),
    [
        ("NOBODY", "WS1", "10.1.0.1"),
        ("", "WS1", "10.1.0.1"),
        ("PACS", "WS1", "10.1.0.1"),  # its title elsewhere is not its name here
        ("WS2", "WS1", "10.1.0.1"),  # known, but no rule
        ("ASKER", "WS1", "10.1.0.1"),  # cannot be called at all
        ("HB_OLD", "WS2", "10.1.0.2"),
    ],
)
def test_called_title_unknown_or_not_callable(called, calling, address):
    script = Playbook(peer=hospital.peer(address))
    assert refused(1, 1, 7, rq=wire.rq(called, calling, CONTEXTS), script=script)


@pytest.mark.parametrize(
    "contexts",
    [
        [Asked(1, wire.MPPS)],
        [Asked(1, wire.PRIVATE, (wire.JPEG,)), Asked(5, wire.COMMITMENT)],
        [Asked(1, wire.STUDY_FIND, (wire.DEFLATED,))],
    ],
)
def test_every_context_refused_by_the_rules(contexts):
    assert refused(1, 1, 1, rq=wire.rq("HB_PACS", "WS2", contexts), script=_ws2())


def _ws2() -> Playbook:
    return Playbook(peer=hospital.peer("10.1.0.2"))


@pytest.mark.parametrize("version", [0, 2, 0xFFFE])
def test_protocol_version_without_bit_0(version):
    assert refused(1, 2, 2, rq=wire.rq("HB_PACS", "WS1", CONTEXTS, version=version))


def test_protocol_version_with_other_bits_too():
    assert (
        Playbook()
        >> quietly(accepted(), data(INBOUND, wire.rq("HB_PACS", "WS1", CONTEXTS, version=0xFFFF)))
        >> connected()
        << send(ONWARD, relayed_rq("PACS", "HA_WS1"))
    )


def test_another_protocol_may_look_different_behind_the_titles():
    body = bytes(4) + wire.titles("HB_PACS", "WS1") + b"something else"
    assert refused(1, 2, 2, rq=wire.pdu(1, body))


def test_another_application_context():
    other = wire.rq("HB_PACS", "WS1", CONTEXTS, application_context="1.2.840.10008.3.1.1.2")
    assert refused(1, 1, 2, rq=other)


@pytest.mark.parametrize(
    ("limits", "open_ones"),
    [("associations = 1", 1), ("associations_per_source = 1", 1), ("", 3)],
    ids=["all", "per source", "per AE: ARCHIVE has 3"],
)
def test_limit_on_associations(limits, open_ones):
    border = hospital.border(limits)
    config = border.policy.config
    for _ in range(open_ones):
        ws1, archive = border.policy.ae("WS1"), border.policy.ae("ARCHIVE")
        assert ws1 is not None
        assert not isinstance(border.admission.enter(config.limits, "10.1.0.1", ws1, archive), str)
    assert (
        Playbook(lambda: border)
        >> quietly(accepted())
        >> data(INBOUND, RQ)
        << StopTimer(INBOUND, ARTIM)
        << logged("association rejected", answer=(2, 3, 2))
        << send(INBOUND, rj(2, 3, 2))
        << StartTimer(INBOUND, ARTIM)
        >> counted(open_ones)
    )


def test_a_limit_is_free_again_when_the_association_has_ended():
    border = hospital.border("associations = 1")
    for _ in range(2):
        assert (
            Playbook(lambda: border, bytewise=False)
            >> established()
            >> counted(1)
            >> data(INBOUND, abort(0, 0))
            << send(ONWARD, abort(0, 0))
            << StartTimer(ONWARD, ARTIM)
            << CloseTransport(INBOUND)
            >> counted(0)
        )


# The relay's own C-ECHO


def own(contexts: list[Asked], given: list[Given], limits: str = "", longest: int = 16384):
    script = Playbook(lambda: hospital.border(limits))
    return (
        script
        >> quietly(accepted())
        >> data(INBOUND, wire.rq("HOSP_A", "WS1", contexts))
        << StopTimer(INBOUND, ARTIM)
        << StartTimer(INBOUND, Timer.IDLE)
        << send(INBOUND, relayed_ac("HOSP_A", "WS1", tuple(given), longest))
        >> counted(1)
    )


ECHO_ALONE = ([Asked(1, wire.VERIFICATION)], [Given(1)])


def test_the_relay_answers_c_echo_to_its_own_title():
    assert (
        own(*ECHO_ALONE)
        >> data(INBOUND, wire.command(1, wire.echo_rq(77)))
        << send(INBOUND, wire.command(1, wire.echo_rsp(77)))
        >> data(INBOUND, wire.RELEASE_RQ)
        << logged("association ended", outcome="released")
        << send(INBOUND, wire.RELEASE_RP)
        << StartTimer(INBOUND, ARTIM)
        >> counted(0)
        >> lost(INBOUND)
        << StopTimer(INBOUND, ARTIM)
        >> finished()
    )


def test_the_relay_refuses_all_else_that_is_asked_of_itself():
    stored = wire.store_rq(2, sop_class=wire.VERIFICATION)
    answer = wire.store_rsp(2, 0x0124, sop_class=wire.VERIFICATION)
    assert (
        own(
            [Asked(1, wire.CT), Asked(3, wire.VERIFICATION, (wire.JPEG, wire.EXPLICIT))],
            [Given(1, 1), Given(3, 0, wire.EXPLICIT)],
        )
        >> data(INBOUND, wire.command(3, stored) + wire.fragment(3, b"data", last=False))
        >> data(INBOUND, wire.fragment(3, b"data"))
        << send(INBOUND, wire.command(3, answer))
        >> data(INBOUND, wire.command(3, wire.cancel_rq(2)))
        >> data(INBOUND, wire.command(3, wire.echo_rsp(2)))
    )


def test_the_relay_itself_as_other_scp():
    assert refused(1, 1, 1, rq=wire.rq("HOSP_A", "WS1", [Asked(1, wire.CT)]))


def test_the_relay_takes_what_max_pdu_says():
    assert (
        own(*ECHO_ALONE, "max_pdu = 100", 100)
        >> data(INBOUND, wire.p_data(wire.pdv(1, 1, bytes(94))))
        >> data(INBOUND, wire.p_data(wire.pdv(1, 1, bytes(96)))[:6])
        << send(INBOUND, abort(2, 6))
        << StartTimer(INBOUND, ARTIM)
    )


@pytest.mark.parametrize("how", [shutdown(), expired(INBOUND, Timer.IDLE)])
def test_the_relays_own_association_is_ended(how):
    assert (
        own(*ECHO_ALONE)
        >> how
        << logged("association ended")
        << send(INBOUND, abort(2, 0))
        << StartTimer(INBOUND, ARTIM)
        >> counted(0)
    )
