"""The tables of the file as the contract has them, those that are not built yet included.

pydantic finds the faults; its words for them are replaced by what a PACS administrator can act on: what is
wrong, and how the key would be right. No value is repeated there: it may be a secret in the wrong place.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from ulproxy.dimse.services import Service
from ulproxy.policy import certificates, endpoints, values
from ulproxy.policy.endpoints import Endpoint, IpNetwork
from ulproxy.policy.model import (
    AeTls,
    Count,
    File,
    Limits,
    ListenerTls,
    Relay,
    Syslog,
    Table,
    Title,
)
from ulproxy.policy.report import Report
from ulproxy.policy.toml_lines import KeyPath

T = TypeVar("T", bound=Table)
Name = Annotated[str, AfterValidator(values.normal_name)]
Bind = Annotated[Endpoint, BeforeValidator(endpoints.bind)]
Selectors = Annotated[tuple[str, ...], BeforeValidator(values.selectors)]


def _syslog(value: object) -> Syslog:
    return Syslog(*endpoints.syslog(value))


class ListenerTable(Table):
    """`[[listener]]`."""

    network: Name
    bind: Bind
    tls: ListenerTls | None = None


class AeTable(Table):
    """`[[ae]]`."""

    title: Title
    network: Name
    address: Annotated[Endpoint | None, BeforeValidator(endpoints.address)] = None
    sources: Annotated[tuple[IpNetwork, ...] | None, BeforeValidator(endpoints.sources)] = None
    alias: Title | None = None
    name: Name | None = None
    tls: AeTls | None = None
    certificate: Annotated[str, AfterValidator(certificates.certificate)] | None = None
    omit: Annotated[frozenset[values.Omittable], BeforeValidator(values.omittables)] = frozenset()
    associations: Count | None = None
    move_originator: bool = True


class GroupTable(Table):
    """`[[group]]`."""

    title: Title
    members: Selectors


class RuleTable(Table):
    """`[[rule]]`."""

    from_: Selectors = Field(alias="from")
    to: Selectors
    services: Annotated[frozenset[Service], BeforeValidator(values.services)]
    destinations: Selectors | None = None
    deidentify: Name | None = None


class MetricsTable(Table):
    """`[metrics]`."""

    bind: Bind | None = None


class AuditTable(Table):
    """`[audit]`."""

    file: File | None = None
    syslog: Annotated[Syslog | None, BeforeValidator(_syslog)] = None
    on_full: Literal["refuse", "drop"] = "refuse"
    tls: AeTls | None = None


TABLES: Final[dict[str, type[Table]]] = {
    "relay": Relay,
    "limits": Limits,
    "metrics": MetricsTable,
    "audit": AuditTable,
}
LISTS: Final[dict[str, type[Table]]] = {
    "listener": ListenerTable,
    "ae": AeTable,
    "group": GroupTable,
    "rule": RuleTable,
}

# The schema of these is read all the same, so that a file can be written ahead of the release that has them.
NOT_BUILT: Final[dict[tuple[str, str], str]] = {
    ("rule", "deidentify"): "de-identification is not built yet in this release; remove this key "
    "only if data sets may cross as they are, else remove the rule",
}

_WRONG: Final = {
    "missing": "is missing",
    "string_type": "is not text in quotes",
    "int_type": "is not a whole number",
    "float_type": "is not a number",
    "finite_number": "is not a finite number",
    "bool_type": "is not true or false",
    "model_type": "is not a table",
    "literal_error": "is not {expected}",
    "greater_than_equal": "is less than {ge}",
    "greater_than": "is not more than {gt:g}",
    "value_error": "{error}",
}
# What is right, by key; the keys of [limits] have their defaults.
_EXAMPLES: Final = {
    "AeTable.certificate": '"sha256:..."',
    "ListenerTable.tls": '{ certificate = "a.pem", key = "a.key" }',
    "address": '"10.0.0.5:104"',
    "alias": '"HA_WS1"',
    "associations": "20",
    "bind": '"10.0.0.1:104"',
    "ca": '"ca.pem"',
    "certificate": '"a.pem"',
    "client_certificate": '"required"',
    "deidentify": '"basic"',
    "destinations": '["WS1"]',
    "enforce": "true",
    "file": '"audit.jsonl"',
    "from": '["WS1"]',
    "key": '"a.key"',
    "members": '["HB_PACS", "HC_PACS"]',
    "move_originator": "false",
    "name": '"WS1"',
    "network": '"inside"',
    "profile": '"bcp195"',
    "omit": '["async-operations"]',
    "on_full": '"refuse"',
    "on_revoke": '"finish"',
    "services": '["echo", "find"]',
    "sources": '["10.0.0.5"]',
    "state": '"state.sqlite"',
    "syslog": '"tls://audit.example:6514"',
    "title": '"HOSP_A"',
    "tls": '{ ca = "ca.pem" }',
    "to": '["HB_PACS"]',
}


def read_table(
    table: type[T], entry: dict[str, Any], path: KeyPath, report: Report
) -> tuple[T | None, bool]:
    """What can be read of a table, and whether that is all: faults are reported and left out."""
    try:
        return table.model_validate(entry), True
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    for fault in faults:
        report.problem(path + fault["loc"], _text(fault, table))
    faulty = {fault["loc"][0] for fault in faults}
    try:
        return table.model_validate({k: entry[k] for k in entry if k not in faulty}), False
    except ValidationError:
        return None, False  # it is nothing without these keys


def _text(fault: ErrorDetails, table: type[Table]) -> str:
    *parents, key = map(str, fault["loc"])
    for parent in parents:
        table = next(t for t in get_args(table.model_fields[parent].annotation) if t is not None)
    if fault["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in table.model_fields.items()]
        return f"is unknown; {values.suggestion(key, known)}"
    context = fault.get("ctx", {})
    if "expected" in context:
        context["expected"] = context["expected"].replace("'", '"')
    text = _WRONG[fault["type"]].format_map(context)
    return text if ";" in text else f"{text}; write {key} = {_example(table, key)}"


def _example(table: type[Table], key: str) -> object:
    if table is Limits:
        return table.model_fields[key].default
    return _EXAMPLES.get(f"{table.__name__}.{key}", _EXAMPLES[key])
