"""TLS over a plain transport: the same interface, with a handshake before it.

OpenSSL sees memory only (`ssl.MemoryBIO`), so reading, pace, queue and back-pressure are transport.py's. What
a read brings is decrypted whole, onto itself, and handed on at once, unless the owner stops reading or has
not begun; then it waits here, at most one read of it.

A connection that ends without close_notify was cut (RFC 8446 6.1): for DICOM it is lost either way. What is
no TLS is never answered.
"""

from __future__ import annotations

import ssl
from asyncio import AbstractEventLoop
from collections.abc import Sequence
from contextlib import suppress
from socket import socket
from typing import Final, Protocol, cast

from ulproxy.relay.sniff import is_tls, spoken, spoken_for_tls
from ulproxy.shell.tls import failure, identities
from ulproxy.shell.transport import Link, Owner, Transport

# What OpenSSL is given at once, to decrypt or to encrypt: a memory BIO keeps the most that ever was in it.
AT_ONCE: Final = 64 * 1024
# So much of the buffer, a part of it, is free before what is read: 16 KiB of 256, a record (RFC 8446 5.2).
_SPARE: Final = 16
# TLS itself has answers, to key updates (RFC 8446 4.6.3): a peer that does not read them is not read either.
MAX_UNSENT: Final = 1 << 20
_NOTHING: Final = memoryview(b"")
_SHOWN: Final = 8  # so many bytes tell what is no TLS


class SecureOwner(Owner, Protocol):
    """Who a connection over TLS reports to."""

    def secured(self, link: Secure) -> None:
        """The handshake is done; before, nothing else is reported but `connection_lost`."""


