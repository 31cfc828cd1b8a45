"""Two things that pynetdicom 3.0 leaves to chance.

1. Before it sends a request, it pauses the thread that reads the association's messages, and takes that
   thread's word for it one step too early: where the answer is quick and the machine busy, the thread still
   takes the answer, and the caller waits for it until its time-out. After `hold_pauses` a pause holds.
2. The thread behind a connection keeps the process alive, and `shutdown` does not know of it when `associate`
   was interrupted. `shut_down` ends those as well.
"""

import threading
import time

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider

LINGER = 2.0  # seconds for connections to end by themselves


class _Checkpoint(threading.Event):
    """An event that knows whether the reading thread waits for it, and whose `clear` returns only then."""

    def __init__(self, reader: threading.Thread) -> None:
        super().__init__()
        self._reader = reader
        self._blocked = False
        self.set()

    def set(self) -> None:
        self._blocked = False
        super().set()

    def clear(self) -> None:
        super().clear()
        while not self._blocked and self._reader.is_alive():
            time.sleep(0.001)

    def wait(self, timeout: float | None = None) -> bool:
        if not self.is_set():
            self._blocked = True  # from here on only `set` lets the reader go
        return super().wait(timeout)


def hold_pauses(assoc: Association) -> None:
    """Make every later pause of an established requestor hold."""
    assoc._reactor_checkpoint = _Checkpoint(assoc)  # noqa: SLF001 - pynetdicom has no other way


def shut_down(entity: AE) -> None:
    """Abort the associations of an AE, close its ports, and end what is left of its connections."""
    entity.shutdown()
    ours = [
        thread
        for thread in threading.enumerate()
        if isinstance(thread, DULServiceProvider) and thread.assoc.ae is entity
    ]
    deadline = time.monotonic() + LINGER
    for thread in ours:
        thread.join(max(0.0, deadline - time.monotonic()))
        thread.kill_dul()
        thread.join(LINGER)
        if thread.socket is not None and thread.socket.socket is not None:
            thread.socket.socket.close()
