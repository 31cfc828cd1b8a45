"""`[metrics]`: where they are served, and where they had better not be."""

from __future__ import annotations

import pytest

from tests.policy.config_text import BASE, END, assert_found, edited, problems
from ulproxy.policy.config import Endpoint, parse


def test_where_metrics_are_served():
    assert parse(BASE).metrics is None
    assert parse(edited(more="[metrics]\n")).metrics is None
    found = parse(edited(more='[metrics]\nbind = "127.0.0.1:9108"\n'))
    assert found.metrics == Endpoint("127.0.0.1", 9108)
    assert found.notes == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_metrics_for_everybody_are_noted(host):
    found = parse(edited(more=f'[metrics]\nbind = "{host}:9108"\n'))
    said = "is every address of this machine; write the one that the monitoring system calls"
    assert_found(found.notes, [(END + 2, "metrics.bind", said)])


def test_metrics_where_a_listener_is():
    text = edited(more='[metrics]\nbind = "localhost:2762"\n')
    said = "is where listener[2].bind (line 13) listens already; write another address or port"
    assert_found(problems(text), [(END + 2, "metrics.bind", said)])
