"""How a case is run: what skips it, what bounds its time, what is said when it fails."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from tests.cli_peers import Step, a_associate_ac, hang_up, peer
from tests.conform.acceptor import TITLE, Flaw, acceptor
from tests.conform.flaws import ABORT, on
from ulproxy.conform.case import Clause, Outcome, Verdict, must, should
from ulproxy.conform.case import clause as numbered
from ulproxy.conform.conversation import LONGEST_PDU
from ulproxy.conform.fault import ViolationError
from ulproxy.conform.run import alive, run, run_case
from ulproxy.conform.settings import Settings
from ulproxy.conform.steps import associate, echo, heard, release, say, works
from ulproxy.conform.suite import CLAUSES, chosen
from ulproxy.conform.wire import pdu
from ulproxy.policy.endpoints import Endpoint


def settings(port: int, **changes) -> Settings:
    return Settings(Endpoint("127.0.0.1", port), TITLE, **{"timeout": 2.0, **changes})


def only(name: str, port: int, **changes) -> Outcome:
    (clause,) = chosen([name])
    (case,) = clause.cases
    return run_case(case, settings(port, **changes))


def test_without_artim_what_waits_for_it_is_skipped():
    one = only("9.1.2/1", 1)
    assert one.verdict is Verdict.SKIPPED
    assert one.why == "waits for ARTIM: say with --artim how long the acceptor's is"


@pytest.mark.parametrize(("artim", "skipped"), [(60.0, False), (60.1, True)])
def test_patience(artim, skipped):
    one = only("9.1.2/1", 1, artim=artim)
    assert one.why == (
        "waits 60.1 s for ARTIM, longer than --patience 60"
        if skipped
        else "no connection: Connection refused"
    )
    assert one.verdict is (Verdict.SKIPPED if skipped else Verdict.FAILED)


def test_outcomes_come_in_the_order_of_the_cases():
    cases = [case for clause in CLAUSES[:4] for case in clause.cases]
    with acceptor() as one:
        found = list(run(cases, settings(one.port), jobs=8))
    assert [outcome.case for outcome in found] == cases


def test_who_looks_no_further_leaves_nothing_running():
    cases = [case for clause in CLAUSES for case in clause.cases]
    with acceptor() as one:
        running = run(cases, settings(one.port), jobs=4)
        assert next(running).verdict is Verdict.PASSED
        running.close()
        time.sleep(0.1)
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


def test_another_abstract_syntax_than_verification():
    """No C-ECHO is sent: cases of messages are skipped, the others go without it."""
    asked = []

    def accept(request):
        asked.append(request)

    cases = [case for clause in chosen(["9.2.Sta6", "E.2/1", "9.3.1/1"]) for case in clause.cases]
    with acceptor(Flaw(rejects=accept, abstract_syntax="1.2.3")) as one:
        found = list(run(cases, settings(one.port, abstract_syntax="1.2.3")))
    assert {o.case.id: o.why for o in found if o.verdict is not Verdict.PASSED} == {
        "E.2/1": "needs C-ECHO, so the Verification SOP class as abstract syntax"
    }
    assert {c.abstract_syntax for r in asked for c in r.presentation_contexts} == {"1.2.3"}


# What fails, and what is said then


def failing(*steps) -> Clause:
    return numbered("X", "of a test", must("it does", *steps), should("it does", *steps))


def outcomes(clause: Clause, port: int, **changes) -> list[Outcome]:
    return list(run(clause.cases, settings(port, timeout=0.3, **changes)))


def test_an_end_that_is_artims_is_not_the_answer():
    with acceptor(Flaw(hears=on(ABORT, lambda _: b""), artim=0.6)) as one:
        deaf = only("9.2.Sta2/9", one.port, artim=0.6)
    assert deaf.why == "nothing within 0.45 s instead of the end of the connection"


def test_what_must_hold_fails_and_what_should_is_noted():
    clause = failing(associate(), say(pdu(7, bytes(4))), echo(), release)
    with acceptor() as one:
        must_hold, should_hold = outcomes(clause, one.port)
    assert (must_hold.verdict, should_hold.verdict) == (Verdict.FAILED, Verdict.NOTED)
    assert must_hold.why == "end of the connection instead of C-ECHO-RSP"
    sent, answer, abort, echoed, *rest = must_hold.transcript
    assert sent.startswith("> A-ASSOCIATE-RQ (")
    assert "ULPROXY to CONFORM" in sent
    assert answer.startswith("< A-ASSOCIATE-AC (")
    assert "context 1: 0 acceptance" in answer
    assert abort == "> A-ABORT (0,0: service-user)"
    assert echoed == "> P-DATA-TF (context 1, command, last, C-ECHO-RQ id 1)"
    assert rest[-1] == "< the connection is closed"


def test_a_case_that_passed_says_nothing_more():
    with acceptor() as one:
        outcome = only("9.2.Sta6/8", one.port)
    assert (outcome.verdict, outcome.why, outcome.transcript) == (Verdict.PASSED, "", ())
    assert outcome.seconds < 2


def half_an_abort(sock: socket.socket) -> None:
    sock.sendall(b"\7\0\0\0\0\4\0\0")
    hang_up(sock)


SCRIPTS: dict[str, list[Step]] = {
    "nothing within 0.3 s instead of A-ASSOCIATE-AC": [b""],
    "end of the connection instead of A-ASSOCIATE-AC": [hang_up],
    "closed the connection within a PDU: 2 of 4 bytes of A-ABORT: 07 00 00 00 00 04 00 00": [
        half_an_abort
    ],
    f"said a PDU of {LONGEST_PDU + 1} bytes: 02 00 00 0f ff fb": [
        b"\2\0" + (LONGEST_PDU - 5).to_bytes(4)
    ],
    "context 1 was not accepted": [a_associate_ac((1, 3))],
    "A-ASSOCIATE-AC of 4 bytes": [pdu(2, bytes(4))],
    "A-ASSOCIATE-AC: 2 stray bytes behind the last item": [pdu(2, bytes(70))],
    "presentation context item of 1 bytes": [pdu(2, bytes(68) + b"\x21\0\0\1\1")],
}


@pytest.mark.parametrize("why", SCRIPTS)
def test_what_came_instead_of_an_acceptance(why):
    with peer(*SCRIPTS[why]) as one, pytest.raises(ViolationError) as raised:
        alive(settings(one.port, timeout=0.3))
    assert str(raised.value) == why


RESPONSES = {
    "P-DATA-TF without a PDV": pdu(4, b""),
    "PDV that does not fit: P-DATA-TF (3 bytes: 00 00 00)": pdu(4, bytes(3)),
    "PDV that does not fit: P-DATA-TF (6 bytes: 00 00 00 01 01 03)": pdu(4, b"\0\0\0\1\1\3"),
    "the response: command set ends within an element": pdu(4, b"\0\0\0\6\1\3abcd"),
    "A-RELEASE-RP instead of a response": pdu(6, bytes(4)),
}


@pytest.mark.parametrize("why", RESPONSES)
def test_what_came_instead_of_a_response(why):
    with peer(a_associate_ac(), RESPONSES[why]) as one, pytest.raises(ViolationError) as raised:
        alive(settings(one.port, timeout=0.3))
    assert str(raised.value) == why


def test_half_a_pdu_is_told_when_nothing_more_comes():
    with peer(a_associate_ac()[:20]) as one:
        (outcome, _) = outcomes(failing(*works()), one.port)
    assert outcome.transcript[-1].startswith("< nothing but 14 of ")


# Its time


def talk(sock: socket.socket) -> None:
    """One PDU after the other, none of them the end of a message."""
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(pdu(4, b"\0\0\0\4\1\1ab"))
            time.sleep(0.01)


def test_a_case_has_an_end_even_if_the_acceptor_has_none():
    with peer(a_associate_ac(), talk) as one:
        began = time.monotonic()
        (outcome, _) = outcomes(failing(*works()), one.port)
    assert outcome.verdict is Verdict.FAILED
    assert time.monotonic() - began < 10


def wait(conversation) -> None:
    heard(conversation, "anything")


def test_waits_are_bounded_together():
    """Three time-outs are all that a case has, whatever its script waits for."""

    def patient(conversation):
        for _ in range(20):
            with contextlib.suppress(ViolationError):
                wait(conversation)
        raise ViolationError("long enough")

    with peer(b"") as one:
        (outcome, _) = outcomes(failing(patient), one.port)
    assert outcome.why == "long enough"
    assert 0.8 < outcome.seconds < 3


def test_an_acceptor_that_does_not_read():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        clause = failing(say(pdu(1, bytes(30_000_000))))
        (outcome, _) = outcomes(clause, server.getsockname()[1])
    assert outcome.why == "does not read"


def test_no_connection():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # nobody listens, and nobody else may
        with pytest.raises(ViolationError, match=r"^no connection: Connection refused$"):
            alive(settings(sock.getsockname()[1]))
