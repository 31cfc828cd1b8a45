"""DCMTK's programs: the senders that users have, and their sinks."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.processes import Process
from benchmarks.suite import Figures, metered, run
from benchmarks.variants import CALLING, HOST, Variant, free_port, program


def environment(*, nodelay: bool) -> dict[str, str]:
    """Nagle's algorithm off by DCMTK's own switch, else as it ships."""
    variables = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    return variables | {"TCP_NODELAY": "1"} if nodelay else variables


def storescp(
    title: str, pdu: int, work: Path, *, nodelay: bool = True, options: Sequence[str] = ()
) -> tuple[Process, int]:
    """storescp, receiving and dropping; bit preserving, so that it streams."""
    port = free_port()
    command = [program("storescp", "dcmtk"), "+B", "--ignore", "-dhl", "-aet", title, *options]
    command += ["--max-pdu", str(pdu), str(port)]
    return Process(command, work / f"{title}.log", environment(nodelay=nodelay)), port


def storescu(
    way: Variant,
    sink: str,
    pdu: int,
    folder: Path,
    *,
    nodelay: bool = True,
    options: Sequence[str] = (),
) -> Figures:
    """One association with all files of a folder."""
    size = sum(file.stat().st_size for file in folder.iterdir())
    command = ["storescu", "--required", "--max-pdu", str(pdu), *options, *_called(way.ports, sink)]
    with metered(way, sink) as figures:
        run([*command, "+sd", str(folder)], environment(nodelay=nodelay))
    return figures | {"bytes": size}


def findscu(way: Variant, sink: str) -> Figures:
    """One C-FIND for studies, to the last response."""
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID", "-k", "StudyInstanceUID"]
    with metered(way, sink) as figures:
        run(["findscu", "-S", "-q", *keys, *_called(way.ports, sink)], environment(nodelay=True))
    return figures


def _called(ports: Mapping[str, int], sink: str) -> list[str]:
    return ["-aet", CALLING, "-aec", sink, HOST, str(ports[sink])]
