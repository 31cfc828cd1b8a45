"""TLS towards the sender, and towards both: DCMTK with TLS, certificates from `ulproxy cert`."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks import corpus
from benchmarks.dcmtk import storescp, storescu
from benchmarks.suite import Case, Figures, Measure, Outcome, Setting, measure, run, ways
from benchmarks.variants import Variant, Wiring

WITHOUT = {
    "orthanc": "TLS is compared with what only ends it",
    "pynetdicom": "TLS is compared with what only ends it",
}
PDUS = (16, 128)  # KB
ROUNDS = 3
SIDES = {"one": "on one side", "both": "on both sides"}


def tls(setting: Setting) -> Iterator[Outcome]:
    """One large object, TLS on one side and on both."""
    for sides in ("both",) if setting.quick else SIDES:
        yield from _sides(setting, sides)


def _sides(setting: Setting, sides: str) -> Iterator[Outcome]:
    frames = 20 if setting.quick else 1000
    pdus = PDUS[:1] if setting.quick else PDUS
    work = setting.work / f"tls-{sides}"
    pki = work / "pki"
    cases = [
        Case(
            f"tls-{sides}-pdu{pdu}",
            f"1 object of {frames / 2:.0f} MiB, PDUs of {pdu} KB, TLS {SIDES[sides]}",
            _send(pdu, frames, pki),
            rounds=ROUNDS,
        )
        for pdu in pdus
    ]
    chosen = [case for case in cases if setting.wants(case.key)]
    if not chosen:
        return
    _certify(pki)
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
        yield from measure(chosen, standing, setting)


def _certify(pki: Path) -> None:
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
