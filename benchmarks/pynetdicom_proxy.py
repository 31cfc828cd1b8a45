"""A DICOM proxy as one writes it with pynetdicom in an hour: `python -m benchmarks.pynetdicom_proxy SINK...`.

For each sink, TITLE=PORT=MAX_LENGTH, a port, printed on a line `ready PORT...`. An association there opens
one to the sink with the contexts that were accepted; what is received whole is decoded, encoded and sent on.
"""

import signal
import sys
from collections.abc import Iterator
from typing import Any

from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association

HOST = "127.0.0.1"
REFUSED = 0xA700


class Proxy:
    """What stands before one sink."""

    def __init__(self, title: str, sink: int, max_length: int) -> None:
        self._title, self._sink, self._max_length = title, sink, max_length
        self._onward: dict[Association, Association] = {}
        entity = AE(title)
        entity.maximum_pdu_size = max_length
        entity.maximum_associations = 2000
        for uid in (
            "1.2.840.10008.1.1",
            "1.2.840.10008.5.1.4.1.1.2",
            "1.2.840.10008.5.1.4.1.1.7.3",
            "1.2.840.10008.5.1.4.1.2.2.1",
        ):
            entity.add_supported_context(uid)
        handlers: Any = [
            (evt.EVT_ACCEPTED, self._open),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_RELEASED, self._close),
            (evt.EVT_ABORTED, self._close),
        ]
        server: Any = entity.start_server((HOST, 0), block=False, evt_handlers=handlers)
        self.port: int = server.socket.getsockname()[1]

    def _open(self, event: Any) -> None:
        caller = AE(event.assoc.requestor.primitive.calling_ae_title)
        contexts = [
            build_context(context.abstract_syntax, context.transfer_syntax)
            for context in event.assoc.accepted_contexts
        ]
        self._onward[event.assoc] = caller.associate(
            HOST, self._sink, contexts, ae_title=self._title, max_pdu=self._max_length
        )

    def _close(self, event: Any) -> None:
        onward = self._onward.pop(event.assoc, None)
        if onward is not None and onward.is_established:
            onward.release()

    def _echo(self, event: Any) -> int:
        return int(self._onward[event.assoc].send_c_echo().get("Status", REFUSED))

    def _store(self, event: Any) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        return int(self._onward[event.assoc].send_c_store(dataset).get("Status", REFUSED))

    def _find(self, event: Any) -> Iterator[tuple[int, Any]]:
        model = event.request.AffectedSOPClassUID
        for status, identifier in self._onward[event.assoc].send_c_find(event.identifier, model):
            if identifier is not None:
                yield status.Status, identifier


def main() -> None:
    """Start, say where, wait for the end."""
    sinks = [argument.split("=") for argument in sys.argv[1:]]
    proxies = [Proxy(title, int(port), int(length)) for title, port, length in sinks]
    print("ready", *(proxy.port for proxy in proxies), flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
