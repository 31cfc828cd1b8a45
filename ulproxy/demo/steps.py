"""What the workstation does in the demonstration: echo, store, query, move, get; then what was seen.

A step takes a `Stage`, talks DICOM to `stage.target`, compares with what the PACS really holds, and returns
a `Step`. It does not know whether relays stand in between, so the same steps run directly.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from ulproxy.demo.archive import Archive, data_set, digest
from ulproxy.demo.pacs import PENDING, SUCCESS, Pacs
from ulproxy.demo.sending import contexts_for
from ulproxy.demo.station import NoAssociationError, Target, Workstation

Progress = Callable[[int, int], None]

# Files of pydicom's wheel, for their transfer syntaxes; then one study of three series. Each data set has
# an even length (PS3.8 E.1), which the wheel's deflated file has not.
FILES = (
    "CT_small.dcm",  # Explicit VR Little Endian
    "MR_small_implicit.dcm",  # Implicit VR Little Endian
    "ExplVR_BigEnd.dcm",  # Explicit VR Big Endian
    "JPGExtended.dcm",  # JPEG Extended, 12 bit
    "examples_ybr_color.dcm",  # JPEG Baseline, 30 frames
    "J2K_pixelrep_mismatch.dcm",  # JPEG 2000 lossless
    "693_J2KI.dcm",  # JPEG 2000
    "SC_rgb_rle.dcm",  # RLE
    "98892003/MR1/5641",
    *(f"98892003/MR2/{name}" for name in ("6273", "6605", "6935")),
    *(
        f"98892003/MR700/{name}"
        for name in ("4467", "4528", "4558", "4588", "4618", "4648", "4678")
    ),
)


@dataclass(frozen=True)
class Step:
    """What came of one step."""

    name: str
    ok: bool
    detail: str


@dataclass
class Stage:
    """Everything the steps need: who calls whom, and what is known so far."""

    station: Workstation
    pacs: Pacs
    target: Target
    folder: Path
    progress: Progress = lambda _done, _total: None
    studies: list[str] = field(default_factory=list)  # Study Instance UIDs, found by the query
    _message_id: int = 0

    def message_id(self) -> int:
        """A Message ID that no other operation of this demonstration has."""
        self._message_id += 1
        return self._message_id


def run(name: str, step: Callable[[Stage], Step], stage: Stage) -> Step:
    """A step, with a failure to associate or to talk as its result."""
    try:
        return step(stage)
    except (NoAssociationError, OSError, RuntimeError, ValueError) as error:
        return Step(name, False, str(error))


def wheel_files() -> list[Path]:
    """Those of `FILES` that this pydicom has on disk; nothing is ever downloaded."""
    found = (get_testdata_file(name, download=False) for name in FILES)
    return [Path(path) for path in found if isinstance(path, str)]


def echo(stage: Stage) -> Step:
    """C-ECHO."""
    with stage.station.association(stage.target, [build_context(Verification)]) as assoc:
        status = _status(assoc.send_c_echo(stage.message_id()))
    return Step("echo", status == SUCCESS, f"{stage.target.title} answered {status:04X}H")


def store(stage: Stage) -> Step:
    """C-STORE of files as they are; then the PACS must hold the same bytes."""
    files = wheel_files()
    metas = [dcmread(path, stop_before_pixels=True).file_meta for path in files]
    kinds = [(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for meta in metas]
    stored = 0
    with stage.station.association(stage.target, contexts_for(kinds)) as assoc:
        for path in files:
            stored += _status(assoc.send_c_store(path, stage.message_id())) == SUCCESS
            stage.progress(stored, len(files))
            if not assoc.is_established:
                break
    sent = {
        str(meta.MediaStorageSOPInstanceUID): digest(data_set(path))
        for meta, path in zip(metas, files, strict=True)
    }
    same = _equal(sent, stage.pacs.archive.digests)
    return Step(
        "store",
        bool(files) and stored == same == len(files),
        f"{stored} of {len(files)} objects stored in {len({syntax for _, syntax in kinds})} transfer "
        f"syntaxes, {same} with the same SHA-256 at the PACS",
    )


def query(stage: Stage) -> Step:
    """C-FIND down the levels; all images must be found, and be retrievable from whom was asked."""
    with stage.station.association(
        stage.target, [build_context(StudyRootQueryRetrieveInformationModelFind)]
    ) as assoc:

        def find(level: str, **keys: str) -> list[Dataset]:
            responses = assoc.send_c_find(
                _identifier(level, **keys),
                StudyRootQueryRetrieveInformationModelFind,
                stage.message_id(),
            )
            return [match for status, match in responses if _status(status) == PENDING and match]

        studies = find("STUDY", PatientName="*", StudyInstanceUID="")
        stage.studies = [str(study.StudyInstanceUID) for study in studies]
        series, images = [], []
        for done, study in enumerate(stage.studies, 1):
            for one in find("SERIES", StudyInstanceUID=study, SeriesInstanceUID=""):
                series.append(one)
                images += find(
                    "IMAGE",
                    StudyInstanceUID=study,
                    SeriesInstanceUID=str(one.SeriesInstanceUID),
                    SOPInstanceUID="",
                )
            stage.progress(done, len(stage.studies))
    titles = {str(match.get("RetrieveAETitle", "")) for match in (*studies, *series, *images)}
    stage.station.seen.retrieve_titles |= titles
    complete = {str(image.SOPInstanceUID) for image in images} == set(stage.pacs.archive.objects)
    return Step(
        "query",
        bool(images) and complete and titles == {stage.target.title},
        f"{len(studies)} studies, {len(series)} series, {len(images)} images found, "
        f"of {len(stage.pacs.archive)} images there, to be retrieved from {_all(titles)}",
    )


def move(stage: Stage) -> Step:
    """C-MOVE of every study to the workstation itself, on associations that the PACS opens."""
    model = StudyRootQueryRetrieveInformationModelMove
    completed, final = 0, set()
    with stage.station.association(stage.target, [build_context(model)]) as assoc:
        for done, study in enumerate(stage.studies, 1):
            count, status = _retrieved(
                assoc.send_c_move(
                    _identifier("STUDY", StudyInstanceUID=study),
                    stage.station.title,
                    model,
                    stage.message_id(),
                )
            )
            completed += count
            final.add(status)
            stage.progress(done, len(stage.studies))
    return _retrieve_step("move", stage, completed, final, stage.station.received)


def get(stage: Stage) -> Step:
    """C-GET of every study: the objects come back on the association that asked."""
    model = StudyRootQueryRetrieveInformationModelGet
    kinds = [(o.sop_class, o.transfer_syntax) for o in stage.pacs.archive.objects.values()]
    contexts = [build_context(model), *contexts_for(kinds)]
    got = Archive(stage.folder / "got")
    completed, final = 0, set()
    with stage.station.association(stage.target, contexts, into=got) as assoc:
        for done, study in enumerate(stage.studies, 1):
            count, status = _retrieved(
                assoc.send_c_get(
                    _identifier("STUDY", StudyInstanceUID=study), model, stage.message_id()
                )
            )
            completed += count
            final.add(status)
            stage.progress(done, len(stage.studies))
    return _retrieve_step("get", stage, completed, final, got)


def hidden(stage: Stage) -> Step:
    """Neither device may have been told a title or a port of the other's inside."""
    station, pacs = stage.station, stage.pacs
    at_pacs, at_station = pacs.seen, station.seen
    if not (at_pacs.associations and at_station.associations):
        return Step("hidden", False, "nothing to see: nobody was called")
    leaks = [f"the PACS saw {title}" for title in {station.title} & at_pacs.titles()]
    leaks += [f"{station.title} saw {title}" for title in {pacs.title} & at_station.titles()]
    leaks += [f"the PACS was called from port {p}" for p in at_pacs.ports & at_station.own_ports]
    leaks += [
        f"{station.title} was called from port {p}" for p in at_station.ports & at_pacs.own_ports
    ]
    detail = "; ".join(leaks) or (
        f"besides its own title the PACS was told {_all(at_pacs.titles() - {pacs.title})} "
        f"and the workstation {_all(at_station.titles() - {station.title})}; "
        "no connection came from the other's own port"
    )
    return Step("hidden", not leaks, detail)


