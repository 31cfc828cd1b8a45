"""The conformance suite against the relay, DCMTK, Orthanc and pynetdicom: as it is on record."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.conforming import (
    ACCEPTORS,
    BEGIN,
    CALLED,
    CALLING,
    END,
    RECORD,
    STATEMENT,
    outcomes,
    recorded,
    table,
    verdicts,
)
from tests.end_to_end.peers import ae, border, relay
from ulproxy.conform.case import Verdict
from ulproxy.conform.run import run
from ulproxy.conform.settings import Settings
from ulproxy.conform.suite import CLAUSES, chosen
from ulproxy.policy.endpoints import Endpoint

OTHERS = [name for name in ACCEPTORS if name != "ulproxy"]
# Cases that nobody waits in, neither for what does not come nor for what comes late.
QUICK = ("9.3.1", "9.3.2/[1-7]", "9.3.2.2/[1-4]", "9.3.3", "9.3.7", "9.3.5/5", "D.2/[1-7]", "E.2")


def test_the_relay_passes_all(tmp_path):
    found = outcomes("ulproxy", tmp_path, jobs=12)
    assert len(found) == sum(len(clause.cases) for clause in CLAUSES)
    assert {one.case.id: one.why for one in found if one.verdict is Verdict.FAILED} == {}
    assert verdicts(found) == recorded()["ulproxy"]


def test_so_does_its_own_title(tmp_path):
    """Contexts that are not for C-ECHO are refused by its rules, so with result 1 (should: 3, or 4)."""
    config = border(
        [ae(CALLING, "west"), ae("PACS", "east", 1)],
        [],
        relay={"title": CALLED},
        limits={"artim": 2.0},
    )
    cases = [case for clause in CLAUSES for case in clause.cases]
    with relay(config, tmp_path) as running:
        endpoint = Endpoint("127.0.0.1", running.ports["west"])
        settings = Settings(endpoint, CALLED, CALLING, timeout=3.0, artim=2.0)
        found = verdicts(list(run(cases, settings, 12)))
    by_rule = dict.fromkeys(("9.3.2.2/13", "9.3.2.2/15"), "noted")
    assert found == recorded()["ulproxy"] | by_rule


@pytest.mark.parametrize("name", OTHERS)
def test_the_others_are_as_they_were(name, tmp_path):
    found = outcomes(name, tmp_path, *QUICK, artim=False)
    tried = {case.id for clause in chosen(QUICK) for case in clause.cases}
    assert len(found) == len(tried)
    before = {one: verdict for one, verdict in recorded()[name].items() if one in tried}
    assert verdicts(found) == before


def test_the_table_is_the_record():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    statement = STATEMENT.read_text(encoding="utf-8")
    assert statement.split(BEGIN)[1].split(END)[0] == table(record)
    assert set(record) == set(ACCEPTORS)
