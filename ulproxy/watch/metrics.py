"""What the numbers of `Tally` are called for Prometheus, and how those of several processes become one set.

A process's numbers are added to those of the others; of one that has died those stay that only ever grow. The
text format is prometheus-client's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from ulproxy.relay.tally import SUM, Sample

PREFIX: Final = "ulproxy_"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Family(NamedTuple):
    """Metrics of one name; the last label of a histogram's key is a bucket's bound, or `SUM`."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


FAMILIES: Final[dict[str, Family]] = {
    "build_info": Family("gauge", "1, with the version that runs.", ("version",)),
    "workers": Family("gauge", "Processes that serve."),
    "ready": Family("gauge", "1 while the listeners stand and new associations are taken."),
    "reloads": Family("counter", "Reloads of the configuration by how they went.", ("outcome",)),
    "worker_deaths": Family("counter", "Workers that died and were replaced."),
    "limit_associations": Family("gauge", "The configuration's limit of associations at once."),
    "connections_open": Family("gauge", "Connections of callers."),
    "connections_pending": Family("gauge", "Those of them without an association."),
    "connections_without_association": Family(
        "counter", "Connections that never asked for an association.", ("network", "outcome")
    ),
    "associations_open": Family("gauge", "Associations of callers that were let in and are open."),
    "associations": Family(
        "counter",
        "Associations that are over. end: inbound = of callers on the network, onward = to AEs on it.",
        ("end", "network", "outcome"),
    ),
    "association_setup_seconds": Family(
        "histogram", "From a caller's A-ASSOCIATE-RQ to the A-ASSOCIATE-AC that it gets."
    ),
    "refusals": Family("counter", "Associations and messages refused.", ("reason",)),
    "would_be_refused": Family(
        "counter", "What passed because rules are only observed.", ("what",)
    ),
    "messages": Family(
        "counter", "DIMSE messages passed on, by where they came from.", ("end", "network")
    ),
    "bytes": Family(
        "counter", "Bytes of data sets passed on, by where they came from.", ("end", "network")
    ),
    "requests": Family("counter", "DIMSE requests from one AE to another.", ("service",)),
    "responses": Family("counter", "What came of them.", ("service", "status")),
    "operation_seconds": Family(
        "histogram", "From a DIMSE request to its final response.", ("service",)
    ),
    "moves_open": Family("gauge", "C-MOVEs without a final response."),
    "moves_waiting": Family("gauge", "Associations with a message that waits for a C-MOVE."),
    "audit_queue": Family("gauge", "Records not yet written to the audit file or queue.", ("of",)),
    "audit_stopped": Family("gauge", "Processes that let nobody in for want of an audit trail."),
    "ae_associations": Family(
        "counter",
        "Associations that are over, by AE of the configuration.",
        ("ae", "role", "outcome"),
    ),
    "ae_bytes": Family("counter", "Bytes of data sets from this AE passed on.", ("ae",)),
}


def encoded(sample: Sample) -> bytes:
    """The numbers of a process as another one can read them."""
    return json.dumps([[*key, number] for key, number in sample.items()]).encode()


def decoded(data: bytes) -> Sample:
    """What `encoded` has made; no numbers where it has made nothing."""
    return {tuple(key): number for *key, number in json.loads(data or b"[]")}


def added(samples: Iterable[Sample]) -> Sample:
    """The numbers of all of them together."""
    total: Sample = defaultdict(int)
    for sample in samples:
        for key, number in sample.items():
            total[key] += number
    return dict(total)


def lasting(sample: Sample) -> Sample:
    """What stays of the numbers of a process that has died."""
    return {key: number for key, number in sample.items() if FAMILIES[key[0]].kind != "gauge"}


def exposition(sample: Sample, more: Iterable[Metric] = ()) -> bytes:
    """The numbers in Prometheus's text format, and `more` behind them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(sample, more))
    return generate_latest(registry)


class _Collector:
    def __init__(self, sample: Sample, more: Iterable[Metric]) -> None:
        self._more = more
        self._by_family: dict[str, Sample] = {name: {} for name in FAMILIES}
        for (name, *labels), number in sample.items():
            self._by_family[name][tuple(labels)] = number

    def collect(self) -> Iterator[Metric]:
        """See prometheus-client's `Collector`."""
        for name, family in FAMILIES.items():
            yield _metric(PREFIX + name, family, self._by_family[name])
        yield from self._more


def _metric(name: str, family: Family, sample: Sample) -> Metric:
    if family.kind == "histogram":
        return _histogram(name, family, sample)
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(name, family.help, labels=family.labels)
    for labels, number in sorted(sample.items()):
        metric.add_metric(labels, number)
    return metric


def _histogram(name: str, family: Family, sample: Sample) -> Metric:
    metric = HistogramMetricFamily(name, family.help, labels=family.labels)
    by_labels: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for (*labels, bound), number in sample.items():
        by_labels[tuple(labels)][bound] = number
    for series, numbers in sorted(by_labels.items()):
        seconds, reached, buckets = numbers.pop(SUM), 0.0, []
        for bound in sorted(numbers, key=float):  # "+Inf" is one
            reached += numbers[bound]
            buckets.append((bound, reached))
        metric.add_metric(series, buckets, seconds)
    return metric