STEPS: dict[str, Callable[[Stage], Step]] = {
    "echo": echo,
    "store": store,
    "query": query,
    "move": move,
    "get": get,
    "hidden": hidden,
}


def _identifier(level: str, **keys: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def _status(response: Dataset) -> int:
    """The status of a response; -1 when the association was lost instead of answered."""
    return int(response.get("Status", -1))


def _retrieved(responses: Iterable[tuple[Dataset, Dataset | None]]) -> tuple[int, int]:
    """Completed sub-operations and final status of one C-MOVE or C-GET."""
    last = Dataset()
    for last, _ in responses:  # noqa: B007 - the final response is what counts
        pass
    return int(last.get("NumberOfCompletedSuboperations", 0) or 0), _status(last)


def _retrieve_step(
    name: str, stage: Stage, completed: int, final: set[int], archive: Archive
) -> Step:
    kept = stage.pacs.archive.digests
    same = _equal(kept, archive.digests)
    bad = ", ".join(f"{status & 0xFFFF:04X}H" for status in sorted(final - {SUCCESS}))
    return Step(
        name,
        bool(kept) and not bad and completed == same == len(kept),
        f"{len(stage.studies)} studies asked for, {completed} of {len(kept)} sub-operations completed, "
        f"{same} objects with the same SHA-256 at {stage.station.title}"
        + (f"; ended with {bad}" if bad else ""),
    )


def _all(titles: set[str]) -> str:
    return ", ".join(sorted(titles)) or "nobody"


def _equal(wanted: dict[str, str], found: dict[str, str]) -> int:
    """How many of the wanted objects are there with the wanted digest."""
    return sum(found.get(uid) == digest for uid, digest in wanted.items())
