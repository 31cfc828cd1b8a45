"""How many processors there are for a process, by what a system says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ulproxy.shell.cores import cores

V2 = "0::/system.slice/relay.service\n"
V1 = "4:memory:/docker/12\n3:cpuset:/docker/12\n2:cpu,cpuacct:/docker/12\n0::/docker/12\n"


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)))


def system(root: Path, groups: str, **files: str) -> Path:
    """What /proc says of the process's groups, and files of these groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000\n", 8),
        ("800000 100000\n", 8),
        ("700000 100000\n", 7),
        ("150000 100000\n", 2),
        ("100000 100000\n", 1),
        ("1000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("", 8),
        ("100000 0\n", 8),
        ("nonsense\n", 8),
    ],
)
@pytest.mark.usefixtures("eight")
def test_quota(tmp_path, text, expected):
    """Rounded up: a worker that has half a core is better than half the quota unused."""
    root = system(tmp_path, V2, **{"system.slice/relay.service/cpu.max": text})
    assert cores(root) == expected


@pytest.mark.usefixtures("eight")
def test_a_group_around_it_has_less(tmp_path):
    files = {
        "system.slice/relay.service/cpu.max": "600000 100000\n",
        "system.slice/cpu.max": "250000 100000\n",
        "cpu.max": "max 100000\n",
    }
    assert cores(system(tmp_path, V2, **files)) == 3


@pytest.mark.parametrize("where", ["", "docker/12/"])
@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("0", 8), ("150000", 3)])
@pytest.mark.usefixtures("eight")
def test_quota_of_version_1(tmp_path, where, quota, expected):
    """Also in a container that sees its own group as the root."""
    files = {
        f"cpu,cpuacct/{where}cpu.cfs_quota_us": f"{quota}\n",
        f"cpu,cpuacct/{where}cpu.cfs_period_us": "50000\n",
        f"cpuset/{where}cpu.cfs_quota_us": "1\n",
        f"cpuset/{where}cpu.cfs_period_us": "1\n",
    }
    assert cores(system(tmp_path, V1, **files)) == expected


def test_affinity(tmp_path):
    """Of this process, which may have been told to use few; there is no /proc here."""
    allowed = os.sched_getaffinity(0)
    assert cores(tmp_path) == len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_this_machine():
    assert 1 <= cores() <= len(os.sched_getaffinity(0))


def test_a_system_that_cannot_say(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == 1
