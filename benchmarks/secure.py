"""TLS towards the sender, and towards both: DCMTK with TLS, certificates from `ulproxy cert`.

Like is compared with like: whoever does not speak the same version and cipher suite to a sender is left out.
To the sink all speak what OpenSSL puts first, TLSv1.3 TLS_AES_256_GCM_SHA384; there HAProxy and nginx resume
sessions, as they do by default, which ulproxy never does: it saves both ends a signature (`secured-both`).
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import corpus
from benchmarks.dcmtk import storescp, storescu
from benchmarks.handshakes import negotiated, trusting
from benchmarks.suite import (
    Case,
    Figures,
    Measure,
    Outcome,
    Setting,
    Skip,
    measure,
    metered,
    run,
    ways,
)
from benchmarks.variants import Variant, Wiring

WITHOUT = {
    "orthanc": "TLS is compared with what only ends it",
    "pynetdicom": "TLS is compared with what only ends it",
}
PDUS = (16, 128)  # KB
ROUNDS = 3
SIDES = {"one": "on one side", "both": "on both sides"}


def tls(setting: Setting) -> Iterator[Outcome]:
    """One large object, and associations with a C-ECHO, TLS on one side and on both."""
    for sides in ("both",) if setting.quick else SIDES:
        yield from _sides(setting, sides)


def _cases(setting: Setting, sides: str, pdus: Sequence[int], pki: Path) -> list[Case]:
    frames, count = (20, 8) if setting.quick else (1000, 256)
    return [
        *(
            Case(
                f"tls-{sides}-pdu{pdu}",
                f"1 object of {frames / 2:.0f} MiB, PDUs of {pdu} KB, TLS {SIDES[sides]}",
                _send(pdu, frames, pki),
                rounds=ROUNDS,
            )
            for pdu in pdus
        ),
        Case(
            f"secured-{sides}",
            f"{count} associations with a C-ECHO, TLS {SIDES[sides]}",
            _cycles(f"TLS{pdus[0]}", count, pki),
            rounds=ROUNDS,
        ),
    ]


def _sides(setting: Setting, sides: str) -> Iterator[Outcome]:
    pdus = PDUS[:1] if setting.quick else PDUS
    work = setting.work / f"tls-{sides}"
    pki = work / "pki"
    cases = _cases(setting, sides, pdus, pki)
    chosen = [case for case in cases if setting.wants(case.key)]
    if not chosen:
        return
    certify(pki)
    shown = ["+tls", str(pki / "relay.key"), str(pki / "relay.pem"), "-ic"]
    options = shown if sides == "both" else []
    with ExitStack() as stack:
        sinks = {}
        for pdu in pdus:
            process, port = storescp(f"TLS{pdu}", pdu * 1024, work, options=options)
            sinks[f"TLS{pdu}"] = port
            stack.enter_context(process).listening(port)
        lengths = {f"TLS{pdu}": pdu * 1024 for pdu in pdus}
        wiring = Wiring(sinks, work, lengths, pki, tls_in=True, tls_out=sides == "both")
        keys = [case.key for case in chosen]
        standing, skipped = ways(setting.variants, wiring, stack, keys, WITHOUT)
        yield from skipped
        standing, others = alike(standing, keys, pki)
        yield from others
        yield from measure(chosen, standing, setting)


def alike(standing: list[Variant], keys: list[str], pki: Path) -> tuple[list[Variant], list[Skip]]:
    """Those that speak what the first one speaks, and why not the others."""
    context = trusting(pki / "ca.pem")
    spoken = {way.name: negotiated(next(iter(way.ports.values())), context) for way in standing}
    usual = next(iter(spoken.values()), "")
    others = [
        Skip(key, name, f"it speaks {what}, {next(iter(spoken))} {usual}", failed=True)
        for name, what in spoken.items()
        if what != usual
        for key in keys
    ]
    return [way for way in standing if spoken[way.name] == usual], others


def certify(pki: Path) -> None:
    """A CA and one certificate for every server, for localhost."""
    pki.mkdir(parents=True)
    run([sys.executable, "-m", "ulproxy", "cert", "new", "relay", "--directory", str(pki)])
    both = pki / "both.pem"  # HAProxy wants certificate and key in one file
    both.touch(mode=0o600)
    both.write_text((pki / "relay.pem").read_text() + (pki / "relay.key").read_text())


def _send(pdu: int, frames: int, pki: Path) -> Measure:
    options = ["+tls", str(pki / "relay.key"), str(pki / "relay.pem"), "+cf", str(pki / "ca.pem")]

    def send(way: Variant) -> Figures:
        folder = corpus.multi_frame(frames)
        return storescu(way, f"TLS{pdu}", pdu * 1024, folder, options=options)

    return send


def _cycles(sink: str, count: int, pki: Path) -> Measure:
    def cycles(way: Variant) -> Figures:
        command = [sys.executable, "-m", "benchmarks.handshakes", str(way.ports[sink]), sink]
        with metered(way, sink) as figures:
            figures.update(json.loads(run([*command, str(count), str(pki / "ca.pem")])))
        return figures

    return cycles
