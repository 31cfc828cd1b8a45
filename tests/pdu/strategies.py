"""Hypothesis strategies for the values of PS3.8 and PS3.7 annex D, and for streams of PDUs."""

from __future__ import annotations

import struct
from typing import NamedTuple

from hypothesis import strategies as st

from ulproxy.pdu.associate import (
    AAssociateAC,
    AAssociateRQ,
    PresentationContextAC,
    PresentationContextRQ,
)
from ulproxy.pdu.items import (
    AsynchronousOperationsWindow,
    RoleSelection,
    SopClassCommonExtended,
    SopClassExtended,
    UserIdentity,
    UserInformation,
)

uids = st.text("0123456789.", min_size=1, max_size=64)
numbers = st.integers(0, 0xFFFF)
short = st.binary(max_size=40)

windows = st.builds(AsynchronousOperationsWindow, numbers, numbers)
roles = st.builds(RoleSelection, uids, st.booleans(), st.booleans())
extended = st.builds(SopClassExtended, uids, short)
common_extended = st.builds(
    SopClassCommonExtended, uids, uids, st.lists(uids, max_size=3).map(tuple)
)
identities = st.builds(UserIdentity, st.integers(0, 255), st.booleans(), short, short)
maximum_lengths = st.just(0) | st.integers(8, 2**32 - 1)
# Trailing spaces are padding and not told from the name.
version_names = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=16
).filter(lambda name: not name.endswith(" "))

user_informations = st.builds(
    UserInformation,
    maximum_length=maximum_lengths,
    implementation_class_uid=st.none() | uids,
    asynchronous_operations_window=st.none() | windows,
    roles=st.lists(roles, max_size=3).map(tuple),
    implementation_version_name=st.none() | version_names,
    sop_class_extended=st.lists(extended, max_size=3).map(tuple),
    sop_class_common_extended=st.lists(common_extended, max_size=3).map(tuple),
    user_identity=st.none() | identities,
    server_response=st.none() | short,
)

context_ids = st.integers(0, 127).map(lambda number: 2 * number + 1)
all_titles = st.binary(min_size=64, max_size=64)

contexts_rq = st.builds(
    PresentationContextRQ, context_ids, uids, st.lists(uids, min_size=1, max_size=3).map(tuple)
)
contexts_ac = st.builds(PresentationContextAC, context_ids, st.just(0), uids) | st.builds(
    PresentationContextAC, context_ids, st.integers(1, 4), st.just("")
)


def _several(contexts):
    return st.lists(
        contexts, min_size=1, max_size=5, unique_by=lambda context: context.context_id
    ).map(tuple)


requests = st.builds(AAssociateRQ, all_titles, _several(contexts_rq), user_informations)
answers = st.builds(AAssociateAC, all_titles, _several(contexts_ac), user_informations)


class Fragment(NamedTuple):
    """One PDV of a stream (PS3.8 annex E); `control` with its reserved bits."""

    context_id: int
    control: int
    data: bytes

    @property
    def command(self) -> bool:
        return bool(self.control & 1)

    @property
    def last(self) -> bool:
        return bool(self.control & 2)


class Control(NamedTuple):
    """One PDU of a stream other than P-DATA-TF."""

    type: int
    body: bytes


Stream = list[Control | list[Fragment]]


def pdu(pdu_type: int, body: bytes, reserved: int = 0) -> bytes:
    return struct.pack(">BBL", pdu_type, reserved, len(body)) + body


def p_data_tf(*fragments: Fragment, reserved: int = 0) -> bytes:
    pdvs = [
        struct.pack(">LBB", len(part.data) + 2, part.context_id, part.control) + part.data
        for part in fragments
    ]
    return pdu(4, b"".join(pdvs), reserved)


# Ids repeat, else runs of neighbouring fragments would be rare; bits 2 to 7 are never tested (E.2).
fragments = st.builds(
    Fragment,
    st.sampled_from([1, 1, 1, 3, 255]),
    st.sampled_from([0, 0, 0, 2, 2, 1, 3, 0b1010_0100, 0b0100_0011]),
    st.binary(max_size=12).map(lambda data: data[: len(data) & ~1]),
)
controls = st.builds(
    Control, st.sampled_from([1, 2]), st.binary(min_size=68, max_size=90)
) | st.builds(Control, st.sampled_from([3, 5, 6, 7]), st.binary(min_size=4, max_size=4))
pdus = st.tuples(
    controls | st.lists(fragments, min_size=1, max_size=4), st.sampled_from([0, 0, 0, 0x55])
)


def encode(parts: list[tuple[Control | list[Fragment], int]]) -> bytes:
    """The bytes of a stream; each PDU with its reserved byte."""
    return b"".join(
        pdu(*part, reserved) if isinstance(part, Control) else p_data_tf(*part, reserved=reserved)
        for part, reserved in parts
    )


streams = st.lists(pdus, max_size=8)
