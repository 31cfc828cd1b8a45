"""Limits of time, the drain on SIGTERM and the reload on SIGHUP, as clients and PACS see them."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

import pytest

from tests.end_to_end.lanes import Lane, Pair, Progress, lanes
from tests.end_to_end.peers import Relay, wait_until
from tests.end_to_end.wire import (
    ABORT,
    AC,
    CT,
    RELEASE_RQ,
    RJ,
    RQ,
    Command,
    Context,
    Peer,
    associate_ac,
    associate_rq,
    message,
    release_rp,
    release_rq,
    user_items,
)

STORE: Command = {2: CT, 0x100: 0x0001, 0x110: 1, 0x700: 0, 0x1000: "1.2.3"}
ONE = [Context(1, CT)]


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    limits = {"artim": 1.0, "idle": 1.5, "write": 1.0}
    with lanes(tmp_path_factory.mktemp("impatient"), limits=limits) as made:
        yield made["relay"]


@pytest.fixture
def lane(tmp_path) -> Iterator[Lane]:
    """A relay of the test's own, that it may signal."""
    with lanes(tmp_path) as made:
        yield made["relay"]


def store(pair: Pair, data: bytes) -> None:
    """A whole C-STORE through an association that is open."""
    pair.client.send(message(1, STORE, data))
    assert pair.server.expect_message().data == data
    pair.server.send(message(1, {0x100: 0x8001, 0x120: 1, 0x900: 0}))
    assert pair.client.expect_message().number(0x0900) == 0


# Limits --------------------------------------------------------------------------------------------


def test_silence_before_the_association(impatient):
    """ARTIM: closed without a word."""
    begin = time.monotonic()
    with Peer.connect(impatient.way.port) as client:
        assert client.receive() is None
    assert 0.9 < time.monotonic() - begin < 20


def test_half_a_request(impatient):
    rq = associate_rq(ONE, called=impatient.way.called)
    with Peer.connect(impatient.way.port) as client:
        client.send(rq[:-3])
        assert client.receive() is None


def test_idle_association(impatient):
    impatient.forget()
    with impatient.associated(ONE) as pair:
        assert pair.client.expect(ABORT).body[2:] == bytes([2, 0])
        assert pair.server.expect(ABORT).body[2:] == bytes([2, 0])


def test_pacs_that_does_not_read(impatient):
    impatient.forget()
    user = user_items(131_072)
    data = message(1, STORE, bytes(32_000_000), 120_000)
    with impatient.associated(ONE, user, accept_user=user) as pair:
        sending = Progress(pair.client, data)
        sending.start()
        assert pair.client.expect(ABORT).body[2:] == bytes([2, 0])
        assert sending.sent < len(data)
        pair.client.socket.close()
        sending.join()


def test_release_that_is_never_answered(impatient):
    impatient.forget()
    with impatient.associated(ONE) as pair:
        pair.client.send(release_rq())
        pair.server.expect(RELEASE_RQ)
        assert pair.server.expect(ABORT).body[2:] == bytes([2, 0])
        assert pair.client.expect(ABORT).body[2:] == bytes([2, 0])


def test_too_many_associations(tmp_path):
    with lanes(tmp_path, limits={"associations": 3}) as made, contextlib.ExitStack() as stack:
        lane = made["relay"]
        for _ in range(3):
            stack.enter_context(lane.associated(ONE))
        client = stack.enter_context(Peer.connect(lane.way.port))
        client.send(associate_rq(ONE, called=lane.way.called))
        assert client.expect(RJ).body[1:] == bytes([2, 3, 2])


# Signals -------------------------------------------------------------------------------------------


def relay_of(lane: Lane) -> Relay:
    assert lane.through is not None
    return lane.through


