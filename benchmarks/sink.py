"""An acceptor that costs little: `python -m benchmarks.sink [--responses N] MAX_LENGTH...`.

One port for each maximum length, printed on a line `ready PORT...`. It hops from header to header over
what it is sent, answers C-ECHO and C-STORE with success and C-FIND with N responses, and can do
nothing else. One thread and one epoll, for a thousand associations at once.
"""

import argparse
import select
import socket
from collections.abc import Generator

from benchmarks import wire

HOST = "127.0.0.1"
BUFFER = 2**18
TIMEOUT = 60.0  # of a response that nobody reads
BACKLOG = 1024


class Association:
    """One connection; a generator reads it, which says how much it needs next."""

    def __init__(self, peer: socket.socket, max_length: int, found: list[bytes]) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.settimeout(TIMEOUT)
        self.peer, self._max_length, self._found = peer, max_length, found
        self._kept, self._skip = b"", 0
        self._reading = self._read()
        self._needed = next(self._reading)

    def receive_data(self, data: memoryview) -> None:
        """Bytes from the peer, in any portions."""
        at = 0
        while True:
            skipped = min(self._skip, len(data) - at)
            self._skip -= skipped
            at += skipped
            missing = self._needed - len(self._kept)
            if self._skip or len(data) - at < missing:
                self._kept += bytes(data[at:])
                return
            part, self._kept = self._kept + bytes(data[at : at + missing]), b""
            at += missing
            self._needed = self._reading.send(part)

    def _read(self) -> Generator[int, bytes, None]:
        command = b""
        while True:
            kind, length = wire.PDU_HEADER.unpack((yield wire.PDU_HEADER.size))
            if kind != wire.DATA:
                body = yield length
                if said := wire.answer(kind, body, self._max_length):
                    self.peer.sendall(said)
                continue
            while length:
                size, context_id, control = wire.PDV_HEADER.unpack((yield wire.PDV_HEADER.size))
                length -= size + 4
                if control & wire.COMMAND:
                    command = yield size - 2
                else:
                    self._skip = size - 2
                    yield 0
                if control & wire.LAST and not (control & wire.COMMAND and wire.has_data(command)):
                    self._respond(context_id, command)

    def _respond(self, context_id: int, command: bytes) -> None:
        pending = self._found if wire.field(command) == wire.C_FIND_RQ else []
        last = wire.data_pdu(context_id, wire.COMMAND | wire.LAST, wire.success(command))
        self.peer.sendall(b"".join((*pending, last)))


def found(responses: int) -> list[bytes]:
    """C-FIND responses in Explicit VR Little Endian for presentation context 1 and Message ID 1."""
    pending = wire.data_pdu(1, wire.COMMAND | wire.LAST, wire.find_pending(1))
    return [
        pending + wire.data_pdu(1, wire.LAST, wire.study(number)) for number in range(responses)
    ]


def serve(listeners: dict[int, tuple[socket.socket, int]], answers: list[bytes]) -> None:
    """Until the process is ended. The listeners, by file descriptor, with their maximum length."""
    associations: dict[int, Association] = {}
    view = memoryview(bytearray(BUFFER))
    with select.epoll() as poll:
        for descriptor in listeners:
            poll.register(descriptor, select.EPOLLIN)
        while True:
            for ready, _ in poll.poll():
                if ready in listeners:
                    listener, max_length = listeners[ready]
                    peer, _ = listener.accept()
                    associations[peer.fileno()] = Association(peer, max_length, answers)
                    poll.register(peer, select.EPOLLIN)
                    continue
                association = associations[ready]
                try:
                    size = association.peer.recv_into(view, 0, socket.MSG_DONTWAIT)
                    if size:
                        association.receive_data(view[:size])
                except OSError:
                    size = 0
                if not size:
                    poll.unregister(ready)
                    del associations[ready]
                    association.peer.close()


def main() -> None:
    """Listen, say where, serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("max_lengths", nargs="+", type=int, metavar="MAX_LENGTH")
    parser.add_argument("--responses", type=int, default=0)
    arguments = parser.parse_args()
    listeners = {}
    for max_length in arguments.max_lengths:
        listener = socket.create_server((HOST, 0), backlog=BACKLOG)
        listeners[listener.fileno()] = (listener, max_length)
    print("ready", *(listener.getsockname()[1] for listener, _ in listeners.values()), flush=True)
    serve(listeners, found(arguments.responses))


if __name__ == "__main__":
    main()
