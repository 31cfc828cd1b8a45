"""The codec against pynetdicom's: what one writes, the other reads, and in the same bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_items import UserIdentitySubItemAC
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from tests.pdu.samples import AC, RQ
from ulproxy.pdu.associate import encode_ac, encode_rq
from ulproxy.pdu.items import (
    AsynchronousOperationsWindow,
    RoleSelection,
    SopClassCommonExtended,
    SopClassExtended,
    UserIdentity,
    UserInformation,
    decode_user_information,
    encode_user_information,
    item,
)
from ulproxy.pdu.types import ItemType

CT = "1.2.840.10008.5.1.4.1.1.2"
STORAGE = "1.2.840.10008.4.2"
UNLIMITED = item(0x51, bytes(4))


def primitives():
    """(pynetdicom's primitive, the user information that says the same)."""
    maximum = MaximumLengthNotification()
    maximum.maximum_length_received = 16382
    uid = ImplementationClassUIDNotification()
    uid.implementation_class_uid = "1.2.826.0.1.3680043.9.3811.3.0.4"
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = "PYNETDICOM_304"
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 2
    window.maximum_number_operations_performed = 0
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = CT, False, True
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = CT
    extended.service_class_application_information = b"\x02\x00\x03\x00\x01\x00"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = CT, STORAGE
    common.related_general_sop_class_identification = [CT + ".1", CT + ".2"]
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.positive_response_requested = 2, True
    identity.primary_field, identity.secondary_field = b"jane", b"hunter2"
    return [
        (maximum, UserInformation(maximum_length=16382)),
        (uid, UserInformation(implementation_class_uid="1.2.826.0.1.3680043.9.3811.3.0.4")),
        (version, UserInformation(implementation_version_name="PYNETDICOM_304")),
        (
            window,
            UserInformation(asynchronous_operations_window=AsynchronousOperationsWindow(2, 0)),
        ),
        (role, UserInformation(roles=(RoleSelection(CT, scu=False, scp=True),))),
        (
            extended,
            UserInformation(
                sop_class_extended=(SopClassExtended(CT, b"\x02\x00\x03\x00\x01\x00"),)
            ),
        ),
        (
            common,
            UserInformation(
                sop_class_common_extended=(
                    SopClassCommonExtended(CT, STORAGE, (CT + ".1", CT + ".2")),
                )
            ),
        ),
        (
            identity,
            UserInformation(
                user_identity=UserIdentity(
                    2, positive_response_requested=True, primary=b"jane", secondary=b"hunter2"
                )
            ),
        ),
    ]


@pytest.mark.parametrize(
    ("primitive", "information"), primitives(), ids=lambda value: type(value).__name__
)
def test_pynetdicom_writes_the_same_sub_item(primitive, information):
    theirs = primitive.from_primitive().encode()
    assert decode_user_information(theirs) == information
    expected = theirs if theirs[0] == ItemType.MAXIMUM_LENGTH else UNLIMITED + theirs
    assert encode_user_information(information)[4:] == expected


def test_pynetdicom_reads_the_server_response():
    encoded = encode_user_information(UserInformation(server_response=b"ticket"))
    theirs = UserIdentitySubItemAC()
    theirs.decode(encoded[4 + len(UNLIMITED) :])
    assert theirs.server_response == b"ticket"


# Whole PDUs.


def test_pynetdicom_reads_our_request():
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(encode_rq(RQ))
    assert theirs.called_ae_title.strip() == "PACS"
    assert theirs.calling_ae_title.strip() == "WS1"
    assert theirs.application_context_name == "1.2.840.10008.3.1.1.1"
    assert [
        (context.context_id, context.abstract_syntax, tuple(context.transfer_syntax))
        for context in theirs.presentation_context
    ] == list(RQ.presentation_contexts)
    assert theirs.user_information is not None
    assert theirs.user_information.maximum_length == 16384
    assert theirs.user_information.implementation_class_uid == "1.2"
    assert theirs.user_information.implementation_version_name == "RELAY_1"


def test_pynetdicom_reads_our_answer():
    theirs = A_ASSOCIATE_AC()
    theirs.decode(encode_ac(AC))
    assert [
        (context.context_id, context.result, context.transfer_syntax or "")
        for context in theirs.presentation_context
    ] == list(AC.presentation_contexts)
    assert theirs.user_information is not None
    assert theirs.user_information.maximum_length == 0


@pytest.mark.parametrize(
    ("kind", "whole"),
    [
        (A_ASSOCIATE_RQ, encode_rq(RQ)),
        # Without the refused context: an empty transfer syntax is what pynetdicom cannot write.
        (
            A_ASSOCIATE_AC,
            encode_ac(replace(AC, presentation_contexts=AC.presentation_contexts[:1])),
        ),
    ],
)
def test_pynetdicom_writes_the_same_bytes(kind, whole):
    """It reads ours into its own items, and these say the same again."""
    theirs = kind()
    theirs.decode(whole)
    assert theirs.encode() == whole
