"""What the pure core costs, without a socket, in microseconds: the best of several runs.

The reader on one read of 256 KiB; a command set decoded and encoded; ten AEs and rules and a hundred
thousand read, and `decide` with them; a C-STORE of a small object with its response through a join.
"""

import ipaddress
import timeit
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from benchmarks.scale import entries
from benchmarks.suite import Case, Outcome, Setting, measure
from benchmarks.variants import Variant
from ulproxy.dimse.command import CommandSet, Element, Status, command_set, decode, response
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
from ulproxy.policy.model import Config
from ulproxy.policy.rules import Policy
from ulproxy.relay.border import Border
from ulproxy.relay.effects import End
from ulproxy.relay.join import Join

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
READ = 256 * 1024
CALLER = Peer("a", ipaddress.ip_address("127.0.0.1"))
INFORMATION = UserInformation(131072, "1.2.3")
REQUEST = AAssociateRQ(
    titles("SCP", "SCU"), (PresentationContextRQ(1, CT, (IMPLICIT,)),), INFORMATION
)
C_STORE_RQ = command_set(
    {
        Element.AFFECTED_SOP_CLASS_UID: CT,
        Element.COMMAND_FIELD: 1,
        Element.MESSAGE_ID: 7,
        Element.COMMAND_DATA_SET_TYPE: 1,
        Element.AFFECTED_SOP_INSTANCE_UID: "1.2.3.4.5.6.7.8.9",
    }
)
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


def micro(setting: Setting) -> Iterator[Outcome]:
    """Each once: they repeat by themselves."""
    repeat, few = (2, 10) if setting.quick else (7, 1000)
    counts = (10, 1000) if setting.quick else (10, 1000, 100_000)

    def case(
        key: str,
        label: str,
        prepare: Callable[[], Callable[[], object]],
        number: int = few,
        repeat: int = repeat,
    ) -> Case:
        def send(_: Variant) -> dict[str, float]:
            run = prepare()
            best = min(timeit.repeat(run, number=number, repeat=repeat))
            return {"us": best / number * 1e6}

        return Case(f"micro-{key}", label, send, rounds=1)

    cases = [
        case(f"reader-{kb}", f"reader, 256 KiB in PDUs of {kb} KB", partial(reader, kb))
        for kb in (4, 16, 64, 128)
    ]
    encoded = C_STORE_RQ.encode()
    cases += [
        case("decode", "a C-STORE-RQ decoded", lambda: partial(decode, encoded)),
        case("encode", "a C-STORE-RQ with another Message ID encoded", lambda: renamed),
        case("store", "a C-STORE of 3 KB and its response through a join", store),
    ]
    cases += [case(f"decide-{n}", f"decide, {n} AEs and rules", partial(decide, n)) for n in counts]
    cases += [
        case(f"config-{n}", f"a configuration of {n} AEs and rules read", partial(reading, n), 1, 3)
        for n in counts
    ]
    chosen = [one for one in cases if setting.wants(one.key)]
    if "ulproxy" in setting.variants:
        yield from measure(chosen, [Variant("ulproxy", {})], setting)


def reader(kb: int) -> Callable[[], object]:
    """One read."""
    pdu = data_set_message(1, bytes(kb * 1024 - 12), kb * 1024)
    unfinished = pdu[:11] + b"\0" + pdu[12:]
    return partial(PduReader().receive_data, memoryview(unfinished * (READ // len(pdu))))


def renamed() -> bytes:
    """What a mapped command costs."""
    changed: CommandSet = C_STORE_RQ.replaced({Element.MESSAGE_ID: 8})
    return changed.encode()


def decide(count: int) -> Callable[[], object]:
    """A call that the last of the rules allows."""
    return partial(Policy(grown(parse(CONFIG), count)).decide, REQUEST, CALLER)


def reading(count: int) -> Callable[[], object]:
    """All of it but the certificates and keys that a file names."""
    return partial(parse, CONFIG + entries(count, "SCP"))


def grown(config: Config, count: int) -> Config:
    """With so many more AEs that call, and a rule for each, before those that are there.

    Made of the values themselves: to read them is a case of its own.
    """
    scu, rule = config.aes[0], config.rules[0]
    aes = [
        replace(
            scu,
            title=f"AE{n}",
            name=f"AE{n}",
            sources=(ipaddress.ip_network(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"),),
        )
        for n in range(count)
    ]
    rules = [replace(rule, number=n + 1, from_=(f"AE{n}",)) for n in range(count)]
    return replace(config, aes=(*aes, *config.aes), rules=(*rules, *config.rules))


def store() -> Callable[[], object]:
    """Two reads, as a sender and a receiver without Nagle's algorithm make them."""
    join = Join(Border(Policy(parse(CONFIG))), CALLER)
    join.accepted()
    join.receive_data(End.INBOUND, memoryview(encode_rq(REQUEST)))
    join.connected()
    accepted = (PresentationContextAC(1, 0, IMPLICIT),)
    answer = AAssociateAC(titles("SCP", "SCU"), accepted, INFORMATION)
    join.receive_data(End.ONWARD, memoryview(encode_ac(answer)))
    request = memoryview(
        command_message(1, C_STORE_RQ.encode(), 0) + data_set_message(1, bytes(3000), 0)
    )
    answered = memoryview(command_message(1, response(C_STORE_RQ, Status.SUCCESS).encode(), 0))

    def run() -> None:
        join.receive_data(End.INBOUND, request)
        join.receive_data(End.ONWARD, answered)

    return run
