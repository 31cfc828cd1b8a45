"""What a valid configuration is made of: frozen values, every default and every reference resolved.

`[relay]` and `[limits]` mean what they say, so pydantic reads them from the file as they stand here; the
others differ from their tables in schema.py, because a name or the sources may follow from another key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ulproxy.dimse.services import Service
from ulproxy.errors import Problem
from ulproxy.policy.endpoints import Endpoint, IpNetwork, SyslogTransport
from ulproxy.policy.values import EVERYTHING, NETWORK_PREFIX, Omittable, file_path, normal_title

MIN_PDU: Final = 8  # a PDV header and the least even fragment (PS3.8 9.3.5, PS3.8 E.1)

Title = Annotated[str, AfterValidator(normal_title)]
File = Annotated[Path, BeforeValidator(file_path)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _max_pdu(value: int) -> int:
    if value != 0 and not MIN_PDU <= value < 1 << 32:  # PS3.8 D.1: an unsigned 32 bit integer
        raise ValueError(
            f"is {value}; write 0 (as the peers agree) or {MIN_PDU} to {(1 << 32) - 1}"
        )
    return value


class Table(BaseModel):
    """A table of the file: no unknown keys, no "5" for 5, no change once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Relay(Table):
    """`[relay]`."""

    title: Title
    enforce: bool = True
    on_revoke: Literal["finish", "abort"] = "finish"
    state: File | None = None


class Limits(Table):
    """`[limits]`: what one process bears, with defaults for a border between two hospitals."""

    associations: Count = 1000  # two sockets each
    associations_per_source: Count = 100  # a PACS that sends in parallel uses tens of them
    pending: Count = 200
    artim: Seconds = 30.0  # the ACSE timeout of DCMTK and pynetdicom
    connect: Seconds = 10.0  # well within the caller's own wait, so that it still gets a reason
    idle: Seconds = 600.0  # a query or a move on a busy archive says nothing for minutes
    write: Seconds = 60.0
    max_pdu: Annotated[int, AfterValidator(_max_pdu)] = 0


class ListenerTls(Table):
    """`tls` of a listener; `profile` is one of PS3.15 annex B, "bcp195" of B.12, "modified" of B.13."""

    certificate: File
    key: File
    ca: File | None = None
    client_certificate: Literal["required", "optional", "none"] = "none"
    profile: Literal["bcp195", "modified"] = "bcp195"

    @property
    def asks(self) -> bool:
        """Whether callers are asked for a certificate."""
        return self.client_certificate != "none"


class AeTls(Table):
    """`tls` of an AE or of the audit repository: how the relay calls it."""

    ca: File | None = None  # None = those that the system trusts
    certificate: File | None = None
    key: File | None = None
    profile: Literal["bcp195", "modified"] = "bcp195"


@dataclass(frozen=True)
class Listener:
    """`[[listener]]`: where AEs of one network call the relay."""

    network: str
    bind: Endpoint
    tls: ListenerTls | None = None


@dataclass(frozen=True)
class ApplicationEntity:
    """`[[ae]]`."""

    title: str
    network: str
    address: Endpoint | None
    sources: tuple[IpNetwork, ...]
    alias: str | None
    name: str
    omit: frozenset[Omittable]
    associations: int | None
    move_originator: bool = True
    tls: AeTls | None = None
    certificate: str | None = None  # "sha256:..." of the certificate or its key, or a name in it

    @property
    def selectors(self) -> tuple[str, str, str]:
        """What rules may mean it by, groups apart."""
        return self.name, NETWORK_PREFIX + self.network, EVERYTHING


@dataclass(frozen=True)
class Group:
    """`[[group]]`: one called title for several AEs, by their names; rules may mean them by it too."""

    title: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """`[[rule]]`; `number` counts from 1 in the order of the file, and is how a log names it."""

    number: int
    line: int
    from_: tuple[str, ...]
    to: tuple[str, ...]
    services: frozenset[Service]
    destinations: tuple[str, ...] | None


@dataclass(frozen=True)
class Syslog:
    """Where DICOM audit messages go: over TLS (RFC 5425) or UDP (RFC 5426)."""

    transport: SyslogTransport
    endpoint: Endpoint


@dataclass(frozen=True)
class Audit:
    """`[audit]`."""

    file: Path | None = None  # None = the log
    syslog: Syslog | None = None
    on_full: Literal["refuse", "drop"] = "refuse"
    tls: AeTls | None = None  # how the repository is called; None = with the CAs of the system


@dataclass(frozen=True)
class Config:
    """A file that validates; `notes` are what its author may want to know all the same."""

    relay: Relay
    limits: Limits
    listeners: tuple[Listener, ...]
    aes: tuple[ApplicationEntity, ...]
    rules: tuple[Rule, ...]
    notes: tuple[Problem, ...]
    groups: tuple[Group, ...] = ()
    audit: Audit | None = None
    metrics: Endpoint | None = None  # where they are served; None = nowhere
