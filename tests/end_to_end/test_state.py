"""What outlives a relay: a storage commitment result that comes after its restart finds who asked."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import build_context, build_role, evt

from tests.end_to_end.peers import (
    Relay,
    Table,
    ae,
    border,
    free_port,
    program,
    relay,
    rule,
    run_relay,
    toml,
    wait_until,
)
from tests.end_to_end.pynet import association, entity, scp
from tests.end_to_end.test_services import Reported, commitment_request, data_set, reporting_to
from tests.end_to_end.uids import COMMITMENT, COMMITMENT_INSTANCE

MODALITIES = ("MOD1", "MOD2", "MOD3")


def ask(running: Relay, modality: str, transaction: str) -> None:
    request = commitment_request()
    request.TransactionUID = transaction
    contexts = [build_context(COMMITMENT)]
    port = running.ports["west"]
    with association(entity(modality), port, "FAR_PACS", contexts) as made:
        status, _ = made.send_n_action(request, 1, COMMITMENT, COMMITMENT_INSTANCE)
    assert status.Status == 0


def report(running: Relay, transaction: str) -> int:
    """The status that the PACS gets for its result."""
    result: Dataset = data_set(TransactionUID=transaction, RetrieveAETitle="PACS")
    result.ReferencedSOPSequence = commitment_request().ReferencedSOPSequence
    contexts, roles = [build_context(COMMITMENT)], [build_role(COMMITMENT, scp_role=True)]
    port = running.ports["east"]
    with association(entity("PACS"), port, "RELAY", contexts, ext_neg=roles) as made:
        status, _ = made.send_n_event_report(result, 1, COMMITMENT, COMMITMENT_INSTANCE)
    found: int = status.Status
    return found


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_result_after_a_restart_finds_who_asked(tmp_path: Path, end: signal.Signals) -> None:
    ports = {name: free_port() for name in MODALITIES}
    state = {"state": str(tmp_path / "state.sqlite")}
    pacs = entity("PACS")
    pacs.add_supported_context(COMMITMENT)
    with scp(pacs, [(evt.EVT_N_ACTION, lambda _event: (0x0000, None))]) as port:
        aes = [ae(name, "west", ports[name]) for name in MODALITIES]
        aes.append(ae("PACS", "east", port, alias="FAR_PACS"))
        config = border(aes, [rule(list(MODALITIES), ["PACS"])], relay=state)
        ended_by(end, config, tmp_path)
        with relay(config, tmp_path) as running:
            for number, name in enumerate(MODALITIES):
                seen: list[Reported] = []
                modality = entity(name)
                modality.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
                with scp(modality, reporting_to(seen), ports[name]):
                    assert report(running, f"1.2.3.{number}") == 0
                ((calling, called, _, result),) = seen
                assert (calling, called) == ("FAR_PACS", name)
                assert result.TransactionUID == f"1.2.3.{number}"


def ended_by(end: signal.Signals, config: Table, directory: Path) -> None:
    """A relay through which each modality asks, and that is gone then."""
    path = directory / "first.toml"
    path.write_text(toml(config))
    with program(run_relay(path), directory) as process:
        running = Relay(process, path)
        wait_until(running.listening, "the relay listens")
        for number, name in enumerate(MODALITIES):
            ask(running, name, f"1.2.3.{number}")
        process.signal(end)
        process.exit_code()


def test_without_a_named_file_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    config = border([ae("MOD1", "west"), ae("PACS", "east", 104)], [rule(["MOD1"], ["PACS"])])
    with relay(config, tmp_path):
        (directory,) = runtime.iterdir()
        wait_until((directory / "state.sqlite-moves").exists, "it has its files")
    assert list(runtime.iterdir()) == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_one_that_was_killed_has_left_the_next_one_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    config = border([ae("MOD1", "west"), ae("PACS", "east", 104)], [rule(["MOD1"], ["PACS"])])
    path = tmp_path / "killed.toml"
    path.write_text(toml(config))
    with program(run_relay(path, "--workers", workers), tmp_path) as process:
        running = Relay(process, path)
        wait_until(running.listening, "the relay listens")
        with relay(config, tmp_path):
            assert len(list(runtime.iterdir())) == 2
        (left,) = runtime.iterdir()
        process.signal(signal.SIGKILL)
        process.exit_code()

    def removed() -> bool:
        """Its workers may take a moment to notice."""
        with relay(config, tmp_path):
            return not left.exists()

    wait_until(removed, "it is removed")
    assert list(runtime.iterdir()) == []
