"""The demonstration: its archive, its PACS and workstation directly, and the whole through two relays."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.dsutils import encode
from pynetdicom.dul import DULServiceProvider
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
from rich.console import Console

import ulproxy.demo
from ulproxy import IMPLEMENTATION_VERSION_NAME
from ulproxy.demo import config, processes, quirks, report, steps
from ulproxy.demo.archive import (
    PATIENT_ROOT,
    STUDY_ROOT,
    Archive,
    IdentifierError,
    data_set,
    digest,
)
from ulproxy.demo.matching import matches
from ulproxy.demo.pacs import Pacs
from ulproxy.demo.processes import Relay, RelayError, Signals, Stopped, choose_ports
from ulproxy.demo.sending import contexts_for, files_as_they_are
from ulproxy.demo.show import show
from ulproxy.demo.station import NoAssociationError, Target, Workstation
from ulproxy.demo.steps import STEPS, Stage
from ulproxy.policy.config import load

FIND = StudyRootQueryRetrieveInformationModelFind
MOVE = StudyRootQueryRetrieveInformationModelMove
GET = StudyRootQueryRetrieveInformationModelGet
REPOSITORY = Path(__file__).parent.parent


def dataset(**values):
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


# Matching


@pytest.mark.parametrize(
    ("key", "stored", "expected"),
    [
        # universal
        ({"PatientID": ""}, {}, True),
        ({"PatientID": ""}, {"PatientID": "1"}, True),
        ({"PatientID": "*"}, {}, True),
        # single value; case counts, padding does not
        ({"PatientID": "P1"}, {"PatientID": "P1 "}, True),
        ({"PatientID": "P1"}, {"PatientID": "p1"}, False),
        ({"PatientID": "P1"}, {"PatientID": ""}, False),
        ({"PatientID": "P1"}, {}, False),
        ({"InstanceNumber": "7"}, {"InstanceNumber": "07"}, True),
        ({"InstanceNumber": "7"}, {"InstanceNumber": "8"}, False),
        # wildcards
        ({"PatientID": "P*"}, {"PatientID": "P"}, True),
        ({"PatientID": "P?"}, {"PatientID": "P"}, False),
        ({"PatientID": "P?1"}, {"PatientID": "P-1"}, True),
        ({"PatientID": "[P]*"}, {"PatientID": "P1"}, False),
        ({"PatientID": "a.c"}, {"PatientID": "abc"}, False),
        ({"StudyInstanceUID": "1.2.*"}, {"StudyInstanceUID": "1.2.3"}, False),  # UI has none
        # person names: any case, any component group, empty components at the end
        ({"PatientName": "doe^p*"}, {"PatientName": "Doe^Peter"}, True),
        ({"PatientName": "Doe^Peter^^"}, {"PatientName": "Doe^Peter"}, True),
        ({"PatientName": "Yamada*"}, {"PatientName": "Yamada^Tarou=ヤマダ^タロウ"}, True),
        ({"PatientName": "ヤマダ*"}, {"PatientName": "Yamada^Tarou=ヤマダ^タロウ"}, True),
        ({"PatientName": "Doe"}, {"PatientName": "Doe^Peter"}, False),
        # lists
        ({"StudyInstanceUID": ["1.2", "1.3"]}, {"StudyInstanceUID": "1.3"}, True),
        ({"StudyInstanceUID": ["1.2", "1.3"]}, {"StudyInstanceUID": "1.33"}, False),
        ({"ModalitiesInStudy": "MR"}, {"ModalitiesInStudy": ["CT", "MR"]}, True),
        # ranges
        ({"StudyDate": "20030101-20031231"}, {"StudyDate": "20030505"}, True),
        ({"StudyDate": "20030505-20030505"}, {"StudyDate": "20030505"}, True),
        ({"StudyDate": "20030506-"}, {"StudyDate": "20030505"}, False),
        ({"StudyDate": "-20030505"}, {"StudyDate": "20030505"}, True),
        ({"StudyDate": "-20030504"}, {"StudyDate": "20030505"}, False),
        ({"StudyDate": "20030505"}, {"StudyDate": "2003.05.05"}, True),
        ({"StudyTime": "10-1130"}, {"StudyTime": "113059.5"}, True),
        ({"StudyTime": "10-1130"}, {"StudyTime": "1131"}, False),
        ({"StudyTime": "1000-"}, {"StudyTime": "10"}, True),
        # not keys at all
        ({"RetrieveAETitle": "X", "QueryRetrieveLevel": "STUDY"}, {}, True),
    ],
)
@pytest.mark.filterwarnings("ignore:.*Invalid value for VR:UserWarning")
def test_matching(key, stored, expected):
    assert matches(dataset(**key), dataset(**stored)) is expected


def test_sequences_match_when_one_item_matches():
    def procedures(*codes):
        items = [dataset(CodeValue=code) for code in codes]
        return dataset(ProcedureCodeSequence=Sequence(items))

    assert matches(procedures("B"), procedures("A", "B"))
    assert not matches(procedures("C"), procedures("A", "B"))
    assert not matches(procedures("C"), Dataset())
    assert matches(procedures(""), Dataset())
    assert matches(procedures(), procedures("A"))


# Archive


@pytest.fixture
def archive(tmp_path):
    """Two patients: one with a study of two series (CT: 2 images, SR: 1), one with a single image."""
    kept = Archive(tmp_path / "archive")
    for patient, study, series, instance, modality in (
        ("P1", "1.1", "1.1.1", "1.1.1.1", "CT"),
        ("P1", "1.1", "1.1.1", "1.1.1.2", "CT"),
        ("P1", "1.1", "1.1.2", "1.1.2.1", "SR"),
        ("P2", "1.2", "1.2.1", "1.2.1.1", "CT"),
    ):
        made = dataset(
            SOPClassUID=CTImageStorage,
            SOPInstanceUID=instance,
            Modality=modality,
            PatientName="Doe^Peter",
            PatientID=patient,
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
        )
        data = encode(made, False, True)
        assert data is not None
        kept.add(CTImageStorage, made.SOPInstanceUID, ExplicitVRLittleEndian, data)
    return kept


def found(archive, levels, **keys):
    return list(archive.find(dataset(**keys), levels))


def test_each_level_has_one_match_for_each_of_its_entities(archive):
    patients = found(archive, PATIENT_ROOT, QueryRetrieveLevel="PATIENT", PatientID="")
    assert [match.PatientID for match in patients] == ["P1", "P2"]
    studies = found(
        archive, STUDY_ROOT, QueryRetrieveLevel="STUDY", StudyInstanceUID="", PatientID="P1"
    )
    assert [match.StudyInstanceUID for match in studies] == ["1.1"]
    series = found(
        archive,
        STUDY_ROOT,
        QueryRetrieveLevel="SERIES",
        StudyInstanceUID="1.1",
        SeriesInstanceUID="",
    )
    assert [match.SeriesInstanceUID for match in series] == ["1.1.1", "1.1.2"]
    images = found(
        archive,
        PATIENT_ROOT,
        QueryRetrieveLevel="IMAGE",
        SOPInstanceUID=["1.1.1.2", "1.2.1.1", "9"],
    )
    assert [match.SOPInstanceUID for match in images] == ["1.1.1.2", "1.2.1.1"]


def test_a_match_has_what_was_asked_for_and_no_more(archive):
    keys = {"PatientName": "doe*", "StudyDescription": "", "ProcedureCodeSequence": []}
    (first, _) = found(archive, STUDY_ROOT, QueryRetrieveLevel="STUDY", **keys)
    assert {element.keyword for element in first} == {*keys, "QueryRetrieveLevel"}
    assert first.PatientName == "Doe^Peter"
    assert not first.StudyDescription


def test_counts_and_lists_are_computed_and_can_be_matched(archive):
    (first, second) = found(
        archive,
        STUDY_ROOT,
        QueryRetrieveLevel="STUDY",
        NumberOfStudyRelatedSeries="",
        NumberOfStudyRelatedInstances="",
        ModalitiesInStudy="",
    )
    assert (first.NumberOfStudyRelatedSeries, first.NumberOfStudyRelatedInstances) == (2, 3)
    assert first.ModalitiesInStudy == ["CT", "SR"]
    assert second.ModalitiesInStudy == "CT"
    assert len(found(archive, STUDY_ROOT, QueryRetrieveLevel="STUDY", ModalitiesInStudy="SR")) == 1


@pytest.mark.parametrize("level", ["PATIENT", "STUDIES", ""])
def test_a_level_that_the_model_does_not_have_is_refused(archive, level):
    with pytest.raises(IdentifierError):
        found(archive, STUDY_ROOT, QueryRetrieveLevel=level)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.1"}, 3),
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ["1.1", "1.2"]}, 4),
        (
            {
                "QueryRetrieveLevel": "SERIES",
                "StudyInstanceUID": "1.1",
                "SeriesInstanceUID": "1.1.1",
            },
            2,
        ),
        (
            {
                "QueryRetrieveLevel": "SERIES",
                "StudyInstanceUID": "1.2",
                "SeriesInstanceUID": "1.1.1",
            },
            0,
        ),
        ({"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": ["1.1.2.1", "1.2.1.1"]}, 2),
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "9"}, 0),
    ],
)
def test_select_by_unique_keys(archive, keys, expected):
    assert len(archive.select(dataset(**keys), STUDY_ROOT)) == expected


def test_select_wants_the_unique_key_of_its_level(archive):
    with pytest.raises(IdentifierError, match="StudyInstanceUID"):
        archive.select(dataset(QueryRetrieveLevel="STUDY", PatientID="P1"), STUDY_ROOT)


def test_what_is_kept_is_what_came(archive, tmp_path):
    stored = archive.objects["1.1.1.1"]
    assert digest(data_set(stored.path)) == stored.sha256
    assert dcmread(stored.path).SOPInstanceUID == "1.1.1.1"
    with pytest.raises(ValueError, match="not a UID"):
        archive.add(CTImageStorage, "../1", ExplicitVRLittleEndian, b"")
    assert len(archive) == 4
    assert [path.parent for path in tmp_path.rglob("*.dcm")] == [archive.folder] * 4


# PACS and workstation, directly


@pytest.fixture
def stage(tmp_path):
    pacs, station = Pacs("PACS_MAIN", tmp_path / "pacs"), Workstation("WS1", tmp_path / "received")
    port = pacs.start(0)
    pacs.know("WS1", "127.0.0.1", station.start(0))
    with files_as_they_are():
        yield Stage(station, pacs, Target("127.0.0.1", port, "PACS_MAIN"), tmp_path)
    station.stop()
    pacs.stop()


@pytest.fixture
def filled(stage):
    """The PACS with one study of eleven images."""
    for path in steps.wheel_files():
        if path.parts[-3] == "98892003":
            made = dcmread(path)
            syntax = made.file_meta.TransferSyntaxUID
            stage.pacs.archive.add(made.SOPClassUID, made.SOPInstanceUID, syntax, data_set(path))
    (stage.study,) = {str(o.header.StudyInstanceUID) for o in stage.pacs.archive.objects.values()}
    return stage


def test_the_files_are_in_the_wheel_and_are_many_kinds():
    files = steps.wheel_files()
    assert len(files) == len(steps.FILES)
    assert not any(len(data_set(path)) % 2 for path in files)
    syntaxes = {
        dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID for path in files
    }
    assert len(syntaxes) >= 8
    assert sum(syntax.is_compressed for syntax in syntaxes) >= 5


def test_every_step_works_directly_but_then_nothing_is_hidden(stage):
    results = {name: steps.run(name, step, stage) for name, step in STEPS.items()}
    assert {name for name, step in results.items() if step.ok} == set(STEPS) - {"hidden"}
    assert "the PACS saw WS1" in results["hidden"].detail
    assert "was called from port" in results["hidden"].detail
    assert stage.station.seen.move_originators == {"WS1"}


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # pynetdicom's, when refused
def test_steps_fail_with_a_reason_when_nobody_listens(stage):
    stage.pacs.stop()
    for name in ("echo", "store", "query", "move", "get"):
        step = steps.run(name, STEPS[name], stage)
        assert not step.ok
        assert "association" in step.detail
    assert not STEPS["hidden"](stage).ok


def test_the_pacs_refuses_whom_it_does_not_know(stage, tmp_path):
    stranger = Workstation("OTHER", tmp_path / "other")
    with (
        pytest.raises(NoAssociationError, match="rejected: 1, 1, 3"),
        stranger.association(stage.target, [build_context(FIND)]),
    ):
        pass


def test_a_store_that_arrives_changed_is_noticed(stage, monkeypatch):
    monkeypatch.setattr(steps, "digest", lambda _: "0" * 64)
    step = STEPS["store"](stage)
    assert not step.ok
    assert "0 with the same SHA-256" in step.detail


def test_cancel_ends_a_query(filled):
    filled.pacs.pace = 0.1
    image = dataset(QueryRetrieveLevel="IMAGE", SOPInstanceUID="", StudyInstanceUID=filled.study)
    with filled.station.association(filled.target, [build_context(FIND)]) as assoc:
        statuses = []
        for status, _ in assoc.send_c_find(image, FIND, msg_id=5):
            statuses.append(status.Status)
            if len(statuses) == 1:
                assoc.send_c_cancel(5, query_model=FIND)
    assert statuses[0] == 0xFF00
    assert statuses[-1] == 0xFE00
    assert len(statuses) < 11


@pytest.mark.parametrize("service", ["move", "get"])
def test_cancel_ends_a_retrieve(filled, service):
    filled.pacs.pace = 0.1
    study = dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID=filled.study)
    kinds = [(o.sop_class, o.transfer_syntax) for o in filled.pacs.archive.objects.values()]
    model = {"move": MOVE, "get": GET}[service]
    into = Archive(filled.folder / "got")
    contexts = [build_context(model), *contexts_for(kinds)]
    with filled.station.association(filled.target, contexts, into=into) as assoc:
        if service == "move":
            responses = assoc.send_c_move(study, "WS1", MOVE, msg_id=5)
        else:
            responses = assoc.send_c_get(study, GET, msg_id=5)
        next(responses)
        assoc.send_c_cancel(5, query_model=model)
        last, _ = list(responses)[-1]
    arrived = len(filled.station.received if service == "move" else into)
    assert last.Status == 0xFE00
    assert 0 < last.NumberOfCompletedSuboperations == arrived < 11
    assert last.NumberOfRemainingSuboperations == 11 - arrived


@pytest.mark.parametrize(
    ("destination", "keys", "expected"),
    [
        ("NOBODY", {"StudyInstanceUID": "1"}, 0xA801),
        ("WS1", {"StudyInstanceUID": "1"}, 0x0000),
        ("WS1", {"StudyInstanceUID": ""}, 0xC514),
    ],
)
def test_moves_that_send_nothing(filled, destination, keys, expected):
    with filled.station.association(filled.target, [build_context(MOVE)]) as assoc:
        study = dataset(QueryRetrieveLevel="STUDY", **keys)
        statuses = [status.Status for status, _ in assoc.send_c_move(study, destination, MOVE)]
    assert statuses == [expected]
    assert not filled.station.received.objects


@pytest.mark.parametrize(
    ("model", "level", "expected"),
    [
        (FIND, "PATIENT", 0xA900),
        (PatientRootQueryRetrieveInformationModelFind, "PATIENT", 0x0000),
        (FIND, "IMAGES", 0xA900),
        (GET, "STUDY", 0xA900),
    ],
)
def test_levels_and_keys_of_the_model(filled, model, level, expected):
    with filled.station.association(filled.target, [build_context(model)]) as assoc:
        send = assoc.send_c_get if model == GET else assoc.send_c_find
        responses = list(send(dataset(QueryRetrieveLevel=level, PatientID=""), model))
    assert responses[-1][0].Status == expected


def test_a_peer_without_the_transfer_syntax_gets_another_uncompressed_one(filled):
    """DCMTK's getscu offers only uncompressed syntaxes unless told otherwise."""
    stored = next(iter(filled.pacs.archive.objects.values()))
    into = Archive(filled.folder / "got")
    contexts = [build_context(GET), build_context(stored.sop_class, ["1.2.840.10008.1.2"])]
    image = dataset(QueryRetrieveLevel="IMAGE", SOPInstanceUID=stored.sop_instance)
    with filled.station.association(filled.target, contexts, into=into) as assoc:
        last, _ = list(assoc.send_c_get(image, GET))[-1]
    assert last.Status == 0
    got = dcmread(into.objects[stored.sop_instance].path)
    assert got.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
    assert got.PixelData == dcmread(stored.path).PixelData


