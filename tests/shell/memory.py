"""TLS handshakes in memory: two contexts, no socket."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass

from ulproxy.shell.tls import failure


@dataclass
class Outcome:
    """Both ends, and how the handshake failed at each of them, in words."""

    server: ssl.SSLObject
    client: ssl.SSLObject
    server_error: str | None = None
    client_error: str | None = None


def _advance(end: ssl.SSLObject) -> str | None:
    """A step of the handshake; behind it one of reading, which sees an alert."""
    try:
        end.do_handshake()
        end.read(1)
    except ssl.SSLWantReadError:
        return None
    except ssl.SSLError as error:
        return failure(error)
    raise AssertionError("there is nothing to be read")


def shake_hands(
    accepting: ssl.SSLContext,
    calling: ssl.SSLContext,
    host: str,
    session: ssl.SSLSession | None = None,
) -> Outcome:
    """Until neither has anything to say."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = accepting.wrap_bio(to_server, to_client, server_side=True)
    client = calling.wrap_bio(to_client, to_server, server_hostname=host)
    if session is not None:
        with contextlib.suppress(ValueError):  # it is of another context
            client.session = session
    ends = Outcome(server, client)
    for _ in range(6):
        ends.client_error = ends.client_error or _advance(client)
        ends.server_error = ends.server_error or _advance(server)
    return ends
