"""PDUs in words, legal or not: for the transcript of a case. Nothing here raises."""

from __future__ import annotations

import struct
from typing import Final

from ulproxy.dimse.command import command_name, decode
from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import AbortReason, AbortSource, PduType, Result

SHOWN: Final = 24
_MOST_ITEMS: Final = 256  # of an A-ASSOCIATE PDU are looked at
_PDV: Final = struct.Struct(">LBB")
_RESULTS: Final = {1: "permanent", 2: "transient"}
_SOURCES: Final = {1: "service-user", 2: "ACSE", 3: "presentation"}
_REASONS: Final = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


def in_words(data: bytes) -> str:
    """The PDUs that stand one behind the other in these bytes, and what is left behind them."""
    said = []
    while len(data) >= 6 and (end := int.from_bytes(data[2:6]) + 6) <= len(data):
        said.append(_pdu(data[:end]))
        data = data[end:]
    if data or not said:
        said.append(_rest(data))
    return " + ".join(said)


def _rest(data: bytes) -> str:
    if len(data) < 6:
        return f"{len(data)} bytes: {_hex(data)}"
    length = int.from_bytes(data[2:6])
    return f"{len(data) - 6} of {length} bytes of {name(data[0])}: {_hex(data)}"


def name(pdu_type: int) -> str:
    """The standard's name of a PDU type, or its number."""
    try:
        return PduType(pdu_type).name.replace("_", "-")
    except ValueError:
        return f"a PDU of type {pdu_type:02X}H"


def _hex(data: bytes) -> str:
    more = " ..." if len(data) > SHOWN else ""
    return f"{data[:SHOWN].hex(' ')}{more}"


def _pdu(pdu: bytes) -> str:
    body = pdu[6:]
    said = name(pdu[0])
    match pdu[0]:
        case PduType.A_ASSOCIATE_RQ | PduType.A_ASSOCIATE_AC if len(body) >= 68:
            return f"{said} ({_associate(body, pdu[0])})"
        case PduType.A_ASSOCIATE_RJ if len(body) == 4:
            return f"{said} ({_rejection(*body[1:])})"
        case PduType.A_ABORT if len(body) == 4:
            return f"{said} ({_abort(*body[2:])})"
        case PduType.P_DATA_TF:
            return f"{said} ({_p_data(body)})"
        case PduType.A_RELEASE_RQ | PduType.A_RELEASE_RP if len(body) == 4:
            return said
        case _:
            return f"{said} of {len(body)} bytes: {_hex(pdu)}"


def _associate(body: bytes, pdu_type: int) -> str:
    """Titles, contexts with their results, and which other items there are."""
    called, calling = (
        body[at : at + 16].decode("latin-1").strip(" \0").encode("unicode_escape").decode()
        for at in (4, 20)
    )
    said = [f"{len(body)} bytes", f"{calling} to {called}"]
    position = 68
    while position + 4 <= len(body) and len(said) < _MOST_ITEMS:
        kind, length = struct.unpack_from(">BxH", body, position)
        value = body[position + 4 : position + 4 + length]
        if kind == 0x20 and pdu_type == PduType.A_ASSOCIATE_RQ and value:
            said.append(f"context {value[0]}")
        elif kind == 0x21 and pdu_type == PduType.A_ASSOCIATE_AC and len(value) >= 3:
            said.append(f"context {value[0]}: {_result(value[2])}")
        else:
            said.append(f"item {kind:02X}H")
        position += 4 + length
    if len(said) > 10:
        said = [*said[:8], "...", said[-1]]
    return ", ".join(said)


def _result(result: int) -> str:
    try:
        return f"{result} {Result(result).name.replace('_', ' ').lower()}"
    except ValueError:
        return f"{result}"


def _rejection(result: int, source: int, reason: int) -> str:
    numbers = f"{result},{source},{reason}"
    words = (
        _RESULTS.get(result, "no result of Table 9-21"),
        _SOURCES.get(source, "no source of Table 9-21"),
        _REASONS.get((source, reason), "no reason of Table 9-21"),
    )
    return f"{numbers}: {', '.join(words)}"


def _abort(source: int, reason: int) -> str:
    if source == AbortSource.SERVICE_USER:
        return f"{source},{reason}: service-user"
    if source != AbortSource.SERVICE_PROVIDER:
        return f"{source},{reason}: no source of Table 9-26"
    try:
        why = AbortReason(reason).name.replace("_", " ").lower()
    except ValueError:
        why = "no reason of Table 9-26"
    return f"{source},{reason}: service-provider, {why}"


def _p_data(body: bytes) -> str:
    """Each PDV: its context, what its control header says, and the command where it is whole."""
    said: list[str] = []
    position = 0
    while position + 6 <= len(body) and len(said) < 4:
        length, context_id, control = _PDV.unpack_from(body, position)
        data = body[position + 6 : position + 4 + length]
        if length < 2 or len(data) != length - 2:
            break
        kind = "command" if control & 1 else "data"
        last = "last" if control & 2 else "not last"
        more = f", header {control:02X}H" if control > 3 else ""
        said.append(f"context {context_id}, {kind}, {last}, {_command(data, control)}{more}")
        position += 4 + length
    left = len(body) - position
    return "; ".join([*said, *([f"{left} bytes: {_hex(body[position:])}"] if left else [])])


def _command(data: bytes, control: int) -> str:
    if control & 3 == 3:
        try:
            command = decode(data)
        except RemoteProtocolError:
            return f"{len(data)} bytes"
        status = f" status {command.unsigned(0x0900):04X}H" if command.is_response else ""
        return f"{command_name(command.command_field)} id {command.message_id}{status}"
    return f"{len(data)} bytes"