# What pynetdicom leaves to chance


def test_a_pause_begins_when_the_reader_waits_and_not_before():
    passing, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def read():
        checkpoint.wait()  # let through, as the reactor is just before a pause
        passing.set()
        go_on.wait(5)
        done.set()
        checkpoint.wait()

    reader = threading.Thread(target=read)
    checkpoint = quirks._Checkpoint(reader)
    reader.start()
    passing.wait(5)
    threading.Timer(0.2, go_on.set).start()
    checkpoint.clear()
    assert done.is_set()
    assert reader.is_alive()
    checkpoint.set()
    reader.join(5)
    checkpoint.clear()  # returns, for there is no reader to wait for
    assert not reader.is_alive()


def test_an_interrupted_call_leaves_no_thread_behind(stage):
    signals = Signals()
    with signals.installed(), socket.create_server(("127.0.0.1", 0)) as silent:
        nobody = Target("127.0.0.1", silent.getsockname()[1], "NOBODY")
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        with (
            pytest.raises(Stopped),
            stage.station.association(nobody, [build_context(FIND)]),
        ):
            pass
        stage.station.stop()
    left = [one for one in threading.enumerate() if isinstance(one, DULServiceProvider)]
    assert left == []


# Processes, signals, ports


def make_relay(tmp_path, monkeypatch, program):
    monkeypatch.setattr(processes, "COMMAND", (sys.executable, "-c", program))
    return Relay(tmp_path / "relay-x.toml")


