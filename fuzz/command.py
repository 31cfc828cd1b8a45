"""Fuzzes the command set codec: `python -m fuzz.command --seconds 60`."""

from __future__ import annotations

import sys

from fuzz import driver
from ulproxy.dimse.command import decode
from ulproxy.errors import RemoteProtocolError


def one_input(data: bytes) -> None:
    """A command set is written as it came, or RemoteProtocolError says 6 (PS3.7 6.3.1)."""
    try:
        read = decode(data)
    except RemoteProtocolError as error:
        if error.reason != 6:
            raise
        return
    written = read.encode()
    assert written == data
    assert decode(written) == read


if __name__ == "__main__":
    sys.exit(driver.main(one_input, "command"))
