"""Items and sub-items of the A-ASSOCIATE PDUs (PS3.8 9.3.2, 9.3.3, annex D; PS3.7 D.3.3).

Decoders take the body of one item (without type, reserved byte and length) and raise
`RemoteProtocolError`; encoders return the whole item. Reserved bytes are sent 0 and never tested
(PS3.8 9.3.1); items of unknown type are skipped by whoever walks.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ulproxy.errors import RemoteProtocolError
from ulproxy.pdu.types import ItemType

_HEADER: Final = struct.Struct(">BxH")
_LENGTH: Final = struct.Struct(">H")
_UID: Final = re.compile(rb"[0-9.]{1,64}")

# The relay's own names replace the sender's when the item is written anew, and must still fit in 65535.
MAX_USER_INFORMATION: Final = 65535 - 128


class AsynchronousOperationsWindow(NamedTuple):
    """PS3.7 D.3.3.3: operations that may be outstanding; 0 = no limit, absent = 1 and 1."""

    invoked: int
    performed: int


class RoleSelection(NamedTuple):
    """PS3.7 D.3.3.4: which roles the requestor may play for a SOP class."""

    sop_class_uid: str
    scu: bool
    scp: bool


class SopClassExtended(NamedTuple):
    """PS3.7 D.3.3.5: opaque information for one SOP class."""

    sop_class_uid: str
    information: bytes


class SopClassCommonExtended(NamedTuple):
    """PS3.7 D.3.3.6: service class and related general SOP classes; requests only."""

    sop_class_uid: str
    service_class_uid: str
    related_general: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """PS3.7 D.3.3.7.1: who the user is; the two fields are secrets and stay out of every `repr`."""

    type: int
    positive_response_requested: bool
    primary: bytes
    secondary: bytes

    def __repr__(self) -> str:
        return f"UserIdentity(type={self.type})"


@dataclass(frozen=True, slots=True)
class UserInformation:
    """PS3.8 9.3.2.3: the sub-items of the User Information item, `None` or empty where absent.

    `maximum_length` is the longest P-DATA-TF variable field the sender takes, in bytes; 0 = no limit.
    """

    maximum_length: int = 0
    implementation_class_uid: str | None = None
    asynchronous_operations_window: AsynchronousOperationsWindow | None = None
    roles: tuple[RoleSelection, ...] = ()
    implementation_version_name: str | None = None
    sop_class_extended: tuple[SopClassExtended, ...] = ()
    sop_class_common_extended: tuple[SopClassCommonExtended, ...] = ()
    user_identity: UserIdentity | None = None
    # A secret like what it answers, so it stays out of `repr` as well.
    server_response: bytes | None = field(default=None, repr=False)

    @property
    def is_secret(self) -> bool:
        """Whether there is a secret in it, which nobody should keep longer than need be."""
        return self.user_identity is not None or self.server_response is not None


def item(item_type: int, body: bytes) -> bytes:
    """The item with its header; the body is at most 65535 bytes."""
    return _HEADER.pack(item_type, len(body)) + body


def walk(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields (type, body) of the items that stand one behind the other in `data`."""
    position = 0
    while position < len(data):
        if len(data) - position < _HEADER.size:
            raise RemoteProtocolError(f"{len(data) - position} stray bytes behind the last item")
        item_type, length = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        if length > len(data) - position:
            raise RemoteProtocolError(
                f"item {item_type:02X}H of {length} bytes has only {len(data) - position}"
            )
        yield item_type, data[position : position + length]
        position += length


def decode_uid(body: bytes) -> str:
    """A UID (PS3.5 9.1); the trailing NUL or space that some devices pad with is dropped."""
    text = body.rstrip(b"\0 ")
    if not _UID.fullmatch(text):
        raise RemoteProtocolError(f"no UID in {len(body)} bytes")  # a log may not have them
    return text.decode("ascii")


