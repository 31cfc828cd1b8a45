"""A-ASSOCIATE-RQs: the one that every acceptor takes, and what differs from it by one thing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ulproxy import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from ulproxy.conform.settings import Settings
from ulproxy.conform.wire import pdu
from ulproxy.pdu.items import item
from ulproxy.pdu.types import (
    APPLICATION_CONTEXT_NAME,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    ItemType,
    PduType,
)

MAXIMUM_LENGTH: Final = 16384


def maximum(value: int) -> bytes:
    """A Maximum Length sub-item (PS3.8 D.1)."""
    return item(ItemType.MAXIMUM_LENGTH, value.to_bytes(4))


def counted(*values: str | bytes) -> bytes:
    """Each behind its length in two bytes, as in the sub-items of PS3.7 D.3.3."""
    encoded = [one.encode("ascii") if isinstance(one, str) else one for one in values]
    return b"".join(len(one).to_bytes(2) + one for one in encoded)


UID: Final = item(ItemType.IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_CLASS_UID.encode())
VERSION_NAME: Final = item(
    ItemType.IMPLEMENTATION_VERSION_NAME, IMPLEMENTATION_VERSION_NAME.encode()
)
USER: Final = (maximum(MAXIMUM_LENGTH), UID, VERSION_NAME)


@dataclass(frozen=True)
class Context:
    """A presentation context; `abstract` None = the one under test, `items` = instead of both syntaxes."""

    id: int = 1
    abstract: str | None = None
    transfer: tuple[str, ...] = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)
    items: Callable[[bytes, bytes], bytes] = lambda abstract, transfer: abstract + transfer
    reserved: bytes = bytes(3)

    def encode(self, tested: str) -> bytes:
        """The whole item (PS3.8 9.3.2.2)."""
        abstract = item(ItemType.ABSTRACT_SYNTAX, (self.abstract or tested).encode("ascii"))
        transfer = b"".join(item(ItemType.TRANSFER_SYNTAX, one.encode()) for one in self.transfer)
        body = bytes([self.id]) + self.reserved + self.items(abstract, transfer)
        return item(ItemType.PRESENTATION_CONTEXT_RQ, body)


def padded(title: str) -> bytes:
    """As AE titles are sent: 16 bytes, spaces behind."""
    return title.encode("ascii").ljust(16)


@dataclass(frozen=True)
class Request:
    """An A-ASSOCIATE-RQ, part by part (PS3.8 9.3.2)."""

    version: int = 1
    reserved: int = 0
    reserved_9: bytes = bytes(2)
    reserved_43: bytes = bytes(32)
    called: Callable[[str], bytes] = padded
    calling: Callable[[str], bytes] = padded
    application: bytes = item(ItemType.APPLICATION_CONTEXT, APPLICATION_CONTEXT_NAME.encode())
    contexts: Sequence[Context] = (Context(),)
    user: Sequence[bytes] = USER
    # Puts the items together: application context, presentation contexts, user information.
    order: Callable[[bytes, bytes, bytes], bytes] = lambda *items: b"".join(items)
    length: int | None = None

    def encode(self, settings: Settings) -> bytes:
        """The whole PDU, for this acceptor."""
        contexts = b"".join(one.encode(settings.abstract_syntax) for one in self.contexts)
        user = item(ItemType.USER_INFORMATION, b"".join(self.user))
        body = (
            self.version.to_bytes(2)
            + self.reserved_9
            + self.called(settings.called)
            + self.calling(settings.calling)
            + self.reserved_43
            + self.order(self.application, contexts, user)
        )
        return pdu(PduType.A_ASSOCIATE_RQ, body, reserved=self.reserved, length=self.length)


LEGAL: Final = Request()


def rq(**changes: Any) -> Request:
    """The legal request with some fields changed."""
    return replace(LEGAL, **changes)


def with_user(*sub_items: bytes) -> Request:
    """The legal request with further user information sub-items."""
    return rq(user=(*USER, *sub_items))