def test_a_relay_that_dies_says_why(tmp_path, monkeypatch):
    program = "import sys; print('line 7: nonsense', file=sys.stderr); sys.exit(2)"
    relay = make_relay(tmp_path, monkeypatch, program)
    relay.start()
    with pytest.raises(
        RelayError, match="relay-x ended with exit code 2; its last lines:\nline 7: nonsense"
    ):
        relay.wait_ready()
    relay.stop()


def test_a_relay_that_never_listens_and_will_not_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "DRAIN", 0.2)
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('ready inside 127.0.0.1:1', flush=True); time.sleep(60)"
    )
    relay = make_relay(tmp_path, monkeypatch, program)
    relay.start()
    with pytest.raises(RelayError, match=r"was not ready after 1 s"):
        relay.wait_ready(1)
    relay.stop()
    with pytest.raises(RelayError, match="exit code -9"):
        relay.check()


def test_a_dead_relay_ends_the_demonstration(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        processes, "COMMAND", (sys.executable, "-c", "import sys; sys.exit('no such key')")
    )
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert show(Console(), once=True) == 1
    assert "no such key" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_usual_ports_only_for_the_demonstration_that_has_the_usual_devices():
    other = choose_ports(1, 2)
    assert (other.station, other.pacs) == (1, 2)
    numbers = {other.a_inside, other.a_outside, other.b_inside, other.b_outside}
    assert len(numbers) == 4
    assert not numbers & set(vars(config.USUAL).values())
    usual = choose_ports(config.USUAL.station, config.USUAL.pacs)
    assert (usual.station, usual.pacs) == (config.USUAL.station, config.USUAL.pacs)


