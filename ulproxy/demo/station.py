"""Hospital A's workstation: it calls (SCU) and is called (Storage SCP, for the C-MOVEs it asks for)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from ulproxy.demo.archive import Archive
from ulproxy.demo.pacs import SUCCESS, keep
from ulproxy.demo.quirks import hold_pauses, shut_down
from ulproxy.demo.seen import Seen


@dataclass(frozen=True)
class Target:
    """Whom the workstation calls: all that it knows of the other hospital."""

    host: str
    port: int
    title: str


class NoAssociationError(Exception):
    """The association was refused, aborted, or nobody answered."""


class Workstation:
    """A workstation that listens from `start` to `stop` and associates in between."""

    def __init__(self, title: str, folder: Path) -> None:
        self.title = title
        self.seen = Seen()
        self.received = Archive(folder)
        self._ae = AE(title)
        self._ae.require_called_aet = True
        self._ae.connection_timeout = 10
        self._ae.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            self._ae.add_supported_context(context.abstract_syntax or "", ALL_TRANSFER_SYNTAXES)

    def start(self, port: int) -> int:
        """Listen on the loopback; `port` 0 takes any. Returns the port; OSError when it is taken."""
        server = self._ae.start_server(
            ("127.0.0.1", port),
            block=False,
            evt_handlers=[
                (evt.EVT_ACCEPTED, self.seen.accepted),
                (evt.EVT_C_ECHO, lambda _: SUCCESS),
                (evt.EVT_C_STORE, lambda event: keep(self.received, self.seen, event)),
            ],
        )
        if server is None:
            raise AssertionError("block=False returns a server")
        return int(server.server_address[1])

    def stop(self) -> None:
        """Abort what is open and close the port."""
        shut_down(self._ae)

    @contextmanager
    def association(
        self,
        target: Target,
        contexts: list[PresentationContext],
        into: Archive | None = None,
    ) -> Iterator[Association]:
        """An association with `target`, released at the end and aborted on an exception.

        `into` takes what a C-GET sends back on it, for which the SCP role is asked (PS3.7 D.3.3.4).
        """
        handlers: list[evt.EventHandlerType] = [(evt.EVT_ACCEPTED, self.seen.answered)]
        roles = []
        if into is not None:
            archive = into
            handlers.append((evt.EVT_C_STORE, lambda event: keep(archive, Seen(), event)))
            classes = dict.fromkeys(str(context.abstract_syntax) for context in contexts[1:])
            roles = [build_role(sop_class, scp_role=True) for sop_class in classes]
        assoc = self._ae.associate(
            target.host,
            target.port,
            contexts,
            target.title,
            ext_neg=list(roles),
            evt_handlers=handlers,
        )
        if not assoc.is_established:
            raise NoAssociationError(_why(assoc))
        hold_pauses(assoc)
        try:
            yield assoc
        except BaseException:
            assoc.abort()
            raise
        assoc.release()


def _why(assoc: Association) -> str:
    """In a few words, why there is no association."""
    answer = assoc.acceptor.primitive
    if assoc.is_rejected and answer is not None:
        return f"association rejected: {answer.result}, {answer.result_source}, {answer.diagnostic}"
    if assoc.is_aborted:
        return "association aborted, or nobody listens"
    return "no answer to the association request"