class Secure:
    """A connection over TLS: ours if it has a `host` that is called, else one that was accepted.

    `owner` may change once: who sees to the handshake hands on what comes of it.
    """

    __slots__ = (
        "_begun",
        "_buffer",
        "_closed",
        "_done",
        "_early",
        "_end",
        "_foreign",
        "_incoming",
        "_loop",
        "_outgoing",
        "_spare",
        "_tls",
        "_transport",
        "_wanted",
        "owner",
    )

    def __init__(
        self,
        loop: AbstractEventLoop,
        sock: socket,
        buffer: memoryview,
        owner: SecureOwner,
        context: ssl.SSLContext,
        host: str | None = None,
    ) -> None:
        self.owner = owner
        self._loop = loop
        self._buffer = (
            buffer  # the shared one: what it brought is in `_incoming` before it is used again
        )
        # What is decrypted goes to the front, onto bytes that OpenSSL has already; the record that the read
        # before left half comes on top of them.
        self._spare = len(buffer) // _SPARE
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=host is None, server_hostname=host
        )
        self._transport = Transport(loop, sock, buffer[self._spare :], self)
        self._begun = False  # the peer speaks TLS
        self._foreign = b""  # what it speaks instead
        self._early = b""  # written before the handshake was done
        self._done = False  # the handshake
        self._end = ""  # how the peer's bytes ended; empty = more may come
        self._wanted = False
        self._closed = False
        self._watch()
        if host is not None:
            loop.call_soon(self._resume)

    @property
    def unsent(self) -> int:
        """What the peer has not taken yet, in bytes, as they are on the wire."""
        return self._transport.unsent + len(self._early)

    @property
    def identities(self) -> frozenset[str]:
        """What the peer's certificate goes by; empty = it presented none."""
        der = self._tls.getpeercert(binary_form=True)
        return identities(der) if der else frozenset()

    @property
    def version(self) -> str:
        """The version of TLS and the cipher suite, for the log."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()} {cipher[0] if cipher else ''}"

    def read(self, wanted: bool) -> None:
        """Reads from now on, or stops."""
        if wanted == self._wanted or self._closed:
            return
        self._wanted = wanted
        self._watch()
        if wanted and self._done and (self._incoming.pending or self._tls.pending() or self._end):
            self._loop.call_soon(self._resume)

    def write(self, data: Sequence[bytes | memoryview]) -> None:
        """Sends what the peer takes now, keeps the rest; all of it while the handshake goes on."""
        if self._closed:
            return
        # Copied into one where there are several, because each would become a record of its own.
        whole = data[0] if len(data) == 1 else b"".join(data)
        if not self._done:
            self._early += whole
            return
        view = memoryview(whole)
        try:
            while view:
                view = view[self._tls.write(view[:AT_ONCE]) :]
                self._flush()
        except ssl.SSLError as error:
            # Its peer broke it: what came before that has been handed on, and is being answered now.
            self._end = self._end or failure(error)
            self._loop.call_soon(self._resume)

    def close(self) -> None:
        """Closes at once; with close_notify, if nothing is unsent."""
        if self._closed:
            return
        self._closed = True
        if self._done and not self._transport.unsent:
            with suppress(ssl.SSLError):  # it would wait for the peer's
                self._tls.unwrap()
            self._flush()
        self._transport.close()

    # What the plain transport reports

    def data_received(self, _link: Link, data: memoryview) -> bool:
        """Bytes came; records end where they like, so more may always come."""
        if not self._begun:
            if self._foreign or not is_tls(data):
                self._foreign += data[:_SHOWN]
                if len(self._foreign) >= _SHOWN:
                    self._lose(self._named())
                return True
            self._begun = True
        if self._done and self._wanted:
            self._deliver(data)
            self._watch()
        else:
            self._incoming.write(data)
            self._resume()
        return True

    def written(self, _link: Link) -> None:
        """The peer took some of what was unsent."""
        self._watch()
        if self._done:
            self.owner.written(self)

    def connection_lost(self, _link: Link, text: str) -> None:
        """The connection is gone."""
        if self._foreign:
            text = self._named()
        elif not self._done:
            text = f"{text} in the TLS handshake"
        elif text == "closed":
            text = "closed without close_notify"
        self._closed = True
        self.owner.connection_lost(self, text)

    # What TLS makes of it

    def _resume(self) -> None:
        """Goes on with what is there, as far as it is wanted."""
        if not self._closed and (self._done or self._shake_hands()):
            self._deliver()
        self._watch()

    def _shake_hands(self) -> bool:
        """Whether the handshake is done now."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._flush()  # the alert that says so
            self._lose(failure(error))
            return False
        self._done = True
        self._flush()
        if early := self._early:
            self._early = b""
            self.write((early,))
        self.owner.secured(self)
        return True

    def _deliver(self, data: memoryview = _NOTHING) -> None:
        """Hands on what is there, with `data` that came just now, as far as it is wanted."""
        while self._wanted and not self._closed:
            count = self._decrypt(data)
            data = _NOTHING
            self._flush()  # what TLS itself has to say to it
            if count:
                self.owner.data_received(self, self._buffer[:count])
            if self._end and not count:
                self._lose(self._end)
            elif count < len(self._buffer) and not self._end:
                return

    def _decrypt(self, data: memoryview) -> int:
        """Fills the buffer, at the end of which `data` is, with as much as there is; how much."""
        count = given = 0
        while given < len(data) and not self._end:
            piece = data[given : given + AT_ONCE]
            self._incoming.write(piece)
            given += len(piece)
            count = self._fill(count, self._spare + given)
        return self._fill(count, len(self._buffer))

    def _fill(self, count: int, end: int) -> int:
        """Decrypts to the buffer, from `count` to `end` at most; how far."""
        incoming, tls, buffer = self._incoming, self._tls, self._buffer
        try:
            # Asked first, because an exception costs as much as a quarter of a record.
            while count < end and not self._end and (incoming.pending or tls.pending()):
                read: object = tls.read(end - count, buffer[count:end])
                if not read:
                    self._end = "closed"
                count += cast("int", read)  # not bytes, where it has a buffer
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._end = failure(error)
        return count

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._transport.write((self._outgoing.read(),))

    def _watch(self) -> None:
        wanted = self._wanted or not self._done
        self._transport.read(wanted=wanted and self._transport.unsent < MAX_UNSENT)

    def _named(self) -> str:
        if self._tls.server_side:
            return spoken_for_tls(self._foreign)
        return f"the peer speaks no TLS: it answers with {spoken(self._foreign)}"

    def _lose(self, text: str) -> None:
        self.close()
        self.owner.connection_lost(self, text)
