"""Fuzzes the A-ASSOCIATE codec: `python -m fuzz.associate --seconds 60`."""

from __future__ import annotations

import sys
from dataclasses import replace

from fuzz import driver
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.associate import AAssociateRQ, decode_ac, decode_rq, encode_ac, encode_rq
from ulproxy.pdu.items import UserInformation
from ulproxy.pdu.types import APPLICATION_CONTEXT_NAME


def one_input(data: bytes) -> None:
    """A body is a value that is the same when written and read again, or RemoteProtocolError."""
    try:
        request = decode_rq(data)
    except RemoteProtocolError:
        pass
    else:
        if request.protocol_version & 1:  # else it is rejected and never written
            request = _as_written(request)
            assert decode_rq(encode_rq(request)[6:]) == request
    try:
        answer = decode_ac(data)
    except RemoteProtocolError:
        return
    answer = replace(answer, user_information=_named(answer.user_information))
    assert decode_ac(encode_ac(answer)[6:]) == answer


def _as_written(request: AAssociateRQ) -> AAssociateRQ:
    """The relay writes its own protocol version and application context."""
    return replace(
        request,
        protocol_version=1,
        application_context_name=APPLICATION_CONTEXT_NAME,
        user_information=_named(request.user_information),
    )


def _named(information: UserInformation) -> UserInformation:
    """A version name of nothing but padding is none."""
    return replace(
        information, implementation_version_name=information.implementation_version_name or None
    )


if __name__ == "__main__":
    sys.exit(driver.main(one_input, "associate"))
