"""What must go together for TLS: a certificate and its key, asking for certificates and whom to trust.

What the files have in them is for files.py to see.
"""

from __future__ import annotations

from collections.abc import Iterator

from ulproxy.policy.checks import Draft
from ulproxy.policy.model import AeTls, ApplicationEntity
from ulproxy.policy.report import Report
from ulproxy.policy.toml_lines import KeyPath
from ulproxy.policy.values import shown


def check_tls(draft: Draft, report: Report) -> None:
    """Report what is wrong between the keys of TLS, and what they do not do."""
    for index, listener in draft.listeners.items():
        if listener.tls is not None and listener.tls.asks and listener.tls.ca is None:
            report.problem(
                ("listener", index, "tls", "client_certificate"),
                'needs to know whom to trust; write ca = "ca.pem" as well, the certificates of those '
                "that sign for callers",
            )
        elif listener.tls is not None and not listener.tls.asks and listener.tls.ca is not None:
            report.note(
                ("listener", index, "tls", "ca"),
                "serves to check the certificates of callers, and none is asked for: "
                'write client_certificate = "required"',
            )
    for path, tls in _calling(draft):
        _check_pair(path, tls, report)
    for index, ae in draft.aes.items():
        _note_unused(("ae", index), ae, draft, report)
    audit = draft.audit
    if audit and audit.tls and audit.syslog and audit.syslog.transport != "tls":
        text = 'is for syslog over TLS; write "tls://" in syslog, or remove tls'
        report.problem(("audit", "tls"), text)


def _calling(draft: Draft) -> Iterator[tuple[KeyPath, AeTls]]:
    """Each `tls` by which the relay calls somebody, and where it stands."""
    for index, ae in draft.aes.items():
        if ae.tls is not None:
            yield ("ae", index, "tls"), ae.tls
    if draft.audit is not None and draft.audit.tls is not None:
        yield ("audit", "tls"), draft.audit.tls


def _check_pair(path: KeyPath, tls: AeTls, report: Report) -> None:
    if tls.certificate is not None and tls.key is None:
        report.problem(
            (*path, "key"), 'is missing; a certificate needs its key, write key = "a.key"'
        )
    if tls.key is not None and tls.certificate is None:
        report.problem(
            (*path, "certificate"),
            'is missing; a key needs its certificate, write certificate = "a.pem"',
        )


def _note_unused(path: KeyPath, ae: ApplicationEntity, draft: Draft, report: Report) -> None:
    """A certificate that need not be presented, TLS towards one that is never called."""
    known = ae.name not in draft.vague_names
    if known and ae.tls is not None and ae.address is None:
        report.note(
            (*path, "tls"), "says how to call this AE, which has no address; listeners ask for TLS"
        )
    if ae.certificate is None or ae.network in draft.vague_listeners:
        return
    listeners = {n: one for n, one in draft.listeners.items() if one.network == ae.network}
    asking = {n for n, one in listeners.items() if one.tls is not None and one.tls.asks}
    if not asking:
        text = f"is asked for by no listener on network {shown(ae.network)}: it may call without"
        report.note((*path, "certificate"), text)
    for index in listeners.keys() - asking if asking else ():
        where = f"{report.key(('listener', index))} (line {report.line(('listener', index))})"
        report.note(
            (*path, "certificate"), f"is not asked for by {where}: it may call there without"
        )
