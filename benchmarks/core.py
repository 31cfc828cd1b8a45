"""What the pure core costs, without a socket: `python -m benchmarks.core`.

Best of several runs, in microseconds: the reader on one read of 256 KiB, and a C-STORE of a small object
with its response through a join (two reads, as a stock sender and receiver make them).
"""

from __future__ import annotations

import ipaddress
import timeit
from collections.abc import Callable
from functools import partial

from ulproxy.dimse.command import Element, Status, command_set, response
from ulproxy.pdu.associate import (
    AAssociateAC,
    AAssociateRQ,
    PresentationContextAC,
    PresentationContextRQ,
    encode_ac,
    encode_rq,
    titles,
)
from ulproxy.pdu.items import UserInformation
from ulproxy.pdu.reader import PduReader
from ulproxy.pdu.writer import command_message, data_set_message
from ulproxy.policy.config import parse
from ulproxy.policy.decision import Peer
from ulproxy.policy.rules import Policy
from ulproxy.relay.border import Border
from ulproxy.relay.effects import End
from ulproxy.relay.join import Join

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
CONFIG = """
[relay]
title = "RELAY"
[[listener]]
network = "a"
bind = "127.0.0.1:0"
[[ae]]
title = "SCU"
network = "a"
sources = ["127.0.0.1"]
[[ae]]
title = "SCP"
network = "b"
address = "127.0.0.1:104"
alias = "SCP"
[[rule]]
from = ["SCU"]
to = ["SCP"]
services = ["store"]
"""


def best(run: Callable[[], object], number: int) -> float:
    """Microseconds of one run, the best of seven times `number`."""
    return min(timeit.repeat(run, number=number, repeat=7)) / number * 1e6


def established() -> Join:
    """A join of two associations in Sta6."""
    join = Join(Border(Policy(parse(CONFIG))), Peer("a", ipaddress.ip_address("127.0.0.1")))
    join.accepted()
    information = UserInformation(131072, "1.2.3")
    context = PresentationContextRQ(1, CT, (IMPLICIT,))
    request = AAssociateRQ(titles("SCP", "SCU"), (context,), information)
    join.receive_data(End.INBOUND, memoryview(encode_rq(request)))
    join.connected()
    accepted = (PresentationContextAC(1, 0, IMPLICIT),)
    answer = AAssociateAC(titles("SCP", "SCU"), accepted, information)
    join.receive_data(End.ONWARD, memoryview(encode_ac(answer)))
    return join


def main() -> None:
    """Prints a line for each."""
    for kib in (4, 16, 64, 128):
        size = kib * 1024
        pdu = data_set_message(1, bytes(size - 12), size)
        stream = memoryview((pdu[:11] + b"\0" + pdu[12:]) * (256 * 1024 // size))
        microseconds = best(partial(PduReader().receive_data, stream), 2000)
        print(f"reader, 256 KiB in {kib} KiB PDUs: {microseconds:.1f} µs")
    request = command_set(
        {
            Element.AFFECTED_SOP_CLASS_UID: CT,
            Element.COMMAND_FIELD: 1,
            Element.MESSAGE_ID: 7,
            Element.COMMAND_DATA_SET_TYPE: 1,
            Element.AFFECTED_SOP_INSTANCE_UID: "1.2.3.4.5.6.7.8.9",
        }
    )
    store = memoryview(
        command_message(1, request.encode(), 0) + data_set_message(1, bytes(3000), 0)
    )
    stored = memoryview(command_message(1, response(request, Status.SUCCESS).encode(), 0))
    join = established()

    def c_store() -> None:
        join.receive_data(End.INBOUND, store)
        join.receive_data(End.ONWARD, stored)

    print(f"C-STORE of 3 KB and its response: {best(c_store, 5000):.1f} µs")


if __name__ == "__main__":
    main()
