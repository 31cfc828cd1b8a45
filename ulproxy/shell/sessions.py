"""The connections and associations of one process, whoever accepts for it and tells it when to stop."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ulproxy.policy.model import Config, Listener
from ulproxy.policy.rules import Policy
from ulproxy.relay.admission import Admission, Counts
from ulproxy.relay.border import Border
from ulproxy.relay.moves import Moves
from ulproxy.relay.tally import Sample, Tally
from ulproxy.shell.arrival import arrived
from ulproxy.shell.audit import Audit
from ulproxy.shell.handshake import Handshake
from ulproxy.shell.pending import Pending
from ulproxy.shell.session import Session
from ulproxy.shell.state import State
from ulproxy.shell.tls import Contexts
from ulproxy.shell.transport import RECEIVE_BUFFER

# Seconds that an A-ABORT has to reach its peer when the relay stops without waiting any longer.
LAST_WORDS: Final = 0.5
# Seconds between two looks at what other processes move, while something here waits for it.
LOOK: Final = 0.1


@dataclass(frozen=True)
class Company:
    """What a process shares with the others of its relay.

    `counts` is for its limits, `workers` how many there are, `process_id` that of the relay as a whole.
    """

    counts: Counts
    workers: int
    process_id: int


class Sessions:
    """Serves whoever is `_accepted`, until it has `_drain`ed.

    `state` is what outlives the process, `company` whom it shares its limits with; None = it is alone.
    `tls` is what is made of the files that the configuration names, if that has been done.
    """

    def __init__(
        self,
        path: Path,
        policy: Policy,
        state: State | None = None,
        tls: Contexts | None = None,
        company: Company | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.border = Border(policy, clock=self.loop.time)
        self._keep_tally(policy.config)
        if state is not None:
            self.border.moves = Moves(state.moves)
            self.border.commitments = state.commitments
        if company is not None:
            self.border.admission = Admission(company.counts)
        process_id = os.getpid() if company is None else company.process_id
        self.audit = Audit(self.loop, self.border, path, process_id)
        self.tls = tls or Contexts(policy.config)
        self.buffer = memoryview(bytearray(RECEIVE_BUFFER))
        self._workers = 1 if company is None else company.workers
        self._sessions: set[Session] = set()
        self._handshakes: set[Handshake] = set()
        self._pending = Pending()
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()  # no association is open, while we stop
        self._empty = asyncio.Event()  # no connection either
        self._hurry = asyncio.Event()
        self._looking: asyncio.TimerHandle | None = None

    def _accepted(self, sock: socket.socket, listener: Listener) -> None:
        try:
            arrival = arrived(sock, listener.network, self.loop.time())
            if listener.tls is None:
                self._begin(Session(self, arrival, sock))
            else:
                handshake = Handshake(self, arrival, sock, self.tls.listening(listener.tls))
                self._handshakes.add(handshake)
                self._pending.add(handshake)
        except OSError:  # reset before we looked
            sock.close()
            return
        # Our share of them, rounded up: connections are handed out evenly.
        if self._pending.total > -(-self.border.policy.config.limits.pending // self._workers):
            self._pending.victim().shutdown("too many connections without an association")

    def _begin(self, session: Session) -> None:
        self._sessions.add(session)
        self._pending.add(session)
        session.start()

    def secured(self, handshake: Handshake) -> None:
        """A session begins where a TLS handshake has ended."""
        self.failed(handshake)
        self._begin(Session(self, handshake.arrival, handshake.link, handshake.certificate))

    def failed(self, handshake: Handshake) -> None:
        """A TLS handshake has ended."""
        self._handshakes.remove(handshake)
        self._pending.remove(handshake)

    def changed(self, session: Session) -> None:
        """Keeps the books on a session after whatever happened to it."""
        moves = self.border.moves
        if moves.stirred or moves.waiting or self._looking is not None:
            self._look_for_moves()
        if self._stopping.is_set() and not self.border.admission.total:
            self._idle.set()
        if session.over:
            if session in self._sessions:
                self._sessions.remove(session)
                if session in self._pending:
                    self._pending.remove(session)
                if not self._sessions:
                    self._empty.set()
            return
        pending = session.join.pending
        if pending != (session in self._pending):
            if pending:
                self._pending.add(session)
            else:
                self._pending.remove(session)

    def _look_for_moves(self) -> None:
        """One has ended that others wait for; or may end in another process while they do."""
        moves = self.border.moves
        if moves.stirred:
            moves.stirred = False
            self.loop.call_soon(self._moves_ended)
        if moves.waiting and self._looking is None:
            self._looking = self.loop.call_later(LOOK, self._look_again)
        elif not moves.waiting and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _look_again(self) -> None:
        self._looking = None
        self.border.moves.look()
        self._look_for_moves()

    def _moves_ended(self) -> None:
        """Some associations may have been waiting for it."""
        for session in list(self._sessions):
            if session.join.waits:
                session.moves_ended()

    def _apply(self, config: Config, contexts: Contexts) -> None:
        """New associations follow this; those that are open too, if it says so."""
        self.tls = contexts
        self.border.policy = policy = Policy(config)
        self._keep_tally(config)
        if config.relay.on_revoke == "abort":
            for session in list(self._sessions):
                if session.join.would_be_refused(policy):
                    session.shutdown("refused by the rules since a reload")

    def _keep_tally(self, config: Config) -> None:
        """Begins to count, goes on with it, or leaves it."""
        border, names = self.border, (ae.name for ae in config.aes)
        if config.metrics is None:
            border.tally = None
        elif border.tally is None:
            border.tally = Tally(time.monotonic, names)
        else:
            border.tally.know(names)

    def sample(self) -> Sample:
        """What is counted, what open associations have passed on so far included."""
        border, tally = self.border, self.border.tally
        if tally is None:
            return {}
        sample = tally.sample()
        for session in self._sessions:
            for key, number in session.join.volumes(tally):
                sample[key] = sample.get(key, 0) + number
        queues: Sample = {("audit_queue", of): n for of, n in self.audit.waiting.items()}
        return {
            **sample,
            **queues,
            ("workers",): 1,
            ("connections_open",): len(self._sessions) + len(self._handshakes),
            ("connections_pending",): self._pending.total,
            ("associations_open",): border.admission.total,
            ("moves_open",): border.moves.own,
            ("moves_waiting",): border.moves.waiting,
            ("audit_stopped",): bool(border.full),
        }

    async def _drain(self, seconds: float | None) -> None:
        """Open associations finish, within so many seconds, unless somebody is in a hurry."""
        for handshake in list(self._handshakes):
            handshake.shutdown("the relay stops")
        for session in list(self._sessions):
            if not session.join.asked:
                session.shutdown("the relay stops")
        if self.border.admission.total:
            await _first(seconds, self._idle, self._hurry)
        for session in list(self._sessions):
            if not session.join.ended:
                session.shutdown("the relay stops")
        if self._sessions:  # peers that have had their last answer may close now
            self._empty.clear()
            await _first(LAST_WORDS, self._empty)
        for session in list(self._sessions):
            session.shutdown("the relay stops")


async def _first(seconds: float | None, *events: asyncio.Event) -> None:
    """Waits for one of the events, or until the time is over."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for future in waiting:
        future.cancel()
