"""The running relay: its listeners and sessions, and what the operator asks of it by signals."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import ulproxy
from ulproxy.errors import ConfigError
from ulproxy.policy.config import load
from ulproxy.policy.model import Config, Listener
from ulproxy.policy.rules import Policy
from ulproxy.relay.border import Border
from ulproxy.relay.moves import Moves
from ulproxy.shell.arrival import arrived
from ulproxy.shell.audit import Audit
from ulproxy.shell.handshake import Handshake
from ulproxy.shell.pending import Pending
from ulproxy.shell.ports import Ports
from ulproxy.shell.session import Session
from ulproxy.shell.state import State
from ulproxy.shell.tls import Contexts
from ulproxy.shell.transport import RECEIVE_BUFFER
from ulproxy.watch.log import logger, say

# Seconds that an A-ABORT has to reach its peer when the relay stops without waiting any longer.
LAST_WORDS: Final = 0.5
# Seconds until it is said once more that there are no descriptors.
SAID_AGAIN: Final = 60.0
# Seconds between two looks at what other processes move, while something here waits for it.
LOOK: Final = 0.1


class Server:
    """Serves a configuration file until it is told to stop.

    `state` is what it shares with other processes; None = it is the only one.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        announce: Callable[[str], None],
        state: State | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.border = Border(Policy(config), clock=self.loop.time)
        if state is not None:
            self.border.moves = Moves(state.moves)
            self.border.commitments = state.commitments
        self.audit = Audit(self.loop, self.border, path)
        self.tls = Contexts(config)
        self.buffer = memoryview(bytearray(RECEIVE_BUFFER))
        self._path = path
        self._announce = announce
        self._log = logger()
        self._sessions: set[Session] = set()
        self._handshakes: set[Handshake] = set()
        self._pending = Pending()
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()  # no association is open, while we stop
        self._empty = asyncio.Event()  # no connection either
        self._hurry = asyncio.Event()
        self._quiet_until = -math.inf  # about descriptors
        self._looking: asyncio.TimerHandle | None = None

    async def serve(self, drain: float | None) -> None:
        """Listens, until SIGTERM or SIGINT; then open associations finish, within `drain` seconds.

        Raises OSError where a listener's address cannot be had.
        """
        config = self.border.policy.config
        self._ports = Ports(self.loop, self._accepted, self._exhausted, self._announce)
        self._ports.listen(config.listeners)
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._stop, number)
        self.loop.add_signal_handler(signal.SIGHUP, self.reload)
        self.audit.start(config)
        self._say("started", config)
        self._ports.start()
        await self._stopping.wait()
        await self._drain(drain)
        self.audit.close()

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
        if self._pending.total > self.border.policy.config.limits.pending:
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

    def _exhausted(self, error: OSError) -> None:
        """Several times a second, as long as it lasts."""
        now = self.loop.time()
        if now >= self._quiet_until:
            self._quiet_until = now + SAID_AGAIN
            say(self._log.error, "cannot accept", why=error.strerror, sessions=len(self._sessions))

    def _say(self, event: str, config: Config, **facts: object) -> None:
        """What is in force now, and what its author may want to know."""
        say(self._log.info, event, version=ulproxy.__version__, file=str(self._path), **facts)
        for note in config.notes:
            say(self._log.warning, "note", line=note.line, key=note.key, why=note.text)

    def changed(self, session: Session) -> None:
        """Keeps the books on a session after whatever happened to it."""
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
        self.border.moves.catch_up()
        self._look_for_moves()

    def _moves_ended(self) -> None:
        """Some associations may have been waiting for it."""
        for session in list(self._sessions):
            if session.join.waits:
                session.moves_ended()

    def reload(self) -> None:
        """SIGHUP: new associations follow the new file; one with a mistake changes nothing."""
        if self._stopping.is_set():
            say(self._log.error, "reload refused", why="the relay stops")
            return
        try:
            config = load(self._path)
            contexts = Contexts(config)
            self._ports.move(config.listeners)
        except ConfigError as error:
            for problem in error.problems:
                say(
                    self._log.error,
                    "reload refused",
                    line=problem.line,
                    key=problem.key,
                    why=problem.text,
                )
            self.audit.refuse_reload(str(error))
            return
        except OSError as error:
            say(self._log.error, "reload refused", why=error.strerror)
            self.audit.refuse_reload(str(error.strerror))
            return
        if config.relay.state != self.border.policy.config.relay.state:
            say(self._log.warning, "state is used from the next start on", file=str(self._path))
        self.tls = contexts
        self.border.policy = policy = Policy(config)
        associations = self.border.admission.total
        self._say("reloaded", config, associations=associations)
        self.audit.reload(config)
        if config.relay.on_revoke == "abort":
            for session in list(self._sessions):
                if session.join.would_be_refused(policy):
                    session.shutdown("refused by the rules since a reload")

    def _stop(self, number: signal.Signals) -> None:
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()
        associations = self.border.admission.total
        say(self._log.info, "stopping", signal=number.name, associations=associations)

    async def _drain(self, seconds: float | None) -> None:
        self._ports.close()
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