def test_sigterm_lets_a_transfer_end(lane):
    data = bytes(range(256)) * 400
    whole = message(1, STORE, data)
    half = len(whole) // 2
    with lane.associated(ONE) as pair:
        pair.client.send(whole[:half])
        relay_of(lane).program.signal(signal.SIGTERM)
        wait_until(lambda: _unreachable(lane), "no new associations")
        pair.client.send(whole[half:])
        assert pair.server.expect_message().data == data
        pair.server.send(message(1, {0x100: 0x8001, 0x120: 1, 0x900: 0}))
        assert pair.client.expect_message().number(0x0900) == 0
        assert relay_of(lane).program.process.poll() is None
        pair.release()
    lane.forget()  # a probe may have come before the signal did
    assert relay_of(lane).program.exit_code() == 0


def _unreachable(lane: Lane) -> bool:
    """No association for a new caller, who must not have to wait for the answer either."""
    try:
        with Peer.connect(lane.way.port) as client:
            client.socket.settimeout(2)
            client.send(associate_rq(ONE, called=lane.way.called))
            answer = client.receive()
            return answer is None or answer.kind == RJ
    except OSError:
        return True


def test_sigterm_with_a_bound(tmp_path):
    with lanes(tmp_path, arguments=("--drain", "1")) as made, made["relay"].associated(ONE) as pair:
        program = relay_of(made["relay"]).program
        begin = time.monotonic()
        program.signal(signal.SIGTERM)
        assert pair.client.expect(ABORT).body[2] == 2
        assert pair.server.expect(ABORT).body[2] == 2
        assert time.monotonic() - begin > 0.9
        pair.client.socket.close()
        pair.server.socket.close()
        assert program.exit_code() == 0


def reload(lane: Lane, text: str) -> None:
    """Put a new file in place, say so, and wait until the relay has said something about it."""
    running = relay_of(lane)
    running.config.write_text(text)
    before = len(running.program.log())
    running.program.signal(signal.SIGHUP)
    wait_until(lambda: len(running.program.log()) > before, "the relay logs the reload")


BROKEN = {
    "no TOML": lambda text: text + "\n[[rule]\n",
    "unknown key": lambda text: text.replace("[relay]", "[relay]\ncolour = 1"),
    "unknown AE in a rule": lambda text: text.replace('to = ["PACS"]', 'to = ["NOBODY"]'),
    "empty": lambda _text: "",
}


@pytest.mark.parametrize("how", BROKEN)
def test_sighup_with_a_broken_file_changes_nothing(lane, how):
    with lane.associated(ONE) as pair:
        store(pair, b"before")
        reload(lane, BROKEN[how](relay_of(lane).config.read_text()))
        store(pair, b"after!")
        pair.release()
    with lane.associated(ONE) as pair:
        store(pair, b"another.")
        pair.release()


def test_sighup_takes_up_a_change(lane):
    """The default: open associations finish, new ones are decided anew."""
    running = relay_of(lane)
    good = running.config.read_text()
    with lane.associated(ONE) as pair:
        reload(lane, good.replace('services = ["*"]', 'services = ["echo"]'))
        wait_until(lambda: _rejected(lane) == (1, 1, 1), "the new rules hold")
        store(pair, b"still allowed.")
        pair.release()
    lane.forget()
    reload(lane, good)
    wait_until(lambda: _stores(lane), "the old rules hold again")


def _rejected(lane: Lane) -> tuple[int, ...]:
    lane.forget()
    with Peer.connect(lane.way.port) as client:
        client.socket.settimeout(0.5)
        client.send(associate_rq(ONE, called=lane.way.called))
        with contextlib.suppress(TimeoutError):
            answer = client.receive()
            if answer is not None and answer.kind == RJ:
                return tuple(answer.body[1:])
        return ()


def _stores(lane: Lane) -> bool:
    with Peer.connect(lane.way.port) as client:
        client.send(associate_rq(ONE, called=lane.way.called))
        lane.acceptor.socket.settimeout(0.5)
        try:
            with lane.acceptor.accept() as server:
                server.send(associate_ac(server.expect_associate(RQ)))
                client.expect(AC)
                client.send(release_rq())
                server.expect(RELEASE_RQ)
                server.send(release_rp())
                return True
        except TimeoutError:
            return False