def test_signals_stop_once_and_never_while_held():
    before = signal.getsignal(signal.SIGINT)  # ignored where the tests run in the background
    signals = Signals()
    with signals.installed():
        reached = False
        with pytest.raises(Stopped), signals.held():  # noqa: PT012 - the end of `held` raises
            signal.raise_signal(signal.SIGTERM)
            reached = True
        assert reached
        signal.raise_signal(signal.SIGTERM)  # the end has begun
    fresh = Signals()
    with fresh.installed(), pytest.raises(Stopped):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("ports", [config.USUAL, config.Ports(1, 2, 3, 4, 5, 6)])
def test_the_two_files_validate_and_read_well(tmp_path, ports):
    for path in config.write(tmp_path, ports):
        read = load(path)
        assert {str(ae.network) for ae in read.aes} == {"inside", "outside"}
        lines = path.read_text().splitlines()
        assert max(map(len, lines)) <= 120
        columns = {line.index("#") for line in lines if "#" in line and not line.startswith("#")}
        assert len(columns) == 1


# Printing


def test_without_pynetdicom_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    assert ulproxy.demo.main(once=True) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "ulproxy demo needs pynetdicom: pip install 'ulproxy[demo]'"
    ]


def test_progress_shows_on_a_terminal_and_not_elsewhere(capsys):
    for terminal in (True, False):
        with report.progress(Console(force_terminal=terminal), "store") as progress:
            progress(1, 2)
        assert ("store" in capsys.readouterr().out) is terminal


