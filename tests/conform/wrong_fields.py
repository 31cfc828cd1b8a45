"""What may be wrong with A-ASSOCIATE-RQ, -AC, P-DATA-TF and user information (9.3.1-9.3.3, 9.3.5, D, E)."""

from __future__ import annotations

from tests.conform.acceptor import Flaw
from tests.conform.flaws import (
    AC,
    DATA,
    RQ,
    Wrong,
    abstract_first,
    accepting,
    all_items,
    ascending,
    ascending_sub_items,
    bodies,
    command,
    context,
    context_reserved,
    deaf_unless,
    each,
    fragments,
    heard,
    hears,
    items,
    known_items,
    known_sub_items,
    known_syntax_items,
    legal,
    put,
    rejecting,
    reserved_tested,
    says,
    unless,
    user,
)
from ulproxy.conform.rq import counted
from ulproxy.conform.wire import pdu, pdv
from ulproxy.dimse.command import Element
from ulproxy.dimse.services import VERIFICATION
from ulproxy.pdu.items import item
from ulproxy.pdu.types import (
    APPLICATION_CONTEXT_NAME,
    NO_REASON,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    Rejection,
)

CALLED, CALLING = Rejection(1, 1, 7), Rejection(1, 1, 3)
P_DATA = "9.3.5 D.1 E"
ROLE = item(0x54, counted(VERIFICATION) + b"\1\1")

