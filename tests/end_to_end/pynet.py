"""pynetdicom as a peer: a storage SCP that records what reached it, any SCP with handlers, a client."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from tests.end_to_end.files import digest
from tests.end_to_end.peers import PATIENCE

Handlers = list[Any]


@dataclass(frozen=True)
class Stored:
    """A C-STORE as its SCP saw it."""

    sop_instance: str
    transfer_syntax: str
    digest: str
    calling: str
    called: str
    message_id: int
    originator: str | None
    originator_id: int | None


def entity(title: str, patience: float = PATIENCE) -> AE:
    made = AE(title)
    made.acse_timeout = made.dimse_timeout = made.connection_timeout = patience
    made.network_timeout = patience
    made.maximum_associations = 200
    return made


def _without_delay(event: Any) -> None:
    """pynetdicom leaves Nagle's algorithm on, which costs 40 ms per message between two test peers."""
    transport = event.assoc.dul.socket
    assert transport is not None
    transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


NO_DELAY = (evt.EVT_CONN_OPEN, _without_delay)


@contextlib.contextmanager
def scp(ae: AE, handlers: Handlers, port: int = 0) -> Iterator[int]:
    """Serve; the value is the port."""
    server: Any = ae.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[NO_DELAY, *handlers]
    )
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        for association in ae.active_associations:
            association.join(10)


def record_into(stored: list[Stored]) -> Any:
    """A C-STORE handler that notes every object and says it was stored."""

    def handle(event: Any) -> int:
        request = event.request
        stored.append(
            Stored(
                str(request.AffectedSOPInstanceUID),
                str(event.context.transfer_syntax),
                digest(request.DataSet.getvalue()),
                event.assoc.requestor.ae_title,
                event.assoc.requestor.primitive.called_ae_title,
                request.MessageID,
                request.MoveOriginatorApplicationEntityTitle,
                request.MoveOriginatorMessageID,
            )
        )
        return 0x0000

    return handle


@contextlib.contextmanager
def storage_scp(
    title: str, contexts: Sequence[tuple[str, list[str]]], stored: list[Stored]
) -> Iterator[int]:
    """A storage SCP for (SOP class, transfer syntaxes) that records into `stored`."""
    ae = entity(title)
    ae.maximum_pdu_size = 65536
    for sop_class, transfer_syntaxes in contexts:
        ae.add_supported_context(sop_class, transfer_syntaxes)
    with scp(ae, [(evt.EVT_C_STORE, record_into(stored))]) as port:
        yield port


@contextlib.contextmanager
def association(
    ae: AE,
    port: int,
    called: str,
    contexts: Sequence[PresentationContext],
    handlers: Handlers | None = None,
    ext_neg: list[Any] | None = None,
) -> Iterator[Association]:
    """An established association; released at the end unless the block ended it."""
    made = ae.associate(
        "127.0.0.1",
        port,
        contexts=list(contexts),
        ae_title=called,
        max_pdu=ae.maximum_pdu_size,
        evt_handlers=[NO_DELAY, *(handlers or [])],
        ext_neg=ext_neg,
    )
    assert made.is_established, f"no association: rejected {made.is_rejected}"
    try:
        yield made
    finally:
        if made.is_established:
            made.release()
        made.join(10)


@contextlib.contextmanager
def only_asking(made: Association) -> Iterator[None]:
    """Its reactor stands still: in rare cases it takes the response that a `send_c_...` waits for."""
    going_on, stopped = made._reactor_checkpoint, _Stopped()
    made._reactor_checkpoint = stopped
    going_on.clear()
    time.sleep(0.05)  # it turns each millisecond
    try:
        yield
    finally:
        made._reactor_checkpoint = going_on
        going_on.set()
        threading.Event.set(stopped)


class _Stopped(threading.Event):
    def set(self) -> None:
        """Nobody lets it go on."""