class _Fields:
    """Cuts a body into fields of fixed or announced length."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._position = 0

    def take(self, length: int) -> bytes:
        start = self._position
        self._position += length
        if self._position > len(self._body):
            raise RemoteProtocolError(f"a field of {length} bytes ends behind its sub-item")
        return self._body[start : self._position]

    def number(self) -> int:
        return int(_LENGTH.unpack(self.take(2))[0])

    def counted(self) -> bytes:
        return self.take(self.number())

    def flag(self) -> bool:
        value = self.take(1)[0]
        if value > 1:
            raise RemoteProtocolError(f"{value} where 0 or 1 is asked")
        return value == 1

    @property
    def left(self) -> int:
        return len(self._body) - self._position

    def rest(self) -> bytes:
        return self.take(self.left)


def _counted(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


def _decode_maximum_length(body: bytes) -> int:
    if len(body) != 4:
        raise RemoteProtocolError(f"Maximum Length sub-item of {len(body)} bytes, not 4")
    value = int.from_bytes(body)
    if 0 < value < 8:  # 1 to 7 cannot carry a PDV with two bytes of data (PS3.8 D.1, 9.3.5.1)
        raise RemoteProtocolError(f"maximum length {value}")
    return value


def _encode_maximum_length(value: int) -> bytes:
    return value.to_bytes(4)


def _decode_version_name(body: bytes) -> str:
    if not 1 <= len(body) <= 16:
        raise RemoteProtocolError(f"Implementation Version Name of {len(body)} bytes, not 1 to 16")
    return body.decode("latin-1").rstrip(" \0")


def _encode_version_name(value: str) -> bytes:
    return value.encode("latin-1")


def _encode_uid(value: str) -> bytes:
    return value.encode("ascii")


def _decode_window(body: bytes) -> AsynchronousOperationsWindow:
    cut = _Fields(body)
    return AsynchronousOperationsWindow(cut.number(), cut.number())


def _encode_window(value: AsynchronousOperationsWindow) -> bytes:
    return _LENGTH.pack(value.invoked) + _LENGTH.pack(value.performed)


def _decode_role(body: bytes) -> RoleSelection:
    cut = _Fields(body)
    return RoleSelection(decode_uid(cut.counted()), cut.flag(), cut.flag())


def _encode_role(value: RoleSelection) -> bytes:
    return _counted(_encode_uid(value.sop_class_uid)) + bytes([value.scu, value.scp])


def _decode_extended(body: bytes) -> SopClassExtended:
    cut = _Fields(body)
    return SopClassExtended(decode_uid(cut.counted()), cut.rest())


def _encode_extended(value: SopClassExtended) -> bytes:
    return _counted(_encode_uid(value.sop_class_uid)) + value.information


def _decode_common(body: bytes) -> SopClassCommonExtended:
    cut = _Fields(body)
    sop_class, service_class = decode_uid(cut.counted()), decode_uid(cut.counted())
    related = _Fields(cut.counted())
    uids = []
    while related.left:
        uids.append(decode_uid(related.counted()))
    return SopClassCommonExtended(sop_class, service_class, tuple(uids))


def _encode_common(value: SopClassCommonExtended) -> bytes:
    related = b"".join(_counted(_encode_uid(uid)) for uid in value.related_general)
    head = _counted(_encode_uid(value.sop_class_uid)) + _counted(
        _encode_uid(value.service_class_uid)
    )
    return head + _counted(related)


def _decode_identity(body: bytes) -> UserIdentity:
    cut = _Fields(body)
    return UserIdentity(cut.take(1)[0], cut.flag(), cut.counted(), cut.counted())


def _encode_identity(value: UserIdentity) -> bytes:
    head = bytes([value.type, value.positive_response_requested])
    return head + _counted(value.primary) + _counted(value.secondary)


def _decode_server_response(body: bytes) -> bytes:
    return _Fields(body).counted()


class _SubItem(NamedTuple):
    """How one user information sub-item is read and written; `many` = it may be repeated."""

    field: str
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    many: bool = False


# In the order of their types, which is the order they are sent in.
_SUB_ITEMS: Final[dict[int, _SubItem]] = {
    ItemType.MAXIMUM_LENGTH: _SubItem(
        "maximum_length", _decode_maximum_length, _encode_maximum_length
    ),
    ItemType.IMPLEMENTATION_CLASS_UID: _SubItem(
        "implementation_class_uid", decode_uid, _encode_uid
    ),
    ItemType.ASYNCHRONOUS_OPERATIONS_WINDOW: _SubItem(
        "asynchronous_operations_window", _decode_window, _encode_window
    ),
    ItemType.ROLE_SELECTION: _SubItem("roles", _decode_role, _encode_role, many=True),
    ItemType.IMPLEMENTATION_VERSION_NAME: _SubItem(
        "implementation_version_name", _decode_version_name, _encode_version_name
    ),
    ItemType.SOP_CLASS_EXTENDED: _SubItem(
        "sop_class_extended", _decode_extended, _encode_extended, many=True
    ),
    ItemType.SOP_CLASS_COMMON_EXTENDED: _SubItem(
        "sop_class_common_extended", _decode_common, _encode_common, many=True
    ),
    ItemType.USER_IDENTITY_RQ: _SubItem("user_identity", _decode_identity, _encode_identity),
    ItemType.USER_IDENTITY_AC: _SubItem("server_response", _decode_server_response, _counted),
}


def decode_user_information(body: bytes) -> UserInformation:
    """Reads the body of a User Information item; unknown sub-items are skipped (PS3.8 9.3.2.3)."""
    if len(body) > MAX_USER_INFORMATION:
        raise RemoteProtocolError(f"user information of {len(body)} bytes")
    found: dict[str, Any] = {}
    for item_type, content in walk(body):
        if (sub_item := _SUB_ITEMS.get(item_type)) is None:
            continue
        value = sub_item.decode(content)
        if sub_item.many:  # a list: thousands of small ones fit
            found.setdefault(sub_item.field, []).append(value)
        elif sub_item.field in found:  # PS3.8 D.1: one only
            raise RemoteProtocolError(f"sub-item {item_type:02X}H twice")
        else:
            found[sub_item.field] = value
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found.items()
    }
    return UserInformation(**fields)


def encode_user_information(information: UserInformation) -> bytes:
    """The whole User Information item."""
    parts: list[bytes] = []
    for item_type, sub_item in _SUB_ITEMS.items():
        value = getattr(information, sub_item.field)
        present = value if sub_item.many else () if value is None else (value,)
        parts += [item(item_type, sub_item.encode(one)) for one in present]
    return item(ItemType.USER_INFORMATION, b"".join(parts))
