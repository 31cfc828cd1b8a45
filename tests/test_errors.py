"""Errors by blame."""

from __future__ import annotations

import pytest

from ulproxy.errors import (
    ConfigError,
    LocalProtocolError,
    Problem,
    RemoteProtocolError,
    UlproxyError,
)


@pytest.mark.parametrize("error", [LocalProtocolError, RemoteProtocolError, ConfigError])
def test_whatever_the_package_raises_on_purpose_can_be_caught_at_once(error):
    assert issubclass(error, UlproxyError)


def test_blame_is_never_mixed_up():
    assert not issubclass(RemoteProtocolError, LocalProtocolError)
    assert not issubclass(LocalProtocolError, RemoteProtocolError)


def test_the_peers_errors_carry_the_reason_of_our_abort():
    assert RemoteProtocolError("bad").reason == 6  # invalid parameter value
    error = RemoteProtocolError("not now", 5)
    assert (error.reason, str(error)) == (5, "not now")


def test_the_configurations_errors_have_every_problem_in_the_order_of_the_file():
    later, sooner = Problem(7, "ae.title", "too long"), Problem(2, "relay", "missing")
    error = ConfigError([later, sooner])
    assert error.problems == [sooner, later]
    assert "7: ae.title: too long" in str(error)
    assert "2: relay: missing" in str(error)
