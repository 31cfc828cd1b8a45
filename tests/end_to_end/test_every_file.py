"""Every file in pydicom's wheel arrives through the relay as it arrives without it: the same bytes.

Two senders: pynetdicom sends a file's data set as it lies on disk, in its own transfer syntax; storescu
decodes and encodes, and sends also what has no file meta information. The same SCP records both columns.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import _config, build_context

from tests.end_to_end.files import Part10, digest, read, wheel_files
from tests.end_to_end.peers import Way, ae, border, relay, rule, run_tool
from tests.end_to_end.pynet import Stored, association, entity, only_asking, storage_scp

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

FILES = [f for f in (read(path) for path in wheel_files()) if f is not None]
PROPOSE = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}
"""storescu's option for each transfer syntax in the wheel."""


@pytest.fixture(scope="module")
def stored() -> list[Stored]:
    return []


@pytest.fixture(scope="module")
def ways(
    stored: list[Stored], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Way]]:
    """A DICOMDIR is a storage object only by its command; rules count its SOP class as `other`."""
    directory = tmp_path_factory.mktemp("every-file")
    syntaxes = sorted({f.transfer_syntax for f in FILES})
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", True)  # DICOMDIR is no storage class
        patch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)  # as it is on disk
        classes = sorted({f.sop_class for f in FILES})
        pacs = stack.enter_context(
            storage_scp("PACS", [(sop_class, syntaxes) for sop_class in classes], stored)
        )
        aes = [ae("SCU", "west"), ae("PACS", "east", pacs, alias="FAR_PACS")]
        running = stack.enter_context(
            relay(border(aes, [rule(["SCU"], ["PACS"], ["store", "other"])]), directory)
        )
        yield {
            "direct": Way("direct", pacs, "PACS"),
            "relay": Way("relay", running.ports["west"], "FAR_PACS"),
        }


def even(file: Part10, directory: Path) -> Path:
    """The file, or a copy padded to an even length: PS3.8 E.1 has no odd fragments."""
    if len(file.data) % 2 == 0:
        return file.path
    copy = directory / file.path.name
    copy.write_bytes(file.path.read_bytes() + b"\0")
    return copy


def by_pynetdicom(way: Way, directory: Path) -> dict[str, int]:
    """Send all files on one association; the status of each."""
    pairs = sorted({(f.sop_class, f.transfer_syntax) for f in FILES})
    contexts = [build_context(*pair) for pair in pairs]
    statuses = {}
    with (
        association(entity("SCU"), way.port, way.called, contexts) as client,
        only_asking(client),
    ):
        for number, file in enumerate(FILES):
            status = client.send_c_store(even(file, directory), msg_id=number + 1)
            statuses[str(file.path)] = status.Status
    return statuses


def by_storescu(way: Way, directory: Path, syntax: str) -> int:
    """Send the files of one transfer syntax, those that storescu can read."""
    paths = [f.path for f in FILES if f.transfer_syntax == syntax]
    if syntax == "1.2.840.10008.1.2":
        paths += [p for p in wheel_files() if p not in {f.path for f in FILES}]
    titles = ["-aet", "SCU", "-aec", way.called]
    command = ["storescu", "-q", "-nh", "-R", PROPOSE[syntax], *titles, "127.0.0.1", str(way.port)]
    return run_tool(*command, *paths, cwd=directory).returncode


def taken(stored: list[Stored]) -> Counter[tuple[str, str, str]]:
    """What came since the last call."""
    found = Counter((s.sop_instance, s.transfer_syntax, s.digest) for s in stored)
    stored.clear()
    return found


def test_bytes_of_every_file(by, ways, stored, tmp_path):
    stored.clear()
    statuses = by_pynetdicom(ways[by], tmp_path)
    assert set(statuses.values()) == {0}, statuses
    expected = Counter(
        (f.sop_instance, f.transfer_syntax, digest(f.data + b"\0" * (len(f.data) % 2)))
        for f in FILES
    )
    assert len(FILES) >= 180
    assert taken(stored) == expected


@pytest.mark.parametrize("syntax", PROPOSE)
def test_storescu_in_every_transfer_syntax(syntax, ways, stored, tmp_path):
    stored.clear()
    code = by_storescu(ways["direct"], tmp_path, syntax)
    directly = taken(stored)
    assert directly, "storescu sent nothing directly"
    assert {used for _, used, _ in directly} >= {syntax}
    assert by_storescu(ways["relay"], tmp_path, syntax) == code
    assert taken(stored) == directly


def test_every_transfer_syntax_has_an_option():
    assert {f.transfer_syntax for f in FILES} == set(PROPOSE)
