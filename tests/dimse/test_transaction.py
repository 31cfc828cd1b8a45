"""Transaction UIDs and lists of failed instances, at the top of data sets that may be anything."""

from __future__ import annotations

import io
import struct
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from fuzz.titles import EXPLICIT, IMPLICIT, Element, Item
from fuzz.titles import encode as encoded
from ulproxy.dimse.elements import MAX_WORK
from ulproxy.dimse.transaction import (
    FAILED_SOP_INSTANCE_UID_LIST,
    MAX_FAILED_LIST,
    TRANSACTION_UID,
    failed_instances,
    failed_list,
    transaction_uid,
)
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import AbortReason

SYNTAXES = pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
REFERENCED, STEP = 0x00081199, 0x00081111
UID = Element(TRANSACTION_UID, "UI", b"1.2.3\0")
OTHER = Element(TRANSACTION_UID, "UI", b"9.9\0")
RETRIEVE = Element(0x00080054, "AE", b"PACS")
INSTANCE = Item((Element(0x00081150, "UI", b"1.2\0"), Element(0x00081155, "UI", b"1.3\0")))
OPEN_INSTANCE = INSTANCE._replace(undefined=True)
STEPS = [
    Element(STEP, "SQ", (INSTANCE,)),
    Element(STEP, "SQ", (INSTANCE, OPEN_INSTANCE)),
    Element(STEP, "SQ", (INSTANCE, OPEN_INSTANCE), True),
    Element(STEP, "SQ", (), True),
    Element(STEP, "SQ", (Item((Element(STEP, "SQ", (OPEN_INSTANCE,), True), OTHER), True),), True),
    Element(STEP, "SQ", (Item((OTHER,)),)),
    Element(STEP, "UN", (Item((Element(STEP, "UN", (OPEN_INSTANCE,), True), OTHER), True),), True),
]


@SYNTAXES
@pytest.mark.parametrize("before", [(), (RETRIEVE,), *((step,) for step in STEPS), tuple(STEPS)])
def test_what_comes_before_it_does_not_matter(before, syntax):
    elements = (*before, UID, Element(REFERENCED, "SQ", (INSTANCE,), True))
    assert transaction_uid(encoded(elements, syntax), syntax) == "1.2.3"


@SYNTAXES
@pytest.mark.parametrize("after", [(), (OTHER,), (RETRIEVE,), tuple(STEPS)])
def test_the_first_one_counts(after, syntax):
    assert transaction_uid(encoded((UID, *after), syntax), syntax) == "1.2.3"


@SYNTAXES
@pytest.mark.parametrize(
    "elements", [(), (RETRIEVE,), tuple(STEPS), (UID._replace(tag=REFERENCED),)]
)
def test_where_there_is_none(elements, syntax):
    assert transaction_uid(encoded(elements, syntax), syntax) == ""


@SYNTAXES
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1.2.3", "1.2.3"),
        (b"1.2.3 ", "1.2.3"),
        (b" 1.2.3\0\0", "1.2.3"),
        (b"1" * 64, "1" * 64),
        (b"1" * 65, ""),
        (b"", ""),
        (b"\0", ""),
        (b"1.2/3 ", ""),
        (b"1.2\n", ""),
        (b"1.\xb2\0", ""),
        (b"DOE^JOHN", ""),
        (b"1.2\\1.3 ", ""),
    ],
)
def test_what_is_a_uid(value, expected, syntax):
    data = encoded((UID._replace(value=value),), syntax)
    assert transaction_uid(data, syntax) == expected


@SYNTAXES
def test_cut_off_anywhere(syntax):
    data = encoded((RETRIEVE, STEPS[2], UID), syntax)
    ends = {0, len(encoded((RETRIEVE,), syntax)), len(encoded((RETRIEVE, STEPS[2]), syntax))}
    for end in range(len(data)):
        if end in ends:
            assert transaction_uid(data[:end], syntax) == ""
            continue
        with pytest.raises(RemoteProtocolError) as caught:
            transaction_uid(data[:end], syntax)
        assert caught.value.reason == AbortReason.INVALID_PARAMETER_VALUE


@given(st.binary(max_size=60), st.lists(st.sampled_from([UID, RETRIEVE, *STEPS]), max_size=3))
def test_any_bytes(rubbish, elements):
    for syntax in (IMPLICIT, EXPLICIT):
        for data in (rubbish + encoded(tuple(elements), syntax), encoded((UID,), syntax) + rubbish):
            for read in (transaction_uid, failed_instances):
                with suppress(RemoteProtocolError):
                    read(data, syntax)