HEARD = {
    "reserved bytes of PDUs are tested": Wrong(
        Flaw(hears=reserved_tested), "9.3.1 9.3.6 9.3.8", "9.3.1/1-4 9.3.6/1 9.3.8/7"
    ),
    "reserved bytes of items are tested": Wrong(
        unless(lambda data: not any(reserved for _, reserved, _ in all_items(data))),
        "9.3.1 9.3.2",
        "9.3.2.1/1 9.3.2.2/7-8 9.3.2.3/3-4",
    ),
    "reserved bytes of contexts are tested": Wrong(
        unless(context_reserved), "9.3.2.2", "9.3.2.2/6"
    ),
    "bytes 9 and 10 are tested": Wrong(unless(lambda d: d[8:10] == bytes(2)), "9.3.2", "9.3.2/6"),
    "bytes 43 to 74 are tested": Wrong(
        unless(lambda d: d[42:74] == bytes(32)), "9.3.2 9.3.3", "9.3.2/7 9.3.3/6"
    ),
    "unknown items are refused": Wrong(unless(known_items), "9.3.1", "9.3.1/5-10"),
    "unknown syntaxes are refused": Wrong(unless(known_syntax_items), "9.3.2.2", "9.3.2.2/9-11"),
    "unknown sub-items are refused": Wrong(unless(known_sub_items), "D.2", "D.2/1-7"),
    "sub-items must be in order": Wrong(
        unless(ascending_sub_items), "9.3.2.3 D.2", "9.3.2.3/1-2 D.2/8-11"
    ),
    "the protocol version must be 1": Wrong(
        rejecting(lambda r: r.protocol_version == 1, PROTOCOL_VERSION_NOT_SUPPORTED),
        "9.3.2 9.3.4",
        "9.3.2/1-2",
    ),
    "any protocol version does": Wrong(
        hears(RQ, lambda d: put(8, d[7] | 1)(d) if len(d) > 7 else d),
        "9.3.2 9.3.4",
        "9.3.2/3-5 9.3.4/7",
        "9.3.4/3-4",
    ),
    "any called title does": Wrong(accepting(7), "9.3.2 9.3.4", "9.3.2/12", "9.3.4/5-6"),
    "any calling title does": Wrong(accepting(3), "9.3.2", "9.3.2/13"),
    "spaces before a called title signify": Wrong(
        rejecting(lambda r: r.titles[:1] != b" ", CALLED), "9.3.2 9.3.3", "9.3.2/8 10 9.3.3/4"
    ),
    "spaces before a calling title signify": Wrong(
        rejecting(lambda r: r.titles[16:17] != b" ", CALLING), "9.3.2 9.3.3", "9.3.2/9 11 9.3.3/5"
    ),
    "a small maximum length is refused": Wrong(
        rejecting(lambda r: not 0 < r.user_information.maximum_length < 4096, NO_REASON),
        "D.1",
        "D.1/1-4",
    ),
    "no maximum length is refused": Wrong(
        rejecting(lambda r: r.user_information.maximum_length != 0, NO_REASON), "D.1", "D.1/5"
    ),
    "a window is refused": Wrong(
        rejecting(lambda r: not r.user_information.asynchronous_operations_window, NO_REASON),
        "D.2",
        "D.2/8-9",
    ),
    "a role is refused": Wrong(
        rejecting(lambda r: not r.user_information.roles, NO_REASON), "D.2", "D.2/10-11"
    ),
    "extended negotiation is refused": Wrong(
        rejecting(lambda r: not r.user_information.sop_class_extended, NO_REASON), "D.2", "D.2/12"
    ),
    "common extended negotiation is refused": Wrong(
        rejecting(lambda r: not r.user_information.sop_class_common_extended, NO_REASON),
        "D.2",
        "D.2/13",
    ),
    "a user identity is refused": Wrong(
        rejecting(lambda r: not r.user_information.user_identity, NO_REASON), "D.2", "D.2/14"
    ),
    "no Implementation Version Name is refused": Wrong(
        rejecting(lambda r: bool(r.user_information.implementation_version_name), NO_REASON),
        "D.2",
        "D.2/17",
    ),
}
DEAF = {
    "what is not legal is not answered": Wrong(
        deaf_unless(legal),
        "9.3.2 D",
        "9.3.2/14-24 9.3.2.2/17-22 24-26 29-30 9.3.2.3/5-6 D.1/9-13 D.2/19 21",
    ),
    "another order is not answered": Wrong(deaf_unless(ascending), "9.3.1 9.3.2.2", "9.3.1/5-7 11"),
    "another application context is not answered": Wrong(
        deaf_unless(lambda d: bodies(d, 0x10) == [APPLICATION_CONTEXT_NAME.encode()]),
        "9.3.2.1",
        "9.3.2.1/2-5",
    ),
    "the abstract syntax must come first": Wrong(
        deaf_unless(abstract_first), "9.3.2.2", "9.3.2.2/20 23"
    ),
    "40 transfer syntaxes are the most": Wrong(
        deaf_unless(lambda d: len(bodies(d, 0x40)) <= 40), "9.3.2.2/[5-8]", "9.3.2.2/5"
    ),
    "only Verification is answered": Wrong(
        deaf_unless(lambda d: {*bodies(d, 0x30)} <= {VERIFICATION.encode()}),
        "9.3.2.2",
        "9.3.2.2/12-13 16 24-28",
    ),
    "sub-items must be there": Wrong(
        deaf_unless(lambda d: bool(bodies(d, 0x51) and bodies(d, 0x52))),
        "9.3.2.3 D",
        "9.3.2.3/7 D.1/14 D.2/20",
    ),
    "a user identity of a type must be": Wrong(
        deaf_unless(lambda d: all(one[0] for one in bodies(d, 0x58))), "D.2", "D.2/16"
    ),
    "an Implementation Version Name is short": Wrong(
        deaf_unless(lambda d: all(len(one) < 16 for one in bodies(d, 0x55))), "D.2", "D.2/18-19"
    ),
    "a maximum length is less than 2 GB": Wrong(
        deaf_unless(lambda d: all(one[:1] < b"\x80" for one in bodies(d, 0x51))), "D.1", "D.1/6"
    ),
}
BYTES_OF_AC = {2: 2, 8: 3, 9: 2, 10: 2, 11: 4, 30: 5, 50: 6}
"""Which case is about which byte of an A-ASSOCIATE-AC."""
SAID = {
    **{
        f"byte {n} of A-ASSOCIATE-AC is 40H": Wrong(
            says(AC, put(n, 0x40)), "9.3.3", f"9.3.3/{case}"
        )
        for n, case in BYTES_OF_AC.items()
    },
    "items in another order": Wrong(items(lambda i: [i[-1], *i[:-1]]), "9.3.3", "9.3.3/8"),
    "an item of nothing": Wrong(items(lambda i: [*i, item(0x7E, b"")]), "9.3.3", "9.3.3/9"),
    "half an item": Wrong(
        says(AC, lambda data: pdu(2, data[6:] + b"\x7e\0\0")),
        "9.3.3",
        "9.3.3/1-9 9.3.3.1/1-2 9.3.3.2/1-6 9.3.3.3/1-5",
    ),
    "half a sub-item": Wrong(
        each(0x50, lambda one: item(0x50, one[4:] + b"\x5f\0\0")),
        "9.3.3",
        "9.3.3/7 9.3.3.3/2-5",
    ),
    "an item is not clean": Wrong(items(lambda i: [put(2, 1)(i[0]), *i[1:]]), "9.3.3", "9.3.3/7"),
    "a sub-item is not clean": Wrong(user(lambda s: [put(2, 1)(s[0]), *s[1:]]), "9.3.3", "9.3.3/7"),
    "no application context": Wrong(items(lambda i: i[1:]), "9.3.3", "9.3.3.1/1"),
    "two application contexts": Wrong(items(lambda i: [i[0], *i]), "9.3.3", "9.3.3.1/1"),
    "another application context": Wrong(
        items(lambda i: [item(0x10, b"1.2"), *i[1:]]), "9.3.3", "9.3.3.1/2"
    ),
    "no user information": Wrong(items(lambda i: i[:-1]), "9.3.3 D.1", "9.3.3.3/1-3", "D.1/7-8"),
    "two user informations": Wrong(items(lambda i: [*i, i[-1]]), "9.3.3", "9.3.3.3/1-4"),
    "no maximum length": Wrong(user(lambda s: s[1:]), "9.3.3 D.1", "9.3.3.3/2", "D.1/7-8"),
    "no Implementation Class UID": Wrong(user(lambda s: [s[0], *s[2:]]), "9.3.3", "9.3.3.3/3"),
    "an Implementation Class UID that is none": Wrong(
        user(lambda s: [s[0], item(0x52, b"ULP"), *s[2:]]), "9.3.3", "9.3.3.3/3"
    ),
    "an empty Implementation Version Name": Wrong(
        user(lambda s: [*s[:-1], item(0x55, b"")]), "9.3.3", "9.3.3.3/4"
    ),
    "two Implementation Version Names": Wrong(user(lambda s: [*s, s[-1]]), "9.3.3", "9.3.3.3/4"),
    "a window of 4": Wrong(
        user(lambda s: [*s, item(0x53, b"\0\4\0\4")]), "9.3.3 D.2", "9.3.3.3/5 D.2/9"
    ),
    "a role more": Wrong(user(lambda s: [*s, ROLE]), "9.3.3 D.2", "9.3.3.3/5 D.2/11"),
    "a server response": Wrong(
        user(lambda s: [*s, item(0x59, b"\0\0")]), "9.3.3 D.2", "9.3.3.3/5 D.2/15"
    ),
    "refused contexts are left out": Wrong(
        items(lambda i: [one for one in i if one[0] != 0x21 or one[6] == 0]),
        "9.3.2.2 9.3.3",
        "9.3.2.2/12-15 9.3.3.2/1",
    ),
    "only the first context": Wrong(
        items(lambda i: [i[0], i[1], i[-1]]),
        "9.3.2.2 9.3.3",
        "9.3.2.2/1 3-4 12-15 9.3.3.2/1",
    ),
    "result 5": Wrong(
        context(lambda c, r, s: (c, r and 5, s)), "9.3.2.2 9.3.3", "9.3.2.2/12-15 9.3.3.2/2"
    ),
    "result 2": Wrong(context(lambda c, r, s: (c, r and 2, s)), "9.3.2.2", "9.3.2.2/13 15"),
    "everything is accepted": Wrong(
        context(lambda c, _, s: (c, 0, s)), "9.3.2.2 9.3.3", "9.3.2.2/12-16 9.3.3.2/5"
    ),
    "a context is not clean": Wrong(each(0x21, put(8, 1)), "9.3.3", "9.3.3.2/3"),
    "two transfer syntaxes": Wrong(
        context(lambda c, r, s: (c, r, s if r else s * 2)), "9.3.3", "9.3.3.2/4"
    ),
    "no transfer syntax of what is refused": Wrong(
        context(lambda c, r, s: (c, r, b"" if r else s)), "9.3.3", "9.3.3.2/6"
    ),
    "another transfer syntax": Wrong(
        context(lambda c, r, _: (c, r, item(0x40, b"1.2.840.10008.1.2.2"))), "9.3.3", "9.3.3.2/5"
    ),
}
MESSAGES = {
    "P-DATA-TF is not clean": Wrong(says(DATA, put(2, 1)), P_DATA, "9.3.5/5"),
    "all answers on context 1": Wrong(fragments(lambda _, h, f: pdv(f, 1, h)), P_DATA, "9.3.5.1/9"),
    "fragments of two contexts": Wrong(
        fragments(lambda _, h, f: pdv(f[:40], 1, 1) + pdv(f[40:], 3, h)),
        P_DATA,
        "9.3.5.1/9 D.1/2-4 E.1/19",
    ),
    "odd fragments": Wrong(
        fragments(lambda c, h, f: pdv(f[:1], c, 1) + pdv(f[1:], c, h)), P_DATA, "D.1/2-4 E.1/17-18"
    ),
    "fragments of 60 bytes": Wrong(Flaw(longest=66), P_DATA, "D.1/2-4"),
    "fragments as long as may be": Wrong(Flaw(odd=True), P_DATA, "E.1/18"),
    "every fragment is the last": Wrong(
        fragments(lambda c, _, f: pdv(f[:40], c, 3) + pdv(f[40:], c, 3)),
        P_DATA,
        "D.1/2-4 E.1/18 E.2/5",
    ),
    "a response is data": Wrong(fragments(lambda c, h, f: pdv(f, c, h & 2)), P_DATA, "E.2/4"),
    "bits 2 to 7 are set": Wrong(fragments(lambda c, h, f: pdv(f, c, h | 0xFC)), P_DATA, "E.2/6"),
    "bits 2 to 7 are checked": Wrong(
        unless(lambda d: not any(one.control > 3 for one in heard(d)), DATA), P_DATA, "E.2/1-3"
    ),
    "everything is of message 1": Wrong(
        command(lambda c: c.replaced({Element.MESSAGE_ID_BEING_RESPONDED_TO: 1})), "E", "E.1/20"
    ),
    "another SOP class": Wrong(
        command(lambda c: c.replaced({Element.AFFECTED_SOP_CLASS_UID: "1.2"})), "E", "E.1/21"
    ),
    "a data set that is none": Wrong(
        command(lambda c: c.replaced({Element.COMMAND_DATA_SET_TYPE: 1})), "E", "E.1/22"
    ),
    "more is taken than is said": Wrong(Flaw(maximum_length=0), P_DATA, "9.3.5/3 D.1/7"),
    "less is taken than is said": Wrong(Flaw(maximum_length=4000), P_DATA, "D.1/8"),
    "only one PDV in a PDU": Wrong(unless(lambda d: len(heard(d)) < 2, DATA), "E", "E.1/2 4"),
    "only one fragment for a command": Wrong(
        unless(lambda d: all(one.control & 2 for one in heard(d)), DATA), "E", "E.1/1-7"
    ),
    "only context 1": Wrong(
        unless(lambda d: all(one.context_id == 1 for one in heard(d)), DATA),
        P_DATA,
        "9.3.5/5 9.3.5.1/9 E.1/8 17 19-22 E.2/4-6",
    ),
    "no empty fragments": Wrong(
        unless(lambda d: all(one.fragment for one in heard(d)), DATA), "E", "E.1/6-7"
    ),
}
