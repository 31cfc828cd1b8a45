"""Numbers of several processes made one set, and what Prometheus reads of it."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ulproxy.relay.tally import SUM, Sample, Tally
from ulproxy.watch.metrics import FAMILIES, PREFIX, added, decoded, encoded, exposition, lasting

SAMPLE = {
    ("associations", "inbound", "inside", "released"): 2,
    ("associations_open",): 3,
    ("operation_seconds", "store", "0.5"): 4,
    ("operation_seconds", "store", "10.0"): 1,
    ("operation_seconds", "store", "+Inf"): 2,
    ("operation_seconds", "store", SUM): 99.5,
}


def test_from_one_process_to_another():
    assert decoded(encoded(SAMPLE)) == SAMPLE
    assert decoded(b"") == {}


def test_numbers_of_several_processes_are_added():
    assert added([SAMPLE, {}, {("associations_open",): 1, ("workers",): 1}]) == {
        **SAMPLE,
        ("associations_open",): 4,
        ("workers",): 1,
    }


def test_of_the_dead_what_only_grows_stays():
    assert lasting(SAMPLE) == {key: n for key, n in SAMPLE.items() if key[0] != "associations_open"}


def test_exposition():
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition(SAMPLE).decode())
        for sample in family.samples
    }
    service, buckets = ("service", "store"), f"{PREFIX}operation_seconds_bucket"
    where = (("end", "inbound"), ("network", "inside"), ("outcome", "released"))
    assert found == {
        (f"{PREFIX}associations_total", *where): 2,
        (f"{PREFIX}associations_open",): 3,
        (buckets, ("le", "0.5"), service): 4,
        (buckets, ("le", "10.0"), service): 5,
        (buckets, ("le", "+Inf"), service): 7,
        (f"{PREFIX}operation_seconds_count", service): 7,
        (f"{PREFIX}operation_seconds_sum", service): 99.5,
    }


def test_a_family_without_numbers_is_named_all_the_same():
    assert b"# TYPE ulproxy_moves_open gauge\n" in exposition({})


@pytest.mark.parametrize("name", FAMILIES)
def test_labels_that_end_in_quotes_or_lines_do_no_harm(name):
    """Names in the configuration are free of them; this is the library's to see to."""
    family = FAMILIES[name]
    labels = [f'{label}"\n' for label in family.labels]
    more: Sample = {(name, *labels, SUM): 1, (name, *labels, "+Inf"): 1}
    sample: Sample = more if family.kind == "histogram" else {(name, *labels): 1}
    (found,) = [
        one for one in text_string_to_metric_families(exposition(sample).decode()) if one.samples
    ]
    assert set(labels) <= set(found.samples[0].labels.values())


def test_all_that_is_counted_has_a_family():
    tally = Tally(lambda: 0.0, [])
    tally.of("1.2.840.10008.1.1", 0x30).succeeded += 1
    for name, *labels in tally.sample():
        family = FAMILIES[name]
        assert len(labels) == len(family.labels) + (family.kind == "histogram")
