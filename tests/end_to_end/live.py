"""Run a command in a network of its own and capture everything on its loopback.

    unshare --user --map-root-user --net python live.py CAPTURE COMMAND...

Inside, no other test's packets pass and every port is free. Exits with the command's code. The capture is
whole: a last datagram is sent and waited for in the file.
"""

from __future__ import annotations

import fcntl
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

_SIOCSIFFLAGS, _UP = 0x8914, 0x1
_MARK = b"the capture ends here"


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _UP))


def _wait(condition, what: str) -> None:
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"not within 30 s: {what}")
        time.sleep(0.02)


def main(capture: Path, command: list[str]) -> int:
    _raise_loopback()
    log = capture.with_suffix(".log")
    with log.open("wb") as said:
        dumpcap = subprocess.Popen(["dumpcap", "-i", "lo", "-B", "32", "-w", capture], stderr=said)
    _wait(lambda: b"File:" in log.read_bytes(), "dumpcap captures")
    code = subprocess.run(command, check=False).returncode
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(_MARK, ("127.0.0.1", 9))
    _wait(lambda: _MARK in capture.read_bytes(), "the capture is written")
    dumpcap.send_signal(signal.SIGINT)
    dumpcap.wait(30)
    return code


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]))
