"""What the relay answers itself, against the response tables of PS3.7 9.3 and 10.3 and pynetdicom."""

from __future__ import annotations

import pytest

from tests.dimse.pynet import read_by_pynetdicom
from tests.dimse.sets import command as by_hand
from tests.dimse.sets import element, us
from ulproxy.dimse.command import CommandField, CommandSet, Element, Status, decode, response

CLASS, INSTANCE = b"1.2.840.10008.1.1\0", b"1.2.826.0.1\0"
AFFECTED, REQUESTED = (0x0002, 0x1000), (0x0003, 0x1001)
# Request field, the elements by which it names SOP class and instance, and whether it names an instance:
# PS3.7 Tables 9.3-1, -3, -6, -9, -12 and 10.3-1, -3, -5, -7, -9, -11.
REQUESTS = {
    "C-STORE": (0x0001, AFFECTED, True),
    "C-GET": (0x0010, AFFECTED, False),
    "C-FIND": (0x0020, AFFECTED, False),
    "C-MOVE": (0x0021, AFFECTED, False),
    "C-ECHO": (0x0030, AFFECTED, False),
    "N-EVENT-REPORT": (0x0100, AFFECTED, True),
    "N-GET": (0x0110, REQUESTED, True),
    "N-SET": (0x0120, REQUESTED, True),
    "N-ACTION": (0x0130, REQUESTED, True),
    "N-CREATE": (0x0140, AFFECTED, True),
    "N-DELETE": (0x0150, REQUESTED, True),
}
OWN_STATUSES = (
    Status.SUCCESS,
    Status.PROCESSING_FAILURE,
    Status.INVALID_OBJECT_INSTANCE,
    Status.NOT_AUTHORIZED,
    Status.MOVE_DESTINATION_UNKNOWN,
)


def request(name: str, sop_class: bytes = CLASS, instance: bytes = INSTANCE) -> CommandSet:
    field, (class_number, instance_number), has_instance = REQUESTS[name]
    elements = {
        class_number: element(class_number, sop_class),
        0x0100: us(0x0100, field),
        0x0110: us(0x0110, 0x1234),
        0x0700: us(0x0700, 1),
        0x0800: us(0x0800, 0x0001),
        0x0902: element(0x0902, b"never goes back "),
    }
    if has_instance:
        elements[instance_number] = element(instance_number, instance)
    return decode(by_hand(*(elements[number] for number in sorted(elements))))


def test_every_request_is_here():
    fields = {field for field, _, _ in REQUESTS.values()}
    assert fields == set(CommandField) - {CommandField.C_CANCEL_RQ}  # it has no response


@pytest.mark.parametrize("status", OWN_STATUSES)
@pytest.mark.parametrize("name", REQUESTS)
def test_response(name, status):
    """The SOP class and instance of a response are the affected ones, however the request named them."""
    field, _, has_instance = REQUESTS[name]
    expected = [
        element(0x0002, CLASS),
        us(0x0100, field | 0x8000),
        us(0x0120, 0x1234),
        us(0x0800, 0x0101),
        us(0x0900, status),
    ]
    refuses_instance = status is Status.INVALID_OBJECT_INSTANCE and name in (
        "C-STORE",
        "N-EVENT-REPORT",
        "N-CREATE",
    )
    if has_instance and not refuses_instance:
        expected.append(element(0x1000, INSTANCE))
    answer = response(request(name), status)
    assert answer.encode() == by_hand(*expected)
    assert answer.is_response
    assert not answer.has_data_set
    assert answer.message_id == 0x1234


@pytest.mark.parametrize("status", OWN_STATUSES)
@pytest.mark.parametrize("name", REQUESTS)
def test_pynetdicom_takes_it(name, status):
    primitive = read_by_pynetdicom(response(request(name), status).encode())
    assert type(primitive).__name__ == name.replace("-", "_")
    assert primitive.is_valid_response
    assert primitive.MessageIDBeingRespondedTo == 0x1234
    assert primitive.Status == status
    assert primitive.AffectedSOPClassUID == CLASS.decode().rstrip("\0")


@pytest.mark.parametrize(
    "said", [b"..", b"../../x ", b"1.2..3", b"1" * 66, b"a\n", b"\xff\xff", b"", b"\0\0"]
)
@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_no_uid_is_not_said_back(name, said):
    field, _, _ = REQUESTS[name]
    answer = response(request(name, said, said), Status.NOT_AUTHORIZED)
    assert answer.encode() == by_hand(
        us(0x0100, field | 0x8000), us(0x0120, 0x1234), us(0x0800, 0x0101), us(0x0900, 0x0124)
    )


def test_a_response_to_next_to_nothing():
    bare = decode(by_hand(us(0x0100, 0x0777), us(0x0800, 0x0101)))
    assert response(bare, Status.NOT_AUTHORIZED).encode() == by_hand(
        us(0x0100, 0x8777), us(0x0120, 0), us(0x0800, 0x0101), us(0x0900, 0x0124)
    )


def test_both_namings_at_once():
    """The affected ones count, unless the instance is what is wrong."""
    both = decode(
        by_hand(
            element(0x0002, b"1.1\0"),
            element(0x0003, b"1.2\0"),
            us(0x0100, 0x0100),
            us(0x0800, 0x0101),
            element(0x1000, b"1.3\0"),
            element(0x1001, b"1.4\0"),
        )
    )
    refused = response(both, Status.NOT_AUTHORIZED)
    assert refused.text(Element.AFFECTED_SOP_CLASS_UID) == "1.1"
    assert refused.text(Element.AFFECTED_SOP_INSTANCE_UID) == "1.3"
    invalid = response(both, Status.INVALID_OBJECT_INSTANCE)
    assert invalid.text(Element.AFFECTED_SOP_INSTANCE_UID) == "1.4"
    assert Element.REQUESTED_SOP_CLASS_UID not in refused
    assert Element.REQUESTED_SOP_INSTANCE_UID not in refused