@SYNTAXES
@pytest.mark.parametrize("one", [RETRIEVE._replace(value=b""), STEPS[3], Element(STEP, "SQ", ())])
def test_four_mebibytes_of_elements(one, syntax):
    data = encoded((one,), syntax)
    refused_in_time(data * ((1 << 22) // len(data)), syntax)


def test_sequences_in_sequences_that_never_end():
    refused_in_time(encoded((STEPS[3],), IMPLICIT)[:8] * MAX_WORK, IMPLICIT)


def refused_in_time(data: bytes, syntax: str) -> None:
    started = time.process_time()
    with pytest.raises(RemoteProtocolError) as caught:
        transaction_uid(data, syntax)
    assert time.process_time() - started < 3
    assert caught.value.reason == AbortReason.NOT_SPECIFIED


# Failed SOP Instance UID List


@SYNTAXES
@pytest.mark.parametrize("uids", [(), ("1.2.3",), ("1.2", "1.3"), ("1.2.3", "1.2.34", "2" * 64)])
def test_a_list_of_failed_instances(uids, syntax):
    data = failed_list(uids, syntax)
    assert len(data) % 2 == 0
    assert failed_instances(data, syntax) == uids
    value = "\\".join(uids).encode()
    element = Element(FAILED_SOP_INSTANCE_UID_LIST, "UI", value + b"\0" * (len(value) % 2))
    assert data == encoded((element,), syntax)


def test_a_list_that_is_too_much_work():
    """Of 64 characters each, as they have, 4 MiB of them are not; of one and a separator they are."""
    for uid, refused in ((b"1" * 64, False), (b"1", True)):
        value = b"\\".join([uid] * ((1 << 22) // (len(uid) + 1)))
        data = b"\x08\0\x58\0" + struct.pack("<L", len(value)) + value
        if refused:
            with pytest.raises(RemoteProtocolError, match="too many elements"):
                failed_instances(data, IMPLICIT)
        else:
            assert len(failed_instances(data, IMPLICIT)) > 64_000


@SYNTAXES
def test_what_is_no_uid_is_left_out(syntax):
    value = b"1.2\\\\DOE\\1.3 \\" + b"4" * 65
    element = Element(FAILED_SOP_INSTANCE_UID_LIST, "UI", value)
    assert failed_instances(encoded((element,), syntax), syntax) == ("1.2", "1.3")


@SYNTAXES
def test_as_pydicom_reads_and_writes_it(syntax):
    uids = ["1.2.840.10008.1", "1.2.3.45", "1.2.3.456"]
    read = decode(io.BytesIO(failed_list(uids, syntax)), syntax == IMPLICIT, True)
    assert list(read.FailedSOPInstanceUIDList) == uids
    written = Dataset()
    written.FailedSOPInstanceUIDList = uids
    data = encode(written, syntax == IMPLICIT, True)
    assert data is not None
    assert failed_instances(data, syntax) == tuple(uids)


@pytest.mark.parametrize("length", [MAX_FAILED_LIST - 1, MAX_FAILED_LIST, MAX_FAILED_LIST + 1])
def test_how_long_a_list_may_be(length):
    """PS3.5 7.1.2: in explicit VR a UI has at most 65534 bytes, in implicit it has no limit to speak of."""
    uids = ["1" * 63] * (length // 64 - 1)
    rest = length - 64 * len(uids)
    uids += ["2" * (rest - 64), "3" * 63]
    assert len("\\".join(uids)) == length
    assert failed_instances(failed_list(uids, IMPLICIT), IMPLICIT) == tuple(uids)
    data = failed_list(uids, EXPLICIT)
    assert struct.unpack_from("<H", data, 6)[0] == len(data) - 8 <= MAX_FAILED_LIST
    whole = length <= MAX_FAILED_LIST
    assert failed_instances(data, EXPLICIT) == tuple(uids if whole else uids[:-1])


def test_many_more_than_fit():
    uids = tuple(f"1.2.826.0.1.{n}" for n in range(20_000))
    read = failed_instances(failed_list(uids, EXPLICIT), EXPLICIT)
    assert read == uids[: len(read)]
    assert MAX_FAILED_LIST - 64 < len("\\".join(read)) <= MAX_FAILED_LIST
    assert failed_instances(failed_list(uids, IMPLICIT), IMPLICIT) == uids