def test_commands_are_whole_lines(filled, capsys):
    report.commands(Console(width=40), filled, Path("/received"))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    port = filled.target.port
    assert f"echoscu -aet WS1 -aec PACS_MAIN 127.0.0.1 {port}" in lines
    assert next(line for line in lines if line.startswith("movescu")).endswith(f"127.0.0.1 {port}")
    assert f"StudyInstanceUID={filled.study}" in " ".join(lines)


# The whole


@pytest.fixture
def demo(tmp_path):
    """Starts `ulproxy demo`; at the end nothing of it may be left: no process, no file."""
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "ulproxy", "demo", *arguments],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(tmp_path), "COLUMNS": "160"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def processes_of(folder):
    """The command lines of all processes that name a file in the folder."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True
    )
    return [line for line in listed.stdout.splitlines() if str(folder) in line]


def read_until(process, text):
    """The lines of its output up to the one with the text."""
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if text in line:
            return lines
    raise AssertionError("\n".join([*lines, process.stderr.read()]))


def rows(output):
    """The table: first cell -> the other two."""
    lines = [line.strip("│ ").split("│") for line in output if line.startswith("│")]
    return {cells[0].strip(): tuple(cell.strip() for cell in cells[1:]) for cells in lines}


def test_once(demo):
    process = demo("--once")
    out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, ""), out
    lines = out.splitlines()
    done = [tuple(line.split()[:2]) for line in lines if line.startswith(tuple(STEPS))]
    assert done == [(name, "ok") for name in STEPS]
    kept = f"{len(steps.FILES)} objects with the same SHA-256 at WS1"
    assert sum(kept in line for line in lines) == 2
    table = rows(lines)
    assert table["Calling AE title"] == ("HA_WS1", "HB_PACS")
    assert table["Called AE title"] == ("PACS_MAIN", "WS1")
    for role in ("calling", "answering"):
        version = table[f"Implementation version name, {role}"]
        assert version == (IMPLEMENTATION_VERSION_NAME, IMPLEMENTATION_VERSION_NAME)
    assert table["Move Destination"] == ("HA_WS1", "-")
    assert table["Move Originator"] == ("-", "WS1")
    assert table["Retrieve AE Title in matches, sent and read"] == ("PACS_MAIN", "HB_PACS")
    assert table["Associations accepted"] == ("5", "9")
    pacs, station = table["Objects received"]
    assert pacs == station
    assert pacs.startswith(f"{len(steps.FILES)} (")
    assert all(" 0 of them " in cell for cell in table["Connections came from"])


@pytest.mark.skipif(shutil.which("movescu") is None, reason="DCMTK is not installed")
def test_the_printed_commands_work_until_ctrl_c(demo, tmp_path):
    process = demo()
    lines = [line.strip() for line in read_until(process, "Ctrl-C")]
    for client in ("echoscu", "storescu", "findscu", "movescu", "getscu"):
        (command,) = [line for line in lines if line.startswith(client)]
        if client in {"movescu", "getscu"}:
            for kept in tmp_path.glob(f"*/{'got' if client == 'getscu' else 'received'}/*"):
                kept.unlink()
        ran = subprocess.run(
            shlex.split(command),
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
            env=os.environ | {"TCP_NODELAY": "1"},
        )
        assert ran.returncode == 0, ran.stderr
    for folder in ("got", "received"):
        assert len(list(tmp_path.glob(f"*/{folder}/*"))) == 11
    assert any(
        "PACS_MAIN was called by HA_WS1" in line for line in read_until(process, "WS1 was called")
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_at_any_time_and_leaves_nothing(demo, number, tmp_path):
    process = demo("--once")
    read_until(process, "relay-b runs")
    assert len(processes_of(tmp_path)) == 2
    process.send_signal(number)
    process.send_signal(number)
    assert process.wait(20) == 1


def test_a_relay_that_dies_later_ends_it_too(demo):
    process = demo()
    lines = read_until(process, "Ctrl-C")
    (pid,) = [int(line.split()[3]) for line in lines if line.startswith("relay-b is process")]
    os.kill(pid, signal.SIGKILL)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "relay-b ended with exit code -9; its last lines:" in out
